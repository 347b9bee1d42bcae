//! Credentials for source providers: one per kind of server (`api.md` 2.9). The token is sealed before it reaches the
//! database, and never answered.

use kiln_model::{
    ApiError,
    codebuild::{
        AuthType, DeleteSourceCredentialsInput, DeleteSourceCredentialsOutput, ImportSourceCredentialsInput,
        ImportSourceCredentialsOutput, ListSourceCredentialsOutput, Sensitive, ServerType, SourceCredentialsInfo,
    },
};
use kiln_store::metadata::SourceCredentialRecord;
use serde::{Deserialize, Serialize};

use crate::{
    core::{Core, Inner},
    records::{Refused, refuse},
    runners::Runners,
};

/// What tokens are sealed for.
const PURPOSE: &str = "source-credential";

/// What is stored beside the token.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    info: SourceCredentialsInfo,
    /// User of BASIC_AUTH.
    username: Option<String>,
}

/// A credential that was imported.
#[derive(Debug)]
pub(crate) struct StoredCredential {
    pub(crate) auth: AuthType,
    /// User of BASIC_AUTH.
    pub(crate) username: Option<String>,
    /// The token; of a credential that is elsewhere its ARN.
    pub(crate) token: Sensitive,
}

/// The account's credential for a kind of server, if it has one.
///
/// # Errors
/// When it cannot be read or opened.
pub(crate) fn stored_credential<R: Runners>(
    inner: &Inner<R>,
    server: ServerType,
) -> Result<Option<StoredCredential>, ApiError> {
    let arn = inner.config.home.token_arn(server.as_str());
    let Some(record) = inner.metadata.read(|view| view.source_credential(&arn)).map_err(|e| refuse(&e))? else {
        return Ok(None);
    };
    let damaged = |why: &dyn std::fmt::Display| {
        tracing::error!(%arn, error = %why, "a source credential cannot be opened");
        ApiError::internal(format!("the source credential {arn} cannot be opened; Kiln's log says why"))
    };
    let stored: Stored = serde_json::from_str(&record.doc).map_err(|e| damaged(&e))?;
    let token = inner.keys.open_small(PURPOSE, &arn, &record.sealed).map_err(|e| damaged(&e))?;
    let token = std::str::from_utf8(&token).map_err(|e| damaged(&e))?;
    Ok(Some(StoredCredential { auth: stored.info.auth_type, username: stored.username, token: Sensitive::new(token) }))
}

impl<R: Runners> Core<R> {
    pub(super) async fn import_credentials(
        &self,
        input: ImportSourceCredentialsInput,
    ) -> Result<ImportSourceCredentialsOutput, ApiError> {
        check(&input)?;
        let inner = &self.inner;
        let arn = inner.config.home.token_arn(input.server_type.as_str());
        // Of these the token is the ARN of where the secret is.
        let elsewhere = matches!(input.auth_type, AuthType::CodeConnections | AuthType::SecretsManager);
        let stored = Stored {
            info: SourceCredentialsInfo {
                arn: arn.clone(),
                server_type: input.server_type,
                auth_type: input.auth_type,
                resource: elsewhere.then(|| input.token.expose().to_owned()),
            },
            username: input.username,
        };
        let sealed = inner.keys.seal_small(PURPOSE, &arn, input.token.expose().as_bytes()).map_err(|e| {
            tracing::error!(error = %e, "a source credential cannot be sealed");
            ApiError::internal("Kiln's keys cannot be used; its log says why")
        })?;
        let record = SourceCredentialRecord {
            arn: arn.clone(),
            server_type: input.server_type.as_str().to_owned(),
            auth_type: input.auth_type.as_str().to_owned(),
            sealed,
            created_ms: inner.now(),
            doc: serde_json::to_string(&stored).map_err(|e| ApiError::internal(e.to_string()))?,
        };
        let overwrite = input.should_overwrite != Some(false);
        inner
            .transact(move |tx| {
                if !overwrite && tx.source_credential(&record.arn)?.is_some() {
                    let message = format!("Access token with server type {} already exists", record.server_type);
                    return Err(Refused::Api(ApiError::already_exists(message)));
                }
                Ok(tx.put_source_credential(&record)?)
            })
            .await?;
        Ok(ImportSourceCredentialsOutput { arn })
    }

    pub(super) fn list_credentials(&self) -> Result<ListSourceCredentialsOutput, ApiError> {
        let records = self.inner.metadata.read(|view| view.source_credentials()).map_err(|e| refuse(&e))?;
        let mut infos = Vec::new();
        for record in records {
            let stored: Stored = serde_json::from_str(&record.doc).map_err(|e| {
                tracing::error!(arn = %record.arn, error = %e, "the record of a source credential cannot be read");
                ApiError::internal(format!("the record of {} cannot be read", record.arn))
            })?;
            infos.push(stored.info);
        }
        Ok(ListSourceCredentialsOutput { source_credentials_infos: infos })
    }

    pub(super) async fn delete_credentials(
        &self,
        input: DeleteSourceCredentialsInput,
    ) -> Result<DeleteSourceCredentialsOutput, ApiError> {
        let arn = input.arn.clone();
        let deleted = self.inner.metadata.write(move |tx| tx.delete_source_credential(&arn)).await;
        if !deleted.map_err(|e| refuse(&e))? {
            return Err(ApiError::not_found(format!("Source credentials {} do not exist", input.arn)));
        }
        Ok(DeleteSourceCredentialsOutput { arn: input.arn })
    }
}

/// What fits together (`api.md` 2.9).
fn check(input: &ImportSourceCredentialsInput) -> Result<(), ApiError> {
    if input.token.expose().is_empty() {
        return Err(ApiError::invalid_input("token is empty"));
    }
    match input.auth_type {
        AuthType::OAuth => Err(ApiError::invalid_input("authType OAUTH cannot be imported: use PERSONAL_ACCESS_TOKEN")),
        AuthType::BasicAuth if input.server_type != ServerType::Bitbucket => {
            Err(ApiError::invalid_input("authType BASIC_AUTH is for serverType BITBUCKET"))
        }
        AuthType::BasicAuth if input.username.as_deref().unwrap_or_default().is_empty() => {
            Err(ApiError::invalid_input("authType BASIC_AUTH needs a username"))
        }
        AuthType::CodeConnections | AuthType::SecretsManager if !input.token.expose().starts_with("arn:") => {
            Err(ApiError::invalid_input("token must be the ARN of the connection or secret"))
        }
        _ => Ok(()),
    }
}
