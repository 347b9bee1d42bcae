//! Bodies: of requests, read in bounded size and time, and of answers, whole or in pieces.

mod answer;
mod read;
mod streamed;
mod upload;

pub(crate) use answer::Answer;
pub(crate) use read::{Budget, Pace, discard, read_whole};
pub(crate) use streamed::Body as Streamed;
pub(crate) use upload::Upload;
