//! What is seen on a terminal: a pseudo-terminal, and a small model of a screen.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command},
};

use kiln_model::{BuildStatus, PhaseType};
use kiln_wire::event::{Event, Sample};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{
    fake::{Step, begin, command, ended, event, line, phase, started},
    support::{Place, Reaped, golden, open},
};

const COLUMNS: u16 = 60;

/// A pseudo-terminal: our side and theirs.
fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave: OwnedFd = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    (File::from(master), File::from(slave))
}

/// Starts a program on the terminal, as its controlling terminal.
fn start(command: &mut Command, slave: File) -> Reaped {
    let child: Child =
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave).spawn().unwrap();
    Reaped(child)
}

fn kiln_on_terminal(place: &Place, steps: &[Step], args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new("setsid");
    place.environment(&mut command, steps);
    command.env("TERM", "xterm").envs(variables.iter().copied());
    command.args(["--ctty", "--wait", "env", "--default-signal=HUP,INT", env!("CARGO_BIN_EXE_kiln"), "run"]).args(args);
    command
}

/// Everything that is written until the other side closes.
fn read_all(master: &mut File, seen: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    // EIO: nobody has the other side open any more.
    while let Ok(n) = master.read(&mut buffer) {
        if n == 0 {
            return;
        }
        seen.extend_from_slice(&buffer[..n]);
    }
}

/// Reads until the text was seen.
fn read_until(master: &mut File, seen: &mut Vec<u8>, text: &str) {
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(seen).contains(text) {
        let n = master.read(&mut buffer).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(seen)));
        seen.extend_from_slice(&buffer[..n]);
    }
}

/// Runs a whole build on a terminal; returns what was written.
fn on_terminal(steps: &[Step], args: &[&str], variables: &[(&str, &str)]) -> (Place, Vec<u8>) {
    let place = Place::new();
    let (mut master, slave) = terminal();
    let _child = start(&mut kiln_on_terminal(&place, steps, args, variables), slave);
    let mut seen = Vec::new();
    read_all(&mut master, &mut seen);
    (place, seen)
}

/// What stands on an endless screen after all that was written. Knows what Kiln may use: line ends, carriage returns,
/// colours (ignored), cursor up, erase below; anything else fails the test.
fn screen(bytes: &[u8]) -> Vec<String> {
    use unicode_width::UnicodeWidthChar as _;
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (mut rows, mut row, mut column) = (vec![Vec::<char>::new()], 0usize, 0usize);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\n' => row += 1,
            '\r' => column = 0,
            '\x1b' => {
                assert_eq!(chars.next(), Some('['), "only CSI");
                let mut parameters = String::new();
                let last = loop {
                    let c = chars.next().unwrap();
                    if ('@'..='~').contains(&c) {
                        break c;
                    }
                    parameters.push(c);
                };
                match last {
                    'm' => {}
                    'A' => row -= parameters.parse::<usize>().unwrap(),
                    'J' => {
                        rows.truncate(row + 1);
                        rows[row].truncate(column);
                    }
                    other => panic!("sequence with {other}"),
                }
            }
            c => {
                let width = c.width().unwrap();
                if column + width > usize::from(COLUMNS) {
                    row += 1;
                    column = 0;
                }
                rows.resize(rows.len().max(row + 1), Vec::new());
                let cells = &mut rows[row];
                cells.resize(cells.len().max(column + width), ' ');
                cells[column] = c;
                for cell in &mut cells[column + 1..column + width] {
                    *cell = '\0';
                }
                column += width;
            }
        }
        rows.resize(rows.len().max(row + 1), Vec::new());
    }
    rows.into_iter()
        .map(|row| row.into_iter().filter(|c| *c != '\0').collect::<String>().trim_end().to_owned())
        .collect()
}

fn log() -> Vec<Step> {
    let mut steps = vec![started(), phase(PhaseType::Build), line("Entering phase BUILD")];
    steps.extend(command(1, "make", "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07text\n10%\r20%\r100%\n", 0, 12));
    steps.push(ended(BuildStatus::Succeeded, None, false));
    steps
}

#[test]
fn a_terminal_gets_text_and_colours_alone() {
    let (place, seen) = on_terminal(&log(), &[], &[("CI", "1")]);
    golden("terminal.txt", &place.plain(&seen.escape_ascii().to_string().replace("\\r\\n", "\n")));
    let shown = screen(&seen);
    assert!(shown.contains(&"red text".to_owned()) && shown.contains(&"100%".to_owned()), "{shown:?}");
}

#[test]
fn without_colours_a_terminal_gets_text_alone() {
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let (_, seen) = on_terminal(&log(), &[], &[variable, ("CI", "1")]);
        assert!(!seen.contains(&0x1b), "{}", seen.escape_ascii());
        assert!(String::from_utf8_lossy(&seen).contains("red text"));
    }
}

#[test]
fn raw_passes_everything() {
    let (_, seen) = on_terminal(&log(), &["--raw"], &[]);
    assert!(String::from_utf8_lossy(&seen).contains("\x1b]52;c;aGk=\x07text"));
}

