//! Changes and deletions of parameters.

use kiln_model::{
    ApiError,
    service::Context,
    ssm::{DeleteParameterRequest, DeleteParameterResult, DeleteParametersRequest, DeleteParametersResult},
};
use kiln_store::{Tx, metadata::ParameterRecord};

use super::{
    document::Document,
    name::{Asked, find, not_found},
};
use crate::{core::Inner, records::Refused, runners::Runners};

/// Changes what the versions of a parameter have in common, in one transaction; returns what `edit` returns.
pub(super) async fn edit<R, T, F>(inner: &Inner<R>, text: String, edit: F) -> Result<T, ApiError>
where
    R: Runners,
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>, &ParameterRecord, &mut Document) -> Result<T, Refused> + Send + 'static,
{
    let home = inner.config.home.clone();
    inner
        .transact(move |tx| {
            let (mut record, mut document) = find(tx, &home, &text)?;
            let value = edit(tx, &record, &mut document)?;
            record.doc = document.to_json()?;
            tx.put_parameter(&record)?;
            Ok(value)
        })
        .await
}

/// Deletes parameters in one transaction; which of the texts named one.
async fn delete<R: Runners>(inner: &Inner<R>, texts: Vec<String>) -> Result<(Vec<String>, Vec<String>), ApiError> {
    let home = inner.config.home.clone();
    inner
        .transact(move |tx| {
            let (mut gone, mut unknown) = (Vec::new(), Vec::new());
            for text in texts {
                let asked = Asked::parse(&home, &text);
                let found = if asked.selector.is_none() { asked.find(tx)? } else { None };
                match found {
                    Some(record) => {
                        tx.delete_parameter(&record.name)?;
                        gone.push(text);
                    }
                    None => unknown.push(text),
                }
            }
            Ok((gone, unknown))
        })
        .await
}

pub(super) async fn delete_parameter<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteParameterRequest,
) -> Result<DeleteParameterResult, ApiError> {
    let (_, unknown) = delete(inner, vec![input.name]).await?;
    match unknown.first() {
        None => Ok(DeleteParameterResult {}),
        Some(name) => Err(not_found(name)),
    }
}

pub(super) async fn delete_parameters<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteParametersRequest,
) -> Result<DeleteParametersResult, ApiError> {
    let (gone, unknown) = delete(inner, input.names).await?;
    Ok(DeleteParametersResult { deleted_parameters: Some(gone), invalid_parameters: Some(unknown) })
}
