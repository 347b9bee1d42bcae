//! What follows from a change of a reference, and that it follows exactly once.
//!
//! Git changes references; what is recorded of them is in `git_references`. A change is recorded in the transaction that
//! stores what follows from it, before whoever made it hears that it is done. If the server dies in between, the record is
//! behind git, and the next start makes up for it.

use std::{collections::BTreeMap, sync::Arc};

use kiln_model::{
    ApiError,
    arn::Home,
    codecommit::RepositoryTriggerEventEnum,
    git::{ObjectId, RefUpdate},
};
use kiln_runner::clock::BootTime;
use kiln_store::{StoreError, Tx, metadata::GitRepositoryRecord, repos::GitError};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    document::Repository,
    error::{blocking, git},
    find::arn,
    triggers,
};
use crate::{
    accept::{self, Starting},
    core::Inner,
    crash,
    document::Document,
    events,
    lifecycle::Millis,
    records::refuse,
    runners::Runners,
};

const HEADS: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";

/// Whether what an earlier server left was looked at.
#[derive(Debug)]
pub(crate) struct Recovered(watch::Sender<bool>);

impl Default for Recovered {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Recovered {
    /// Resolves when it was.
    pub(super) async fn wait(&self) {
        // The sender lives as long as the service.
        self.0.subscribe().wait_for(|is_over| *is_over).await.ok();
    }
}

/// A change of a reference, of which everything that follows from it is to be stored.
#[derive(Debug)]
pub(crate) struct ReferenceChange<'a> {
    /// The repository.
    pub(crate) repository: &'a GitRepositoryRecord,
    /// Which reference, from what to what.
    pub(crate) update: &'a RefUpdate,
    /// ARN of who did it; `None`: a server that did not live to tell.
    pub(crate) caller: Option<&'a str>,
}

impl ReferenceChange<'_> {
    /// The branch; `None` for other references.
    pub(crate) fn branch(&self) -> Option<&str> {
        self.update.name.strip_prefix(HEADS)
    }

    /// What happened, as triggers call it.
    pub(crate) fn event(&self) -> RepositoryTriggerEventEnum {
        match (&self.update.old, &self.update.new) {
            (None, _) => RepositoryTriggerEventEnum::CreateReference,
            (_, None) => RepositoryTriggerEventEnum::DeleteReference,
            _ => RepositoryTriggerEventEnum::UpdateReference,
        }
    }
}

/// What the effects of a change need that is known before its transaction.
pub(super) struct Effects {
    pub(super) home: Home,
    pub(super) now: Millis,
    pub(super) boot: Option<BootTime>,
    /// The service itself, as it starts builds.
    pub(super) starting: Starting,
    /// Why no build can be started now.
    pub(super) room: Result<(), ApiError>,
}

/// The one place where a reference's change has effects: what it stores is durable together with the record of the change.
/// Adds the builds that it starts to `started`.
fn reference_changed(
    tx: &mut Tx<'_>,
    effects: &Effects,
    repository: &Repository,
    change: &ReferenceChange<'_>,
    started: &mut Vec<Document>,
) -> Result<(), StoreError> {
    events::publish(tx, &effects.home, &event(effects, change))?;
    triggers::fire(tx, effects, repository, change, started)
}

/// "CodeCommit Repository State Change" (`api.md` 8.7).
fn event(effects: &Effects, change: &ReferenceChange<'_>) -> events::Event {
    let RefUpdate { name, old, new } = change.update;
    let (kind, short) = match (change.branch(), name.strip_prefix(TAGS)) {
        (Some(branch), _) => ("branch", branch),
        (None, Some(tag)) => ("tag", tag),
        (None, None) => ("reference", name.as_str()),
    };
    let what = match change.event() {
        RepositoryTriggerEventEnum::CreateReference => "referenceCreated",
        RepositoryTriggerEventEnum::DeleteReference => "referenceDeleted",
        _ => "referenceUpdated",
    };
    let mut detail = json!({
        "event": what,
        "repositoryName": change.repository.name,
        "repositoryId": change.repository.id,
        "referenceType": kind,
        "referenceName": short,
        "referenceFullName": name,
        "callerUserArn": change.caller.unwrap_or_default(),
    });
    for (member, id) in [("commitId", new), ("oldCommitId", old)] {
        if let (Some(id), Some(members)) = (id, detail.as_object_mut()) {
            members.insert(member.to_owned(), json!(id.as_str()));
        }
    }
    events::Event {
        id: Uuid::new_v4().to_string(),
        time_ms: effects.now,
        source: "aws.codecommit".to_owned(),
        detail_type: "CodeCommit Repository State Change".to_owned(),
        resources: vec![arn(&effects.home, &change.repository.name)],
        detail,
    }
}

