//! A build from PROVISIONING to FINALIZING, in the order in which it happens.
//!
//! [`run`] is the runner's whole work; the phases' own work stands in the modules beside it: [`crate::provision`],
//! [`crate::download`], [`crate::commands`], [`crate::upload`].

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    time::Duration,
};

use kiln_buildspec::{Buildspec, Env, Phases, Proxy, Version};
use kiln_engine::{Usage, container_store};
use kiln_model::{
    BuildStatus, PhaseContext, PhaseType,
    trace::{BuildTrace, Traceparent},
};
use kiln_wire::event::{BuildEnded, Event};

use crate::{
    cache::DEFAULT_BUDGET,
    clock::Clock,
    crash,
    environment::Environment,
    git,
    job::{JOURNAL_FILE, Job, JobError, Keep},
    journal::{Journal, WriteError},
    layout::Layout,
    phases::{self, Outcome},
    provision::{self, Provisioned},
    relay::Relay,
    session::{Halt, Limits, Session},
};

/// The runner could not even begin, or lost its journal.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The job file.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] WriteError),
}

/// By this variable programs know which span they are a part of.
pub(crate) const TRACEPARENT: &str = "TRACEPARENT";

/// Why a phase failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For the build's record.
    pub(crate) context: PhaseContext,
    /// Number of the command that failed.
    pub(crate) command: Option<u32>,
}

impl Failure {
    pub(crate) fn new(status_code: &str, message: impl Into<String>) -> Self {
        Self { context: PhaseContext::new(status_code, message), command: None }
    }
}

/// What a phase's own work comes to: done, failed by the user's doing, or the end of the build.
pub(crate) type PhaseResult = Result<Option<Failure>, Halt>;

/// A build whose container runs.
#[derive(Debug)]
pub(crate) struct Build<'j> {
    pub(crate) job: &'j Job,
    pub(crate) layout: Layout,
    /// What the build reaches of the server.
    pub(crate) relay: Option<Relay>,
    pub(crate) session: Session,
    /// Variables of the image.
    pub(crate) image_env: Vec<(String, String)>,
    /// Memory limit that is enforced, bytes.
    pub(crate) memory_limit: Option<u64>,
    /// The image is one in which builds find a Docker daemon.
    pub(crate) starts_docker: bool,
    /// What the image says of its runtimes (`buildspec.md` 13.2). Set by DOWNLOAD_SOURCE.
    pub(crate) runtimes_file: Option<String>,
    /// Set by DOWNLOAD_SOURCE.
    pub(crate) buildspec: Buildspec,
    /// Set by DOWNLOAD_SOURCE.
    pub(crate) environment: Option<Environment>,
    /// What servers of git sources were shown.
    pub(crate) shown: Vec<git::Shown>,
    /// Cache state between restore and save.
    pub(crate) cache: crate::cache_step::CacheStep,
    verdict: Verdict,
}

/// What is known of the build's end so far.
#[derive(Debug, Default)]
struct Verdict {
    status: Option<BuildStatus>,
    phase: Option<PhaseType>,
    context: Option<PhaseContext>,
    command: Option<u32>,
}

impl Verdict {
    /// The first failure decides; a later one does not hide it.
    fn fail(&mut self, status: BuildStatus, phase: PhaseType, context: Option<PhaseContext>, command: Option<u32>) {
        if self.status.is_none() {
            *self = Self { status: Some(status), phase: Some(phase), context, command };
        }
    }
}

/// Runs the build of `build_dir` to its end. `agent` is the agent's binary, `lifeline` carries
/// [`crate::job::Control`] bytes.
///
/// # Errors
/// When there is no usable job, or when the journal cannot be written: then the build cannot be told about, and ends.
pub fn run(build_dir: &Path, agent: &[u8], lifeline: Option<OwnedFd>) -> Result<BuildStatus, RunError> {
    let job = Job::read(build_dir)?;
    let clock = Clock::system();
    let started = clock.monotonic();
    let mut journal = Journal::create(&build_dir.join(JOURNAL_FILE), clock.clone(), job.max_log_bytes)?;
    if let Some(lifeline) = &lifeline {
        // Where it fails, the follower still sees the journal's end when this process ends.
        journal.tell(lifeline.as_fd()).ok();
    }
    crash::point("journal_created");

    let provisioned = provision::provision(&job, build_dir, agent, &mut journal, &clock);
    let Provisioned { relay, sandbox, sockets, image_env, memory_limit, starts_docker, lease } = match provisioned {
        Ok(provisioned) => provisioned,
        Err(provision::Error::Journal(e)) => return Err(e.into()),
        Err(provision::Error::Failed { status, context }) => {
            let verdict = Verdict {
                status: Some(status),
                phase: Some(PhaseType::Provisioning),
                context: Some(context),
                command: None,
            };
            return end(&clock, started, journal, verdict, Usage::default(), false, Vec::new());
        }
    };
    crash::point("provisioned");

    let limits = Limits { lifeline, deadline: started + Duration::from_secs(job.timeout_secs) };
    let session = Session::new(sandbox, sockets, journal, clock.clone(), limits);
    let mut build = Build {
        job: &job,
        layout: Layout::new(&job),
        relay,
        session,
        image_env,
        memory_limit,
        starts_docker,
        runtimes_file: None,
        buildspec: empty_buildspec(),
        environment: None,
        shown: Vec::new(),
        cache: crate::cache_step::CacheStep::default(),
        verdict: Verdict::default(),
    };
    let result = build.phases();
    match result {
        Ok(()) => {}
        Err(Halt::Journal(e)) => {
            // Nothing can be told any more; leave nothing behind.
            let (sandbox, _) = build.session.into_parts();
            drop((build.relay, sandbox));
            return Err(e.into());
        }
        Err(_) => {} // the phase that was running has said why
    }
    let status = build.finalize(started);
    drop(lease);
    status
}

