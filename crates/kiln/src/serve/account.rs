//! The account of a data directory: its root access key, what the first start makes, and the keys that sign requests.

use std::path::Path;

use anyhow::Context as _;
use kiln_api::KnownKey;
use kiln_core::{Core, runners::Runners};
use kiln_iam::sigv4::{Key, SecretKey, Session};
use kiln_model::{ApiError, arn::Home};
use kiln_store::{
    Keys, Metadata,
    metadata::{AccessKeyRecord, BucketRecord},
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{exit::usage, papers};

/// Settings in the store.
const ACCOUNT: &str = "account";
const REGION: &str = "region";
const ROOT_KEY: &str = "root_access_key";
const SERVICE_ROLE: &str = "default_service_role";
/// What the secret of an access key is sealed for.
const PURPOSE: &str = "access_keys.secret";
/// Letters of an access key's id behind `AKIA`.
const ID_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Letters of a secret.
const SECRET_LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Where sources go that are sent along with a build.
pub(crate) fn default_bucket(home: &Home) -> String {
    format!("kiln-{}-{}", home.account, home.region)
}

/// The role that projects may name while there are no others.
pub(crate) fn default_role(home: &Home) -> String {
    format!("arn:aws:iam::{}:role/kiln-default-build-role", home.account)
}

/// The access keys of the service: those of its records, and those of sessions.
#[derive(Clone)]
pub(crate) struct AccountKeys<R>(pub(crate) Core<R>);

impl<R: Runners> kiln_api::Keys for AccountKeys<R> {
    async fn lookup(&self, access_key_id: &str, token: Option<&str>) -> Result<Option<KnownKey>, ApiError> {
        let Some(found) = self.0.credential(access_key_id, token)? else { return Ok(None) };
        let session = found.session.map(|(token, expires)| Session {
            token: Zeroizing::new(token.expose().to_owned()),
            // An end that no clock can show is one in the past.
            expires: OffsetDateTime::from_unix_timestamp(expires.millis() / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        });
        let secret = SecretKey::new(found.secret.expose().to_owned());
        Ok(Some(KnownKey { key: Key { secret, session }, caller: found.caller }))
    }
}

/// What [`open`] found or made.
pub(crate) struct Account {
    /// The root's key, when this start has made it: to be shown this once.
    pub(crate) new_root: Option<(String, SecretKey)>,
}

/// Makes what an account needs at the first start; afterwards reads it.
///
/// # Errors
/// When account or region are not those of the first start, or the store fails.
pub(crate) fn open(data: &Path, home: &Home, metadata: &Metadata, keys: &Keys, now_ms: i64) -> anyhow::Result<Account> {
    let (account, region, root) =
        metadata.read(|view| Ok((view.setting(ACCOUNT)?, view.setting(REGION)?, view.setting(ROOT_KEY)?)))?;
    for (name, stored, configured) in [(ACCOUNT, account, &home.account), (REGION, region, &home.region)] {
        if let Some(stored) = stored.filter(|stored| stored != configured) {
            usage!(
                "everything in {} is in {name} {stored}, not {configured}: say {name} = \"{stored}\", or choose another \
                 data directory",
                data.display()
            );
        }
    }
    let new_root = match root {
        Some(_) => None,
        None => Some(make(data, home, metadata, keys, now_ms)?),
    };
    // A backup that was brought back has the key in its records alone.
    if let Some(id) = root
        && !papers::root_key_path(data).exists()
        && let Some(record) = metadata.read(|view| view.access_key(&id))?
    {
        let secret = keys.open_small(PURPOSE, &id, &record.sealed).context("an access key cannot be opened")?;
        let secret = String::from_utf8(secret.to_vec()).context("an access key cannot be opened")?;
        papers::write_root_key(data, &id, &SecretKey::new(secret))?;
    }
    Ok(Account { new_root })
}

/// The first start: the root's key, the bucket for sources, the settings, in one transaction. The key's file comes before
/// it: a process that is killed between the two has shown nothing, and the next one takes what is in the file.
fn make(
    data: &Path,
    home: &Home,
    metadata: &Metadata,
    keys: &Keys,
    now_ms: i64,
) -> anyhow::Result<(String, SecretKey)> {
    let (id, secret) = match papers::read_root_key(data)? {
        Some(key) => (key.access_key_id, key.secret),
        None => {
            let id = format!("AKIA{}", random(ID_LETTERS, 16)?.as_str());
            let secret = SecretKey::new(random(SECRET_LETTERS, 40)?.to_string());
            papers::write_root_key(data, &id, &secret)?;
            (id, secret)
        }
    };
    let key = AccessKeyRecord {
        sealed: keys.seal_small(PURPOSE, &id, secret.expose().as_bytes()).context("the access key cannot be sealed")?,
        id: id.clone(),
        user_arn: format!("arn:aws:iam::{}:root", home.account),
        name: "root".to_owned(),
        created_ms: now_ms,
        doc: "{\"version\":1}".to_owned(),
    };
    let bucket = BucketRecord { name: default_bucket(home), created_ms: now_ms, doc: "{\"version\":1}".to_owned() };
    let (home, role) = (home.clone(), default_role(home));
    metadata.write_blocking(move |tx| {
        tx.put_access_key(&key)?;
        if tx.bucket(&bucket.name)?.is_none() {
            tx.insert_bucket(&bucket)?;
        }
        tx.put_setting(ACCOUNT, &home.account)?;
        tx.put_setting(REGION, &home.region)?;
        tx.put_setting(SERVICE_ROLE, &role)?;
        tx.put_setting(ROOT_KEY, &key.id)
    })?;
    Ok((id, secret))
}

/// Random letters out of a number of them that divides 256, so that each is as likely.
fn random(letters: &[u8], count: usize) -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(vec![0u8; count]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())
            .context("the system gives no random numbers")?;
    }
    let letter = |byte: &u8| letters.get(usize::from(*byte) % letters.len()).copied().map_or('A', char::from);
    Ok(Zeroizing::new(bytes.iter().map(letter).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_letters_are_of_the_alphabet() {
        let (a, b) = (random(SECRET_LETTERS, 40).unwrap(), random(SECRET_LETTERS, 40).unwrap());
        assert_eq!(a.len(), 40);
        assert_ne!(a, b);
        assert!(a.bytes().all(|letter| SECRET_LETTERS.contains(&letter)));
        assert!(random(ID_LETTERS, 16).unwrap().bytes().all(|letter| ID_LETTERS.contains(&letter)));
    }
}
