//! CodeCommit.

use std::collections::BTreeSet;

use kiln_model::{
    ErrorCode,
    codecommit::*,
    decode::from_value,
    for_each_codecommit_operation,
    operations::{CODECOMMIT_OPERATIONS, CODECOMMIT_TARGET},
};
use serde_json::{Value, json};

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
    secrets::{Shape, answer, compared, operations_of},
};

/// Everything is answered.
fn never_answered(_: &str) -> &'static [&'static str] {
    &[]
}

fn is_of_others(_: &str) -> bool {
    false
}

/// Inputs are decoded as clients see it: members have errors of their own.
mod exact {
    use super::*;

    for_each_codecommit_operation!(operations_of);

    pub(super) type Outputs = Vec<(&'static str, fn(Value) -> Value)>;
    pub(super) type Shapes = Vec<(&'static str, Shape, Shape)>;

    pub(super) fn all() -> (Inputs, Outputs, Shapes) {
        (inputs(), outputs(), shapes())
    }
}

fn outputs() -> exact::Outputs {
    exact::all().1
}

fn shapes() -> exact::Shapes {
    exact::all().2
}

macro_rules! whatever_the_code {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// Each operation with what decodes its input: whichever member is wrong, the error is the same.
        fn inputs() -> Inputs {
            vec![$((stringify!($name), (|value| {
                from_value::<$input>(value)
                    .map(|input| serde_json::to_value(input).unwrap())
                    .map_err(|_| ErrorCode::Validation)
            }) as Decode),)+]
        }
    };
}

for_each_codecommit_operation!(whatever_the_code);

compared! { "codecommit" CODECOMMIT_OPERATIONS violated Validation
    structures {
        BatchGetCommitsError BatchGetRepositoriesError BlobMetadata BranchInfo Commit DeleteFileEntry Difference File
        FileMetadata Folder PutFileEntry RepositoryMetadata RepositoryNameIdPair RepositoryTrigger
        RepositoryTriggerExecutionFailure SetFileModeEntry SourceFileSpecifier SubModule SymbolicLink UserInfo
    }
    enumerations {
        BatchGetRepositoriesErrorCodeEnum ChangeTypeEnum FileModeTypeEnum OrderEnum RepositoryTriggerEventEnum SortByEnum
    }
    at_least 100 required 100 bounds
}

#[test]
fn every_operation_is_known() {
    let Some(model) = model() else { return };
    assert_eq!(model["metadata"]["targetPrefix"], CODECOMMIT_TARGET);
    let theirs: BTreeSet<&str> = model["operations"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(CODECOMMIT_OPERATIONS.iter().map(|operation| operation.name).collect::<BTreeSet<_>>(), theirs);
    // What is not available says so by an error of the model.
    let shapes = model["shapes"].as_object().unwrap();
    assert!(shapes.contains_key(ErrorCode::OperationNotAllowed.as_str()));
}

/// A member that is missing or wrong has an error that the operation has in the model.
#[test]
fn errors_of_members_are_those_of_their_operation() {
    let Some(model) = model() else { return };
    let mut checked = 0;
    for (operation, decode) in exact::all().0 {
        let shape_name = model["operations"][operation]["input"]["shape"].as_str().unwrap();
        let errors = model["operations"][operation]["errors"].as_array().unwrap();
        let errors: BTreeSet<&str> = errors.iter().map(|error| error["shape"].as_str().unwrap()).collect();
        let full = sample(model, shape_name);
        for (member, _) in members(shape(model, shape_name)) {
            let mut missing = full.clone();
            missing.as_object_mut().unwrap().remove(member);
            let mut wrong = full.clone();
            let bad = if full[member].is_string() { json!("\u{0}!".repeat(2000)) } else { Value::Null };
            wrong.as_object_mut().unwrap().insert(member.to_owned(), bad);
            for input in [missing, wrong] {
                if let Err(code) = decode(input) {
                    // What is no base64 is no JSON of the operation.
                    let is_known = errors.contains(code.as_str()) || code == ErrorCode::Serialization;
                    assert!(is_known, "{operation}: {member}: {code}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 40, "only {checked} members were checked");
}

#[test]
fn codes_are_those_of_the_model() {
    let Some(model) = model() else { return };
    let implemented = CODECOMMIT_OPERATIONS.iter().filter(|operation| operation.implemented);
    let theirs = implemented
        .flat_map(|operation| model["operations"][operation.name]["errors"].as_array().into_iter().flatten())
        .map(|error| error["shape"].as_str().unwrap());
    let ours: BTreeSet<&str> = ErrorCode::NAMES.iter().copied().collect();
    let missing: BTreeSet<&str> = theirs.filter(|name| !ours.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
