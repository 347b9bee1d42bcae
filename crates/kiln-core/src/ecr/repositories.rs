//! Repositories: made, described, set up, deleted.

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    ecr::{
        CreateRepositoryRequest, CreateRepositoryResponse, DeleteRepositoryRequest, DeleteRepositoryResponse,
        DescribeRepositoriesRequest, DescribeRepositoriesResponse, EncryptionConfiguration, EncryptionType,
        ImageScanningConfiguration, ImageTagMutability, ImageTagMutabilityExclusionFilter,
        PutImageScanningConfigurationRequest, PutImageScanningConfigurationResponse, PutImageTagMutabilityRequest,
        PutImageTagMutabilityResponse, Repository,
    },
    service::Context,
};
use kiln_store::{StoreError, keys::DEFAULT_KEY, metadata::RepositoryRecord};

use super::{
    document,
    error::{error, invalid, no_repository},
    find::{arn, edit, find},
    list, tags,
};
use crate::{
    core::Inner,
    crash,
    kms::{self, UsableKey, Use},
    objects,
    runners::Runners,
};

/// Repositories of a registry (AWS's quota).
const MOST: i64 = 100_000;

/// The host by which clients of images reach the registry: as the operator says, else as the caller reached the service.
pub(super) fn host<R: Runners>(inner: &Inner<R>, context: &Context) -> String {
    let own = || context.origin.split_once("://").map_or(context.origin.as_str(), |(_, host)| host).to_owned();
    inner.config.registry_host.clone().unwrap_or_else(own)
}

fn show<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    record: &RepositoryRecord,
    document: &document::Repository,
) -> Repository {
    let home = &inner.config.home;
    let exclusions = &document.exclusions;
    Repository {
        repository_arn: Some(arn(home, &record.name)),
        registry_id: Some(home.account.clone()),
        repository_name: Some(record.name.clone()),
        repository_uri: Some(format!("{}/{}", host(inner, context), record.name)),
        created_at: Some(Timestamp::from_millis(record.created_ms)),
        image_tag_mutability: Some(document.mutability),
        image_tag_mutability_exclusion_filters: (!exclusions.is_empty()).then(|| exclusions.clone()),
        image_scanning_configuration: Some(ImageScanningConfiguration { scan_on_push: Some(document.scan_on_push) }),
        encryption_configuration: Some(document.encryption.clone()),
    }
}

/// What the bytes of a new repository are sealed with, and the store's name of that key.
fn encryption<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    asked: Option<EncryptionConfiguration>,
) -> Result<(EncryptionConfiguration, String), ApiError> {
    let asked = asked.unwrap_or(EncryptionConfiguration { encryption_type: EncryptionType::Aes256, kms_key: None });
    match asked.encryption_type {
        EncryptionType::Aes256 if asked.kms_key.is_some() => {
            Err(invalid("encryptionConfiguration", "A KMS key is specified but the encryption type is AES256"))
        }
        EncryptionType::Aes256 => Ok((asked, DEFAULT_KEY.to_owned())),
        EncryptionType::Kms => {
            let named = asked.kms_key.unwrap_or_else(|| inner.config.home.default_key_arn());
            let refused = |e: ApiError| match e.code {
                code if code.http_status() >= 500 => e,
                _ => error(ErrorCode::Kms, e.message),
            };
            let UsableKey { arn, material } = kms::usable(inner, &named).map_err(refused)?;
            // As ECR asks for a grant in its caller's name.
            kms::permit_arn(inner, context, &arn, Use { via: Some("ecr"), ..Use::of("CreateGrant") })
                .map_err(refused)?;
            Ok((EncryptionConfiguration { encryption_type: EncryptionType::Kms, kms_key: Some(arn) }, material))
        }
        EncryptionType::KmsDsse => {
            Err(invalid("encryptionConfiguration", "KMS_DSSE is not available in this version of Kiln: use KMS"))
        }
    }
}

/// The exclusions that a setting may have.
fn exclusions(
    mutability: ImageTagMutability,
    filters: Option<Vec<ImageTagMutabilityExclusionFilter>>,
) -> Result<Vec<ImageTagMutabilityExclusionFilter>, ApiError> {
    const MEMBER: &str = "imageTagMutabilityExclusionFilters";
    let filters = filters.unwrap_or_default();
    let has =
        matches!(mutability, ImageTagMutability::ImmutableWithExclusion | ImageTagMutability::MutableWithExclusion);
    if has == filters.is_empty() {
        let problem = if has { "exclusion filters are required" } else { "exclusion filters are not allowed" };
        return Err(invalid(MEMBER, &format!("{problem} with image tag mutability {mutability}")));
    }
    if filters.iter().any(|filter| filter.filter.matches('*').count() > 2) {
        return Err(invalid(MEMBER, "a filter has at most 2 wildcards"));
    }
    Ok(filters)
}

