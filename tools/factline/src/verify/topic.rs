//! The topic's side: every record from the oldest to the end that it had when the reading began.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use factline_codec::unframe;
use factline_kafka::{
    Admin, Backlog, Consumer, ConsumerEvent, ConsumerSpec, PartitionId, Record, StartAt,
    Watermarks, read_envelope,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::store::{Known, Stored, digest};
use crate::failure::Failure;
use crate::sources::{Sources, Topic};

/// Records in memory for each partition: enough that reading never waits for comparing.
const BACKLOG_RECORDS: usize = 10_000;
/// A topic that yields nothing for so long is not read to its end: joining a group takes a few
/// seconds, a record milliseconds.
const SILENCE: Duration = Duration::from_secs(30);
/// How long leaving the group may take; nobody needs it.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// Of differences of one kind, so many are told.
const TOLD: usize = 5;

/// What was found on the topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OnTopic {
    pub(super) records: u64,
    pub(super) repeats: u64,
    /// The last position in order, by partition.
    last: BTreeMap<i32, i64>,
    /// Where the oldest record that is still there is not the first of all.
    cut: BTreeMap<i32, bool>,
    wrong: Vec<String>,
    unreadable: Option<String>,
}

/// The ends of the topic's partitions now.
///
/// # Errors
/// Kafka does not answer, or has no such topic.
pub(super) async fn ends(sources: &Sources, topic: &str) -> Result<Vec<Watermarks>, Failure> {
    Ok(Admin::new(&sources.kafka)?.watermarks(topic).await?)
}

/// Reads the topic up to these ends and compares each record with the store.
///
/// # Errors
/// Kafka does not let itself be read.
pub(super) async fn read(
    sources: &Sources,
    stored: &Stored,
    ends: &[Watermarks],
) -> Result<OnTopic, Failure> {
    let cut = ends.iter().map(|end| (end.partition, end.low > 0)).collect();
    let mut found = OnTopic { cut, ..OnTopic::default() };
    let mut left: BTreeMap<i32, i64> =
        ends.iter().filter(|end| end.low < end.high).map(|end| (end.partition, end.high)).collect();
    if left.is_empty() {
        return Ok(found);
    }
    let spec = ConsumerSpec {
        group: sources.kafka.group(&format!("verify-{}", Uuid::new_v4().simple())),
        topics: vec![Arc::from(stored.topic.as_str())],
        backlog_records: BACKLOG_RECORDS,
        stall_after: SILENCE,
        close_within: CLOSE_WITHIN,
    };
    let mut consumer = Consumer::start(&sources.kafka, spec)?;
    let mut backlogs: BTreeMap<i32, Arc<Backlog>> = BTreeMap::new();
    while !left.is_empty() {
        let event = timeout(SILENCE, consumer.next()).await.map_err(|_| {
            Failure::new(format!("the topic {} yields nothing any more", stored.topic))
        })?;
        match event {
            Some(ConsumerEvent::Assigned { partitions, reply, .. }) => {
                let starts: Vec<(PartitionId, StartAt)> = partitions
                    .iter()
                    .map(|assigned| (assigned.id.clone(), StartAt::Beginning))
                    .collect();
                let assigned = partitions.into_iter();
                backlogs = assigned.map(|one| (one.id.partition, one.backlog)).collect();
                reply.send(starts);
            }
            Some(ConsumerEvent::Records(delivery)) => {
                let partition = delivery.id.partition;
                for record in &delivery.records {
                    let end = left.get(&partition).copied().unwrap_or_default();
                    if record.offset < end {
                        found.take(record, stored);
                    }
                    if record.offset + 1 >= end {
                        left.remove(&partition);
                    }
                }
                if let Some(backlog) = backlogs.get(&partition) {
                    backlog.taken(delivery.records.len());
                }
            }
            Some(ConsumerEvent::Revoked { reply, .. }) => reply.send(Vec::new()),
            // It goes on by itself; silence ends it.
            Some(ConsumerEvent::Trouble(_) | ConsumerEvent::Recovered) => {}
            Some(ConsumerEvent::OffsetLost { .. }) => {
                return Err(Failure::new(format!(
                    "the topic {} was cut while it was read: ask again",
                    stored.topic
                )));
            }
            Some(ConsumerEvent::Failed(fault)) => return Err(Failure::from(fault)),
            Some(ConsumerEvent::Closed { .. }) | None => {
                return Err(Failure::new("the kafka client ended by itself"));
            }
        }
    }
    close(consumer).await;
    Ok(found)
}

