//! `kiln logs --search`: lines of a log that contain something, as `grep -n` shows them.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write as _,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use kiln_model::kiln::{
    GetBuildLogInput, GetBuildLogOutput, MOST_LINES, MOST_MATCHES, SearchBuildLogInput, SearchBuildLogOutput, TextRange,
};
use kiln_runner::follow::Follower;
use kiln_store::logs::{LINE_BYTES, Query};
use kiln_wire::journal::Body;

use crate::{
    app::App,
    client::{Client, Operation},
    exit::{self, usage},
    terminal::{
        filter::plain_text,
        style::{Painter, Style},
    },
};

/// What to search for.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Show only lines that contain this text, with their numbers; the status is 1 when there is none
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["follow", "json"])]
    pub(super) search: Option<String>,

    /// TEXT is a regular expression
    #[arg(long, requires = "search")]
    regex: bool,

    /// Small and capital letters are the same
    #[arg(long, short, requires = "search")]
    ignore_case: bool,

    /// Show so many lines before and after each as well
    #[arg(long, short = 'C', value_name = "LINES", requires = "search", default_value_t = 0)]
    context: u32,
}

fn query(args: &SearchArgs, text: &str) -> anyhow::Result<Query> {
    let query = if args.regex { Query::pattern(text, args.ignore_case) } else { Query::text(text, args.ignore_case) };
    match query {
        Ok(query) => Ok(query),
        Err(e) => usage!("--search {text}: {e}"),
    }
}

/// Shows lines of a build of the service.
pub(super) fn of_service(args: &SearchArgs, text: &str, id: &str, raw: bool, app: &App) -> anyhow::Result<ExitCode> {
    // What is wrong with it is said here, as for a build of this machine.
    query(args, text)?;
    let client = Client::new(app)?;
    let mut input = SearchBuildLogInput {
        id: id.to_owned(),
        text: (!args.regex).then(|| text.to_owned()),
        pattern: args.regex.then(|| text.to_owned()),
        ignore_case: Some(args.ignore_case),
        max_matches: Some(MOST_MATCHES),
        ..Default::default()
    };
    let mut printer = Printer::new(args, raw, app);
    let mut window = Window::default();
    loop {
        let page: SearchBuildLogOutput = client.call(Operation::Kiln("SearchBuildLog"), &input)?;
        let empty = page.matches.is_empty();
        for found in page.matches {
            if args.context == 0 {
                printer.line(found.line.number, &found.line.text, Some(&found.ranges))?;
                continue;
            }
            let number = found.line.number;
            let from = number.saturating_sub(args.context.into()).max(1);
            if window.to < from {
                window.show(&client, id, &mut printer)?;
                window.from = from.max(printer.last + 1);
            } else if window.matches.len() >= MOST_MATCHES as usize {
                // What comes behind this line is shown with the next ones.
                window.to = number - 1;
                window.show(&client, id, &mut printer)?;
                window.from = number;
            }
            window.to = number + u64::from(args.context);
            window.matches.insert(number, found.ranges);
        }
        let (Some(next), false) = (page.next_line, page.complete || printer.gone) else { break };
        // A running build's log has no end yet: what there is was searched when an answer has nothing.
        if empty && input.from_line == Some(next) {
            break;
        }
        input.from_line = Some(next);
    }
    window.show(&client, id, &mut printer)?;
    printer.finish()
}

/// Lines that are shown in one go: those that were found, with those around them.
#[derive(Default)]
struct Window {
    /// Number of the first line.
    from: u64,
    /// Number of the last one.
    to: u64,
    /// Numbers of those that were found, and what of them.
    matches: BTreeMap<u64, Vec<TextRange>>,
}

impl Window {
    /// Shows its lines, of a build of the service, and empties it.
    fn show(&mut self, client: &Client, id: &str, printer: &mut Printer) -> anyhow::Result<()> {
        let window = std::mem::take(self);
        let mut from = window.from;
        while !window.matches.is_empty() && from <= window.to && !printer.gone {
            let input = GetBuildLogInput {
                id: id.to_owned(),
                from_line: Some(from),
                to_line: Some(window.to),
                max_lines: Some(MOST_LINES),
                ..Default::default()
            };
            let page: GetBuildLogOutput = client.call(Operation::Kiln("GetBuildLog"), &input)?;
            for line in &page.lines {
                printer.line(line.number, &line.text, window.matches.get(&line.number).map(Vec::as_slice))?;
            }
            // The log ends here, or a service that is hostile goes back.
            if page.lines.is_empty() || page.next_line <= from {
                break;
            }
            from = page.next_line;
        }
        Ok(())
    }
}

