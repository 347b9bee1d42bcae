//! File contents over the data socket, both ways.

mod receive;
mod send;

pub(crate) use receive::Receive;
pub(crate) use send::Send;

/// Most bytes of a file in one frame.
const BLOCK: usize = 1 << 20;
