//! Calls to providers over HTTP. What makes them is behind a trait: the core has no sockets.

use std::{fmt, time::Duration};

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// Its name in HTTP.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A request. Its headers and its body may hold secrets: they are not shown by `Debug`.
#[derive(Clone)]
pub struct Call {
    /// What it does.
    pub method: Method,
    /// Where to.
    pub url: String,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Option<Vec<u8>>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Call")
            .field("method", &self.method.as_str())
            .field("url", &self.url)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// The body, of at most [`MOST_ANSWER`] bytes.
    pub body: Vec<u8>,
    /// After this time the server wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// Bytes of an answer; one that has more is as good as none.
pub const MOST_ANSWER: u64 = 8 << 20;

/// Nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It is not called: the address is none, or one that Kiln may not call (`security.md` 5.7).
    #[error("{0}")]
    Forbidden(String),
    /// It could not be reached, or did not answer in time.
    #[error("{0}")]
    Failed(String),
}

/// Makes calls. Each takes a few seconds at most; redirects are answers like others.
pub trait Outgoing: fmt::Debug + Send + Sync {
    /// Makes one.
    ///
    /// # Errors
    /// [`CallError`].
    fn call(&self, call: &Call) -> Result<Answer, CallError>;
}

/// Calls nobody: for a service that is not on any network.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Outgoing for Nobody {
    fn call(&self, call: &Call) -> Result<Answer, CallError> {
        Err(CallError::Forbidden(format!("{} is not called: this service calls nobody", call.url)))
    }
}
