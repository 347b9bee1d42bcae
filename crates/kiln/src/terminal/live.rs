//! The status area: the line that is not ended yet, and one line that says what goes on. Drawn on standard error, always
//! erased before anything else is written.

use kiln_model::PhaseType;
use kiln_wire::event::{Event, Sample};

use super::{
    filter::Filter,
    style::{Painter, RESET, Style},
    text,
};

/// Between two drawings, in milliseconds.
pub(super) const REDRAW_MS: u64 = 100;
/// A build that ends sooner shows no status line.
pub(super) const FIRST_MS: u64 = 150;
/// A second, after which the time that it shows is not right any more.
const TICK_MS: u64 = 1000;

/// What goes on.
#[derive(Debug, Default)]
struct State {
    phase: Option<PhaseType>,
    command: Option<String>,
    /// When the phase or command began, journal time.
    since_ns: u64,
    memory_limit: Option<u64>,
    sample: Option<(u64, Sample)>,
    /// Per cent of one CPU, over the last two samples.
    cpu: Option<u64>,
    /// A word before everything else: `stopping`.
    note: Option<&'static str>,
}

/// The status area.
#[derive(Debug)]
pub(super) struct Live {
    state: State,
    painter: Painter,
    started_ms: u64,
    drawn_ms: Option<u64>,
    dirty: bool,
    /// Widths of the lines that are on the screen.
    shown: Vec<usize>,
}

impl Live {
    pub(super) fn new(painter: Painter, now_ms: u64) -> Self {
        Self { state: State::default(), painter, started_ms: now_ms, drawn_ms: None, dirty: true, shown: Vec::new() }
    }

    /// Takes note of an event.
    pub(super) fn event(&mut self, time_ns: u64, event: &Event) {
        let state = &mut self.state;
        match event {
            Event::BuildStarted(started) => state.memory_limit = started.memory_limit_bytes,
            Event::PhaseStarted { phase } => {
                state.phase = Some(*phase);
                state.command = None;
                state.since_ns = time_ns;
            }
            Event::CommandStarted(command) => {
                state.command = Some(text::one_line(&command.text));
                state.since_ns = time_ns;
            }
            Event::CommandEnded(_) => state.command = None,
            Event::Sample(sample) => {
                state.cpu = state.sample.and_then(|(then, before)| {
                    let wall = time_ns.checked_sub(then).filter(|ns| *ns > 0)?;
                    let used = sample.cpu_ns.checked_sub(before.cpu_ns)?;
                    u64::try_from(u128::from(used) * 100 / u128::from(wall)).ok()
                });
                state.sample = Some((time_ns, *sample));
            }
            _ => return,
        }
        self.dirty = true;
    }

    /// Shows a word before everything else.
    pub(super) fn note(&mut self, note: &'static str) {
        self.state.note = Some(note);
        self.dirty = true;
    }

