//! What anybody may see of projects whose builds are public; nobody signs for it.

use std::future::Future;

use super::{ArtifactContent, ByteSource};
use crate::{
    ApiError,
    kiln::{
        GetBuildLogOutput, GetPublicBuildArtifactInput, GetPublicBuildInput, GetPublicBuildLogInput,
        GetPublicBuildOutput, ListPublicBuildsInput, ListPublicBuildsOutput,
    },
};

/// Public builds (`api.md` 2.4). An alias that nobody has, one whose project is private again and a build that is not of
/// that project are answered alike, with `ResourceNotFoundException`: nothing can be learnt by guessing.
pub trait PublicBuilds: Send + Sync + 'static {
    /// An artifact's bytes.
    type Artifact: ByteSource;

    /// The builds of a public project.
    fn list_public_builds(
        &self,
        input: ListPublicBuildsInput,
    ) -> impl Future<Output = Result<ListPublicBuildsOutput, ApiError>> + Send;

    /// One of them.
    fn get_public_build(
        &self,
        input: GetPublicBuildInput,
    ) -> impl Future<Output = Result<GetPublicBuildOutput, ApiError>> + Send;

    /// Lines of its log, as far as the project's `resourceAccessRole` may read it.
    fn get_public_build_log(
        &self,
        input: GetPublicBuildLogInput,
    ) -> impl Future<Output = Result<GetBuildLogOutput, ApiError>> + Send;

    /// One of its artifacts, if it is a ZIP file that the project's `resourceAccessRole` may read.
    fn get_public_build_artifact(
        &self,
        input: GetPublicBuildArtifactInput,
    ) -> impl Future<Output = Result<ArtifactContent<Self::Artifact>, ApiError>> + Send;
}
