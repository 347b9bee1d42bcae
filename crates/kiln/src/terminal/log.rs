//! The log as text: as it is in the journal, or made fit for a terminal.

use super::{
    filter::Filter,
    style::{RESET, Style},
};

/// What the service's own lines begin with.
const PREFIX: &str = "[Container] ";
/// A line that is not ended is held back up to this many bytes.
const HELD: usize = 4096;

/// Turns journal records into bytes for standard output.
#[derive(Debug)]
pub(super) enum Log {
    /// Byte for byte.
    Raw,
    /// Fit for a terminal.
    Terminal(Terminal),
}

impl Log {
    /// For a terminal. `hold`: a line that is not ended is held back, the status area shows it.
    pub(super) fn terminal(colour: bool, hold: bool) -> Self {
        Self::Terminal(Terminal {
            colour,
            hold,
            filter: Filter::new(colour),
            line: Vec::new(),
            scratch: Vec::new(),
            inside_line: false,
            interrupted: false,
        })
    }

    /// Output of a command.
    pub(super) fn output(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Raw => out.extend_from_slice(bytes),
            Self::Terminal(terminal) => terminal.output(bytes, out),
        }
    }

    /// Lines of the service.
    pub(super) fn service(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Raw => out.extend_from_slice(bytes),
            Self::Terminal(terminal) => terminal.service(bytes, out),
        }
    }

    /// A line of this program's own.
    pub(super) fn remark(&mut self, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::Raw => {
                out.extend_from_slice(text.as_bytes());
                out.push(b'\n');
            }
            Self::Terminal(terminal) => terminal.remark(text, out),
        }
    }
}

/// Filters, colours, and holds back a line that is not ended, which the status area shows meanwhile.
#[derive(Debug)]
pub(super) struct Terminal {
    colour: bool,
    hold: bool,
    filter: Filter,
    /// The line that is not ended.
    line: Vec<u8>,
    scratch: Vec<u8>,
    /// A line was too long to be held back: the cursor is inside of it.
    inside_line: bool,
    /// Something else was drawn: the colours in force have to be set again.
    interrupted: bool,
}

impl Terminal {
    fn output(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if std::mem::take(&mut self.interrupted) {
            out.extend_from_slice(self.filter.active());
        }
        self.scratch.clear();
        self.filter.feed(bytes, &mut self.scratch);
        if let Some(end) = memchr::memrchr(b'\n', &self.scratch) {
            let (lines, rest) = self.scratch.split_at(end + 1);
            out.append(&mut self.line);
            out.extend_from_slice(lines);
            self.line.extend_from_slice(rest);
            self.inside_line = false;
        } else {
            self.line.extend_from_slice(&self.scratch);
        }
        if !self.hold && !self.line.is_empty() {
            out.append(&mut self.line);
            self.inside_line = true;
        }
        if self.line.len() > HELD {
            // What a carriage return has gone back over is not seen any more.
            if let Some(at) = last_part(&self.line) {
                self.line.drain(..at);
            }
            if self.line.len() > HELD {
                out.append(&mut self.line);
                self.inside_line = true;
            }
        }
    }

    /// Puts the cursor at the start of a line, with no colour of the build in force.
    pub(super) fn end_line(&mut self, out: &mut Vec<u8>) {
        if !self.line.is_empty() || self.inside_line {
            out.append(&mut self.line);
            out.push(b'\n');
            self.inside_line = false;
        }
        if !self.filter.active().is_empty() {
            out.extend_from_slice(RESET.as_bytes());
        }
        self.filter.reset();
    }

    fn service(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let unfinished = !self.line.is_empty() || self.inside_line;
        self.end_line(out);
        // The end of the line before it is part of the record where there was one to end.
        let bytes = if unfinished { bytes.strip_prefix(b"\n").unwrap_or(bytes) } else { bytes };
        let mut text = Vec::new();
        Filter::new(false).feed(bytes, &mut text);
        let text = String::from_utf8_lossy(&text);
        let body = text.trim_start_matches('\n');
        out.extend(std::iter::repeat_n(b'\n', text.len() - body.len()));
        let (stamp, said) = split_stamp(body);
        self.paint(Style::Dim, stamp, out);
        self.paint(style_of(said), said.strip_suffix('\n').unwrap_or(said), out);
        if said.ends_with('\n') {
            out.push(b'\n');
        }
    }

    fn remark(&mut self, text: &str, out: &mut Vec<u8>) {
        self.end_line(out);
        self.paint(Style::Dim, text, out);
        out.push(b'\n');
    }

    fn paint(&self, style: Style, text: &str, out: &mut Vec<u8>) {
        let style = if self.colour && !text.is_empty() { style.start() } else { "" };
        out.extend_from_slice(style.as_bytes());
        out.extend_from_slice(text.as_bytes());
        if !style.is_empty() {
            out.extend_from_slice(RESET.as_bytes());
        }
    }

    /// The line that is not ended, as far as it would be seen.
    pub(super) fn unfinished(&self) -> &[u8] {
        self.line.get(last_part(&self.line).unwrap_or(0)..).unwrap_or_default()
    }

    /// Nothing may be drawn below: the cursor is inside a long line.
    pub(super) fn inside_line(&self) -> bool {
        self.inside_line
    }

    /// Colours of the build that are in force.
    pub(super) fn active(&self) -> &[u8] {
        self.filter.active()
    }

    /// Something else is drawn now.
    pub(super) fn interrupt(&mut self) {
        self.interrupted = !self.filter.active().is_empty();
    }
}

/// Where the part of a line begins that a terminal shows: after its last carriage return that something follows.
fn last_part(line: &[u8]) -> Option<usize> {
    let seen = line.strip_suffix(b"\r").unwrap_or(line);
    memchr::memrchr(b'\r', seen).map(|at| at + 1)
}

