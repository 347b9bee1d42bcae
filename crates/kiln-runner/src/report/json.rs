//! JSON as a stream: arrays are taken an element at a time, so that memory does not grow with the file. serde_json bounds
//! the depth at 128.

use std::{fmt, io::Read, marker::PhantomData};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, SeqAccess, Visitor},
};

use super::{
    ReportProblem,
    decode::{Decoder, TooLarge},
    xml::MAX_FILE,
};

/// Reads one JSON value with a seed.
pub(super) fn read<S>(input: &mut dyn Read, seed: S) -> Result<(), ReportProblem>
where
    S: for<'de> DeserializeSeed<'de, Value = ()>,
{
    let mut json = serde_json::Deserializer::from_reader(Decoder::new(input, MAX_FILE));
    seed.deserialize(&mut json).map_err(problem)
}

fn problem(error: serde_json::Error) -> ReportProblem {
    match error.io_error_kind() {
        Some(std::io::ErrorKind::FileTooLarge) => ReportProblem::Large { what: TooLarge::File.to_string() },
        Some(_) => ReportProblem::Read(error.into()),
        None if error.is_eof() && (error.line(), error.column()) <= (1, 0) => ReportProblem::Empty,
        None => ReportProblem::Syntax { line: error.line() as u64, reason: error.to_string() },
    }
}

/// Gives each element of an array to a function. `null` is an empty array.
pub(super) fn each<'de, D, T>(deserializer: D, take: impl FnMut(T)) -> Result<(), D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Each<T, F>(F, PhantomData<T>);

    impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
            while let Some(element) = array.next_element()? {
                (self.0)(element);
            }
            Ok(())
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
    }

    deserializer.deserialize_any(Each(take, PhantomData))
}

/// A text, empty for `null`.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
