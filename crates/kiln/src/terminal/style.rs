//! Colours of what Kiln says itself.

/// A way to write text, or nothing at all where colours are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Warn,
    Head,
    Command,
}

impl Style {
    /// The sequence that begins it.
    pub(crate) fn start(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[1;31m",
            Self::Warn => "\x1b[33m",
            Self::Head => "\x1b[1;34m",
            Self::Command => "\x1b[1;36m",
        }
    }
}

/// Ends every style.
pub(crate) const RESET: &str = "\x1b[0m";

/// Writes styled text, or plain text where colours are off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Painter {
    pub(crate) colour: bool,
}

impl Painter {
    /// `text` in `style`.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.colour && style != Style::Plain && !text.is_empty() {
            format!("{}{text}{RESET}", style.start())
        } else {
            text.to_owned()
        }
    }
}
