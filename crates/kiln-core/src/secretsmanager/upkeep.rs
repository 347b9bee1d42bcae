//! What happens to secrets by itself: they are gone when their waiting time is over.

use kiln_store::StoreError;

use crate::{core::Inner, runners::Runners};

/// Secrets that go in one transaction.
const BATCH: usize = 100;

/// Deletes the secrets whose time has come; returns how many.
pub(crate) fn sweep<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let now = inner.now();
    let mut count = 0;
    while !inner.is_stopping() {
        let due = inner.metadata.read(|view| view.secrets_to_delete(now, BATCH))?;
        if due.is_empty() {
            break;
        }
        count += inner.metadata.write_blocking(move |tx| {
            let mut gone = 0;
            for secret in &due {
                // Somebody may just have decided that it stays.
                let found = tx.secret_by_id(&secret.id)?;
                if found.is_some_and(|found| found.delete_ms.is_some_and(|at| at <= now)) {
                    gone += usize::from(tx.delete_secret(&secret.id)?);
                }
            }
            Ok(gone)
        })?;
    }
    Ok(count)
}
