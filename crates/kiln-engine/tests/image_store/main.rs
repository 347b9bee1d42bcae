//! The image store against real things: overlay mounts, `docker-registry`, archives as tools write them and as attackers
//! would.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

mod collect;
mod compose;
mod hostile;
mod import;
mod overlay;
mod registry;
mod support;
mod take;
