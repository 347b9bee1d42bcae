//! Triggers: projects that build what is pushed.
//!
//! At AWS they tell SNS and Lambda, which are not here; here they start builds, which there takes a rule of EventBridge.

use std::{collections::BTreeSet, sync::Arc};

use kiln_model::{
    ApiError, ErrorCode,
    arn::Home,
    codebuild::{SourceType, StartBuildInput},
    codecommit::{
        GetRepositoryTriggersInput, GetRepositoryTriggersOutput, PutRepositoryTriggersInput,
        PutRepositoryTriggersOutput, RepositoryTrigger, RepositoryTriggerEventEnum, RepositoryTriggerExecutionFailure,
        TestRepositoryTriggersInput, TestRepositoryTriggersOutput,
    },
    git::{ObjectId, is_branch_name},
    service::Context,
};
use kiln_store::{StoreError, Tx};
use uuid::Uuid;

use super::{
    build::repository_in,
    document::Repository,
    error::error,
    find::{edit, find},
    references::{Effects, ReferenceChange},
};
use crate::{core::Inner, document::Document, records::Refused, runners::Runners, service::projects};

/// Triggers of a repository (AWS's quota).
const MOST: usize = 10;
/// Branches of a trigger (AWS's quota).
const MOST_BRANCHES: usize = 10;
/// Characters of a name (AWS's quota).
const LONGEST_NAME: usize = 100;
/// Characters of custom data (AWS's quota).
const LONGEST_DATA: usize = 1000;

/// Refuses triggers that cannot be.
fn check(home: &Home, triggers: &[RepositoryTrigger]) -> Result<(), ApiError> {
    if triggers.len() > MOST {
        let message = format!("The maximum number of triggers allowed for the repository was exceeded: {MOST}.");
        return Err(error(ErrorCode::MaximumRepositoryTriggersExceeded, message));
    }
    let mut names = BTreeSet::new();
    for RepositoryTrigger { name, destination_arn, custom_data, branches, events } in triggers {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
        if name.chars().count() > LONGEST_NAME || !name.chars().all(is_name) || !names.insert(name) {
            let message = format!(
                "The name of the trigger is not valid: {LONGEST_NAME} letters, digits, spaces and -_. at most, and each once."
            );
            return Err(error(ErrorCode::InvalidRepositoryTriggerName, message));
        }
        project(home, destination_arn)?;
        if custom_data.as_ref().is_some_and(|data| data.chars().count() > LONGEST_DATA) {
            let message =
                format!("The custom data provided for the trigger is not valid: {LONGEST_DATA} characters at most.");
            return Err(error(ErrorCode::InvalidRepositoryTriggerCustomData, message));
        }
        let branches = branches.as_deref().unwrap_or_default();
        if branches.len() > MOST_BRANCHES {
            let message = format!("The number of branches for the trigger was exceeded: {MOST_BRANCHES}.");
            return Err(error(ErrorCode::MaximumBranchesExceeded, message));
        }
        if !branches.iter().all(|branch| is_branch_name(branch)) {
            let message = "One or more branch names specified for the trigger is not valid.";
            return Err(error(ErrorCode::InvalidRepositoryTriggerBranchName, message));
        }
        if events.is_empty() {
            let message = "At least one event for the trigger is required, but was not specified.";
            return Err(error(ErrorCode::RepositoryTriggerEventsListRequired, message));
        }
    }
    Ok(())
}

/// The project that a trigger is for.
fn project<'a>(home: &Home, destination: &'a str) -> Result<&'a str, ApiError> {
    let invalid = |why: &str| {
        let message =
            format!("The Amazon Resource Name (ARN) for the trigger is not valid for the specified destination: {why}");
        error(ErrorCode::InvalidRepositoryTriggerDestinationArn, message)
    };
    let mut parts = destination.split(':').skip(2);
    match (parts.next(), parts.next()) {
        (Some("sns" | "lambda"), _) => Err(invalid(
            "Kiln has neither SNS nor Lambda. Its triggers start builds: give the ARN of a CodeBuild project.",
        )),
        (Some("codebuild"), Some(region)) if region != home.region => {
            let message = format!(
                "The AWS Region for the trigger target does not match the AWS Region for the repository: {region}"
            );
            Err(error(ErrorCode::InvalidRepositoryTriggerRegion, message))
        }
        _ => home
            .project_name(destination)
            .filter(|_| destination.starts_with("arn:"))
            .ok_or_else(|| invalid("it should be the ARN of a CodeBuild project of this account.")),
    }
}

