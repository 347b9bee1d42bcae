//! Our shapes and constraints are those of the published service model, as the Python package botocore carries it
//! (`scripts/botocore`).

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::{collections::BTreeSet, fs, path::Path, process::Command, sync::OnceLock};

use kiln_model::{
    ErrorCode, PhaseContext, codebuild, codebuild::*, decode::from_value, for_each_codebuild_operation,
    operations::OPERATIONS,
};
use serde::{Deserialize, de};
use serde_json::{Value, json};

/// The model; `None` where it cannot be had, said in the form that `scripts/test` counts.
fn model() -> Option<&'static Value> {
    static MODEL: OnceLock<Result<Value, String>> = OnceLock::new();
    let model = MODEL.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let output =
            Command::new(root.join("scripts/botocore")).output().map_err(|error| format!("skipped: {error}"))?;
        let text = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert!(output.status.success(), "scripts/botocore: {}", String::from_utf8_lossy(&output.stderr));
        if text.starts_with("skipped:") {
            Err(text)
        } else {
            Ok(serde_json::from_slice(&fs::read(text).unwrap()).unwrap())
        }
    });
    model.as_ref().inspect_err(|reason| println!("{reason}")).ok()
}

fn shape<'a>(model: &'a Value, name: &str) -> &'a Value {
    let shape = &model["shapes"][name];
    assert!(shape.is_object(), "the model has no shape {name}");
    shape
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect()
}

/// A value of a shape with every member, as small as the constraints allow but for one item in each list.
fn sample(model: &Value, name: &str) -> Value {
    let shape = shape(model, name);
    match shape["type"].as_str().unwrap() {
        "structure" => members(shape)
            .map(|(member, of)| match member {
                // A plain string in the model, but what it says is the name of a phase.
                "currentPhase" => (member.to_owned(), json!("COMPLETED")),
                _ => (member.to_owned(), sample(model, of)),
            })
            .collect(),
        "list" => json!([sample(model, shape["member"]["shape"].as_str().unwrap())]),
        "string" => match shape["enum"].as_array() {
            Some(values) => values[0].clone(),
            None => json!("a".repeat(smallest(shape).max(1))),
        },
        "integer" | "long" => json!(shape["min"].as_i64().unwrap_or(0).max(1)),
        "boolean" => json!(true),
        "timestamp" => json!(1_556_839_783.274),
        other => panic!("{name} has the type {other}"),
    }
}

fn members(shape: &Value) -> impl Iterator<Item = (&str, &str)> {
    shape["members"].as_object().unwrap().iter().map(|(name, of)| (name.as_str(), of["shape"].as_str().unwrap()))
}

fn smallest(shape: &Value) -> usize {
    usize::try_from(shape["min"].as_u64().unwrap_or(0)).unwrap()
}

/// A place in a value: JSON pointer.
type Pointer = String;

/// Every place in the sample of a structure, with the name of the shape that is there.
fn places(model: &Value, name: &str, at: &str, found: &mut Vec<(Pointer, String)>) {
    let shape = shape(model, name);
    found.push((at.to_owned(), name.to_owned()));
    match shape["type"].as_str().unwrap() {
        "structure" => members(shape).for_each(|(member, of)| places(model, of, &format!("{at}/{member}"), found)),
        "list" => places(model, shape["member"]["shape"].as_str().unwrap(), &format!("{at}/0"), found),
        _ => {}
    }
}

/// Tells how an input is taken: `Ok`, or the code of the error.
type Decode = fn(Value) -> Result<Value, ErrorCode>;

/// Each implemented operation's name with what decodes its input and writes it again.
fn inputs() -> Vec<(&'static str, Decode)> {
    macro_rules! table {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            vec![$((stringify!($name), (|value| {
                from_value::<codebuild::$input>(value)
                    .map(|input| serde_json::to_value(input).unwrap())
                    .map_err(|error| error.code)
            }) as Decode),)+]
        };
    }
    for_each_codebuild_operation!(table)
}

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

fn member_names<T: for<'de> Deserialize<'de>>() -> BTreeSet<&'static str> {
    let mut names = MemberNames(None);
    assert!(T::deserialize(&mut names).is_err());
    names.0.unwrap().iter().copied().collect()
}

