//! Sets up the runtimes that `runtime-versions` asks for, as the image's own file says (`buildspec.md` 1.9, 13.2): part of
//! DOWNLOAD_SOURCE, after the variables and before the cache.

use kiln_buildspec::{Runtimes, Selection};
use kiln_model::PhaseType;
use kiln_wire::event::Section;

use crate::{
    build::{Build, Failure, PhaseResult},
    commands::Place,
    session::Halt,
};

/// Where the commands that install any version find the one to install.
const VERSION: &str = "VERSION";

impl Build<'_> {
    pub(crate) fn runtimes(&mut self) -> PhaseResult {
        let install = self.buildspec.phases.install.as_ref();
        let mut requested = install.map(|phase| phase.runtime_versions.clone()).unwrap_or_default();
        let line = match &self.runtimes_file {
            _ if requested.is_empty() => "No runtime version selected in buildspec.",
            None => "Skipping install of runtimes. Runtime version selection is not supported by this build image",
            Some(_) if self.job.resume.is_some() => "The runtimes are those that the file system was kept with",
            Some(file) => {
                let read = Runtimes::parse(file.as_bytes());
                let texts: Vec<String> = requested.iter().map(|(_, version)| version.clone()).collect();
                let versions = match self.expand(&texts) {
                    Ok(versions) => versions,
                    Err(Halt::Sink(message)) => return Ok(Some(Failure::new("YAML_FILE_ERROR", message))),
                    Err(halt) => return Err(halt),
                };
                for ((_, version), expanded) in requested.iter_mut().zip(versions) {
                    *version = expanded;
                }
                for (runtime, version) in &requested {
                    let line =
                        format!("Selecting '{runtime}' runtime version '{version}' based on manual selections...");
                    self.session.journal.line(&line)?;
                }
                let selected = match read {
                    Ok(runtimes) => runtimes.select(&requested).map_err(|e| e.to_string()),
                    Err(e) => Err(format!("the runtimes file of this build image is wrong: {e}")),
                };
                return match selected {
                    Ok(selected) => self.set_up(&selected),
                    Err(message) => Ok(Some(Failure::new("YAML_FILE_ERROR", message))),
                };
            }
        };
        self.session.journal.line(line)?;
        Ok(None)
    }

    /// Runs the commands of each, until one fails. What they export stays for the build, like that of its own commands.
    fn set_up(&mut self, selected: &[Selection]) -> PhaseResult {
        for Selection { runtime, version, required_by, .. } in selected {
            if let Some(by) = required_by {
                let line = format!("Selecting '{runtime}' runtime version '{version}' as required by '{by}'...");
                self.session.journal.line(&line)?;
            }
        }
        let mut before = None;
        if selected.iter().any(|selection| selection.version_variable.is_some()) {
            before = Some(self.variable(VERSION)?);
        }
        let mut place = Place { phase: PhaseType::DownloadSource, section: Section::Runtimes, index: 0, attempt: 1 };
        let mut failure = None;
        'all: for selection in selected {
            if let Some(version) = &selection.version_variable {
                self.set_version(&format!("export {VERSION}={}", quoted(version)))?;
            }
            for command in &selection.commands {
                failure = self.run_command(place, command, None)?;
                if failure.is_some() {
                    break 'all;
                }
                place.index += 1;
            }
        }
        // The build may have a variable of this name for itself.
        match before {
            Some(Some(value)) => self.set_version(&format!("export {VERSION}={}", quoted(&value)))?,
            Some(None) => self.set_version(&format!("unset {VERSION}"))?,
            None => {}
        }
        Ok(failure)
    }

    /// Sets or unsets the variable by a command; the log says so if that fails.
    fn set_version(&mut self, command: &str) -> Result<(), Halt> {
        if let Some(problem) = self.silently(command)? {
            let line = format!("The variable {VERSION} cannot be set for the runtimes: {problem}");
            self.session.journal.line(&line)?;
        }
        Ok(())
    }
}

/// For a shell: the text and nothing else.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
