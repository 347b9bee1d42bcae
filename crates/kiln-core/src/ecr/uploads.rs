//! Uploads of layers: begun, gone on with, completed, given up.
//!
//! What was appended is synced and has a row before the client is told: an upload is gone on with after a restart from
//! where it is. The digest of a layer that came at once was computed meanwhile; of one that came in pieces they are read
//! again. Of two that complete the same layer the second finds the first one's, and its own bytes go.

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode,
    registry::{Append, Digest, LayerUploadId, MOST_LAYER, RegistryCode, RegistryError},
    service::ByteSource,
};
use kiln_store::{
    StoreError, View,
    metadata::{ContentRecord, LayerUploadRecord, PieceRecord, RepositoryContentRecord},
};
use uuid::Uuid;

use super::{
    content,
    error::{self, error, no_layer, no_upload},
    find::find,
};
use crate::{core::Inner, crash, lifecycle::Millis, objects::remove_blobs, records::Refused, runners::Runners};

/// Pieces of an upload: each is a file.
const MOST_PIECES: i64 = 10_000;
/// Uploads of a repository that are not completed.
const MOST_UPLOADS: i64 = 10_000;
/// That somebody wanted a layer to be there is noted when the last time that was noted is older.
const NOTED_EVERY: Millis = 60 * 60 * 1000;

/// Begins an upload; its id.
pub(super) async fn begin<R: Runners>(
    inner: &Inner<R>,
    registry: Option<String>,
    repository: String,
) -> Result<String, ApiError> {
    let (home, now, id) = (inner.config.home.clone(), inner.now(), Uuid::new_v4().to_string());
    let upload = id.clone();
    inner
        .transact(move |tx| {
            let (record, document) = find(tx, &home, registry.as_deref(), &repository)?;
            if tx.layer_upload_count(&record.name)? >= MOST_UPLOADS {
                let message =
                    format!("{MOST_UPLOADS} uploads of the repository are not completed: complete or cancel some");
                return Err(error(ErrorCode::LimitExceeded, message).into());
            }
            Ok(tx.insert_layer_upload(&LayerUploadRecord {
                id: upload,
                repository: record.name,
                touched_ms: now,
                size: 0,
                pieces: 0,
                sealed_with: document.sealed_with,
            })?)
        })
        .await?;
    Ok(id)
}

/// An upload that a client names, which must be of the repository that it names with it.
fn look_up(view: &View<'_>, account: &str, wanted: &LayerUploadId) -> Result<LayerUploadRecord, Refused> {
    let found = view.layer_upload(&wanted.id)?.filter(|upload| upload.repository == wanted.repository);
    Ok(found.ok_or_else(|| no_upload(&wanted.id, &wanted.repository, account))?)
}

/// The upload as it is.
pub(super) fn state<R: Runners>(inner: &Inner<R>, wanted: &LayerUploadId) -> Result<LayerUploadRecord, ApiError> {
    inner.look(|view| look_up(view, &inner.config.home.account, wanted))
}

/// Sizes of the pieces of an upload.
pub(super) fn piece_sizes<R: Runners>(inner: &Inner<R>, wanted: &LayerUploadId) -> Result<Vec<i64>, ApiError> {
    inner.look(|view| {
        let upload = look_up(view, &inner.config.home.account, wanted)?;
        Ok(view.pieces(&upload.id)?.iter().map(|piece| piece.size).collect())
    })
}

