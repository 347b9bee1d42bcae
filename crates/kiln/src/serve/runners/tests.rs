//! With real runners and containers (image `host`); every test with one ends with the invariant checker.

use std::{
    collections::BTreeSet,
    env,
    fs::File,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use kiln_model::{BuildId, BuildStatus, ComputeType};
use kiln_runner::{
    entry::{Entry, EntryKind},
    follow::Follower,
    job::{
        ArtifactSettings, BuildspecSource, EngineChoice, JOB_VERSION, JOURNAL_FILE, Keep, Network, Packaging,
        ServiceSettings, ServiceSource, Source,
    },
    zip::{ZipOptions, ZipWriter},
};
use kiln_wire::{
    event::{Artifact, Event},
    journal::Body,
};

use super::*;

/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// In the environment of [`a_server_for_another_test`]: where its data is, and the build that it starts.
const DATA: &str = "KILN_TEST_SERVER_DATA";
const UUID: &str = "KILN_TEST_SERVER_UUID";

/// Prints a line again and again until it is stopped.
const ENDLESS: &str =
    "version: 0.2\nphases:\n  build:\n    commands:\n      - while :; do echo tick; sleep 0.05; done\n";

fn uuid(n: u32) -> String {
    format!("{n:08x}-1111-4222-8333-444455556666")
}

/// The executable that cargo builds beside its tests.
fn kiln() -> PathBuf {
    let path = env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("kiln");
    assert!(path.is_file(), "{} is missing: cargo build -p kiln", path.display());
    path
}

fn server(data: &Path) -> (ServerRunners, Receiver<String>) {
    let runners = ServerRunners::new(data, Some(kiln())).unwrap();
    let (sender, changes) = channel();
    let sender = Mutex::new(sender);
    runners.on_change(Arc::new(move |uuid| sender.lock().unwrap().send(uuid.to_owned()).unwrap_or_default()));
    (runners, changes)
}

/// A build without a source.
fn job(runners: &ServerRunners, data: &Path, uuid: &str, buildspec: &str) -> Job {
    let dir = runners.dir(uuid);
    Job {
        version: JOB_VERSION,
        id: BuildId::new("demo", uuid).unwrap(),
        number: 1,
        initiator: "root".into(),
        region: "us-east-1".into(),
        account: "000000000000".into(),
        submitted_ns: 1_768_471_200_000_000_000,
        data: data.to_owned(),
        artifacts: dir.join("artifacts"),
        reports: dir.join("reports"),
        cache: None,
        docker_layers: None,
        source: Source::of_service(&dir, []),
        buildspec: BuildspecSource::Inline { text: buildspec.to_owned(), name: "buildspec.yml".into() },
        image: "host".into(),
        engine: EngineChoice::Native,
        compute: ComputeType::Small,
        network: Network::None,
        network_allow: vec![],
        privileged: false,
        variables: vec![],
        timeout_secs: 600,
        keep: Keep::Never,
        resume: None,
        packaging: Packaging::Zip,
        source_date_epoch: None,
        max_log_bytes: u64::MAX,
        service: Some(ServiceSettings::default()),
    }
}

/// What a journal says so far: text of the log, and how the build ended.
fn journal(runners: &ServerRunners, uuid: &str) -> (String, Option<BuildStatus>) {
    let path = runners.dir(uuid).join(JOURNAL_FILE);
    let (mut text, mut ended) = (String::new(), None);
    if let Ok(mut follower) = Follower::unwatched(&path) {
        follower
            .read(|record| {
                match record.body {
                    Body::Output { bytes, .. } | Body::Service(bytes) => {
                        text.push_str(&String::from_utf8_lossy(bytes));
                    }
                    Body::Event(event) => {
                        if let Event::BuildEnded(end) = *event {
                            ended = Some(end.status);
                        }
                    }
                }
                true
            })
            .unwrap();
    }
    (text, ended)
}

/// The artifacts that a journal tells of.
fn artifacts(runners: &ServerRunners, uuid: &str) -> Vec<Artifact> {
    let mut found = Vec::new();
    let read = Follower::unwatched(&runners.dir(uuid).join(JOURNAL_FILE)).unwrap().read(|record| {
        if let Body::Event(event) = record.body
            && let Event::Artifact(artifact) = *event
        {
            found.push(artifact);
        }
        true
    });
    read.unwrap();
    found
}

/// Looks again after every nudge for this build until `done`.
fn await_change(changes: &Receiver<String>, uuid: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        let left = deadline.saturating_duration_since(Instant::now());
        while changes.recv_timeout(left).expect("no more changes are told, and what was awaited did not happen") != uuid
        {
        }
    }
}

