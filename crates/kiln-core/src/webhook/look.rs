//! The deliveries that were kept.

use std::sync::Arc;

use kiln_model::{
    ApiError,
    kiln::{
        DeliveryStatus, GetWebhookDeliveryInput, GetWebhookDeliveryOutput, ListWebhookDeliveriesInput,
        ListWebhookDeliveriesOutput, MOST_DELIVERIES, RedeliverWebhookDeliveryInput, RedeliverWebhookDeliveryOutput,
    },
};
use kiln_store::metadata::DeliveryRecord;
use uuid::Uuid;

use super::{
    Kept,
    deliver::{delivery_of, opened_body, take},
    no_webhook,
};
use crate::{core::Inner, page, records::refuse, runners::Runners, service::project_of};

/// ListWebhookDeliveries.
pub(crate) fn list<R: Runners>(
    inner: &Inner<R>,
    input: &ListWebhookDeliveriesInput,
) -> Result<ListWebhookDeliveriesOutput, ApiError> {
    let name = project_of(&inner.config.home, &input.project_name)?;
    let list = format!("ListWebhookDeliveries {name}");
    let before: Option<i64> = page::after(&list, input.next_token.as_deref())?;
    let most = input.max_results.unwrap_or(MOST_DELIVERIES).clamp(1, MOST_DELIVERIES) as usize;
    let records = inner.metadata.read(|view| view.deliveries(name, before, most + 1)).map_err(|e| refuse(&e))?;
    let next_token = records.get(most.saturating_sub(1)).filter(|_| records.len() > most);
    let next_token = next_token.and_then(|last| page::token(&list, last.id));
    let deliveries: Result<_, _> = records.iter().take(most).map(delivery_of).collect();
    Ok(ListWebhookDeliveriesOutput { deliveries: deliveries.map_err(|e| refuse(&e))?, next_token })
}

fn find<R: Runners>(inner: &Inner<R>, project: &str, id: &str) -> Result<DeliveryRecord, ApiError> {
    let name = project_of(&inner.config.home, project)?;
    let found = inner.metadata.read(|view| view.delivery(id)).map_err(|e| refuse(&e))?;
    found
        .filter(|record| record.project == name)
        .ok_or_else(|| ApiError::not_found(format!("There is no delivery {id} to the webhook of project {name}")))
}

/// GetWebhookDelivery.
pub(crate) fn get<R: Runners>(
    inner: &Inner<R>,
    input: &GetWebhookDeliveryInput,
) -> Result<GetWebhookDeliveryOutput, ApiError> {
    let record = find(inner, &input.project_name, &input.id)?;
    let kept = Kept::of(&record).map_err(|e| refuse(&e))?;
    let payload = opened_body(inner, &record).map(|body| String::from_utf8_lossy(&body).into_owned());
    let delivery = delivery_of(&record).map_err(|e| refuse(&e))?;
    Ok(GetWebhookDeliveryOutput { delivery, decisions: kept.decisions, payload })
}

/// RedeliverWebhookDelivery: the same once more, by what the webhook says now. What was built is built again.
pub(crate) async fn redeliver<R: Runners>(
    inner: &Arc<Inner<R>>,
    input: RedeliverWebhookDeliveryInput,
) -> Result<RedeliverWebhookDeliveryOutput, ApiError> {
    let record = find(inner, &input.project_name, &input.id)?;
    let hook = inner.metadata.read(|view| view.webhook(&record.project)).map_err(|e| refuse(&e))?;
    let hook = hook.ok_or_else(|| no_webhook(&record.project))?;
    let kept = Kept::of(&record).map_err(|e| refuse(&e))?;
    let uuid = Uuid::new_v4().to_string();
    let kept = Kept {
        status: DeliveryStatus::Pending,
        decisions: Vec::new(),
        attempts: 0,
        // The provider is asked anew.
        roles: Default::default(),
        payload: kept.payload.asked_again(),
        redelivery_of: Some(record.uuid.clone()),
        ..kept
    };
    let again = DeliveryRecord {
        delivery: format!("redelivery:{uuid}"),
        uuid,
        // Another webhook's secret seals nothing of this one: the body stays with the first delivery.
        payload: if hook.token == record.hook { record.payload } else { Vec::new() },
        hook: hook.token,
        received_ms: inner.now(),
        due_ms: None,
        ..record
    };
    let taken = take(inner, again, kept).await?;
    Ok(RedeliverWebhookDeliveryOutput { delivery: taken.delivery })
}