/// Appends bytes; how many there are then.
pub(super) async fn append<R: Runners>(
    inner: &Arc<Inner<R>>,
    wanted: &LayerUploadId,
    append: Append,
    body: impl ByteSource,
) -> Result<u64, RegistryError> {
    let before = state(inner, wanted)?;
    let size = before.size.unsigned_abs();
    if append.start.is_some_and(|start| start != size) {
        return Err(RegistryError::out_of_order(size));
    }
    if before.pieces >= MOST_PIECES {
        let message = format!("the upload has {MOST_PIECES} pieces, which are the most: send larger ones");
        return Err(RegistryError::new(RegistryCode::BlobUploadInvalid, message).with_status(413));
    }
    let number = before.pieces + 1;
    let most = append.length.unwrap_or(u64::MAX).min(MOST_LAYER.saturating_sub(size));
    let taken = content::take(inner, &before.sealed_with, content::context(&before.id, number), most, body).await?;
    let came = taken.blob.as_ref().map_or(0, |blob| blob.size);
    if let Some(blob) = taken.blob {
        let piece = PieceRecord {
            content: before.id.clone(),
            number,
            blob: blob.id.clone(),
            size: i64::try_from(blob.size).unwrap_or(i64::MAX),
            digest: Digest::of(&blob.sha256).into(),
        };
        crash::point("layer_piece_stored");
        store_piece(inner, wanted.clone(), before, piece).await?;
    }
    if let Some(why) = taken.broke {
        let message = format!("the body broke off: {why}; {came} bytes of it are kept");
        return Err(RegistryError {
            uploaded: Some(size + came),
            ..RegistryError::new(RegistryCode::SizeInvalid, message)
        });
    }
    if let Some(length) = append.length.filter(|length| *length != came) {
        let message = format!("{length} bytes were announced, {came} came, which are kept");
        return Err(RegistryError {
            uploaded: Some(size + came),
            ..RegistryError::new(RegistryCode::SizeInvalid, message)
        });
    }
    Ok(size + came)
}

/// Makes the record of a piece, unless the upload went on in between.
async fn store_piece<R: Runners>(
    inner: &Arc<Inner<R>>,
    wanted: LayerUploadId,
    before: LayerUploadRecord,
    piece: PieceRecord,
) -> Result<(), RegistryError> {
    let (account, now, blob) = (inner.config.home.account.clone(), inner.now(), piece.blob.clone());
    let stored = inner.metadata.transact(move |tx| {
        let mut upload = look_up(tx, &account, &wanted)?;
        if (upload.size, upload.pieces) != (before.size, before.pieces) {
            return Ok(Err(upload.size.unsigned_abs()));
        }
        upload.size += piece.size;
        upload.pieces += 1;
        upload.touched_ms = now;
        tx.append_piece(&upload, &piece)?;
        Ok::<_, Refused>(Ok(()))
    });
    match stored.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(size)) => {
            remove_blobs(inner, vec![blob]).await;
            Err(RegistryError::out_of_order(size))
        }
        Err(refused) => {
            // Whether it was committed is not known then: the next start looks.
            if !matches!(refused, Refused::Store(StoreError::Stopped(_))) {
                remove_blobs(inner, vec![blob]).await;
            }
            Err(ApiError::from(refused).into())
        }
    }
}

/// What completing an upload did.
pub(super) enum Completed {
    /// The repository has the layer now.
    Stored,
    /// It had it before.
    WasThere,
    /// The bytes have another digest: they are gone.
    Differs(String),
}

