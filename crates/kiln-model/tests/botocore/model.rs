//! What is compared with the models whatever the service.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kiln_model::ErrorCode;
use serde::{Deserialize, de};
use serde_json::{Value, json};

use crate::samples::{
    ACCOUNT, EVENT_ENDPOINT, LAYER_DIGEST, PARAMETER_FILTER, REGION, REGISTRY, SERVICE_PRINCIPAL, SOURCE_ARN, UPLOAD,
    members, places, sample, shape, smallest, text,
};

/// Of namespaces of metrics.
const NAMESPACE: &str = "[^:].*";
/// Of names of repositories.
const REPOSITORY: &str = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*";
/// Of event buses.
const EVENT_BUS: &str = r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[/\.\-_A-Za-z0-9]+";
/// Of those that are not a partner's.
const OWN_EVENT_BUS: &str = r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[\.\-_A-Za-z0-9]+";
/// Of tags that are left out of a rule.
const TAG_FILTER: &str = "^[0-9a-zA-Z._*-]{1,128}$";

pub(crate) fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect()
}

/// Tells how an input is taken: what it is when written again, or the code of the error.
pub(crate) type Decode = fn(Value) -> Result<Value, ErrorCode>;

/// Each implemented operation's name with what decodes its input and writes it again.
pub(crate) type Inputs = Vec<(&'static str, Decode)>;

/// Learns the names of a structure's members from what serde derived for it.
struct MemberNames(Option<&'static [&'static str]>);

impl<'de> de::Deserializer<'de> for &mut MemberNames {
    type Error = de::value::Error;

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.0 = Some(fields);
        Err(de::Error::custom("only the names are wanted"))
    }

    fn deserialize_any<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("not a structure"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

pub(crate) fn member_names<T: for<'de> Deserialize<'de>>() -> BTreeSet<&'static str> {
    let mut names = MemberNames(None);
    assert!(T::deserialize(&mut names).is_err());
    names.0.unwrap().iter().copied().collect()
}

/// Leaves out each member of each input; returns how often. `violated` is the error of a missing one.
pub(crate) fn check_required(model: &Value, inputs: &Inputs, violated: ErrorCode) -> usize {
    let mut checked = 0;
    for_each_place(model, inputs, |decode, full, pointer, name| {
        let shape = shape(model, name);
        if shape["type"] != "structure" {
            return;
        }
        let required = names(&shape["required"]);
        for (member, _) in members(shape) {
            for without in [None, Some(Value::Null)] {
                let mut input = full.clone();
                let object = input.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
                match without {
                    None => object.remove(member),
                    Some(null) => object.insert(member.to_owned(), null),
                };
                let result = decode(input).err();
                let expected = required.contains(member).then_some(violated);
                assert_eq!(result, expected, "without {pointer}/{member}");
                checked += 1;
            }
        }
    });
    checked
}

/// Tries values of each place of each input at its bounds and beyond; returns how many. `violated` is the error of a bad
/// one.
pub(crate) fn check_bounds(model: &Value, inputs: &Inputs, violated: ErrorCode) -> usize {
    let mut checked = 0;
    for_each_place(model, inputs, |decode, full, pointer, name| {
        for (value, good) in boundaries(model, name, full.pointer(pointer).unwrap()) {
            let mut input = full.clone();
            *input.pointer_mut(pointer).unwrap() = value.clone();
            let expected = (!good).then_some(violated);
            let shown: String = value.to_string().chars().take(100).collect();
            assert_eq!(decode(input).err(), expected, "{name} at {pointer}: {shown}");
            checked += 1;
        }
    });
    checked
}

/// Calls with every place of every implemented operation's input: what decodes it, the full input, where, which shape.
fn for_each_place(model: &Value, inputs: &Inputs, mut check: impl FnMut(Decode, &Value, &str, &str)) {
    for &(operation, decode) in inputs {
        let Some(name) = model["operations"][operation]["input"]["shape"].as_str() else { continue };
        let full = sample(model, name);
        let mut found = Vec::new();
        places(model, name, "", &mut found);
        for (pointer, name) in found {
            check(decode, &full, &pointer, &name);
        }
    }
}