#[test]
fn every_operation_of_the_model_is_in_the_table() {
    let Some(model) = model() else { return };
    let ours: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(ours, model["operations"].as_object().unwrap().keys().map(String::as_str).collect());
    assert_eq!(model["metadata"]["targetPrefix"], kiln_model::operations::CODEBUILD_TARGET);
}

#[test]
fn errors_of_the_model_are_known() {
    let Some(model) = model() else { return };
    for operation in model["operations"].as_object().unwrap().values() {
        for error in operation["errors"].as_array().into_iter().flatten() {
            let name = error["shape"].as_str().unwrap();
            assert!(ErrorCode::NAMES.contains(&name), "{name}");
        }
    }
}

#[test]
fn members_are_those_of_the_model() {
    let Some(model) = model() else { return };
    let mut compared = BTreeSet::new();
    let mut compare = |name: &'static str, ours: BTreeSet<&str>| {
        assert_eq!(ours, members(shape(model, name)).map(|(member, _)| member).collect(), "{name}");
        compared.insert(name);
    };
    macro_rules! operations {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            $(
                // Operations without a body have no shape for it.
                for (side, name, ours) in [
                    ("input", stringify!($input), member_names::<$input>()),
                    ("output", stringify!($output), member_names::<$output>()),
                ] {
                    match model["operations"][stringify!($name)][side]["shape"].as_str() {
                        Some(theirs) => { assert_eq!(theirs, name); compare(name, ours); }
                        None => assert!(ours.is_empty(), "{name}"),
                    }
                }
            )+
        };
    }
    for_each_codebuild_operation!(operations);
    macro_rules! structures {
        ($($name:ident)+) => { $(compare(stringify!($name), member_names::<$name>());)+ };
    }
    structures! {
        AutoRetryConfig BatchRestrictions Build BuildArtifacts BuildNotDeleted BuildPhase BuildStatusConfig
        CloudWatchLogsConfig ComputeConfiguration DebugSession DockerServer DockerServerStatus EnvironmentImage
        EnvironmentLanguage EnvironmentPlatform EnvironmentVariable ExportedEnvironmentVariable GitSubmodulesConfig
        LogsConfig LogsLocation NetworkInterface PhaseContext Project ProjectArtifacts ProjectBadge
        ProjectBuildBatchConfig ProjectCache ProjectEnvironment ProjectFileSystemLocation ProjectFleet ProjectSource
        ProjectSourceVersion PullRequestBuildPolicy RegistryCredential S3LogsConfig ScopeConfiguration SourceAuth
        SourceCredentialsInfo Tag VpcConfig Webhook WebhookFilter
    }
    // Nothing that an implemented operation takes or answers was left out of the list.
    for (operation, _) in inputs() {
        for side in ["input", "output"] {
            let Some(name) = model["operations"][operation][side]["shape"].as_str() else { continue };
            let mut found = Vec::new();
            places(model, name, "", &mut found);
            for (_, name) in found.iter().filter(|(_, name)| shape(model, name)["type"] == "structure") {
                assert!(compared.contains(name.as_str()), "{name} is not compared");
            }
        }
    }
}

#[test]
fn enumerations_are_those_of_the_model() {
    let Some(model) = model() else { return };
    let compare = |name: &str, ours: &[&str], additions: &[&str]| {
        let mut theirs = names(&shape(model, name)["enum"]);
        theirs.extend(additions);
        assert_eq!(ours.iter().copied().collect::<BTreeSet<_>>(), theirs, "{name}");
    };
    macro_rules! enumerations {
        ($($name:ident)+) => { $(compare(stringify!($name), $name::NAMES, &[]);)+ };
    }
    enumerations! {
        ArtifactNamespace ArtifactPackaging ArtifactsType AuthType BatchReportModeType BucketOwnerAccess CacheMode
        CacheType ComputeType CredentialProviderType EnvironmentType EnvironmentVariableType FileSystemType HostKernel
        ImagePullCredentialsType LanguageType LogsConfigStatusType MachineType PlatformType ProjectSortByType
        ProjectVisibilityType PullRequestBuildApproverRole PullRequestBuildCommentApproval ServerType
        SharedResourceSortByType SortOrderType SourceAuthType SourceType WebhookBuildType WebhookFilterType
        WebhookScopeType WebhookStatus
    }
    // Live phases show it (`api.md` 2.2).
    compare("StatusType", PhaseStatus::NAMES, &["CLIENT_ERROR"]);
    for value in names(&shape(model, "StatusType")["enum"]) {
        assert_eq!(serde_json::from_value::<kiln_model::BuildStatus>(json!(value)).unwrap().as_str(), value);
    }
    for value in names(&shape(model, "BuildPhaseType")["enum"]) {
        assert_eq!(serde_json::from_value::<kiln_model::PhaseType>(json!(value)).unwrap().as_str(), value);
    }
}

