//! How the bringing in of an image is shown: on a terminal a few lines that change, elsewhere a line for each event.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kiln_engine::image::{LayerInfo, LayerState, Progress};

use crate::terminal::{
    Streams, columns,
    output::write_all,
    style::{Painter, Style},
    text::{bytes, fit, one_line},
};

/// The terminal is redrawn no more often than this.
const REDRAW: Duration = Duration::from_millis(80);
/// Columns of a bar.
const BAR: u64 = 24;

/// Shows progress on standard error.
pub(super) struct Display {
    how: How,
    painter: Painter,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Live,
    Lines,
    Nothing,
}

struct State {
    title: String,
    layers: Vec<Layer>,
    /// Lines on the terminal that the next drawing replaces.
    drawn: usize,
    drawn_at: Option<Instant>,
}

struct Layer {
    info: LayerInfo,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pending,
    Waiting,
    Downloading(u64),
    Unpacking(u64),
    Done,
}

impl Display {
    /// `title`: the image or the file.
    pub(super) fn new(title: &str, streams: Streams, quiet: bool) -> Self {
        let how = match (quiet, streams.live) {
            (true, _) => How::Nothing,
            (false, true) => How::Live,
            (false, false) => How::Lines,
        };
        let state = State { title: one_line(title), layers: Vec::new(), drawn: 0, drawn_at: None };
        Self { how, painter: Painter { colour: streams.err_colour() }, state: Mutex::new(state) }
    }

    /// Takes note of an event; any thread may call.
    pub(super) fn event(&self, event: &Progress<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let said = state.note(event);
        match self.how {
            How::Nothing => {}
            How::Lines => {
                if let Some(line) = said {
                    write(&format!("{line}\n"));
                }
            }
            How::Live => {
                // What begins or ends shows at once.
                if said.is_none() && state.drawn_at.is_some_and(|at| at.elapsed() < REDRAW) {
                    return;
                }
                let mut out = String::new();
                state.erase(&mut out);
                // Only these stay on the terminal, above the lines that change.
                if let (Some(line), Progress::Note(_) | Progress::Layer(_, LayerState::Retrying(_))) = (said, event) {
                    out.push_str(&line);
                    out.push('\n');
                }
                state.draw(self.painter, columns(), &mut out);
                state.drawn_at = Some(Instant::now());
                write(&out);
            }
        }
    }

    /// Takes what changes off the terminal.
    pub(super) fn end(&self) {
        let mut out = String::new();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).erase(&mut out);
        write(&out);
    }
}

fn write(text: &str) {
    // Progress that nobody can see is no reason to fail.
    write_all(rustix::stdio::stderr(), text.as_bytes()).ok();
}

impl State {
    /// Updates the state. Returns what is to be said in a line of its own.
    fn note(&mut self, event: &Progress<'_>) -> Option<String> {
        let (index, state) = match event {
            Progress::Layers(layers) => {
                self.layers = layers.iter().map(|info| Layer { info: *info, phase: Phase::Pending }).collect();
                return None;
            }
            Progress::Note(text) => return Some(format!("{}: {}", self.title, one_line(text))),
            Progress::Layer(index, state) => (*index, *state),
            _ => return None,
        };
        let count = self.layers.len();
        let layer = self.layers.get_mut(index)?;
        let before = layer.phase;
        let name = format!("{}: layer {} of {count}", self.title, index + 1);
        match state {
            LayerState::Present => {
                layer.phase = Phase::Done;
                Some(format!("{name} is here already"))
            }
            LayerState::Waiting => {
                layer.phase = Phase::Waiting;
                Some(format!("{name} is being fetched by another process; waiting"))
            }
            LayerState::Downloading(done) => {
                layer.phase = Phase::Downloading(done);
                let begins = !matches!(before, Phase::Downloading(_));
                let resumed = if done > 0 { format!(", {} are here", bytes(done)) } else { String::new() };
                begins.then(|| format!("{name}: downloading {}{resumed}", bytes(layer.info.size)))
            }
            LayerState::Retrying(problem) => Some(format!("{name}: {}; trying again", one_line(problem))),
            LayerState::Unpacking(done) => {
                layer.phase = Phase::Unpacking(done);
                (!matches!(before, Phase::Unpacking(_))).then(|| format!("{name}: unpacking"))
            }
            LayerState::Done => {
                layer.phase = Phase::Done;
                Some(format!("{name}: done"))
            }
            _ => None,
        }
    }

