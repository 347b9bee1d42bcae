//! Deciding on a delivery: filters, what was heard of the branch before, approvals, and the builds that follow; in the
//! transaction that keeps it.

use std::collections::BTreeMap;

use kiln_model::{
    codebuild::{Project, PullRequestBuildApproverRole, PullRequestBuildPolicy, StartBuildInput, WebhookBuildType},
    kiln::{DeliveryStatus, EventDecision, FilterGroupDecision},
};
use kiln_runner::clock::BootTime;
use kiln_store::{StoreError, Tx, metadata::DeliveryRecord};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Kept, Stored,
    event::{Account, Approval, Event, EventKind, Payload, Told},
    filter::{self, Missing, Rules, Verdict},
    hooks::{OF_ALL, repository_in},
    order::{self, Awaiting, Known, Once, Place},
    parse, policy, write,
};
use crate::{
    accept::Starting,
    config::Config,
    core::Inner,
    document::{Document, Triggered},
    lifecycle::{Effect, Event as Happens, Millis, State},
    providers::statuses,
    records::{self, Refused},
    runners::Runners,
    service::projects,
};

/// By this tag a project says that newer pushes stop older builds: `stop`.
pub const SUPERSEDED: &str = "kiln:superseded-builds";

/// What the provider said of people.
pub(super) type Roles = BTreeMap<String, Told<Option<PullRequestBuildApproverRole>>>;

/// What a delivery cannot be decided without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// Files and messages, by the place of the event in the delivery.
    pub(super) events: Vec<(usize, bool, bool)>,
    /// Whose role.
    pub(super) account: Option<Account>,
}

/// What is left to do when the transaction is committed.
#[derive(Debug, Default)]
pub(super) struct After {
    pub(super) started: Vec<Document>,
    pub(super) stopped: Vec<(Document, Vec<Effect>)>,
    /// Something is to be asked or told.
    pub(super) has_work: bool,
}

/// What a decision depends on beside the delivery and the store.
pub(super) struct Deciding {
    config: Config,
    now: Millis,
    boot: Option<BootTime>,
    starting: Starting,
}

impl Deciding {
    pub(super) fn new<R: Runners>(inner: &Inner<R>) -> Self {
        Self {
            config: inner.config.clone(),
            now: inner.now(),
            boot: inner.clock.boot_time(),
            starting: Starting::new(inner, String::new(), None),
        }
    }
}

/// What a delivery cannot be decided without, by what is known now.
pub(super) fn wanted(stored: &Stored, kept: &Kept, known: impl Fn(&str) -> Option<Known>) -> Wanted {
    let mut wanted = Wanted::default();
    let webhook = &stored.webhook;
    let rules = Rules::of(webhook.filter_groups.as_deref(), webhook.branch_filter.as_deref());
    let policy = webhook.pull_request_build_policy.clone().unwrap_or_else(|| policy::usual(Default::default()));
    let mut ask_role = |account: &Account, is_owner: bool| {
        if !is_owner && !kept.roles.contains_key(&account.handle) {
            wanted.account = Some(account.clone());
        }
    };
    match &kept.payload {
        Payload::Other(_) => {}
        Payload::Events(events) => {
            let mut asks = Vec::new();
            for (at, event) in events.iter().enumerate().filter(|(_, event)| !event.is_deletion) {
                match filter::decide(rules, event).0 {
                    Verdict::Ask(Missing { files, message }) => asks.push((at, files, message)),
                    Verdict::Pass if policy::asks(&policy, event) => {
                        if let Some(request) = &event.pull_request {
                            ask_role(&request.author, request.is_of_owner);
                        }
                    }
                    _ => {}
                }
            }
            wanted.events = asks;
        }
        Payload::Approval(approval) => {
            let known = known(&format!("pr/{}", approval.number)).unwrap_or_default();
            if is_awaited(&known, approval) {
                ask_role(&approval.by, approval.is_of_owner);
            }
        }
    }
    wanted
}

/// Whether a build of that commit waits for an approval. Bitbucket's hashes are short.
fn is_awaited(known: &Known, approval: &Approval) -> bool {
    let commit = known.awaiting.as_ref().and_then(|awaiting| awaiting.event.commit.as_deref());
    commit.is_some_and(|commit| !commit.is_empty() && approval.commit.starts_with(commit))
}

fn known_of(tx: &Tx<'_>, hook: &str, name: &str) -> Result<Known, StoreError> {
    let doc = tx.webhook_ref(hook, name)?;
    Ok(doc.map(|doc| parse(|| format!("what is known of {name}"), &doc)).transpose()?.unwrap_or_default())
}