impl Build<'_> {
    /// Every phase from DOWNLOAD_SOURCE to UPLOAD_ARTIFACTS that has its turn.
    fn phases(&mut self) -> Result<(), Halt> {
        let mut phase = PhaseType::DownloadSource;
        while phase < PhaseType::Finalizing {
            let skipped = PhaseType::COMMAND_PHASES.contains(&phase)
                && self.job.resume.as_ref().is_some_and(|resume| phase < resume.phase);
            let outcome = if skipped { Outcome::Succeeded } else { self.phase(phase)? };
            let on_failure = self.buildspec.phases.get(phase).and_then(|p| p.on_failure.as_ref());
            phase = phases::next(phase, outcome, on_failure);
        }
        Ok(())
    }

    fn phase(&mut self, phase: PhaseType) -> Result<Outcome, Halt> {
        let started = self.session.clock.monotonic();
        self.session.journal.event(&Event::PhaseStarted { phase })?;
        crash::point("phase_started");
        let result = match phase {
            PhaseType::DownloadSource => self.download(),
            PhaseType::UploadArtifacts => self.upload(),
            _ => self.command_phase(phase),
        };
        crash::point("phase_done");
        let (status, context, command) = match &result {
            Ok(None) => (BuildStatus::Succeeded, Some(PhaseContext::default()), None),
            Ok(Some(failure)) => (BuildStatus::Failed, Some(failure.context.clone()), failure.command),
            Err(Halt::Journal(_)) => return result.map(|_| Outcome::Failed),
            Err(halt) => {
                let (status, context) = self.judge(halt);
                (status, context, None)
            }
        };
        let context = context.map(|c| PhaseContext { message: self.session.journal.masker().text(&c.message), ..c });
        if let Some(context) = &context {
            self.session.journal.phase_complete(phase, status.as_str(), context)?;
        } else {
            self.session.journal.line(&format!("Phase complete: {phase} State: {status}"))?;
        }
        let duration_ms = millis(self.session.clock.monotonic().saturating_sub(started));
        self.session.journal.event(&Event::PhaseEnded { phase, status, context: context.clone(), duration_ms })?;
        if status != BuildStatus::Succeeded {
            self.verdict.fail(status, phase, context, command);
        }
        match result {
            Ok(None) => Ok(Outcome::Succeeded),
            Ok(Some(_)) => {
                self.set_failing(phase)?;
                Ok(Outcome::Failed)
            }
            Err(halt) => Err(halt),
        }
    }

    /// What a halt means for the build's record (`buildspec.md` 4.5, section 6).
    fn judge(&mut self, halt: &Halt) -> (BuildStatus, Option<PhaseContext>) {
        let fault = |message: String| (BuildStatus::Fault, Some(PhaseContext::new("INTERNAL_ERROR", message)));
        match halt {
            // No context on a stopped phase.
            Halt::Stopped | Halt::Killed => (BuildStatus::Stopped, None),
            Halt::TimedOut => {
                let secs = self.job.timeout_secs;
                let (number, unit) = if secs.is_multiple_of(60) { (secs / 60, "minute") } else { (secs, "second") };
                let plural = if number == 1 { "" } else { "s" };
                let message = format!("Build has timed out. The limit was {number} {unit}{plural}.");
                (BuildStatus::TimedOut, Some(PhaseContext::new("BUILD_TIMED_OUT", message)))
            }
            Halt::Died(_) => {
                let usage = self.session.usage();
                if usage.oom_kills > 0 {
                    let message = format!(
                        "Build container found dead before completing the build. It ran out of memory: {}",
                        self.memory_text(&usage)
                    );
                    (BuildStatus::Failed, Some(PhaseContext::new("BUILD_CONTAINER_DEAD", message)))
                } else {
                    fault(halt.to_string())
                }
            }
            Halt::Protocol(_) | Halt::Journal(_) | Halt::Socket(_) | Halt::Sink(_) | Halt::Host(_) => {
                fault(halt.to_string())
            }
        }
    }

    /// The memory limit and the peak, for people.
    pub(crate) fn memory_text(&self, usage: &Usage) -> String {
        let peak = crate::text::bytes(usage.memory_peak_bytes);
        match self.memory_limit {
            Some(limit) => format!("the limit is {}, the peak was {peak}", crate::text::bytes(limit)),
            None => format!("the peak was {peak}"),
        }
    }

    /// The trace that commands are told of: that of the build, unless it has a variable `TRACEPARENT` for something else.
    pub(crate) fn trace(&self) -> Option<BuildTrace> {
        let trace = self.job.service.as_ref()?.trace?;
        let given = self.environment.as_ref().and_then(|environment| environment.variables.get(TRACEPARENT));
        if given.is_some_and(|value| value.parse::<Traceparent>().is_err()) {
            return None;
        }
        BuildTrace::new(self.job.id.uuid(), trace.parent)
    }

    /// `CODEBUILD_BUILD_SUCCEEDING` is 1 until some phase fails (`buildspec.md` section 3).
    fn set_failing(&mut self, phase: PhaseType) -> Result<(), Halt> {
        if PhaseType::COMMAND_PHASES.contains(&phase) {
            let variables = [("CODEBUILD_BUILD_SUCCEEDING".to_owned(), "0".to_owned())].into();
            self.session.request(|id| kiln_wire::agent::ToAgent::Set { id, variables })?;
        }
        Ok(())
    }

    /// FINALIZING: nothing of the build stays on the host, unless it is kept.
    fn finalize(self, started: Duration) -> Result<BuildStatus, RunError> {
        let usage = self.session.usage();
        let keep = match (self.job.keep, self.verdict.status) {
            (Keep::Always, status) => status != Some(BuildStatus::Stopped),
            (Keep::OnFailure, Some(BuildStatus::Failed | BuildStatus::TimedOut)) => true,
            (Keep::OnFailure | Keep::Never, _) => false,
        };
        let clock = self.session.clock.clone();
        let phase_started = clock.monotonic();
        let stopped = self.verdict.status == Some(BuildStatus::Stopped);
        let (sandbox, mut journal) = self.session.into_parts();
        if !stopped {
            journal.event(&Event::PhaseStarted { phase: PhaseType::Finalizing })?;
        }
        crash::point("finalizing");
        // Its listeners hold the build's network.
        drop(self.relay);
        let mut leftovers = sandbox.destroy(keep).unwrap_or_else(|e| vec![e.to_string()]);
        if let Some(stores) = self.job.docker_layers.as_deref().and_then(Path::parent)
            && let Err(e) = container_store::prune(stores, DEFAULT_BUDGET)
        {
            leftovers.push(e.to_string());
        }
        crash::point("destroyed");
        journal.finish()?;
        if !stopped {
            journal.event(&Event::PhaseEnded {
                phase: PhaseType::Finalizing,
                status: BuildStatus::Succeeded,
                context: Some(PhaseContext::default()),
                duration_ms: millis(clock.monotonic().saturating_sub(phase_started)),
            })?;
        }
        end(&clock, started, journal, self.verdict, usage, keep, leftovers)
    }
}

fn end(
    clock: &Clock,
    started: Duration,
    mut journal: Journal,
    verdict: Verdict,
    usage: Usage,
    kept: bool,
    leftovers: Vec<String>,
) -> Result<BuildStatus, RunError> {
    let status = verdict.status.unwrap_or(BuildStatus::Succeeded);
    journal.event(&Event::BuildEnded(BuildEnded {
        status,
        phase: verdict.phase,
        context: verdict.context,
        failed_command: verdict.command,
        duration_ms: millis(clock.monotonic().saturating_sub(started)),
        cpu_ms: usage.cpu_ns / 1_000_000,
        memory_peak_bytes: usage.memory_peak_bytes,
        read_bytes: usage.read_bytes,
        written_bytes: usage.written_bytes,
        kept,
        leftovers,
    }))?;
    journal.sync()?;
    crash::point("ended");
    Ok(status)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Stands where no buildspec was read: nothing to run, nothing to upload.
fn empty_buildspec() -> Buildspec {
    Buildspec {
        version: Version::V0_2,
        run_as: None,
        env: Env::default(),
        proxy: Proxy::default(),
        batch: None,
        phases: Phases::default(),
        reports: Vec::new(),
        artifacts: None,
        cache: None,
    }
}
