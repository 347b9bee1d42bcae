//! INSTALL, PRE_BUILD, BUILD, POST_BUILD: runs the commands (`buildspec.md` sections 2 and 3).

use kiln_buildspec::{Command, Version};
use kiln_model::{PhaseType, trace::Part};
use kiln_wire::{
    agent::{CommandExit, FromAgent, Run, ToAgent},
    event::{CommandEnded, CommandStarted, Event, Section},
};

use crate::{
    build::{Build, Failure, PhaseResult, TRACEPARENT, millis},
    crash,
    session::Halt,
};

/// Which command of a build it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) phase: PhaseType,
    pub(crate) section: Section,
    /// Its place in the section, from 0.
    pub(crate) index: u32,
    /// Which try of the phase, from 1.
    pub(crate) attempt: u32,
}

impl Build<'_> {
    /// Runs a command phase, again as often as its `on-failure` says.
    pub(crate) fn command_phase(&mut self, phase: PhaseType) -> PhaseResult {
        self.session.journal.line(&format!("Entering phase {phase}"))?;
        let resumed = self.job.resume.as_ref().filter(|resume| resume.phase == phase);
        let first = resumed.map_or(0, |resume| resume.command as usize);
        self.save_point(phase, resumed.is_some())?;

        let Some(spec) = self.buildspec.phases.get(phase).cloned() else { return self.end_of_post_build(phase, None) };
        let user = spec.run_as.clone().or_else(|| self.buildspec.run_as.clone());
        let mut attempt = 1;
        let failure = loop {
            let skip = if attempt == 1 { first } else { 0 };
            let mut failure =
                self.commands(phase, Section::Commands, &spec.commands, skip, user.as_deref(), attempt)?;
            let finally = self.commands(phase, Section::Finally, &spec.finally, 0, user.as_deref(), attempt)?;
            failure = failure.or(finally);
            let Some(failed) = failure else { break None };
            let retries = spec.on_failure.as_ref().map_or(0, |o| u32::from(o.retries_for(&failed.context.message)));
            if attempt > retries {
                break Some(failed);
            }
            self.session.journal.line(&format!("Phase {phase} failed: {}", failed.context.message))?;
            self.session.journal.line(&format!("Retrying phase {phase} ({attempt} of {retries})"))?;
            attempt += 1;
        };
        self.end_of_post_build(phase, failure)
    }

    /// POST_BUILD saves the cache and reads the exported variables at its end, also when a command failed
    /// (`buildspec.md` 1.7, 10.2).
    fn end_of_post_build(&mut self, phase: PhaseType, failure: Option<Failure>) -> PhaseResult {
        if phase == PhaseType::PostBuild {
            self.export_variables()?;
            self.save_cache()?;
        }
        Ok(failure)
    }

    /// Remembers variables and directory as they are when the phase begins, or brings them back (`--resume`).
    fn save_point(&mut self, phase: PhaseType, restore: bool) -> Result<(), Halt> {
        let name = phase.as_str().to_ascii_lowercase();
        match self.session.request(|id| ToAgent::SavePoint { id, name, restore })? {
            FromAgent::Done { .. } => Ok(()),
            FromAgent::Failed { message, .. } => {
                self.session.journal.line(&format!("State at the start of phase {phase}: {message}"))?;
                Ok(())
            }
            other => Err(Halt::Protocol(format!("{other:?} in answer to SavePoint"))),
        }
    }

    /// Runs a list up to its first failing command.
    fn commands(
        &mut self,
        phase: PhaseType,
        section: Section,
        commands: &[Command],
        skip: usize,
        user: Option<&str>,
        attempt: u32,
    ) -> PhaseResult {
        for (index, command) in commands.iter().enumerate().skip(skip) {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            if let Some(failure) = self.run_command(Place { phase, section, index, attempt }, command, user)? {
                return Ok(Some(failure));
            }
        }
        Ok(None)
    }

    /// Runs one command, and says so in the log.
    pub(crate) fn run_command(&mut self, place: Place, command: &Command, user: Option<&str>) -> PhaseResult {
        let Place { phase, section, index, attempt } = place;
        self.session.check()?;
        if let Some(trace) = self.trace() {
            // The request after this one is the command.
            let span = trace.span(Part::Command(self.session.next_request().saturating_add(1)));
            let variables = [(TRACEPARENT.to_owned(), span.to_string())].into();
            match self.session.request(|id| ToAgent::Set { id, variables })? {
                FromAgent::Done { .. } => {}
                FromAgent::Failed { message, .. } => {
                    self.session.journal.line(&format!("{TRACEPARENT} cannot be set: {message}"))?;
                }
                other => return Err(Halt::Protocol(format!("{other:?} in answer to Set"))),
            }
        }
        let number = self.session.next_request();
        self.session.journal.line(&format!("Running command {}", command.text))?;
        self.session.journal.event(&Event::CommandStarted(CommandStarted {
            command: number,
            phase,
            section,
            index,
            line: if section == Section::Runtimes { 0 } else { command.line },
            text: self.session.journal.masker().text(&command.text),
            attempt,
        }))?;
        self.command(number, command, user)
    }

    fn command(&mut self, number: u32, command: &Command, user: Option<&str>) -> PhaseResult {
        let before = self.session.usage();
        let started = self.session.clock.monotonic();
        let shell = self.buildspec.env.shell.clone().unwrap_or_else(|| "sh".to_owned());
        let fresh = self.buildspec.version == Version::V0_1;
        let answer = self.session.request(|id| {
            ToAgent::Run(Run { id, text: command.text.clone(), shell, run_as: user.map(str::to_owned), fresh })
        });
        let duration_ms = millis(self.session.clock.monotonic().saturating_sub(started));
        self.session.journal.end_of_command(number)?;
        let (exit, cpu_ms, holders) = match answer? {
            FromAgent::Ended { exit, cpu_ms, holders, .. } => (exit, cpu_ms, holders),
            FromAgent::Failed { message, .. } => {
                self.session.journal.line(&format!("Command did not exit successfully {} {message}", command.text))?;
                let text = format!("Error while executing command: {}. Reason: {message}", command.text);
                let mut failure = Failure::new("COMMAND_EXECUTION_ERROR", text);
                failure.command = Some(number);
                return Ok(Some(failure));
            }
            other => return Err(Halt::Protocol(format!("{other:?} in answer to Run"))),
        };
        crash::point("command_done");
        let after = self.session.usage();
        // A peak of the whole build that this command reached is its own.
        let memory_peak_bytes = Some(after.memory_peak_bytes).filter(|peak| *peak > before.memory_peak_bytes);
        let oom_kills = after.oom_kills.saturating_sub(before.oom_kills);
        let pids_refused = after.pids_refused.saturating_sub(before.pids_refused);
        if !holders.is_empty() {
            let list: Vec<String> = holders.iter().map(|h| format!("{} ({})", h.pid, h.command)).collect();
            self.session.journal.line(&format!(
                "Still running in the background with this command's output open: {}",
                list.join(", ")
            ))?;
        }
        self.session.journal.event(&Event::CommandEnded(CommandEnded {
            command: number,
            exit,
            duration_ms,
            cpu_ms,
            memory_peak_bytes,
            read_bytes: after.read_bytes.saturating_sub(before.read_bytes),
            written_bytes: after.written_bytes.saturating_sub(before.written_bytes),
            oom_kills,
            pids_refused,
            holders,
        }))?;
        let status = match exit {
            CommandExit::Code(0) => return Ok(None),
            CommandExit::Code(code) => code,
            // As a shell reports it (`buildspec.md` 2.2).
            CommandExit::Signal(signal) => 128_i32.saturating_add(signal),
        };
        let mut reason = format!("exit status {status}");
        self.session.journal.line(&format!("Command did not exit successfully {} {reason}", command.text))?;
        if oom_kills > 0 {
            reason.push_str(&format!(
                ". The build ran out of memory: {} (processes killed: {oom_kills})",
                self.memory_text(&after)
            ));
        }
        if pids_refused > 0 {
            reason.push_str(". The limit of processes and threads was reached");
        }
        let text = format!("Error while executing command: {}. Reason: {reason}", command.text);
        let mut failure = Failure::new("COMMAND_EXECUTION_ERROR", text);
        failure.command = Some(number);
        Ok(Some(failure))
    }

    /// Runs a script that is ours and prints nothing: the log does not have it. Why it failed, if it did.
    pub(crate) fn silently(&mut self, script: &str) -> Result<Option<String>, Halt> {
        let run =
            |id| ToAgent::Run(Run { id, text: script.to_owned(), shell: "sh".to_owned(), run_as: None, fresh: false });
        Ok(match self.session.request(run)? {
            FromAgent::Ended { exit: CommandExit::Code(0), .. } => None,
            FromAgent::Ended { exit: CommandExit::Code(code), .. } => Some(format!("exit status {code}")),
            FromAgent::Ended { exit: CommandExit::Signal(signal), .. } => Some(format!("killed by signal {signal}")),
            FromAgent::Failed { message, .. } => Some(message),
            other => return Err(Halt::Protocol(format!("{other:?} in answer to Run"))),
        })
    }

    /// A variable as commands have it now. `None`: it is not set, or cannot be read.
    pub(crate) fn variable(&mut self, name: &str) -> Result<Option<String>, Halt> {
        match self.session.request(|id| ToAgent::Get { id, names: vec![name.to_owned()] })? {
            FromAgent::Values { mut values, .. } => Ok(values.remove(name)),
            FromAgent::Failed { .. } => Ok(None),
            other => Err(Halt::Protocol(format!("{other:?} in answer to Get"))),
        }
    }

    /// Reads `exported-variables` (`buildspec.md` 1.7): no `AWS_` names, no secrets.
    fn export_variables(&mut self) -> Result<(), Halt> {
        let Some(environment) = &self.environment else { return Ok(()) };
        let (names, refused): (Vec<String>, Vec<String>) = self
            .buildspec
            .env
            .exported_variables
            .iter()
            .cloned()
            .partition(|name| !name.starts_with("AWS_") && !environment.secret_names.contains(name));
        if !refused.is_empty() {
            let list = refused.join(", ");
            self.session.journal.line(&format!(
                "Not exported: {list} (names that begin with AWS_ and values of secrets cannot be exported)"
            ))?;
        }
        if names.is_empty() {
            return Ok(());
        }
        let mut variables = match self.session.request(|id| ToAgent::Get { id, names: names.clone() })? {
            FromAgent::Values { values, .. } => values,
            FromAgent::Failed { message, .. } => {
                self.session.journal.line(&format!("Exported variables cannot be read: {message}"))?;
                return Ok(());
            }
            other => return Err(Halt::Protocol(format!("{other:?} in answer to Get"))),
        };
        // A build that speaks for its agent may answer with more than was asked for, and with secrets.
        variables.retain(|name, value| names.contains(name) && !self.session.journal.masker().hides(value));
        self.session.journal.event(&Event::Exported { variables })?;
        Ok(())
    }
}
