//! Changes of a key: found, checked and stored in one transaction, together with its material where that changes too.

use kiln_model::{ApiError, arn::Home, service::Context};
use kiln_store::{Tx, keys::Change, metadata::KmsKeyRecord};

use super::{
    access::{Use, permit},
    document::Document,
    resolve::{Names, no_key},
};
use crate::{core::Inner, records::Refused, runners::Runners};

/// A key that is being changed.
pub(super) struct Edit<'a, 'b> {
    pub(super) tx: &'a mut Tx<'b>,
    pub(super) home: &'a Home,
    pub(super) record: &'a mut KmsKeyRecord,
    pub(super) document: &'a mut Document,
}

/// Changes a key that a caller names by id or ARN, if they may. `operation` is the name in the API. Returns what `edit`
/// returns.
pub(super) async fn edit<R, T, F>(
    inner: &Inner<R>,
    context: &Context,
    operation: &'static str,
    text: &str,
    material: Option<Change>,
    edit: F,
) -> Result<T, ApiError>
where
    R: Runners,
    T: Send + 'static,
    F: FnOnce(Edit<'_, '_>) -> Result<T, Refused> + Send + 'static,
{
    let home = inner.config.home.clone();
    let found = permit(inner, context, text, Names::Keys, Use::of(operation))?;
    let (id, name) = (found.id, found.material);
    let work = move |tx: &mut Tx<'_>| {
        // Again: it may have changed, or be gone, by now.
        let mut record = tx.kms_key(&id)?.ok_or_else(|| no_key(&home, &id))?;
        let mut document = Document::of(&record)?;
        let value = edit(Edit { tx: &mut *tx, home: &home, record: &mut record, document: &mut document })?;
        record.doc = document.to_json()?;
        tx.update_kms_key(&record)?;
        Ok::<_, Refused>(value)
    };
    match material {
        None => inner.transact(work).await,
        Some(change) => inner.keys.change(&name, change, work).await.map(|(value, _)| value).map_err(ApiError::from),
    }
}
