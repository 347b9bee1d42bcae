//! `--env-file`: `NAME=VALUE` lines; `#` comments and blank lines are ignored, quotes are literal (`buildspec.md` 15).

use std::{fs, path::Path};

use crate::exit::{UsageError, usage};

/// Longest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a file. All mistakes are reported at once, with their lines.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let shown = path.display();
    let too_large = matches!(fs::metadata(path), Ok(meta) if meta.is_file() && meta.len() > MAX_BYTES);
    if too_large {
        usage!("--env-file {shown}: the file is larger than 1 MiB");
    }
    let bytes = fs::read(path).map_err(|e| UsageError(format!("--env-file {shown}: {e}")))?;
    let Ok(text) = std::str::from_utf8(&bytes) else { usage!("--env-file {shown}: the file is not UTF-8 text") };
    parse(text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|(line, what)| format!("{shown}:{line}: {what}")).collect();
        UsageError(format!("--env-file: {}", lines.join("\n  "))).into()
    })
}

/// Lines (from 1) and what is wrong in them.
type Problems = Vec<(usize, String)>;

/// Parses the text of a file, or says what is wrong.
fn parse(text: &str) -> Result<Vec<(String, String)>, Problems> {
    let mut variables = Vec::new();
    let mut problems = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.split('\n').enumerate().map(|(i, line)| (i + 1, line)) {
        // A file from another system ends its lines with a carriage return, which no one means as part of a value.
        let line = line.strip_suffix('\r').unwrap_or(line);
        let start = line.trim_start();
        if start.is_empty() || start.starts_with('#') {
            continue;
        }
        match variable(start) {
            Ok(variable) => variables.push(variable),
            Err(what) => problems.push((number, what)),
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(problems) }
}

/// Splits `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("expected NAME=VALUE, found '{text}'"));
    };
    check_name(name)?;
    if value.contains('\0') {
        return Err(format!("the value of {name} holds a NUL character"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Refuses names that no process can be given, and those that are surely a mistake.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the name before '=' is empty".to_owned());
    }
    if let Some(c) = name.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(c, '\'' | '"')) {
        let hint = if name.starts_with("export ") { " (leave out `export`)" } else { "" };
        return Err(format!("the name '{name}' holds {c:?}{hint}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    #[test]
    fn values_are_taken_as_they_are_written() {
        let text = "# comment\n\n  # indented comment\nA=1\nB=\"quoted\" # kept\nC=a=b\nD=\nE= spaces \r\nF='$HOME'\n";
        let want =
            [("A", "1"), ("B", "\"quoted\" # kept"), ("C", "a=b"), ("D", ""), ("E", " spaces "), ("F", "'$HOME'")];
        assert_eq!(pairs(text), want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_last_line_without_an_end_and_a_byte_order_mark_are_fine() {
        assert_eq!(pairs("\u{feff}A=1\nB=2").len(), 2);
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let problems = parse("A=1\nexport B=2\n=3\nword\n\nC=4\n").unwrap_err();
        let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4]);
        assert!(problems.first().unwrap().1.contains("leave out `export`"));
    }

    #[test]
    fn a_file_that_is_not_there_or_not_text_is_a_usage_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vars");
        assert!(read(&path).unwrap_err().is::<UsageError>());
        fs::write(&path, [0xff, 0xfe, b'=']).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("UTF-8"));
        fs::write(&path, "OK=1\nbad line\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("vars:2:"));
    }
}
