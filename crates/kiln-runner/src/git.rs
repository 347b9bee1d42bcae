//! Git sources of the service's builds (`buildspec.md` 8, `integrations.md` 4).
//!
//! git runs in a sandbox of its own ([`sandbox`]), which has the build's limits and network, no more of the machine than its
//! tools, and for the time of the fetch what the source's server wants to see. It writes to a directory of the build's own disk,
//! which is the build's source directory: nothing is copied, and what it fetches counts as the build's. Hooks, settings and
//! links of the repository mean nothing here; the buildspec is read beneath the checkout afterwards.

mod failure;
mod mirror;
mod sandbox;
mod version;

use std::{path::Path, time::Duration};

use kiln_model::build_source::{BuildSource, BuildSourceAnswer};
use kiln_wire::event::Event;

use self::{
    failure::Kind,
    sandbox::{Answer, Helper, Request},
    version::{VersionError, Wanted, is_short_commit},
};
pub use self::{
    mirror::{MirrorInfo, list, mirror, mirrors, prune, remove},
    sandbox::serve,
};
use crate::{
    build::{Build, Failure},
    cache::DEFAULT_BUDGET,
    environment::Environment,
    job::{GitSource, ServiceSource},
    mask::Masker,
    session::Halt,
};

/// How often it is looked whether the build is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Gives git what stands in the variables, for the host that it is configured for.
const HELPER: &str =
    r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$KILN_USERNAME" "$KILN_PASSWORD"; }; f"#;

/// The variables by which git takes settings from its environment; `from` are there already.
fn config_variables(from: usize, settings: &[(String, String)]) -> Vec<(String, String)> {
    let count = ("GIT_CONFIG_COUNT".to_owned(), (from + settings.len()).to_string());
    let pairs = settings.iter().enumerate().flat_map(|(n, (key, value))| {
        let n = from + n;
        [(format!("GIT_CONFIG_KEY_{n}"), key.clone()), (format!("GIT_CONFIG_VALUE_{n}"), value.clone())]
    });
    std::iter::once(count).chain(pairs).collect()
}

/// What a source's server was shown, kept for the log to hide it and for builds that want it themselves.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// `https://host[:port]`.
    base: String,
    access: BuildSourceAnswer,
}

