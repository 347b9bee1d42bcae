//! Shapes of the part of EventBridge's API 2015-10-07 that is offered (`api.md` 8.9).
//!
//! As in [`crate::codebuild`]: names are AWS's, members that the API requires are not `Option`s, unknown members are
//! ignored. Of answers the members are left out that belong to what is not offered here.

mod bus;
mod event;
mod rule;
mod tag;
mod target;

pub use bus::{
    DescribeEventBusRequest, DescribeEventBusResponse, EventBus, ListEventBusesRequest, ListEventBusesResponse,
};
pub use event::{
    PutEventsRequest, PutEventsRequestEntry, PutEventsResponse, PutEventsResultEntry, TestEventPatternRequest,
    TestEventPatternResponse,
};
pub use rule::{
    DeleteRuleRequest, DescribeRuleRequest, DescribeRuleResponse, DisableRuleRequest, EnableRuleRequest,
    ListRulesRequest, ListRulesResponse, PutRuleRequest, PutRuleResponse, Rule, RuleState,
};
pub use tag::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse,
};
pub use target::{
    DeadLetterConfig, InputTransformer, ListRuleNamesByTargetRequest, ListRuleNamesByTargetResponse,
    ListTargetsByRuleRequest, ListTargetsByRuleResponse, PutTargetsRequest, PutTargetsResponse, PutTargetsResultEntry,
    RemoveTargetsRequest, RemoveTargetsResponse, RemoveTargetsResultEntry, RetryPolicy, Target,
};

/// The answer of operations that have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Empty {}
