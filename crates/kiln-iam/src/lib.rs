//! Request authentication (Signature Version 4) and policies: pure functions, time is an argument.
//!
//! [`sigv4`] says who sent a request and that nobody changed it on the way; [`AuthError`] says why not, in the words of
//! the three kinds of AWS service. [`policy`] says whether they may do what they ask for. Facts: `security.md` sections
//! 1 and 2.
//!
//! The canonical form of a request is computed here and not by the `aws-sigv4` crate, which the tests use as the
//! oracle: that crate is made for signing, where the request is one's own. Given a stranger's request it reads `+` as a
//! space, replaces bytes that are not UTF-8 (so that two different requests have one signature), and panics on a header
//! value that is not UTF-8.

mod error;
pub mod policy;
pub mod sigv4;

pub use error::{AuthError, Denial, Style};
