//! DOWNLOAD_SOURCE: the buildspec, the variables, the runtimes, the cache (`buildspec.md` 1.1, 1.9, 5.2).
//!
//! A local run fetches nothing: the source directory is a layer of the container's file system from the start. Archives
//! of the service are unpacked inside the container ([`crate::service_source`]), repositories fetched beside it
//! ([`crate::git`]).

use std::{collections::BTreeMap, path::Path};

use kiln_buildspec::{BuildspecError, ParseOptions, Severity, SourceText, render_excerpt};
use kiln_model::{PhaseType, build_secret::BuildSecret};
use kiln_wire::agent::{FromAgent, Setup, ToAgent};

use crate::{
    archive::SourceArchive,
    build::{Build, Failure, PhaseResult},
    environment, identity,
    job::BuildspecSource,
    layout::INLINE_BUILDSPEC,
    mask::Masker,
    secrets::{self, Resolved, Wanted},
    service_source::archive_name,
    session::Halt,
    source::{SourceError, SourceRoot},
};

/// Name of the buildspec when none is given; only this one is looked for (`buildspec.md` 1.1).
const DEFAULT_BUILDSPEC: &str = "buildspec.yml";

impl Build<'_> {
    pub(crate) fn download(&mut self) -> PhaseResult {
        let source_dir = self.layout.source_dir().to_owned();
        for line in ["Running on CodeBuild On-demand", "Waiting for agent ping"] {
            self.session.journal.line(line)?;
        }
        self.runtimes_file = self.session.ready()?;
        self.session.journal.line("Waiting for DOWNLOAD_SOURCE")?;
        // A kept file system has them.
        if self.job.resume.is_none()
            && let Err(failure) = self.fetch_sources()?
        {
            return Ok(Some(failure));
        }
        self.session.journal.line("Phase is DOWNLOAD_SOURCE")?;
        self.session.journal.line(&format!("CODEBUILD_SRC_DIR={source_dir}"))?;
        for ((id, _), dir) in self.job.source.secondary.iter().zip(self.layout.secondary_dirs().to_vec()) {
            self.session.journal.line(&format!("CODEBUILD_SRC_DIR_{id}={dir}"))?;
        }
        if let Some(resume) = &self.job.resume {
            let text = format!(
                "Going on with the file system of build {} at phase {}. Its background processes and its temporary file systems (/dev/shm) are gone",
                resume.of, resume.phase
            );
            self.session.journal.line(&text)?;
        }

        let checkout = self.checkout();
        let root = match SourceRoot::open(checkout.as_deref().unwrap_or(&self.job.source.dir)) {
            Ok(root) => root,
            Err(e) => return Ok(Some(Failure::new("CLIENT_ERROR", format!("source directory {e}")))),
        };
        let mut archive = match self.unpack_sources()? {
            Ok(archive) => archive,
            Err(failure) => return Ok(Some(failure)),
        };
        let (text, location) = match self.buildspec_text(&root, archive.as_mut(), &source_dir) {
            Ok(found) => found,
            Err((location, failure)) => {
                self.session.journal.line(&format!("YAML location is {location}"))?;
                return Ok(Some(failure));
            }
        };
        drop(archive);
        self.session.journal.line(&format!("YAML location is {location}"))?;
        let parsed = match kiln_buildspec::parse(&text, ParseOptions::default()) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.explain(&text, &error)?;
                return Ok(Some(Failure::new("YAML_FILE_ERROR", error.to_string())));
            }
        };
        for line in parsed.warning_lines() {
            self.session.journal.line(&line)?;
        }
        self.buildspec = parsed.buildspec;
        for (phase, spec) in self.buildspec.phases.iter() {
            if spec.commands.is_empty() {
                let name = phase.as_str().to_ascii_lowercase();
                self.session.journal.line(&format!("No commands found for phase name: {name}"))?;
            }
        }

        if let Some(failure) = self.variables(&root)? {
            return Ok(Some(failure));
        }
        self.start_docker()?;
        if let Some(failure) = self.runtimes()? {
            return Ok(Some(failure));
        }
        self.session.journal.line(&format!("Moving to directory {source_dir}"))?;
        self.restore_cache()?;
        self.session.journal.line("Registering with agent")?;
        let counts: Vec<(PhaseType, usize)> =
            self.buildspec.phases.iter().map(|(phase, spec)| (phase, spec.commands.len())).collect();
        self.session.journal.line(&format!("Phases found in YAML: {}", counts.len()))?;
        for (phase, commands) in counts {
            self.session.journal.line(&format!(" {phase}: {commands} commands"))?;
        }
        Ok(None)
    }

    /// Shows where the buildspec is wrong and what to do: the service's own message says neither well.
    fn explain(&mut self, text: &[u8], error: &BuildspecError) -> Result<(), Halt> {
        let source = SourceText::lossy(text);
        for diagnostic in error.diagnostics().iter().filter(|d| d.severity == Severity::Error).take(20) {
            let mut report = format!("line {}, column {}: {}", diagnostic.line, diagnostic.column, diagnostic.message);
            let excerpt = render_excerpt(&source, diagnostic, false);
            if !excerpt.is_empty() {
                report.push('\n');
                report.push_str(excerpt.trim_end());
            }
            if let Some(hint) = &diagnostic.hint {
                report.push_str("\nhint: ");
                report.push_str(hint);
            }
            self.session.journal.line(&report)?;
        }
        Ok(())
    }

    /// The buildspec's bytes and what the log calls their place. `archive`: the source that was unpacked; then the
    /// buildspec is read from there, not from the container, in which nothing is to be trusted.
    fn buildspec_text(
        &self,
        root: &SourceRoot,
        archive: Option<&mut SourceArchive>,
        source_dir: &str,
    ) -> Result<(Vec<u8>, String), (String, Failure)> {
        let (path, named) = match &self.job.buildspec {
            BuildspecSource::Inline { text, .. } => {
                return Ok((text.clone().into_bytes(), INLINE_BUILDSPEC.to_owned()));
            }
            BuildspecSource::Default => (DEFAULT_BUILDSPEC, false),
            BuildspecSource::InSource(path) => (path.as_str(), true),
        };
        let location = format!("{source_dir}/{path}");
        let limit = kiln_buildspec::MAX_BYTES as u64;
        let missing = || {
            if named {
                format!("stat {location}: no such file or directory")
            } else {
                "YAML file does not exist".to_owned()
            }
        };
        let text = match archive {
            Some(archive) => match archive_name(path) {
                Some(name) => {
                    archive.read(name.as_bytes(), limit).map_err(|e| e.to_string()).and_then(|t| t.ok_or_else(missing))
                }
                None => Err(format!("{path} leads out of the source directory")),
            },
            None => root.read(Path::new(path), limit).map_err(|e| match e {
                SourceError::Missing(_) => missing(),
                e => e.to_string(),
            }),
        };
        match text {
            Ok(text) => Ok((text, location)),
            Err(message) => Err((location, Failure::new("YAML_FILE_ERROR", message))),
        }
    }

    fn variables(&mut self, root: &SourceRoot) -> PhaseResult {
        self.session.journal.line("Processing environment variables")?;
        let wanted = secrets::wanted(self.job, &self.buildspec);
        let has_parameters = wanted.iter().any(|wanted| matches!(wanted.secret, BuildSecret::Parameter { .. }));
        if has_parameters || !self.buildspec.env.parameter_store.is_empty() {
            self.session.journal.line("Decrypting parameter store environment variables")?;
        }
        let resolved = match self.secrets(wanted)? {
            Ok(resolved) => resolved,
            Err(failure) => return Ok(Some(failure)),
        };
        let commit = root.git_commit();
        let mut environment = environment::compose(
            self.job,
            &self.layout,
            &self.image_env,
            &self.buildspec,
            commit.as_deref(),
            &resolved,
        );
        self.give_source_credentials(&mut environment);
        if let Some(relay) = &self.relay {
            identity::add(&mut environment, relay, self.job, &self.buildspec);
        }
        self.session.journal.set_masker(Masker::new(&environment.secrets));
        if !environment.unmasked.is_empty() {
            self.session.journal.line(&format!(
                "Too short or too common to be hidden in the log: {}",
                environment.unmasked.join(", ")
            ))?;
        }
        if let Some(shell) = &self.buildspec.env.shell {
            self.session.journal.line(&format!("Selecting shell {shell} as specified in buildspec."))?;
        }
        let mut variables = environment.variables.clone();
        if self.job.resume.is_some() {
            // The kept state holds what the commands made of the variables; only what was given now replaces it.
            let given: BTreeMap<String, String> = self.job.variables.iter().cloned().collect();
            variables.retain(|name, _| given.contains_key(name) || name.starts_with("CODEBUILD_"));
        }
        let setup = |id| {
            ToAgent::Setup(Setup {
                id,
                variables,
                source_dir: self.layout.source_dir().into(),
                keep_state: self.job.resume.is_some(),
            })
        };
        match self.session.request(setup)? {
            FromAgent::Done { .. } => {}
            FromAgent::Failed { message, .. } => return Ok(Some(Failure::new("CLIENT_ERROR", message))),
            other => return Err(Halt::Protocol(format!("{other:?} in answer to Setup"))),
        }
        self.environment = Some(environment);
        Ok(None)
    }

    /// Asks the service for parameters and secrets.
    fn secrets(&mut self, wanted: Vec<Wanted>) -> Result<Result<Vec<Resolved>, Failure>, Halt> {
        if wanted.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let Some(server) = self.job.service.as_ref().and_then(|service| service.server.as_ref()) else {
            return Ok(Err(secrets::nobody_to_ask(self.job, &wanted)));
        };
        let asked: Vec<BuildSecret> = wanted.iter().map(|wanted| wanted.secret.clone()).collect();
        let (session, mut halt) = (&mut self.session, None);
        let answers = server.secrets(self.job.id.uuid(), &asked, &mut || match session.check() {
            Ok(()) => true,
            Err(stopped) => {
                halt = Some(stopped);
                false
            }
        });
        match (halt, answers) {
            (Some(halt), _) => Err(halt),
            (None, Ok(answers)) => Ok(secrets::resolve(wanted, answers)),
            (None, Err(e)) => {
                let message = format!("the parameters and secrets of the build cannot be had: {e}");
                Ok(Err(Failure::new("CLIENT_ERROR", message)))
            }
        }
    }
}
