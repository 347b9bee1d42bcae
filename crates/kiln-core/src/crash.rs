//! The crash points of the service, in the order in which a build passes them ([`kiln_runner::crash`]).

/// Every name.
pub const POINTS: [&str; 8] = [
    "build_accepted",
    "build_given",
    "build_started",
    "build_stop_recorded",
    "build_over",
    "build_log_finished",
    "build_artifacts_stored",
    "build_end_committed",
];

/// Dies here when told to.
pub(crate) fn point(name: &str) {
    kiln_runner::crash::point_of(&POINTS, name);
}
