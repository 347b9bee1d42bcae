//! SimpleCov's `.resultset.json` and `coverage.json` (not simplecov-json's, `buildspec.md` 11.2).

use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
};

use kiln_model::Counter;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{ReportProblem, coverage::Files, json};

/// Source files that one report may name.
const MAX_SOURCES: usize = 200_000;

pub(super) fn read(input: &mut dyn Read, files: &mut Files) -> Result<(), ReportProblem> {
    let mut sources = Sources::default();
    json::read(input, Root(&mut sources))?;
    if !sources.found {
        return Err(ReportProblem::Syntax {
            line: 1,
            reason: "there is no member 'coverage': this is not SimpleCov's .resultset.json or coverage.json"
                .to_owned(),
        });
    }
    for (path, source) in sources.sources {
        let lines = source.lines.iter().fold(Counter::default(), |mut sum, line| {
            sum.add(Counter { covered: u64::from(*line == LINE_COVERED), missed: u64::from(*line == LINE_MISSED) });
            sum
        });
        let covered = source.branches.values().filter(|&&c| c).count() as u64;
        let branches = Counter { covered, missed: (source.branches.len() as u64).saturating_sub(covered) };
        files.add(&path, lines, branches);
    }
    Ok(())
}

const LINE_MISSED: u8 = 1;
const LINE_COVERED: u8 = 2;

/// What the test commands of a result set say of each file, put together.
#[derive(Debug, Default)]
struct Sources {
    sources: Vec<(String, Source)>,
    places: HashMap<String, usize>,
    found: bool,
}

#[derive(Debug, Default)]
struct Source {
    /// 0 for a line without code.
    lines: Vec<u8>,
    /// By a hash of its name.
    branches: HashMap<u64, bool>,
}

/// The whole file: `{"meta", "coverage", "groups"}`, or an object of test commands.
struct Root<'s>(&'s mut Sources);

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of coverage")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "coverage" => map.next_value_seed(FileMap(self.0))?,
                "meta" | "groups" | "total" | "errors" => drop(map.next_value::<IgnoredAny>()?),
                _ => map.next_value_seed(Command(self.0))?,
            }
        }
        Ok(())
    }
}

/// A test command: `{"coverage", "timestamp"}`. What is no object is passed over.
struct Command<'s>(&'s mut Sources);

impl<'de> DeserializeSeed<'de> for Command<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Command<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the coverage of a test command")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "coverage" => map.next_value_seed(FileMap(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// An object of paths.
struct FileMap<'s>(&'s mut Sources);

impl<'de> DeserializeSeed<'de> for FileMap<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.found = true;
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileMap<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(path) = map.next_key::<String>()? {
            let next = self.0.sources.len();
            let at = *self.0.places.entry(path.clone()).or_insert(next);
            if at == next {
                if next >= MAX_SOURCES {
                    return Err(A::Error::custom(format!("more than {MAX_SOURCES} files")));
                }
                self.0.sources.push((path, Source::default()));
            }
            match self.0.sources.get_mut(at) {
                Some((_, source)) => map.next_value_seed(OneFile(source))?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A file: `{"lines", "branches"}`, or before SimpleCov 0.18 its lines alone.
struct OneFile<'s>(&'s mut Source);

impl<'de> DeserializeSeed<'de> for OneFile<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneFile<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lines of a file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "lines" => map.next_value_seed(LineList(self.0))?,
                "branches" => map.next_value_seed(Branches { source: self.0, outer: 0 })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<(), A::Error> {
        LineList(self.0).visit_seq(array)
    }
}

struct LineList<'s>(&'s mut Source);

impl<'de> DeserializeSeed<'de> for LineList<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LineList<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of counts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(hits) = array.next_element::<Hits>()? {
            let state = hits.0.map_or(0, |n| if n > 0 { LINE_COVERED } else { LINE_MISSED });
            match self.0.lines.get_mut(number) {
                Some(line) => *line = state.max(*line),
                None => self.0.lines.push(state),
            }
            number += 1;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Branches: an object of conditions, each an object of branches with counts; or an array of objects with `coverage`.
struct Branches<'s> {
    source: &'s mut Source,
    /// Hash of the condition; 0 at the top.
    outer: u64,
}

impl Branches<'_> {
    fn add(&mut self, name: impl Hash, hits: Hits) {
        let mut hasher = DefaultHasher::new();
        (self.outer, name).hash(&mut hasher);
        if let Some(hits) = hits.0 {
            *self.source.branches.entry(hasher.finish()).or_default() |= hits > 0;
        }
    }
}

impl<'de> DeserializeSeed<'de> for Branches<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Branches<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("branches with counts")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if self.outer == 0 {
                let mut hasher = DefaultHasher::new();
                name.hash(&mut hasher);
                map.next_value_seed(Branches { source: self.source, outer: hasher.finish().max(1) })?;
            } else {
                let hits = map.next_value()?;
                self.add(name, hits);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        struct Branch {
            #[serde(default)]
            coverage: Hits,
        }
        let mut number = 0u64;
        while let Some(branch) = array.next_element::<Branch>()? {
            self.add(number, branch.coverage);
            number += 1;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A count; nothing for `null` and `"ignored"`.
#[derive(Debug, Default, Clone, Copy)]
struct Hits(Option<u64>);

impl<'de> Deserialize<'de> for Hits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;

        impl Visitor<'_> for Count {
            type Value = Hits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count, null or \"ignored\"")
            }

            fn visit_u64<E>(self, count: u64) -> Result<Hits, E> {
                Ok(Hits(Some(count)))
            }

            fn visit_i64<E>(self, count: i64) -> Result<Hits, E> {
                Ok(Hits(u64::try_from(count).ok()))
            }

            fn visit_str<E>(self, _: &str) -> Result<Hits, E> {
                Ok(Hits(None))
            }

            fn visit_unit<E>(self) -> Result<Hits, E> {
                Ok(Hits(None))
            }
        }

        deserializer.deserialize_any(Count)
    }
}
