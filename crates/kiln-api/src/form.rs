//! Form-encoded text: the queries of badges and the bodies of query services. Signatures never see this decoding.

/// The first value of a parameter; `None` when it is absent or not UTF-8.
pub(crate) fn value(text: &str, name: &str) -> Option<String> {
    text.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(found).as_deref() == Some(name)).then(|| decode(value)).flatten()
    })
}

pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    let digit = |bytes: &mut std::str::Bytes<'_>| char::from(bytes.next()?).to_digit(16);
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(&mut bytes)? * 16 + digit(&mut bytes)?).ok()?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_forms() {
        let text = "Action=Get%43aller+Identity&b=%c3%a4&%41=1&flag&bad=%4";
        assert_eq!(value(text, "Action").as_deref(), Some("GetCaller Identity"));
        assert_eq!(value(text, "b").as_deref(), Some("ä"));
        assert_eq!(value(text, "A").as_deref(), Some("1"));
        assert_eq!(value(text, "flag").as_deref(), Some(""));
        assert_eq!(value(text, "bad"), None);
        assert_eq!(value(text, "c"), None);
        assert_eq!(value("x=%ff", "x"), None);
    }
}
