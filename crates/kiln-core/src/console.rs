//! Links that sign in to the console: a secret each, that is given a session of whoever made it, once.
//!
//! They are in memory alone. A link is for the next minutes, and whoever made it can make another.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kiln_model::{
    ApiError, Secret, Timestamp,
    kiln::{ConsoleSession, CreateConsoleLinkInput, CreateConsoleLinkOutput},
    service::Context,
};
use sha2::{Digest as _, Sha256};

use crate::{core::Inner, iam, lifecycle::Millis, runners::Runners};

/// So long a link can be opened.
const LASTS_MS: Millis = 10 * 60 * 1000;

/// Most links that wait at the same time; the one that ends first makes room.
const MOST: usize = 1_000;

/// Links that were not opened yet.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<HashMap<[u8; 32], Waiting>>);

#[derive(Debug)]
struct Waiting {
    session: ConsoleSession,
    until: Millis,
}

impl Links {
    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Found by their hash, so that how long it takes tells nothing of a secret.
    fn key(secret: &Secret) -> [u8; 32] {
        Sha256::digest(secret.expose().as_bytes()).into()
    }

    fn keep(&self, secret: &Secret, session: ConsoleSession, now: Millis) -> Millis {
        let until = now.saturating_add(LASTS_MS);
        let mut all = self.all();
        all.retain(|_, waiting| waiting.until > now);
        if all.len() >= MOST {
            let first = all.iter().min_by_key(|(_, waiting)| waiting.until).map(|(key, _)| *key);
            first.and_then(|key| all.remove(&key));
        }
        all.insert(Self::key(secret), Waiting { session, until });
        until
    }

    /// The session that a link is for. Afterwards there is no such link.
    pub(crate) fn open(&self, secret: &Secret, now: Millis) -> Option<ConsoleSession> {
        let waiting = self.all().remove(&Self::key(secret))?;
        (waiting.until > now).then_some(waiting.session)
    }
}

/// Makes a link for a session of the caller.
pub(crate) fn create_link<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: &CreateConsoleLinkInput,
) -> Result<CreateConsoleLinkOutput, ApiError> {
    let made = iam::own_session(inner, context, input.duration_seconds)?;
    let secret = Secret::new(iam::random_name());
    let session_expiration = made.expires;
    let session = ConsoleSession {
        access_key_id: made.access_key_id,
        secret_access_key: made.secret,
        session_token: made.session_token,
        region: inner.config.home.region.clone(),
        expiration: made.expires,
    };
    let until = inner.links.keep(&secret, session, inner.now());
    Ok(CreateConsoleLinkOutput { secret, expiration: Timestamp::from_millis(until), session_expiration })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: usize) -> ConsoleSession {
        ConsoleSession { access_key_id: format!("ASIA{id}"), ..ConsoleSession::default() }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_link_is_opened_once_and_in_time() {
        let links = Links::default();
        let until = links.keep(&secret("a"), session(1), 1_000);
        assert_eq!(until, 1_000 + LASTS_MS);
        assert_eq!(links.open(&secret("b"), 1_000), None);
        assert_eq!(links.open(&secret("a"), until - 1), Some(session(1)));
        assert_eq!(links.open(&secret("a"), until - 1), None, "it was opened before");

        links.keep(&secret("c"), session(2), 1_000);
        assert_eq!(links.open(&secret("c"), 1_000 + LASTS_MS), None, "too late");
        assert_eq!(links.open(&secret("c"), 1_000), None, "and gone");
    }

    #[test]
    fn links_that_wait_are_bounded() {
        let links = Links::default();
        for n in 0..=MOST {
            let now = i64::try_from(n).unwrap();
            links.keep(&secret(&n.to_string()), session(n), now);
        }
        assert_eq!(links.all().len(), MOST);
        assert_eq!(links.open(&secret("0"), 5), None, "the oldest made room");
        assert_eq!(links.open(&secret("1000"), 1_000), Some(session(MOST)));
        links.keep(&secret("new"), session(0), 10 * LASTS_MS);
        assert_eq!(links.all().len(), 1, "those that nobody opened in time are gone");
    }

    #[test]
    fn nothing_of_a_link_is_shown() {
        let links = Links::default();
        let made = ConsoleSession { secret_access_key: secret("hunter2"), ..ConsoleSession::default() };
        links.keep(&secret("hunter3"), made, 0);
        assert!(!format!("{links:?}").contains("hunter"), "{links:?}");
    }
}
