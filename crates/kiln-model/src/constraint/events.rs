//! The constraints of EventBridge's shapes. Of targets that are not started here what only they have is not looked at.

use super::{
    Pattern, Rule, Structure,
    shapes::{formed, list, one_of, optional, required, text},
};
use crate::events::{
    DeleteRuleRequest, DescribeEventBusRequest, DescribeRuleRequest, DisableRuleRequest, EnableRuleRequest,
    ListEventBusesRequest, ListRuleNamesByTargetRequest, ListRulesRequest, ListTagsForResourceRequest,
    ListTargetsByRuleRequest, PutEventsRequest, PutRuleRequest, PutTargetsRequest, RemoveTargetsRequest, RuleState,
    TagResourceRequest, TestEventPatternRequest, UntagResourceRequest,
};

const NAME: Rule = formed(1, 64, Pattern::EventName);
const BUS: Rule = formed(1, 1600, Pattern::EventBus);
const ARN: Rule = text(1, 1600);
const TOKEN: Rule = text(1, 2048);
const LIMIT: Rule = Rule::Number { min: 1, max: 100 };
const TAGS: Rule = list(
    0,
    usize::MAX,
    &Rule::Structure(&Structure {
        name: "Tag",
        members: &[required("Key", text(1, 128)), required("Value", text(0, 256))],
    }),
);

const TARGET: Rule = Rule::Structure(&Structure {
    name: "Target",
    members: &[
        required("Id", NAME),
        required("Arn", ARN),
        optional("RoleArn", ARN),
        optional("Input", text(0, 8192)),
        optional("InputPath", text(0, 256)),
        optional(
            "InputTransformer",
            Rule::Structure(&Structure {
                name: "InputTransformer",
                members: &[
                    optional(
                        "InputPathsMap",
                        Rule::Map { min: 0, max: 100, key: &formed(1, 256, Pattern::PolicyName), value: &text(0, 256) },
                    ),
                    required("InputTemplate", text(1, 8192)),
                ],
            }),
        ),
        optional(
            "DeadLetterConfig",
            Rule::Structure(&Structure { name: "DeadLetterConfig", members: &[optional("Arn", ARN)] }),
        ),
        optional(
            "RetryPolicy",
            Rule::Structure(&Structure {
                name: "RetryPolicy",
                members: &[
                    optional("MaximumRetryAttempts", Rule::Number { min: 0, max: 185 }),
                    optional("MaximumEventAgeInSeconds", Rule::Number { min: 60, max: 86_400 }),
                ],
            }),
        ),
    ],
});

validated! { DeleteRuleRequest:
    required("Name", NAME),
    optional("EventBusName", BUS),
}

validated! { DescribeEventBusRequest:
    optional("Name", BUS),
}

validated! { DescribeRuleRequest:
    required("Name", NAME),
    optional("EventBusName", BUS),
}

validated! { DisableRuleRequest:
    required("Name", NAME),
    optional("EventBusName", BUS),
}

validated! { EnableRuleRequest:
    required("Name", NAME),
    optional("EventBusName", BUS),
}

validated! { ListEventBusesRequest:
    optional("NamePrefix", formed(1, 256, Pattern::EventBusName)),
    optional("NextToken", TOKEN),
    optional("Limit", LIMIT),
}

validated! { ListRuleNamesByTargetRequest:
    required("TargetArn", ARN),
    optional("EventBusName", BUS),
    optional("NextToken", TOKEN),
    optional("Limit", LIMIT),
}

validated! { ListRulesRequest:
    optional("NamePrefix", NAME),
    optional("EventBusName", BUS),
    optional("NextToken", TOKEN),
    optional("Limit", LIMIT),
}

validated! { ListTagsForResourceRequest:
    required("ResourceARN", ARN),
}

validated! { ListTargetsByRuleRequest:
    required("Rule", NAME),
    optional("EventBusName", BUS),
    optional("NextToken", TOKEN),
    optional("Limit", LIMIT),
}

validated! { PutEventsRequest:
    required("Entries", list(1, 10, &Rule::Structure(&Structure {
        name: "PutEventsRequestEntry",
        members: &[
            optional("Resources", list(0, usize::MAX, &text(0, 2048))),
            optional("EventBusName", formed(1, 1600, Pattern::OwnEventBus)),
            optional("TraceHeader", text(1, 500)),
        ],
    }))),
    optional("EndpointId", formed(1, 50, Pattern::EventEndpoint)),
}

validated! { PutRuleRequest:
    required("Name", NAME),
    optional("ScheduleExpression", text(0, 256)),
    optional("EventPattern", text(0, 4096)),
    optional("State", one_of(RuleState::NAMES)),
    optional("Description", text(0, 512)),
    optional("RoleArn", ARN),
    optional("Tags", TAGS),
    optional("EventBusName", BUS),
}

validated! { PutTargetsRequest:
    required("Rule", NAME),
    optional("EventBusName", BUS),
    required("Targets", list(1, 100, &TARGET)),
}

validated! { RemoveTargetsRequest:
    required("Rule", NAME),
    optional("EventBusName", BUS),
    required("Ids", list(1, 100, &NAME)),
}

validated! { TagResourceRequest:
    required("ResourceARN", ARN),
    required("Tags", TAGS),
}

validated! { TestEventPatternRequest:
    required("EventPattern", text(0, 4096)),
    required("Event", Rule::Any),
}

validated! { UntagResourceRequest:
    required("ResourceARN", ARN),
    required("TagKeys", list(0, usize::MAX, &text(1, 128))),
}