#[test]
fn full_inputs_and_outputs_lose_nothing() {
    let Some(model) = model() else { return };
    for (operation, decode) in inputs() {
        let Some(name) = model["operations"][operation]["input"]["shape"].as_str() else { continue };
        let full = sample(model, name);
        assert_eq!(decode(full.clone()), Ok(full), "{name}");
    }
    macro_rules! outputs {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            $(
                if let Some(name) = model["operations"][stringify!($name)]["output"]["shape"].as_str() {
                    let full = sample(model, name);
                    let output: $output = serde_json::from_value(full.clone()).unwrap();
                    assert_eq!(serde_json::to_value(&output).unwrap(), full, "{name}");
                }
            )+
        };
    }
    for_each_codebuild_operation!(outputs);
}

#[test]
fn required_members_are_those_of_the_model() {
    let Some(model) = model() else { return };
    let mut checked = 0;
    for_each_place(model, |decode, full, pointer, name| {
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
                let expected = required.contains(member).then_some(ErrorCode::InvalidInput);
                assert_eq!(result, expected, "without {pointer}/{member}");
                checked += 1;
            }
        }
    });
    assert!(checked > 400, "only {checked} members were checked");
}

#[test]
fn constraints_hold_exactly_up_to_their_bounds() {
    let Some(model) = model() else { return };
    let mut checked = 0;
    for_each_place(model, |decode, full, pointer, name| {
        for (value, good) in boundaries(model, name, full.pointer(pointer).unwrap()) {
            let mut input = full.clone();
            *input.pointer_mut(pointer).unwrap() = value.clone();
            let expected = (!good).then_some(ErrorCode::InvalidInput);
            let shown: String = value.to_string().chars().take(100).collect();
            assert_eq!(decode(input).err(), expected, "{name} at {pointer}: {shown}");
            checked += 1;
        }
    });
    assert!(checked > 400, "only {checked} values were checked");
}

/// Calls with every place of every implemented operation's input: what decodes it, the full input, where, which shape.
fn for_each_place(model: &Value, mut check: impl FnMut(Decode, &Value, &str, &str)) {
    for (operation, decode) in inputs() {
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
            let text = |length: usize, letter: &str| json!(letter.repeat(length));
            let min = smallest(shape);
            values.push((text(min, "a"), true));
            if min > 0 {
                values.push((text(min - 1, "a"), false));
            }
            if let Some(max) = shape["max"].as_u64() {
                let max = usize::try_from(max).unwrap();
                values.extend([(text(max, "a"), true), (text(max + 1, "a"), false)]);
                // Lengths are counted in characters; names are ASCII anyway.
                values.push((text(max, "ä"), name != "ProjectName"));
            }
            match shape["pattern"].as_str() {
                None => {}
                Some(r"[A-Za-z0-9][A-Za-z0-9\-_]{1,149}") => {
                    values.extend(["a-b_C9", "9a"].map(|value| (json!(value), true)));
                    values.extend(["-ab", "_ab", "a b", "a/b", "a:b", "ab\n"].map(|value| (json!(value), false)));
                }
                Some(r"^([\p{L}\p{Z}\p{N}_.:/=@+\-]*)$") => {
                    values.extend(["a b", "_.:/=@+-", "Größe", "键", "½", "\u{a0}"].map(|value| (json!(value), true)));
                    values.extend(["a!", "a\tb", "a\n", "{}", "a;b", "\u{1f600}"].map(|value| (json!(value), false)));
                }
                Some(other) => panic!("{name} has the pattern {other}"),
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
        _ => {}
    }
    values
}
