//! What the front end asks of Identity and Access Management and of the Security Token Service.

use std::future::Future;

use super::Context;
use crate::iam::{Answer, Credentials, IamError, Request, SessionRequest};

/// IAM and STS.
pub trait Iam: Send + Sync + 'static {
    /// An operation of IAM.
    fn iam(&self, context: &Context, request: Request) -> impl Future<Output = Result<Answer, IamError>> + Send;

    /// Makes a session. Of a role: whether its policy lets the caller in is decided here, with everything else.
    fn session(
        &self,
        context: &Context,
        request: SessionRequest,
    ) -> impl Future<Output = Result<Credentials, IamError>> + Send;
}
