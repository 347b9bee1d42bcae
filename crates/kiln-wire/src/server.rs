//! What the runner of a build of the service says to the server, over the server's Unix socket.
//!
//! The runner connects and sends one [`Hello`]; the server answers [`kind::WELCOME`] or [`kind::REFUSED`]. What follows is
//! what the hello [wants](Wants): bytes that somebody in the build exchanges with the server, or one request of the
//! runner's own. Until the welcome nothing of a build's request has left the runner, so that it may try again with a
//! server that is just being started anew.

use std::{fmt, net::Ipv4Addr};

use kiln_model::build_secret::BuildSecret;
use serde::{Deserialize, Serialize};

use crate::frame::MAX_FRAME;

/// Version of this protocol. A server serves the runners of builds that an older one started: a change that those do not
/// understand raises it.
pub const PROTOCOL: u32 = 1;

/// Name of the server's socket in its data directory.
pub const SOCKET: &str = "runners.sock";

/// Address in a build's own network on which its runner listens for it (DESIGN decision 8).
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

/// Port there of the credentials endpoint, which the SDKs of AWS know.
pub const CREDENTIALS_PORT: u16 = 80;

/// Port there of the API.
pub const API_PORT: u16 = 5456;

/// Largest [`Hello`] frame.
pub const MAX_HELLO: usize = 4096;

/// Parameters and secrets that one build may name.
pub const MAX_SECRETS: usize = 1000;

/// Kinds of frames.
pub mod kind {
    /// Runner to server: [`super::Hello`].
    pub const HELLO: u8 = 1;
    /// Server to runner: the build is known; what it wants follows. Empty.
    pub const WELCOME: u8 = 2;
    /// Server to runner: [`super::Refused`]; trying again does not help.
    pub const REFUSED: u8 = 3;
    /// Runner to server, after a welcome: [`super::SecretsRequest`].
    pub const SECRETS: u8 = 4;
    /// Server to runner, one for each that was asked for, in order: a [`kiln_model::build_secret::BuildSecretAnswer`].
    pub const SECRET: u8 = 5;
    /// Runner to server, after a welcome: a [`kiln_model::build_cache::BuildCache`].
    pub const CACHE: u8 = 6;
    /// Server to runner: a [`kiln_model::build_cache::BuildCacheAnswer`].
    pub const CACHE_ANSWER: u8 = 7;
    /// Runner to server, after a welcome: a [`kiln_model::build_source::BuildSource`].
    pub const SOURCE: u8 = 8;
    /// Server to runner: a [`kiln_model::build_source::BuildSourceAnswer`].
    pub const SOURCE_ANSWER: u8 = 9;
}

/// Who connects, and what for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub version: u32,
    /// The build's uuid.
    pub build: String,
    /// The token of its job.
    pub token: String,
    /// What for.
    pub wants: Wants,
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token.
        f.debug_struct("Hello")
            .field("version", &self.version)
            .field("build", &self.build)
            .field("wants", &self.wants)
            .finish_non_exhaustive()
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wants {
    /// HTTP requests to the container credentials endpoint follow.
    Credentials {
        /// Others than the build reach the address on which the runner listens for them.
        shared: bool,
    },
    /// Bytes of a connection to the API follow; its requests are authenticated as everybody's.
    Api,
    /// A [`SecretsRequest`] follows.
    Secrets,
    /// A [`kiln_model::build_cache::BuildCache`] follows.
    Cache,
    /// A [`kiln_model::build_source::BuildSource`] follows.
    Source,
}

/// Why a connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// A sentence for the runner's log.
    pub message: String,
}

/// Parameters and secrets that a build names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsRequest {
    /// At most [`MAX_SECRETS`].
    pub secrets: Vec<BuildSecret>,
}

/// The length of what follows a frame's first four bytes, its kind included; `None`: there is no such frame of at most
/// `most` bytes. For readers that must not read beyond the frame.
#[must_use]
pub fn announced(head: [u8; 4], most: usize) -> Option<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).ok()?;
    (1..=most.min(MAX_FRAME)).contains(&length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent,
        frame::{Frame, FrameBuffer},
    };

    #[test]
    fn a_hello_says_what_it_said_and_hides_its_token() {
        let hello = Hello {
            version: PROTOCOL,
            build: "u".to_owned(),
            token: "t0ken".to_owned(),
            wants: Wants::Credentials { shared: true },
        };
        assert!(!format!("{hello:?}").contains("t0ken"));
        let mut bytes = Vec::new();
        agent::encode(kind::HELLO, &hello, &mut bytes).unwrap();
        let mut frames = FrameBuffer::new();
        frames.push(&bytes);
        let frame: Frame<'_> = frames.next_frame().unwrap().unwrap();
        assert_eq!((frame.kind, agent::decode::<Hello>(&frame).unwrap()), (kind::HELLO, hello));
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_read() {
        for (length, most, expected) in [
            (0, MAX_HELLO, None),
            (1, MAX_HELLO, Some(1)),
            (4096, MAX_HELLO, Some(4096)),
            (4097, MAX_HELLO, None),
            (u32::MAX, usize::MAX, None),
        ] {
            assert_eq!(announced(u32::to_le_bytes(length), most), expected, "{length}");
        }
    }
}
