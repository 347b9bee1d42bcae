//! Lists of images, and pages.

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    ecr::{
        DescribeImagesRequest, DescribeImagesResponse, ImageDetail, ImageIdentifier, ImageReferrer, ImageStatusFilter,
        ListImageReferrersRequest, ListImageReferrersResponse, ListImagesRequest, ListImagesResponse, TagStatus,
    },
    registry::Digest,
    service::Context,
};
use kiln_store::{StoreError, View, metadata::ImageRecord};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    document::Image,
    error::{error, invalid},
    find::find,
    images::resolve,
};
use crate::{
    core::Inner,
    page::{after, token},
    records::Refused,
    runners::Runners,
};

/// Items of a page when nothing else is said (ECR's).
const PAGE: usize = 100;
/// Images that are read at once.
const BATCH: usize = 500;

/// Size of a page.
pub(super) fn most(asked: Option<i32>) -> usize {
    asked.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).max(1)
}

/// Where a page begins.
///
/// # Errors
/// `InvalidParameterException` for a token of another list.
pub(super) fn start<T: DeserializeOwned>(list: &str, token: Option<&str>) -> Result<Option<T>, ApiError> {
    after(list, token).map_err(|_| invalid("nextToken", "it is not that of a page before of this list"))
}

/// Cuts what was found, one more than a page has, to the page; the token of the next one.
pub(super) fn end<T, P: Serialize>(
    list: &str,
    found: &mut Vec<T>,
    most: usize,
    place: impl Fn(&T) -> P,
) -> Option<String> {
    let has_more = found.len() > most;
    found.truncate(most);
    found.last().filter(|_| has_more).and_then(|last| token(list, place(last)))
}

/// Calls `see` with every image of a repository by digest, from behind `after`, with its tags, until it says that it has
/// enough.
pub(super) fn each(
    view: &View<'_>,
    repository: &str,
    mut after: Option<String>,
    mut see: impl FnMut(ImageRecord, Vec<String>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    loop {
        let page = view.images(repository, after.as_deref(), BATCH)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.digest.clone());
        for image in page {
            let tags = view.tags_of_image(repository, &image.digest)?;
            if !see(image, tags)? {
                return Ok(());
            }
        }
    }
}

fn is_wanted(status: Option<TagStatus>, tags: &[String]) -> bool {
    match status.unwrap_or(TagStatus::Any) {
        TagStatus::Any => true,
        TagStatus::Tagged => !tags.is_empty(),
        TagStatus::Untagged => tags.is_empty(),
    }
}

/// Whether images that are at hand are asked for: there are no others.
fn is_active(status: Option<ImageStatusFilter>) -> bool {
    matches!(status.unwrap_or(ImageStatusFilter::Any), ImageStatusFilter::Any | ImageStatusFilter::Active)
}

pub(super) async fn list_images<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListImagesRequest,
) -> Result<ListImagesResponse, ApiError> {
    let filter = input.filter.unwrap_or_default();
    let list = format!("images {} {:?}", input.repository_name, filter.tag_status);
    // Behind which digest, and behind which of its tags.
    let (after, after_tag): (Option<String>, Option<String>) =
        start(&list, input.next_token.as_deref())?.unwrap_or_default();
    let most = most(input.max_results);
    let home = &inner.config.home;
    let mut found: Vec<ImageIdentifier> = inner.look(|view| {
        let (record, _) = find(view, home, input.registry_id.as_deref(), &input.repository_name)?;
        let mut found = Vec::new();
        if !is_active(filter.image_status) {
            return Ok(found);
        }
        let name = |digest: &str, tag| ImageIdentifier { image_digest: Some(digest.to_owned()), image_tag: tag };
        if let Some((digest, tag)) = after.as_ref().zip(after_tag.as_ref()) {
            let tags = view.tags_of_image(&record.name, digest)?;
            found.extend(tags.into_iter().filter(|other| other > tag).map(|tag| name(digest, Some(tag))));
        }
        each(view, &record.name, after.clone(), |image, tags| {
            if is_wanted(filter.tag_status, &tags) {
                match tags.is_empty() {
                    true => found.push(name(&image.digest, None)),
                    false => found.extend(tags.into_iter().map(|tag| name(&image.digest, Some(tag)))),
                }
            }
            Ok(found.len() <= most)
        })?;
        Ok(found)
    })?;
    let next_token = end(&list, &mut found, most, |id| (id.image_digest.clone(), id.image_tag.clone()));
    Ok(ListImagesResponse { image_ids: Some(found), next_token })
}

fn show(account: &str, image: ImageRecord, tags: Vec<String>) -> Result<ImageDetail, StoreError> {
    let document = Image::of(&image)?;
    Ok(ImageDetail {
        registry_id: Some(account.to_owned()),
        repository_name: Some(image.repository),
        image_digest: Some(image.digest),
        image_tags: (!tags.is_empty()).then_some(tags),
        image_size_in_bytes: Some(image.size),
        image_pushed_at: Some(Timestamp::from_millis(image.pushed_ms)),
        image_manifest_media_type: Some(document.media_type),
        artifact_media_type: document.artifact_type,
        last_recorded_pull_time: image.pulled_ms.map(Timestamp::from_millis),
        subject_manifest_digest: image.subject,
    })
}

