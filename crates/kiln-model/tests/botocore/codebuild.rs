//! CodeBuild.

use std::collections::BTreeSet;

use kiln_model::{
    ErrorCode, PhaseContext, codebuild,
    codebuild::*,
    decode::from_value,
    for_each_codebuild_operation,
    operations::{CODEBUILD_TARGET, OPERATIONS},
};
use serde_json::{Value, json};

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
};

fn model() -> Option<&'static Value> {
    samples::model("codebuild")
}

/// Each implemented operation's name with what decodes its input and writes it again.
fn inputs() -> Inputs {
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

#[test]
fn every_operation_of_the_model_is_in_the_table() {
    let Some(model) = model() else { return };
    let ours: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(ours, model["operations"].as_object().unwrap().keys().map(String::as_str).collect());
    assert_eq!(model["metadata"]["targetPrefix"], CODEBUILD_TARGET);
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
    let checked = check_required(model, &inputs(), ErrorCode::InvalidInput);
    assert!(checked > 400, "only {checked} members were checked");
}

#[test]
fn constraints_hold_exactly_up_to_their_bounds() {
    let Some(model) = model() else { return };
    let checked = check_bounds(model, &inputs(), ErrorCode::InvalidInput);
    assert!(checked > 400, "only {checked} values were checked");
}
