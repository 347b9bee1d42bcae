//! Taking a delivery. What is decided, what was heard and the builds that are started are one transaction: a delivery that
//! was acknowledged starts its builds once, whenever the server dies.

use std::sync::Arc;

use kiln_model::{
    ApiError, Timestamp,
    kiln::{DeliveryStatus, WebhookDelivery},
    service::{Delivered, DeliveryRefusal, WebhookRequest},
};
use kiln_runner::job::Control;
use kiln_store::{StoreError, metadata::DeliveryRecord};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Kept, VERSION,
    decide::{After, Deciding, Roles, decide},
    event::{self, Provider},
    hooks::{hash, secrets},
    signature, write,
};
use crate::{
    accept,
    core::Inner,
    lifecycle::Effect,
    records::{Refused, refuse},
    runners::Runners,
    traces,
};

/// Characters of a provider's id of a delivery.
const LONGEST_ID: usize = 200;
/// Characters of what a provider calls an event, or its program.
const LONGEST_NAME: usize = 200;
/// Bytes of a body that is kept, as it is compressed.
const LARGEST_KEPT: usize = 1 << 20;

/// Whether there is a webhook whose address ends so.
pub(crate) fn has_webhook<R: Runners>(inner: &Inner<R>, token: &str) -> bool {
    inner.metadata.read(|view| view.webhook_of_token(&hash(token))).is_ok_and(|found| found.is_some())
}

/// Takes a delivery.
pub(crate) async fn deliver<R: Runners>(
    inner: &Arc<Inner<R>>,
    request: WebhookRequest,
) -> Result<Delivered, DeliveryRefusal> {
    let with = Arc::clone(inner);
    // Bodies may be large: what is done with all of their bytes keeps no other request waiting.
    let read = tokio::task::spawn_blocking(move || read(&with, &request)).await;
    let broken = |_| DeliveryRefusal::Later("reading the delivery was broken off".to_owned());
    let (record, kept) = read.map_err(broken)??;
    take(inner, record, kept).await.map_err(later)
}

fn later(error: ApiError) -> DeliveryRefusal {
    DeliveryRefusal::Later(error.message)
}

/// Finds out who sent a delivery, and what it says.
fn read<R: Runners>(inner: &Inner<R>, request: &WebhookRequest) -> Result<(DeliveryRecord, Kept), DeliveryRefusal> {
    let hook = hash(request.token.expose());
    let found = inner.metadata.read(|view| view.webhook_of_token(&hook)).map_err(|e| later(refuse(&e)))?;
    let record = found.ok_or(DeliveryRefusal::Stranger)?;
    let header = |name: &str| request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (provider, name) = Provider::of(header).ok_or(DeliveryRefusal::Stranger)?;
    let now = inner.now();
    let known = secrets(inner, &record).map_err(later)?;
    let is_right =
        known.iter().any(|secret| signature::is_right(provider, secret.expose(), header, &request.body, now / 1000));
    if !is_right {
        return Err(DeliveryRefusal::Stranger);
    }
    let payload = event::read(provider, name, &request.body).map_err(DeliveryRefusal::Malformed)?;
    let given = provider.id_headers().iter().find_map(|name| header(name)).filter(|id| !id.is_empty());
    let delivery = match given {
        Some(id) => printable(id, LONGEST_ID),
        // Old servers give none: what says the same is the same.
        None => format!("sha256:{}", hex(&Sha256::digest(&request.body))),
    };
    let kept = Kept {
        version: VERSION,
        provider,
        event: printable(name, LONGEST_NAME),
        payload,
        payload_bytes: request.body.len() as u64,
        status: DeliveryStatus::Pending,
        message: String::new(),
        decisions: Vec::new(),
        initiator: printable(header("user-agent").unwrap_or(provider.as_str()), LONGEST_NAME),
        redelivery_of: None,
        attempts: 0,
        roles: Roles::new(),
    };
    let body = sealed_body(inner, &hook, &request.body);
    let record = DeliveryRecord {
        id: 0,
        uuid: Uuid::new_v4().to_string(),
        hook,
        delivery,
        project: record.project,
        received_ms: now,
        due_ms: None,
        payload: body,
        doc: String::new(),
    };
    Ok((record, kept))
}

