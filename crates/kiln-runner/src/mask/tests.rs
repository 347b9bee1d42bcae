use base64::{Engine as _, engine::general_purpose};
use proptest::prelude::*;

use super::*;

fn masked(secrets: &[&str], pieces: &[&[u8]]) -> String {
    let masker = Masker::new(secrets);
    let mut held = Held::default();
    let mut out = Vec::new();
    for piece in pieces {
        masker.feed(&mut held, piece, &mut out);
    }
    masker.finish(&mut held, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn a_secret_written_byte_by_byte_is_masked() {
    let text = b"before hunter2-secret after";
    let pieces: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(masked(&["hunter2-secret"], &pieces), "before *** after");
}

#[test]
fn the_longer_of_two_secrets_wins_across_a_cut() {
    assert_eq!(masked(&["abcd", "abcdefgh"], &[b"x abcd", b"efgh y abcd z"]), "x *** y *** z");
    assert_eq!(masked(&["abcd", "abcdefgh"], &[b"x abcd", b"e y"]), "x ***e y");
}

#[test]
fn lines_of_a_key_are_masked_alone() {
    let key = "-----BEGIN KEY-----\nMIIabcdef123\nzyxwvu987\n-----END KEY-----\n";
    assert_eq!(masked(&[key], &[b"line: MIIabcdef123\r\n"]), "line: ***\r\n");
    let one_line = key.trim_end().replace('\n', "\\n");
    assert_eq!(masked(&[key], &[one_line.as_bytes()]), "***");
}

#[test]
fn encoded_forms_are_masked() {
    let secret = "p@ss/word+1 'x' \"y\" $z";
    for offset in 0..3 {
        let text = format!("{}{secret}tail", "A".repeat(offset));
        let encoded = general_purpose::STANDARD.encode(&text);
        assert!(masked(&[secret], &[encoded.as_bytes()]).contains("***"), "base64 at offset {offset}");
    }
    for form in [
        hex::encode(secret),
        hex::encode_upper(secret),
        "p%40ss%2Fword%2B1%20%27x%27%20%22y%22%20%24z".to_owned(),
        serde_json::to_string(secret).unwrap(),
        secret.replace('\'', "'\\''"),
    ] {
        let shown = masked(&[secret], &[form.as_bytes()]);
        assert!(shown.contains("***") && !shown.contains("word"), "{form} became {shown}");
    }
}

#[test]
fn strings_of_a_json_secret_are_masked() {
    assert_eq!(masked(&[r#"{"user":"bob1","password":"s3cr3tpw"}"#], &[b"login bob1 s3cr3tpw"]), "login *** ***");
}

#[test]
fn access_keys_are_masked_and_short_values_are_not() {
    assert_eq!(masked(&["1", "true"], &[b"1 true AKIAIOSFODNN7", b"EXAMPLE."]), "1 true ***.");
    assert_eq!(masked(&[], &[b"AKIA is a prefix"]), "AKIA is a prefix");
    assert!(Masker::is_unmaskable("abc") && Masker::is_unmaskable("TRUE"));
}

proptest! {
    #[test]
    fn text_without_secrets_passes_unchanged(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20),
    ) {
        let masker = Masker::new(["correct horse battery", "\u{1F40E}\u{1F40E}\u{1F40E}"]);
        let mut held = Held::default();
        let mut out = Vec::new();
        for piece in &pieces {
            masker.feed(&mut held, piece, &mut out);
        }
        masker.finish(&mut held, &mut out);
        prop_assert_eq!(out, pieces.concat());
    }

    #[test]
    fn a_secret_never_passes_however_it_is_cut(
        before in "[a-z ]{0,30}",
        after in "[a-z ]{0,30}",
        cuts in prop::collection::vec(1usize..8, 1..20),
    ) {
        let secret = "sEcReT-vAlUe";
        let text = format!("{before}{secret}{after}");
        let masker = Masker::new([secret]);
        let mut held = Held::default();
        let mut out = Vec::new();
        let mut rest = text.as_bytes();
        for n in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let n = (*n).min(rest.len());
            masker.feed(&mut held, &rest[..n], &mut out);
            prop_assert!(!String::from_utf8_lossy(&out).contains("sEcR"));
            rest = &rest[n..];
        }
        masker.finish(&mut held, &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{before}***{after}"));
    }
}

/// Writes a text in another form.
type Encoder = fn(&str) -> String;

/// Encoders as other programs have them: each writes a text with line breaks where they make them.
fn encodings() -> Vec<(&'static str, Encoder)> {
    fn wrapped(text: &str, width: usize) -> String {
        let characters: Vec<char> = text.chars().collect();
        characters.chunks(width).map(|line| line.iter().collect::<String>() + "\n").collect()
    }
    vec![
        ("plain", str::to_owned),
        ("base64", |text| wrapped(&general_purpose::STANDARD.encode(text), 76)),
        ("base64 of PEM", |text| wrapped(&general_purpose::STANDARD.encode(text), 64)),
        ("base64url", |text| general_purpose::URL_SAFE_NO_PAD.encode(text)),
        ("hex", |text| wrapped(&hex::encode(text), 60)),
        ("HEX", |text| hex::encode_upper(text)),
        ("od -An -tx1", |text| {
            let line = |line: &[u8]| line.iter().map(|byte| format!(" {byte:02x}")).collect::<String>() + "\n";
            text.as_bytes().chunks(16).map(line).collect()
        }),
        ("xxd", |text| {
            let line = |(at, line): (usize, &[u8])| {
                let digits: Vec<String> = line.chunks(2).map(hex::encode).collect();
                let shown = |&b: &u8| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '.' };
                let shown: String = line.iter().map(shown).collect();
                format!("{:08x}: {:<39}  {shown}\n", at * 16, digits.join(" "))
            };
            text.as_bytes().chunks(16).enumerate().map(line).collect()
        }),
        ("percent", |text| {
            let one = |b: u8| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            };
            text.bytes().map(one).collect()
        }),
        ("JSON", |text| serde_json::json!({ "x": text }).to_string()),
        ("shell", |text| format!("'{}'", text.replace('\'', "'\\''"))),
        ("printf %q", |text| {
            // As bash does it: some characters at the beginning only.
            let one = |(at, c): (usize, char)| match c {
                '#' | '~' if at == 0 => format!("\\{c}"),
                c if "\t !\"$&'()*,;<>?[\\]^`{|}".contains(c) => format!("\\{c}"),
                c => c.to_string(),
            };
            text.chars().enumerate().map(one).collect()
        }),
        ("CRLF", |text| text.replace('\n', "\r\n")),
    ]
}

/// Masks a text that comes in pieces of these lengths.
fn masked_in(masker: &Masker, text: &[u8], cuts: &[usize]) -> String {
    let (mut held, mut out, mut rest) = (Held::default(), Vec::new(), text);
    for n in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*n).min(rest.len()));
        masker.feed(&mut held, piece, &mut out);
        rest = behind;
    }
    masker.finish(&mut held, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// So many characters of an encoded secret may stand at the end of a line, where the encoder broke it.
const REMAINDER: usize = 24;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("KILN_SOAK").is_some() { 20_000 } else { 300 }))]

    #[test]
    fn no_encoding_of_a_secret_passes_however_it_is_cut(
        secret in "[ -~äé]{8,120}",
        before in "[a-z ]{0,40}",
        after in "[a-z ]{0,40}",
        cuts in prop::collection::vec(1usize..40, 1..20),
    ) {
        prop_assume!(!Masker::is_unmaskable(&secret) && secret.trim() == secret);
        let masker = Masker::new([&secret]);
        for (name, encode) in encodings() {
            // Alone, and inside of something that is encoded with it.
            let alone = encode(&secret);
            let inside = encode(&format!("{before}{secret}{after}"));
            for text in [&alone, &inside] {
                let shown = masked_in(&masker, format!("{before} {text} {after}").as_bytes(), &cuts);
                prop_assert!(shown.contains("***"), "{name}: {secret} in {shown}");
                // What is left of the secret's own encoding is short.
                for line in alone.lines() {
                    // Of a dump its digits, without the number of the line.
                    let line = if name == "xxd" { line.get(10..49).unwrap_or_default() } else { line };
                    let characters: Vec<char> = line.trim().chars().collect();
                    for window in characters.windows(REMAINDER) {
                        let window: String = window.iter().collect();
                        prop_assert!(!shown.contains(&window), "{name}: {window:?} of {secret} in {shown}");
                    }
                }
                prop_assert!(!shown.contains(&secret), "{name}: {secret} in {shown}");
            }
        }
    }

    #[test]
    fn no_member_of_a_json_secret_passes(
        text in "[A-Za-z0-9!/+]{6,40}",
        number in 100_000u64..,
        cuts in prop::collection::vec(1usize..20, 1..20),
    ) {
        prop_assume!(!Masker::is_unmaskable(&text));
        let secret = serde_json::json!({ "text": text, "number": number, "deep": [{ "again": format!("{text}2") }] });
        let masker = Masker::new([secret.to_string()]);
        let printed = format!("{text} is {number}, {text}2 and {secret}, and {}", secret["deep"]);
        let shown = masked_in(&masker, printed.as_bytes(), &cuts);
        prop_assert!(!shown.contains(&text) && !shown.contains(&number.to_string()), "{shown}");
    }
}