#[test]
fn the_status_line_comes_and_goes_and_the_log_is_whole() {
    let place = Place::new();
    let (gate_one, gate_two) = (place.gate("one"), place.gate("two"));
    let mut steps = vec![started(), phase(PhaseType::Build), line("Entering phase BUILD")];
    steps.extend(begin(1, "make -j4 日本語"));
    steps.push(event(Event::Sample(Sample {
        cpu_ns: 5,
        memory_bytes: 312 << 20,
        memory_peak_bytes: 0,
        pids: 1,
        read_bytes: 0,
        written_bytes: 0,
    })));
    steps.push(Step::Output(1, "compiling 日本語 ".repeat(8).into_bytes()));
    steps.push(Step::Gate(gate_one.clone()));
    steps.push(Step::Output(1, b"done\n".to_vec()));
    steps.push(Step::Flood(1, "a line\n".to_owned(), 3000));
    steps.push(Step::Gate(gate_two.clone()));
    steps.extend(command(1, "make -j4 日本語", "last", 0, 5).split_off(2));
    steps.push(ended(BuildStatus::Succeeded, None, false));
    let (mut master, slave) = terminal();
    let _child = start(&mut kiln_on_terminal(&place, &steps, &[], &[]), slave);
    let mut seen = Vec::new();
    // The line that is not ended is shown above the status line, cut to the screen.
    read_until(&mut master, &mut seen, "312 MiB of 4 GiB");
    let now = screen(&seen);
    assert!(now.last().unwrap().starts_with("BUILD  make -j4 日本語  "), "{now:?}");
    assert!(now[now.len() - 2].starts_with("compiling 日本語") && now[now.len() - 2].ends_with('…'), "{now:?}");
    open(&gate_one);
    open(&gate_two);
    read_all(&mut master, &mut seen);
    let shown = screen(&seen);
    let log: String = shown.concat();
    assert!(log.contains(&format!("{}done", "compiling 日本語 ".repeat(8))), "{shown:?}");
    assert_eq!(shown.iter().filter(|row| *row == "a line").count(), 3000);
    assert!(!log.contains("MiB of 4 GiB ") && !log.contains("BUILD  make"), "the status line is gone: {shown:?}");
    assert!(shown.iter().any(|row| row == "last"));
}

#[test]
fn control_c_on_the_terminal_stops_the_build_through_its_lifeline_alone() {
    let place = Place::new();
    let steps = [
        started(),
        phase(PhaseType::Build),
        line("begun"),
        Step::Await('s'),
        line("stopped as asked"),
        ended(BuildStatus::Stopped, Some((PhaseType::Build, "", None)), false),
    ];
    let (mut master, slave) = terminal();
    let mut child = start(&mut kiln_on_terminal(&place, &steps, &[], &[("CI", "1")]), slave);
    let mut seen = Vec::new();
    read_until(&mut master, &mut seen, "begun");
    master.write_all(b"\x03").unwrap();
    read_all(&mut master, &mut seen);
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
    let text = String::from_utf8_lossy(&seen);
    assert!(text.contains("press Ctrl-C again") && text.contains("stopped as asked"), "{text}");
}

#[test]
fn debug_opens_a_shell_that_has_the_terminal_to_itself() {
    let place = Place::new();
    assert_eq!(place.run(&crate::fake::fails(), &[]).code(), 1);
    let (mut master, slave) = terminal();
    let modes = rustix::termios::tcgetattr(&slave).unwrap();
    let mut command = Command::new("setsid");
    place.environment(&mut command, &[]);
    command.env("TERM", "xterm").args([
        "--ctty",
        "--wait",
        "env",
        "--default-signal=HUP,INT",
        env!("CARGO_BIN_EXE_kiln"),
        "debug",
    ]);
    let mut child = start(&mut command, slave.try_clone().unwrap());
    let mut seen = Vec::new();
    read_until(&mut master, &mut seen, "shell> ");
    let said = String::from_utf8_lossy(&seen).into_owned();
    assert!(said.contains("FAILED in BUILD, command 2: make test"), "{said}");
    master.write_all(b"cat file; stty size\r").unwrap();
    read_until(&mut master, &mut seen, "made by the build");
    read_until(&mut master, &mut seen, &format!("24 {COLUMNS}"));
    // A key that stops programs goes to those in the shell. It is pressed when one runs for certain: what was typed has
    // been echoed before that.
    master.write_all(b"sh -c 'echo run$((1))ning; exec cat'\r").unwrap();
    read_until(&mut master, &mut seen, "run1ning");
    master.write_all(b"\x03").unwrap();
    seen.clear();
    read_until(&mut master, &mut seen, "shell> ");
    let size = Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    master.write_all(b"trap 'stty size' WINCH; stty size | grep 100 && echo changed > file; exit 7\r").unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(7));
    let after = rustix::termios::tcgetattr(&slave).unwrap();
    assert_eq!(after.local_modes, modes.local_modes, "the terminal is as it was");
    let file = place.data().join("builds").join(place.last()).join("disk/file");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "changed\n", "the window's size followed");
}

#[test]
fn a_terminal_that_goes_away_stops_the_build() {
    let place = Place::new();
    let stopped = ended(BuildStatus::Stopped, Some((PhaseType::Build, "", None)), false);
    let steps = [started(), phase(PhaseType::Build), line("begun"), Step::Await('s'), stopped];
    let (mut master, slave) = terminal();
    let mut child = start(&mut kiln_on_terminal(&place, &steps, &[], &[]), slave);
    read_until(&mut master, &mut Vec::new(), "begun");
    drop(master);
    child.0.wait().unwrap();
    let id = place.last();
    let record = loop {
        // `setsid` may have gone before `kiln`, which is told of the terminal's end in its own time.
        match std::fs::read_to_string(place.data().join("runs").join(&id).join("run.json")) {
            Ok(record) => break record,
            Err(_) => std::thread::yield_now(),
        }
    };
    assert!(record.contains("STOPPED"), "{record}");
}
