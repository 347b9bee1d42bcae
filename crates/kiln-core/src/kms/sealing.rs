//! What other services here do with keys for their callers: who may use a service may use the key that it manages; of a
//! customer's key its policy decides, and the caller's.

use std::collections::BTreeMap;

use kiln_model::{ApiError, service::Context};
use kiln_store::keys::{Context as Sealing, KeyError, Sealed};
use zeroize::Zeroizing;

use super::{
    access::{Use, permit_key},
    document::Document,
    resolve::{UsableKey, check_usable, usable},
    upkeep::{ManagedKey, managed_key},
};
use crate::{core::Inner, records::keys_failed, runners::Runners};

/// What a service seals something for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose<'a> {
    /// The service, with its own key.
    pub(crate) service: ManagedKey,
    /// The encryption context: names and values.
    pub(crate) context: &'a [(&'static str, &'a str)],
}

impl Purpose<'_> {
    fn sealing(&self) -> Sealing {
        self.context.iter().fold(Sealing::new(), |context, (name, value)| context.with(*name, *value))
    }
}

/// The key that a caller names, or the service's own.
///
/// # Errors
/// KMS's, of a key that is not there or cannot be used.
pub(crate) async fn key_for<R: Runners>(
    inner: &Inner<R>,
    named: Option<&str>,
    service: ManagedKey,
) -> Result<UsableKey, ApiError> {
    match named {
        None => managed_key(inner, service).await,
        // Its name means it also before it is first used.
        Some(text) if text.strip_prefix("alias/") == Some(service.alias()) => managed_key(inner, service).await,
        Some(text) => usable(inner, text),
    }
}

impl<R: Runners> Inner<R> {
    /// Whether a caller may do that with a key on the way to a service. Who may use a service may use the key that it manages.
    fn may_use(&self, context: &Context, operation: &str, key: &str, purpose: Purpose<'_>) -> Result<(), ApiError> {
        let Some(record) = self.look(|view| Ok(view.kms_key_of_material(key)?))? else { return Ok(()) };
        if Document::of(&record).map_err(crate::records::Refused::from)?.managed {
            return Ok(());
        }
        let pairs: BTreeMap<String, String> =
            purpose.context.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let using = Use { pairs: Some(&pairs), via: Some(purpose.service.service), ..Use::of(operation) };
        permit_key(self, context, &record, using)
    }

    /// Seals something for a caller with a key that was found for it.
    ///
    /// # Errors
    /// `AccessDeniedException` where the caller may not use the key; KMS's errors.
    pub(crate) fn seal_for(
        &self,
        context: &Context,
        operation: &str,
        key: &UsableKey,
        purpose: Purpose<'_>,
        plain: &[u8],
    ) -> Result<Vec<u8>, ApiError> {
        self.may_use(context, operation, &key.material, purpose)?;
        let sealed = self.keys.encrypt(&key.material, &purpose.sealing(), plain);
        sealed.map(|(sealed, _)| sealed).map_err(|e| self.key_failed(&e))
    }

    /// Opens for a caller what [`Self::seal_for`] sealed for the same purpose.
    ///
    /// # Errors
    /// As [`Self::seal_for`].
    pub(crate) fn open_for(
        &self,
        context: &Context,
        purpose: Purpose<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let damaged = || keys_failed(&KeyError::Refused("a value".to_owned()));
        let sealed = Sealed::parse(sealed).ok_or_else(damaged)?;
        let home = &self.config.home;
        if let Some(record) = self.look(|view| Ok(view.kms_key_of_material(sealed.key)?))? {
            check_usable(home, &record)?;
        }
        self.may_use(context, "Decrypt", sealed.key, purpose)?;
        self.keys.decrypt(sealed, &purpose.sealing()).map_err(|e| self.key_failed(&e))
    }

    /// A key that changed between being found and being used, or a failure of Kiln's own.
    fn key_failed(&self, error: &KeyError) -> ApiError {
        super::refusal(self, error).unwrap_or_else(|| keys_failed(error))
    }
}
