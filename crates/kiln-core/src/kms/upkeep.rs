//! What happens to keys by itself: deletion when its waiting time is over, rotation, and the keys of the service.

use kiln_model::{ApiError, ErrorCode, arn::Home};
use kiln_store::{
    StoreError, Tx,
    keys::{Change, DEFAULT_KEY},
    metadata::{KeyVersionState, KmsAliasRecord, KmsKeyRecord, KmsKeyState},
};
use uuid::Uuid;

use super::{
    document::Document,
    keys::DAY,
    policy,
    resolve::{UsableKey, check_usable, error},
};
use crate::{core::Inner, records::Refused, runners::Runners};

/// A key that the service itself makes and looks after: those that its own services use when none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ManagedKey {
    /// What the store's keys call it: its alias without `alias/`.
    material: &'static str,
    /// The service, as policies name it.
    pub(crate) service: &'static str,
    /// The service, as people name it.
    name: &'static str,
    /// What AWS says of this key.
    description: &'static str,
}

/// `alias/aws/s3`, whose material the store makes.
pub(crate) const S3: ManagedKey = ManagedKey {
    material: DEFAULT_KEY,
    service: "s3",
    name: "S3",
    description: "Default key that protects my S3 objects when no other key is defined",
};

/// `alias/aws/secretsmanager`.
pub(crate) const SECRETS_MANAGER: ManagedKey = ManagedKey {
    material: "aws/secretsmanager",
    service: "secretsmanager",
    name: "AWS Secrets Manager",
    description: "Default key that protects my Secrets Manager data when no other key is defined",
};

/// `alias/aws/ssm`.
pub(crate) const PARAMETER_STORE: ManagedKey = ManagedKey {
    material: "aws/ssm",
    service: "ssm",
    name: "SSM",
    description: "Default key that protects my SSM data when no other key is defined",
};

impl ManagedKey {
    /// Its alias without `alias/`.
    pub(crate) fn alias(self) -> &'static str {
        self.material
    }

    /// The records of the key and its alias, new.
    fn records(self, home: &Home, now: i64) -> Result<(KmsKeyRecord, KmsAliasRecord), StoreError> {
        let mut document = Document::new(self.description.to_owned(), policy::managed(home, self.service, self.name));
        document.managed = true;
        document.rotation_days = Some(365);
        let key = KmsKeyRecord {
            id: Uuid::new_v4().to_string(),
            material: self.material.to_owned(),
            state: KmsKeyState::Enabled,
            created_ms: now,
            delete_ms: None,
            rotate_ms: Some(now.saturating_add(365 * DAY)),
            doc: document.to_json()?,
        };
        let name = format!("alias/{}", self.material);
        let alias = KmsAliasRecord { name, key: key.id.clone(), created_ms: now, updated_ms: now };
        Ok((key, alias))
    }
}

/// Makes what is not there yet of the keys that must always be there: `alias/aws/s3`.
pub(crate) fn ensure_managed_keys<R: Runners>(inner: &Inner<R>) -> Result<(), StoreError> {
    if inner.metadata.read(|view| view.kms_key_of_material(DEFAULT_KEY))?.is_some() {
        return Ok(());
    }
    let (key, alias) = S3.records(&inner.config.home, inner.now())?;
    inner.metadata.write_blocking(move |tx| {
        tx.insert_kms_key(&key)?;
        tx.put_kms_alias(&alias)
    })
}

/// The key that a service uses when none is named. It is made when it is first needed, as AWS does it.
pub(crate) async fn managed_key<R: Runners>(inner: &Inner<R>, managed: ManagedKey) -> Result<UsableKey, ApiError> {
    let home = &inner.config.home;
    let find = || inner.look(|view| Ok(view.kms_key_of_material(managed.material)?));
    let found = match find()? {
        Some(found) => Some(found),
        None => {
            let now = inner.now();
            let (key, alias) = managed.records(home, now).map_err(Refused::from)?;
            let work = move |tx: &mut Tx<'_>| {
                if tx.kms_key_of_material(managed.material)?.is_some() {
                    // Somebody else needed it at the same moment.
                    return Err(Refused::from(error(ErrorCode::AlreadyExists, "the key is there already")));
                }
                tx.insert_kms_key(&key)?;
                Ok(tx.put_kms_alias(&alias)?)
            };
            match inner.keys.change(managed.material, Change::NewVersion { now_ms: now }, work).await {
                Ok(_) => {}
                Err(Refused::Api(known)) if known.code == ErrorCode::AlreadyExists => {}
                Err(refused) => return Err(refused.into()),
            }
            find()?
        }
    };
    let record = found.ok_or_else(|| ApiError::internal("a key of the service itself is not there"))?;
    check_usable(home, &record)?;
    Ok(UsableKey { arn: home.key_arn(&record.id), material: record.material })
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
            _ => Err(Refused::from(error(ErrorCode::Conflict, "it is not to be deleted any more"))),
        }
    };
    inner.keys.change_blocking(&key.material, Change::State(KeyVersionState::Destroyed), work).map(drop)
}

fn rotate<R: Runners>(inner: &Inner<R>, key: &KmsKeyRecord, now: i64) -> Result<(), Refused> {
    let id = key.id.clone();
    let work = move |tx: &mut Tx<'_>| {
        let found = tx.kms_key(&id)?.filter(|key| key.state == KmsKeyState::Enabled);
        let conflict = || error(ErrorCode::Conflict, "it is not to be rotated any more");
        let mut key = found.ok_or_else(conflict)?;
        let days = Document::of(&key)?.rotation_days.ok_or_else(conflict)?;
        // Rotations that were missed are not made up for.
        key.rotate_ms = Some(now.saturating_add(i64::from(days) * DAY));
        Ok::<_, Refused>(tx.update_kms_key(&key)?)
    };
    inner.keys.change_blocking(&key.material, Change::NewVersion { now_ms: now }, work).map(drop)
}