/// Completes an upload, if its bytes have that digest.
pub(super) async fn complete<R: Runners>(
    inner: &Arc<Inner<R>>,
    wanted: &LayerUploadId,
    digest: &Digest,
) -> Result<Completed, ApiError> {
    let account = inner.config.home.account.clone();
    let (upload, pieces) = inner.look(|view| {
        let upload = look_up(view, &account, wanted)?;
        let pieces = view.pieces(&upload.id)?;
        Ok((upload, pieces))
    })?;
    let with = Arc::clone(inner);
    let computed = error::blocking(move || content::digest(&with, pieces)).await?;
    if computed != digest.as_str() {
        give_up(inner, wanted.clone()).await?;
        return Ok(Completed::Differs(computed));
    }
    let (wanted, digest, now) = (wanted.clone(), digest.to_string(), inner.now());
    let (blobs, was_there) = inner
        .transact(move |tx| {
            let latest = look_up(tx, &account, &wanted)?;
            if (latest.size, latest.pieces) != (upload.size, upload.pieces) {
                return Err(no_upload(&wanted.id, &wanted.repository, &account).into());
            }
            let was_there = tx.repository_content(&upload.repository, &digest)?;
            let same = tx.content_of(&digest, &upload.sealed_with)?;
            let (content, blobs) = match (&was_there, same) {
                (Some(link), _) => (link.content.clone(), tx.delete_layer_upload(&upload.id)?),
                (None, Some(same)) => (same.id, tx.delete_layer_upload(&upload.id)?),
                (None, None) => {
                    tx.end_layer_upload(&upload.id)?;
                    tx.insert_content(&ContentRecord {
                        id: upload.id.clone(),
                        digest: digest.clone(),
                        sealed_with: upload.sealed_with,
                        size: upload.size,
                    })?;
                    (upload.id, Vec::new())
                }
            };
            tx.put_repository_content(&RepositoryContentRecord {
                repository: upload.repository,
                digest,
                content,
                touched_ms: now,
            })?;
            Ok((blobs, was_there.is_some()))
        })
        .await?;
    crash::point("layer_completed");
    remove_blobs(inner, blobs).await;
    Ok(if was_there { Completed::WasThere } else { Completed::Stored })
}

/// Gives an upload up.
pub(super) async fn give_up<R: Runners>(inner: &Arc<Inner<R>>, wanted: LayerUploadId) -> Result<(), ApiError> {
    let account = inner.config.home.account.clone();
    let blobs = inner
        .transact(move |tx| {
            let upload = look_up(tx, &account, &wanted)?;
            Ok(tx.delete_layer_upload(&upload.id)?)
        })
        .await?;
    remove_blobs(inner, blobs).await;
    Ok(())
}

/// Lets a repository have a layer that another one has, if their bytes are sealed with the same key.
pub(super) async fn mount<R: Runners>(
    inner: &Inner<R>,
    repository: String,
    digest: Digest,
    from: String,
) -> Result<bool, ApiError> {
    let (home, now) = (inner.config.home.clone(), inner.now());
    inner
        .transact(move |tx| {
            let (record, document) = find(tx, &home, None, &repository)?;
            let Some(link) = tx.repository_content(&from, digest.as_str())? else { return Ok(false) };
            let content = tx.content(&link.content)?;
            if content.is_none_or(|content| content.sealed_with != document.sealed_with) {
                return Ok(false);
            }
            let own = tx.repository_content(&record.name, digest.as_str())?;
            let link = own.unwrap_or(RepositoryContentRecord { repository: record.name, ..link });
            tx.put_repository_content(&RepositoryContentRecord { touched_ms: now, ..link })?;
            Ok(true)
        })
        .await
}

/// Whoever hears that layers are there does not send them again: they have to stay until the image comes that needs them.
/// Those that are not there are none of this.
pub(super) async fn keep<R: Runners>(inner: &Inner<R>, repository: &str, digests: &[String]) -> Result<(), ApiError> {
    let now = inner.now();
    let old = inner.look(|view| {
        let mut old = Vec::new();
        for digest in digests {
            let link = view.repository_content(repository, digest)?;
            old.extend(link.filter(|link| now.saturating_sub(link.touched_ms) >= NOTED_EVERY));
        }
        Ok(old)
    })?;
    if old.is_empty() {
        return Ok(());
    }
    let (repository, account) = (repository.to_owned(), inner.config.home.account.clone());
    inner
        .transact(move |tx| {
            for link in old {
                // It may have gone just now, and must not be said to be there then.
                let Some(mut link) = tx.repository_content(&repository, &link.digest)? else {
                    return Err(no_layer(&link.digest, &repository, &account).into());
                };
                link.touched_ms = link.touched_ms.max(now);
                tx.put_repository_content(&link)?;
            }
            Ok(())
        })
        .await
}
