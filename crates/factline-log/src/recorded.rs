//! Decided events with the places that the log gave them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use factline_core::{Aggregate, Envelope, Position, Recorded, Version};

use crate::{
    Command,
    append::{Appended, Taken},
    batch::StreamBatch,
    decision::{Decided, DecidedEvent},
    kind::Kind,
    load::Loaded,
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

/// The events of every stream that was taken, with their places.
pub(crate) fn recorded<A: Aggregate>(
    kind: &Kind<A>,
    streams: &[StreamBatch<A>],
    loaded: &[Loaded<A>],
    decided: &[Decided<A>],
    appended: &Appended,
) -> Vec<Marked<A::Event>> {
    let of_stream = |(index, taken): (usize, &Option<Taken>)| {
        let Taken { positions, recorded_at } = taken.as_ref()?;
        let (partition, recorded_at) = (streams[index].partition, *recorded_at);
        let placed = Placed { partition, before: loaded[index].version, positions, recorded_at };
        Some(record(&placed, kind, &streams[index].commands(), decided[index].events.clone()))
    };
    appended.iter().enumerate().filter_map(of_stream).flatten().collect()
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
