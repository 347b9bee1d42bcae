//! Network modes, tried from inside: every host here is a network namespace of the test's own, this machine's included.
//! Nothing leaves the machine, and its own interfaces and rules are not touched.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

#[path = "network_modes/names.rs"]
mod names;
#[path = "network_modes/pasta.rs"]
mod pasta;
#[path = "network_modes/private.rs"]
mod private;
#[path = "network_modes/upkeep.rs"]
mod upkeep;
#[path = "network_modes/world.rs"]
mod world;