    /// Moves to the first of the lines drawn, and clears them.
    fn erase(&mut self, out: &mut String) {
        if self.drawn > 0 {
            out.push_str(&format!("\r\x1b[{}A\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }

    /// A line for each layer that is being worked on, and one for all together.
    fn draw(&mut self, painter: Painter, columns: usize, out: &mut String) {
        let mut lines = Vec::new();
        for (n, layer) in self.layers.iter().enumerate() {
            let (what, done) = match layer.phase {
                Phase::Pending | Phase::Done => continue,
                Phase::Waiting => ("waiting", None),
                Phase::Downloading(done) => ("downloading", Some(done)),
                Phase::Unpacking(done) => ("unpacking", Some(done)),
            };
            let progress = done.map(|done| amount(done, layer.info.size)).unwrap_or_default();
            lines.push((Style::Plain, format!("  {:>3}  {what:<11}  {progress}", n + 1)));
        }
        let ended = self.layers.iter().filter(|layer| layer.phase == Phase::Done).count();
        let head = match self.layers.len() {
            0 => self.title.clone(),
            1 => format!("{}  {} layer", self.title, 1),
            all => format!("{}  {ended} of {all} layers", self.title),
        };
        lines.insert(0, (Style::Bold, head));
        for (style, line) in &lines {
            out.push_str(&painter.paint(*style, &fit(line, columns.saturating_sub(1))));
            out.push('\n');
        }
        self.drawn = lines.len();
    }
}

/// A bar with figures; figures alone where the whole is not known.
fn amount(done: u64, of: u64) -> String {
    if of == 0 {
        return bytes(done);
    }
    let filled = u64::try_from(u128::from(done.min(of)) * u128::from(BAR) / u128::from(of)).unwrap_or(0);
    let cells = |n: u64, cell: &str| cell.repeat(usize::try_from(n).unwrap_or(0));
    format!("[{}{}]  {} of {}", cells(filled, "="), cells(BAR - filled, " "), bytes(done.min(of)), bytes(of))
}

#[cfg(test)]
mod tests {
    use kiln_engine::image::Digest;

    use super::*;

    fn state() -> State {
        let info = LayerInfo { digest: Digest::of(b""), size: 4096 };
        let mut state = State { title: "app:1".into(), layers: Vec::new(), drawn: 0, drawn_at: None };
        assert_eq!(state.note(&Progress::Layers(&[info, info])), None);
        state
    }

    #[test]
    fn lines_say_what_begins_and_ends() {
        let mut state = state();
        let mut say = |change| state.note(&Progress::Layer(0, change)).unwrap_or_default();
        assert_eq!(say(LayerState::Downloading(1024)), "app:1: layer 1 of 2: downloading 4 KiB, 1 KiB are here");
        assert_eq!(say(LayerState::Downloading(2048)), "");
        assert_eq!(say(LayerState::Retrying("reset\u{1b}[2J")), "app:1: layer 1 of 2: reset [2J; trying again");
        assert_eq!(say(LayerState::Unpacking(0)), "app:1: layer 1 of 2: unpacking");
        assert_eq!(say(LayerState::Done), "app:1: layer 1 of 2: done");
        assert_eq!(state.note(&Progress::Layer(7, LayerState::Done)), None);
    }

    #[test]
    fn the_terminal_shows_what_is_going_on() {
        let mut state = state();
        state.note(&Progress::Layer(1, LayerState::Downloading(2048)));
        let mut out = String::new();
        state.draw(Painter { colour: false }, 80, &mut out);
        assert_eq!(out, "app:1  0 of 2 layers\n    2  downloading  [============            ]  2 KiB of 4 KiB\n");
        out.clear();
        state.erase(&mut out);
        assert_eq!(out, "\r\x1b[2A\x1b[J");
        out.clear();
        state.erase(&mut out);
        assert_eq!(out, "");
    }

    #[test]
    fn bars_stay_in_their_frame() {
        assert_eq!(amount(9, 3), "[========================]  3 B of 3 B");
        assert_eq!(amount(9, 0), "9 B");
        assert_eq!(amount(u64::MAX, u64::MAX), "[========================]  15.9 EiB of 15.9 EiB");
    }
}
