//! A runner that plays a script. `kiln` starts it through `KILN_RUNNER`: this test program itself, whose arguments
//! (`runner BUILD_DIR`) are names of tests to the test harness, so that it runs [`runner`].

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use kiln_model::{BuildStatus, ComputeType, PhaseContext, PhaseType};
use kiln_runner::job::{Control, DISK_DIR, JOURNAL_FILE, Job};
use kiln_wire::{
    agent::CommandExit,
    event::{BuildEnded, BuildStarted, CommandEnded, CommandStarted, Event, Section},
    journal::{Encoder, file_header},
};
use serde::{Deserialize, Serialize};

/// Names the script; absent when the tests run as tests.
pub(crate) const SCRIPT: &str = "KILN_TEST_SCRIPT";
/// Journal time of the first record.
const START_NS: u64 = 1_768_471_200_000_000_000;

/// What the fake runner does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    Event(Box<Event>),
    Output(u32, Vec<u8>),
    /// The same output, many times.
    Flood(u32, String, usize),
    Service(String),
    /// Waits for this control, and fails when another one comes.
    Await(char),
    /// Waits until somebody writes to this FIFO.
    Gate(PathBuf),
    /// Says something on standard error.
    Stderr(String),
    /// Puts a file on the build disk.
    Disk(String),
    /// Writes bytes that are no record.
    Damage,
    /// Dies from SIGKILL.
    Die,
    /// Ends with this status.
    Exit(i32),
}

/// Not a test: the runner that `kiln` starts.
#[test]
fn runner() {
    let Some(script) = std::env::var_os(SCRIPT) else { return };
    rustix::process::setsid().unwrap();
    let build_dir = PathBuf::from(std::env::args_os().nth(2).expect("the build's directory"));
    if let Some(terminal) = std::env::args_os().nth(3) {
        shell(&build_dir, Path::new(&terminal));
    }
    let steps: Vec<Step> = serde_json::from_slice(&fs::read(script).unwrap()).unwrap();
    play(&build_dir, steps);
    std::process::exit(0);
}

/// A shell on a terminal, in the directory that stands for the kept file system.
fn shell(build_dir: &Path, terminal: &Path) -> ! {
    let open = || OpenOptions::new().read(true).write(true).open(terminal).unwrap();
    let mut shell = std::process::Command::new("setsid")
        .args(["--ctty", "--wait", "sh"])
        .current_dir(build_dir.join(DISK_DIR))
        .env("PS1", "shell> ")
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .spawn()
        .unwrap();
    let mut byte = [0];
    std::thread::spawn(move || {
        // Whoever started it is gone, or wants it to end.
        std::io::stdin().read_exact(&mut byte).ok();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
    });
    let status = shell.wait().unwrap().code().unwrap();
    rustix::io::write(rustix::stdio::stdout(), format!("exit {status}\n").as_bytes()).unwrap();
    std::process::exit(0);
}

fn play(build_dir: &Path, steps: Vec<Step>) {
    let job = Job::read(build_dir).unwrap();
    fs::copy(build_dir.join("job.json"), job.data.join("last-job.json")).unwrap();
    let mut encoder = Encoder::new();
    let mut time = START_NS;
    let mut journal: Option<File> = None;
    let mut write = |bytes: &[u8]| {
        let file = journal.get_or_insert_with(|| {
            let mut file = OpenOptions::new().append(true).create_new(true).open(build_dir.join(JOURNAL_FILE)).unwrap();
            file.write_all(&file_header()).unwrap();
            file
        });
        file.write_all(bytes).unwrap();
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        rustix::net::send(std::io::stdin(), b"j", flags).ok(); // whoever started it may be gone
    };
    let mut lifeline = std::io::stdin().lock();
    for step in steps {
        let mut out = Vec::new();
        time += 1_000_000;
        match step {
            Step::Event(event) => encoder.event(time, &event, &mut out).unwrap(),
            Step::Output(command, bytes) => encoder.output(time, command, &bytes, &mut out).unwrap(),
            Step::Service(text) => encoder.service(time, text.as_bytes(), &mut out).unwrap(),
            Step::Flood(command, text, times) => {
                for _ in 0..times {
                    encoder.output(time, command, text.as_bytes(), &mut out).unwrap();
                    if out.len() > 1 << 16 {
                        write(&out);
                        out.clear();
                    }
                }
            }
            Step::Await(control) => {
                let mut byte = [0];
                let n = lifeline.read(&mut byte).unwrap();
                assert_eq!((n, Control::from_byte(byte[0])), (1, Control::from_byte(control as u8)));
            }
            Step::Gate(fifo) => {
                File::open(fifo).unwrap().read_to_end(&mut Vec::new()).unwrap();
            }
            Step::Stderr(text) => {
                // Not through the harness, which keeps what tests print.
                rustix::io::write(rustix::stdio::stderr(), format!("{text}\n").as_bytes()).unwrap();
            }
            Step::Disk(text) => {
                let disk = build_dir.join(DISK_DIR);
                fs::create_dir_all(&disk).unwrap();
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(disk.join("file"))
                    .unwrap()
                    .write_all(text.as_bytes())
                    .unwrap();
            }
            Step::Damage => out.extend_from_slice(&[0xff; 64]),
            Step::Die => {
                let own = rustix::process::getpid();
                rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            }
            Step::Exit(code) => std::process::exit(code),
        }
        if !out.is_empty() {
            write(&out);
        }
    }
}

