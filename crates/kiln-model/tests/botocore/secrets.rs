//! What the tests of Secrets Manager, Parameter Store, CloudWatch and CloudWatch Logs have in common.

use std::collections::BTreeSet;

use kiln_model::{ErrorCode, operations::OperationInfo};
use serde_json::Value;

use crate::samples::{members, sample, shape};

/// Members that a structure never has in answers.
pub(crate) type Never = fn(&str) -> &'static [&'static str];

/// A full value of an answer, without what is never answered.
pub(crate) fn answer(model: &Value, name: &str, never: Never) -> Value {
    let shape = shape(model, name);
    match shape["type"].as_str().unwrap() {
        "structure" => members(shape)
            .filter(|(member, _)| !never(name).contains(member))
            .map(|(member, of)| (member.to_owned(), answer(model, of, never)))
            .collect(),
        "list" => Value::Array(vec![answer(model, shape["member"]["shape"].as_str().unwrap(), never)]),
        "map" => {
            let value = answer(model, shape["value"]["shape"].as_str().unwrap(), never);
            Value::Object([("a".to_owned(), value)].into_iter().collect())
        }
        _ => sample(model, name),
    }
}

/// Whether errors are those of the model.
pub(crate) fn check_errors(model: &Value, implemented: &[OperationInfo], codes: &[ErrorCode]) {
    let theirs: BTreeSet<&str> = implemented
        .iter()
        .flat_map(|operation| model["operations"][operation.name]["errors"].as_array().into_iter().flatten())
        .map(|error| error["shape"].as_str().unwrap())
        .collect();
    for code in codes {
        assert!(theirs.contains(code.as_str()), "{code}");
    }
}

/// Declares the comparisons with the model of a service in the module where it stands.
macro_rules! compared {
    // With a model that the module has made ready itself.
    (prepared $($rest:tt)*) => { compared! { @ $($rest)* } };
    ($service:literal $operations:ident structures $structures:tt enumerations $enumerations:tt
        at_least $required:literal required $bounds:literal bounds) => {
        compared! { $service $operations violated Validation structures $structures enumerations $enumerations
            at_least $required required $bounds bounds }
    };
    ($service:literal $operations:ident violated $($rest:tt)*) => {
        fn model() -> Option<&'static Value> {
            samples::model($service)
        }

        compared! { @ $operations violated $($rest)* }
    };
    (@ $operations:ident violated $violated:ident
        structures { $($structure:ident)* } enumerations { $($enumeration:ident)* }
        at_least $required:literal required $bounds:literal bounds) => {
        /// Compares a structure's members.
        fn compare(model: &Value, name: &'static str, mut ours: BTreeSet<&'static str>, known: &mut BTreeSet<&str>) {
            ours.extend(never_answered(name));
            assert_eq!(ours, members(shape(model, name)).map(|(member, _)| member).collect(), "{name}");
            known.insert(name);
        }

        #[test]
        fn members_are_those_of_the_model() {
            let Some(model) = model() else { return };
            let mut known = BTreeSet::new();
            for (operation, input, output) in shapes() {
                for (side, (name, ours)) in [("input", input), ("output", output)] {
                    match model["operations"][operation][side]["shape"].as_str() {
                        Some(theirs) => {
                            assert_eq!(theirs, name);
                            compare(model, name, ours, &mut known);
                        }
                        // Operations without an answer have no shape for it.
                        None => assert!(ours.is_empty(), "{name}"),
                    }
                }
            }
            $(compare(model, stringify!($structure), member_names::<$structure>(), &mut known);)*
            // Nothing that an implemented operation takes or answers was left out of the list.
            for (operation, ..) in shapes() {
                for side in ["input", "output"] {
                    let Some(name) = model["operations"][operation][side]["shape"].as_str() else { continue };
                    let mut found = Vec::new();
                    places(model, name, "", &mut found);
                    let skipped = |place: &str| {
                        never_answered(name).iter().any(|member| place.starts_with(&format!("/{member}")))
                            || place.split('/').any(|part| is_of_others(part))
                    };
                    for (place, name) in found.iter().filter(|(_, name)| shape(model, name)["type"] == "structure") {
                        assert!(known.contains(name.as_str()) || skipped(place), "{name} at {place} is not compared");
                    }
                }
            }
        }

        #[test]
        fn enumerations_are_those_of_the_model() {
            let Some(model) = model() else { return };
            for (name, ours) in [$((stringify!($enumeration), $enumeration::NAMES),)*] {
                assert_eq!(ours.iter().copied().collect::<BTreeSet<_>>(), names(&shape(model, name)["enum"]), "{name}");
            }
        }

        #[test]
        fn full_inputs_and_outputs_lose_nothing() {
            let Some(model) = model() else { return };
            for (operation, decode) in inputs() {
                let name = model["operations"][operation]["input"]["shape"].as_str().unwrap();
                let full = sample(model, name);
                assert_eq!(decode(full.clone()), Ok(full), "{name}");
            }
            for (operation, again) in outputs() {
                let Some(name) = model["operations"][operation]["output"]["shape"].as_str() else { continue };
                let full = answer(model, name, never_answered);
                assert_eq!(again(full.clone()), full, "{name}");
            }
        }

        #[test]
        fn required_members_are_those_of_the_model() {
            let Some(model) = model() else { return };
            let checked = check_required(model, &inputs(), ErrorCode::$violated);
            assert!(checked >= $required, "only {checked} members were checked");
        }

        #[test]
        fn constraints_hold_exactly_up_to_their_bounds() {
            let Some(model) = model() else { return };
            let checked = check_bounds(model, &inputs(), ErrorCode::$violated);
            assert!(checked >= $bounds, "only {checked} values were checked");
        }

        #[test]
        fn operations_are_those_of_the_model() {
            let Some(model) = model() else { return };
            let theirs: BTreeSet<&str> = model["operations"].as_object().unwrap().keys().map(String::as_str).collect();
            for operation in &$operations {
                assert!(theirs.contains(operation.name), "{}", operation.name);
            }
        }
    };
}

/// Declares what knows the operations of a service.
macro_rules! operations_of {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// Each implemented operation's name with what decodes its input and writes it again.
        fn inputs() -> Inputs {
            vec![$((stringify!($name), (|value| {
                from_value::<$input>(value)
                    .map(|input| serde_json::to_value(input).unwrap())
                    .map_err(|error| error.code)
            }) as Decode),)+]
        }

        /// The same for its answer.
        fn outputs() -> Vec<(&'static str, fn(Value) -> Value)> {
            vec![$((stringify!($name), (|value| {
                serde_json::to_value(serde_json::from_value::<$output>(value).unwrap()).unwrap()
            }) as fn(Value) -> Value),)+]
        }

        /// Its name, and name and members of its input and its answer.
        fn shapes() -> Vec<(&'static str, Shape, Shape)> {
            vec![$((
                stringify!($name),
                (stringify!($input), member_names::<$input>()),
                (stringify!($output), member_names::<$output>()),
            ),)+]
        }
    };
}

/// Name and members.
pub(crate) type Shape = (&'static str, BTreeSet<&'static str>);

pub(crate) use {compared, operations_of};
