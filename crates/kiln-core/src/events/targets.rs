//! Targets of rules: projects of CodeBuild.

use kiln_model::{
    ApiError,
    arn::{Arn, Home},
    events::{
        ListRuleNamesByTargetRequest, ListRuleNamesByTargetResponse, ListTargetsByRuleRequest,
        ListTargetsByRuleResponse, PutTargetsRequest, PutTargetsResponse, PutTargetsResultEntry, RemoveTargetsRequest,
        RemoveTargetsResponse, Target,
    },
    service::Context,
};
use kiln_store::metadata::EventTargetRecord;
use serde_json::Value;

use super::{
    document::TargetDocument,
    error::{check_bus, cut, invalid, limit, start, too_many},
    input::{Path, Template},
    publish::MOST_TARGETS,
    rules::find,
};
use crate::{core::Inner, records::Refused, runners::Runners};

/// Refuses a target that could never be one.
fn check(target: &Target) -> Result<(), ApiError> {
    let (id, arn) = (&target.id, &target.arn);
    if arn.parse::<Arn>().is_err() {
        return Err(invalid(format!("Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.")));
    }
    let inputs = [target.input.is_some(), target.input_path.is_some(), target.input_transformer.is_some()];
    if inputs.iter().filter(|given| **given).count() > 1 {
        let message = format!("Only one of Input, InputPath, or InputTransformer must be provided for target {id}.");
        return Err(invalid(message));
    }
    if let Some(input) = &target.input
        && let Err(error) = serde_json::from_str::<Value>(input)
    {
        return Err(invalid(format!("JSON syntax error in input for target {id} : {error}")));
    }
    if target.input_path.as_deref().is_some_and(|path| Path::parse(path).is_none()) {
        return Err(invalid(format!("Invalid InputPath for target {id}.")));
    }
    if let Some(transformer) = &target.input_transformer {
        Template::parse(transformer)
            .map_err(|why| invalid(format!("Invalid InputTransformer for target {id} : {why}.")))?;
    }
    Ok(())
}

/// Why a target is not one that is started here.
fn unsupported(home: &Home, target: &Target) -> Option<String> {
    let is_project = home.local("project", &target.arn).and_then(|_| home.project_name(&target.arn)).is_some();
    if !is_project {
        return Some(format!(
            "Target {} cannot be started: this version of Kiln starts projects of CodeBuild in its own account and \
             region, {}",
            target.arn,
            home.project_arn("NAME")
        ));
    }
    let dead = target.dead_letter_config.as_ref().and_then(|config| config.arn.as_ref());
    if dead.is_some() {
        return Some("DeadLetterConfig: there are no queues in this version of Kiln".to_owned());
    }
    let of_others = [
        ("AppSyncParameters", &target.app_sync_parameters),
        ("BatchParameters", &target.batch_parameters),
        ("EcsParameters", &target.ecs_parameters),
        ("HttpParameters", &target.http_parameters),
        ("KinesisParameters", &target.kinesis_parameters),
        ("RedshiftDataParameters", &target.redshift_data_parameters),
        ("RunCommandParameters", &target.run_command_parameters),
        ("SageMakerPipelineParameters", &target.sage_maker_pipeline_parameters),
        ("SqsParameters", &target.sqs_parameters),
    ];
    let (name, _) = of_others.into_iter().find(|(_, parameters)| parameters.is_some())?;
    Some(format!("Parameter(s) {name} not valid for target {}.", target.id))
}

pub(super) async fn put_targets<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutTargetsRequest,
) -> Result<PutTargetsResponse, ApiError> {
    let home = &inner.config.home;
    check_bus(home, input.event_bus_name.as_deref())?;
    let (mut taken, mut failed) = (Vec::new(), Vec::new());
    for target in input.targets {
        check(&target)?;
        match unsupported(home, &target) {
            Some(message) => failed.push(PutTargetsResultEntry {
                target_id: Some(target.id),
                error_code: Some("ValidationException".to_owned()),
                error_message: Some(message),
            }),
            None if target.role_arn.is_none() => {
                return Err(invalid(format!("RoleArn is required for target {}.", target.arn)));
            }
            None => taken.push(target),
        }
    }
    let work = inner.transact(move |tx| {
        find(tx, &input.rule)?;
        for target in taken {
            let (id, arn) = (target.id.clone(), target.arn.clone());
            tx.put_event_target(&TargetDocument::new(target).record(&input.rule, id, arn)?)?;
        }
        if tx.event_targets(&input.rule, None, MOST_TARGETS + 1)?.len() > MOST_TARGETS {
            return Err(too_many().into());
        }
        Ok(())
    });
    work.await?;
    let count = i32::try_from(failed.len()).unwrap_or(i32::MAX);
    Ok(PutTargetsResponse { failed_entry_count: Some(count), failed_entries: Some(failed) })
}

pub(super) async fn remove_targets<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: RemoveTargetsRequest,
) -> Result<RemoveTargetsResponse, ApiError> {
    check_bus(&inner.config.home, input.event_bus_name.as_deref())?;
    let work = inner.transact(move |tx| {
        find(tx, &input.rule)?;
        for id in &input.ids {
            // One that is not there is removed.
            tx.delete_event_target(&input.rule, id)?;
        }
        Ok(())
    });
    work.await?;
    Ok(RemoveTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
}

pub(super) async fn list_targets_by_rule<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListTargetsByRuleRequest,
) -> Result<ListTargetsByRuleResponse, ApiError> {
    check_bus(&inner.config.home, input.event_bus_name.as_deref())?;
    let list = format!("targets {}", input.rule);
    let after: Option<String> = start(&list, input.next_token.as_deref())?;
    let limit = limit(input.limit);
    let mut found = inner.look(|view| {
        find(view, &input.rule)?;
        Ok(view.event_targets(&input.rule, after.as_deref(), limit + 1)?)
    })?;
    let next_token = cut(&list, &mut found, limit, |record| &record.id);
    let show = |record: EventTargetRecord| Ok(TargetDocument::of(&record)?.show(record));
    let targets = found.into_iter().map(show).collect::<Result<_, Refused>>()?;
    Ok(ListTargetsByRuleResponse { targets: Some(targets), next_token })
}

pub(super) async fn list_rule_names_by_target<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListRuleNamesByTargetRequest,
) -> Result<ListRuleNamesByTargetResponse, ApiError> {
    check_bus(&inner.config.home, input.event_bus_name.as_deref())?;
    let list = format!("rules of {}", input.target_arn);
    let after: Option<String> = start(&list, input.next_token.as_deref())?;
    let limit = limit(input.limit);
    let read =
        |view: &kiln_store::View<'_>| Ok(view.event_rules_of_target(&input.target_arn, after.as_deref(), limit + 1)?);
    let mut names = inner.look(read)?;
    let next_token = cut(&list, &mut names, limit, |name| name);
    Ok(ListRuleNamesByTargetResponse { rule_names: Some(names), next_token })
}
