//! What happens to images by itself: uploads that nobody goes on with, bytes that no image needs, and images that lifecycle
//! policies are done with, go.

use kiln_store::StoreError;

use super::lifecycle;
use crate::{core::Inner, crash, lifecycle::Millis, objects, runners::Runners};

/// What nobody has wanted for so long goes: uploads, and bytes that no image needs.
const WAIT: Millis = 24 * 60 * 60 * 1000;
/// Uploads or contents that go in one transaction.
const BATCH: usize = 200;

/// Removes what is over; returns how much that was.
pub(crate) fn sweep<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let images = lifecycle::apply_all(inner)?;
    Ok(images + uploads(inner)? + contents(inner)?)
}

fn uploads<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let before = inner.now().saturating_sub(WAIT);
    let mut count = 0;
    while !inner.is_stopping() {
        let old = inner.metadata.read(|view| view.layer_uploads_before(before, BATCH))?;
        if old.is_empty() {
            break;
        }
        count += old.len();
        let blobs = inner.metadata.write_blocking(move |tx| {
            let mut blobs = Vec::new();
            for upload in &old {
                // Somebody may just have gone on with it.
                if tx.layer_upload(&upload.id)?.is_some_and(|latest| latest.touched_ms < before) {
                    blobs.extend(tx.delete_layer_upload(&upload.id)?);
                }
            }
            Ok(blobs)
        })?;
        objects::give_up(inner, &blobs);
    }
    Ok(count)
}

fn contents<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let before = inner.now().saturating_sub(WAIT);
    let mut count = 0;
    while !inner.is_stopping() {
        // Found in the transaction that removes them: an image that needs one may be pushed at any moment.
        let (gone, blobs) = inner.metadata.write_blocking(move |tx| {
            let loose = tx.contents_not_needed(before, BATCH)?;
            let mut blobs = Vec::new();
            for link in &loose {
                blobs.extend(tx.delete_repository_content(link)?);
            }
            Ok((loose.len(), blobs))
        })?;
        crash::point("contents_collected");
        objects::give_up(inner, &blobs);
        count += gone;
        if gone == 0 {
            break;
        }
    }
    Ok(count)
}