/// Children of this process that have ended and were not waited for.
fn zombies() -> Vec<String> {
    let own = std::process::id().to_string();
    let stats =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let fields: Vec<&str> =
                stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
            fields.first() == Some(&"Z") && fields.get(1) == Some(&own.as_str()) && stat.contains("(kiln)")
        })
        .collect()
}

fn assert_clean(data: &Path) {
    let violations = kiln_check::check(data, &[]).unwrap();
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn a_build_without_a_source_is_followed_to_its_end_and_closed() {
    let data = tempfile::tempdir().unwrap();
    let (runners, changes) = server(data.path());
    let id = uuid(1);
    let spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - pwd\n      - ls -A | wc -l\n      - echo of $CODEBUILD_BUILD_ID local=$CODEBUILD_LOCAL_BUILD.\nartifacts:\n  files: [none]\n";
    let mut job = job(&runners, data.path(), &id, spec);
    job.service.as_mut().unwrap().variables = vec![("CODEBUILD_LOCAL_BUILD".into(), None)];
    runners.start(&job).unwrap();
    assert_eq!(runners.known().unwrap(), std::slice::from_ref(&id));
    await_change(&changes, &id, || !runners.alive(&id));
    let (text, ended) = journal(&runners, &id);
    assert_eq!(ended, Some(BuildStatus::Succeeded), "{text}");
    // The buildspec has artifacts; the project has none.
    assert!(text.contains("\n0\n") && text.contains(&format!("of demo:{id} local=.\n")), "{text}");
    assert_eq!(runners.close(&id, false).unwrap(), None);
    assert_eq!(runners.close(&id, false).unwrap(), None, "closing twice does nothing");
    assert!(runners.known().unwrap().is_empty() && !runners.dir(&id).exists());
    assert_clean(data.path());
}

/// An archive of files: name, mode, content.
fn archive(path: &Path, files: &[(&str, u32, &[u8])]) {
    let mut zip = ZipWriter::create(path, ZipOptions::default()).unwrap();
    for (name, mode, content) in files {
        let kind = EntryKind::File;
        let entry = Entry {
            path: name.as_bytes(),
            kind,
            mode: *mode,
            size: content.len() as u64,
            mtime_ns: 1_700_000_000_000_000_000,
        };
        zip.entry(&entry, &mut &**content).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn sources_are_unpacked_inside_and_artifacts_lie_where_the_service_looks() {
    let data = tempfile::tempdir().unwrap();
    let (runners, changes) = server(data.path());
    let (main, tools) = (data.path().join("main.zip"), data.path().join("tools.zip"));
    let spec = br#"version: 0.2
env:
  variables:
    VERSION: "1.2"
phases:
  build:
    commands:
      - ./bin/hello > out.txt
      - cat $CODEBUILD_SRC_DIR_tools/t.txt >> out.txt
      - stat -c 'hello %Y %a' bin/hello
artifacts:
  files: [out.txt]
  name: app-$VERSION
  secondary-artifacts:
    tree:
      files: [bin/hello]
      name: ignored
    unknown:
      files: [out.txt]
"#;
    archive(&main, &[("bin/hello", 0o755, b"#!/bin/sh\necho hello\n"), ("ci/spec.yml", 0o644, spec)]);
    archive(&tools, &[("t.txt", 0o644, b"tool\n")]);
    let id = uuid(8);
    let mut job = job(&runners, data.path(), &id, "");
    job.buildspec = BuildspecSource::InSource("./ci/spec.yml".into());
    job.source = Source::of_service(&runners.dir(&id), ["tools"]);
    job.service = Some(ServiceSettings {
        source: ServiceSource::Zip { path: main.clone() },
        secondary_sources: vec![("tools".into(), ServiceSource::Zip { path: tools })],
        artifact: Some(ArtifactSettings { packaging: Packaging::Zip, override_name: true }),
        secondary_artifacts: vec![
            ("tree".into(), ArtifactSettings { packaging: Packaging::None, override_name: false }),
            ("not-in-buildspec".into(), ArtifactSettings { packaging: Packaging::Zip, override_name: false }),
        ],
        ..ServiceSettings::default()
    });
    runners.start(&job).unwrap();
    await_change(&changes, &id, || !runners.alive(&id));
    let (text, ended) = journal(&runners, &id);
    assert_eq!(ended, Some(BuildStatus::Succeeded), "{text}");
    assert!(text.contains("hello 1700000000 755\n") && text.contains("Skipping secondary artifacts unknown"), "{text}");
    let out = runners.dir(&id).join("artifacts");
    assert!(fs::read(out.join("primary")).unwrap().starts_with(b"PK"));
    assert_eq!(fs::read(out.join("secondary/tree/bin/hello")).unwrap(), b"#!/bin/sh\necho hello\n");
    assert_eq!(fs::read_dir(out.join("secondary")).unwrap().count(), 1);
    let names: Vec<_> = artifacts(&runners, &id).into_iter().map(|a| (a.identifier, a.name, a.packaging)).collect();
    let expected =
        [(None, Some("app-1.2".to_owned()), "ZIP".to_owned()), (Some("tree".to_owned()), None, "NONE".to_owned())];
    assert_eq!(names, expected);
    // The host has none of the source's files.
    assert_eq!(fs::read_dir(&job.source.dir).unwrap().count(), 0);
    runners.close(&id, false).unwrap();

    // An archive that is none of what it should be fails the phase, and says why.
    archive(&main, &[("bomb", 0o644, &[0; 2 << 20])]);
    let id = uuid(9);
    job.id = BuildId::new("demo", &id).unwrap();
    job.source = Source::of_service(&runners.dir(&id), ["tools"]);
    runners.start(&job).unwrap();
    await_change(&changes, &id, || !runners.alive(&id));
    let (text, ended) = journal(&runners, &id);
    assert_eq!(ended, Some(BuildStatus::Failed), "{text}");
    let context =
        "Phase context status code: CLIENT_ERROR Message: entry 'bomb' of the source archive unpacks to more than";
    assert!(text.contains("Phase complete: DOWNLOAD_SOURCE State: FAILED") && text.contains(context), "{text}");
    runners.close(&id, false).unwrap();
    assert_clean(data.path());
}

/// Works in a shell, leaves it, and kills a second one.
fn shell_in_the_kept_file_system(runners: &ServerRunners, id: &str) {
    let shell = runners.shell(id).unwrap();
    assert!(runners.alive(id));
    assert!(runners.shell(id).is_err_and(|e| e.message.contains("in use")), "one at a time");
    shell.resize(33, 77);
    shell.write(b"stty size; echo left=$((40 + 2)); exit 7\n").unwrap();
    let (mut output, mut buffer) = (Vec::new(), [0; 100]);
    while let n @ 1.. = shell.read(&mut buffer).unwrap() {
        output.extend_from_slice(buffer.get(..n).unwrap());
    }
    let output = String::from_utf8_lossy(&output);
    assert!(output.contains("33 77") && output.contains("left=42"), "{output}");
    assert_eq!(shell.wait(), Ok(7));
    assert!(shell.write(b"x").is_err());
    drop(shell);

    let shell = runners.shell(id).unwrap();
    shell.write(b"echo here\n").unwrap();
    assert!(shell.read(&mut buffer).unwrap() > 0);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| shell.wait());
        shell.kill();
        assert_ne!(waiting.join().unwrap(), Ok(0));
    });
    drop(shell);
    assert!(!runners.alive(id));
}

