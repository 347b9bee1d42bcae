//! Which phase follows which: a pure function of what happened (`buildspec.md` section 3, 1.8).

use kiln_buildspec::OnFailure;
use kiln_model::PhaseType;

/// How a phase of the buildspec ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Well.
    Succeeded,
    /// A command failed, or the phase's own work.
    Failed,
}

/// The phase that follows `phase`. Never goes back; ends in [`PhaseType::Completed`].
///
/// An explicit `on-failure` replaces the default of its phase; when the tries of `RETRY` are used up, the default holds.
#[must_use]
pub(crate) fn next(phase: PhaseType, outcome: Outcome, on_failure: Option<&OnFailure>) -> PhaseType {
    let following = match phase {
        PhaseType::Submitted => PhaseType::Queued,
        PhaseType::Queued => PhaseType::Provisioning,
        PhaseType::Provisioning => PhaseType::DownloadSource,
        PhaseType::DownloadSource => PhaseType::Install,
        PhaseType::Install => PhaseType::PreBuild,
        PhaseType::PreBuild => PhaseType::Build,
        PhaseType::Build => PhaseType::PostBuild,
        PhaseType::PostBuild => PhaseType::UploadArtifacts,
        PhaseType::UploadArtifacts => PhaseType::Finalizing,
        PhaseType::Finalizing | PhaseType::Completed => PhaseType::Completed,
    };
    if outcome == Outcome::Succeeded {
        return following;
    }
    match on_failure {
        Some(OnFailure::Continue) => following,
        Some(OnFailure::Abort) => PhaseType::Finalizing,
        Some(OnFailure::Retry { .. }) | None => match phase {
            PhaseType::Build | PhaseType::PostBuild | PhaseType::Finalizing | PhaseType::Completed => following,
            _ => PhaseType::Finalizing,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PhaseType::{Build, DownloadSource, Finalizing, Install, PostBuild, PreBuild, Provisioning, UploadArtifacts};

    #[test]
    fn the_table_of_default_transitions() {
        for (failing, then) in [
            (Provisioning, Finalizing),
            (DownloadSource, Finalizing),
            (Install, Finalizing),
            (PreBuild, Finalizing),
            (Build, PostBuild),
            (PostBuild, UploadArtifacts),
            (UploadArtifacts, Finalizing),
        ] {
            assert_eq!(next(failing, Outcome::Failed, None), then, "{failing}");
        }
    }

    #[test]
    fn on_failure_replaces_the_default() {
        assert_eq!(next(Build, Outcome::Failed, Some(&OnFailure::Abort)), Finalizing);
        assert_eq!(next(Install, Outcome::Failed, Some(&OnFailure::Continue)), PreBuild);
        assert_eq!(next(PreBuild, Outcome::Succeeded, Some(&OnFailure::Abort)), Build);
    }

    #[test]
    fn every_path_ends() {
        for outcome in [Outcome::Succeeded, Outcome::Failed] {
            let mut phase = PhaseType::Submitted;
            for _ in 0..11 {
                phase = next(phase, outcome, Some(&OnFailure::Continue));
            }
            assert_eq!(phase, PhaseType::Completed);
        }
    }
}