pub(crate) fn event(event: Event) -> Step {
    Step::Event(Box::new(event))
}

/// A line of the service.
pub(crate) fn line(text: &str) -> Step {
    Step::Service(format!("[Container] 2026/01/15 10:00:00.100001 {text}\n"))
}

pub(crate) fn started() -> Step {
    event(Event::BuildStarted(BuildStarted {
        id: "local:00000000-0000-4000-8000-000000000000".to_owned(),
        image: "host".to_owned(),
        engine: "native".to_owned(),
        compute: ComputeType::Small,
        memory_limit_bytes: Some(4 << 30),
        network: "private".to_owned(),
        kiln: "0.1.0".to_owned(),
        resumes: None,
    }))
}

pub(crate) fn phase(phase: PhaseType) -> Step {
    event(Event::PhaseStarted { phase })
}

pub(crate) fn phase_ended(phase: PhaseType, status: BuildStatus, duration_ms: u64) -> Step {
    let context = Some(PhaseContext::default());
    event(Event::PhaseEnded { phase, status, context, duration_ms })
}

/// A command of the BUILD phase, from 1, with what it prints.
pub(crate) fn command(number: u32, text: &str, output: &str, code: i32, duration_ms: u64) -> Vec<Step> {
    let mut steps = begin(number, text);
    if !output.is_empty() {
        steps.push(Step::Output(number, output.as_bytes().to_vec()));
    }
    steps.push(Step::Service(if output.is_empty() || output.ends_with('\n') { "\n" } else { "\n\n" }.to_owned()));
    steps.push(event(Event::CommandEnded(CommandEnded {
        command: number,
        exit: CommandExit::Code(code),
        duration_ms,
        cpu_ms: duration_ms,
        memory_peak_bytes: None,
        read_bytes: 0,
        written_bytes: 0,
        oom_kills: 0,
        pids_refused: 0,
        holders: Vec::new(),
    })));
    if code != 0 {
        steps.push(line(&format!("Command did not exit successfully {text} exit status {code}")));
    }
    steps
}

pub(crate) fn begin(number: u32, text: &str) -> Vec<Step> {
    vec![
        line(&format!("Running command {text}")),
        event(Event::CommandStarted(CommandStarted {
            command: number,
            phase: PhaseType::Build,
            section: Section::Commands,
            index: number - 1,
            line: 10 + number,
            text: text.to_owned(),
            attempt: 1,
        })),
    ]
}

/// The end of a build; `failed`: the phase, the status code, and the command.
pub(crate) fn ended(status: BuildStatus, failed: Option<(PhaseType, &str, Option<u32>)>, kept: bool) -> Step {
    event(Event::BuildEnded(BuildEnded {
        status,
        phase: failed.map(|(phase, ..)| phase),
        context: failed.map(|(_, code, _)| PhaseContext::new(code, "what went wrong")),
        failed_command: failed.and_then(|(.., command)| command),
        duration_ms: 1234,
        cpu_ms: 567,
        memory_peak_bytes: 89 << 20,
        read_bytes: 0,
        written_bytes: 0,
        kept,
        leftovers: Vec::new(),
    }))
}

/// A build that succeeds after printing `output`.
pub(crate) fn succeeds(output: &str) -> Vec<Step> {
    let mut steps = vec![started(), phase(PhaseType::Build), line("Entering phase BUILD")];
    steps.extend(command(1, "make", output, 0, 12));
    steps.push(phase_ended(PhaseType::Build, BuildStatus::Succeeded, 15));
    steps.push(line("Phase complete: BUILD State: SUCCEEDED"));
    steps.push(ended(BuildStatus::Succeeded, None, false));
    steps
}

/// A build whose second command fails, and whose file system is kept.
pub(crate) fn fails() -> Vec<Step> {
    let mut steps = vec![started(), phase(PhaseType::Build), line("Entering phase BUILD")];
    steps.extend(command(1, "make", "cc -o app app.c\n", 0, 1200));
    steps.extend(command(2, "make test", "test one: ok\ntest two: FAILED\n", 2, 340));
    steps.push(phase_ended(PhaseType::Build, BuildStatus::Failed, 1600));
    steps.push(line("Phase complete: BUILD State: FAILED"));
    steps.push(Step::Disk("made by the build\n".to_owned()));
    steps.push(ended(BuildStatus::Failed, Some((PhaseType::Build, "COMMAND_EXECUTION_ERROR", Some(2))), true));
    steps
}