/// How ECR writes what names an image.
fn written(id: &ImageIdentifier) -> String {
    let part = |text: &Option<String>| text.as_ref().map_or_else(|| "null".to_owned(), |text| format!("'{text}'"));
    format!("{{imageDigest:{}, imageTag:{}}}", part(&id.image_digest), part(&id.image_tag))
}

fn described(view: &View<'_>, account: &str, name: &str, id: &ImageIdentifier) -> Result<ImageDetail, Refused> {
    match resolve(view, name, id)? {
        Ok(image) => {
            let tags = view.tags_of_image(name, &image.digest)?;
            Ok(show(account, image, tags)?)
        }
        Err((kiln_model::ecr::ImageFailureCode::ImageNotFound, _)) => {
            let message = format!(
                "The image with imageId {} does not exist within the repository with name '{name}' in the registry with \
                 id '{account}'",
                written(id)
            );
            Err(error(ErrorCode::ImageNotFound, message).into())
        }
        Err((_, reason)) => Err(invalid("imageIds", reason).into()),
    }
}

pub(super) async fn describe_images<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeImagesRequest,
) -> Result<DescribeImagesResponse, ApiError> {
    let home = &inner.config.home;
    let (registry, account) = (input.registry_id.as_deref(), home.account.as_str());
    if let Some(ids) = input.image_ids {
        if input.next_token.is_some() || input.max_results.is_some() {
            return Err(invalid("nextToken", "pages cannot be asked for together with imageIds"));
        }
        let details = inner.look(|view| {
            let (record, _) = find(view, home, registry, &input.repository_name)?;
            ids.iter().map(|id| described(view, account, &record.name, id)).collect::<Result<Vec<_>, _>>()
        })?;
        return Ok(DescribeImagesResponse { image_details: Some(details), next_token: None });
    }
    let filter = input.filter.unwrap_or_default();
    let list = format!("described images {} {:?}", input.repository_name, filter.tag_status);
    let after: Option<String> = start(&list, input.next_token.as_deref())?;
    let most = most(input.max_results);
    let mut found = inner.look(|view| {
        let (record, _) = find(view, home, registry, &input.repository_name)?;
        let mut found = Vec::new();
        if is_active(filter.image_status) {
            each(view, &record.name, after, |image, tags| {
                if is_wanted(filter.tag_status, &tags) {
                    found.push(show(account, image, tags)?);
                }
                Ok(found.len() <= most)
            })?;
        }
        Ok(found)
    })?;
    let next_token = end(&list, &mut found, most, |detail: &ImageDetail| detail.image_digest.clone());
    Ok(DescribeImagesResponse { image_details: Some(found), next_token })
}

/// What is about an image: at most `most`, from behind the digest `after`, of the types that are wanted.
pub(super) fn referrers(
    view: &View<'_>,
    repository: &str,
    subject: &str,
    mut after: Option<String>,
    most: usize,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(ImageRecord, Image)>, StoreError> {
    let mut found = Vec::new();
    while found.len() < most {
        let page = view.referrers(repository, subject, after.as_deref(), BATCH)?;
        let Some(last) = page.last() else { break };
        after = Some(last.digest.clone());
        for image in page {
            let document = Image::of(&image)?;
            if is_wanted(document.artifact_type.as_deref().unwrap_or_default()) {
                found.push((image, document));
            }
        }
    }
    found.truncate(most);
    Ok(found)
}

pub(super) async fn list_image_referrers<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListImageReferrersRequest,
) -> Result<ListImageReferrersResponse, ApiError> {
    let home = &inner.config.home;
    let subject = Digest::parse(&input.subject_id.image_digest)
        .ok_or_else(|| invalid("subjectId", "a digest is sha256 and 64 hexadecimal digits"))?;
    let types = input.filter.and_then(|filter| filter.artifact_types).unwrap_or_default();
    let list = format!("referrers {} {subject} {types:?}", input.repository_name);
    let after: Option<String> = start(&list, input.next_token.as_deref())?;
    let most = most(input.max_results.or(Some(50)));
    let mut found = inner.look(|view| {
        let (record, _) = find(view, home, input.registry_id.as_deref(), &input.repository_name)?;
        let is_wanted = |kind: &str| types.is_empty() || types.iter().any(|wanted| wanted == kind);
        Ok(referrers(view, &record.name, subject.as_str(), after, most + 1, is_wanted)?)
    })?;
    let next_token = end(&list, &mut found, most, |(image, _)| image.digest.clone());
    let shown = found.into_iter().map(|(image, document)| ImageReferrer {
        digest: Some(image.digest),
        media_type: Some(document.media_type),
        artifact_type: document.artifact_type,
        size: i64::try_from(document.manifest_size).ok(),
        annotations: Some(document.annotations),
    });
    Ok(ListImageReferrersResponse { referrers: Some(shown.collect()), next_token })
}
