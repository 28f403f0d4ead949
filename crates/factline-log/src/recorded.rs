//! Decided events with the places that the log gave them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use factline_core::{Aggregate, Envelope, Position, Recorded, Version};

use crate::{
    Command,
    decision::DecidedEvent,
    kind::Kind,
    stretch::{Marked, Opening},
};

/// Where an append put one stream's events.
pub(crate) struct Placed<'a> {
    pub partition: i32,
    /// The stream's version before them.
    pub before: Version,
    /// One for each event.
    pub positions: &'a [Position],
    pub recorded_at: DateTime<Utc>,
}

/// The events as consumers will see them, each with the command that it opens.
pub(crate) fn record<A: Aggregate>(
    placed: &Placed<'_>,
    kind: &Kind<A>,
    commands: &[&Command<A>],
    decided: Vec<DecidedEvent<A::Event>>,
) -> Vec<Marked<A::Event>> {
    let versions = placed.before.next().0..;
    let events = decided.into_iter().zip(placed.positions).zip(versions);
    let recorded = events.map(|((decided, position), version)| {
        let command = commands[decided.command];
        let schema = &kind.codec.schemas()[decided.encoded.schema_index];
        let envelope = Envelope {
            topic: kind.topic.clone(),
            partition: placed.partition,
            position: *position,
            stream_id: command.stream_id.clone(),
            version: Version(version),
            event_id: decided.event_id,
            event_type: schema.full_name().clone(),
            correlation_id: command.correlation_id,
            causation_id: command.causation_id,
            actor: command.actor.clone(),
            traceparent: command.traceparent.clone(),
            occurred_at: command.occurred_at,
            recorded_at: placed.recorded_at,
        };
        Marked {
            recorded: Arc::new(Recorded { envelope, event: decided.event }),
            opens: decided
                .opens
                .then_some(Opening { key: command.key, fingerprint: command.fingerprint }),
            datum_bytes: decided.encoded.datum.len(),
        }
    });
    recorded.collect()
}
