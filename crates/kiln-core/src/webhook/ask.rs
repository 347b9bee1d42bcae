//! What a provider is asked for before a delivery can be decided: changed files, messages of commits, roles of people.

use std::{sync::Arc, time::Duration};

use kiln_model::codebuild::StartBuildInput;
use kiln_store::StoreError;

use super::{
    Kept, Stored,
    decide::{Wanted, wanted},
    deliver::decide_asked,
    event::{Payload, Told},
    hooks::repository_in,
    parse, write,
};
use crate::{
    accept, behalf,
    core::Inner,
    lifecycle::Millis,
    providers::{self, Site, Trouble},
    runners::Runners,
    service::projects,
    webhook::hooks::OF_ALL,
};

/// How often a provider is asked in vain before the delivery is decided without.
const MOST_ATTEMPTS: u32 = 10;
/// The first pause after a failure, and the longest; each is twice the one before.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// How long to wait after so many failures.
pub(crate) fn pause(attempts: u32) -> Duration {
    let [first, longest] = PAUSES;
    first.saturating_mul(2_u32.saturating_pow(attempts.min(20))).min(longest)
}

pub(crate) fn millis(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Asks for what a delivery needs, and decides on it.
pub(super) fn process<R: Runners>(inner: &Arc<Inner<R>>, uuid: &str) -> Result<(), StoreError> {
    let found = inner.metadata.read(|view| {
        let Some(record) = view.delivery(uuid)?.filter(|record| record.due_ms.is_some()) else { return Ok(None) };
        let kept = Kept::of(&record)?;
        let hook = view.webhook(&record.project)?.filter(|hook| hook.token == record.hook);
        let Some(hook) = hook else { return Ok(Some((record, kept, None))) };
        let stored = Stored::of(&hook)?;
        let known = |name: &str| {
            let doc = view.webhook_ref(&record.hook, name).ok()??;
            parse(|| format!("what is known of {name}"), &doc).ok()
        };
        let wants = wanted(&stored, &kept, known);
        let project = projects::stored(view, &inner.config.home, &record.project).ok().map(|(project, _)| project);
        Ok(Some((record, kept, project.map(|project| (stored, project, wants)))))
    })?;
    let Some((record, kept, of)) = found else { return Ok(()) };
    let Some((stored, project, wants)) = of else { return decide_asked(inner, uuid, |_| {}) };
    let mut source = project.source.clone();
    if source.location.as_deref() == Some(OF_ALL) {
        let name = match &kept.payload {
            Payload::Events(events) => events.first().map(|event| event.repository.clone()),
            _ => None,
        };
        let domain = stored.webhook.scope_configuration.as_ref().and_then(|scope| scope.domain.clone());
        source.location = name.map(|name| repository_in(source.r#type, domain.as_deref(), &name));
    }
    // Secrets are read as a build of the project reads them.
    let input = StartBuildInput {
        project_name: project.name.clone(),
        source_location_override: source.location.clone(),
        ..StartBuildInput::default()
    };
    let credential = accept::document(&inner.config, &project, input, "", uuid, record.received_ms)
        .and_then(|document| behalf::as_context(inner, &document))
        .and_then(|context| providers::credential_now(inner, &context, &source));
    let site = match credential {
        Ok(credential) => providers::site(inner, &source, credential),
        Err(e) => Err(Trouble::Refused { status: None, why: e.message }),
    };
    let last = kept.attempts >= MOST_ATTEMPTS;
    match site.and_then(|site| asked(&site, &kept, &wants, last)) {
        Ok(answers) => decide_asked(inner, uuid, move |kept| answers.put(kept)),
        Err(Trouble::Later(why, wait)) if !last => {
            tracing::info!(delivery = uuid, error = why, "a delivery waits for its provider");
            let due = inner.now() + millis(wait.unwrap_or_default().max(pause(kept.attempts)));
            let uuid = uuid.to_owned();
            inner.metadata.write_blocking(move |tx| {
                let Some(mut record) = tx.delivery(&uuid)?.filter(|record| record.due_ms.is_some()) else {
                    return Ok(());
                };
                let mut kept = Kept::of(&record)?;
                kept.attempts += 1;
                kept.message = format!("the provider is asked again: {why}");
                record.due_ms = Some(due);
                record.doc = write(&kept)?;
                tx.update_delivery(&record)
            })
        }
        // What cannot be found out is decided without.
        Err(trouble) => {
            let why = trouble.text().to_owned();
            decide_asked(inner, uuid, move |kept| Answers::unavailable(&wants, &why).put(kept))
        }
    }
}

/// What the provider said.
#[derive(Default)]
struct Answers {
    files: Vec<(usize, Told<super::event::Files>)>,
    messages: Vec<(usize, Told<String>)>,
    role: Option<(String, Told<Option<kiln_model::codebuild::PullRequestBuildApproverRole>>)>,
}

impl Answers {
    fn unavailable(wants: &Wanted, why: &str) -> Self {
        let mut answers = Self::default();
        for (at, files, message) in &wants.events {
            if *files {
                answers.files.push((*at, Told::Unavailable(why.to_owned())));
            }
            if *message {
                answers.messages.push((*at, Told::Unavailable(why.to_owned())));
            }
        }
        answers.role =
            wants.account.as_ref().map(|account| (account.handle.clone(), Told::Unavailable(why.to_owned())));
        answers
    }

    fn put(self, kept: &mut Kept) {
        if let Payload::Events(events) = &mut kept.payload {
            for (at, files) in self.files {
                if let Some(event) = events.get_mut(at) {
                    event.files = files;
                }
            }
            for (at, message) in self.messages {
                if let Some(event) = events.get_mut(at) {
                    event.message = message;
                }
            }
        }
        kept.roles.extend(self.role);
    }
}

fn asked(site: &Site<'_>, kept: &Kept, wants: &Wanted, is_last: bool) -> Result<Answers, Trouble> {
    let mut answers = Answers::default();
    let told = |result: Result<_, Trouble>| match result {
        Ok(value) => Ok(Told::Known(value)),
        Err(trouble @ Trouble::Later(..)) if !is_last => Err(trouble),
        Err(trouble) => Ok(Told::Unavailable(trouble.text().to_owned())),
    };
    if let Payload::Events(events) = &kept.payload {
        for (at, files, message) in &wants.events {
            let Some(event) = events.get(*at) else { continue };
            if *files {
                let found = match site.files(event) {
                    Err(trouble @ Trouble::Later(..)) if !is_last => return Err(trouble),
                    Ok(files) => Told::Known(files),
                    Err(trouble) => Told::Unavailable(trouble.text().to_owned()),
                };
                answers.files.push((*at, found));
            }
            if *message {
                answers.messages.push((*at, told(site.message(event))?));
            }
        }
    }
    if let Some(account) = &wants.account {
        let role = match site.role(account) {
            Err(trouble @ Trouble::Later(..)) if !is_last => return Err(trouble),
            Ok(role) => Told::Known(role),
            Err(trouble) => Told::Unavailable(trouble.text().to_owned()),
        };
        answers.role = Some((account.handle.clone(), role));
    }
    Ok(answers)
}