/// Records changes that git has made, and stores what follows from them.
pub(super) async fn finish<R: Runners>(
    inner: &Arc<Inner<R>>,
    id: &str,
    updates: Vec<RefUpdate>,
    caller: Option<String>,
) -> Result<(), ApiError> {
    if updates.is_empty() {
        return Ok(());
    }
    crash::point("git_references_changed");
    let _turn = inner.hosting.turn.lock().await;
    let (repos, of) = (inner.repos.clone(), id.to_owned());
    let now = blocking(move || repos.references(&of).map_err(|e| git(&e))).await?;
    let work = recording(inner, id, updates, caller, now.into_iter().collect());
    let recorded = inner.transact(move |tx| Ok(work(tx)?)).await?;
    crash::point("git_references_recorded");
    if let Some(branch) = started(inner, recorded) {
        let (repos, of) = (inner.repos.clone(), id.to_owned());
        blocking(move || repos.set_head(&of, &branch).map_err(|e| git(&e))).await?;
    }
    Ok(())
}

/// What a record of changes has led to.
#[derive(Default)]
struct Recorded {
    /// Builds that were accepted.
    started: Vec<Document>,
    /// The branch that clones check out from now on.
    head: Option<String>,
}

/// Puts the builds into the queue, and has rules start theirs; what clones check out from now on, if that changed.
fn started<R: Runners>(inner: &Inner<R>, recorded: Recorded) -> Option<String> {
    for document in &recorded.started {
        inner.enqueue(document);
    }
    inner.events.ring();
    recorded.head
}