/// Values of a shape at its bounds and just beyond, and whether they are good. `item` is the sample's value there.
fn boundaries(model: &Value, name: &str, item: &Value) -> Vec<(Value, bool)> {
    let shape = shape(model, name);
    let mut values = Vec::new();
    match shape["type"].as_str().unwrap() {
        "string" if shape["enum"].is_array() => {
            values.extend(names(&shape["enum"]).into_iter().map(|value| (json!(value), true)));
            values.extend(["", "NOT_A_VALUE", "none"].map(|value| (json!(value), false)));
        }
        "string" => {
            let text = |length: usize, letter: &str| json!(text(shape, length, letter));
            let min = smallest(shape);
            values.push((text(min, "a"), true));
            if min > 0 {
                values.push((json!("a".repeat(min - 1)), false));
            }
            let pattern = shape["pattern"].as_str();
            // Names are ASCII; policies and markers Latin-1, which has an ä.
            let ascii = pattern.is_some_and(|pattern| !pattern.contains("u00FF") && !pattern.contains(r"\p{L}"));
            let of_any = [SOURCE_ARN, PARAMETER_FILTER, NAMESPACE, "[^:*]*", "[^:*$]*"];
            let ascii = ascii && pattern.is_some_and(|pattern| !of_any.contains(&pattern));
            if let Some(max) = shape["max"].as_u64() {
                let max = usize::try_from(max).unwrap();
                values.extend([(text(max, "a"), true), (text(max + 1, "a"), false)]);
                // Lengths are counted in characters.
                if ![Some(REGION), Some(ACCOUNT)].contains(&pattern) {
                    values.push((text(max, "ä"), !ascii));
                }
            }
            let (good, bad): (&[&str], &[&str]) = match pattern {
                None => (&[], &[]),
                Some(r"[A-Za-z0-9][A-Za-z0-9\-_]{1,149}") => {
                    (&["a-b_C9", "9a"], &["-ab", "_ab", "a b", "a/b", "a:b", "ab\n"])
                }
                Some(r"^([\p{L}\p{Z}\p{N}_.:/=@+\-]*)$" | r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$") => (
                    &["a b", "_.:/=@+-", "Größe", "键", "½", "\u{a0}"],
                    &["a!", "a\tb", "a\n", "{}", "a;b", "\u{1f600}"],
                ),
                Some("^[a-zA-Z0-9:/_-]+$" | "^([a-zA-Z0-9:/_-]+)$") => {
                    (&["alias/a-b_C:9"], &["a b", "a.b", "a\n", "é", "a@b"])
                }
                Some(r"[\u0009\u000A\u000D\u0020-\u00FF]+") => (&["{\r\n\t}", "é"], &["a\u{0}", "键", "\u{b}"]),
                Some(r"[\u0020-\u00FF]*") => (&["a b=", "é"], &["a\tb", "键", "a\n"]),
                Some(r"[\w]+") => (&["default", "a_9"], &["a-b", "a b", "é"]),
                Some(r"^[\w+=,.@:/-]+$") => {
                    (&["arn:aws:iam::000000000000:role/a+b=c,d.e@f_g-h"], &["a b", "a*", "é", "a\n"])
                }
                Some("^[a-zA-Z0-9-_.]+$") => (&["a-b_C.9"], &["a b", "a/b", "é"]),
                Some(REGION) => (
                    &["us-east-1", "us-gov-west-12"],
                    &["us-east", "us--1", "-1", "1", "Us-east-1", "us-east-1a", "us-1-1"],
                ),
                Some(r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$") => (&["!a b:c_@/+=.-!", ""], &["a*", "é", "a\n", "a,b"]),
                Some(r"^[a-zA-Z0-9\-]+$") => {
                    (&["0123456789-0123456789-0123456789-abcD"], &["0123456789_0123456789-0123456789-abcd"])
                }
                Some(r"[0-9A-Za-z\-\_]+") => (&["a-b_C9"], &["a b", "a.b", "é"]),
                Some(NAMESPACE) => (&["AWS/CodeBuild", "a:b", "é"], &[":a", "a\n"]),
                Some(PARAMETER_FILTER) => (
                    &["Name", "Tier", "tag:a b", "tag:ä"],
                    &["name", "Nam", "Names", "tag:", "Value", "tag:a\n", "DataType "],
                ),
                Some(SERVICE_PRINCIPAL) => (
                    &["s3.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"],
                    &["a", "a.b", "a..b", ".a.b", "a.b.", "a.b.é"],
                ),
                Some(SOURCE_ARN) => (
                    &["arn:aws-cn:s3::000000000000:a"],
                    &["arn:aws:s3::00000000000:abc", "arn:aws:s3::000000000000:", "arn:azure:s3::000000000000:a"],
                ),
                Some(r"[\.\-_/#A-Za-z0-9]+" | r"[\.\-_/#A-Za-z0-9]*") => {
                    (&["/aws/codebuild/a-b_C.9#"], &["a b", "a:b", "a*", "é", "a\n"])
                }
                Some(r"[\w#+=/:,.@-]*") => (&["arn:aws:logs:us-east-1:0:log-group:/a#b"], &["a*", "a b", "é"]),
                Some(r"[\w+=/:,.@-]*") => (&["arn:aws:logs:us-east-1:0:log-group:/a_b"], &["a#b", "a*", "é"]),
                Some("[^:*]*") => (&["2026/11/26/[$LATEST] é", "a\nb"], &["a:b", "a*"]),
                Some("[^:*$]*") => (&["a b é"], &["a:b", "a*", "$a"]),
                Some(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$") => (&["a b", "Größe"], &["a!", "a\n", "a;b"]),
                Some(ACCOUNT | REGISTRY) => (&["000000000000"], &["aaaaaaaaaaaa", "00000000000a"]),
                Some(REPOSITORY) => {
                    (&["a-b/c__d.e", "0a"], &["A", "a..b", "a//b", "/a", "a/", "_a", "a\n", "é", "a/../b"])
                }
                Some(LAYER_DIGEST) => (&["sha256:0a", "a-_+.:F"], &["sha256", "sha256:", ":0a", "sha256:g", "é:0a"]),
                Some(UPLOAD) => (
                    &["01234567-89ab-cdef-ABCD-0123456789ab"],
                    &["", "0123456789abcdef", "g1234567-89ab-cdef-ABCD-0123456789ab"],
                ),
                Some(r"[\.\-_A-Za-z0-9]+") => (&["a.b-C_9"], &["a b", "a/b", "é", "a\n"]),
                Some(r"[/\.\-_A-Za-z0-9]+") => (&["a.b-C_9/d"], &["a b", "a:b", "é", "a\n"]),
                Some(EVENT_BUS) => (
                    &["a/b", "arn:aws-cn:events:cn-north-1:000000000000:event-bus/a/b"],
                    &[
                        "a:b",
                        "arn:aws:events:us-east-1:00000000000:event-bus/a",
                        "arn:aws:events:us-east-1:000000000000:a",
                    ],
                ),
                Some(OWN_EVENT_BUS) => (
                    &["a_b", "arn:aws:events:us-gov-west-1:000000000000:event-bus/a"],
                    &[
                        "a/b",
                        "arn:aws:event:us-east-1:000000000000:event-bus/a",
                        "arn:aws:events:us-east-1:000000000000:event-bus/",
                    ],
                ),
                Some(EVENT_ENDPOINT) => (&["abcde.veo"], &["a", "a.", ".a", "a.b.c", "a.b_"]),
                Some(TAG_FILTER) => (&["v*", "a.b_c-d"], &["a/b", "a b", "é"]),
                Some(r"[\w\.-]+") => (&["a-b_C.9", "..", "-a"], &["a b", "a/b", "a\n", "é", "a:b", "a@b"]),
                Some(other) => panic!("{name} has the pattern {other}"),
            };
            values.extend(good.iter().map(|value| (json!(value), true)));
            values.extend(bad.iter().map(|value| (json!(value), false)));
        }
        "blob" => {
            let blob = |length: u64| json!(BASE64.encode(vec![b'a'; usize::try_from(length).unwrap()]));
            for (bound, beyond) in [("min", -1), ("max", 1)] {
                let Some(bound) = shape[bound].as_u64() else { continue };
                values.push((blob(bound), true));
                // There is nothing below a bound of 0.
                values.extend(bound.checked_add_signed(beyond).map(|length| (blob(length), false)));
            }
        }
        "integer" | "long" => {
            for (bound, beyond) in [("min", -1), ("max", 1)] {
                if let Some(bound) = shape[bound].as_i64() {
                    values.extend([(json!(bound), true), (json!(bound + beyond), false)]);
                }
            }
        }
        "list" => {
            let list = |length: usize| json!(vec![item[0].clone(); length]);
            let min = smallest(shape);
            values.push((list(min), true));
            if min > 0 {
                values.push((list(min - 1), false));
            }
            if let Some(max) = shape["max"].as_u64() {
                let max = usize::try_from(max).unwrap();
                values.extend([(list(max), true), (list(max + 1), false)]);
            }
        }
        "map" => {
            let value = item.as_object().unwrap().values().next().unwrap();
            let map = |length: usize| (1..=length).map(|n| (format!("k{n}"), value.clone())).collect::<Value>();
            let min = smallest(shape);
            if min > 0 {
                values.push((map(min - 1), false));
            }
            if let Some(max) = shape["max"].as_u64() {
                let max = usize::try_from(max).unwrap();
                values.extend([(map(max), true), (map(max + 1), false)]);
            }
        }
        _ => {}
    }
    values
}
