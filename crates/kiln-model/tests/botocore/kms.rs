//! The Key Management Service.

use std::collections::{BTreeMap, BTreeSet};

use kiln_model::{
    ErrorCode,
    decode::from_value,
    for_each_kms_operation, kms,
    kms::*,
    operations::{KMS_OPERATIONS, KMS_TARGET},
};
use serde_json::Value;

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
};

fn model() -> Option<&'static Value> {
    samples::model("kms")
}

/// Each implemented operation's name with what decodes its input and writes it again.
fn inputs() -> Inputs {
    macro_rules! table {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            vec![$((stringify!($name), (|value| {
                from_value::<kms::$input>(value)
                    .map(|input| serde_json::to_value(input).unwrap())
                    .map_err(|error| error.code)
            }) as Decode),)+]
        };
    }
    for_each_kms_operation!(table)
}

/// Members of answers that only other kinds of keys have, or enclaves.
fn never_answered(name: &str) -> BTreeSet<&'static str> {
    let members: &[&str] = match name {
        "KeyMetadata" => &[
            "CloudHsmClusterId",
            "CustomKeyStoreId",
            "EncapsulationAlgorithms",
            "ExpirationModel",
            "KeyAgreementAlgorithms",
            "MacAlgorithms",
            "MultiRegionConfiguration",
            "SigningAlgorithms",
            "ValidTo",
            "XksKeyConfiguration",
        ],
        "RotationsListEntry" => &["ExpirationModel", "ImportState", "KeyMaterialDescription", "ValidTo"],
        "DecryptResponse" | "GenerateDataKeyResponse" | "GenerateRandomResponse" => &["CiphertextForRecipient"],
        _ => &[],
    };
    members.iter().copied().collect()
}

/// A full value of an answer, without what is never answered.
fn answer(model: &Value, name: &str) -> Value {
    fn prune(model: &Value, name: &str, value: &mut Value) {
        let shape = shape(model, name);
        match value {
            Value::Object(object) if shape["type"] == "structure" => {
                object.retain(|member, _| !never_answered(name).contains(member.as_str()));
                for (member, of) in members(shape) {
                    if let Some(value) = object.get_mut(member) {
                        prune(model, of, value);
                    }
                }
            }
            Value::Array(items) => {
                let of = shape["member"]["shape"].as_str().unwrap();
                items.iter_mut().for_each(|item| prune(model, of, item));
            }
            _ => {}
        }
    }
    let mut value = sample(model, name);
    prune(model, name, &mut value);
    value
}

#[test]
fn every_operation_of_the_model_is_in_the_table() {
    let Some(model) = model() else { return };
    let ours: BTreeSet<&str> = KMS_OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(ours, model["operations"].as_object().unwrap().keys().map(String::as_str).collect());
    assert_eq!(model["metadata"]["targetPrefix"], KMS_TARGET);
}

#[test]
fn errors_are_those_of_the_model() {
    let Some(model) = model() else { return };
    let theirs: BTreeSet<&str> = model["operations"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|o| o["errors"].as_array().into_iter().flatten())
        .map(|error| error["shape"].as_str().unwrap())
        .collect();
    for code in [
        ErrorCode::AlreadyExists,
        ErrorCode::Conflict,
        ErrorCode::Disabled,
        ErrorCode::DryRunOperation,
        ErrorCode::IncorrectKey,
        ErrorCode::InvalidAliasName,
        ErrorCode::InvalidArn,
        ErrorCode::InvalidCiphertext,
        ErrorCode::InvalidGrantId,
        ErrorCode::InvalidGrantToken,
        ErrorCode::InvalidKeyUsage,
        ErrorCode::InvalidMarker,
        ErrorCode::KmsInvalidState,
        ErrorCode::LimitExceeded,
        ErrorCode::MalformedPolicyDocument,
        ErrorCode::NotFound,
        ErrorCode::Tag,
        ErrorCode::UnsupportedOperation,
    ] {
        assert!(theirs.contains(code.as_str()), "{code}");
    }
}

#[test]
fn members_are_those_of_the_model() {
    let Some(model) = model() else { return };
    let mut compared = BTreeSet::new();
    let mut compare = |name: &'static str, mut ours: BTreeSet<&'static str>| {
        ours.extend(never_answered(name));
        assert_eq!(ours, members(shape(model, name)).map(|(member, _)| member).collect(), "{name}");
        compared.insert(name);
    };
    macro_rules! operations {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            $(
                // Operations without an answer have no shape for it.
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
    for_each_kms_operation!(operations);
    macro_rules! structures {
        ($($name:ident)+) => { $(compare(stringify!($name), member_names::<$name>());)+ };
    }
    structures! {
        AliasListEntry GrantConstraints GrantListEntry KeyListEntry KeyMetadata RecipientInfo RotationsListEntry Tag
    }
    // Nothing that an implemented operation takes or answers was left out of the list.
    for (operation, _) in inputs() {
        for side in ["input", "output"] {
            let Some(name) = model["operations"][operation][side]["shape"].as_str() else { continue };
            let mut found = Vec::new();
            places(model, name, "", &mut found);
            for (_, name) in found.iter().filter(|(_, name)| shape(model, name)["type"] == "structure") {
                let known = compared.contains(name.as_str());
                let others = ["MultiRegionConfiguration", "MultiRegionKey", "XksKeyConfigurationType"];
                assert!(known || others.contains(&name.as_str()), "{name} is not compared");
            }
        }
    }
}

#[test]
fn enumerations_are_those_of_the_model() {
    let Some(model) = model() else { return };
    macro_rules! enumerations {
        ($($name:ident)+) => {
            BTreeMap::from([$((stringify!($name), $name::NAMES),)+])
        };
    }
    let ours = enumerations! {
        CustomerMasterKeySpec DataKeySpec DryRunModifierType EncryptionAlgorithmSpec GrantOperation IncludeKeyMaterial
        KeyEncryptionMechanism KeyManagerType KeyMaterialState KeySpec KeyState KeyUsageType OriginType
        ResourceOwnerType RotationType
    };
    for (name, ours) in ours {
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
    macro_rules! outputs {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            $(
                if let Some(name) = model["operations"][stringify!($name)]["output"]["shape"].as_str() {
                    let full = answer(model, name);
                    let output: $output = serde_json::from_value(full.clone()).unwrap();
                    assert_eq!(serde_json::to_value(&output).unwrap(), full, "{name}");
                }
            )+
        };
    }
    for_each_kms_operation!(outputs);
}

#[test]
fn required_members_are_those_of_the_model() {
    let Some(model) = model() else { return };
    let checked = check_required(model, &inputs(), ErrorCode::Validation);
    assert!(checked > 200, "only {checked} members were checked");
}

#[test]
fn constraints_hold_exactly_up_to_their_bounds() {
    let Some(model) = model() else { return };
    let checked = check_bounds(model, &inputs(), ErrorCode::Validation);
    assert!(checked > 400, "only {checked} values were checked");
}
