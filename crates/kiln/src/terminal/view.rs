//! Everything that is seen while a build runs: log or events on standard output, the status area on standard error.

use std::{path::Path, time::Duration};

use kiln_runner::clock::Clock;
use kiln_wire::{
    event::Event,
    journal::{Body, Record},
};
use rustix::stdio::stderr;

pub(crate) use super::output::Gone;
use super::{
    Streams, columns,
    fold::{Fold, Folded},
    json::Json,
    live::Live,
    log::Log,
    output::{Output, write_all},
    style::{Painter, RESET},
    summary::Summary,
};

/// The buffer is written when it holds this much.
const FLUSH: usize = 256 * 1024;
/// Between two writes to a terminal with a status area, in milliseconds: quicker than the eye.
const FRAME_MS: u64 = 20;

/// What standard output gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// The log.
    Log,
    /// The log, with the output of commands that succeed folded.
    Folded,
    /// Nothing.
    Nothing,
    /// Events and log lines as JSON.
    Json,
}

#[derive(Debug)]
enum Content {
    Log(Log),
    Folded(Log, Fold),
    Nothing,
    Json(Json),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct View {
    content: Content,
    live: Option<Live>,
    streams: Streams,
    output: Output,
    summary: Summary,
    clock: Clock,
    flushed_ms: u64,
    muted: bool,
}

impl View {
    /// `raw`: a terminal gets the output as it is; `live`: there may be a status line.
    pub(crate) fn new(show: Show, raw: bool, live: bool, journal: &Path, streams: Streams, clock: Clock) -> Self {
        // Where the cursor is after raw output, nobody knows; and JSON on a terminal is looked at as it is.
        let live = live && streams.live && !(streams.out && (raw || show == Show::Json));
        let live = live.then(|| Live::new(Painter { colour: streams.err_colour() }, millis(&clock)));
        let log = if streams.out && !raw {
            Log::terminal(streams.out_colour(), live.is_some() && streams.same)
        } else {
            Log::Raw
        };
        let content = match show {
            Show::Log => Content::Log(log),
            Show::Folded => Content::Folded(log, Fold::new(journal)),
            Show::Nothing => Content::Nothing,
            Show::Json => Content::Json(Json::default()),
        };
        Self {
            content,
            live,
            streams,
            output: Output::default(),
            summary: Summary::default(),
            clock,
            flushed_ms: 0,
            muted: false,
        }
    }

    /// Shows a record.
    pub(crate) fn record(&mut self, record: &Record<'_>) {
        self.summary.record(record);
        match (&mut self.live, &record.body) {
            (Some(live), Body::Event(event)) => live.event(record.time_ns, event),
            (Some(live), Body::Output { .. }) => live.touch(),
            _ => {}
        }
        if !self.muted {
            self.show(record);
        }
        if self.output.buffer.len() >= FLUSH {
            self.flush();
        }
    }

    fn show(&mut self, record: &Record<'_>) {
        let out = &mut self.output.buffer;
        match (&mut self.content, &record.body) {
            (Content::Nothing, _) | (Content::Log(_), Body::Event(_)) => {}
            (Content::Json(json), _) => json.record(record, out),
            (Content::Log(log), Body::Service(bytes)) => log.service(bytes, out),
            (Content::Log(log), Body::Output { bytes, .. }) => log.output(bytes, out),
            (Content::Folded(log, fold), Body::Service(bytes)) => {
                if !fold.hold(bytes) {
                    log.service(bytes, out);
                }
            }
            (Content::Folded(log, fold), Body::Output { command, bytes }) => {
                if !fold.count(*command, bytes) {
                    log.output(bytes, out);
                }
            }
            (Content::Folded(_, fold), Body::Event(event)) => {
                let folded = match &**event {
                    Event::CommandStarted(command) => {
                        let before = fold.interrupt();
                        fold.begin(command.command);
                        before
                    }
                    Event::CommandEnded(ended) => fold.end(ended),
                    Event::BuildEnded(_) => fold.interrupt(),
                    _ => None,
                };
                if let Some(folded) = folded {
                    self.unfold(folded);
                }
            }
        }
    }

