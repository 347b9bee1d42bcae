//! What a webhook's filters say of a delivery, without a service: for `kiln webhook test`.

use kiln_model::{
    codebuild::Webhook,
    kiln::{DeliveryStatus, EventDecision},
};

use super::{
    event::{Event, Payload},
    filter::{self, Rules, Verdict},
    policy,
};

/// What is decided on a delivery by what the delivery itself says: not whether it was heard before, nor what only the
/// provider knows.
#[must_use]
pub fn explain(webhook: &Webhook, payload: &Payload) -> Vec<EventDecision> {
    match payload {
        Payload::Events(events) => events.iter().map(|event| of_event(webhook, event)).collect(),
        Payload::Approval(approval) => vec![EventDecision {
            trigger: Some(format!("pr/{}", approval.number)),
            commit: Some(approval.commit.clone()),
            status: DeliveryStatus::Pending,
            message:
                "a build of this commit starts if one waits for an approval, and who comments has one of the roles"
                    .to_owned(),
            ..EventDecision::default()
        }],
        Payload::Other(why) => {
            vec![EventDecision { status: DeliveryStatus::Ignored, message: why.clone(), ..EventDecision::default() }]
        }
    }
}

fn of_event(webhook: &Webhook, event: &Event) -> EventDecision {
    let rules = Rules::of(webhook.filter_groups.as_deref(), webhook.branch_filter.as_deref());
    let (verdict, groups) = filter::decide(rules, event);
    let waits = webhook.pull_request_build_policy.as_ref().is_some_and(|policy| policy::asks(policy, event));
    let (status, message) = if event.is_deletion {
        (DeliveryStatus::Ignored, "a removal builds nothing".to_owned())
    } else {
        match verdict {
            Verdict::Pass if waits => (
                DeliveryStatus::AwaitingApproval,
                "a build starts once its author is known to have one of the roles, or somebody approves it".to_owned(),
            ),
            Verdict::Pass => (DeliveryStatus::Started, "a build starts".to_owned()),
            Verdict::Fail => (DeliveryStatus::Ignored, "no filter group matches".to_owned()),
            Verdict::Ask(_) => {
                (DeliveryStatus::Pending, "it depends on what only the provider knows: the service asks it".to_owned())
            }
            Verdict::Unknown(why) => (DeliveryStatus::Failed, why),
        }
    };
    EventDecision {
        event: Some(event.kind.as_str().to_owned()),
        trigger: event.trigger(),
        commit: event.commit.clone(),
        status,
        message,
        groups,
        ..EventDecision::default()
    }
}
