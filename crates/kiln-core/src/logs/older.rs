//! What builds logged before Kiln knew log groups: their directories become streams, once.

use std::{collections::HashMap, path::PathBuf};

use kiln_store::{
    StoreError,
    logs::Stored,
    metadata::{BuildState, LogStreamRecord, Order},
};

use super::builds::{ensure_group, fresh, is_enabled, of_log, settle};
use crate::{core::Inner, records, runners::Runners};

/// What says that it was done.
const DONE: &str = "log streams of builds";
/// Streams of one transaction, and builds that are looked at in one step.
const BATCH: usize = 500;

/// Makes the streams that the rows should have, and closes those whose builds do not run any more.
///
/// # Errors
/// When the records cannot be read or written.
pub(crate) fn take_in<R: Runners>(inner: &Inner<R>) -> Result<(), StoreError> {
    if !inner.metadata.read(|view| view.is_done(DONE))? {
        directories(inner)?;
        inner.metadata.write_blocking(|tx| tx.set_done(DONE))?;
    }
    settle(inner)
}

fn directories<R: Runners>(inner: &Inner<R>) -> Result<(), StoreError> {
    let found = match inner.logs.stored() {
        Ok(found) => found,
        Err(e) => {
            tracing::error!(error = %e, "the logs of earlier builds cannot be listed: CloudWatch Logs will not have them");
            return Ok(());
        }
    };
    if found.is_empty() {
        return Ok(());
    }
    // Directories with long names do not say what they are called: builds do.
    let cut = found.iter().any(|stored| stored.names.is_none());
    let long = if cut { by_directory(inner)? } else { HashMap::new() };
    let mut streams: Vec<LogStreamRecord> = Vec::new();
    let mut count = 0;
    for Stored { directory, names } in found {
        let Some((group, name)) = names.or_else(|| long.get(&directory).cloned()) else {
            tracing::warn!(directory = %directory.display(), "nothing says of which build this log is");
            continue;
        };
        let uuid = name.rsplit('/').next().unwrap_or_default().to_owned();
        let build = inner.metadata.read(|view| records::find(view, &uuid))?;
        if build.as_ref().is_some_and(|(_, document)| !is_enabled(document)) {
            continue;
        }
        let open = build.as_ref().is_some_and(|(record, _)| record.state == BuildState::Running);
        let sums = of_log(&inner.logs, &group, &name, open);
        let created = match &build {
            Some((_, document)) => document.lifecycle.submitted_ms,
            None => sums.begin().unwrap_or_else(|| inner.now()),
        };
        let mut stream = fresh(group, name, Some(uuid), created);
        sums.fill(&mut stream);
        stream.open = open;
        streams.push(stream);
        if streams.len() == BATCH {
            count += streams.len();
            store(inner, std::mem::take(&mut streams))?;
        }
    }
    count += streams.len();
    store(inner, streams)?;
    tracing::info!(count, "logs of earlier builds are streams of CloudWatch Logs now");
    Ok(())
}

fn store<R: Runners>(inner: &Inner<R>, streams: Vec<LogStreamRecord>) -> Result<(), StoreError> {
    inner.metadata.write_blocking(move |tx| {
        for stream in &streams {
            ensure_group(tx, &stream.group, stream.created_ms)?;
            tx.put_log_stream(stream)?;
        }
        Ok(())
    })
}

/// Names of groups and streams of all builds, by their directories.
fn by_directory<R: Runners>(inner: &Inner<R>) -> Result<HashMap<PathBuf, (String, String)>, StoreError> {
    let (mut found, mut after) = (HashMap::new(), None);
    loop {
        let page = inner.metadata.read(|view| view.build_ids(Order::Ascending, after, BATCH))?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.position);
        for key in page {
            let Some((_, document)) = inner.metadata.read(|view| records::find(view, &key.uuid))? else { continue };
            let (group, stream) = (document.log_group(), document.log_stream());
            found.insert(inner.logs.directory(&group, &stream), (group, stream));
        }
    }
}
