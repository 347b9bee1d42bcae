//! What the front end asks of the service for builds that run: who they are, what their roles give them, and their caches.

use std::future::Future;

use crate::{
    ApiError, BuildId, Timestamp,
    build_cache::{BuildCache, BuildCacheAnswer},
    build_secret::{BuildSecret, BuildSecretAnswer},
    build_source::{BuildSource, BuildSourceAnswer},
    iam::Secret,
};

/// What the container credentials endpoint answers with (`api.md` 8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleCredentials {
    /// `ASIA…`
    pub access_key_id: String,
    /// Its secret.
    pub secret: Secret,
    /// The session's token.
    pub token: Secret,
    /// When they end, should the build not end before.
    pub expires: Timestamp,
    /// The build's service role.
    pub role_arn: String,
}

/// How a request for credentials reached the endpoint.
#[derive(Debug, Clone, Copy)]
pub struct CredentialsRequest<'a> {
    /// Its path.
    pub path: &'a str,
    /// Its header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The endpoint is on an address that others than the build reach as well: the header counts then.
    pub is_shared: bool,
}

/// Builds that run.
pub trait RunningBuilds: Send + Sync + 'static {
    /// The build with this uuid, if it runs and this is the token of its job.
    fn running_build(&self, uuid: &str, token: &str) -> Option<BuildId>;

    /// New credentials of the build's role (`security.md` 5.2).
    ///
    /// # Errors
    /// Another path or authorization than the build was given, a build that is over, a role that is gone.
    fn role_credentials(
        &self,
        build: &BuildId,
        request: CredentialsRequest<'_>,
    ) -> impl Future<Output = Result<RoleCredentials, ApiError>> + Send;

    /// The parameters and secrets that a build names, as far as its role may read them: one answer for each, in order.
    fn build_secrets(
        &self,
        build: &BuildId,
        wanted: Vec<BuildSecret>,
    ) -> impl Future<Output = Vec<BuildSecretAnswer>> + Send;

    /// By what a build shows itself to the server of one of its sources.
    fn build_source(&self, build: &BuildId, wanted: BuildSource) -> impl Future<Output = BuildSourceAnswer> + Send;

    /// Finds a build's cache in its bucket, or keeps it there, as far as its role may. It takes as long as the cache is large.
    fn build_cache(&self, build: &BuildId, asked: BuildCache) -> impl Future<Output = BuildCacheAnswer> + Send;
}
