//! The operations of EventBridge.

use super::{OperationInfo, ResourceKind, find};

/// Target prefix of EventBridge.
pub const EVENTS_TARGET: &str = "AWSEvents";

/// Every operation of EventBridge's API 2015-10-07, by name.
pub const EVENTS_OPERATIONS: [OperationInfo; 57] = table! { "events":
    ActivateEventSource Any later,
    CancelReplay Any later,
    CreateApiDestination Any later,
    CreateArchive Any later,
    CreateConnection Any later,
    CreateEndpoint Any later,
    CreateEventBus Any later,
    CreatePartnerEventSource Any later,
    DeactivateEventSource Any later,
    DeauthorizeConnection Any later,
    DeleteApiDestination Any later,
    DeleteArchive Any later,
    DeleteConnection Any later,
    DeleteEndpoint Any later,
    DeleteEventBus Any later,
    DeletePartnerEventSource Any later,
    DeleteRule Rule implemented,
    DescribeApiDestination Any later,
    DescribeArchive Any later,
    DescribeConnection Any later,
    DescribeEndpoint Any later,
    DescribeEventBus EventBus implemented,
    DescribeEventSource Any later,
    DescribePartnerEventSource Any later,
    DescribeReplay Any later,
    DescribeRule Rule implemented,
    DisableRule Rule implemented,
    EnableRule Rule implemented,
    ListApiDestinations Any later,
    ListArchives Any later,
    ListConnections Any later,
    ListEndpoints Any later,
    ListEventBuses Any implemented,
    ListEventSources Any later,
    ListPartnerEventSourceAccounts Any later,
    ListPartnerEventSources Any later,
    ListReplays Any later,
    ListRuleNamesByTarget Any implemented,
    ListRules Any implemented,
    ListTagsForResource Rule implemented,
    ListTargetsByRule Rule implemented,
    PutEvents EventBus implemented,
    PutPartnerEvents Any later,
    PutPermission Any later,
    PutRule Rule implemented,
    PutTargets Rule implemented,
    RemovePermission Any later,
    RemoveTargets Rule implemented,
    StartReplay Any later,
    TagResource Rule implemented,
    TestEventPattern Any implemented,
    UntagResource Rule implemented,
    UpdateApiDestination Any later,
    UpdateArchive Any later,
    UpdateConnection Any later,
    UpdateEndpoint Any later,
    UpdateEventBus Any later,
};

/// The operation of EventBridge with that name.
#[must_use]
pub fn events_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&EVENTS_OPERATIONS, name)
}

/// Calls a macro with every implemented operation of EventBridge: its name, the method of [`crate::service::Events`], and
/// the shapes of input and output in [`crate::events`].
#[macro_export]
macro_rules! for_each_events_operation {
    ($callback:ident) => {
        $callback! {
            DeleteRule delete_rule DeleteRuleRequest Empty,
            DescribeEventBus describe_event_bus DescribeEventBusRequest DescribeEventBusResponse,
            DescribeRule describe_rule DescribeRuleRequest DescribeRuleResponse,
            DisableRule disable_rule DisableRuleRequest Empty,
            EnableRule enable_rule EnableRuleRequest Empty,
            ListEventBuses list_event_buses ListEventBusesRequest ListEventBusesResponse,
            ListRuleNamesByTarget list_rule_names_by_target ListRuleNamesByTargetRequest ListRuleNamesByTargetResponse,
            ListRules list_rules ListRulesRequest ListRulesResponse,
            ListTagsForResource list_tags_for_resource ListTagsForResourceRequest ListTagsForResourceResponse,
            ListTargetsByRule list_targets_by_rule ListTargetsByRuleRequest ListTargetsByRuleResponse,
            PutEvents put_events PutEventsRequest PutEventsResponse,
            PutRule put_rule PutRuleRequest PutRuleResponse,
            PutTargets put_targets PutTargetsRequest PutTargetsResponse,
            RemoveTargets remove_targets RemoveTargetsRequest RemoveTargetsResponse,
            TagResource tag_resource TagResourceRequest TagResourceResponse,
            TestEventPattern test_event_pattern TestEventPatternRequest TestEventPatternResponse,
            UntagResource untag_resource UntagResourceRequest UntagResourceResponse,
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_what_is_implemented_has_a_method() {
        macro_rules! names {
            ($($name:ident $method:ident $input:ident $output:ident,)+) => { [$(stringify!($name),)+] };
        }
        assert!(EVENTS_OPERATIONS.is_sorted_by(|a, b| a.name < b.name));
        let listed: Vec<_> = for_each_events_operation!(names).into_iter().collect();
        let implemented: Vec<_> = EVENTS_OPERATIONS.iter().filter(|o| o.implemented).map(|o| o.name).collect();
        assert_eq!(listed, implemented);
        assert_eq!(events_operation("PutRule").unwrap().action, "events:PutRule");
    }
}
