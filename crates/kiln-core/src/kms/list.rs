//! Pages of lists.

use kiln_model::{ApiError, ErrorCode};

use super::resolve::error;
use crate::page::{after, token};

/// A page.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) truncated: bool,
    pub(super) next_marker: Option<String>,
}

/// The page of `list` that a caller asks for: `read` gives so many items from behind one, `key` tells where an item is.
pub(super) fn page<T>(
    list: &str,
    limit: Option<i32>,
    marker: Option<&str>,
    usual: usize,
    read: impl FnOnce(Option<&str>, usize) -> Result<Vec<T>, ApiError>,
    key: impl Fn(&T) -> &str,
) -> Result<Page<T>, ApiError> {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usual).clamp(1, 1000);
    let begin: Option<String> = after(list, marker)
        .map_err(|_| error(ErrorCode::InvalidMarker, "the marker is not the NextMarker of a page of this list"))?;
    let mut items = read(begin.as_deref(), limit + 1)?;
    let truncated = items.len() > limit;
    items.truncate(limit);
    let next_marker = items.last().filter(|_| truncated).and_then(|last| token(list, key(last)));
    Ok(Page { items, truncated, next_marker })
}
