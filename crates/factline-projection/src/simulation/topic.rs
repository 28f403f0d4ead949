//! The log's head, the topic, and the two relays between them: the model whose own core
//! `factline-relay` simulates. Pages from a cursor; a failed send loses a record and lets some of
//! those behind it land, at once or later; after a failure everything from the cursor comes again.

use factline_kafka::{PartitionId, Record};

use super::{
    history::{History, PARTITIONS, partition_id},
    outside::Outside,
    tally::Happening,
};

/// A record of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// No event of ours.
    Foreign,
    Event(i64),
}

/// One partition, from the log to the topic.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// How many events the log has.
    pub(super) head: i64,
    /// The relays' stored cursor.
    cursor: i64,
    /// By offset.
    pub(super) topic: Vec<Sent>,
    /// Of each offset and of the topic's end: the position that one reaches who read every record
    /// before it and applied nothing but successors. Whoever has dealt with all records before an
    /// offset has come at least so far.
    pub(super) reached: Vec<i64>,
    /// What retention has left begins here.
    pub(super) oldest: usize,
    /// On their way when their producer was dropped.
    adrift: Vec<i64>,
}

/// How far a relay has sent, by partition.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Relay([i64; PARTITIONS]);

impl Lane {
    pub(super) fn new(head: i64) -> Self {
        Self { head, reached: vec![0], ..Self::default() }
    }

    fn write(&mut self, sent: Sent) {
        let reached = self.reached[self.topic.len()];
        self.topic.push(sent);
        self.reached.push(step(reached, sent));
    }

    /// Removes the oldest records, read or not. Whoever had `applied` then goes on without them.
    pub(super) fn expire(&mut self, removed: usize, applied: i64) {
        self.oldest += removed;
        for reached in &mut self.reached[..=self.oldest] {
            *reached = applied.min(*reached);
        }
        for offset in self.oldest..self.topic.len() {
            self.reached[offset + 1] = step(self.reached[offset], self.topic[offset]);
        }
    }

    /// Everything that the log holds is on the topic, and the relays know it.
    pub(super) fn is_relayed(&self) -> bool {
        self.cursor == self.head && self.adrift.is_empty()
    }

    /// The record at an offset, as a consumer gets it.
    pub(super) fn record(&self, history: &History, partition: usize, offset: usize) -> Record {
        let at = i64::try_from(offset).unwrap();
        match self.topic[offset] {
            Sent::Event(position) => {
                let nth = usize::try_from(position - 1).unwrap();
                Record { offset: at, ..history.records[partition][nth].clone() }
            }
            Sent::Foreign => {
                let PartitionId { topic, partition } = partition_id(partition);
                let (key, value, headers) = (None, None, Vec::new());
                Record { topic, partition, offset: at, key, value, headers, timestamp_ms: None }
            }
        }
    }
}

/// What one has reached who applies nothing but the successor.
fn step(reached: i64, sent: Sent) -> i64 {
    if sent == Sent::Event(reached + 1) { reached + 1 } else { reached }
}

impl Relay {
    /// Sends one page of one partition.
    pub(super) fn turn(&mut self, outside: &mut Outside, partition: usize) {
        let sent = self.0[partition];
        let length = outside.pick(1..7);
        let end = outside.lanes[partition].head.min(sent + i64::try_from(length).unwrap());
        for position in sent + 1..=end {
            if outside.fault(7) {
                lose(outside, partition, position, end);
                return self.rewind(outside);
            }
            outside.lanes[partition].write(Sent::Event(position));
        }
        self.0[partition] = end;
        if sent < end {
            outside.say(|| format!("relay: {partition} has {}..={end}", sent + 1));
        }
        if outside.fault(10) {
            outside.count(Happening::RelayCrashed); // acknowledged, and the cursor not saved
            return self.rewind(outside);
        }
        if !outside.fault(30) {
            let cursor = &mut outside.lanes[partition].cursor;
            *cursor = end.max(*cursor); // as the store does it
        }
    }

    fn rewind(&mut self, outside: &Outside) {
        self.0 = std::array::from_fn(|partition| outside.lanes[partition].cursor);
    }
}

/// The send of `position` fails with the rest of the page behind it.
fn lose(outside: &mut Outside, partition: usize, position: i64, end: i64) {
    for behind in position + 1..=end {
        if outside.fault(50) {
            outside.lanes[partition].write(Sent::Event(behind));
            outside.count(Happening::RecordLandedBehindAFailedSend);
        } else if outside.fault(50) {
            outside.lanes[partition].adrift.push(behind);
        }
    }
    outside.say(|| format!("relay: {partition} lost {position} of a page up to {end}"));
}

/// A record lands whose producer is gone, or one that somebody else has sent.
pub(super) fn drift(outside: &mut Outside, partition: usize) {
    if !outside.lanes[partition].adrift.is_empty() {
        let landed = outside.lanes[partition].adrift.remove(0);
        outside.lanes[partition].write(Sent::Event(landed));
        outside.say(|| format!("relay: {partition} has {landed}, late"));
        outside.count(Happening::RecordLandedAfterItsProducer);
    } else if outside.fault(10) {
        outside.lanes[partition].write(Sent::Foreign);
        outside.count(Happening::ForeignRecordSent);
    }
}

/// Retention removes the topic's oldest records, read or not, often all of them.
pub(super) fn expire(outside: &mut Outside, partition: usize) {
    let lane = &outside.lanes[partition];
    let left = lane.topic.len() - lane.oldest;
    let removed = outside.pick(0..left + 1);
    let applied = outside.database.checkpoints[partition].position;
    outside.lanes[partition].expire(removed, applied);
    outside.say(|| format!("retention: {partition} loses {removed} records"));
}
