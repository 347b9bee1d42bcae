//! What builds that run get by way of their runners: credentials of their roles, parameters and secrets, caches
//! (`security.md` 5.2). A runner is known by the token of its job.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use kiln_model::{
    ApiError, BuildId, ErrorCode,
    build_cache::{BuildCache, BuildCacheAnswer},
    build_secret::{BuildSecret, BuildSecretAnswer},
    build_source::{BuildSource, BuildSourceAnswer},
    service::{CredentialsRequest, RoleCredentials, RunningBuilds},
};
use kiln_runner::job::ServerAccess;

use crate::{caches, config::Config, core::Core, iam, live::Live, runners::Runners, secrets, source_credential};

/// How the runner of a new build reaches the server.
pub(crate) fn new_access(config: &Config) -> ServerAccess {
    ServerAccess {
        socket: config.data.join(kiln_wire::server::SOCKET),
        token: iam::random_name().into(),
        credentials_path: format!("/v2/credentials/{}", iam::random_name()),
        authorization: iam::random_name().into(),
    }
}

/// Compares without telling by its time how much is right.
fn is_same(left: &str, right: &str) -> bool {
    verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

fn over(build: &BuildId) -> ApiError {
    ApiError::new(ErrorCode::ExpiredToken, format!("build {build} is over; its credentials ended with it"))
}

impl<R: Runners> Core<R> {
    fn live(&self, build: &BuildId) -> Option<std::sync::Arc<Live>> {
        self.inner.live.get(build.uuid()).filter(|live| live.runs())
    }
}

impl<R: Runners> RunningBuilds for Core<R> {
    fn running_build(&self, uuid: &str, token: &str) -> Option<BuildId> {
        let live = self.inner.live.get(uuid).filter(|live| live.runs())?;
        if !is_same(&live.access()?.token.0, token) {
            return None;
        }
        live.with(|known| known.document.build.id.parse().ok())
    }

    async fn role_credentials(
        &self,
        build: &BuildId,
        request: CredentialsRequest<'_>,
    ) -> Result<RoleCredentials, ApiError> {
        let live = self.live(build).ok_or_else(|| over(build))?;
        let access = live.access().ok_or_else(|| over(build))?;
        let is_authorized =
            !request.is_shared || request.authorization.is_some_and(|given| is_same(given, &access.authorization.0));
        if !is_authorized || !is_same(request.path, &access.credentials_path) {
            return Err(ApiError::access_denied(
                "there are no credentials here: ask with the path of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or \
                 AWS_CONTAINER_CREDENTIALS_FULL_URI, and with AWS_CONTAINER_AUTHORIZATION_TOKEN where it is set",
            ));
        }
        self.inner.build_credentials(&live.document())
    }

    async fn build_source(&self, build: &BuildId, wanted: BuildSource) -> BuildSourceAnswer {
        match self.live(build) {
            Some(live) => source_credential::of_build(&self.inner, &live.document(), wanted).await,
            None => {
                let ApiError { code, message, .. } = over(build);
                BuildSourceAnswer::Refused { code: code.as_str().to_owned(), message }
            }
        }
    }

    async fn build_cache(&self, build: &BuildId, asked: BuildCache) -> BuildCacheAnswer {
        match self.live(build) {
            Some(live) => caches::of_build(&self.inner, live.document(), asked).await,
            None => BuildCacheAnswer::Problem { message: over(build).message },
        }
    }

    async fn build_secrets(&self, build: &BuildId, wanted: Vec<BuildSecret>) -> Vec<BuildSecretAnswer> {
        match self.live(build) {
            Some(live) => secrets::of_build(&self.inner, &live.document(), wanted).await,
            None => {
                let ApiError { code, message, .. } = over(build);
                let refused = BuildSecretAnswer::Refused { code: code.as_str().to_owned(), message };
                vec![refused; wanted.len()]
            }
        }
    }
}
