//! The crash points of the service: those of a build in the order in which it passes them, then those of objects ([`kiln_runner::crash`]).

/// Every name.
pub const POINTS: [&str; 26] = [
    "build_accepted",
    "build_given",
    "build_started",
    "build_stop_recorded",
    "build_over",
    "build_log_finished",
    "build_artifacts_stored",
    "build_end_committed",
    "object_stored",
    "object_committed",
    "part_stored",
    "upload_completed",
    "objects_deleted",
    "objects_expired",
    "repository_deleted",
    "layer_piece_stored",
    "layer_completed",
    "manifest_stored",
    "image_stored",
    "images_deleted",
    "contents_collected",
    "images_expired",
    "git_repository_made",
    "git_repository_deleted",
    "git_references_changed",
    "git_references_recorded",
];

/// Dies here when told to.
pub(crate) fn point(name: &str) {
    kiln_runner::crash::point_of(&POINTS, name);
}
