//! Runs one command in a sandbox, and with `--bench N` measures start, `/bin/true` and removal.
//!
//! `cargo run -p kiln-engine --example sandbox -- [--bench N] [--runtime /usr/sbin/runc] [--dir DIR]
//! [--host-network|--private-network] [--privileged] [--] COMMAND [ARG…]`

use std::{
    ffi::CString,
    path::PathBuf,
    time::{Duration, Instant},
};

use kiln_engine::{Access, Disk, Engine, Exit, Limits, NetworkMode, Process, RootFs, SandboxSpec, Volume};

type Failure = Box<dyn std::error::Error>;

/// What the command line asks for.
struct Options {
    engine: Engine,
    rounds: u32,
    dir: Option<PathBuf>,
    network: NetworkMode,
    privileged: bool,
    command: Vec<String>,
}

fn main() -> Result<(), Failure> {
    let mut options = Options {
        engine: Engine::native(),
        rounds: 0,
        dir: None,
        network: NetworkMode::None,
        privileged: false,
        command: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--bench" => options.rounds = value()?.parse()?,
            "--dir" => options.dir = Some(value()?.into()),
            "--host-network" => options.network = NetworkMode::Host,
            "--private-network" => options.network = NetworkMode::Private,
            "--privileged" => options.privileged = true,
            "--runtime" => options.engine = Engine::oci(value()?),
            "--" => options.command.extend(args.by_ref()),
            _ => {
                options.command.push(arg);
                options.command.extend(args.by_ref());
            }
        }
    }
    let work = std::env::temp_dir().join("kiln-sandbox-example");
    if options.rounds > 0 {
        return bench(&options, &work);
    }
    let (exit, _) = run(&options, &work, true)?;
    match exit {
        Exit::Code(code) => std::process::exit(code),
        Exit::Signal(signal) => std::process::exit(128 + signal),
    }
}

fn run(options: &Options, work: &std::path::Path, chatty: bool) -> Result<(Exit, Duration), Failure> {
    let id = format!("example-{}", std::process::id());
    let fd = |fd: &dyn std::os::fd::AsFd| fd.as_fd().try_clone_to_owned();
    let argv: Result<Vec<CString>, _> = options.command.iter().map(|arg| CString::new(arg.as_str())).collect();
    let volumes = options.dir.iter().map(|dir| Volume {
        source: dir.clone(),
        target: "/work".into(),
        access: Access::CopyOnWrite,
    });
    let spec = SandboxSpec {
        id: id.clone(),
        root: RootFs::Host,
        disk: Disk { dir: work.join(&id), templates: work.join("templates"), bytes: 10 << 30 },
        container_store: None,
        volumes: volumes.collect(),
        process: Process {
            argv: argv?,
            env: vec![CString::new("HOME=/root")?],
            cwd: if options.dir.is_some() { "/work" } else { "/root" }.into(),
            stdio: [Some(fd(&std::io::stdin())?), Some(fd(&std::io::stdout())?), Some(fd(&std::io::stderr())?)],
            fds: Vec::new(),
        },
        limits: Limits { vcpus: Some(2), memory_bytes: Some(3 << 30), pids: Some(4096) },
        network: options.network,
        privileged: options.privileged,
        hostname: "kiln".into(),
    };
    let begin = Instant::now();
    let mut sandbox = options.engine.start(spec)?;
    if chatty {
        sandbox.notices().iter().for_each(|notice| eprintln!("note: {notice}"));
    }
    let started = begin.elapsed();
    let exit = loop {
        if let Some(exit) = sandbox.wait(None)? {
            break exit;
        }
    };
    let ended = begin.elapsed();
    if chatty {
        eprintln!("{:?} after {ended:?}, started in {started:?}, {:?}", exit, sandbox.usage());
    }
    for left in sandbox.destroy(false)? {
        eprintln!("left over: {left}");
    }
    if chatty {
        eprintln!("removed after {:?}", begin.elapsed());
    }
    Ok((exit, begin.elapsed()))
}

fn bench(options: &Options, work: &std::path::Path) -> Result<(), Failure> {
    let mut times = Vec::new();
    for _ in 0..options.rounds {
        times.push(run(options, work, false)?.1);
    }
    times.sort();
    let at = |part: usize| times.get(times.len() * part / 100).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    println!("start, run, remove: min {:.2} ms, median {:.2} ms, p95 {:.2} ms", at(0), at(50), at(95));
    Ok(())
}
