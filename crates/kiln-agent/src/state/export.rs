//! Reads what `export -p` writes: `export NAME='value'` (dash, busybox), `export NAME="value"` (bash as `sh`),
//! `declare -x NAME="value"` (bash), `typeset -x NAME=value` (ksh), with every way of quoting that they use.

use super::{Variables, is_shell_name};

/// The text is not what `export -p` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParseError {
    /// Line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) problem: &'static str,
}

/// The exported variables. Names without a value, and arrays, are left out: they are not carried.
///
/// # Errors
/// When the text is cut short or has something else in it than declarations.
pub(crate) fn parse(text: &[u8]) -> Result<Variables, ParseError> {
    let mut parser = Parser { text, at: 0 };
    let mut variables = Variables::new();
    let result = parser.declarations(&mut variables);
    result.map(|()| variables).map_err(|problem| {
        let line = 1 + memchr::memchr_iter(b'\n', text.get(..parser.at).unwrap_or(text)).count();
        ParseError { line, problem }
    })
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn declarations(&mut self, variables: &mut Variables) -> Result<(), &'static str> {
        loop {
            self.skip(|b| matches!(b, b'\n' | b' ' | b'\t' | b';'));
            if self.peek().is_none() {
                return Ok(());
            }
            let keyword = self.skip(|b| b.is_ascii_alphabetic());
            if !matches!(keyword, b"export" | b"declare" | b"typeset") {
                return Err("expected `export`, `declare` or `typeset`");
            }
            let mut array = false;
            loop {
                self.skip(|b| matches!(b, b' ' | b'\t'));
                if self.peek() != Some(b'-') {
                    break;
                }
                array |= self.skip(|b| b.is_ascii_alphabetic() || b == b'-').iter().any(|b| matches!(b, b'a' | b'A'));
            }
            let name = self.skip(|b| b.is_ascii_alphanumeric() || b == b'_').to_vec();
            if !is_shell_name(&name) {
                return Err("expected the name of a variable");
            }
            if self.peek() == Some(b'=') {
                self.at += 1;
                if self.peek() == Some(b'(') {
                    self.array()?;
                } else {
                    let value = self.word()?;
                    if !array && !value.contains(&0) {
                        variables.insert(name, value);
                    }
                }
            }
            self.skip(|b| matches!(b, b' ' | b'\t'));
            if !matches!(self.next(), None | Some(b'\n' | b';')) {
                return Err("expected the end of the line");
            }
        }
    }

    /// `([0]="a" [1]='b')`
    fn array(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        loop {
            self.skip(|b| matches!(b, b' ' | b'\t' | b'\n'));
            match self.peek() {
                Some(b')') => {
                    self.at += 1;
                    return Ok(());
                }
                None => return Err("an array without its end"),
                Some(_) => {
                    let before = self.at;
                    self.word()?;
                    if self.at == before {
                        return Err("an array with something else than words");
                    }
                }
            }
        }
    }

    fn word(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut value = Vec::new();
        loop {
            match self.peek() {
                None | Some(b'\n' | b' ' | b'\t' | b';' | b')') => return Ok(value),
                Some(b'\'') => {
                    self.at += 1;
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    let length = memchr::memchr(b'\'', rest).ok_or("a quote without its end")?;
                    value.extend_from_slice(rest.get(..length).unwrap_or_default());
                    self.at += length + 1;
                }
                Some(b'"') => {
                    self.at += 1;
                    self.double_quoted(&mut value)?;
                }
                Some(b'$') if self.text.get(self.at + 1) == Some(&b'\'') => {
                    self.at += 2;
                    self.ansi_quoted(&mut value)?;
                }
                Some(b'$') if self.text.get(self.at + 1) == Some(&b'"') => self.at += 1,
                Some(b'\\') => {
                    self.at += 1;
                    match self.next() {
                        None => return Err("a backslash at the end"),
                        Some(b'\n') => {}
                        Some(byte) => value.push(byte),
                    }
                }
                Some(b'$' | b'`' | b'&' | b'|' | b'<' | b'>' | b'(') => return Err("a value that would be evaluated"),
                Some(byte) => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn double_quoted(&mut self, value: &mut Vec<u8>) -> Result<(), &'static str> {
        loop {
            match self.next().ok_or("a quote without its end")? {
                b'"' => return Ok(()),
                b'\\' => match self.next().ok_or("a quote without its end")? {
                    b'\n' => {}
                    byte @ (b'"' | b'\\' | b'$' | b'`') => value.push(byte),
                    byte => value.extend_from_slice(&[b'\\', byte]),
                },
                b'$' | b'`' => return Err("a value that would be evaluated"),
                byte => value.push(byte),
            }
        }
    }

    /// `$'…'`
    fn ansi_quoted(&mut self, value: &mut Vec<u8>) -> Result<(), &'static str> {
        const CUT: &str = "a quote without its end";
        loop {
            match self.next().ok_or(CUT)? {
                b'\'' => return Ok(()),
                b'\\' => match self.next().ok_or(CUT)? {
                    b'a' => value.push(7),
                    b'b' => value.push(8),
                    b'e' | b'E' => value.push(27),
                    b'f' => value.push(12),
                    b'n' => value.push(b'\n'),
                    b'r' => value.push(b'\r'),
                    b't' => value.push(b'\t'),
                    b'v' => value.push(11),
                    b'x' => value.push(self.number(16, 2).and_then(|n| u8::try_from(n).ok()).ok_or("not a byte")?),
                    b'u' => self.character(4, value)?,
                    b'U' => self.character(8, value)?,
                    b'c' => value.push(self.next().ok_or(CUT)? & 0x1f),
                    b'0'..=b'7' => {
                        self.at -= 1;
                        let number = self.number(8, 3).unwrap_or(0);
                        value.push(u8::try_from(number & 0xff).unwrap_or(0));
                    }
                    byte @ (b'\\' | b'\'' | b'"' | b'?') => value.push(byte),
                    byte => value.extend_from_slice(&[b'\\', byte]),
                },
                byte => value.push(byte),
            }
        }
    }

    fn number(&mut self, radix: u32, digits: usize) -> Option<u32> {
        let mut number = None;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(radix)) else { break };
            number = Some(number.unwrap_or(0u32).wrapping_mul(radix) | digit);
            self.at += 1;
        }
        number
    }

    fn character(&mut self, digits: usize, value: &mut Vec<u8>) -> Result<(), &'static str> {
        let character = self.number(16, digits).and_then(char::from_u32).ok_or("not a character")?;
        value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::ffi::OsStrExt,
        process::{Command, Stdio},
    };

    use proptest::prelude::*;

    use super::*;

    fn variables(pairs: &[(&str, &[u8])]) -> Variables {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
    }

    #[test]
    fn the_forms_of_each_shell_are_read() {
        for text in [
            "export A='it'\"'\"'s'\nexport B='two\nlines'\nexport C\n",
            "export A='it'\\''s'\nexport B='two\nlines'\n",
            "declare -x A=\"it's\"\ndeclare -x B=\"two\nlines\"\ndeclare -x OLDPWD\n",
            "declare -x A=$'it\\'s'\ndeclare -rx B=$'two\\nlines'\ndeclare -ax L=([0]=\"A=1\" [1]=$'x\\n)')\n",
            "typeset -x A=it\\'s\ntypeset -x B=$'two\\nlines'\n",
            "export A=$'it\\x27s'\nexport B=$'two\\012lines'",
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(variables(&[("A", b"it's"), ("B", b"two\nlines")])), "{text}");
        }
    }

    #[test]
    fn what_would_be_evaluated_or_is_cut_short_is_refused() {
        for (text, line) in [
            ("export A=\"$(rm -rf /)\"", 1),
            ("export A=`id`", 1),
            ("export A=$B", 1),
            ("export A='1'\nexport B='2", 2),
            ("export A='1'\necho hello", 2),
            ("export A='1' && reboot", 1),
            ("export A=$'\\", 1),
            ("declare -ax A=(1", 1),
            ("declare -ax A=(((", 1),
            ("export 1A=2", 1),
        ] {
            assert_eq!(parse(text.as_bytes()).map_err(|error| error.line), Err(line), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..300)) {
            // Without a panic; what comes out has names that a shell knows.
            for name in parse(&text).unwrap_or_default().keys() {
                prop_assert!(is_shell_name(name));
            }
        }

        #[test]
        fn quoted_values_come_back(value in prop::collection::vec(1u8.., 0..100)) {
            let mut text = b"export A=".to_vec();
            super::super::quote(&value, &mut text);
            prop_assert_eq!(parse(&text).unwrap().remove(b"A".as_slice()), Some(value));
        }
    }

    #[test]
    fn every_byte_survives_export_p_of_every_shell_here() {
        let every: Vec<u8> = (1..=255).collect();
        let samples = [
            every.as_slice(),
            b"",
            b"\n",
            b"a\n\n",
            b"$(x) `y` ${z} \\ \" ' !\\n",
            "grün".as_bytes(),
            b"\xff\xfe",
            b"\\\n",
            b"tab\tend ",
        ];
        for shell in [&["dash"][..], &["bash"], &["bash", "--posix"], &["busybox", "sh"], &["mksh"]] {
            for locale in ["C", "C.UTF-8"] {
                for sample in samples {
                    let mut command = Command::new(shell[0]);
                    command.args(&shell[1..]).args(["-c", "export -p"]).env("LC_ALL", locale);
                    command.env("SAMPLE", std::ffi::OsStr::from_bytes(sample)).stdin(Stdio::null());
                    let Ok(output) = command.output() else {
                        eprintln!("skipped: no {} here", shell[0]);
                        continue;
                    };
                    let parsed = parse(&output.stdout).unwrap_or_else(|error| {
                        panic!("{shell:?} {error:?} in {}", String::from_utf8_lossy(&output.stdout))
                    });
                    assert_eq!(
                        parsed.get(&b"SAMPLE"[..]).map(|value| String::from_utf8_lossy(value).into_owned()),
                        Some(String::from_utf8_lossy(sample).into_owned()),
                        "{shell:?} in {locale}"
                    );
                    assert_eq!(parsed.get(&b"SAMPLE"[..]).map(Vec::as_slice), Some(sample), "{shell:?} in {locale}");
                }
            }
        }
    }
}