/// Decides on a delivery, if that is possible: else it is due at once for whoever asks the provider.
pub(super) fn decide(
    tx: &mut Tx<'_>,
    deciding: &Deciding,
    record: &mut DeliveryRecord,
    kept: &mut Kept,
    after: &mut After,
) -> Result<(), Refused> {
    record.due_ms = None;
    let hook = tx.webhook(&record.project)?.filter(|hook| hook.token == record.hook);
    let found = tx.project(&record.project)?.is_some();
    let (Some(hook), true) = (hook, found) else {
        kept.status = DeliveryStatus::Failed;
        "the webhook was removed before the delivery could be decided".clone_into(&mut kept.message);
        return Ok(());
    };
    let stored = Stored::of(&hook)?;
    let (project, _) = projects::stored(tx, &deciding.config.home, &record.project)?;
    let wants = wanted(&stored, kept, |name| known_of(tx, &record.hook, name).ok());
    if wants != Wanted::default() {
        record.due_ms = Some(deciding.now);
        kept.status = DeliveryStatus::Pending;
        "the provider is asked for what the delivery does not say".clone_into(&mut kept.message);
        after.has_work = true;
        return Ok(());
    }
    let payload = kept.payload.clone();
    let mut one = One { tx, deciding, record, stored: &stored, project: &project, after };
    kept.decisions = match &payload {
        Payload::Other(why) => {
            kept.status = DeliveryStatus::Ignored;
            kept.message.clone_from(why);
            return Ok(());
        }
        Payload::Events(events) => {
            events.iter().map(|event| one.event(kept, event)).collect::<Result<Vec<_>, Refused>>()?
        }
        Payload::Approval(approval) => vec![one.approval(kept, approval)?],
    };
    // The delivery as a whole is what its most important event is.
    let order = [
        DeliveryStatus::Failed,
        DeliveryStatus::Started,
        DeliveryStatus::AwaitingApproval,
        DeliveryStatus::Duplicate,
        DeliveryStatus::Ignored,
    ];
    let first = order.iter().find_map(|status| kept.decisions.iter().find(|decision| decision.status == *status));
    if let Some(first) = first {
        kept.status = first.status;
        kept.message.clone_from(&first.message);
    }
    Ok(())
}

/// A delivery that is being decided.
struct One<'a, 'tx> {
    tx: &'a mut Tx<'tx>,
    deciding: &'a Deciding,
    record: &'a DeliveryRecord,
    stored: &'a Stored,
    project: &'a Project,
    after: &'a mut After,
}

impl One<'_, '_> {
    fn event(&mut self, kept: &Kept, event: &Event) -> Result<EventDecision, Refused> {
        let webhook = &self.stored.webhook;
        let rules = Rules::of(webhook.filter_groups.as_deref(), webhook.branch_filter.as_deref());
        let (verdict, groups) = filter::decide(rules, event);
        let told = Outcome { event, groups };
        // Somebody asks for it: what was built before is built again.
        let is_forced = kept.redelivery_of.is_some();
        let Some(subject) = event.subject() else {
            // A release without a tag, a job of no branch: nothing that has an order.
            return match verdict {
                Verdict::Pass => self.build(kept, event, told, None),
                _ => Ok(told.ignored("no filter group matches")),
            };
        };
        let mut known = known_of(self.tx, &self.record.hook, &subject)?;
        let place = known.place(event, self.heard(event)?, self.deciding.now);
        let mut note = |one: &mut Self, build: Option<&str>| -> Result<(), Refused> {
            known.note(event, &place, build, one.deciding.now);
            one.remember(event, build)?;
            one.keep(&subject, &known)
        };
        let name = subject.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/").to_owned();
        match (&place, &verdict) {
            (Place::Removal, _) => {
                note(self, None)?;
                return Ok(told.ignored(format!("{name} was removed: that builds nothing")));
            }
            (Place::Gone, _) if !is_forced => {
                return Ok(told.ignored(format!("{name} was removed after this: it is not built any more")));
            }
            (Place::Again(build), _) if !is_forced => {
                let mut decision = told.with(DeliveryStatus::Duplicate, format!("the same was heard of {name} before"));
                decision.build_id = build.as_ref().map(|uuid| format!("{}:{uuid}", self.project.name));
                return Ok(decision);
            }
            (_, Verdict::Fail | Verdict::Ask(_)) => {
                note(self, None)?;
                return Ok(told.ignored("no filter group matches"));
            }
            (_, Verdict::Unknown(why)) => return Ok(told.with(DeliveryStatus::Failed, why.clone())),
            (Place::Late, _) if supersedes(self.project) && !is_forced => {
                note(self, None)?;
                return Ok(told.ignored(format!("something newer was heard of {name} already, which is built instead")));
            }
            _ => {}
        }
        let policy = self.policy();
        if policy::asks(&policy, event)
            && let Some(request) = &event.pull_request
            && let Err(why) = may(&policy, kept, &request.author, request.is_of_owner)
        {
            note(self, None)?;
            if place != Place::Late {
                known.awaiting = Some(Awaiting { delivery: self.record.uuid.clone(), event: event.clone() });
                self.keep(&subject, &known)?;
            }
            let commit = event.commit.clone().unwrap_or_default();
            statuses::told(self.tx, self.project, &commit, statuses::UNAPPROVED, self.deciding.now)?;
            self.after.has_work = true;
            let message = format!(
                "Pull request approval required for starting a build: {why}. Who may approve comments \
                 /codebuild_run({commit})"
            );
            return Ok(told.with(DeliveryStatus::AwaitingApproval, message));
        }
        let older: Vec<String> = known.builds().map(str::to_owned).collect();
        let decision = self.build(kept, event, told, (place == Place::Newest).then_some(older))?;
        // What could not be started is new when it comes again.
        if let Some(build) = decision.build_id.as_deref().and_then(|id| id.rsplit_once(':')) {
            known.note(event, &place, Some(build.1), self.deciding.now);
            self.remember(event, Some(build.1))?;
            self.keep(&subject, &known)?;
        }
        Ok(decision)
    }