fn printable(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What bodies are sealed for.
const PURPOSE: &str = "webhook-delivery";

/// A body as it is kept: compressed and sealed; nothing where it is too large.
fn sealed_body<R: Runners>(inner: &Inner<R>, hook: &str, body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    let compressed = encoder.write_all(body).and_then(|()| encoder.finish()).unwrap_or_default();
    if compressed.len() > LARGEST_KEPT {
        return Vec::new();
    }
    inner.keys.seal_small(PURPOSE, hook, &compressed).unwrap_or_else(|e| {
        tracing::warn!(error = %e, "the body of a delivery cannot be kept");
        Vec::new()
    })
}

/// A body that was kept.
pub(super) fn opened_body<R: Runners>(inner: &Inner<R>, record: &DeliveryRecord) -> Option<Vec<u8>> {
    use std::io::Read as _;
    if record.payload.is_empty() {
        return None;
    }
    let compressed = inner.keys.open_small(PURPOSE, &record.hook, &record.payload).ok()?;
    let mut body = Vec::new();
    flate2::read::DeflateDecoder::new(compressed.as_slice()).take(64 << 20).read_to_end(&mut body).ok()?;
    Some(body)
}

/// Stores a delivery and decides on it, unless something has to be asked first.
pub(super) async fn take<R: Runners>(
    inner: &Arc<Inner<R>>,
    record: DeliveryRecord,
    kept: Kept,
) -> Result<Delivered, ApiError> {
    accept::check_room(inner)?;
    let deciding = Deciding::new(inner);
    let work = inner.transact(move |tx| {
        let (mut record, mut kept) = (record, kept);
        if let Some(before) = tx.delivery_of(&record.hook, &record.delivery)? {
            return Ok((delivery_of(&before)?, true, After::default()));
        }
        let mut after = After::default();
        decide(tx, &deciding, &mut record, &mut kept, &mut after)?;
        record.doc = write(&kept)?;
        tx.insert_delivery(&record)?;
        Ok((delivery_of(&record)?, false, after))
    });
    let (delivery, is_repeated, after) = work.await?;
    finish(inner, after);
    Ok(Delivered { delivery, is_repeated })
}

/// Decides on a delivery for which the provider was asked.
pub(super) fn decide_asked<R: Runners>(
    inner: &Arc<Inner<R>>,
    uuid: &str,
    asked: impl FnOnce(&mut Kept) + Send + 'static,
) -> Result<(), StoreError> {
    let deciding = Deciding::new(inner);
    let uuid = uuid.to_owned();
    let after = inner.metadata.write_blocking(move |tx| {
        let Some(mut record) = tx.delivery(&uuid)?.filter(|record| record.due_ms.is_some()) else {
            return Ok(After::default());
        };
        let mut kept = Kept::of(&record)?;
        asked(&mut kept);
        let mut after = After::default();
        match decide(tx, &deciding, &mut record, &mut kept, &mut after) {
            Ok(()) => {}
            Err(Refused::Store(e)) => return Err(e),
            Err(Refused::Api(e)) => {
                record.due_ms = None;
                kept.status = DeliveryStatus::Failed;
                kept.message = e.message;
            }
        }
        record.doc = write(&kept)?;
        tx.update_delivery(&record)?;
        Ok(after)
    })?;
    finish(inner, after);
    Ok(())
}

/// What follows from a transaction that is committed. Should the server die before, the next one does it: builds wait in the
/// queue, and those that are to stop say so.
fn finish<R: Runners>(inner: &Arc<Inner<R>>, after: After) {
    for document in &after.started {
        inner.enqueue(document);
    }
    for (document, effects) in after.stopped {
        let uuid = document.uuid();
        for effect in effects {
            match effect {
                Effect::Dequeue => {
                    inner.queue().remove(uuid);
                    inner.ended(&document);
                    traces::send_unrun(inner, &document);
                    inner.nudge_scheduler();
                }
                Effect::TellRunner => {
                    if let Some(live) = inner.live.get(uuid) {
                        live.with(|known| {
                            known.document.lifecycle.stop_requested = true;
                            known.document.superseded_by.clone_from(&document.superseded_by);
                        });
                    }
                    inner.runners.tell(uuid, Control::Stop);
                }
                Effect::Announce | Effect::Requeue => {}
            }
        }
    }
    if after.has_work || !after.started.is_empty() {
        inner.webhooks.nudge();
    }
}

/// A delivery as lists show it.
pub(super) fn delivery_of(record: &DeliveryRecord) -> Result<WebhookDelivery, StoreError> {
    let kept = Kept::of(record)?;
    Ok(WebhookDelivery {
        id: record.uuid.clone(),
        delivery_id: record.delivery.clone(),
        project_name: record.project.clone(),
        provider: kept.provider.as_str().to_owned(),
        event: kept.event,
        received_time: Timestamp::from_millis(record.received_ms),
        status: kept.status,
        message: kept.message,
        build_ids: kept
            .decisions
            .iter()
            .filter(|decision| decision.status == DeliveryStatus::Started)
            .filter_map(|decision| decision.build_id.clone())
            .collect(),
        redelivery_of: kept.redelivery_of,
        payload_bytes: kept.payload_bytes,
    })
}
