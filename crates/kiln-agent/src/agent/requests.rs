//! What each request begins.

use std::{os::fd::AsFd, time::Instant};

use kiln_wire::agent::{CommandExit, FromAgent, Run, ToAgent, kind};

use super::{Agent, Fatal, Task};
use crate::{
    command::{self, Command, Exit, Tap},
    expand::Expansion,
    grant::Grant,
    list::{ListTask, Listing},
    setup::{self, Build},
    state::{Place, write_new},
    sys::{self, Spawn},
    transfer::{Receive, Send},
};

impl Agent {
    /// Sends an answer; one that does not fit into a frame becomes [`FromAgent::Failed`].
    pub(super) fn answer(&mut self, message: &FromAgent) -> Result<(), Fatal> {
        let failed = match (self.outbox.message(kind::MESSAGE, message), message.id()) {
            (Ok(()), _) => return Ok(()),
            (Err(error), Some(id)) => FromAgent::Failed { id, message: format!("the answer cannot be sent: {error}") },
            (Err(error), None) => return Err(Fatal::Protocol(error.to_string())),
        };
        self.outbox.message(kind::MESSAGE, &failed).map_err(|error| Fatal::Protocol(error.to_string()))
    }

    fn answer_result(&mut self, id: u32, result: Result<(), String>) -> Result<(), Fatal> {
        self.answer(&match result {
            Ok(()) => FromAgent::Done { id },
            Err(message) => FromAgent::Failed { id, message },
        })
    }

    fn with_build<T>(&mut self, action: impl FnOnce(&mut Build) -> Result<T, String>) -> Result<T, String> {
        action(self.build.as_mut().ok_or("no Setup came before this request")?)
    }

    /// Begins a request.
    pub(super) fn begin(&mut self, request: ToAgent) -> Result<(), Fatal> {
        match request {
            ToAgent::Setup(request) => {
                let id = request.id;
                match setup::set_up(request) {
                    Ok(build) => {
                        self.build = Some(build);
                        self.answer(&FromAgent::Done { id })
                    }
                    Err(message) => self.answer(&FromAgent::Failed { id, message }),
                }
            }
            ToAgent::Run(run) => self.begin_command(run),
            ToAgent::Get { id, names } => {
                let values = self.build.as_ref().map(|build| build.get(names)).unwrap_or_default();
                self.answer(&FromAgent::Values { id, values })
            }
            ToAgent::Set { id, variables } => {
                let result = self.with_build(|build| build.set(&variables));
                self.answer_result(id, result)
            }
            ToAgent::SavePoint { id, name, restore } => {
                let result = self.with_build(|build| if restore { build.restore(&name) } else { build.save(&name) });
                self.answer_result(id, result)
            }
            ToAgent::Expand { id, texts, shell, run_as } => {
                match self.start_expansion(id, texts, &shell, run_as.as_deref()) {
                    Ok(expansion) => {
                        self.task = Task::Expand(expansion);
                        Ok(())
                    }
                    Err(message) => self.answer(&FromAgent::Failed { id, message }),
                }
            }
            ToAgent::List(request) => {
                let id = request.id;
                self.listing = Listing::default();
                let home = self.build.as_ref().and_then(|build| build.state.get(b"HOME")).unwrap_or(b"/root");
                match ListTask::new(request, &String::from_utf8_lossy(home), Instant::now()) {
                    Ok(list) => {
                        self.task = Task::List(Box::new(list));
                        Ok(())
                    }
                    Err(message) => self.answer(&FromAgent::Failed { id, message }),
                }
            }
            ToAgent::Send { id, ranges } => match Send::new(id, ranges, &self.listing) {
                Ok(send) => {
                    self.task = Task::Send(send);
                    Ok(())
                }
                Err(message) => self.answer(&FromAgent::Failed { id, message }),
            },
            ToAgent::Receive { id } => {
                self.task = Task::Receive(Receive::new(id));
                Ok(())
            }
            ToAgent::Interrupt { .. } | ToAgent::Shutdown { .. } => Ok(()), // taken when they came
        }
    }

    /// A user is first given rights on the source tree (`buildspec.md` 1.4).
    fn begin_command(&mut self, run: Run) -> Result<(), Fatal> {
        let grant = self.build.as_mut().and_then(|build| {
            let credentials = build.credentials(run.run_as.as_deref()).ok().flatten()?;
            build.granted.insert(credentials.uid.as_raw()).then(|| Grant::new(credentials, &build.source_directories()))
        });
        match grant {
            Some(grant) => {
                self.task = Task::Grant(grant, run);
                Ok(())
            }
            None => self.begin_granted(run),
        }
    }

    /// Begins a command whose user may read the source tree.
    pub(super) fn begin_granted(&mut self, run: Run) -> Result<(), Fatal> {
        let id = run.id;
        match self.start_command(run) {
            Ok(command) => self.task = Task::Command(command),
            Err((code, text)) => {
                self.outbox.output_text(id, &text);
                self.ended(id, Exit { exit: CommandExit::Code(code), cpu_ms: 0 }, Vec::new())?;
            }
        }
        Ok(())
    }

    fn start_expansion(
        &mut self,
        id: u32,
        texts: Vec<String>,
        shell: &str,
        user: Option<&str>,
    ) -> Result<Expansion, String> {
        let build = self.build.as_ref().ok_or("no Setup came before this request")?;
        let shell = command::find_shell(shell, &build.search_path)?;
        let credentials = build.credentials(user)?;
        Ok(Expansion::new(id, texts, shell, credentials, Instant::now()))
    }

    /// Starts a command, or says why it cannot be started, with the exit status that a shell would have for it.
    fn start_command(&mut self, run: Run) -> Result<Command, (i32, String)> {
        let build = self.build.as_ref().ok_or_else(|| (126, "kiln: no Setup before Run\n".to_owned()))?;
        let shell = command::find_shell(&run.shell, &build.search_path).map_err(|text| (127, text + "\n"))?;
        let credentials = build.credentials(run.run_as.as_deref()).map_err(|text| (126, format!("kiln: {text}\n")))?;
        let failed = |what: &str, error: &dyn std::fmt::Display| (126, format!("kiln: {what}: {error}\n"));
        let state = if run.fresh { &build.initial } else { &build.state };
        let owner = credentials.as_ref();
        state.write(&Place::current(), owner).map_err(|error| failed("the state cannot be written", &error))?;
        let path = command::script_path();
        let script = command::script(&run.text, state.directory(), !run.fresh);
        write_new(&path, &script, 0o644, None).map_err(|error| failed("the script cannot be written", &error))?;
        let (tap, writer) = Tap::new(run.id, owner).map_err(|error| failed("no pipe for the output", &error))?;
        let stdout = rustix::io::fcntl_dupfd_cloexec(writer.as_fd(), 3)
            .map_err(|error| failed("no descriptor for the output", &error))?;
        let environment = state.process_environment();
        let pid = sys::spawn(Spawn {
            program: &shell,
            arguments: &[&path],
            environment: &environment,
            directories: vec![state.directory().to_path_buf(), build.source_dir.clone()],
            terminal: None,
            stdout,
            stderr: writer,
            credentials: owner,
        })
        .map_err(|error| failed(&format!("{} cannot be started", shell.display()), &error))?;
        self.taps.push(tap);
        Ok(Command { id: run.id, pid, exit: None, settles_at: None, fresh: run.fresh, credentials })
    }
}