/// Leaves the group in order, if that goes quickly.
async fn close(mut consumer: Consumer) {
    consumer.close();
    let closing = async {
        while let Some(event) = consumer.next().await {
            match event {
                ConsumerEvent::Revoked { reply, .. } => reply.send(Vec::new()),
                ConsumerEvent::Closed { .. } => return,
                ConsumerEvent::Assigned { .. }
                | ConsumerEvent::Records(_)
                | ConsumerEvent::OffsetLost { .. }
                | ConsumerEvent::Trouble(_)
                | ConsumerEvent::Recovered
                | ConsumerEvent::Failed(_) => {}
            }
        }
    };
    // A group that is not left in order ends by itself.
    drop(timeout(CLOSE_WITHIN, closing).await);
}

impl OnTopic {
    /// A topic that could not be asked for.
    pub(super) fn unreadable(failure: Failure) -> OnTopic {
        OnTopic { unreadable: Some(failure.to_string()), ..OnTopic::default() }
    }

    fn take(&mut self, record: &Record, stored: &Stored) {
        self.records += 1;
        match read_envelope(record) {
            Ok(envelope) => {
                // Without a datum it is nothing that the store holds.
                let value = record.value.as_deref().unwrap_or_default();
                let datum = unframe(value).map(|(_, datum)| datum).unwrap_or(value);
                let known = Known { id: envelope.event_id, digest: digest(&envelope, datum) };
                self.compare(record.partition, envelope.position.0, known, stored);
            }
            Err(fault) => self.wrong.push(format!("offset {} is no event: {fault}", record.offset)),
        }
    }

    fn compare(&mut self, partition: i32, position: i64, known: Known, stored: &Stored) {
        let topic = &stored.topic;
        let place = format!("position {position} of {topic}/{partition}");
        match stored.event(partition, position) {
            Some(event) if event == known => {}
            Some(event) if event.id == known.id => self.wrong.push(format!(
                "{place} says something else than the store: one of the two was changed"
            )),
            Some(_) | None => self.wrong.push(format!("{place} is not the store's event")),
        }
        let cut = self.cut.get(&partition).copied().unwrap_or_default();
        let last = match self.last.get(&partition) {
            Some(last) => *last,
            None if cut => position - 1,
            None => 0,
        };
        if position <= last {
            self.repeats += 1;
            return;
        }
        if position > last + 1 {
            self.wrong.push(format!("{place} follows {last}"));
        }
        self.last.insert(partition, position);
    }

    /// Everything in which the topic differs from the store. `head` is from before its reading.
    pub(super) fn differences(&self, head: &Topic) -> Vec<String> {
        let mut differences: Vec<String> =
            self.wrong.iter().take(TOLD).map(|wrong| format!("topic: {wrong}")).collect();
        if let Some(more) = self.wrong.len().checked_sub(TOLD).filter(|more| *more > 0) {
            differences.push(format!("topic: and {more} more such records"));
        }
        if let Some(why) = &self.unreadable {
            differences.push(format!("topic: {} cannot be read: {why}", head.name));
            return differences;
        }
        for (partition, position) in (0..).zip(&head.heads) {
            let last = self.last.get(&partition).copied().unwrap_or_default();
            let cut_away = last == 0 && self.cut.get(&partition).copied().unwrap_or_default();
            if last < *position && !cut_away {
                let topic = &head.name;
                differences
                    .push(format!("topic: {topic}/{partition} ends at {last} of {position}"));
            }
        }
        differences
    }