    fn approval(&mut self, kept: &Kept, approval: &Approval) -> Result<EventDecision, Refused> {
        let subject = format!("pr/{}", approval.number);
        let mut known = known_of(self.tx, &self.record.hook, &subject)?;
        let awaiting = known.awaiting.clone().filter(|_| is_awaited(&known, approval));
        let Some(Awaiting { event, .. }) = awaiting else {
            return Ok(EventDecision {
                trigger: Some(subject),
                commit: Some(approval.commit.clone()),
                status: DeliveryStatus::Ignored,
                message: "no build of this commit waits for an approval".to_owned(),
                ..EventDecision::default()
            });
        };
        let told = Outcome { event: &event, groups: Vec::new() };
        if let Err(why) = may(&self.policy(), kept, &approval.by, approval.is_of_owner) {
            return Ok(told.ignored(format!("the comment approves nothing: {why}")));
        }
        let older: Vec<String> = known.builds().map(str::to_owned).collect();
        let decision = self.build(kept, &event, told, Some(older))?;
        if let Some(build) = decision.build_id.as_deref().and_then(|id| id.rsplit_once(':')) {
            known.approved(build.1);
            self.remember(&event, Some(build.1))?;
            self.keep(&subject, &known)?;
        }
        Ok(decision)
    }