    /// The line that is not ended changed.
    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }

    /// Milliseconds until it has to be drawn again; `None` while there is nothing to show.
    pub(super) fn due_in(&self, now_ms: u64) -> Option<u64> {
        self.state.phase?;
        let due = match self.drawn_ms {
            None => self.started_ms + FIRST_MS,
            Some(drawn) => {
                let first = self.started_ms + FIRST_MS;
                (drawn + if self.dirty { REDRAW_MS } else { TICK_MS }).max(first)
            }
        };
        Some(due.saturating_sub(now_ms))
    }

    /// True when it was drawn at least once.
    pub(super) fn was_drawn(&self) -> bool {
        self.drawn_ms.is_some()
    }

    /// Appends what removes it from the screen. `columns`: the terminal's width now; after it became narrower the lines
    /// take more rows.
    pub(super) fn erase(&mut self, columns: usize, out: &mut Vec<u8>) {
        if self.shown.is_empty() {
            return;
        }
        let rows: usize = self.shown.iter().map(|width| width.saturating_sub(1) / columns.max(1) + 1).sum();
        out.push(b'\r');
        if rows > 1 {
            out.extend_from_slice(format!("\x1b[{}A", rows - 1).as_bytes());
        }
        out.extend_from_slice(b"\x1b[J");
        self.shown.clear();
        self.dirty = true;
    }

    /// Appends what draws it. `unfinished`: the line of output that is not ended.
    pub(super) fn draw(&mut self, unfinished: &[u8], columns: usize, now_ms: u64, wall_ns: u64, out: &mut Vec<u8>) {
        // One column stays free: a line that fills the last one makes terminals wrap.
        let room = columns.saturating_sub(1);
        if !unfinished.is_empty() {
            let mut plain = Vec::new();
            Filter::new(false).feed(unfinished, &mut plain);
            let plain = text::one_line(&String::from_utf8_lossy(&plain));
            let plain = text::fit(&plain, room);
            self.shown.push(text::width(&plain));
            out.extend_from_slice(plain.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        let (styled, width) = self.status(room, wall_ns);
        self.shown.push(width);
        out.extend_from_slice(styled.as_bytes());
        if self.painter.colour {
            out.extend_from_slice(RESET.as_bytes());
        }
        self.drawn_ms = Some(now_ms);
        self.dirty = false;
    }

    /// The status line, and its width.
    fn status(&self, room: usize, wall_ns: u64) -> (String, usize) {
        let State { phase, command, since_ns, memory_limit, sample, cpu, note } = &self.state;
        let mut figures = vec![text::clock(wall_ns.saturating_sub(*since_ns) / 1_000_000_000)];
        if let Some(cpu) = cpu {
            figures.push(format!("CPU {cpu} %"));
        }
        if let Some((_, sample)) = sample {
            let limit = memory_limit.map(|limit| format!(" of {}", text::bytes(limit))).unwrap_or_default();
            figures.push(format!("{}{limit}", text::bytes(sample.memory_bytes)));
        }
        let figures = figures.join(" · ");
        let head = phase.map_or("", PhaseType::as_str);
        let mut pieces: Vec<(Style, String)> = Vec::new();
        if let Some(note) = note {
            pieces.push((Style::Warn, format!("{note} ")));
        }
        pieces.push((Style::Head, head.to_owned()));
        let used = |pieces: &[(Style, String)]| pieces.iter().map(|(_, t)| text::width(t)).sum::<usize>();
        if let Some(command) = command {
            let left = room.saturating_sub(used(&pieces) + text::width(&figures) + 4);
            if left >= 8 {
                pieces.push((Style::Bold, format!("  {}", text::fit(command, left))));
            }
        }
        pieces.push((Style::Dim, format!("  {figures}")));
        let mut line = String::new();
        let mut width = 0;
        for (style, piece) in pieces {
            let fitting = text::fit(&piece, room.saturating_sub(width));
            width += text::width(&fitting);
            line.push_str(&self.painter.paint(style, &fitting));
        }
        (line, width)
    }
}

#[cfg(test)]
mod tests {
    use kiln_wire::event::{CommandStarted, Section};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn live() -> Live {
        let mut live = Live::new(Painter { colour: false }, 0);
        live.event(0, &Event::PhaseStarted { phase: PhaseType::Build });
        live
    }

    fn command(text: &str) -> Event {
        Event::CommandStarted(CommandStarted {
            command: 1,
            phase: PhaseType::Build,
            section: Section::Commands,
            index: 0,
            line: 1,
            text: text.to_owned(),
            attempt: 1,
        })
    }

    fn sample(cpu_ns: u64, memory_bytes: u64) -> Event {
        Event::Sample(Sample { cpu_ns, memory_bytes, memory_peak_bytes: 0, pids: 1, read_bytes: 0, written_bytes: 0 })
    }

    #[test]
    fn it_says_phase_command_time_and_use() {
        let mut live = live();
        live.event(SECOND, &command("make\n  -j4"));
        live.event(2 * SECOND, &sample(0, 0));
        live.event(3 * SECOND, &sample(SECOND * 3 / 2, 312 << 20));
        live.state.memory_limit = Some(4 << 30);
        let (line, width) = live.status(79, 73 * SECOND);
        assert_eq!(line, "BUILD  make -j4  1:12 · CPU 150 % · 312 MiB of 4 GiB");
        assert_eq!(width, text::width(&line));
    }

    #[test]
    fn it_never_fills_the_last_column() {
        for columns in 1..120 {
            let mut live = live();
            live.note("stopping");
            live.event(0, &command(&"日本語 command ".repeat(20)));
            live.event(SECOND, &sample(1, 1));
            let mut out = Vec::new();
            live.draw("partial 日本語 ".repeat(20).as_bytes(), columns, 1000, SECOND, &mut out);
            assert!(live.shown.iter().all(|w| *w < columns.max(1)), "{columns}: {:?}", live.shown);
        }
    }

    #[test]
    fn erasing_takes_away_every_row_also_after_the_terminal_became_narrower() {
        let mut live = live();
        live.shown = vec![10, 79];
        let mut out = Vec::new();
        live.erase(80, &mut out);
        assert_eq!(out, b"\r\x1b[1A\x1b[J");
        live.shown = vec![10, 79];
        out.clear();
        live.erase(40, &mut out);
        assert_eq!(out, b"\r\x1b[2A\x1b[J");
        out.clear();
        live.erase(40, &mut out);
        assert_eq!(out, b"");
    }

    #[test]
    fn it_is_drawn_at_most_ten_times_a_second_and_at_least_once() {
        let mut live = live();
        assert_eq!(live.due_in(0), Some(FIRST_MS));
        live.draw(b"", 80, 150, 0, &mut Vec::new());
        assert_eq!(live.due_in(150), Some(TICK_MS));
        live.touch();
        assert_eq!(live.due_in(150), Some(REDRAW_MS));
        assert_eq!(live.due_in(400), Some(0));
        assert_eq!(Live::new(Painter { colour: false }, 0).due_in(5), None);
    }
}
