//! Shapes of the part of Systems Manager's API 2014-11-06 that is Parameter Store (`api.md` 8.5).
//!
//! As in [`crate::codebuild`]: names are AWS's, members that the API requires are not `Option`s, unknown members are
//! ignored. Of answers the members are left out that belong to what is not offered here.

mod list;
mod parameter;
mod tag;

pub use list::{
    DescribeParametersRequest, DescribeParametersResult, GetParameterHistoryRequest, GetParameterHistoryResult,
    LabelParameterVersionRequest, LabelParameterVersionResult, ParameterHistory, ParameterInlinePolicy,
    ParameterMetadata, ParameterStringFilter, ParametersFilter, ParametersFilterKey, UnlabelParameterVersionRequest,
    UnlabelParameterVersionResult,
};
pub use parameter::{
    DeleteParameterRequest, DeleteParameterResult, DeleteParametersRequest, DeleteParametersResult,
    GetParameterRequest, GetParameterResult, GetParametersByPathRequest, GetParametersByPathResult,
    GetParametersRequest, GetParametersResult, Parameter, ParameterTier, ParameterType, PutParameterRequest,
    PutParameterResult,
};
pub use tag::{
    AddTagsToResourceRequest, AddTagsToResourceResult, ListTagsForResourceRequest, ListTagsForResourceResult,
    RemoveTagsFromResourceRequest, RemoveTagsFromResourceResult, ResourceTypeForTagging, Tag,
};