/// The transaction that records changes. `current`: what git has.
fn recording<R: Runners>(
    inner: &Inner<R>,
    id: &str,
    updates: Vec<RefUpdate>,
    caller: Option<String>,
    current: BTreeMap<String, ObjectId>,
) -> impl FnOnce(&mut Tx<'_>) -> Result<Recorded, StoreError> + Send + 'static {
    let (id, at) = (id.to_owned(), inner.now());
    let effects = Effects {
        home: inner.config.home.clone(),
        now: at,
        boot: inner.clock.boot_time(),
        starting: Starting::new(inner, String::new(), None),
        room: accept::check_room(inner),
    };
    move |tx| {
        let mut recorded = Recorded::default();
        // Deleted meanwhile: nothing follows.
        let Some(mut record) = tx.git_repository_by_id(&id)? else { return Ok(recorded) };
        let mut document = Repository::of(&record)?;
        for update in &updates {
            let known = tx.git_reference(&id, &update.name)?;
            let is_next = known.as_deref() == update.old.as_ref().map(ObjectId::as_str);
            // One that comes behind a later one, which has been recorded already, leaves that.
            if is_next || current.get(&update.name) == update.new.as_ref() {
                tx.put_git_reference(&id, &update.name, update.new.as_ref().map(ObjectId::as_str))?;
            }
            let change = ReferenceChange { repository: &record, update, caller: caller.as_deref() };
            // The first branch is the one that clones check out.
            if let (None, Some(branch), Some(_)) = (&document.default_branch, change.branch(), &update.new) {
                document.default_branch = Some(branch.to_owned());
                recorded.head = Some(branch.to_owned());
            }
            reference_changed(tx, &effects, &document, &change, &mut recorded.started)?;
        }
        record.modified_ms = at;
        record.doc = document.to_json()?;
        tx.update_git_repository(&record)?;
        Ok(recorded)
    }
}

/// Changes a reference for a caller, and records it. `moved`: the error if it is not what it was taken for.
pub(super) async fn change<R: Runners>(
    inner: &Arc<Inner<R>>,
    id: &str,
    update: RefUpdate,
    caller: &str,
    moved: impl FnOnce() -> ApiError,
) -> Result<(), ApiError> {
    inner.hosting.recovered.wait().await;
    let (with, of, caller) = (Arc::clone(inner), id.to_owned(), caller.to_owned());
    // A client that goes away does not leave it half done.
    let work = tokio::spawn(async move {
        let (repos, id, wanted) = (with.repos.clone(), of.clone(), update.clone());
        let changed = tokio::task::spawn_blocking(move || repos.update(&id, &[wanted])).await;
        match changed.map_err(|e| ApiError::internal(format!("work with git did not end: {e}")))? {
            Ok(()) => finish(&with, &of, vec![update], Some(caller)).await.map(|()| true),
            Err(GitError::Moved) => Ok(false),
            Err(e) => Err(git(&e)),
        }
    });
    match work.await.map_err(|e| ApiError::internal(format!("work with git did not end: {e}")))? {
        Ok(true) => Ok(()),
        Ok(false) => Err(moved()),
        Err(e) => Err(e),
    }
}

/// Makes up for what an earlier server did not live to do: removes repositories without a record, waits for git
/// processes that it left, and records what they have changed.
pub(crate) fn recover<R: Runners>(inner: &Arc<Inner<R>>) {
    let recovered = recover_all(inner);
    if let Err(e) = recovered {
        tracing::error!(error = %e, "git repositories could not be looked at after the start");
    }
    inner.hosting.recovered.0.send_replace(true);
}

fn recover_all<R: Runners>(inner: &Arc<Inner<R>>) -> Result<(), ApiError> {
    let all = inner.look(|view| Ok(view.git_repositories()?))?;
    inner.repos.sweep(|id| all.iter().any(|record| record.id == id)).map_err(|e| git(&e))?;
    for record in all {
        if inner.is_stopping() {
            break;
        }
        if let Err(e) = recover_one(inner, &record) {
            tracing::error!(repository = record.name, error = %e, "what was changed in a git repository is not known");
        }
    }
    Ok(())
}

fn recover_one<R: Runners>(inner: &Arc<Inner<R>>, record: &GitRepositoryRecord) -> Result<(), ApiError> {
    inner.repos.settle(&record.id).map_err(|e| git(&e))?;
    let current: BTreeMap<String, ObjectId> =
        inner.repos.references(&record.id).map_err(|e| git(&e))?.into_iter().collect();
    let known = inner.look(|view| Ok(view.git_references(&record.id, "", None, usize::MAX)?))?;
    let mut known: BTreeMap<String, ObjectId> =
        known.into_iter().filter_map(|(name, target)| Some((name, target.parse().ok()?))).collect();
    let mut updates = Vec::new();
    for (name, target) in &current {
        let old = known.remove(name);
        if old.as_ref() != Some(target) {
            updates.push(RefUpdate { name: name.clone(), old, new: Some(target.clone()) });
        }
    }
    updates.extend(known.into_iter().map(|(name, old)| RefUpdate { name, old: Some(old), new: None }));
    if !updates.is_empty() {
        tracing::info!(
            repository = record.name,
            references = updates.len(),
            "changes of git references are recorded late"
        );
        let work = recording(inner, &record.id, updates, None, current);
        let recorded = inner.metadata.write_blocking(work).map_err(|e| refuse(&e))?;
        started(inner, recorded);
    }
    // What a server did not live to set; a branch that does not exist yet is the usual one.
    let (_, document) = inner.look(|view| super::find::find(view, &record.name))?;
    if let Some(branch) = document.default_branch {
        inner.repos.set_head(&record.id, &branch).map_err(|e| git(&e))?;
    }
    Ok(())
}

/// Packs the objects of repositories that have become many files; returns 0: nothing that anybody sees is removed.
pub(crate) fn sweep<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    for record in inner.metadata.read(|view| view.git_repositories())? {
        if inner.is_stopping() {
            break;
        }
        if let Err(e) = inner.repos.tidy(&record.id) {
            tracing::warn!(repository = record.name, error = %e, "the objects of a git repository could not be packed");
        }
    }
    Ok(0)
}
