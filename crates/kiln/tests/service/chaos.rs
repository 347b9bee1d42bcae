//! All kinds of trouble at a low rate, in a random order that a seed tells: fault test 32 of `reliability.md`. The quick
//! form takes some tens of seconds; the long one as many seconds as `KILN_SOAK_SECONDS` says, ten minutes if it says
//! nothing. `KILN_SOAK_SEED` repeats an order (what the machine makes of it differs all the same).

use std::{
    collections::VecDeque,
    io::Read as _,
    net::TcpStream,
    time::{Duration, Instant},
};

use kiln_check::{Accepted, Ends};
use serde_json::{Value, json};

use crate::{
    client::{Client, accepted, buildspec, id, project},
    disks::SmallDisk,
    server::{Server, kill_a_runner, not_root, open_files, resident_kib, rounds, wait_for},
};

/// Builds that are not over, at most.
const AT_ONCE: usize = 24;
/// Resident memory may grow by this much in the quiet part, KiB.
const GROWTH: u64 = 16 << 10;
/// Files that a server may have open at the end more than at the begin of the quiet part.
const FILES: usize = 4;
/// Requests that the server refuses whatever its state.
const BAD: [(&str, &str); 6] = [
    ("StartBuild", r#"{"projectName":"nowhere"}"#),
    ("StartBuild", r#"{"projectName":["chaos"]}"#),
    ("CreateProject", r#"{"name":"-"}"#),
    ("BatchGetBuilds", r#"{"ids":[]}"#),
    ("StopBuild", r#"{"id":"chaos:00000000-0000-4000-8000-000000000000"}"#),
    ("ListProjects", "{"),
];

struct Chaos {
    server: Server,
    client: Client,
    disk: SmallDisk,
    random: fastrand::Rng,
    /// Not known to be over, oldest first.
    open: VecDeque<Accepted>,
    /// Over, and not deleted.
    over: Vec<Accepted>,
    /// Connections whose other end nobody reads.
    followers: Vec<TcpStream>,
    started: u32,
    done: std::collections::BTreeMap<&'static str, u32>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let disk = SmallDisk::new(1024, 16 << 10);
        std::fs::create_dir(disk.data()).unwrap();
        let mut server = Server::prepare(
            &disk.data(),
            &[("KILN_CAPACITY_MAX_BUILDS", "4"), ("KILN_NETWORK_MODE", "none"), ("KILN_KEEP_BUDGET", "0")],
        );
        server.run();
        let client = server.client().stubborn();
        let artifact = format!("{}artifacts:\n  files: [f]\n", buildspec(&["echo x > f", "echo done"]));
        for (name, spec) in [
            ("good", buildspec(&["true"])),
            ("bad", buildspec(&["echo no; exit 3"])),
            ("loud", buildspec(&["i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done"])),
            ("slow", buildspec(&["sleep 2"])),
            ("artifact", artifact),
        ] {
            let mut input = project(name, &spec);
            if name == "artifact" {
                input["artifacts"] = json!({ "type": "S3", "location": "out", "packaging": "ZIP", "name": "f.zip" });
            }
            client.retried("CreateProject", &input);
        }
        let random = fastrand::Rng::with_seed(seed);
        let (open, over, followers) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { server, client, disk, random, open, over, followers, started: 0, done: Default::default() }
    }

    /// One step; `quiet`: nothing that ends the server or fills its disk.
    fn step(&mut self, quiet: bool) {
        let dice = self.random.u32(0..1000);
        let what = match dice {
            0..10 if !quiet => "kill",
            10..20 if !quiet => "fill",
            20..40 => "runner",
            40..100 => "stop",
            100..160 => "bad",
            160..200 => "upload",
            200..240 => "follow",
            240..260 => "delete",
            _ => "start",
        };
        *self.done.entry(what).or_default() += 1;
        match what {
            "kill" => {
                self.followers.clear();
                assert!(self.server.kill(), "the server has ended by itself: {}", self.server.log());
                std::thread::sleep(Duration::from_millis(self.random.u64(0..300)));
                self.server.run();
            }
            "fill" => {
                self.disk.fill();
                // Whatever is said to that is said.
                for _ in 0..5 {
                    self.client.call("UpdateProject", &json!({ "name": "good", "description": "x".repeat(200) })).ok();
                    self.bad();
                }
                self.disk.free();
            }
            "runner" => kill_a_runner(&self.server, self.random.u8(..)),
            "stop" => {
                if let Some(build) = self.any() {
                    self.client.retried("StopBuild", &json!({ "id": id(&build) }));
                }
            }
            "bad" => self.bad(),
            "upload" => {
                let target = "Kiln_20261122.UploadSource";
                let sent = vec![7; 100_000];
                drop(self.client.open("kiln", target, "application/zip", &sent, 2_000_000));
            }
            "follow" => {
                if let Some(build) = self.any() {
                    let input = json!({ "id": id(&build), "follow": true }).to_string();
                    let target = "Kiln_20261122.GetBuildJournal";
                    let body = input.as_bytes();
                    if let Ok(mut socket) =
                        self.client.open("kiln", target, "application/x-amz-json-1.1", body, body.len())
                    {
                        socket.read_exact(&mut [0; 64]).ok();
                        self.followers.push(socket);
                    }
                    if self.followers.len() > 8 {
                        self.followers.remove(0);
                    }
                }
            }
            "delete" => {
                let gone: Vec<_> = self.over.drain(..self.over.len().min(10)).map(|build| id(&build)).collect();
                if !gone.is_empty() {
                    self.client.retried("BatchDeleteBuilds", &json!({ "ids": gone }));
                }
            }
            _ => self.start(),
        }
        while self.open.len() > AT_ONCE {
            self.settle();
        }
    }

    fn start(&mut self) {
        let names = ["good", "good", "good", "bad", "loud", "slow", "artifact"];
        let name = names[self.random.usize(0..names.len())];
        self.started += 1;
        let input = json!({ "projectName": name, "idempotencyToken": format!("chaos-{}", self.started) });
        let build = accepted(&self.client.retried("StartBuild", &input)["build"]);
        self.open.push_back(build);
    }

    fn bad(&mut self) {
        let (operation, body) = BAD[self.random.usize(0..BAD.len())];
        let target = format!("CodeBuild_20161006.{operation}");
        if let Ok((status, answer)) = self.client.exchange("codebuild", &target, body.as_bytes()) {
            assert_eq!(status, 400, "{operation} {body}: {}", String::from_utf8_lossy(&answer));
        }
    }

    fn any(&mut self) -> Option<Accepted> {
        let n = self.random.usize(0..self.open.len().max(1));
        self.open.get(n).cloned()
    }

    /// Waits for the oldest build.
    fn settle(&mut self) {
        let Some(build) = self.open.pop_front() else { return };
        let ended = self.client.finished(&build);
        let status = ended["buildStatus"].as_str().unwrap();
        let wanted: &[&str] = if build.project == "bad" { &["FAILED"] } else { &["SUCCEEDED"] };
        // Stopped, or its runner was killed, or there was no space.
        assert!(wanted.contains(&status) || ["STOPPED", "FAULT"].contains(&status), "{ended}");
        if status == "FAULT" {
            assert!(ended["phases"].as_array().unwrap().iter().any(said_why), "a reason: {ended}");
        }
        self.over.push(build);
    }

    fn settle_all(&mut self) {
        while !self.open.is_empty() {
            self.settle();
        }
        self.followers.clear();
    }

    /// Resident memory and open files of the server when it has nothing to do.
    fn idle(&mut self) -> (u64, usize) {
        self.settle_all();
        let pid = self.server.pid();
        let mut last = open_files(pid);
        // Connections and directories of the last builds are let go of in a moment.
        let files = wait_for("the server to calm down", || {
            std::thread::sleep(Duration::from_millis(200));
            let now = open_files(pid);
            let calm = now == last;
            last = now;
            calm.then_some(now)
        });
        (resident_kib(pid), files)
    }

    fn run(&mut self, quiet: bool, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.step(quiet);
        }
    }
}

fn said_why(phase: &Value) -> bool {
    phase["contexts"].as_array().is_some_and(|c| c.iter().any(|c| c["message"].as_str().is_some_and(|m| !m.is_empty())))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn whatever_happens_at_random_is_survived() {
    if not_root() {
        return;
    }
    let seconds = rounds(20, number("KILN_SOAK_SECONDS").unwrap_or(600));
    let seed = number("KILN_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("KILN_SOAK_SEED={seed} KILN_SOAK_SECONDS={seconds}");
    let mut chaos = Chaos::new(seed);
    chaos.run(false, Duration::from_secs(seconds / 2));
    chaos.settle_all();

    // One server's memory and files, once it has seen a bit of everything.
    chaos.run(true, Duration::from_secs(seconds / 8));
    let (memory, files) = chaos.idle();
    let mut seen = vec![(memory, files)];
    for _ in 0..4 {
        chaos.run(true, Duration::from_secs(seconds * 3 / 32));
        seen.push(chaos.idle());
    }
    println!("{} builds, {:?}; memory in KiB and open files: {seen:?}", chaos.started, chaos.done);
    let (memory_then, files_then) = seen[seen.len() - 1];
    assert!(memory_then < memory + GROWTH, "memory grew: {seen:?}");
    assert!(files_then <= files + FILES, "files stay open: {seen:?}");
    let Chaos { mut server, over, disk, .. } = chaos;
    server.stop();
    let before = Ends::read(server.data()).unwrap();
    server.run();
    server.stop();
    let changed = before.changed_in(&Ends::read(server.data()).unwrap());
    assert!(changed.is_empty(), "{changed:?}");
    server.check(&over);
    drop(server);
    drop(disk);
}