impl Shown {
    /// What the log must not show.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match &self.access {
            BuildSourceAnswer::Password { password, .. } => (Some(password.0.as_str()), None),
            BuildSourceAnswer::SshKey { key, .. } => (None, Some(key.0.as_str())),
            BuildSourceAnswer::Anonymous | BuildSourceAnswer::Refused { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl Build<'_> {
    /// Fetches every git source of a build of the service. The inner error fails the phase.
    pub(crate) fn fetch_sources(&mut self) -> Result<Result<(), Failure>, Halt> {
        let Some(service) = &self.job.service else { return Ok(Ok(())) };
        let secondary = self.job.source.secondary.iter().map(|(id, _)| {
            let source = service.secondary_sources.iter().find(|(other, _)| other == id).map(|(_, source)| source);
            (Some(id.as_str()), source)
        });
        let insides = std::iter::once(self.layout.source_dir().to_owned()).chain(self.layout.secondary_dirs().to_vec());
        let sources: Vec<_> = std::iter::once((None, Some(&service.source))).chain(secondary).zip(insides).collect();
        for ((identifier, source), inside) in sources {
            let Some(ServiceSource::Git(source)) = source else { continue };
            if let Err(message) = self.fetch_source(identifier, source, &inside)? {
                let message = self.hidden(&message);
                return Ok(Err(Failure::new("CLIENT_ERROR", message)));
            }
        }
        Ok(Ok(()))
    }

    fn hidden(&self, text: &str) -> String {
        Masker::new(self.shown.iter().flat_map(Shown::secrets)).text(text)
    }

    fn fetch_source(
        &mut self,
        identifier: Option<&str>,
        source: &GitSource,
        inside: &str,
    ) -> Result<Result<(), String>, Halt> {
        let name = identifier.unwrap_or("primary");
        let told = |kind, said: &str| failure::message(kind, said, name, source.version.as_deref());
        let wanted = match Wanted::of(source.version.as_deref(), source.pull_requests) {
            Ok(wanted) => wanted,
            Err(VersionError::NoReference) => return Ok(Err(told(Kind::Reference, ""))),
            Err(VersionError::NoPullRequests) => {
                let why = "this provider has no references for pull requests: give the branch or the commit";
                return Ok(Err(told(Kind::Other, why)));
            }
        };
        let access = match self.source_access(identifier, source)? {
            Ok(access) => access,
            Err(message) => return Ok(Err(format!("{message} for {name} source"))),
        };
        self.shown.push(Shown { base: source.base.clone(), access: access.clone() });
        let Some(checkout) = self.session.sandbox.scratch(Path::new(inside)) else {
            return Ok(Err(format!("there is no directory for the {name} source")));
        };
        let (wanted, reference, commit) = match wanted {
            Wanted::Head => ("head", String::new(), String::new()),
            Wanted::Name(name) => ("name", name, String::new()),
            Wanted::Reference { name, commit } => ("reference", name, commit.unwrap_or_default()),
            Wanted::Commit(commit) => ("commit", String::new(), commit),
        };
        let job = self.job;
        let request = Request {
            id: format!("{}-fetch", job.id.uuid()),
            engine: job.engine.clone(),
            network: job.network,
            network_allow: job.network_allow.clone(),
            vcpus: job.compute.vcpus(),
            memory_bytes: self.memory_limit.unwrap_or_else(|| job.compute.memory_bytes()),
            disk: job.source.dir.with_file_name("fetch"),
            templates: job.data.join("images/disks"),
            checkout,
            inside: inside.into(),
            url: source.url.clone(),
            base: source.base.clone(),
            local: source.local.clone(),
            // What is fetched shallow is fetched soon.
            mirror: source.mirror.clone().filter(|_| source.depth == 0),
            wanted: wanted.to_owned(),
            is_short_commit: is_short_commit(&reference),
            reference,
            commit,
            depth: source.depth,
            submodules: source.submodules,
            insecure_ssl: source.insecure_ssl,
            access,
        };
        let answer = match self.answer(&request)? {
            Ok(answer) => answer,
            Err(e) => return Ok(Err(format!("git cannot be started for the {name} source: {e}"))),
        };
        if request.mirror.is_some()
            && let Err(e) = mirror::prune(&job.data, DEFAULT_BUDGET)
        {
            self.session.journal.line(&format!("Local source caches cannot be pruned: {e}"))?;
        }
        match answer {
            Answer::Fetched { commit, notes } => {
                for note in notes {
                    let note = self.hidden(&note);
                    self.session.journal.line(&note)?;
                }
                let identifier = identifier.map(str::to_owned);
                self.session.journal.event(&Event::SourceFetched { identifier, commit })?;
                Ok(Ok(()))
            }
            Answer::Failed { what, said } => {
                let message = told(Answer::failure(&what, &said), &said);
                Ok(Err(match what.as_str() {
                    "submodule" => format!("Submodules: {message}"),
                    "lfs" => format!("Git LFS: {message}"),
                    _ => message,
                }))
            }
            Answer::Broken { message } => Ok(Err(told(Kind::Other, &message))),
        }
    }

    /// Waits for the answer while the build is watched; a build that is to end gives up the fetch.
    fn answer(&mut self, request: &Request) -> Result<std::io::Result<Answer>, Halt> {
        let mut helper = match Helper::start(request) {
            Ok(helper) => helper,
            Err(e) => return Ok(Err(e)),
        };
        loop {
            self.session.check()?;
            match helper.wait(LOOK) {
                Ok(None) => {}
                Ok(Some(answer)) => return Ok(Ok(answer)),
                Err(e) => return Ok(Err(e)),
            }
        }
    }

    /// Asks the service by what the build shows itself.
    fn source_access(
        &mut self,
        identifier: Option<&str>,
        source: &GitSource,
    ) -> Result<Result<BuildSourceAnswer, String>, Halt> {
        let server = self.job.service.as_ref().and_then(|service| service.server.as_ref());
        let Some(server) = server.filter(|_| source.local.is_none()) else {
            return Ok(Ok(BuildSourceAnswer::Anonymous));
        };
        let wanted = BuildSource { identifier: identifier.map(str::to_owned) };
        let (session, mut halt) = (&mut self.session, None);
        let answer = server.source(self.job.id.uuid(), &wanted, &mut || match session.check() {
            Ok(()) => true,
            Err(stopped) => {
                halt = Some(stopped);
                false
            }
        });
        match (halt, answer) {
            (Some(halt), _) => Err(halt),
            (None, Ok(BuildSourceAnswer::Refused { code, message })) => Ok(Err(format!("{code}: {message}"))),
            (None, Ok(answer)) => Ok(Ok(answer)),
            (None, Err(e)) => Ok(Err(format!("the credentials of the source cannot be had: {e}"))),
        }
    }

    /// Hides in the log what the sources' servers were shown; with `env/git-credential-helper: yes` lets the build's own git
    /// show it to them too (`buildspec.md` 1.4).
    pub(crate) fn give_source_credentials(&self, environment: &mut Environment) {
        environment.secrets.extend(self.shown.iter().flat_map(Shown::secrets).map(str::to_owned));
        if self.buildspec.env.git_credential_helper {
            give(&self.shown, environment);
        }
    }

    /// The primary source's checkout, on the host.
    pub(crate) fn checkout(&self) -> Option<std::path::PathBuf> {
        let service = self.job.service.as_ref()?;
        matches!(service.source, ServiceSource::Git(_))
            .then(|| self.session.sandbox.scratch(Path::new(self.layout.source_dir())))?
    }
}

fn give(shown: &[Shown], environment: &mut Environment) {
    let variables = &mut environment.variables;
    let mut settings = Vec::new();
    for (n, Shown { base, access }) in shown.iter().enumerate() {
        let BuildSourceAnswer::Password { username, password } = access else { continue };
        let (user, secret) = (format!("KILN_GIT_USERNAME_{n}"), format!("KILN_GIT_PASSWORD_{n}"));
        let helper =
            HELPER.replace("$KILN_USERNAME", &format!("${user}")).replace("$KILN_PASSWORD", &format!("${secret}"));
        settings.push((format!("credential.{base}.helper"), helper));
        variables.insert(user, username.0.clone());
        environment.secret_names.push(secret.clone());
        variables.insert(secret, password.0.clone());
    }
    if settings.is_empty() {
        return;
    }
    // Behind those that the project sets in the same way.
    let from = variables.get("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0);
    variables.extend(config_variables(from, &settings));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shown(base: &str, password: &str) -> Shown {
        let (username, password) = ("u".to_owned().into(), password.to_owned().into());
        Shown { base: base.to_owned(), access: BuildSourceAnswer::Password { username, password } }
    }

    #[test]
    fn a_builds_own_git_asks_for_the_hosts_of_its_sources_alone() {
        let variables: BTreeMap<String, String> =
            [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "user.name"), ("GIT_CONFIG_VALUE_0", "me")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let mut environment = Environment { variables, secrets: vec![], secret_names: vec![], unmasked: vec![] };
        give(&[shown("https://a.example", "one"), shown("https://b.example:8443", "two")], &mut environment);
        // As git itself sees it.
        let ask = |url: &str| {
            let mut git = std::process::Command::new("git");
            git.args(["credential", "fill"]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
            git.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent"), ("GIT_TERMINAL_PROMPT", "0")]);
            git.envs(&environment.variables);
            git.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            git.stderr(std::process::Stdio::null());
            let mut child = git.spawn().unwrap();
            use std::io::Write as _;
            write!(child.stdin.take().unwrap(), "url={url}\n\n").unwrap();
            String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
        };
        assert!(ask("https://a.example/x").contains("password=one"));
        assert!(ask("https://b.example:8443/y").contains("password=two"));
        for other in ["https://c.example/x", "http://a.example/x", "https://b.example/y", "https://a.example.evil/x"] {
            assert!(!ask(other).contains("password"), "{other}");
        }
        assert_eq!(environment.secret_names, ["KILN_GIT_PASSWORD_0", "KILN_GIT_PASSWORD_1"]);
    }
}