#[test]
fn dumps_of_short_secrets_are_masked() {
    for secret in ["abcd", "hunter2", "p@ssw0rd!"] {
        for (name, encode) in encodings() {
            let masker = Masker::new([secret]);
            // Encoders pad short ones with what is no part of it: six characters of base64 are the fewest.
            if name.starts_with("base64") && secret.len() < 5 {
                continue;
            }
            let shown = masked_in(&masker, encode(&format!("x{secret}y")).as_bytes(), &[3]);
            assert!(shown.contains("***") && !shown.contains(secret), "{name}: {shown}");
        }
    }
}

#[test]
fn a_key_of_several_lines_passes_in_no_form() {
    let line = |n: usize| general_purpose::STANDARD.encode([u8::try_from(n * 7 % 251).unwrap(); 48]);
    let key = format!("-----BEGIN KEY-----\n{}\n{}\n{}\n-----END KEY-----\n", line(1), line(2), line(3));
    let masker = Masker::new([&key]);
    for (name, encode) in encodings() {
        let shown = masked_in(&masker, encode(&key).as_bytes(), &[7, 100]);
        assert!((1..=3).all(|n| !shown.contains(&line(n))), "{name}: {shown}");
    }
    // `sed -n l`, `jq -R`, `echo` without quotes.
    for text in [key.replace('\n', "$\n"), key.replace('\n', "\\n"), key.replace('\n', " ")] {
        let shown = masked_in(&masker, text.as_bytes(), &[11]);
        assert!((1..=3).all(|n| !shown.contains(&line(n))), "{shown}");
    }
}