    fn policy(&self) -> PullRequestBuildPolicy {
        let usual = || policy::usual(self.project.source.r#type);
        self.stored.webhook.pull_request_build_policy.clone().unwrap_or_else(usual)
    }

    /// What is known of the same event, under whatever id it was delivered.
    fn heard(&self, event: &Event) -> Result<Option<Once>, StoreError> {
        let Some(key) = order::key(event) else { return Ok(None) };
        let doc = self.tx.webhook_ref(&self.record.hook, &key)?;
        doc.map(|doc| parse(|| "what is known of an event".to_owned(), &doc)).transpose()
    }

    fn remember(&mut self, event: &Event, build: Option<&str>) -> Result<(), Refused> {
        let Some(key) = order::key(event) else { return Ok(()) };
        let once = write(&Once { build: build.map(str::to_owned) })?;
        Ok(self.tx.put_webhook_ref(&self.record.hook, &key, self.deciding.now, &once)?)
    }

    fn keep(&mut self, subject: &str, known: &Known) -> Result<(), Refused> {
        Ok(self.tx.put_webhook_ref(&self.record.hook, subject, self.deciding.now, &write(known)?)?)
    }

    /// Starts the build of an event; it stops those of `older` that still run, where the project says so.
    fn build(
        &mut self,
        kept: &Kept,
        event: &Event,
        told: Outcome<'_>,
        older: Option<Vec<String>>,
    ) -> Result<EventDecision, Refused> {
        let failed = |told: Outcome<'_>, why: String| Ok(told.with(DeliveryStatus::Failed, why));
        if event.kind == EventKind::WorkflowJobQueued {
            return failed(
                told,
                "runners of GitHub's and GitLab's jobs are not available in this version of Kiln".into(),
            );
        }
        if self.stored.webhook.build_type == Some(WebhookBuildType::BuildBatch) {
            return failed(told, "batches of builds are not available in this version of Kiln".into());
        }
        let Deciding { starting, now, boot, .. } = self.deciding;
        let name = &self.project.name;
        let kind = self.project.source.r#type;
        let Some(version) = event.source_version(kind) else {
            return failed(told, "the event names no commit that could be built".into());
        };
        let scope = self.stored.webhook.scope_configuration.as_ref();
        let location = (self.project.source.location.as_deref() == Some(OF_ALL))
            .then(|| repository_in(kind, scope.and_then(|scope| scope.domain.as_deref()), &event.repository));
        let input = StartBuildInput {
            project_name: name.clone(),
            source_version: Some(version),
            source_location_override: location,
            ..StartBuildInput::default()
        };
        let uuid = Uuid::new_v4().to_string();
        let document = starting.by(&kept.initiator).make(self.tx, name, input, &uuid, *now);
        let document = match document {
            Ok(document) => document,
            Err(Refused::Api(error)) => return failed(told, error.message),
            Err(error) => return Err(error),
        };
        let triggered = Triggered {
            delivery: self.record.uuid.clone(),
            subject: event.subject(),
            commit: event.commit.clone(),
            variables: event.variables(),
            reports: true,
        };
        let document = Document { triggered: Some(triggered), ..document };
        let document = records::insert(self.tx, document, boot.clone())?;
        let mut decision = told.with(DeliveryStatus::Started, format!("build {} was started", document.build.id));
        decision.build_id = Some(document.build.id.clone());
        if supersedes(self.project) {
            for uuid in older.into_iter().flatten() {
                if let Some((old, effects)) = self.supersede(&uuid, &document)? {
                    decision.superseded_build_ids.push(old.build.id.clone());
                    self.after.stopped.push((old, effects));
                }
            }
        }
        self.after.started.push(document);
        Ok(decision)
    }

    fn supersede(&mut self, uuid: &str, by: &Document) -> Result<Option<(Document, Vec<Effect>)>, StoreError> {
        let Some((mut record, mut document)) = records::find(self.tx, uuid)? else { return Ok(None) };
        let is_over = document.lifecycle.state == State::Ended || document.lifecycle.stop_requested;
        if is_over {
            return Ok(None);
        }
        let Ok((lifecycle, effects)) = document.lifecycle.step(&Happens::Stop { at: self.deciding.now }) else {
            return Ok(None);
        };
        document.lifecycle = lifecycle;
        document.superseded_by = Some(by.build.id.clone());
        records::store_end(self.tx, &mut record, &document, &[], u64::MAX)?;
        Ok(Some((document, effects)))
    }
}

/// Whether newer pushes stop older builds of a project.
fn supersedes(project: &Project) -> bool {
    project.tags.iter().any(|tag| tag.key.as_deref() == Some(SUPERSEDED) && tag.value.as_deref() == Some("stop"))
}

/// Whether somebody's word counts; why not.
fn may(policy: &PullRequestBuildPolicy, kept: &Kept, who: &Account, is_owner: bool) -> Result<(), String> {
    let roles = policy.approver_roles.iter().flatten().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    if is_owner && policy::counts(policy, Some(PullRequestBuildApproverRole::GithubAdmin)) {
        return Ok(());
    }
    match kept.roles.get(&who.handle) {
        Some(Told::Known(role)) if policy::counts(policy, *role) => Ok(()),
        Some(Told::Unavailable(why)) => Err(format!("the role of {} could not be found out ({why})", who.handle)),
        _ => {
            Err(format!("{} has none of the roles {roles}", if who.handle.is_empty() { "nobody" } else { &who.handle }))
        }
    }
}

/// What is told of an event.
struct Outcome<'a> {
    event: &'a Event,
    groups: Vec<FilterGroupDecision>,
}

impl Outcome<'_> {
    fn with(self, status: DeliveryStatus, message: String) -> EventDecision {
        EventDecision {
            event: Some(self.event.kind.as_str().to_owned()),
            trigger: self.event.trigger(),
            commit: self.event.commit.clone(),
            status,
            message,
            groups: self.groups,
            build_id: None,
            superseded_build_ids: Vec::new(),
        }
    }

    fn ignored(self, message: impl Into<String>) -> EventDecision {
        self.with(DeliveryStatus::Ignored, message.into())
    }
}