/// Shows lines of a journal.
pub(super) fn of_journal(
    args: &SearchArgs,
    text: &str,
    journal: &std::path::Path,
    raw: bool,
    app: &App,
) -> anyhow::Result<ExitCode> {
    let query = query(args, text)?;
    let mut search =
        Search { query, printer: Printer::new(args, raw, app), before: VecDeque::new(), after: 0, number: 0 };
    let mut line = Vec::new();
    let mut failed = None;
    Follower::unwatched(journal)?.read(|record| {
        let (Body::Output { bytes, .. } | Body::Service(bytes)) = record.body else { return true };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |piece| (piece, true));
            let room = LINE_BYTES.saturating_sub(line.len());
            line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if ends {
                failed = search.line(&std::mem::take(&mut line)).err();
            }
            if failed.is_some() {
                return false;
            }
        }
        true
    })?;
    if !line.is_empty() && failed.is_none() {
        failed = search.line(&line).err();
    }
    match failed {
        Some(e) => Err(e),
        None => search.printer.finish(),
    }
}

/// A search that sees each line.
struct Search {
    query: Query,
    printer: Printer,
    /// The last lines, which may come before one that is found.
    before: VecDeque<String>,
    /// Lines that are still shown after the last one that was found.
    after: u32,
    number: u64,
}

impl Search {
    fn line(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.number += 1;
        let around = self.printer.context;
        let text = String::from_utf8_lossy(bytes);
        if self.query.finds(bytes) {
            for (text, ago) in self.before.iter().zip((1..=self.before.len() as u64).rev()) {
                self.printer.line(self.number - ago, text, None)?;
            }
            self.before.clear();
            let ranges = self.query.ranges(&text).into_iter();
            let ranges: Vec<TextRange> =
                ranges.map(|range| TextRange { start: range.start as u64, end: range.end as u64 }).collect();
            self.printer.line(self.number, &text, Some(&ranges))?;
            self.after = around;
        } else if self.after > 0 {
            self.after -= 1;
            self.printer.line(self.number, &text, None)?;
        } else if around > 0 {
            self.before.push_back(text.into_owned());
            if self.before.len() > around as usize {
                self.before.pop_front();
            }
        }
        Ok(())
    }
}

/// Writes lines with their numbers.
struct Printer {
    out: std::io::BufWriter<std::io::Stdout>,
    painter: Painter,
    /// Text as it is, with every control sequence.
    raw: bool,
    context: u32,
    /// Number of the last line that was written.
    last: u64,
    found: bool,
    /// The reader is gone (`| head`).
    gone: bool,
}

impl Printer {
    fn new(args: &SearchArgs, raw: bool, app: &App) -> Self {
        Self {
            out: std::io::BufWriter::new(std::io::stdout()),
            painter: Painter { colour: app.streams.out_colour() },
            raw: raw || !app.streams.out,
            context: args.context,
            last: 0,
            found: false,
            gone: false,
        }
    }

    /// Writes a line; one that was found has ranges.
    fn line(&mut self, number: u64, text: &str, ranges: Option<&[TextRange]>) -> anyhow::Result<()> {
        if self.gone {
            return Ok(());
        }
        let mut line = String::new();
        if self.context > 0 && self.last > 0 && number > self.last + 1 {
            line.push_str("--\n");
        }
        line.push_str(&self.painter.paint(Style::Dim, &number.to_string()));
        line.push(if ranges.is_some() { ':' } else { '-' });
        let show = |text: &str| if self.raw { text.to_owned() } else { plain_text(text.as_bytes()) };
        let mut at = 0;
        for range in ranges.unwrap_or_default() {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let (start, end) = (place(range.start), place(range.end));
            // A service that is hostile could name any place.
            let (Some(before), Some(found)) = (text.get(at..start), text.get(start..end)) else { break };
            line.push_str(&show(before));
            line.push_str(&self.painter.paint(Style::Bad, &show(found)));
            at = end;
        }
        line.push_str(&show(text.get(at..).unwrap_or_default()));
        line.push('\n');
        self.found |= ranges.is_some();
        self.last = number;
        self.written(|out| out.write_all(line.as_bytes()))
    }

    fn written(
        &mut self,
        write: impl FnOnce(&mut std::io::BufWriter<std::io::Stdout>) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        match write(&mut self.out) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => self.gone = true,
            other => other.context("cannot write the log")?,
        }
        Ok(())
    }

    /// 0 when something was found, else 1.
    fn finish(mut self) -> anyhow::Result<ExitCode> {
        self.written(std::io::Write::flush)?;
        // What the buffer still has is of no use to a reader that is gone.
        Ok(ExitCode::from(if self.found { exit::SUCCESS } else { exit::FAILED }))
    }
}
