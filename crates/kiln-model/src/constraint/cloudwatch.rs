//! The constraints of CloudWatch's shapes.

use super::{
    Pattern, Rule, Structure,
    shapes::{formed, list, one_of, optional, required, text},
};
use crate::cloudwatch::{
    GetMetricDataInput, GetMetricStatisticsInput, ListMetricsInput, PutMetricDataInput, RecentlyActive, ScanBy,
    StandardUnit, Statistic,
};

const NAME: Rule = text(1, 255);
const NAMESPACE: Rule = formed(1, 255, Pattern::MetricNamespace);
const UNIT: Rule = one_of(StandardUnit::NAMES);
const PERIOD: Rule = Rule::Number { min: 1, max: i64::MAX };
const DIMENSIONS: Rule = list(
    0,
    30,
    &Rule::Structure(&Structure {
        name: "Dimension",
        members: &[required("Name", text(1, 255)), required("Value", text(1, 1024))],
    }),
);
const DATA: Rule = list(
    0,
    usize::MAX,
    &Rule::Structure(&Structure {
        name: "MetricDatum",
        members: &[
            required("MetricName", NAME),
            optional("Dimensions", DIMENSIONS),
            optional(
                "StatisticValues",
                Rule::Structure(&Structure {
                    name: "StatisticSet",
                    members: &[
                        required("SampleCount", Rule::Any),
                        required("Sum", Rule::Any),
                        required("Minimum", Rule::Any),
                        required("Maximum", Rule::Any),
                    ],
                }),
            ),
            optional("Unit", UNIT),
            optional("StorageResolution", Rule::Number { min: 1, max: i64::MAX }),
        ],
    }),
);
const ENTITY: Rule = Rule::Structure(&Structure {
    name: "Entity",
    members: &[
        optional("KeyAttributes", Rule::Map { min: 2, max: 4, key: &text(1, 32), value: &text(1, 2048) }),
        optional("Attributes", Rule::Map { min: 0, max: 10, key: &text(1, 256), value: &text(1, 2048) }),
    ],
});

validated! { PutMetricDataInput:
    required("Namespace", NAMESPACE),
    optional("MetricData", DATA),
    optional(
        "EntityMetricData",
        list(
            0,
            usize::MAX,
            &Rule::Structure(&Structure {
                name: "EntityMetricData",
                members: &[optional("Entity", ENTITY), optional("MetricData", DATA)],
            }),
        ),
    ),
}

validated! { GetMetricStatisticsInput:
    required("Namespace", NAMESPACE),
    required("MetricName", NAME),
    optional("Dimensions", DIMENSIONS),
    required("StartTime", Rule::Any),
    required("EndTime", Rule::Any),
    required("Period", PERIOD),
    optional("Statistics", list(1, 5, &one_of(Statistic::NAMES))),
    optional("ExtendedStatistics", list(1, 10, &Rule::Any)),
    optional("Unit", UNIT),
}

validated! { GetMetricDataInput:
    required(
        "MetricDataQueries",
        list(
            0,
            usize::MAX,
            &Rule::Structure(&Structure {
                name: "MetricDataQuery",
                members: &[
                    required("Id", text(1, 255)),
                    optional(
                        "MetricStat",
                        Rule::Structure(&Structure {
                            name: "MetricStat",
                            members: &[
                                required(
                                    "Metric",
                                    Rule::Structure(&Structure {
                                        name: "Metric",
                                        members: &[
                                            optional("Namespace", NAMESPACE),
                                            optional("MetricName", NAME),
                                            optional("Dimensions", DIMENSIONS),
                                        ],
                                    }),
                                ),
                                required("Period", PERIOD),
                                required("Stat", Rule::Any),
                                optional("Unit", UNIT),
                            ],
                        }),
                    ),
                    optional("Expression", text(1, 2048)),
                    optional("Period", PERIOD),
                    optional("AccountId", text(1, 255)),
                ],
            }),
        ),
    ),
    required("StartTime", Rule::Any),
    required("EndTime", Rule::Any),
    optional("ScanBy", one_of(ScanBy::NAMES)),
}

validated! { ListMetricsInput:
    optional("Namespace", NAMESPACE),
    optional("MetricName", NAME),
    optional(
        "Dimensions",
        list(
            0,
            10,
            &Rule::Structure(&Structure {
                name: "DimensionFilter",
                members: &[required("Name", text(1, 255)), optional("Value", text(1, 1024))],
            }),
        ),
    ),
    optional("RecentlyActive", one_of(RecentlyActive::NAMES)),
    optional("OwningAccount", text(1, 255)),
}
