//! CloudWatch's query protocol: parameters `MetricData.member.1.Value=1` in, XML out.

use std::collections::BTreeMap;

use kiln_model::{ApiError, Timestamp};
use serde_json::{Map, Number, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::is_time;
use crate::{
    fault::xml_text,
    query::{Form, iso_date},
};

const NAMESPACE: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";

/// Names within each other, at most.
const DEEPEST: usize = 12;

/// Members that are lists.
const LISTS: [&str; 8] = [
    "Counts",
    "Dimensions",
    "EntityMetricData",
    "ExtendedStatistics",
    "MetricData",
    "MetricDataQueries",
    "Statistics",
    "Values",
];

/// What stands at a place of the form.
#[derive(Default)]
struct Node {
    value: Option<String>,
    below: BTreeMap<String, Node>,
}

/// The input that a form has, as JSON.
///
/// # Errors
/// `SerializationException`.
pub(super) fn input(form: &Form) -> Result<Value, ApiError> {
    let mut root = Node::default();
    for (name, value) in form.pairs().filter(|(name, _)| !matches!(*name, "Action" | "Version")) {
        if name.split('.').count() > DEEPEST {
            return Err(ApiError::serialization(format!("the name of a parameter has more than {DEEPEST} parts")));
        }
        let node = name.split('.').fold(&mut root, |node, part| node.below.entry(part.to_owned()).or_default());
        node.value = Some(value.to_owned());
    }
    members(root.below, "")
}

fn members(below: BTreeMap<String, Node>, of: &str) -> Result<Value, ApiError> {
    let mut object = Map::new();
    for (name, node) in below {
        let value = value(node, &name, of)?;
        object.insert(name, value);
    }
    Ok(Value::Object(object))
}

/// `of`: the member that the node's structure is in.
fn value(mut node: Node, name: &str, of: &str) -> Result<Value, ApiError> {
    let Some(items) = node.below.remove("member") else {
        return match node.value {
            Some(text) if node.below.is_empty() => Ok(leaf(text, name, of)),
            Some(_) => Err(ApiError::serialization(format!("'{}' is a value and has parts as well", short(name)))),
            None => members(node.below, name),
        };
    };
    if !node.below.is_empty() {
        return Err(ApiError::serialization(format!("'{}' is a list and has other parts as well", short(name))));
    }
    let mut numbered = BTreeMap::new();
    for (number, item) in items.below {
        let number: u32 = number
            .parse()
            .map_err(|_| ApiError::serialization(format!("an item of '{}' has no number", short(name))))?;
        numbered.insert(number, item);
    }
    let items = numbered.into_values().map(|item| match item.value {
        Some(text) if item.below.is_empty() => Ok(leaf(text, name, of)),
        _ => members(item.below, name),
    });
    items.collect::<Result<_, _>>().map(Value::Array)
}

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

/// A value of the type that its member has. What is not of that type stays a text, which decoding refuses.
fn leaf(text: String, name: &str, of: &str) -> Value {
    let number = |text: &str| text.parse().ok().and_then(Number::from_f64).map(Value::Number);
    let typed = match name {
        // So a list without items is written.
        _ if text.is_empty() && LISTS.contains(&name) => Some(Value::Array(Vec::new())),
        "StorageResolution" | "Period" | "MaxDatapoints" => text.parse::<i64>().ok().map(Value::from),
        // Of a dimension the value is a text.
        "Value" if of == "Dimensions" => None,
        "Value" | "Values" | "Counts" | "SampleCount" | "Sum" | "Minimum" | "Maximum" => number(&text),
        "ReturnData" | "IncludeLinkedAccounts" | "StrictEntityValidation" => text.parse::<bool>().ok().map(Value::from),
        "StartTime" | "EndTime" | "Timestamp" => match OffsetDateTime::parse(&text, &Rfc3339) {
            Ok(time) => {
                let millis = i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok();
                millis.and_then(|millis| serde_json::to_value(Timestamp::from_millis(millis)).ok())
            }
            Err(_) => number(&text),
        },
        _ => None,
    };
    typed.unwrap_or(Value::String(text))
}

/// The answer of an operation.
pub(super) fn answer(operation: &str, output: &Value, request_id: &str) -> String {
    let mut xml = format!("<{operation}Response xmlns=\"{NAMESPACE}\">");
    if output.as_object().is_some_and(|members| !members.is_empty()) {
        write(&mut xml, &format!("{operation}Result"), output);
    }
    let id = xml_text(request_id);
    xml.push_str(&format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>\n"));
    xml
}

fn write(xml: &mut String, name: &str, value: &Value) {
    xml.push_str(&format!("<{name}>"));
    match value {
        // The one map that there is: percentiles by their names.
        Value::Object(entries) if name == "ExtendedStatistics" => {
            for (key, value) in entries {
                xml.push_str("<entry>");
                write(xml, "key", &Value::String(key.clone()));
                write(xml, "value", value);
                xml.push_str("</entry>");
            }
        }
        Value::Object(members) => members.iter().for_each(|(name, value)| write(xml, name, value)),
        Value::Array(items) => {
            for item in items {
                match item.as_f64().filter(|_| is_time(name)) {
                    Some(seconds) => xml.push_str(&format!("<member>{}</member>", iso(seconds))),
                    None => write(xml, "member", item),
                }
            }
        }
        Value::String(text) => xml.push_str(&xml_text(text)),
        Value::Number(number) => match number.as_f64().filter(|_| is_time(name)) {
            Some(seconds) => xml.push_str(&iso(seconds)),
            None => xml.push_str(&number.to_string()),
        },
        Value::Bool(value) => xml.push_str(&value.to_string()),
        Value::Null => {}
    }
    xml.push_str(&format!("</{name}>"));
}

/// Times of answers are whole seconds.
fn iso(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a time of an answer, which the service made")]
    let millis = (seconds * 1000.0) as i64;
    iso_date(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        input(&Form::parse(text).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn parameters_become_members_of_their_types() {
        let text = "Action=PutMetricData&Version=2010-08-01&Namespace=n&MetricData.member.2.MetricName=b\
                    &MetricData.member.2.Value=2&MetricData.member.1.MetricName=a&MetricData.member.1.Values.member.1=1.5\
                    &MetricData.member.1.Values.member.2=3&MetricData.member.1.Counts.member.1=7\
                    &MetricData.member.1.Timestamp=2026-11-26T10:00:00.250Z&MetricData.member.1.StorageResolution=1\
                    &MetricData.member.1.Dimensions.member.1.Name=Value&MetricData.member.1.Dimensions.member.1.Value=5\
                    &MetricData.member.1.StatisticValues.Sum=1e3";
        let expected = json!({
            "Namespace": "n",
            "MetricData": [
                {
                    "MetricName": "a", "Values": [1.5, 3.0], "Counts": [7.0], "Timestamp": 1_795_687_200.25,
                    "StorageResolution": 1, "Dimensions": [{ "Name": "Value", "Value": "5" }],
                    "StatisticValues": { "Sum": 1000.0 },
                },
                { "MetricName": "b", "Value": 2.0 },
            ],
        });
        assert_eq!(read(text), Ok(expected));
        assert_eq!(read("Values.member.11=11&Values.member.2=2"), Ok(json!({ "Values": [2.0, 11.0] })));
        assert_eq!(read("Dimensions=&Unit=&Value="), Ok(json!({ "Dimensions": [], "Unit": "", "Value": "" })));
        assert_eq!(read("ReturnData=true&StartTime=5"), Ok(json!({ "ReturnData": true, "StartTime": 5.0 })));
        // Decoding says what is wrong with them.
        assert_eq!(read("Value=x&Period=1.5&Sum=NaN"), Ok(json!({ "Value": "x", "Period": "1.5", "Sum": "NaN" })));
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, what) in [
            ("a=1&a.b=2", "is a value and has parts"),
            ("a.member.1=1&a.b=2", "is a list and has other parts"),
            ("a.member.x=1", "has no number"),
            ("a.b.c.d.e.f.g.h.i.j.k.l.m=1", "more than 12 parts"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn answers_are_those_of_the_protocol() {
        let output = json!({
            "Label": "a<b",
            "Datapoints": [{ "Timestamp": 1_795_687_200.0, "Sum": 1.0, "ExtendedStatistics": { "p50": 2.5 } }],
            "Timestamps": [1_795_687_260.0],
        });
        assert_eq!(
            answer("X", &output, "id"),
            "<XResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><XResult><Datapoints><member>\
             <ExtendedStatistics><entry><key>p50</key><value>2.5</value></entry></ExtendedStatistics><Sum>1.0</Sum>\
             <Timestamp>2026-11-26T10:00:00Z</Timestamp></member></Datapoints><Label>a&lt;b</Label><Timestamps>\
             <member>2026-11-26T10:01:00Z</member></Timestamps></XResult><ResponseMetadata><RequestId>id</RequestId>\
             </ResponseMetadata></XResponse>\n"
        );
        assert!(!answer("X", &json!({}), "id").contains("XResult"));
    }
}
