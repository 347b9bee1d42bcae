//! What happens to keys by itself: deletion when its waiting time is over, rotation, and the keys of the service.

use kiln_store::{
    StoreError, Tx,
    keys::{Change, DEFAULT_KEY},
    metadata::{KeyVersionState, KmsAliasRecord, KmsKeyRecord, KmsKeyState},
};
use uuid::Uuid;

use super::{document::Document, keys::DAY, policy, resolve::error};
use crate::{core::Inner, records::Refused, runners::Runners};

/// What AWS says of this key.
const DESCRIPTION: &str = "Default key that protects my S3 objects when no other key is defined";

/// Makes what is not there yet of the keys that the service itself manages: `alias/aws/s3`.
pub(crate) fn ensure_managed_keys<R: Runners>(inner: &Inner<R>) -> Result<(), StoreError> {
    if inner.metadata.read(|view| view.kms_key_of_material(DEFAULT_KEY))?.is_some() {
        return Ok(());
    }
    let (now, home) = (inner.now(), &inner.config.home);
    let mut document = Document::new(DESCRIPTION.to_owned(), policy::managed(home));
    document.managed = true;
    document.rotation_days = Some(365);
    let key = KmsKeyRecord {
        id: Uuid::new_v4().to_string(),
        material: DEFAULT_KEY.to_owned(),
        state: KmsKeyState::Enabled,
        created_ms: now,
        delete_ms: None,
        rotate_ms: Some(now.saturating_add(365 * DAY)),
        doc: document.to_json()?,
    };
    let alias =
        KmsAliasRecord { name: format!("alias/{DEFAULT_KEY}"), key: key.id.clone(), created_ms: now, updated_ms: now };
    inner.metadata.write_blocking(move |tx| {
        tx.insert_kms_key(&key)?;
        tx.put_kms_alias(&alias)
    })
}

/// Deletes and rotates what is due.
pub(crate) fn look<R: Runners>(inner: &Inner<R>) {
    let now = inner.now();
    let due = inner.metadata.read(|view| Ok((view.kms_keys_to_delete(now)?, view.kms_keys_to_rotate(now)?)));
    let (deleted, rotated) = match due {
        Ok(due) => due,
        Err(e) => {
            tracing::warn!(error = %e, "the keys that are due cannot be found");
            return;
        }
    };
    for key in deleted {
        tell(&key.id, "deleted", delete(inner, &key, now));
    }
    for key in rotated {
        tell(&key.id, "rotated", rotate(inner, &key, now));
    }
}

fn tell(key: &str, what: &str, done: Result<(), Refused>) {
    match done {
        Ok(()) => tracing::info!(key, "a key was {what}"),
        Err(e) => tracing::warn!(key, error = ?e, "a key that is due was not {what}"),
    }
}

/// Destroys the material of a key, and forgets the rest. What it encrypted is lost; that was asked for days ago.
fn delete<R: Runners>(inner: &Inner<R>, key: &KmsKeyRecord, now: i64) -> Result<(), Refused> {
    let id = key.id.clone();
    let work = move |tx: &mut Tx<'_>| {
        // Somebody may just have decided that it stays.
        match tx.kms_key(&id)? {
            Some(key) if key.delete_ms.is_some_and(|at| at <= now) => tx.delete_kms_key(&id).map_err(Refused::from),
            _ => Err(Refused::from(error(kiln_model::ErrorCode::Conflict, "it is not to be deleted any more"))),
        }
    };
    inner.keys.change_blocking(&key.material, Change::State(KeyVersionState::Destroyed), work).map(drop)
}

fn rotate<R: Runners>(inner: &Inner<R>, key: &KmsKeyRecord, now: i64) -> Result<(), Refused> {
    let id = key.id.clone();
    let work = move |tx: &mut Tx<'_>| {
        let found = tx.kms_key(&id)?.filter(|key| key.state == KmsKeyState::Enabled);
        let conflict = || error(kiln_model::ErrorCode::Conflict, "it is not to be rotated any more");
        let mut key = found.ok_or_else(conflict)?;
        let days = Document::of(&key)?.rotation_days.ok_or_else(conflict)?;
        // Rotations that were missed are not made up for.
        key.rotate_ms = Some(now.saturating_add(i64::from(days) * DAY));
        Ok::<_, Refused>(tx.update_kms_key(&key)?)
    };
    inner.keys.change_blocking(&key.material, Change::NewVersion { now_ms: now }, work).map(drop)
}
