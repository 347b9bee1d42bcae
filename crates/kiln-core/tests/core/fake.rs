//! Runners that play a script: the build's inline buildspec is one. Everything else is real: store, logs, blobs, journal
//! files, and the threads of the core.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Read as _},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use kiln_core::runners::{Nudge, RegistryImage, Runners, RunnersError, Shell};
use kiln_model::{BuildStatus, PhaseContext, PhaseType};
use kiln_runner::job::{BuildspecSource, Control, JOURNAL_FILE, Job};
use kiln_wire::{
    event::{BuildEnded, Event, Sample},
    journal::{Encoder, file_header},
};

/// What the fake knows; shared by the fakes of several "servers" on one data directory, as runners outlive a server.
#[derive(Default)]
pub(crate) struct World {
    alive: Mutex<HashSet<String>>,
    told: Mutex<HashMap<String, Control>>,
    changed: Condvar,
    /// Every start, in order.
    pub(crate) started: Mutex<Vec<String>>,
    nudge: Mutex<Option<Nudge>>,
    /// Images that were taken: what builds call them, and their manifests.
    pub(crate) images: Mutex<Vec<(String, Vec<u8>)>>,
    /// Whether an image with the tag `slow` is taken at once, and not until it is given up.
    pub(crate) is_fast: AtomicBool,
}

impl World {
    /// Waits until an image is being taken.
    pub(crate) async fn taking(&self) {
        while self.images.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    fn nudge(&self, uuid: &str) {
        let nudge = self.nudge.lock().unwrap().clone();
        if let Some(nudge) = nudge {
            nudge(uuid);
        }
    }

    /// Waits until the build is told something.
    fn wait(&self, uuid: &str) -> Control {
        let told = self.told.lock().unwrap();
        *self.changed.wait_while(told, |told| !told.contains_key(uuid)).unwrap().get(uuid).unwrap()
    }

    /// Lets builds go on that wait to be told something.
    pub(crate) fn tell(&self, uuid: &str, control: Control) {
        self.told.lock().unwrap().insert(uuid.to_owned(), control);
        self.changed.notify_all();
    }

    /// How often a build was started.
    pub(crate) fn starts(&self, uuid: &str) -> usize {
        self.started.lock().unwrap().iter().filter(|s| *s == uuid).count()
    }
}

#[derive(Clone)]
pub(crate) struct FakeRunners {
    pub(crate) world: Arc<World>,
    builds: PathBuf,
}

impl FakeRunners {
    pub(crate) fn new(data: &std::path::Path, world: &Arc<World>) -> Self {
        let builds = data.join("builds");
        fs::create_dir_all(&builds).unwrap();
        Self { world: Arc::clone(world), builds }
    }
}

/// A journal that is written as a runner does.
struct Journal {
    path: PathBuf,
    encoder: Encoder,
    time_ns: u64,
}

impl Journal {
    fn append(&mut self, write: impl FnOnce(&mut Encoder, u64, &mut Vec<u8>)) {
        self.time_ns += 1_000_000;
        let mut bytes = Vec::new();
        write(&mut self.encoder, self.time_ns, &mut bytes);
        let mut file = fs::OpenOptions::new().append(true).open(&self.path).unwrap();
        io::Write::write_all(&mut file, &bytes).unwrap();
    }

    fn event(&mut self, event: &Event) {
        self.append(|encoder, at, out| encoder.event(at, event, out).unwrap());
    }

    fn phase(&mut self, phase: PhaseType, status: BuildStatus) {
        self.event(&Event::PhaseStarted { phase });
        let context = (status != BuildStatus::Stopped).then(|| match status {
            BuildStatus::Succeeded => PhaseContext::default(),
            _ => {
                PhaseContext::new("COMMAND_EXECUTION_ERROR", "Error while executing command: x. Reason: exit status 1")
            }
        });
        self.event(&Event::PhaseEnded { phase, status, context, duration_ms: 1 });
    }

