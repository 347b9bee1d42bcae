//! What of a build's output reaches a terminal: text, and colours. Everything else that a terminal obeys (clipboard,
//! title, links, cursor moves, device strings) is dropped (`security.md` 5.3).

/// Longest colour sequence that passes.
const MAX_PARAMETERS: usize = 64;
/// A device string that is not ended after this many bytes was none.
const MAX_STRING: usize = 4096;

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte.
    EscapeIntermediate,
    /// In a control sequence; the bytes since `ESC [`.
    Csi(Vec<u8>),
    /// In a string (OSC, DCS, SOS, PM, APC): bytes so far, and whether the last one was ESC.
    String { length: usize, escape: bool },
    /// In a character of several bytes.
    Utf8(Vec<u8>),
}

/// Filters a stream that arrives in pieces.
#[derive(Debug)]
pub(crate) struct Filter {
    state: State,
    colour: bool,
    /// The colour sequences since the last reset, to take up again after something else was drawn.
    active: Vec<u8>,
}

impl Filter {
    /// Lets colours pass or not.
    pub(crate) fn new(colour: bool) -> Self {
        Self { state: State::Ground, colour, active: Vec::new() }
    }

    /// Colour sequences that are in force.
    pub(crate) fn active(&self) -> &[u8] {
        &self.active
    }

    /// Forgets an unfinished sequence and the colours in force.
    pub(crate) fn reset(&mut self) {
        self.state = State::Ground;
        self.active.clear();
    }

    /// Appends what passes of `input`.
    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            if matches!(self.state, State::Ground) {
                let plain = rest.iter().position(|b| !plain(*b)).unwrap_or(rest.len());
                if let (Some(text), Some(tail)) = (rest.get(..plain), rest.get(plain..))
                    && plain > 0
                {
                    out.extend_from_slice(text);
                    rest = tail;
                    continue;
                }
            }
            rest = after;
            self.byte(byte, out);
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Ground => self.ground(byte, out),
            State::Escape => match byte {
                b'[' => self.state = State::Csi(Vec::new()),
                b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::String { length: 0, escape: false },
                0x20..=0x2f => self.state = State::EscapeIntermediate,
                0x30..=0x7e => self.state = State::Ground,
                _ => self.abort(byte, out),
            },
            State::EscapeIntermediate => match byte {
                0x20..=0x2f => {}
                0x30..=0x7e => self.state = State::Ground,
                _ => self.abort(byte, out),
            },
            State::Csi(parameters) => match byte {
                0x20..=0x3f if parameters.len() < MAX_PARAMETERS => parameters.push(byte),
                0x20..=0x3f => {} // too long for a colour; still swallowed to its end
                0x40..=0x7e => {
                    let parameters = std::mem::take(parameters);
                    self.state = State::Ground;
                    self.sequence(&parameters, byte, out);
                }
                _ => self.abort(byte, out),
            },
            State::String { length, escape } => match byte {
                // A string that runs over a line's end was none, or one that must not hide the lines after it.
                b'\n' | 0x18 | 0x1a => self.abort(byte, out),
                0x07 => self.state = State::Ground,
                b'\\' if *escape => self.state = State::Ground,
                _ if *length >= MAX_STRING => self.abort(byte, out),
                _ => {
                    *length += 1;
                    *escape = byte == 0x1b;
                }
            },
            State::Utf8(bytes) => {
                if !(0x80..0xc0).contains(&byte) {
                    out.extend_from_slice("\u{fffd}".as_bytes());
                    self.abort(byte, out);
                    return;
                }
                bytes.push(byte);
                match std::str::from_utf8(bytes) {
                    Ok(text) => {
                        // C1 controls: some terminals obey them in UTF-8 too.
                        if !text.chars().all(char::is_control) {
                            out.extend_from_slice(text.as_bytes());
                        }
                        self.state = State::Ground;
                    }
                    Err(e) if e.error_len().is_none() => {}
                    Err(_) => {
                        out.extend_from_slice("\u{fffd}".as_bytes());
                        self.state = State::Ground;
                    }
                }
            }
        }
    }

    fn ground(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            0x1b => self.state = State::Escape,
            b if plain(b) => out.push(b),
            0xc2..=0xf4 => self.state = State::Utf8(vec![byte]),
            0x80..=0xff => out.extend_from_slice("\u{fffd}".as_bytes()),
            _ => {} // other control characters
        }
    }

    /// The byte does not belong to the sequence that was begun: the sequence is dropped, the byte is not.
    fn abort(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = State::Ground;
        self.ground(byte, out);
    }

    fn sequence(&mut self, parameters: &[u8], last: u8, out: &mut Vec<u8>) {
        let is_colour = last == b'm'
            && parameters.len() < MAX_PARAMETERS
            && parameters.iter().all(|b| b.is_ascii_digit() || matches!(b, b';' | b':'));
        if !is_colour || !self.colour {
            return;
        }
        let start = out.len();
        out.extend_from_slice(b"\x1b[");
        out.extend_from_slice(parameters);
        out.push(b'm');
        if parameters.iter().all(|b| matches!(b, b'0' | b';')) {
            self.active.clear();
        } else if self.active.len() < 4 * MAX_PARAMETERS {
            self.active.extend_from_slice(out.get(start..).unwrap_or_default());
        } else {
            // More than a sane program stacks up: begin anew with this one.
            self.active = out.get(start..).unwrap_or_default().to_vec();
        }
    }
}

