//! A request as it came from the wire.

/// What a signature covers, as received: nothing decoded, normalised or reordered.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Method, e.g. `POST`.
    pub method: &'a str,
    /// Path with its escapes, e.g. `/a%20b`.
    pub path: &'a str,
    /// Query with its escapes, without the question mark.
    pub query: Option<&'a str>,
    /// Header lines in order of arrival. Names in any case; values are bytes, since HTTP does not promise UTF-8.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> Request<'a> {
    /// The values of all headers of this name, in order of arrival.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The value of a header that may occur once; `Err` when it occurs more often or is not plain ASCII text.
    pub(super) fn single(&self, name: &str) -> Result<Option<&'a str>, Ambiguous> {
        let mut values = self.values(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Ambiguous::Repeated);
        }
        match std::str::from_utf8(value) {
            Ok(text) if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) => Ok(Some(text.trim_matches(' '))),
            _ => Err(Ambiguous::NotText),
        }
    }
}

/// Why a header that authentication rests on cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ambiguous {
    /// It is there twice: one verifier might read the first, another the second.
    Repeated,
    /// It holds bytes that are not printable ASCII.
    NotText,
}

impl Ambiguous {
    /// The sentence for the person who reads the error.
    pub(super) fn about(self, header: &str) -> String {
        match self {
            Self::Repeated => format!("The header '{header}' must occur exactly once."),
            Self::NotText => format!("The header '{header}' must be printable ASCII text."),
        }
    }
}
