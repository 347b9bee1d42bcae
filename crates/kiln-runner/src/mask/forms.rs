//! The forms in which tools print a secret (`security.md` 5.1).
//!
//! Whole texts, and pieces of them: encoders break their lines, and dumps print so many bytes to a line, wherever the secret
//! begins in it.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose};

use super::{Masker, SHORTEST};

/// Bytes of a text whose pieces are looked for too; of longer ones each line is.
const LONGEST_IN_PIECES: usize = 512;
/// Forms that are looked for: with more than that, only whole ones are added.
const MOST_FORMS: usize = 50_000;
/// Bytes of a piece of text, which dumps have in a line beside the digits.
const PIECE: usize = 16;
/// Bytes of a piece in hexadecimal digits.
const DIGITS: usize = 4;
/// Characters of a piece in base64.
const ENCODED: usize = 8;

/// Adds a secret in every form in which tools print it.
pub(super) fn add_secret(secret: &str, forms: &mut BTreeSet<Vec<u8>>) {
    add_text(secret, forms);
    // Keys of several lines: each line alone, and all of them with the line ends that tools make of them.
    if secret.contains(['\n', '\r']) {
        for line in secret.split(['\n', '\r']) {
            add_text(line.trim(), forms);
        }
        let lines: Vec<&str> = secret.lines().collect();
        for separator in ["\r\n", "\r", "\\n", "\\r\\n"] {
            add_text(lines.join(separator).trim(), forms);
        }
    }
    // A JSON secret: every text and number in it.
    if secret.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(secret)
    {
        add_json(&value, forms);
    }
}

fn add_json(value: &serde_json::Value, forms: &mut BTreeSet<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) => add_text(text, forms),
        serde_json::Value::Number(number) => add_text(&number.to_string(), forms),
        serde_json::Value::Array(items) => items.iter().for_each(|item| add_json(item, forms)),
        serde_json::Value::Object(fields) => {
            for field in fields.values() {
                // As it is where it was taken out of the object.
                if field.is_array() || field.is_object() {
                    add_text(&field.to_string(), forms);
                }
                add_json(field, forms);
            }
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) => {}
    }
}

fn add_text(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    if Masker::is_unmaskable(text) {
        return;
    }
    let bytes = text.as_bytes();
    let mut add = |form: Vec<u8>| {
        if form.len() >= SHORTEST {
            forms.insert(form);
        }
    };
    add(bytes.to_vec());
    add(hex::encode(bytes).into_bytes());
    add(hex::encode_upper(bytes).into_bytes());
    let encoded: Vec<Vec<u8>> = [&general_purpose::STANDARD, &general_purpose::URL_SAFE]
        .into_iter()
        .flat_map(|engine| (0..3).map(|offset| base64_inside(engine, bytes, offset)))
        .collect();
    encoded.iter().for_each(|form| add(form.clone()));
    // RFC 3986, then what encodeURIComponent and Python's quote let stand; forms write a blank as a plus.
    for plain in ["-_.~", "-_.!~*'()", "-_.~/"] {
        for lower in [false, true] {
            let form = percent_encoded(bytes, plain, lower);
            add(form.replace("%20", "+").into_bytes());
            add(form.into_bytes());
        }
    }
    if let Ok(quoted) = serde_json::to_string(text) {
        let quoted = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        add(quoted.as_bytes().to_vec());
        add(ascii_json(quoted).into_bytes());
        // Go writes these so that no browser takes them for HTML.
        add(quoted.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").into_bytes());
        add(quoted.replace('/', "\\/").into_bytes());
    }
    // `set -x` and `export -p`: 'it'\''s', "it's", $'…'; `printf %q`: backslashes.
    add(text.replace('\'', "'\\''").into_bytes());
    add(text.replace('\'', "'\"'\"'").into_bytes());
    add(backslashed(text, |c| matches!(c, '\\' | '"' | '$' | '`')).into_bytes());
    add(backslashed(text, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,\n".contains(c)).into_bytes());
    let quoted = backslashed(text, |c| "\t !\"$&'()*,;<>?[\\]^`{|}".contains(c));
    // Where it begins a word it may have one more.
    if quoted.starts_with(['#', '~']) {
        add(format!("\\{quoted}").into_bytes());
    }
    add(quoted.into_bytes());
    add(backslashed(text, |c| matches!(c, '\\' | '\'')).replace('\n', "\\n").replace('\t', "\\t").into_bytes());
    if bytes.len() <= LONGEST_IN_PIECES && forms.len() < MOST_FORMS {
        add_pieces(bytes, &encoded, forms);
    }
}

/// Pieces of a text in dumps and in lines that an encoder broke.
fn add_pieces(bytes: &[u8], encoded: &[Vec<u8>], forms: &mut BTreeSet<Vec<u8>>) {
    forms.extend(bytes.windows(PIECE).map(<[u8]>::to_vec));
    for form in encoded {
        forms.extend(form.windows(ENCODED).map(<[u8]>::to_vec));
    }
    // `xxd -p` without blanks, `od -tx1` and `hexdump -C` by one byte, `xxd` by two.
    for piece in bytes.windows(DIGITS.min(bytes.len())) {
        forms.insert(hex::encode(piece).into_bytes());
        forms.insert(hex::encode_upper(piece).into_bytes());
        let digits: Vec<String> = piece.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.insert(digits.join(" ").into_bytes());
        forms.insert(digits.join(" ").to_ascii_uppercase().into_bytes());
        let (lead, rest) = digits.split_at(1);
        for (before, pairs) in [(None, digits.as_slice()), (lead.first(), rest)] {
            let pairs = pairs.chunks(2).map(<[String]>::concat);
            forms.insert(before.cloned().into_iter().chain(pairs).collect::<Vec<_>>().join(" ").into_bytes());
        }
    }
}

/// The same with nothing but ASCII in it, as Python writes JSON.
fn ascii_json(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

fn backslashed(text: &str, special: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn percent_encoded(bytes: &[u8], plain: &str, lower: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else if lower {
            out.push_str(&format!("%{byte:02x}"));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The characters of base64 that depend on the secret alone when it starts at `offset` (mod 3) of the encoded text.
fn base64_inside(engine: &general_purpose::GeneralPurpose, bytes: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(bytes);
    let encoded = engine.encode(&padded).into_bytes();
    let start = (offset * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    let inside = encoded.get(start..end).unwrap_or_default();
    // Short pieces would match by chance.
    if inside.len() < 6 { Vec::new() } else { inside.to_vec() }
}
