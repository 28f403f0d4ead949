//! The store's side: which event stands at which position, what it says, and whether the log is what
//! it must be.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use factline_core::{Envelope, Position, partition_for};
use futures::TryStreamExt;
use uuid::Uuid;

use crate::failure::Failure;
use crate::sources::{Sources, Topic};

/// Events that one query gives: bounds the memory that their data take.
const PAGE: i64 = 2_000;

/// One event, as far as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: Uuid,
    pub(super) digest: u64,
}

/// Of all that an event says, its data and what stands beside them. Tells a row that a hand has
/// changed; it is no protection against a forger.
pub(super) fn digest(envelope: &Envelope, datum: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (envelope.stream_id.as_str(), envelope.version.0, &envelope.event_type).hash(&mut hasher);
    (envelope.correlation_id, envelope.causation_id).hash(&mut hasher);
    (&envelope.actor, &envelope.traceparent).hash(&mut hasher);
    (envelope.occurred_at, envelope.recorded_at, datum).hash(&mut hasher);
    hasher.finish()
}

/// A topic's events; the one at position n of a partition is its element n - 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) topic: String,
    /// By partition; `None` in a hole. Memory: 32 bytes an event.
    pub(super) partitions: Vec<Vec<Option<Known>>>,
    /// Holes and the like, found while reading.
    holes: Vec<String>,
    heads: Vec<i64>,
}

impl Stored {
    /// Takes the next row by partition and position.
    fn take(&mut self, partition: i32, position: i64, known: Known) {
        let index = usize::try_from(partition).unwrap_or_default();
        if self.partitions.len() <= index {
            self.partitions.resize(index + 1, Vec::new());
        }
        let events = &mut self.partitions[index];
        let expected = events.len() as i64 + 1;
        if position != expected {
            self.holes.push(format!(
                "store: {}/{partition} has position {position} where {expected} must be",
                self.topic
            ));
            // The rest is compared at its own positions.
            events.resize(usize::try_from(position - 1).unwrap_or(events.len()), None);
        }
        events.push(Some(known));
    }

    /// The event at a position, if there is one.
    pub(super) fn event(&self, partition: i32, position: i64) -> Option<Known> {
        let events = self.partitions.get(usize::try_from(partition).ok()?)?;
        events.get(usize::try_from(position - 1).ok()?).copied().flatten()
    }

    /// How many events there are.
    pub(super) fn events(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }
}

/// Reads every event.
///
/// # Errors
/// The log does not answer, or an event's schema is missing.
pub(super) async fn read(sources: &Sources, topic: &Topic) -> Result<Stored, Failure> {
    let partitions = vec![Vec::new(); topic.heads.len()];
    let mut stored = Stored { topic: topic.name.clone(), partitions, ..Stored::default() };
    for (partition, _) in (0..).zip(&topic.heads) {
        let mut after = Position::ZERO;
        loop {
            let page = sources.reader.read(&topic.name, partition, after, PAGE).await?;
            for event in &page {
                let (id, digest) = (event.envelope.event_id, digest(&event.envelope, &event.datum));
                stored.take(partition, event.envelope.position.0, Known { id, digest });
            }
            let Some(last) = page.last() else { break };
            after = last.envelope.position;
        }
    }
    let now = sources.topics().await?;
    let now = now.into_iter().find(|now| now.name == topic.name);
    stored.heads = now.map(|now| now.heads).unwrap_or_default();
    Ok(stored)
}

/// Everything that the log's rules forbid.
///
/// # Errors
/// The log does not answer.
pub(super) async fn problems(sources: &Sources, stored: &Stored) -> Result<Vec<String>, Failure> {
    let mut problems = stored.holes.clone();
    problems.extend(short_heads(stored));
    // Of each rule: how many break it, and one of them.
    const RULES: [(&str, &str); 3] = [
        (
            "streams whose versions are not 1, 2, 3 …",
            "select count(*), min(stream_id) from (
                 select stream_id from log.events where topic = $1 group by partition, stream_id
                 having min(version) <> 1 or max(version) <> count(*)) wrong",
        ),
        (
            "command keys that stand on two events",
            "select count(*), min(command_key::text) from (
                 select command_key from log.events where topic = $1 and command_key is not null
                 group by partition, command_key having count(*) > 1) wrong",
        ),
        (
            "events with a command's key and no fingerprint, or the reverse",
            "select count(*), min(event_id::text) from log.events
             where topic = $1 and (command_key is null) <> (command_fingerprint is null)",
        ),
    ];
    for (rule, question) in RULES {
        let (count, first): (i64, Option<String>) =
            sqlx::query_as(question).bind(&stored.topic).fetch_one(&sources.log).await?;
        if count > 0 {
            let first = first.unwrap_or_default();
            problems.push(format!("store: {}: {count} {rule}, such as {first}", stored.topic));
        }
    }
    problems.extend(misplaced(sources, stored).await?);
    Ok(problems)
}

/// The heads were read after the events, so they may be ahead, never behind.
fn short_heads(stored: &Stored) -> Vec<String> {
    let behind = (0..).zip(stored.partitions.iter().map(Vec::len)).filter(|(partition, events)| {
        let head = stored.heads.get(*partition).copied().unwrap_or_default();
        head < *events as i64
    });
    behind
        .map(|(partition, events)| {
            format!("store: {}/{partition} has {events} events and a smaller head", stored.topic)
        })
        .collect()
}

/// Streams that do not stand in the partition that follows from their id.
async fn misplaced(sources: &Sources, stored: &Stored) -> Result<Vec<String>, Failure> {
    let partitions = sources.reader.partitions(&stored.topic).await?;
    let mut rows = sqlx::query_as::<_, (String, i32)>(
        "select distinct stream_id, partition from log.events where topic = $1",
    )
    .bind(&stored.topic)
    .fetch(&sources.log);
    let mut problems = Vec::new();
    while let Some((stream, partition)) = rows.try_next().await? {
        if partition_for(&stream, partitions) != partition {
            problems.push(format!("store: stream {stream} must not be in partition {partition}"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A store of one topic whose events are numbered through.
    pub(in crate::verify) fn stored(events: &[u128]) -> Stored {
        let mut stored = Stored { topic: "t".to_owned(), ..Stored::default() };
        for (position, event) in (1..).zip(events) {
            stored.take(0, position, known(*event));
        }
        stored
    }

    pub(in crate::verify) fn known(event: u128) -> Known {
        Known { id: Uuid::from_u128(event), digest: 7 }
    }

    #[test]
    fn a_hole_is_found_and_what_follows_keeps_its_position() {
        let mut stored = stored(&[1]);
        stored.take(0, 3, known(3));
        assert_eq!(stored.holes, ["store: t/0 has position 3 where 2 must be"]);
        assert_eq!(stored.event(0, 2), None);
        assert_eq!(stored.event(0, 3), Some(known(3)));
        assert_eq!(stored.event(0, 4), None);
        assert_eq!(stored.event(1, 1), None);
    }

    #[test]
    fn a_head_behind_its_events_is_found() {
        let mut stored = stored(&[1, 2]);
        stored.heads = vec![1];
        assert_eq!(short_heads(&stored).len(), 1);
        stored.heads = vec![5];
        assert!(short_heads(&stored).is_empty());
    }
}