    fn end(&mut self, status: BuildStatus) {
        self.event(&Event::BuildEnded(BuildEnded {
            status,
            phase: None,
            context: None,
            failed_command: None,
            duration_ms: 5,
            cpu_ms: 1,
            memory_peak_bytes: 1,
            read_bytes: 0,
            written_bytes: 0,
            kept: false,
            leftovers: vec![],
        }));
    }
}

/// The script of a build: a word a line. `ok`, `fail`; `wait`: until it is told to stop; `die`: without a word;
/// `lines N`; `samples N`: of N seconds, in which it used half a processor and wrote 1,000 bytes a second.
fn play(world: &World, uuid: &str, mut journal: Journal, script: &str) {
    journal.phase(PhaseType::Provisioning, BuildStatus::Succeeded);
    world.nudge(uuid);
    for word in script.lines().map(str::trim) {
        match word.split_once(' ') {
            Some(("lines", n)) => {
                for n in 0..n.parse::<u32>().unwrap() {
                    journal.append(|e, at, out| e.output(at, 1, format!("line {n}\n").as_bytes(), out).unwrap());
                }
            }
            Some(("samples", n)) => {
                for n in 1..=n.parse::<u64>().unwrap() {
                    journal.time_ns += 999_000_000;
                    journal.event(&Event::Sample(Sample {
                        cpu_ns: n * 500_000_000,
                        memory_bytes: 1 << 30,
                        memory_peak_bytes: 1 << 30,
                        pids: 1,
                        read_bytes: 0,
                        written_bytes: n * 1000,
                    }));
                }
            }
            _ => match word {
                "wait" => {
                    world.nudge(uuid);
                    if world.wait(uuid) == Control::Stop {
                        journal.event(&Event::PhaseStarted { phase: PhaseType::Build });
                        journal.event(&Event::PhaseEnded {
                            phase: PhaseType::Build,
                            status: BuildStatus::Stopped,
                            context: None,
                            duration_ms: 1,
                        });
                        journal.end(BuildStatus::Stopped);
                        return;
                    }
                }
                "die" => return,
                "fail" => {
                    journal.phase(PhaseType::Build, BuildStatus::Failed);
                    journal.end(BuildStatus::Failed);
                    return;
                }
                _ => {}
            },
        }
    }
    journal.phase(PhaseType::Build, BuildStatus::Succeeded);
    journal.phase(PhaseType::Finalizing, BuildStatus::Succeeded);
    journal.end(BuildStatus::Succeeded);
}

impl Runners for FakeRunners {
    fn take_image(&self, image: &dyn RegistryImage, _: i64) -> Result<(), RunnersError> {
        let mut manifest = Vec::new();
        image.open(None).unwrap().read_to_end(&mut manifest).unwrap();
        self.world.images.lock().unwrap().push((image.reference().to_owned(), manifest));
        if !image.reference().ends_with(":slow") || self.world.is_fast.load(Ordering::SeqCst) {
            return Ok(());
        }
        while !image.is_given_up() {
            std::thread::yield_now();
        }
        Err(RunnersError { message: "given up".to_owned(), disk_full: false })
    }

    fn start(&self, job: &Job) -> Result<(), RunnersError> {
        let uuid = job.id.uuid().to_owned();
        let BuildspecSource::Inline { text, .. } = job.buildspec.clone() else { panic!("{:?}", job.buildspec) };
        let dir = self.dir(&uuid);
        fs::create_dir(&dir).unwrap();
        job.write(&dir).unwrap();
        self.world.started.lock().unwrap().push(uuid.clone());
        let path = dir.join(JOURNAL_FILE);
        fs::write(&path, file_header()).unwrap();
        self.world.alive.lock().unwrap().insert(uuid.clone());
        let world = Arc::clone(&self.world);
        let journal = Journal { path, encoder: Encoder::new(), time_ns: job.submitted_ns };
        std::thread::spawn(move || {
            play(&world, &uuid, journal, &text);
            world.alive.lock().unwrap().remove(&uuid);
            world.nudge(&uuid);
        });
        Ok(())
    }

    fn dir(&self, uuid: &str) -> PathBuf {
        self.builds.join(uuid)
    }

    fn known(&self) -> io::Result<Vec<String>> {
        Ok(fs::read_dir(&self.builds)?.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
    }

    fn alive(&self, uuid: &str) -> bool {
        self.world.alive.lock().unwrap().contains(uuid)
    }

    fn tell(&self, uuid: &str, control: Control) {
        self.world.tell(uuid, control);
    }

    fn clear(&self, _: &str) -> Result<(), RunnersError> {
        Ok(())
    }

    fn close(&self, uuid: &str, keep: bool) -> Result<Option<u64>, RunnersError> {
        assert!(!keep);
        fs::remove_dir_all(self.dir(uuid)).ok();
        Ok(None)
    }

    fn shell(&self, _: &str) -> Result<Arc<dyn Shell>, RunnersError> {
        Err(RunnersError { message: "there are no shells here".to_owned(), disk_full: false })
    }

    fn on_change(&self, nudge: Nudge) {
        *self.world.nudge.lock().unwrap() = Some(nudge);
    }

    fn is_watching(&self) -> bool {
        true
    }

    fn watch(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}
