//! A data directory, and servers on it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kiln_core::{
    Core, Parts,
    config::{Config, Retention},
    providers::outgoing::{Nobody, Outgoing},
    queue::Capacity,
    traces::TraceSink,
};
use kiln_model::{
    BuildStatus, PhaseType,
    arn::Home,
    codebuild::{
        ArtifactsType, BatchGetBuildsInput, Build, ComputeType, CreateProjectInput, EnvironmentType, ProjectArtifacts,
        ProjectEnvironment, ProjectSource, SourceType, StartBuildInput,
    },
    service::{Caller, CodeBuild as _, Context},
};
use kiln_runner::{
    clock::{Clock, ManualClock},
    job::{EngineChoice, Network},
};
use kiln_store::{AuditLog, Metadata, blobs::Blobs, keys::Keys, logs::Logs};
use tempfile::TempDir;

use crate::fake::{FakeRunners, World};

/// For how long records of builds are kept, and uploaded sources.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
pub(crate) const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Longest wait for something that takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn context() -> Context {
    Context {
        origin: "http://127.0.0.1:5456".to_owned(),
        caller: Caller {
            account: "000000000000".to_owned(),
            arn: "arn:aws:iam::000000000000:root".to_owned(),
            name: "root".to_owned(),
            access_key_id: "AKIAEXAMPLE".to_owned(),
            user_id: "000000000000".to_owned(),
            session: None,
        },
        region: "us-east-1".to_owned(),
        request_id: "request".to_owned(),
        surroundings: std::sync::Arc::default(),
        rulings: kiln_model::audit::Rulings::default(),
        traceparent: None,
    }
}

pub(crate) struct Place {
    data: PathBuf,
    _temporary: Option<TempDir>,
    pub(crate) world: Arc<World>,
    clock: Arc<ManualClock>,
    builds: u32,
    traces: Option<Arc<dyn TraceSink>>,
    outgoing: Arc<dyn Outgoing>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with_builds(8)
    }

    /// With room for so many builds.
    pub(crate) fn with_builds(builds: u32) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.set_wall_ns(1_800_000_000_000_000_000);
        let temporary = tempfile::tempdir().unwrap();
        let data = temporary.path().to_owned();
        Self {
            data,
            _temporary: Some(temporary),
            world: Arc::default(),
            clock,
            builds,
            traces: None,
            outgoing: Arc::new(Nobody),
        }
    }

    /// Whose servers give the traces of builds to a collector.
    pub(crate) fn collected_by(mut self, traces: Arc<dyn TraceSink>) -> Self {
        self.traces = Some(traces);
        self
    }

    /// Whose servers call providers so.
    pub(crate) fn calling(mut self, outgoing: Arc<dyn Outgoing>) -> Self {
        self.outgoing = outgoing;
        self
    }

    /// On a directory that another process looks after.
    pub(crate) fn on(data: &Path) -> Self {
        Self { data: data.to_owned(), _temporary: None, ..Self::new() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Sets the wall clock, which may go back.
    pub(crate) fn set_clock(&self, ns: u64) {
        self.clock.set_wall_ns(ns);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Starts a server.
    pub(crate) fn serve(&self) -> Core<FakeRunners> {
        let data = self.data();
        let metadata = Metadata::open(&data).unwrap();
        let keys = Keys::open(&data.join("keys"), &metadata, 0).unwrap();
        let clock = Clock::Manual(Arc::clone(&self.clock));
        let config = Config {
            home: Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() },
            data: data.clone(),
            capacity: Capacity { memory_bytes: 1 << 40, builds: self.builds },
            queue_limit: 10_000,
            console_url: "http://127.0.0.1:5456".to_owned(),
            registry_host: None,
            registry_names: vec!["127.0.0.1:5456".to_owned()],
            default_bucket: "kiln-000000000000-us-east-1".to_owned(),
            allow_host_image: true,
            engine: EngineChoice::Native,
            network: Network::Private,
            network_allow: vec![],
            max_log_bytes: 1 << 30,
            keep_budget: 0,
            external: Vec::new(),
            providers: kiln_core::providers::Settings::new("https://kiln.example".to_owned()),
            retention: Retention { builds: YEAR, sources: MONTH, uploads: MONTH, audit: MONTH },
        };
        Core::start(Parts {
            audit: AuditLog::open(&data, &keys, kiln_core::audit::options(&config.home, clock.clone())).unwrap(),
            clock,
            blobs: Blobs::open(&data.join("blobs"), keys.clone()).unwrap(),
            logs: Logs::open(&data.join("logs")).unwrap(),
            runners: FakeRunners::new(&data, &self.world),
            traces: self.traces.clone(),
            outgoing: Arc::clone(&self.outgoing),
            config,
            keys,
            metadata,
        })
        .unwrap()
    }

    /// A project without source, whose buildspec is a script.
    pub(crate) fn input(name: &str, script: &str) -> CreateProjectInput {
        CreateProjectInput {
            name: name.to_owned(),
            source: ProjectSource {
                r#type: SourceType::NoSource,
                // Inline: it has several lines.
                buildspec: Some(format!("script\n{script}\n")),
                ..Default::default()
            },
            artifacts: ProjectArtifacts { r#type: ArtifactsType::NoArtifacts, ..Default::default() },
            environment: ProjectEnvironment {
                r#type: EnvironmentType::Linux,
                image: "host".to_owned(),
                compute_type: ComputeType::Small,
                ..Default::default()
            },
            service_role: "arn:aws:iam::000000000000:role/kiln-default-build-role".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) async fn project(&self, core: &Core<FakeRunners>, name: &str, script: &str) {
        core.create_project(&context(), Self::input(name, script)).await.unwrap();
    }

    pub(crate) async fn start(&self, core: &Core<FakeRunners>, project: &str) -> Build {
        let input = StartBuildInput { project_name: project.to_owned(), ..Default::default() };
        core.start_build(&context(), input).await.unwrap().build
    }

    /// Waits until a build is as wanted.
    async fn until(&self, core: &Core<FakeRunners>, id: &str, wanted: impl Fn(&Build) -> bool) -> Build {
        let look = async {
            loop {
                let ids = vec![id.to_owned()];
                let build =
                    core.batch_get_builds(&context(), BatchGetBuildsInput { ids }).await.unwrap().builds.remove(0);
                if wanted(&build) {
                    return build;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("build {id} does not get there"))
    }

    /// Waits for a build's end.
    pub(crate) async fn end(&self, core: &Core<FakeRunners>, id: &str) -> Build {
        self.until(core, id, |b| b.build_status != Some(BuildStatus::InProgress)).await
    }

    /// Waits until a build has a runner that has said something.
    pub(crate) async fn begun(&self, core: &Core<FakeRunners>, id: &str) -> Build {
        let provisioned =
            |b: &Build| b.phases.iter().any(|p| p.phase_type == Some(PhaseType::Provisioning) && p.end_time.is_some());
        self.until(core, id, provisioned).await
    }

    /// Stops a server, and checks what it leaves.
    pub(crate) fn checked(&self, core: Core<FakeRunners>) {
        core.stop();
        drop(core);
        let metadata = Metadata::open(&self.data()).unwrap();
        assert_eq!(metadata.check().unwrap(), Vec::<String>::new());
        let left: Vec<_> = std::fs::read_dir(self.data().join("builds")).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
        let started = self.world.started.lock().unwrap();
        let mut once = started.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), started.len(), "a build was started twice");
    }
}
