//! Errors in EventBridge's words, and the pages of its lists.

use kiln_model::{ApiError, ErrorCode, arn::Home};
use serde::{Serialize, de::DeserializeOwned};

use crate::page::{after, token};

pub(super) fn error(code: ErrorCode, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message)
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    error(ErrorCode::Validation, message)
}

pub(super) fn no_rule(name: &str) -> ApiError {
    error(ErrorCode::ResourceNotFound, format!("Rule {name} does not exist on EventBus default."))
}

pub(super) fn too_many() -> ApiError {
    error(ErrorCode::LimitExceeded, "The requested resource exceeds the maximum number allowed.")
}

/// Refuses every event bus but the one that there is.
pub(super) fn check_bus(home: &Home, bus: Option<&str>) -> Result<(), ApiError> {
    match bus {
        None | Some("default") => Ok(()),
        Some(arn) if arn == home.arn("events", "event-bus/default") => Ok(()),
        Some(other) => {
            let name = other.rsplit_once(":event-bus/").map_or(other, |(_, name)| name);
            Err(error(ErrorCode::ResourceNotFound, format!("Event bus {name} does not exist.")))
        }
    }
}

/// Where a page begins.
pub(super) fn start<T: DeserializeOwned>(list: &str, token: Option<&str>) -> Result<Option<T>, ApiError> {
    after(list, token).map_err(|_| invalid("Parameter NextToken is not valid."))
}

/// Items of a page.
pub(super) fn limit(limit: Option<i32>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100).clamp(1, 100)
}

/// Cuts a page of which one more than `limit` items were read; where the next one begins.
pub(super) fn cut<T>(list: &str, items: &mut Vec<T>, limit: usize, key: impl Fn(&T) -> &str) -> Option<String> {
    let has_more = items.len() > limit;
    items.truncate(limit);
    items.last().filter(|_| has_more).and_then(|last| next(list, key(last)))
}

fn next(list: &str, key: impl Serialize) -> Option<String> {
    token(list, key)
}
