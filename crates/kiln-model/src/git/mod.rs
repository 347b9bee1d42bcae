//! Git, as it talks over HTTP: packet lines, the references that a push is about, and what became of them.
//!
//! Git itself packs and unpacks objects; what is here is what the service has to know before and after (git's
//! `gitprotocol-pack`, `gitprotocol-common`).

mod packet;
mod push;
mod reference;

pub use self::{
    packet::{Malformed, Packet, packet},
    push::{MOST_COMMANDS_BYTES, PushHead, push_head, taken},
    reference::{ObjectId, RefUpdate, is_branch_name, is_reference_name},
};
