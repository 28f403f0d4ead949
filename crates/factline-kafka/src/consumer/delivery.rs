//! What a poll gives, as owned records by partition.

use std::{sync::Arc, time::Instant};

use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use super::{Delivery, context::Context};
use crate::Record;

/// Files a message with those of its partition; one of a partition that is no longer held is
/// dropped.
pub(super) fn accept(
    context: &Context,
    message: &BorrowedMessage<'_>,
    deliveries: &mut Vec<Delivery>,
) {
    let mut holdings = context.holdings();
    let Some(held) = holdings.find(message.topic(), message.partition()) else {
        return; // revoked while it was on its way
    };
    held.next_offset = Some(message.offset() + 1);
    held.active_at = Instant::now();
    held.backlog.delivered(1);
    let record = own(message, &held.id.topic);
    match deliveries.iter_mut().find(|one| one.id == held.id && one.epoch == held.epoch) {
        Some(delivery) => delivery.records.push(record),
        None => deliveries.push(Delivery {
            id: held.id.clone(),
            epoch: held.epoch,
            records: vec![record],
        }),
    }
}

fn own(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Record {
    let owned = |bytes: &[u8]| bytes::Bytes::copy_from_slice(bytes);
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|one| (one.key.to_owned(), one.value.map(owned))).collect()
    });
    Record {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(owned),
        value: message.payload().map(owned),
        headers,
        timestamp_ms: message.timestamp().to_millis(),
    }
}
