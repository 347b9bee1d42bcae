//! Exit statuses (DESIGN section 5) and what `main` makes of errors.

use kiln_model::{BuildStatus, PhaseType};
use kiln_wire::event::BuildEnded;

/// Everything went well.
pub(crate) const SUCCESS: u8 = 0;
/// The build failed; a buildspec has errors.
pub(crate) const FAILED: u8 = 1;
/// Bad usage, or the buildspec is missing or invalid.
pub(crate) const USAGE: u8 = 2;
/// Kiln itself failed.
pub(crate) const FAULT: u8 = 3;
/// The build's time limit was reached.
pub(crate) const TIMED_OUT: u8 = 124;
/// Stopped.
pub(crate) const STOPPED: u8 = 130;

/// The person who typed the command has to change something: status [`USAGE`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Returns from the function with a [`UsageError`].
macro_rules! usage {
    ($($arg:tt)*) => {
        return Err($crate::exit::UsageError(format!($($arg)*)).into())
    };
}
pub(crate) use usage;

/// The exit status for an error.
pub(crate) fn of_error(error: &anyhow::Error) -> u8 {
    if error.is::<UsageError>() { USAGE } else { FAULT }
}

/// The exit status for a build that ended.
pub(crate) fn of_build(ended: &BuildEnded) -> u8 {
    match ended.status {
        BuildStatus::Succeeded => SUCCESS,
        BuildStatus::Failed if buildspec_is_to_blame(ended) => USAGE,
        BuildStatus::Failed => FAILED,
        BuildStatus::TimedOut => TIMED_OUT,
        BuildStatus::Stopped => STOPPED,
        BuildStatus::Fault | BuildStatus::InProgress => FAULT,
    }
}

/// The buildspec is missing or invalid.
pub(crate) fn buildspec_is_to_blame(ended: &BuildEnded) -> bool {
    ended.phase == Some(PhaseType::DownloadSource)
        && ended.context.as_ref().is_some_and(|c| c.status_code == "YAML_FILE_ERROR")
}

#[cfg(test)]
mod tests {
    use kiln_model::PhaseContext;

    use super::*;

    fn ended(status: BuildStatus, phase: Option<PhaseType>, code: &str) -> BuildEnded {
        BuildEnded {
            status,
            phase,
            context: Some(PhaseContext::new(code, "m")),
            failed_command: None,
            duration_ms: 0,
            cpu_ms: 0,
            memory_peak_bytes: 0,
            read_bytes: 0,
            written_bytes: 0,
            kept: false,
            leftovers: Vec::new(),
        }
    }

    #[test]
    fn statuses_are_those_of_the_contract() {
        let of = |status, phase, code| of_build(&ended(status, phase, code));
        assert_eq!(of(BuildStatus::Succeeded, None, ""), 0);
        assert_eq!(of(BuildStatus::Failed, Some(PhaseType::Build), "COMMAND_EXECUTION_ERROR"), 1);
        assert_eq!(of(BuildStatus::Failed, Some(PhaseType::DownloadSource), "YAML_FILE_ERROR"), 2);
        assert_eq!(of(BuildStatus::Failed, Some(PhaseType::DownloadSource), "CLIENT_ERROR"), 1);
        assert_eq!(of(BuildStatus::Failed, Some(PhaseType::Build), "YAML_FILE_ERROR"), 1);
        assert_eq!(of(BuildStatus::Fault, Some(PhaseType::Provisioning), ""), 3);
        assert_eq!(of(BuildStatus::TimedOut, Some(PhaseType::Build), ""), 124);
        assert_eq!(of(BuildStatus::Stopped, Some(PhaseType::Build), ""), 130);
    }
}