    fn unfold(&mut self, folded: Folded) {
        let Content::Folded(log, fold) = &mut self.content else { return };
        let out = &mut self.output;
        match folded {
            Folded::Line(line) => {
                log.remark(&line, &mut out.buffer);
                out.buffer.push(b'\n');
            }
            Folded::Everything(command, after) => {
                if let Some(live) = &mut self.live
                    && self.streams.same
                {
                    let mut erase = Vec::new();
                    live.erase(columns(), &mut erase);
                    out.buffer.splice(..0, erase);
                }
                let replayed = fold.replay(command, |bytes| {
                    log.output(bytes, &mut out.buffer);
                    if out.buffer.len() >= FLUSH {
                        out.flush();
                    }
                });
                if let Err(e) = replayed {
                    log.remark(&format!("(the output cannot be read again: {e})"), &mut out.buffer);
                }
                log.service(&after, &mut out.buffer);
            }
        }
    }

    /// Writes what is to be seen now, and draws the status area when it is time.
    pub(crate) fn flush(&mut self) {
        let Some(live) = &mut self.live else { return self.output.flush() };
        if !self.streams.same {
            self.output.flush();
        }
        let now = millis(&self.clock);
        let has_output = !self.output.buffer.is_empty();
        if has_output && self.output.buffer.len() < FLUSH && now < self.flushed_ms + FRAME_MS {
            return; // soon, together with what else comes
        }
        let (unfinished, inside_line) = match &self.content {
            Content::Log(Log::Terminal(t)) | Content::Folded(Log::Terminal(t), _) => (t.unfinished(), t.inside_line()),
            _ => (&[][..], false),
        };
        let due = live.due_in(now) == Some(0);
        // After output the area comes back at once: all of it is one write, so that nothing flickers.
        let draw = (due || has_output && live.was_drawn()) && !inside_line;
        if !draw && !has_output {
            return;
        }
        let mut screen = Vec::new();
        live.erase(columns(), &mut screen);
        screen.append(&mut self.output.buffer);
        if draw {
            if let Content::Log(Log::Terminal(t)) | Content::Folded(Log::Terminal(t), _) = &self.content
                && self.streams.same
                && !t.active().is_empty()
            {
                screen.extend_from_slice(RESET.as_bytes());
            }
            live.draw(unfinished, columns(), now, self.clock.wall_ns(), &mut screen);
        }
        if self.streams.same {
            if draw {
                self.interrupt_log();
            }
            self.output.buffer = screen;
            self.output.flush();
            self.flushed_ms = now;
        } else {
            write_all(stderr(), &screen).ok(); // a terminal that is gone shows no status
        }
    }

    fn interrupt_log(&mut self) {
        if let Content::Log(Log::Terminal(t)) | Content::Folded(Log::Terminal(t), _) = &mut self.content {
            t.interrupt();
        }
    }

    /// Time until [`Self::flush`] has something to do although no record came.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let now = millis(&self.clock);
        let live = self.live.as_ref()?;
        let frame = (!self.output.buffer.is_empty()).then(|| (self.flushed_ms + FRAME_MS).saturating_sub(now));
        frame.into_iter().chain(live.due_in(now)).min().map(Duration::from_millis)
    }

    /// Prints a line of Kiln's own on standard error.
    pub(crate) fn say(&mut self, line: &str) {
        self.clear();
        write_all(stderr(), format!("{line}\n").as_bytes()).ok(); // nobody is left to tell
    }

    /// Shows a word in the status area.
    pub(crate) fn note(&mut self, note: &'static str) {
        if let Some(live) = &mut self.live {
            live.note(note);
        }
    }

    /// Writes what there is, erases the status area, and puts the cursor at the start of a line.
    fn clear(&mut self) {
        let mut screen = Vec::new();
        if let Some(live) = &mut self.live {
            live.erase(columns(), &mut screen);
        }
        match &mut self.content {
            Content::Log(Log::Terminal(t)) | Content::Folded(Log::Terminal(t), _) => {
                t.end_line(&mut self.output.buffer);
            }
            Content::Json(json) => json.end(&mut self.output.buffer),
            _ => {}
        }
        if self.streams.same {
            screen.append(&mut self.output.buffer);
            self.output.buffer = screen;
        } else if !screen.is_empty() {
            write_all(stderr(), &screen).ok(); // a terminal that is gone shows no status
        }
        self.output.flush();
    }

    /// Shows no more of the log.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
        self.output.buffer.clear();
    }

    /// Why nothing more can be written to standard output.
    pub(crate) fn gone(&self) -> Option<&Gone> {
        self.output.gone()
    }

    /// Ends the show; what is left is the summary.
    pub(crate) fn finish(mut self) -> (Summary, Option<Gone>) {
        self.clear();
        (self.summary, self.output.into_gone())
    }
}

fn millis(clock: &Clock) -> u64 {
    u64::try_from(clock.monotonic().as_millis()).unwrap_or(u64::MAX)
}
