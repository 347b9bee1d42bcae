//! What a client and the server say to each other while somebody has a shell in a build's file system: frames
//! ([`crate::frame`]) over the upgraded connection of DebugBuild (`docs/kiln-api.md`).

use crate::frame;

/// Kinds of frames.
pub mod kind {
    /// From the client: bytes for the terminal.
    pub const INPUT: u8 = b'i';
    /// From the client: the terminal's size, rows and columns, u16 LE each.
    pub const WINDOW: u8 = b'w';
    /// From the client: there will be no more input.
    pub const END: u8 = b'e';
    /// From the server: bytes of the terminal.
    pub const OUTPUT: u8 = b'o';
    /// From the server, at last: the shell's exit status, u8.
    pub const EXIT: u8 = b'x';
    /// From the server, at last: why there is no shell any more, text.
    pub const FAILED: u8 = b'f';
}

/// What a client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToShell<'a> {
    /// Bytes for the terminal.
    Input(&'a [u8]),
    /// The terminal's size.
    Window {
        /// Rows.
        rows: u16,
        /// Columns.
        columns: u16,
    },
    /// There will be no more input.
    End,
}

impl<'a> ToShell<'a> {
    /// Reads a frame; `None`: it is not one that a client may send.
    #[must_use]
    pub fn decode(frame: &frame::Frame<'a>) -> Option<Self> {
        match (frame.kind, frame.payload) {
            (kind::INPUT, bytes) => Some(Self::Input(bytes)),
            (kind::WINDOW, &[a, b, c, d]) => {
                Some(Self::Window { rows: u16::from_le_bytes([a, b]), columns: u16::from_le_bytes([c, d]) })
            }
            (kind::END, []) => Some(Self::End),
            _ => None,
        }
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Input(bytes) => frame::encode(kind::INPUT, bytes, out),
            Self::Window { rows, columns } => {
                let ([a, b], [c, d]) = (rows.to_le_bytes(), columns.to_le_bytes());
                frame::encode(kind::WINDOW, &[a, b, c, d], out);
            }
            Self::End => frame::encode(kind::END, &[], out),
        }
    }
}

/// What the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromShell<'a> {
    /// Bytes of the terminal.
    Output(&'a [u8]),
    /// The shell's exit status; the last word.
    Exit(u8),
    /// Why there is no shell any more; the last word.
    Failed(&'a str),
}

impl<'a> FromShell<'a> {
    /// Reads a frame; `None`: it is not one that a server sends.
    #[must_use]
    pub fn decode(frame: &frame::Frame<'a>) -> Option<Self> {
        match (frame.kind, frame.payload) {
            (kind::OUTPUT, bytes) => Some(Self::Output(bytes)),
            (kind::EXIT, &[status]) => Some(Self::Exit(status)),
            (kind::FAILED, text) => std::str::from_utf8(text).ok().map(Self::Failed),
            _ => None,
        }
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Output(bytes) => frame::encode(kind::OUTPUT, bytes, out),
            Self::Exit(status) => frame::encode(kind::EXIT, &[*status], out),
            Self::Failed(text) => frame::encode(kind::FAILED, text.as_bytes(), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, FrameBuffer};

    #[test]
    fn what_is_said_is_understood() {
        let mut buffer = FrameBuffer::new();
        let mut out = Vec::new();
        let said = [ToShell::Input(b"ls\r"), ToShell::Window { rows: 24, columns: 300 }, ToShell::End];
        said.iter().for_each(|word| word.encode(&mut out));
        buffer.push(&out);
        for word in said {
            assert_eq!(ToShell::decode(&buffer.next_frame().unwrap().unwrap()), Some(word));
        }
        out.clear();
        let said = [FromShell::Output(b"a\nb"), FromShell::Exit(3), FromShell::Failed("gone")];
        said.iter().for_each(|word| word.encode(&mut out));
        buffer.push(&out);
        for word in said {
            assert_eq!(FromShell::decode(&buffer.next_frame().unwrap().unwrap()), Some(word));
        }
    }

    #[test]
    fn anything_else_is_not() {
        for (kind, payload) in [(b'w', &b"abc"[..]), (b'e', b"x"), (b'x', b"12"), (b'?', b""), (b'f', b"\xff")] {
            let frame = Frame { kind, payload };
            assert_eq!((ToShell::decode(&frame), FromShell::decode(&frame)), (None, None));
        }
    }
}