/// `[Container] <date> <time> ` and what is said after it.
fn split_stamp(line: &str) -> (&str, &str) {
    let Some(rest) = line.strip_prefix(PREFIX) else { return ("", line) };
    let end = rest.match_indices(' ').nth(1).map_or(0, |(at, _)| PREFIX.len() + at + 1);
    line.split_at_checked(end).unwrap_or(("", line))
}

fn style_of(said: &str) -> Style {
    let said = said.trim_end();
    if said.starts_with("Running command ") {
        Style::Command
    } else if said.starts_with("Entering phase ") {
        Style::Head
    } else if said.starts_with("Command did not exit successfully ") {
        Style::Bad
    } else if said.starts_with("Phase complete: ") {
        if said.ends_with("State: SUCCEEDED") { Style::Good } else { Style::Bad }
    } else if let Some(context) = said.strip_prefix("Phase context status code: ") {
        if context.starts_with(' ') || context.starts_with("Message:") { Style::Dim } else { Style::Bad }
    } else {
        Style::Dim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(colour: bool) -> Terminal {
        match Log::terminal(colour, true) {
            Log::Terminal(terminal) => terminal,
            Log::Raw => unreachable!(),
        }
    }

    #[test]
    fn raw_is_byte_for_byte() {
        let mut out = Vec::new();
        Log::Raw.output(b"\x1b]0;x\x07\xff\r", &mut out);
        Log::Raw.service(b"\n[Container] d t x\n", &mut out);
        assert_eq!(out, b"\x1b]0;x\x07\xff\r\n[Container] d t x\n");
    }

    #[test]
    fn a_line_is_held_until_it_is_whole() {
        let mut t = terminal(true);
        let mut out = Vec::new();
        t.output(b"one\ntw", &mut out);
        assert_eq!((out.as_slice(), t.unfinished()), (&b"one\n"[..], &b"tw"[..]));
        t.output(b"o\n", &mut out);
        assert_eq!((out.as_slice(), t.unfinished()), (&b"one\ntwo\n"[..], &b""[..]));
    }

    #[test]
    fn without_a_status_area_nothing_is_held_back() {
        let Log::Terminal(mut t) = Log::terminal(true, false) else { unreachable!() };
        let mut out = Vec::new();
        t.output(b"one\n..", &mut out);
        t.output(b"..", &mut out);
        assert_eq!(out, b"one\n....");
        t.service(b"\n\n", &mut out);
        assert_eq!(out, b"one\n....\n\n");
    }

    #[test]
    fn of_a_progress_bar_the_last_state_is_seen() {
        let mut t = terminal(true);
        let mut out = Vec::new();
        t.output(b"10%\r20%", &mut out);
        assert_eq!(t.unfinished(), b"20%");
        t.output(b"\r30%\r", &mut out);
        assert_eq!(t.unfinished(), b"30%\r");
        for _ in 0..10_000 {
            t.output(b"\r40% of the way", &mut out);
        }
        assert_eq!((out.as_slice(), t.unfinished()), (&b""[..], &b"40% of the way"[..]));
        assert!(t.line.len() <= HELD + 20);
    }

    #[test]
    fn a_long_line_is_not_held_back() {
        let mut t = terminal(true);
        let mut out = Vec::new();
        for _ in 0..3 {
            t.output(&[b'x'; HELD], &mut out);
        }
        assert!(t.inside_line() && out.len() >= 2 * HELD);
        t.output(b"\n", &mut out);
        assert!(!t.inside_line());
        assert_eq!(out.len(), 3 * HELD + 1);
    }

    #[test]
    fn lines_of_the_service_are_coloured_by_what_they_say() {
        let mut t = terminal(true);
        let mut out = Vec::new();
        t.service(b"[Container] 2026/01/15 10:00:00.100001 Phase complete: BUILD State: FAILED\n", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "\x1b[2m[Container] 2026/01/15 10:00:00.100001 \x1b[0m\x1b[1;31mPhase complete: BUILD State: FAILED\x1b[0m\n"
        );
    }

    #[test]
    fn output_that_looks_like_a_line_of_the_service_is_not_coloured() {
        let mut t = terminal(true);
        let mut out = Vec::new();
        let line = b"[Container] 2026/01/15 10:00:00.100001 Phase complete: BUILD State: SUCCEEDED\n";
        t.output(line, &mut out);
        assert_eq!(out, line);
    }

    #[test]
    fn colours_of_the_build_end_with_its_output() {
        let mut t = terminal(true);
        let mut out = Vec::new();
        t.output(b"\x1b[31mred", &mut out);
        t.service(b"\n\n", &mut out);
        t.service(b"[Container] d t Registering with agent\n", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\x1b[31mred\n\x1b[0m\n\x1b[2m[Container] d t \x1b[0m\x1b[2mRegistering with agent\x1b[0m\n");
    }

    #[test]
    fn a_command_cannot_send_sequences_through_the_service_lines() {
        let mut t = terminal(true);
        let mut out = Vec::new();
        t.service(b"[Container] d t Running command printf '\x1b]52;c;eA==\x07\x1b[31m'\n", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("\x1b]") && !text.contains("\x1b[31m") && text.contains("printf ''"));
    }

    #[test]
    fn without_colours_there_are_none() {
        let mut t = terminal(false);
        let mut out = Vec::new();
        t.output(b"\x1b[31mred\x1b[0m\n", &mut out);
        t.service(b"[Container] d t Entering phase BUILD\n", &mut out);
        assert_eq!(out, b"red\n[Container] d t Entering phase BUILD\n");
    }
}