#[test]
fn another_process_stops_a_build_and_its_file_system_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let (runners, changes) = server(data.path());
    let id = uuid(2);
    let mut job = job(&runners, data.path(), &id, "version: 0.2\nphases:\n  build:\n    commands: [exit 3]\n");
    job.keep = Keep::OnFailure;
    runners.start(&job).unwrap();
    await_change(&changes, &id, || !runners.alive(&id));
    assert_eq!(journal(&runners, &id).1, Some(BuildStatus::Failed));
    let kept = runners.close(&id, true).unwrap();
    assert!(kept.is_some_and(|bytes| bytes > 0), "{kept:?}");
    assert!(!runners.dir(&id).join(JOURNAL_FILE).exists() && Job::read(&runners.dir(&id)).is_ok());
    assert_eq!(runners.known().unwrap(), std::slice::from_ref(&id));
    shell_in_the_kept_file_system(&runners, &id);

    let endless = uuid(3);
    runners.start(&self::job(&runners, data.path(), &endless, ENDLESS)).unwrap();
    await_change(&changes, &endless, || journal(&runners, &endless).0.contains("tick\ntick\n"));
    assert!(runners.close(&endless, false).is_err_and(|e| e.message.contains("in use")), "a running build stays");
    let control = File::options().write(true).open(runners.dir(&endless).join(CONTROL_FILE)).unwrap();
    let told = Command::new("printf").arg("s").stdout(control).status().unwrap();
    assert!(told.success());
    await_change(&changes, &endless, || !runners.alive(&endless));
    assert_eq!(journal(&runners, &endless).1, Some(BuildStatus::Stopped));
    assert_eq!(runners.close(&endless, true).unwrap(), None, "of a stopped build nothing is kept");
    assert_clean(data.path());
    assert_eq!(runners.close(&id, false).unwrap(), None);
    assert!(runners.known().unwrap().is_empty());
}

