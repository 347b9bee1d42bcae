//! A session: what it is told, what it looks at, and what it shows.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kiln_model::{
    logs::{LiveTailSessionLogEvent, LiveTailSessionStart, StartLiveTailRequest},
    service::{LiveTail, LiveTailEvent},
};
use kiln_store::logs::LogError;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    super::{
        builds::is_enabled,
        pattern::Pattern,
        source::{Event, OVERHEAD, Place, Room, Source},
    },
    select::Selection,
    waiting::{LOOKS, MOST_BYTES, MOST_EVENTS, Waiting},
};
use crate::{
    core::Inner,
    document::Document,
    lifecycle::Millis,
    live::{Live, Progress},
    runners::Runners,
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(1000 / LOOKS as u64);
/// The longest session.
const LONGEST: Duration = Duration::from_secs(3 * 60 * 60);
/// Bytes of events that were put and wait to be looked at, at most.
const UNSEEN: usize = 4 << 20;
/// Builds that began and wait to be looked at, at most.
const UNSEEN_BUILDS: usize = 256;
/// Pages of a build's log that are looked through at once.
const PAGES: usize = 16;
/// A page: what the store reads at once, and so many lines.
const PAGE: Room = Room { events: 4096, bytes: 1 << 20 };

/// What a session is told by others.
#[derive(Debug)]
pub(super) struct Inbox {
    selection: Selection,
    unseen: Mutex<Unseen>,
}

#[derive(Default)]
struct Unseen {
    puts: VecDeque<Put>,
    bytes: usize,
    is_sampled: bool,
    builds: Vec<Arc<Live>>,
}

impl fmt::Debug for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unseen").field("puts", &self.puts.len()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Events that were put by one call.
struct Put {
    group: String,
    stream: String,
    ingested_ms: Millis,
    events: Arc<Vec<(Millis, String)>>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn new(selection: Selection) -> Self {
        Self { selection, unseen: Mutex::default() }
    }

    fn unseen(&self) -> MutexGuard<'_, Unseen> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`super::Tails::put`].
    pub(super) fn put(&self, group: &str, stream: &str, ingested_ms: Millis, events: &Arc<Vec<(Millis, String)>>) {
        let Some(identifier) = self.selection.find(group, stream) else { return };
        let bytes = events.iter().map(|(_, message)| message.len() + OVERHEAD).sum();
        let put = Put {
            group: identifier.to_owned(),
            stream: stream.to_owned(),
            ingested_ms,
            events: Arc::clone(events),
            bytes,
        };
        let mut unseen = self.unseen();
        unseen.bytes += bytes;
        unseen.puts.push_back(put);
        // A call's events fit, always.
        while unseen.bytes > UNSEEN {
            let Some(gone) = unseen.puts.pop_front() else { break };
            unseen.bytes -= gone.bytes;
            unseen.is_sampled = true;
        }
    }

    /// See [`super::Tails::begun`].
    pub(super) fn begun(&self, live: &Arc<Live>, document: &Document) {
        if is_enabled(document) && self.selection.find(&document.log_group(), &document.log_stream()).is_some() {
            let mut unseen = self.unseen();
            if unseen.builds.len() < UNSEEN_BUILDS {
                unseen.builds.push(Arc::clone(live));
            } else {
                unseen.is_sampled = true;
            }
        }
    }
}

/// A build whose log is followed.
struct Followed {
    live: Arc<Live>,
    document: Document,
    /// What the client calls its log group.
    group: String,
    stream: String,
    progress: watch::Receiver<Progress>,
    /// Number of the next line.
    next: u64,
}

impl Followed {
    /// From its first line on; `None` where it is not wanted.
    fn new(live: Arc<Live>, selection: &Selection) -> Option<Self> {
        let (document, mut progress) = (live.document(), live.follow());
        progress.mark_changed();
        let stream = document.log_stream();
        let group = selection.find(&document.log_group(), &stream).filter(|_| is_enabled(&document))?.to_owned();
        Some(Self { live, document, group, stream, progress, next: 0 })
    }

    /// Whether it has a supervisor no more: everything that it wrote is in the store.
    fn is_gone<R: Runners>(&self, inner: &Inner<R>) -> bool {
        !inner.live.get(&self.live.uuid).is_some_and(|live| Arc::ptr_eq(&live, &self.live))
    }

    fn has_news<R: Runners>(&self, inner: &Inner<R>) -> bool {
        self.progress.has_changed().unwrap_or(true) || self.is_gone(inner)
    }

    /// Leaves out what it has by now.
    fn skip<R: Runners>(&mut self, inner: &Inner<R>) -> Result<(), LogError> {
        self.next = Source::of_build(inner, &self.document, true)?.lines();
        Ok(())
    }

    /// Takes what has come since the last look; whether there may be more.
    fn look<R: Runners>(
        &mut self,
        inner: &Inner<R>,
        pattern: &Pattern,
        waiting: &mut Waiting,
    ) -> Result<bool, LogError> {
        // Asked before its log is read, which has everything then.
        let is_over = self.is_gone(inner) || self.progress.borrow_and_update().over;
        let source = Source::of_build(inner, &self.document, !is_over)?;
        // Where everything is wanted, what does not fit need not be read.
        let is_far = pattern.is_all() && source.lines().saturating_sub(self.next) > 2 * MOST_EVENTS as u64;
        for _ in 0..if is_far { 0 } else { PAGES } {
            let events = source.forward(Place { ms: 0, number: self.next }, Millis::MAX, PAGE)?;
            if events.is_empty() {
                return Ok(!is_over);
            }
            events.into_iter().for_each(|event| self.take(event, pattern, waiting));
        }
        // It has more than there is time for: the newest lines, which always fit.
        let room = Room { events: MOST_EVENTS, bytes: MOST_BYTES };
        let newest = source.backward(Place::at(Millis::MAX), 0, room)?;
        if newest.first().is_some_and(|first| first.place.number > self.next) {
            waiting.left_out();
        }
        let next = self.next;
        let newest = newest.into_iter().filter(|event| event.place.number >= next);
        newest.for_each(|event| self.take(event, pattern, waiting));
        Ok(!is_over)
    }

    fn take(&mut self, event: Event, pattern: &Pattern, waiting: &mut Waiting) {
        self.next = event.place.number + 1;
        if pattern.matches(&event.message) {
            waiting.push(LiveTailSessionLogEvent {
                log_stream_name: Some(self.stream.clone()),
                log_group_identifier: Some(self.group.clone()),
                message: Some(event.message),
                timestamp: Some(event.place.ms),
                ingestion_time: Some(event.ingested_ms),
            });
        }
    }
}

/// What a session knows.
pub(super) struct Session {
    inbox: Arc<Inbox>,
    pattern: Pattern,
    builds: Vec<Followed>,
    waiting: Waiting,
}

impl Session {
    /// Of the builds that run, what comes from now on is followed.
    pub(super) fn begin<R: Runners>(inner: &Inner<R>, inbox: Arc<Inbox>, pattern: Pattern) -> Result<Self, LogError> {
        let mut session = Self { inbox, pattern, builds: Vec::new(), waiting: Waiting::default() };
        for live in inner.live.all() {
            if let Some(mut followed) = Followed::new(live, &session.inbox.selection) {
                followed.skip(inner)?;
                session.builds.push(followed);
            }
        }
        Ok(session)
    }

    fn has_news<R: Runners>(&self, inner: &Inner<R>) -> bool {
        let unseen = self.inbox.unseen();
        let was_told = !unseen.puts.is_empty() || !unseen.builds.is_empty();
        drop(unseen);
        was_told || self.builds.iter().any(|followed| followed.has_news(inner))
    }

    /// Takes what has come since the last look.
    fn look<R: Runners>(&mut self, inner: &Inner<R>) -> Result<(), LogError> {
        let Unseen { puts, is_sampled, builds, .. } = std::mem::take(&mut *self.inbox.unseen());
        for live in builds {
            let is_known = self.builds.iter().any(|known| Arc::ptr_eq(&known.live, &live));
            if !is_known {
                self.builds.extend(Followed::new(live, &self.inbox.selection));
            }
        }
        if is_sampled {
            self.waiting.left_out();
        }
        for put in puts {
            for (ms, message) in put.events.iter().filter(|(_, message)| self.pattern.matches(message)) {
                self.waiting.push(LiveTailSessionLogEvent {
                    log_stream_name: Some(put.stream.clone()),
                    log_group_identifier: Some(put.group.clone()),
                    message: Some(message.clone()),
                    timestamp: Some(*ms),
                    ingestion_time: Some(put.ingested_ms),
                });
            }
        }
        for mut followed in std::mem::take(&mut self.builds) {
            if !followed.has_news(inner) || followed.look(inner, &self.pattern, &mut self.waiting)? {
                self.builds.push(followed);
            }
        }
        Ok(())
    }
}

/// A session of a live tail. It is over when this is dropped.
pub struct Tail<R: Runners> {
    inner: Arc<Inner<R>>,
    inbox: Arc<Inbox>,
    session: Arc<Mutex<Session>>,
    start: Option<LiveTailSessionStart>,
    /// When it has lasted long enough, by the monotonic clock.
    end: Duration,
    is_over: bool,
}

impl<R: Runners> fmt::Debug for Tail<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("inbox", &self.inbox).field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

impl<R: Runners> Drop for Tail<R> {
    fn drop(&mut self) {
        self.inner.tails.dismiss(&self.inbox);
    }
}

impl<R: Runners> Tail<R> {
    pub(super) fn new(inner: Arc<Inner<R>>, session: Session, request_id: String, input: StartLiveTailRequest) -> Self {
        let start = LiveTailSessionStart {
            request_id: Some(request_id),
            session_id: Some(Uuid::new_v4().to_string()),
            log_group_identifiers: Some(input.log_group_identifiers),
            log_stream_names: Some(input.log_stream_names.unwrap_or_default()),
            log_stream_name_prefixes: Some(input.log_stream_name_prefixes.unwrap_or_default()),
            log_event_filter_pattern: Some(input.log_event_filter_pattern.unwrap_or_default()),
        };
        Self {
            end: inner.clock.monotonic() + LONGEST,
            inbox: Arc::clone(&session.inbox),
            session: Arc::new(Mutex::new(session)),
            start: Some(start),
            is_over: false,
            inner,
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for news on a thread that may wait for the disk; what went wrong.
    async fn look(&self) -> Result<(), String> {
        if !self.session().has_news(&self.inner) {
            return Ok(());
        }
        let (inner, session) = (Arc::clone(&self.inner), Arc::clone(&self.session));
        let look = move || session.lock().unwrap_or_else(PoisonError::into_inner).look(&inner);
        match tokio::task::spawn_blocking(look).await {
            Ok(looked) => looked.map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        }
    }
}

impl<R: Runners> LiveTail for Tail<R> {
    async fn next(&mut self) -> Option<LiveTailEvent> {
        if self.is_over {
            return None;
        }
        if let Some(start) = self.start.take() {
            return Some(LiveTailEvent::Start(start));
        }
        loop {
            tokio::time::sleep(LOOK).await;
            if self.inner.clock.monotonic() >= self.end {
                self.is_over = true;
                let text = "The Live Tail session has lasted three hours, the longest that it may. Start another one.";
                return Some(LiveTailEvent::Timeout(text.to_owned()));
            }
            if let Err(error) = self.look().await {
                tracing::error!(error, "a live tail cannot read a log");
                self.is_over = true;
                return Some(LiveTailEvent::Failure(error));
            }
            if let Some(update) = self.session().waiting.update() {
                return Some(LiveTailEvent::Update(update));
            }
        }
    }
}
