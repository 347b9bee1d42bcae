//! The constraints of the shapes of CloudWatch Logs.

use super::{
    Pattern, Rule, Structure,
    shapes::{formed, list, one_of, optional, required, text},
};
use crate::logs::{
    CreateLogGroupRequest, CreateLogStreamRequest, DeleteLogGroupRequest, DeleteLogStreamRequest,
    DeleteRetentionPolicyRequest, DescribeIndexPoliciesRequest, DescribeLogGroupsRequest, DescribeLogStreamsRequest,
    DescribeMetricFiltersRequest, DescribeSubscriptionFiltersRequest, FilterLogEventsRequest, GetLogEventsRequest,
    ListTagsForResourceRequest, ListTagsLogGroupRequest, LogGroupClass, OrderBy, PutLogEventsRequest,
    PutLogGroupDeletionProtectionRequest, PutRetentionPolicyRequest, StartLiveTailRequest, TagLogGroupRequest,
    TagResourceRequest, TestMetricFilterRequest, UntagLogGroupRequest, UntagResourceRequest,
};

/// States the constraints of an input; violations are told as `InvalidParameterException`.
macro_rules! validated_logs {
    ($input:ident: $($member:expr,)*) => {
        impl $crate::decode::Input for $input {
            const SHAPE: &'static Structure =
                &Structure { name: stringify!($input), members: &[$($member,)*] };
            const VIOLATED: $crate::ErrorCode = $crate::ErrorCode::InvalidParameter;
        }
    };
}

validated_logs! { CreateLogGroupRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    optional("kmsKeyId", text(0, 256)),
    optional("tags", Rule::Map { min: 1, max: 50, key: &formed(1, 128, Pattern::LogTagKey), value: &formed(0, 256, Pattern::SystemsTag) }),
    optional("logGroupClass", one_of(LogGroupClass::NAMES)),
}

validated_logs! { CreateLogStreamRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    required("logStreamName", formed(1, 512, Pattern::LogStreamName)),
}

validated_logs! { DeleteLogGroupRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
}

validated_logs! { DeleteLogStreamRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    required("logStreamName", formed(1, 512, Pattern::LogStreamName)),
}

validated_logs! { DeleteRetentionPolicyRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
}

validated_logs! { DescribeIndexPoliciesRequest:
    required("logGroupIdentifiers", list(1, 1, &formed(1, 2048, Pattern::LogGroupIdentifier))),
    optional("nextToken", text(1, usize::MAX)),
}

validated_logs! { DescribeLogGroupsRequest:
    optional("accountIdentifiers", list(0, 20, &formed(12, 12, Pattern::AccountId))),
    optional("logGroupNamePrefix", formed(1, 512, Pattern::LogGroupName)),
    optional("logGroupNamePattern", formed(0, 512, Pattern::LogGroupNamePart)),
    optional("nextToken", text(1, usize::MAX)),
    optional("limit", Rule::Number { min: 1, max: 50 }),
    optional("logGroupClass", one_of(LogGroupClass::NAMES)),
    optional("logGroupIdentifiers", list(1, 50, &formed(1, 2048, Pattern::LogGroupIdentifier))),
}

