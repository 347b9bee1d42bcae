//! Where things are inside the build container (`buildspec.md` 2.1).

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::job::{Job, ServiceSource};

/// Where an inline buildspec appears.
pub(crate) const INLINE_BUILDSPEC: &str = "/codebuild/readonly/buildspec.yml";

/// Directories inside the container.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    go_path: String,
    source_dir: String,
    secondary: Vec<String>,
}

impl Layout {
    /// The layout of a job.
    ///
    /// The digits of `/codebuild/output/src<digits>/src` are random at AWS. Here they follow from the source directory, or
    /// from the project of a build of the service, so that tools which store absolute paths in their caches (compilers,
    /// virtual environments) find them again.
    #[must_use]
    pub(crate) fn new(job: &Job) -> Self {
        let project = job.service.as_ref().map(|_| PathBuf::from(format!("{}:{}", job.account, job.id.project())));
        let digits = |dir, id| digits(project.as_deref().unwrap_or(dir), id);
        let go_path = format!("/codebuild/output/src{}", digits(&job.source.dir, ""));
        let service = job.service.as_ref();
        let secondary = job.source.secondary.iter().map(|(id, dir)| {
            let source = service.and_then(|service| service.secondary_sources.iter().find(|(other, _)| other == id));
            below(format!("/codebuild/output/src{}/src", digits(dir, id)), source.map(|(_, source)| source))
        });
        Self {
            source_dir: below(format!("{go_path}/src"), service.map(|service| &service.source)),
            secondary: secondary.collect(),
            go_path,
        }
    }

    /// `CODEBUILD_SRC_DIR`.
    #[must_use]
    pub(crate) fn source_dir(&self) -> &str {
        &self.source_dir
    }

    /// `CODEBUILD_SRC_DIR_<id>`, in the order of the job.
    #[must_use]
    pub(crate) fn secondary_dirs(&self) -> &[String] {
        &self.secondary
    }

    /// `CODEBUILD_GOPATH`.
    #[must_use]
    pub(crate) fn go_path(&self) -> String {
        self.go_path.clone()
    }
}

/// Where a source is whose place for sources is `directory`: repositories have directories of their own there.
fn below(directory: String, source: Option<&ServiceSource>) -> String {
    match source {
        Some(ServiceSource::Git(git)) => format!("{directory}/{}", git.directory),
        _ => directory,
    }
}

/// Up to ten decimal digits that are the same for the same directory and identifier.
fn digits(dir: &Path, id: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(id.as_bytes());
    hash.update([0]);
    hash.update(dir.as_os_str().as_encoded_bytes());
    let first = hash.finalize().first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(first) % 10_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::{ServiceSettings, Source},
        test_support::job,
    };

    #[test]
    fn directories_are_stable_and_differ_by_source() {
        let mut job = job();
        job.source.secondary = vec![("lib".into(), "/src/lib".into()), ("tools".into(), "/src/lib".into())];
        let layout = Layout::new(&job);
        assert_eq!(layout.source_dir(), Layout::new(&job).source_dir());
        assert_ne!(layout.secondary_dirs()[0], layout.secondary_dirs()[1]);
        assert!(layout.source_dir().starts_with(&layout.go_path()));
    }

    #[test]
    fn builds_of_a_project_lie_at_the_same_place() {
        let mut job = job();
        job.service = Some(ServiceSettings::default());
        job.source = Source::of_service(Path::new("/data/builds/1"), ["a", "b"]);
        let first = Layout::new(&job);
        job.source = Source::of_service(Path::new("/data/builds/2"), ["a", "b"]);
        let second = Layout::new(&job);
        assert_eq!(first.source_dir(), second.source_dir());
        assert_eq!(first.secondary_dirs(), second.secondary_dirs());
        assert_ne!(first.secondary_dirs()[0], first.secondary_dirs()[1]);
    }
}