pub(super) async fn create_repository<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: CreateRepositoryRequest,
) -> Result<CreateRepositoryResponse, ApiError> {
    let home = inner.config.home.clone();
    if let Some(other) = input.registry_id.as_deref().filter(|registry| *registry != home.account) {
        return Err(invalid("registryId", &format!("'{other}' is another registry than that of this account")));
    }
    let (encryption, sealed_with) = encryption(inner, context, input.encryption_configuration)?;
    let mut document = document::Repository::new(encryption, sealed_with);
    document.mutability = input.image_tag_mutability.unwrap_or(ImageTagMutability::Mutable);
    document.exclusions = exclusions(document.mutability, input.image_tag_mutability_exclusion_filters)?;
    document.scan_on_push =
        input.image_scanning_configuration.and_then(|scanning| scanning.scan_on_push).unwrap_or(false);
    tags::put(&mut document, input.tags.unwrap_or_default())?;
    let record = RepositoryRecord {
        name: input.repository_name,
        created_ms: inner.now(),
        doc: document.to_json().map_err(|e| crate::records::refuse(&e))?,
    };
    let stored = record.clone();
    inner
        .transact(move |tx| {
            if tx.repository_count()? >= MOST {
                let message =
                    format!("The registry with id '{}' has {MOST} repositories, which are the most", home.account);
                return Err(error(ErrorCode::LimitExceeded, message).into());
            }
            match tx.insert_repository(&stored) {
                Err(StoreError::Exists(_)) => {
                    let message = format!(
                        "The repository with name '{}' already exists in the registry with id '{}'",
                        stored.name, home.account
                    );
                    Err(error(ErrorCode::RepositoryAlreadyExists, message).into())
                }
                other => Ok(other?),
            }
        })
        .await?;
    Ok(CreateRepositoryResponse { repository: Some(show(inner, context, &record, &document)) })
}

pub(super) async fn describe_repositories<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: DescribeRepositoriesRequest,
) -> Result<DescribeRepositoriesResponse, ApiError> {
    let home = &inner.config.home;
    let registry = input.registry_id.as_deref();
    if let Some(names) = input.repository_names {
        if input.next_token.is_some() || input.max_results.is_some() {
            return Err(invalid("nextToken", "pages cannot be asked for together with repositoryNames"));
        }
        let found = inner
            .look(|view| names.iter().map(|name| find(view, home, registry, name)).collect::<Result<Vec<_>, _>>())?;
        let shown = found.iter().map(|(record, document)| show(inner, context, record, document)).collect();
        return Ok(DescribeRepositoriesResponse { repositories: Some(shown), next_token: None });
    }
    if registry.is_some_and(|registry| registry != home.account) {
        return Ok(DescribeRepositoriesResponse { repositories: Some(Vec::new()), next_token: None });
    }
    let after: Option<String> = list::start("repositories", input.next_token.as_deref())?;
    let most = list::most(input.max_results);
    let mut found = inner.look(|view| Ok(view.repositories(after.as_deref(), most + 1)?))?;
    let next_token = list::end("repositories", &mut found, most, |record| record.name.clone());
    let mut shown = Vec::new();
    for record in &found {
        let document = document::Repository::of(record).map_err(|e| crate::records::refuse(&e))?;
        shown.push(show(inner, context, record, &document));
    }
    Ok(DescribeRepositoriesResponse { repositories: Some(shown), next_token })
}

pub(super) async fn delete_repository<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: DeleteRepositoryRequest,
) -> Result<DeleteRepositoryResponse, ApiError> {
    let (home, force) = (inner.config.home.clone(), input.force.unwrap_or(false));
    let (record, document, blobs) = inner
        .transact(move |tx| {
            let (record, document) = find(tx, &home, input.registry_id.as_deref(), &input.repository_name)?;
            if !force && tx.image_count(&record.name)? > 0 {
                let message = format!(
                    "The repository with name '{}' in registry with id '{}' cannot be deleted because it still contains \
                     images",
                    record.name, home.account
                );
                return Err(error(ErrorCode::RepositoryNotEmpty, message).into());
            }
            let blobs = tx.delete_repository(&record.name)?;
            Ok((record, document, blobs))
        })
        .await?;
    crash::point("repository_deleted");
    objects::remove_blobs(inner, blobs).await;
    Ok(DeleteRepositoryResponse { repository: Some(show(inner, context, &record, &document)) })
}

pub(super) async fn put_image_tag_mutability<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutImageTagMutabilityRequest,
) -> Result<PutImageTagMutabilityResponse, ApiError> {
    let (mutability, name) = (input.image_tag_mutability, input.repository_name);
    let filters = exclusions(mutability, input.image_tag_mutability_exclusion_filters)?;
    let shown = (!filters.is_empty()).then(|| filters.clone());
    edit(inner, input.registry_id, name.clone(), move |_, document| {
        document.mutability = mutability;
        document.exclusions = filters;
        Ok(())
    })
    .await?;
    Ok(PutImageTagMutabilityResponse {
        registry_id: Some(inner.config.home.account.clone()),
        repository_name: Some(name),
        image_tag_mutability: Some(mutability),
        image_tag_mutability_exclusion_filters: shown,
    })
}

pub(super) async fn put_image_scanning_configuration<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutImageScanningConfigurationRequest,
) -> Result<PutImageScanningConfigurationResponse, ApiError> {
    let scan_on_push = input.image_scanning_configuration.scan_on_push.unwrap_or(false);
    let name = input.repository_name;
    edit(inner, input.registry_id, name.clone(), move |_, document| {
        document.scan_on_push = scan_on_push;
        Ok(())
    })
    .await?;
    Ok(PutImageScanningConfigurationResponse {
        registry_id: Some(inner.config.home.account.clone()),
        repository_name: Some(name),
        image_scanning_configuration: Some(ImageScanningConfiguration { scan_on_push: Some(scan_on_push) }),
    })
}

/// Refuses what is about a repository that is not there.
pub(super) fn check<R: Runners>(inner: &Inner<R>, name: &str) -> Result<(), ApiError> {
    let home = &inner.config.home;
    inner.look(|view| match view.repository(name)? {
        Some(_) => Ok(()),
        None => Err(no_repository(name, &home.account).into()),
    })
}
