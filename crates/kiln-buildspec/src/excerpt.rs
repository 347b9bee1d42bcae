//! The line of the file that a diagnostic is about, with a caret below.

use unicode_width::UnicodeWidthChar;

use crate::{
    diagnostic::{Diagnostic, Severity},
    display::needs_escape,
    source::SourceText,
};

/// Widest excerpt, in terminal cells, without the line number.
const WIDTH: usize = 96;
/// Cells of a cut line that stay visible in front of the caret.
const BEFORE: usize = 40;
const TAB: usize = 4;

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";

/// Escape sequence of a severity's colour.
pub(crate) fn color_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\x1b[1;31m",
        Severity::Warning => "\x1b[1;33m",
        Severity::Hint => "\x1b[1;36m",
    }
}

/// Writes `text` between a colour and its end, if colours are wanted.
pub(crate) fn paint(text: &str, code: &str, color: bool) -> String {
    if color { format!("{code}{text}{RESET}") } else { text.to_owned() }
}

/// One character of the line as it is shown.
struct Cell {
    shown: String,
    width: usize,
}

fn cell(c: char, column: usize) -> Cell {
    if c == '\t' {
        let width = TAB - column % TAB;
        Cell { shown: " ".repeat(width), width }
    } else if needs_escape(c) {
        let shown: String = c.escape_default().collect();
        Cell { width: shown.len(), shown }
    } else {
        Cell { shown: c.to_string(), width: c.width().unwrap_or(0) }
    }
}

/// Splits a line in front of a character by its number; behind the end if there is none.
fn split_at_char(line: &str, number: usize) -> (&str, &str) {
    let at = if line.is_ascii() {
        number.min(line.len())
    } else {
        line.char_indices().nth(number).map_or(line.len(), |(at, _)| at)
    };
    line.split_at(at)
}

/// Shows the line of a diagnostic, with carets under the part that it is about:
///
/// ```text
///    6 |      - echo "Hello: world"
///      |                   ^
/// ```
///
/// Tabs are expanded, control characters and characters that reorder text are written as escapes, wide characters take
/// two cells, and a long line is cut around the caret. Ends with a line break; empty when the file has no such line.
#[must_use]
pub fn render_excerpt(source: &SourceText, diagnostic: &Diagnostic, color: bool) -> String {
    let Some(line) = source.line(diagnostic.line) else { return String::new() };
    let from = usize::try_from(diagnostic.column).unwrap_or(usize::MAX).saturating_sub(1);
    let to = match diagnostic.end {
        Some(end) if end.line == diagnostic.line => usize::try_from(end.column).unwrap_or(usize::MAX).saturating_sub(1),
        Some(_) => usize::MAX,
        None => from.saturating_add(1),
    };
    let (before, after) = split_at_char(line, from);

    // In front of the caret: the whole line if it fits, else as much as fits into the space kept for it.
    let mut shown = String::new();
    let mut width = 0;
    let fits = before.len() <= WIDTH && before.chars().fold(0, |at, c| at + cell(c, at).width) + after.len() <= WIDTH;
    let lead = if fits {
        before
    } else {
        let mut kept = 0;
        let cut = before.char_indices().rev().find(|(_, c)| {
            kept += cell(*c, 0).width;
            kept > BEFORE
        });
        let lead = cut.and_then(|(at, c)| before.get(at + c.len_utf8()..)).unwrap_or(before);
        if lead.len() < before.len() {
            shown.push('…');
            width = 1;
        }
        lead
    };
    for c in lead.chars() {
        let cell = cell(c, width);
        width += cell.width;
        shown.push_str(&cell.shown);
    }
    let caret = width;
    let mut marked = 0;
    for (index, c) in after.chars().enumerate() {
        let cell = cell(c, width);
        if width + cell.width > WIDTH {
            shown.push('…');
            break;
        }
        width += cell.width;
        shown.push_str(&cell.shown);
        if from.saturating_add(index) < to {
            marked = width - caret;
        }
    }
    // Never nothing: the place may be behind the end of the line, or a character without width.
    let marks = format!("{}{}", " ".repeat(caret), "^".repeat(marked.max(1)));
    let number = paint(&format!("{:>5}", diagnostic.line), DIM, color);
    let bar = paint("|", DIM, color);
    let gap = if shown.trim_end().is_empty() { "" } else { " " };
    let marks = paint(&marks, color_of(diagnostic.severity), color);
    let blank = " ".repeat(diagnostic.line.to_string().len().max(5));
    format!("{number} {bar}{gap}{}\n{blank} {bar} {marks}\n", shown.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Position};

    fn excerpt(text: &str, line: u32, column: u32, end: Option<u32>) -> String {
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            code: Code::YamlSyntax,
            message: String::new(),
            line,
            column,
            end: end.map(|column| Position { line, column }),
            hint: None,
            aws_message: None,
        };
        render_excerpt(&SourceText::lossy(text.as_bytes()), &diagnostic, false)
    }

    #[test]
    fn the_caret_stands_below_its_character() {
        for (text, line, column, end, expected) in [
            ("a\n- echo \"x: y\"\n", 2, 10, Some(11), "    2 | - echo \"x: y\"\n      |          ^\n"),
            ("\tb: c", 1, 2, Some(3), "    1 |     b: c\n      |     ^\n"),
            ("a\tb", 1, 3, Some(4), "    1 | a   b\n      |     ^\n"),
            ("漢字: x", 1, 3, Some(4), "    1 | 漢字: x\n      |     ^\n"),
            ("漢字: x", 1, 2, Some(3), "    1 | 漢字: x\n      |   ^^\n"),
            ("a\u{1b}[31m b", 1, 3, Some(4), "    1 | a\\u{1b}[31m b\n      |        ^\n"),
            ("abc", 1, 4, None, "    1 | abc\n      |    ^\n"),
            ("", 1, 1, None, "    1 |\n      | ^\n"),
            ("e\u{301}x", 1, 3, Some(4), "    1 | e\u{301}x\n      |  ^\n"),
        ] {
            assert_eq!(excerpt(text, line, column, end), expected, "{text:?}");
        }
        assert_eq!(excerpt("a", 7, 1, None), "");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let line = format!("{}:{}", "k".repeat(100_000), "v".repeat(100_000));
        let shown = excerpt(&line, 1, 100_001, Some(100_002));
        let (text, marks) = shown.split_once('\n').unwrap();
        assert!(text.chars().count() < 120, "{text}");
        assert_eq!(text.chars().position(|c| c == ':'), marks.chars().position(|c| c == '^'));
        assert!(text.contains('…') && text.ends_with('…'));

        let shown = excerpt(&line, 1, 1, Some(100_000));
        assert!(shown.lines().all(|line| line.chars().count() < 120));
        let behind = excerpt(&line, 1, 300_000, None);
        assert!(behind.lines().all(|line| line.chars().count() < 120), "{behind}");
    }

    #[test]
    fn a_part_over_several_lines_is_marked_to_the_end_of_its_first() {
        let mut diagnostic = Diagnostic {
            severity: Severity::Hint,
            code: Code::BlockStatus,
            message: String::new(),
            line: 1,
            column: 3,
            end: Some(Position { line: 3, column: 1 }),
            hint: None,
            aws_message: None,
        };
        let source = SourceText::lossy(b"- a b\n  c\n");
        assert_eq!(render_excerpt(&source, &diagnostic, false), "    1 | - a b\n      |   ^^^\n");
        diagnostic.end = None;
        assert!(render_excerpt(&source, &diagnostic, true).contains("\x1b[1;36m  ^\x1b[0m"));
    }
}
