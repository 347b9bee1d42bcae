//! Rules: made, shown, changed, deleted.

use kiln_model::{
    ApiError, ErrorCode,
    events::{
        DeleteRuleRequest, DescribeRuleRequest, DescribeRuleResponse, DisableRuleRequest, Empty, EnableRuleRequest,
        ListRulesRequest, ListRulesResponse, PutRuleRequest, PutRuleResponse, Rule, RuleState,
    },
    service::Context,
};
use kiln_store::{View, metadata::EventRuleRecord};
use uuid::Uuid;

use super::{
    document::{RuleDocument, rule_arn},
    error::{check_bus, cut, error, invalid, limit, no_rule, start, too_many},
    pattern::Pattern,
    schedule::{Fired, Schedule},
    tags,
};
use crate::{core::Inner, records::Refused, runners::Runners};

/// Rules of an event bus (AWS's quota).
const MOST_RULES: i64 = 300;

/// A rule by its name.
pub(super) fn find(view: &View<'_>, name: &str) -> Result<(EventRuleRecord, RuleDocument), Refused> {
    let record = view.event_rule(name)?.ok_or_else(|| no_rule(name))?;
    let document = RuleDocument::of(&record)?;
    Ok((record, document))
}

/// A pattern, or AWS's words for a text that is none.
pub(super) fn pattern(text: &str) -> Result<Pattern, ApiError> {
    let wrong = |why| error(ErrorCode::InvalidEventPattern, format!("Event pattern is not valid. Reason: {why}"));
    Pattern::parse(text).map_err(wrong)
}

pub(super) async fn put_rule<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutRuleRequest,
) -> Result<PutRuleResponse, ApiError> {
    let home = &inner.config.home;
    check_bus(home, input.event_bus_name.as_deref())?;
    let schedule = input.schedule_expression.filter(|text| !text.is_empty());
    let events = input.event_pattern.filter(|text| !text.is_empty());
    if schedule.is_none() && events.is_none() {
        return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if let Some(text) = &schedule {
        Schedule::parse(text)
            .map_err(|why| invalid(format!("Parameter ScheduleExpression is not valid. Reason: {why}")))?;
    }
    events.as_deref().map(pattern).transpose()?;
    let (name, now, uid) = (input.name, inner.now(), Uuid::new_v4().to_string());
    let arn = rule_arn(home, &name);
    let work = inner.transact(move |tx| {
        let known = tx.event_rule(&name)?.map(|record| RuleDocument::of(&record)).transpose()?;
        let mut document = match known {
            // The tags of a rule that is there already stay.
            Some(known) => known,
            None => {
                if tx.event_rule_count()? >= MOST_RULES {
                    return Err(too_many().into());
                }
                let mut new = RuleDocument::new(uid, now);
                tags::put(&mut new.tags, input.tags.unwrap_or_default())?;
                new
            }
        };
        if document.schedule != schedule {
            document.anchor_ms = now;
            document.fired = Fired::default();
            document.missed = None;
        }
        document.schedule = schedule;
        document.pattern = events;
        document.state = input.state.unwrap_or(RuleState::Enabled);
        document.description = input.description.filter(|text| !text.is_empty());
        document.role = input.role_arn;
        tx.put_event_rule(&document.record(&name, now)?)?;
        Ok(())
    });
    work.await?;
    inner.events.ring();
    Ok(PutRuleResponse { rule_arn: Some(arn) })
}

pub(super) async fn describe_rule<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeRuleRequest,
) -> Result<DescribeRuleResponse, ApiError> {
    let home = &inner.config.home;
    check_bus(home, input.event_bus_name.as_deref())?;
    let (_, document) = inner.look(|view| find(view, &input.name))?;
    Ok(DescribeRuleResponse {
        arn: Some(rule_arn(home, &input.name)),
        name: Some(input.name),
        event_pattern: document.pattern,
        schedule_expression: document.schedule,
        state: Some(document.state),
        description: document.description,
        role_arn: document.role,
        event_bus_name: Some("default".to_owned()),
        created_by: Some(home.account.clone()),
    })
}

pub(super) async fn list_rules<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListRulesRequest,
) -> Result<ListRulesResponse, ApiError> {
    let home = &inner.config.home;
    check_bus(home, input.event_bus_name.as_deref())?;
    let prefix = input.name_prefix.unwrap_or_default();
    let list = format!("rules {prefix}");
    let after: Option<String> = start(&list, input.next_token.as_deref())?;
    let limit = limit(input.limit);
    let mut found = inner.look(|view| Ok(view.event_rules(&prefix, after.as_deref(), limit + 1)?))?;
    let next_token = cut(&list, &mut found, limit, |record| &record.name);
    let show = |record: EventRuleRecord| {
        let document = RuleDocument::of(&record)?;
        Ok(Rule {
            arn: Some(rule_arn(home, &record.name)),
            name: Some(record.name),
            event_pattern: document.pattern,
            state: Some(document.state),
            description: document.description,
            schedule_expression: document.schedule,
            role_arn: document.role,
            event_bus_name: Some("default".to_owned()),
        })
    };
    let rules = found.into_iter().map(show).collect::<Result<_, Refused>>()?;
    Ok(ListRulesResponse { rules: Some(rules), next_token })
}

pub(super) async fn delete_rule<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteRuleRequest,
) -> Result<Empty, ApiError> {
    check_bus(&inner.config.home, input.event_bus_name.as_deref())?;
    let work = inner.transact(move |tx| {
        if !tx.event_targets(&input.name, None, 1)?.is_empty() {
            return Err(invalid("Rule can't be deleted since it has targets.").into());
        }
        // One that is not there is deleted.
        tx.delete_event_rule(&input.name)?;
        Ok(Empty {})
    });
    work.await
}

async fn set<R: Runners>(
    inner: &Inner<R>,
    name: String,
    bus: Option<String>,
    state: RuleState,
) -> Result<Empty, ApiError> {
    check_bus(&inner.config.home, bus.as_deref())?;
    let now = inner.now();
    let work = inner.transact(move |tx| {
        let (_, mut document) = find(tx, &name)?;
        let is_on = |state| state != RuleState::Disabled;
        // What is enabled already is for all the events that it was for.
        if is_on(document.state) != is_on(state) {
            document.state = state;
            tx.put_event_rule(&document.record(&name, now)?)?;
        }
        Ok(Empty {})
    });
    let done = work.await?;
    inner.events.ring();
    Ok(done)
}

pub(super) async fn enable_rule<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: EnableRuleRequest,
) -> Result<Empty, ApiError> {
    set(inner, input.name, input.event_bus_name, RuleState::Enabled).await
}

pub(super) async fn disable_rule<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DisableRuleRequest,
) -> Result<Empty, ApiError> {
    set(inner, input.name, input.event_bus_name, RuleState::Disabled).await
}
