//! `StartLiveTail`: events as they come in, until the client has enough (`api.md` 6).
//!
//! Events that are put are handed to the sessions by whoever puts them ([`Tails::put`]); builds that begin, likewise
//! ([`Tails::begun`]), and their lines are read where their logs are, whenever a build says that there are more. What a
//! session holds is bounded: a client that reads slowly, or that wants more than there is time to show, gets the newest
//! events and is told that some were left out.

mod select;
mod session;
mod waiting;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_model::{
    ApiError, ErrorCode,
    logs::{LogGroupClass, StartLiveTailRequest},
    service::Context,
};

pub use self::session::Tail;
use self::{
    select::Selection,
    session::{Inbox, Session},
};
use super::{
    blocking, error, invalid,
    name::{find_group, group_of},
    pattern::Pattern,
    unreadable,
};
use crate::{core::Inner, document::Document as Build, lifecycle::Millis, live::Live, runners::Runners};

/// Sessions at a time, as many as an account of AWS may have.
const MOST_SESSIONS: usize = 15;

/// The sessions there are.
#[derive(Debug, Default)]
pub(crate) struct Tails(Mutex<Vec<Arc<Inbox>>>);

impl Tails {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Inbox>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in.
    fn admit(&self, selection: Selection) -> Result<Arc<Inbox>, ApiError> {
        let mut all = self.all();
        if all.len() >= MOST_SESSIONS {
            let text =
                format!("Live Tail sessions: an account may have {MOST_SESSIONS} at a time. End one of them first.");
            return Err(error(ErrorCode::LimitExceeded, text));
        }
        let inbox = Arc::new(Inbox::new(selection));
        all.push(Arc::clone(&inbox));
        Ok(inbox)
    }

    fn dismiss(&self, inbox: &Arc<Inbox>) {
        self.all().retain(|other| !Arc::ptr_eq(other, inbox));
    }

    /// Events were put into a stream.
    pub(crate) fn put(&self, group: &str, stream: &str, ingested_ms: Millis, events: &Arc<Vec<(Millis, String)>>) {
        for inbox in self.all().iter() {
            inbox.put(group, stream, ingested_ms, events);
        }
    }

    /// A build was given to a runner.
    pub(crate) fn begun(&self, live: &Arc<Live>, document: &Build) {
        for inbox in self.all().iter() {
            inbox.begun(live, document);
        }
    }
}

pub(super) async fn start_live_tail<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: StartLiveTailRequest,
) -> Result<Tail<R>, ApiError> {
    let names = input.log_stream_names.clone().unwrap_or_default();
    let prefixes = input.log_stream_name_prefixes.clone().unwrap_or_default();
    if !names.is_empty() && !prefixes.is_empty() {
        return Err(invalid("LogStreamNamePrefixes and LogStreamNames are mutually exclusive parameters."));
    }
    if input.log_group_identifiers.len() > 1 && !(names.is_empty() && prefixes.is_empty()) {
        return Err(invalid(
            "LogStreamNames and LogStreamNamePrefixes can only be specified with exactly one log group identifier.",
        ));
    }
    let text = input.log_event_filter_pattern.as_deref().unwrap_or_default();
    let pattern = Pattern::parse(text).map_err(|problem| invalid(problem.to_string()))?;
    let home = &inner.config.home;
    let mut groups = Vec::new();
    for identifier in &input.log_group_identifiers {
        groups.push((group_of(home, identifier)?.to_owned(), identifier.clone()));
    }
    inner.look(|view| {
        for (group, _) in &groups {
            let (_, document) = find_group(view, group)?;
            if document.class != LogGroupClass::Standard {
                let text = format!("Live Tail is only for log groups of the class STANDARD; {group} is of another.");
                return Err(error(ErrorCode::InvalidOperation, text).into());
            }
        }
        Ok(())
    })?;
    let inbox = inner.tails.admit(Selection::new(groups, names, prefixes))?;
    // From here on nothing is missed; of builds that run, what comes from now on is shown.
    let (with, told) = (Arc::clone(inner), Arc::clone(&inbox));
    match blocking(move || Session::begin(&with, told, pattern).map_err(|e| unreadable(&e))).await {
        Ok(session) => Ok(Tail::new(Arc::clone(inner), session, context.request_id.clone(), input)),
        Err(error) => {
            inner.tails.dismiss(&inbox);
            Err(error)
        }
    }
}