/// Not a test: the server that [`a_runner_outlives_the_server_that_started_it`] kills.
#[test]
fn a_server_for_another_test() {
    let (Ok(data), Ok(id)) = (env::var(DATA), env::var(UUID)) else { return };
    let (runners, _changes) = server(Path::new(&data));
    runners.start(&job(&runners, Path::new(&data), &id, ENDLESS)).unwrap();
    loop {
        thread::park();
    }
}

fn other_server(data: &Path, id: &str) -> Child {
    let name = "serve::runners::tests::a_server_for_another_test";
    Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(DATA, data)
        .env(UUID, id)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_runner_outlives_the_server_that_started_it() {
    let data = tempfile::tempdir().unwrap();
    let (runners, changes) = server(data.path());
    let id = uuid(4);
    // The directory of them all is watched by nobody: the other server makes its build's.
    let mut other = other_server(data.path(), &id);
    let deadline = Instant::now() + PATIENCE;
    while runners.watch(&id).is_err() {
        assert!(Instant::now() < deadline, "the other server starts nothing");
        thread::yield_now();
    }
    await_change(&changes, &id, || journal(&runners, &id).0.contains("tick"));
    other.kill().unwrap();
    other.wait().unwrap();
    let ticks = || journal(&runners, &id).0.matches("tick\n").count();
    let before = ticks();
    await_change(&changes, &id, || ticks() > before + 3);
    assert!(runners.alive(&id) && runners.known().unwrap() == [id.clone()]);
    runners.tell(&id, Control::Stop);
    await_change(&changes, &id, || !runners.alive(&id));
    assert_eq!(journal(&runners, &id).1, Some(BuildStatus::Stopped));
    runners.tell(&id, Control::Kill); // nobody is there to hear it
    runners.close(&id, false).unwrap();
    assert_clean(data.path());
}

#[test]
fn many_start_at_once_and_none_stays_a_zombie() {
    const BUILDS: u32 = 20;
    let data = tempfile::tempdir().unwrap();
    let (runners, changes) = server(data.path());
    let spec = "version: 0.2\nphases:\n  build:\n    commands: [echo done]\n";
    thread::scope(|scope| {
        for n in 0..BUILDS {
            let (runners, data) = (&runners, data.path());
            scope.spawn(move || runners.start(&job(runners, data, &uuid(100 + n), spec)).unwrap());
        }
    });
    let mut running: BTreeSet<String> = (0..BUILDS).map(|n| uuid(100 + n)).collect();
    while !running.is_empty() {
        let id = changes.recv_timeout(PATIENCE).unwrap();
        if running.contains(&id) && !runners.alive(&id) {
            assert_eq!(journal(&runners, &id).1, Some(BuildStatus::Succeeded));
            runners.close(&id, false).unwrap();
            running.remove(&id);
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while !zombies().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", zombies());
        thread::yield_now();
    }
    assert!(runners.known().unwrap().is_empty());
    assert_clean(data.path());
}

#[test]
fn a_runner_that_does_not_start_leaves_nothing_and_a_build_is_started_once() {
    let data = tempfile::tempdir().unwrap();
    let runners = ServerRunners::new(data.path(), Some("/nonexistent/kiln".into())).unwrap();
    let id = uuid(5);
    let job = job(&runners, data.path(), &id, ENDLESS);
    let error = runners.start(&job).unwrap_err();
    assert!(error.message.contains("/nonexistent/kiln") && !error.disk_full, "{error}");
    assert!(!runners.dir(&id).exists());
    fs::create_dir(runners.dir(&id)).unwrap();
    assert!(runners.start(&job).is_err());
    assert!(runners.dir(&id).exists(), "what was there is not ours to remove");
    assert!(failed(&anyhow::Error::new(io::Error::from(Errno::NOSPC)).context("x")).disk_full);
}

#[test]
fn a_runner_inherits_nothing_but_its_lifeline_its_lock_and_its_log() {
    let data = tempfile::tempdir().unwrap();
    let _socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = data.path().join("runner.sh");
    // By another process: what is open for writing here, children of other tests hold open too, and it cannot be executed.
    let script = r#"echo '#!/bin/sh
readlink /proc/self/fd/* > "$2/descriptors"' > "$0" && chmod 755 "$0""#;
    assert!(Command::new("sh").args(["-c", script]).arg(&program).status().unwrap().success());
    let runners = ServerRunners::new(data.path(), Some(program)).unwrap();
    let (sender, changes) = channel();
    let sender = Mutex::new(sender);
    runners.on_change(Arc::new(move |uuid| sender.lock().unwrap().send(uuid.to_owned()).unwrap_or_default()));
    let id = uuid(6);
    runners.start(&job(&runners, data.path(), &id, ENDLESS)).unwrap();
    await_change(&changes, &id, || !runners.alive(&id));
    let dir = runners.dir(&id);
    let open = fs::read_to_string(dir.join("descriptors")).unwrap();
    let expected = [dir.join(CONTROL_FILE), dir.join("descriptors"), dir.join("runner.log")];
    assert_eq!(open.lines().map(PathBuf::from).collect::<Vec<_>>(), expected, "{open}");
    runners.close(&id, false).unwrap();
}

#[test]
fn telling_never_waits() {
    let data = tempfile::tempdir().unwrap();
    let runners = ServerRunners::new(data.path(), None).unwrap();
    let id = uuid(7);
    runners.tell(&id, Control::Stop); // no such build
    fs::create_dir_all(runners.dir(&id)).unwrap();
    let control = runners.dir(&id).join(CONTROL_FILE);
    make_lifeline(&control).unwrap();
    runners.tell(&id, Control::Stop); // no runner
    // A runner that does not read, and a pipe (64 KiB) that is full.
    let runner = open_lifeline(&control, OFlags::RDWR).unwrap();
    for _ in 0..70_000 {
        runners.tell(&id, Control::Stop);
    }
    let mut byte = [0];
    rustix::io::read(&runner, &mut byte).unwrap();
    assert_eq!(byte[0], Control::Stop.byte());
}