pub(super) async fn put_repository_triggers<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: PutRepositoryTriggersInput,
) -> Result<PutRepositoryTriggersOutput, ApiError> {
    check(&inner.config.home, &input.triggers)?;
    let configuration = Uuid::new_v4().to_string();
    let id = configuration.clone();
    edit(inner, input.repository_name, move |_, _, document| {
        document.triggers = input.triggers;
        document.configuration = Some(id);
        Ok(())
    })
    .await?;
    Ok(PutRepositoryTriggersOutput { configuration_id: Some(configuration) })
}

pub(super) async fn get_repository_triggers<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: GetRepositoryTriggersInput,
) -> Result<GetRepositoryTriggersOutput, ApiError> {
    let (_, document) = inner.look(|view| find(view, &input.repository_name))?;
    Ok(GetRepositoryTriggersOutput { configuration_id: document.configuration, triggers: Some(document.triggers) })
}

pub(super) async fn test_repository_triggers<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: TestRepositoryTriggersInput,
) -> Result<TestRepositoryTriggersOutput, ApiError> {
    let home = &inner.config.home;
    check(home, &input.triggers)?;
    let (mut works, mut fails) = (Vec::new(), Vec::new());
    inner.look(|view| {
        find(view, &input.repository_name)?;
        for trigger in input.triggers {
            let name = project(home, &trigger.destination_arn)?;
            if view.project(name)?.is_some() {
                works.push(trigger.name);
            } else {
                let message = format!("Project cannot be found: {}", trigger.destination_arn);
                let failure =
                    RepositoryTriggerExecutionFailure { trigger: Some(trigger.name), failure_message: Some(message) };
                fails.push(failure);
            }
        }
        Ok(())
    })?;
    Ok(TestRepositoryTriggersOutput { successful_executions: Some(works), failed_executions: Some(fails) })
}

/// Whether a trigger is for a change.
fn is_for(trigger: &RepositoryTrigger, change: &ReferenceChange<'_>) -> bool {
    let branches = trigger.branches.as_deref().unwrap_or_default();
    let is_branch = || change.branch().is_some_and(|branch| branches.iter().any(|wanted| wanted == branch));
    let is_event =
        |event: &RepositoryTriggerEventEnum| *event == RepositoryTriggerEventEnum::All || *event == change.event();
    (branches.is_empty() || is_branch()) && trigger.events.iter().any(is_event)
}

/// Starts the builds of a change, in the transaction that records it. What cannot be started is told in the log: the push is
/// over, and nobody would hear.
pub(super) fn fire(
    tx: &mut Tx<'_>,
    effects: &Effects,
    repository: &Repository,
    change: &ReferenceChange<'_>,
    started: &mut Vec<Document>,
) -> Result<(), StoreError> {
    // What is gone cannot be built.
    let Some(commit) = &change.update.new else { return Ok(()) };
    for trigger in repository.triggers.iter().filter(|trigger| is_for(trigger, change)) {
        let home = &effects.home;
        let tell = |e: &ApiError| {
            let (repository, reference) = (&change.repository.name, &change.update.name);
            tracing::warn!(repository, reference, caller = change.caller, trigger = trigger.name, error = %e, "a trigger has started no build");
        };
        let name = match project(home, &trigger.destination_arn) {
            Ok(name) => name,
            Err(e) => {
                tell(&e);
                continue;
            }
        };
        match start(tx, effects, name, trigger, commit, change) {
            Ok(document) => started.push(document),
            Err(Refused::Store(e)) => return Err(e),
            Err(Refused::Api(e)) => tell(&e),
        }
    }
    Ok(())
}

/// Stores the build that a trigger starts. If the project's source is the repository, it is of the commit.
fn start(
    tx: &mut Tx<'_>,
    effects: &Effects,
    name: &str,
    trigger: &RepositoryTrigger,
    commit: &ObjectId,
    change: &ReferenceChange<'_>,
) -> Result<Document, Refused> {
    effects.room.clone()?;
    let home = &effects.home;
    let (project, _) = projects::stored(tx, home, name)?;
    let source = &project.source;
    let location = source.location.as_deref().filter(|_| source.r#type == SourceType::CodeCommit);
    let is_this = location.and_then(|location| repository_in(home, location).ok()) == Some(&change.repository.name);
    let input = StartBuildInput {
        project_name: name.to_owned(),
        source_version: is_this.then(|| commit.to_string()),
        ..StartBuildInput::default()
    };
    let (starting, uuid) = (effects.starting.by(&format!("trigger/{}", trigger.name)), Uuid::new_v4().to_string());
    starting.insert(tx, name, input, &uuid, effects.now, effects.boot.clone())
}
