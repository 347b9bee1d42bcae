//! From the text that names a secret to the secret: its name, its ARN, or its ARN without the characters at the end.

use kiln_iam::policy::Kind;
use kiln_model::{ApiError, ErrorCode, arn::Home};
use kiln_store::{StoreError, Tx, View, metadata::SecretRecord};

use super::{document::Document, error};
use crate::{core::Inner, iam::Resource, records::Refused, runners::Runners};

/// The part of a secret's ARN before its id.
fn head(home: &Home) -> String {
    home.arn("secretsmanager", "secret:")
}

/// ARN of a secret, by its id.
pub(super) fn arn(home: &Home, id: &str) -> String {
    format!("{}{id}", head(home))
}

/// The secret that a text names, in whatever state it is.
pub(super) fn lookup(view: &View<'_>, home: &Home, text: &str) -> Result<Option<SecretRecord>, StoreError> {
    match text.strip_prefix(&head(home)) {
        Some(id) => by_id_or_name(view, id),
        None => view.secret(text),
    }
}

fn by_id_or_name(view: &View<'_>, id: &str) -> Result<Option<SecretRecord>, StoreError> {
    match view.secret_by_id(id)? {
        Some(found) => Ok(Some(found)),
        None => view.secret(id),
    }
}

pub(super) fn not_found() -> ApiError {
    error(ErrorCode::ResourceNotFound, "Secrets Manager can't find the specified secret.")
}

/// The secret that a text names, in whatever state it is.
pub(super) fn find(view: &View<'_>, home: &Home, text: &str) -> Result<(SecretRecord, Document), Refused> {
    let record = lookup(view, home, text)?.ok_or_else(not_found)?;
    let document = Document::of(&record)?;
    Ok((record, document))
}

/// The secret that a text names, unless it waits for its deletion.
pub(super) fn find_live(view: &View<'_>, home: &Home, text: &str) -> Result<(SecretRecord, Document), Refused> {
    let (record, document) = find(view, home, text)?;
    check_live(&record)?;
    Ok((record, document))
}

pub(super) fn check_live(record: &SecretRecord) -> Result<(), ApiError> {
    if record.delete_ms.is_none() {
        return Ok(());
    }
    let message = "You can't perform this operation on the secret because it was marked for deletion.";
    Err(error(ErrorCode::InvalidRequest, message))
}

/// Changes a secret that a caller names, in one transaction; returns what `edit` returns.
pub(super) async fn edit<R, T, F>(inner: &Inner<R>, text: String, edit: F) -> Result<T, ApiError>
where
    R: Runners,
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>, &mut SecretRecord, &mut Document) -> Result<T, Refused> + Send + 'static,
{
    let home = inner.config.home.clone();
    inner
        .transact(move |tx| {
            let (mut record, mut document) = find(tx, &home, &text)?;
            let value = edit(tx, &mut record, &mut document)?;
            record.doc = document.to_json()?;
            tx.update_secret(&record)?;
            Ok(value)
        })
        .await
}

/// What policies and questions have in place of the characters at the end of an ARN.
const ANY: &str = "-??????";

/// The ARN by which permissions on a secret are asked for that a caller names so: the same secret is found by it.
pub(super) fn asked_arn(home: &Home, text: &str) -> String {
    if text.starts_with("arn:") { text.to_owned() } else { format!("{}{ANY}", arn(home, text)) }
}

/// A secret as policies name it. One that is not there, or not yet, has no characters at its end: as in the policies that
/// are written for such secrets, question marks stand for them.
pub(crate) fn resource(view: &View<'_>, home: &Home, text: &str, mut found: Resource) -> Result<Resource, StoreError> {
    let record = match text.strip_suffix(ANY) {
        Some(name) => view.secret(name)?,
        None => by_id_or_name(view, text)?,
    };
    let Some(record) = record else {
        if !text.ends_with(ANY) {
            found.arn = format!("{}{ANY}", arn(home, text));
        }
        return Ok(found);
    };
    let document = Document::of(&record)?;
    found.arn = arn(home, &record.id);
    found.tags = document.tags.into_iter().collect();
    found.own_tags = Some("secretsmanager:ResourceTag");
    found.policy = document.policy.map(|policy| (Kind::Secret, policy));
    Ok(found)
}