    /// Where the relay believes itself to be and is not. It saves a cursor once Kafka has the
    /// events, so a cursor from `before` the topic was read is not ahead of it, and one from `after`
    /// is not behind it.
    pub(super) fn cursors(&self, before: &Topic, after: &Topic) -> Vec<String> {
        if self.unreadable.is_some() {
            return Vec::new();
        }
        let mut differences = Vec::new();
        let cursors = before.relayed.iter().zip(&after.relayed);
        for ((partition, head), (then, now)) in (0..).zip(&after.heads).zip(cursors) {
            let cut = self.cut.get(&partition).copied().unwrap_or_default();
            let last = self.last.get(&partition).copied().or((!cut).then_some(0));
            let place = format!("of {}/{partition}", after.name);
            if then > head {
                differences.push(format!(
                    "relay: its cursor {then} {place} is ahead of the store, which ends at {head}"
                ));
            } else if let Some(last) = last.filter(|last| then > last) {
                differences.push(format!(
                    "relay: its cursor {then} {place} is ahead of the topic, which ends at \
                     {last}: what lies between is not sent"
                ));
            } else if let Some(last) = last.filter(|last| now < last) {
                differences.push(format!(
                    "relay: its cursor {now} {place} is behind the topic, which has {last}: that \
                     will be sent again"
                ));
            }
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::{known, stored};
    use super::*;

    fn on_topic(records: &[(i64, u128)]) -> OnTopic {
        let mut found = OnTopic::default();
        let stored = stored(&[1, 2, 3]);
        for (position, event) in records {
            found.compare(0, *position, known(*event), &stored);
        }
        found
    }

    fn differences(found: &OnTopic) -> Vec<String> {
        found.differences(&Topic { name: "t".to_owned(), heads: vec![3], relayed: vec![3] })
    }

    #[test]
    fn repeats_are_counted_and_no_difference() {
        let found = on_topic(&[(1, 1), (2, 2), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(found.repeats, 2);
        assert!(differences(&found).is_empty());
    }

    #[test]
    fn a_skipped_position_another_event_and_a_missing_end_are_differences() {
        assert_eq!(
            differences(&on_topic(&[(1, 1), (3, 3)])),
            ["topic: position 3 of t/0 follows 1"]
        );
        assert_eq!(
            differences(&on_topic(&[(1, 1), (2, 9), (3, 3)])),
            ["topic: position 2 of t/0 is not the store's event"]
        );
        assert_eq!(differences(&on_topic(&[(1, 1)])), ["topic: t/0 ends at 1 of 3"]);
    }

    #[test]
    fn d01_an_event_that_says_something_else_under_the_same_id_is_a_difference() {
        let mut found = on_topic(&[(1, 1)]);
        found.compare(0, 2, Known { digest: 8, ..known(2) }, &stored(&[1, 2]));
        assert_eq!(
            differences(&found)[0],
            "topic: position 2 of t/0 says something else than the store: one of the two was changed"
        );
    }

    #[test]
    fn d03_a_cursor_that_is_not_where_the_topic_ends_is_a_difference() {
        let found = on_topic(&[(1, 1), (2, 2)]);
        let head = |relayed| Topic { name: "t".to_owned(), heads: vec![3], relayed: vec![relayed] };
        let told = |before, after| found.cursors(&head(before), &head(after));
        assert_eq!(told(2, 2), [""; 0]);
        assert_eq!(told(0, 2), [""; 0], "it moved while the topic was read");
        assert_eq!(
            told(3, 3),
            [
                "relay: its cursor 3 of t/0 is ahead of the topic, which ends at 2: what lies between \
              is not sent"
            ]
        );
        assert_eq!(
            told(1, 1),
            [
                "relay: its cursor 1 of t/0 is behind the topic, which has 2: that will be sent again"
            ]
        );
        assert_eq!(
            told(4, 4),
            ["relay: its cursor 4 of t/0 is ahead of the store, which ends at 3"]
        );
    }

    #[test]
    fn what_retention_has_removed_is_no_difference() {
        let mut found = OnTopic::default();
        found.cut.insert(0, true);
        let stored = stored(&[1, 2, 3]);
        for position in [2, 3] {
            found.compare(0, position, known(u128::try_from(position).unwrap()), &stored);
        }
        assert!(differences(&found).is_empty());
    }
}