/// Bytes that go to the terminal as they are.
fn plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | b'\n' | b'\t' | b'\r')
}

/// A text of others without anything but characters, line ends and tabs.
pub(crate) fn plain_text(input: &[u8]) -> String {
    let mut out = Vec::new();
    Filter::new(false).feed(input, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filtered(input: &[u8]) -> String {
        let mut out = Vec::new();
        Filter::new(true).feed(input, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn colours_pass() {
        for colour in ["\x1b[31m", "\x1b[0m", "\x1b[m", "\x1b[1;38;5;196m", "\x1b[38:2::1:2:3m"] {
            assert_eq!(filtered(format!("a{colour}b").as_bytes()), format!("a{colour}b"));
        }
        let mut out = Vec::new();
        Filter::new(false).feed(b"a\x1b[31mb", &mut out);
        assert_eq!(out, b"ab");
    }

    #[test]
    fn everything_else_that_terminals_obey_is_dropped() {
        for (attack, left) in [
            (&b"a\x1b]52;c;aGk=\x07b"[..], "ab"), // clipboard
            (b"a\x1b]52;c;aGk=\x1b\\b", "ab"),    // the same, ended in the other way
            (b"a\x1b]0;title\x07b", "ab"),        // title
            (b"a\x1b]8;;http://x\x07link\x1b]8;;\x07b", "alinkb"),
            (b"a\x1b[2J\x1b[Hb", "ab"),    // clear the screen
            (b"a\x1b[1Ab", "ab"),          // cursor up
            (b"a\x1b[?1049hb", "ab"),      // other screen
            (b"a\x1b[?25lb", "ab"),        // hide the cursor
            (b"a\x1b[6nb", "ab"),          // answer back
            (b"a\x1b[>4;1mb", "ab"),       // private, looks like a colour
            (b"a\x1bP$q\"p\x1b\\b", "ab"), // device string
            (b"a\x1b_apc\x1b\\b", "ab"),
            (b"a\x1bcb", "ab"),  // full reset
            (b"a\x1b(0b", "ab"), // character set
            (b"a\x1b#8b", "ab"), // fill with E
            (b"a\x07\x08\x0b\x0c\x0e\x0f\x00\x7fb", "ab"),
            ("a\u{9b}31mb\u{85}\u{90}".as_bytes(), "a31mb"), // C1 controls
            (b"a\x9b31mb", "a\u{fffd}31mb"),
            (b"a\xffb\xc3", "a\u{fffd}b"),
            (b"a\xe2\x82b", "a\u{fffd}b"),
            (b"a\x1b\x1b[31mb", "a\x1b[31mb"),
        ] {
            assert_eq!(filtered(attack), left, "{}", attack.escape_ascii());
        }
    }

    #[test]
    fn an_unfinished_sequence_does_not_swallow_the_lines_after_it() {
        assert_eq!(filtered(b"a\x1b]0;never ended\nb\n"), "a\nb\n");
        assert_eq!(filtered(b"a\x1b[31\nb\n"), "a\nb\n");
        let mut long = b"\x1bP".to_vec();
        long.extend(std::iter::repeat_n(b'x', MAX_STRING + 10));
        assert_eq!(filtered(&long).len(), 10);
    }

    #[test]
    fn text_is_left_alone() {
        let text = "Grüße, 日本語 🎉\ttab\r\n50%\r100%\n";
        assert_eq!(filtered(text.as_bytes()), text);
    }

    #[test]
    fn colours_in_force_are_known() {
        let mut filter = Filter::new(true);
        let mut out = Vec::new();
        filter.feed(b"\x1b[1m\x1b[31mred", &mut out);
        assert_eq!(filter.active(), b"\x1b[1m\x1b[31m");
        filter.feed(b"\x1b[0m", &mut out);
        assert_eq!(filter.active(), b"");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_text_and_colours_alone(
            input in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b']'), Just(b'm'), Just(b';')], 0..400),
            cut in 1usize..50,
        ) {
            let mut whole = Vec::new();
            Filter::new(true).feed(&input, &mut whole);
            let mut pieces = Vec::new();
            let mut filter = Filter::new(true);
            for piece in input.chunks(cut) {
                filter.feed(piece, &mut pieces);
            }
            prop_assert_eq!(&whole, &pieces);
            let text = String::from_utf8(whole).unwrap();
            let mut rest = text.as_str();
            while let Some(at) = rest.find('\x1b') {
                let sequence = &rest[at..];
                let end = sequence.find('m').expect("a colour ends with m");
                let parameters = sequence[..end].strip_prefix("\x1b[").expect("only CSI");
                prop_assert!(parameters.bytes().all(|b| b.is_ascii_digit() || b == b';' || b == b':'));
                rest = &sequence[end + 1..];
            }
            prop_assert!(text.replace('\x1b', "").chars().all(|c| !c.is_control() || "\n\t\r".contains(c)));
        }
    }
}
