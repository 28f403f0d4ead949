//! The store's side: which event stands at which position, and whether the log is what it must be.

use factline_core::partition_for;
use futures::TryStreamExt;
use uuid::Uuid;

use crate::failure::Failure;
use crate::sources::{Sources, Topic};

/// A topic's event ids; the event at position n of a partition is its element n - 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) topic: String,
    /// By partition. Memory: 16 bytes an event.
    pub(super) partitions: Vec<Vec<Uuid>>,
    /// Holes and the like, found while reading.
    holes: Vec<String>,
    heads: Vec<i64>,
}

impl Stored {
    /// Takes the next row by partition and position.
    fn take(&mut self, partition: i32, position: i64, event_id: Uuid) {
        let index = usize::try_from(partition).unwrap_or_default();
        if self.partitions.len() <= index {
            self.partitions.resize(index + 1, Vec::new());
        }
        let ids = &mut self.partitions[index];
        let expected = ids.len() as i64 + 1;
        if position != expected {
            self.holes.push(format!(
                "store: {}/{partition} has position {position} where {expected} must be",
                self.topic
            ));
            // The rest is compared at its own positions.
            ids.resize(usize::try_from(position - 1).unwrap_or(ids.len()), Uuid::nil());
        }
        ids.push(event_id);
    }

    /// The event at a position, if there is one.
    pub(super) fn event(&self, partition: i32, position: i64) -> Option<Uuid> {
        let ids = self.partitions.get(usize::try_from(partition).ok()?)?;
        ids.get(usize::try_from(position - 1).ok()?).copied()
    }

    /// How many events there are.
    pub(super) fn events(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }
}

/// Reads every event's id.
///
/// # Errors
/// The log does not answer.
pub(super) async fn read(sources: &Sources, topic: &Topic) -> Result<Stored, Failure> {
    const IDS: &str = "
        select partition, position, event_id from log.events where topic = $1
        order by partition, position";
    let partitions = vec![Vec::new(); topic.heads.len()];
    let mut stored = Stored { topic: topic.name.clone(), partitions, ..Stored::default() };
    let mut rows = sqlx::query_as::<_, (i32, i64, Uuid)>(IDS).bind(&topic.name).fetch(&sources.log);
    while let Some((partition, position, event_id)) = rows.try_next().await? {
        stored.take(partition, position, event_id);
    }
    drop(rows);
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
            stored.take(0, position, Uuid::from_u128(*event));
        }
        stored
    }

    #[test]
    fn a_hole_is_found_and_what_follows_keeps_its_position() {
        let mut stored = stored(&[1]);
        stored.take(0, 3, Uuid::from_u128(3));
        assert_eq!(stored.holes, ["store: t/0 has position 3 where 2 must be"]);
        assert_eq!(stored.event(0, 3), Some(Uuid::from_u128(3)));
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
