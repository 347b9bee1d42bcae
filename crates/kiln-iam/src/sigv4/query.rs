//! Percent escapes and query strings, byte by byte: no form decoding (a plus sign is a plus sign), no guessing.

/// One `name=value` of a query, as received. A name without `=` has an empty value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

/// The pairs of a query in order of arrival.
pub(super) fn pairs(query: Option<&str>) -> impl Iterator<Item = Pair<'_>> {
    query.unwrap_or_default().split('&').filter(|piece| !piece.is_empty()).map(|piece| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        Pair { name, value }
    })
}

/// The pairs of a query, decoded, in order of arrival; without those that have an incomplete escape.
#[must_use]
pub fn decoded_pairs(query: Option<&str>) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs(query).filter_map(|pair| Some((decode(pair.name)?, decode(pair.value)?))).collect()
}

/// Decodes percent escapes; `None` when one is incomplete.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => nibble(bytes.next()?)? << 4 | nibble(bytes.next()?)?,
            byte => byte,
        });
    }
    Some(decoded)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Appends bytes with every byte escaped but the unreserved ones (and, in paths, the slash).
pub fn encode(output: &mut Vec<u8>, bytes: &[u8], slash_is_kept: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => output.push(byte),
            b'/' if slash_is_kept => output.push(byte),
            _ => output.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_whole_escapes_only() {
        assert_eq!(decode("a%2Fb+%c3%A4").unwrap(), b"a/b+\xc3\xa4");
        for text in ["%", "%2", "a%zz", "%+1", "%2\u{e4}"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn splits_without_form_decoding() {
        let found: Vec<_> = pairs(Some("a=b=c&&d&e=&=f+g")).map(|pair| (pair.name, pair.value)).collect();
        assert_eq!(found, [("a", "b=c"), ("d", ""), ("e", ""), ("", "f+g")]);
        assert_eq!(pairs(None).count(), 0);
    }
}
