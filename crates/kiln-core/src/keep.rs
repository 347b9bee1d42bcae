//! File systems of failed builds, kept for `kiln debug` within a budget of disk space.

use kiln_store::StoreError;

use crate::{core::Inner, records, runners::Runners};

/// Notes that a build's file system is kept and takes so many bytes; the oldest ones go when there are too many.
pub(crate) fn keep<R: Runners>(inner: &Inner<R>, uuid: &str, bytes: u64) {
    note(inner, uuid, Some(bytes));
    if let Err(e) = keep_within(inner) {
        tracing::warn!(error = %e, "kept file systems could not be looked through");
    }
}

/// Notes that a build's file system is gone.
pub(crate) fn forget<R: Runners>(inner: &Inner<R>, uuid: &str) {
    note(inner, uuid, None);
}

/// Notes anew what a kept file system takes.
pub(crate) fn measure<R: Runners>(inner: &Inner<R>, uuid: &str) {
    match inner.runners.close(uuid, true) {
        Ok(bytes) => note(inner, uuid, bytes),
        Err(e) => tracing::warn!(build.uuid = %uuid, error = %e, "a kept file system cannot be measured"),
    }
}

fn note<R: Runners>(inner: &Inner<R>, uuid: &str, bytes: Option<u64>) {
    let name = uuid.to_owned();
    let noted = inner.metadata.write_blocking(move |tx| {
        if let Some((mut record, mut document)) = records::find(tx, &name)? {
            document.kept_bytes = bytes;
            records::fill(&mut record, &document);
            tx.update_build(&record)?;
        }
        Ok(())
    });
    if let Err(e) = noted {
        tracing::warn!(build.uuid = %uuid, error = %e, "it could not be noted what of a build is kept");
    }
}

fn keep_within<R: Runners>(inner: &Inner<R>) -> Result<(), StoreError> {
    let Ok(known) = inner.runners.known() else { return Ok(()) };
    let mut kept = Vec::new();
    for uuid in known {
        if let Some((_, document)) = inner.metadata.read(|view| records::find(view, &uuid))?
            && let (Some(bytes), Some(ended)) = (document.kept_bytes, document.lifecycle.ended_ms)
        {
            kept.push((ended, uuid, bytes));
        }
    }
    kept.sort_unstable();
    let mut total = kept.iter().fold(0u64, |sum, (_, _, bytes)| sum.saturating_add(*bytes));
    for (_, uuid, bytes) in kept {
        if total <= inner.config.keep_budget {
            break;
        }
        // In use by somebody who looks at it.
        if inner.runners.alive(&uuid) {
            continue;
        }
        match inner.runners.close(&uuid, false) {
            Ok(_) => {
                note(inner, &uuid, None);
                total = total.saturating_sub(bytes);
                tracing::info!(build.uuid = %uuid, bytes, "a kept file system was dropped to stay within the budget");
            }
            Err(e) => tracing::warn!(build.uuid = %uuid, error = %e, "a kept file system cannot be dropped"),
        }
    }
    Ok(())
}
