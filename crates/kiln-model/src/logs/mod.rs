//! Shapes of the part of CloudWatch Logs' API 2014-03-28 that is offered (`api.md` 6).
//!
//! As in [`crate::codebuild`]: names are AWS's, members that the API requires are not `Option`s, unknown members are
//! ignored. Times are whole milliseconds since the epoch, unlike those of CodeBuild.

mod describe;
mod event;
mod group;
mod stream;
mod tag;
mod tail;

pub use describe::{
    DescribeIndexPoliciesRequest, DescribeIndexPoliciesResponse, DescribeMetricFiltersRequest,
    DescribeMetricFiltersResponse, DescribeSubscriptionFiltersRequest, DescribeSubscriptionFiltersResponse,
    Distribution, IndexPolicy, IndexSource, MetricFilter, MetricTransformation, StandardUnit, SubscriptionFilter,
};
pub use event::{
    Entity, EntityRejectionErrorType, FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent,
    GetLogEventsRequest, GetLogEventsResponse, InputLogEvent, MetricFilterMatchRecord, OutputLogEvent,
    PutLogEventsRequest, PutLogEventsResponse, RejectedEntityInfo, RejectedLogEventsInfo, SearchedLogStream,
    TestMetricFilterRequest, TestMetricFilterResponse,
};
pub use group::{
    CreateLogGroupRequest, DataProtectionStatus, DeleteLogGroupRequest, DeleteRetentionPolicyRequest,
    DescribeLogGroupsRequest, DescribeLogGroupsResponse, InheritedProperty, LogGroup, LogGroupClass,
    PutLogGroupDeletionProtectionRequest, PutRetentionPolicyRequest,
};
pub use stream::{
    CreateLogStreamRequest, DeleteLogStreamRequest, DescribeLogStreamsRequest, DescribeLogStreamsResponse, LogStream,
    OrderBy,
};
pub use tag::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, ListTagsLogGroupRequest, ListTagsLogGroupResponse,
    TagLogGroupRequest, TagResourceRequest, UntagLogGroupRequest, UntagResourceRequest,
};
pub use tail::{
    LiveTailSessionLogEvent, LiveTailSessionMetadata, LiveTailSessionStart, LiveTailSessionUpdate, StartLiveTailRequest,
};

/// The answer of operations that have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Empty {}
