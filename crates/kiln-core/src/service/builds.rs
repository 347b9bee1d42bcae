//! Builds: start, stop, retry, read, delete.

use std::time::Duration;

use kiln_model::{
    ApiError, BuildId, BuildStatus,
    codebuild::{
        BatchDeleteBuildsInput, BatchDeleteBuildsOutput, BatchGetBuildsInput, BatchGetBuildsOutput, Build,
        BuildNotDeleted, ListBuildsForProjectInput, ListBuildsForProjectOutput, ListBuildsInput, ListBuildsOutput,
        RetryBuildInput, RetryBuildOutput, SortOrderType, StartBuildInput, StartBuildOutput, StopBuildInput,
        StopBuildOutput,
    },
    service::Context,
};
use kiln_runner::job::Control;
use kiln_store::{
    Tx,
    metadata::{Order, TokenRecord},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::project_of;
use crate::{
    accept::{self, Starting},
    core::Core,
    crash,
    document::Document,
    lifecycle::{Effect, Event, State},
    page,
    records::{self, Refused, refuse},
    runners::Runners,
    traces::{self, Traced},
};

/// How long an idempotency token is remembered (`api.md` 2.2).
const TOKEN_LIFE_MS: i64 = 5 * 60 * 1000;
/// How long StopBuild waits for the end that it asked for, so that it can answer with it (`buildspec.md` 4.5). It takes
/// milliseconds unless the build's processes ignore TERM.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// Expired tokens that one new one sweeps away.
const PURGE: usize = 16;

impl<R: Runners> Core<R> {
    pub(crate) fn show(&self, document: &Document) -> Build {
        document.show(&self.inner.config.home, &self.inner.config.console_url)
    }

    /// The build that an id or ARN means.
    pub(crate) fn find_build(&self, text: &str) -> Result<(BuildId, Document), ApiError> {
        let missing = || ApiError::not_found(format!("Build {text} does not exist"));
        let id = self.inner.config.home.build_id(text)?.ok_or_else(missing)?;
        let document = self.inner.find(id.uuid(), id.project())?.ok_or_else(missing)?;
        Ok((id, document))
    }

    /// Accepts a build: in one transaction its number, its record and its token.
    async fn accept(
        &self,
        context: &Context,
        operation: &'static str,
        token: Option<(String, Vec<u8>)>,
        make: impl FnOnce(&mut Tx<'_>, &str, i64) -> Result<Document, Refused> + Send + 'static,
    ) -> Result<Build, ApiError> {
        let inner = &self.inner;
        accept::check_room(inner)?;
        let (uuid, now, boot) = (Uuid::new_v4().to_string(), inner.now(), inner.clock.boot_time());
        // Whoever sets the clock neither lets a token live longer nor ends it.
        let steady = inner.steady_now();
        let account = context.caller.account.clone();
        let accepted = inner.transact(move |tx| {
            if let Some((token, request)) = &token {
                if let Some(known) = tx.token(&account, operation, token)?
                    && (steady..=steady + TOKEN_LIFE_MS).contains(&known.expires_ms)
                {
                    if known.request != *request {
                        return Err(Refused::Api(ApiError::invalid_input(format!(
                            "The idempotency token '{token}' was used with other parameters"
                        ))));
                    }
                    if let Some((_, document)) = records::find(tx, &known.subject)? {
                        return Ok((document, false));
                    }
                }
                tx.purge_tokens(steady, PURGE)?;
                tx.put_token(&TokenRecord {
                    account,
                    operation: operation.to_owned(),
                    token: token.clone(),
                    request: request.clone(),
                    subject: uuid.clone(),
                    expires_ms: steady + TOKEN_LIFE_MS,
                })?;
            }
            let document = make(tx, &uuid, now)?;
            Ok((records::insert(tx, document, boot)?, true))
        });
        let (document, new) = accepted.await?;
        crash::point("build_accepted");
        if new {
            inner.enqueue(&document);
        }
        Ok(self.show(&document))
    }

    pub(super) async fn start_one(
        &self,
        context: &Context,
        input: StartBuildInput,
    ) -> Result<StartBuildOutput, ApiError> {
        let name = project_of(&self.inner.config.home, &input.project_name)?.to_owned();
        let token = input.idempotency_token.clone().filter(|t| !t.is_empty());
        let token = token.map(|token| (token, digest(&input)));
        let starting = Starting::new(&self.inner, context.caller.name.clone(), context.traceparent);
        let make = move |tx: &mut Tx<'_>, uuid: &str, now| starting.make(tx, &name, input, uuid, now);
        Ok(StartBuildOutput { build: self.accept(context, "StartBuild", token, make).await? })
    }

    pub(super) async fn retry(&self, context: &Context, input: RetryBuildInput) -> Result<RetryBuildOutput, ApiError> {
        let Some(text) = input.id.clone().filter(|id| !id.is_empty()) else {
            return Err(ApiError::invalid_input("id is required: the build to try again"));
        };
        let (id, _) = self.find_build(&text)?;
        let token = input.idempotency_token.clone().filter(|t| !t.is_empty());
        let token = token.map(|token| (token, digest(&input)));
        let (config, initiator) = (self.inner.config.clone(), context.caller.name.clone());
        let (is_traced, call) = (self.inner.traces.is_some(), context.traceparent);
        let make = move |tx: &mut Tx<'_>, uuid: &str, now| {
            let missing = || Refused::Api(ApiError::not_found(format!("Build {text} does not exist")));
            let (_, old) = records::find(tx, id.uuid())?.ok_or_else(missing)?;
            let (project, cache) = super::projects::stored(tx, &config.home, id.project())?;
            super::projects::check_concurrency(tx, &project)?;
            let mut again = old.again(&config.home, uuid, now);
            again.build.initiator = Some(initiator);
            again.public_alias = super::projects::public_alias(&project);
            if let Some(triggered) = &mut again.triggered {
                triggered.reports = false;
            }
            let traced = is_traced.then(|| Traced::of(&again, call));
            Ok(Document { cache, traced, ..again })
        };
        Ok(RetryBuildOutput { build: self.accept(context, "RetryBuild", token, make).await? })
    }

    pub(super) async fn stop_one(&self, input: &StopBuildInput) -> Result<StopBuildOutput, ApiError> {
        let (id, document) = self.find_build(&input.id)?;
        if document.lifecycle.state == State::Ended {
            return Ok(StopBuildOutput { build: self.show(&document) });
        }
        let inner = &self.inner;
        let (uuid, at) = (id.uuid().to_owned(), inner.now());
        let stepped = inner.metadata.write(move |tx| records::step(tx, &uuid, &Event::Stop { at })).await;
        crash::point("build_stop_recorded");
        let Some((stopped, effects)) = stepped.map_err(|e| refuse(&e))? else {
            return Err(ApiError::not_found(format!("Build {} does not exist", input.id)));
        };
        for effect in effects {
            match effect {
                Effect::Dequeue => {
                    inner.queue().remove(id.uuid());
                    inner.ended(&stopped);
                    traces::send_unrun(inner, &stopped);
                    inner.nudge_scheduler();
                }
                Effect::TellRunner => self.tell_to_stop(id.uuid()).await,
                Effect::Announce | Effect::Requeue => {}
            }
        }
        let document = inner.find(id.uuid(), id.project())?.unwrap_or(stopped);
        Ok(StopBuildOutput { build: self.show(&document) })
    }

    /// Tells the runner, and waits a moment for the build's end.
    async fn tell_to_stop(&self, uuid: &str) {
        let inner = &self.inner;
        let Some(live) = inner.live.get(uuid) else {
            inner.runners.tell(uuid, Control::Stop);
            return;
        };
        // Noted before telling: a supervisor that is just starting the runner looks at it afterwards.
        live.with(|known| known.document.lifecycle.stop_requested = true);
        inner.runners.tell(uuid, Control::Stop);
        let mut progress = live.follow();
        let ended = progress.wait_for(|p| p.over);
        if tokio::time::timeout(STOP_WAIT, ended).await.is_err() {
            tracing::info!(build.uuid = %uuid, "a build takes its time to stop");
        }
    }

    pub(super) fn get_builds(&self, input: &BatchGetBuildsInput) -> Result<BatchGetBuildsOutput, ApiError> {
        let mut output = BatchGetBuildsOutput::default();
        for text in &input.ids {
            let found = match self.inner.config.home.build_id(text)? {
                Some(id) => self.inner.find(id.uuid(), id.project())?,
                None => None,
            };
            match found {
                Some(document) => output.builds.push(self.show(&document)),
                None => output.builds_not_found.push(text.clone()),
            }
        }
        Ok(output)
    }

    pub(super) async fn delete_builds(
        &self,
        input: BatchDeleteBuildsInput,
    ) -> Result<BatchDeleteBuildsOutput, ApiError> {
        let mut output = BatchDeleteBuildsOutput::default();
        let mut ids = Vec::new();
        for text in &input.ids {
            match self.inner.config.home.build_id(text)? {
                Some(id) => ids.push((text.clone(), id)),
                None => output.builds_not_deleted.push(not_deleted(text.clone(), "BUILD_NOT_FOUND")),
            }
        }
        let home = self.inner.config.home.clone();
        let work = self.inner.metadata.write(move |tx| {
            let mut results = Vec::new();
            for (text, id) in ids {
                let arn = home.build_arn(&id);
                let result = match records::find(tx, id.uuid())? {
                    Some((record, document)) if record.project == id.project() => {
                        if document.lifecycle.status == BuildStatus::InProgress {
                            Err(not_deleted(arn, "BUILD_IN_PROGRESS"))
                        } else {
                            tx.delete_build(id.uuid())?;
                            Ok((arn, id.uuid().to_owned()))
                        }
                    }
                    _ => Err(not_deleted(if text.starts_with("arn:") { text } else { arn }, "BUILD_NOT_FOUND")),
                };
                results.push(result);
            }
            Ok(results)
        });
        for result in work.await.map_err(|e| refuse(&e))? {
            match result {
                Ok((arn, uuid)) => {
                    // Its log and artifacts stay (`api.md` 2.5); a kept file system is of no use to anybody now.
                    if let Err(e) = self.inner.runners.close(&uuid, false) {
                        tracing::warn!(build.uuid = %uuid, error = %e, "the file system of a deleted build stays");
                    }
                    output.builds_deleted.push(arn);
                }
                Err(not_deleted) => output.builds_not_deleted.push(not_deleted),
            }
        }
        Ok(output)
    }

    pub(super) fn list_all(&self, input: &ListBuildsInput) -> Result<ListBuildsOutput, ApiError> {
        let (order, name) = order_of(input.sort_order);
        let list = format!("ListBuilds {name}");
        let after = page::after(&list, input.next_token.as_deref())?;
        let keys = self.inner.metadata.read(|view| view.build_ids(order, after, page::PAGE + 1));
        let mut keys = keys.map_err(|e| refuse(&e))?;
        let more = keys.len() > page::PAGE;
        keys.truncate(page::PAGE);
        let next_token = keys.last().filter(|_| more).and_then(|last| page::token(&list, last.position));
        Ok(ListBuildsOutput { ids: keys.iter().map(|k| format!("{}:{}", k.project, k.uuid)).collect(), next_token })
    }

    pub(super) fn list_of_project(
        &self,
        input: &ListBuildsForProjectInput,
    ) -> Result<ListBuildsForProjectOutput, ApiError> {
        let name = project_of(&self.inner.config.home, &input.project_name)?;
        let (order, order_name) = order_of(input.sort_order);
        let list = format!("ListBuildsForProject {name} {order_name}");
        let after = page::after(&list, input.next_token.as_deref())?;
        let read = self.inner.metadata.read(|view| {
            let exists = view.project(name)?.is_some();
            Ok((exists, view.build_ids_of_project(name, order, after, page::PAGE + 1)?))
        });
        let (exists, mut keys) = read.map_err(|e| refuse(&e))?;
        if !exists {
            let arn = self.inner.config.home.project_arn(name);
            return Err(ApiError::not_found(format!("The provided project {arn} does not exist")));
        }
        let more = keys.len() > page::PAGE;
        keys.truncate(page::PAGE);
        let next_token = keys.last().filter(|_| more).and_then(|last| page::token(&list, last.position));
        Ok(ListBuildsForProjectOutput { ids: keys.iter().map(|k| format!("{name}:{}", k.uuid)).collect(), next_token })
    }
}

fn not_deleted(id: String, code: &str) -> BuildNotDeleted {
    BuildNotDeleted { id: Some(id), status_code: Some(code.to_owned()) }
}

fn order_of(order: Option<SortOrderType>) -> (Order, &'static str) {
    match order {
        Some(SortOrderType::Ascending) => (Order::Ascending, "ASCENDING"),
        Some(SortOrderType::Descending) | None => (Order::Descending, "DESCENDING"),
    }
}

/// Tells requests with the same token apart.
fn digest(input: &impl Serialize) -> Vec<u8> {
    Sha256::digest(serde_json::to_vec(input).unwrap_or_default()).to_vec()
}
