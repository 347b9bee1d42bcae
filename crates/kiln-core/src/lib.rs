//! The use cases: projects, builds, queue, reconciler; the build state machine.