validated_logs! { DescribeLogStreamsRequest:
    optional("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    optional("logGroupIdentifier", formed(1, 2048, Pattern::LogGroupIdentifier)),
    optional("logStreamNamePrefix", formed(1, 512, Pattern::LogStreamName)),
    optional("orderBy", one_of(OrderBy::NAMES)),
    optional("nextToken", text(1, usize::MAX)),
    optional("limit", Rule::Number { min: 1, max: 50 }),
}

validated_logs! { DescribeMetricFiltersRequest:
    optional("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    optional("filterNamePrefix", formed(1, 512, Pattern::LogStreamName)),
    optional("nextToken", text(1, usize::MAX)),
    optional("limit", Rule::Number { min: 1, max: 50 }),
    optional("metricName", formed(0, 255, Pattern::MetricName)),
    optional("metricNamespace", formed(0, 255, Pattern::MetricName)),
}

validated_logs! { DescribeSubscriptionFiltersRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    optional("filterNamePrefix", formed(1, 512, Pattern::LogStreamName)),
    optional("nextToken", text(1, usize::MAX)),
    optional("limit", Rule::Number { min: 1, max: 50 }),
}

validated_logs! { FilterLogEventsRequest:
    optional("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    optional("logGroupIdentifier", formed(1, 2048, Pattern::LogGroupIdentifier)),
    optional("logStreamNames", list(1, 100, &formed(1, 512, Pattern::LogStreamName))),
    optional("logStreamNamePrefix", formed(1, 512, Pattern::LogStreamName)),
    optional("startTime", Rule::Number { min: 0, max: i64::MAX }),
    optional("endTime", Rule::Number { min: 0, max: i64::MAX }),
    optional("filterPattern", text(0, 1024)),
    optional("nextToken", text(1, usize::MAX)),
    optional("limit", Rule::Number { min: 1, max: 10000 }),
}

validated_logs! { GetLogEventsRequest:
    optional("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    optional("logGroupIdentifier", formed(1, 2048, Pattern::LogGroupIdentifier)),
    required("logStreamName", formed(1, 512, Pattern::LogStreamName)),
    optional("startTime", Rule::Number { min: 0, max: i64::MAX }),
    optional("endTime", Rule::Number { min: 0, max: i64::MAX }),
    optional("nextToken", text(1, usize::MAX)),
    optional("limit", Rule::Number { min: 1, max: 10000 }),
}

validated_logs! { ListTagsForResourceRequest:
    required("resourceArn", formed(1, 1011, Pattern::LogResourceArn)),
}

validated_logs! { ListTagsLogGroupRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
}

validated_logs! { PutLogEventsRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    required("logStreamName", formed(1, 512, Pattern::LogStreamName)),
    required("logEvents", list(1, 10000, &Rule::Structure(&Structure { name: "InputLogEvent", members: &[required("timestamp", Rule::Number { min: 0, max: i64::MAX }), required("message", text(1, usize::MAX))] }))),
    optional("sequenceToken", text(1, usize::MAX)),
    optional("entity", Rule::Structure(&Structure { name: "Entity", members: &[optional("keyAttributes", Rule::Map { min: 2, max: 4, key: &text(1, 32), value: &text(1, 512) }), optional("attributes", Rule::Map { min: 0, max: 10, key: &text(1, 256), value: &text(1, 512) })] })),
}

validated_logs! { PutLogGroupDeletionProtectionRequest:
    required("logGroupIdentifier", formed(1, 2048, Pattern::LogGroupIdentifier)),
    required("deletionProtectionEnabled", Rule::Any),
}

validated_logs! { PutRetentionPolicyRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    required("retentionInDays", Rule::Any),
}

validated_logs! { StartLiveTailRequest:
    required("logGroupIdentifiers", list(1, 10, &formed(1, 2048, Pattern::LogGroupIdentifier))),
    optional("logStreamNames", list(1, 100, &formed(1, 512, Pattern::LogStreamName))),
    optional("logStreamNamePrefixes", list(1, 100, &formed(1, 512, Pattern::LogStreamName))),
    optional("logEventFilterPattern", text(0, 1024)),
}

validated_logs! { TagLogGroupRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    required("tags", Rule::Map { min: 1, max: 50, key: &formed(1, 128, Pattern::LogTagKey), value: &formed(0, 256, Pattern::SystemsTag) }),
}

validated_logs! { TagResourceRequest:
    required("resourceArn", formed(1, 1011, Pattern::LogResourceArn)),
    required("tags", Rule::Map { min: 1, max: 50, key: &formed(1, 128, Pattern::LogTagKey), value: &formed(0, 256, Pattern::SystemsTag) }),
}

validated_logs! { TestMetricFilterRequest:
    required("filterPattern", text(0, 1024)),
    required("logEventMessages", list(1, 50, &text(1, usize::MAX))),
}

validated_logs! { UntagLogGroupRequest:
    required("logGroupName", formed(1, 512, Pattern::LogGroupName)),
    required("tags", list(1, usize::MAX, &formed(1, 128, Pattern::LogTagKey))),
}

validated_logs! { UntagResourceRequest:
    required("resourceArn", formed(1, 1011, Pattern::LogResourceArn)),
    required("tagKeys", list(0, 50, &formed(1, 128, Pattern::LogTagKey))),
}
