//! What a poll gives, as owned records by partition.

use std::time::Instant;

use rdkafka::message::{BorrowedMessage, Message as _};

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
    let record = Record::copied(message, &held.id.topic);
    match deliveries.iter_mut().find(|one| one.id == held.id && one.epoch == held.epoch) {
        Some(delivery) => delivery.records.push(record),
        None => deliveries.push(Delivery {
            id: held.id.clone(),
            epoch: held.epoch,
            pass: held.pass,
            records: vec![record],
        }),
    }
}
