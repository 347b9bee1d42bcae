//! Docker's daemon in a privileged build. It is started where AWS starts it: in an image whose entry point is the script that
//! AWS's own images and Docker's `docker:dind` have (`buildspec.md` 13.3). In any other image the buildspec starts it, if it
//! wants to.

use std::path::{Path, PathBuf};

use kiln_engine::image::ImageConfig;

use sha2::{Digest as _, Sha256};

use crate::{build::Build, job::Job, session::Halt};

/// Digits of a store's id.
const DIGITS: usize = 16;
/// File name of the entry point that starts a daemon.
const ENTRY_POINT: &str = "dockerd-entrypoint.sh";

/// Starts the daemon and waits for it, for a minute at most, as the entry point does; but looks ten times a second. No TCP port:
/// the daemon waits for 16 seconds before it opens one without TLS. On failure the variable [`PROBLEM`] has the end of its log.
const START: &str = r#"(
  mkdir -p /var/log
  nohup dockerd --host=unix:///var/run/docker.sock >/var/log/docker.log 2>&1 </dev/null &
  daemon=$!
  tries=0
  until docker version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 600 ] || ! kill -0 "$daemon" 2>/dev/null; then exit 1; fi
    sleep 0.1
  done
) >/dev/null 2>&1 || export KILN_DOCKER_PROBLEM="no answer from it. Its log, /var/log/docker.log, ends with:
$(tail -n 20 /var/log/docker.log 2>&1)""#;

/// Where [`START`] says what went wrong.
const PROBLEM: &str = "KILN_DOCKER_PROBLEM";
/// Takes it away from the build.
const FORGET: &str = "unset KILN_DOCKER_PROBLEM";

/// Ends the daemon, so that what it keeps is whole for the next build; waits for ten seconds at most.
const STOP: &str = r#"(
  daemon=$(cat /var/run/docker.pid 2>/dev/null) && kill "$daemon" 2>/dev/null || exit 0
  tries=0
  while kill -0 "$daemon" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -ge 100 ]; then exit 1; fi
    sleep 0.1
  done
) >/dev/null 2>&1"#;

/// Directory of all Docker layers that are kept.
#[must_use]
pub fn stores(data: &Path) -> PathBuf {
    data.join("layers")
}

/// Where the layers of builds that share them are kept: `namespace` says which these are, `name` shows people whose.
#[must_use]
pub fn store(data: &Path, name: &str, namespace: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let name: String = name.chars().take(64).map(plain).collect();
    let digest = hex::encode(Sha256::digest(namespace));
    stores(data).join(format!("{name}-{}", digest.get(..DIGITS).unwrap_or_default()))
}

/// The name and the id in what [`store`] answers.
#[must_use]
pub fn name_and_id(store: &Path) -> Option<(&str, &str)> {
    let (name, id) = store.file_name()?.to_str()?.rsplit_once('-')?;
    (id.len() == DIGITS).then_some((name, id))
}

/// Whether builds in this image find a daemon that runs.
pub(crate) fn starts(job: &Job, image: &ImageConfig) -> bool {
    let program = image.entrypoint.first().and_then(|program| program.rsplit('/').next());
    job.privileged && program == Some(ENTRY_POINT)
}

impl Build<'_> {
    /// Starts the daemon if the image is one for it. A build that does not need it goes on without.
    pub(crate) fn start_docker(&mut self) -> Result<(), Halt> {
        if !self.starts_docker {
            return Ok(());
        }
        let problem = match self.silently(START)? {
            Some(problem) => Some(problem),
            None => self.variable(PROBLEM)?,
        };
        if let Some(problem) = problem {
            self.silently(FORGET)?;
            self.session
                .journal
                .line(&format!("Timed out trying to connect to internal docker host: {}", problem.trim_end()))?;
            // What it could not start with is nothing for the next build either.
            self.session.sandbox.forget_container_store();
        }
        Ok(())
    }

    /// Ends the daemon, whoever started it, where its images are kept for the next build.
    pub(crate) fn stop_docker(&mut self) -> Result<(), Halt> {
        if !self.session.sandbox.has_container_store() {
            return Ok(());
        }
        if let Some(problem) = self.silently(STOP)? {
            self.session.journal.line(&format!("The Docker daemon did not end: {problem}. Its layers are not kept"))?;
            self.session.sandbox.forget_container_store();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support;

    #[test]
    fn each_namespace_has_a_store_of_its_own_with_a_name_for_people() {
        let at = |namespace| store(Path::new("/data"), "my ../project", namespace);
        let one = at("000000000000:p:1");
        assert_eq!(one.parent(), Some(Path::new("/data/layers")));
        let (name, id) = name_and_id(&one).unwrap();
        assert_eq!((name, id.len()), ("my----project", 16));
        assert_ne!(at("000000000000:p:2"), one);
        assert_eq!(name_and_id(Path::new("/data/layers/x-12")), None);
    }

    #[test]
    fn only_a_privileged_build_in_an_image_for_it_has_a_daemon() {
        let mut job = test_support::job();
        let image = |program: &str| ImageConfig { entrypoint: vec![program.to_owned()], ..ImageConfig::default() };
        let (aws, dind) = (image("/usr/local/bin/dockerd-entrypoint.sh"), image("dockerd-entrypoint.sh"));
        assert!(!starts(&job, &aws));
        job.privileged = true;
        assert!(starts(&job, &aws) && starts(&job, &dind));
        assert!(!starts(&job, &image("/bin/sh")) && !starts(&job, &ImageConfig::default()));
    }
}
