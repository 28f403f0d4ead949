//! What the polling thread does when something is wrong: brokers away, offsets gone, a client that
//! has gone quiet.

use std::{
    collections::HashMap,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use factline_core::Fault;
use rdkafka::{consumer::Consumer as _, error::KafkaError, types::RDKafkaErrorCode};
use tracing::{debug, warn};

use super::{
    ConsumerEvent, PartitionId, StartAt,
    context::{plain_list, starting_list},
    thread::Poller,
};
use crate::classify;

/// How often brokers in trouble are asked whether they are back, and how long they may take: a
/// question waits behind the fetch on the same connection, which the broker may hold for 500 ms
/// (`fetch_wait_max_ms`). Shorter, and a question about offsets that are gone found no answer for
/// minutes; longer, and brokers that are away hold up the polling.
const PROBE_EVERY: Duration = Duration::from_secs(1);
const PROBE_WITHIN: Duration = Duration::from_millis(1_500);

impl Poller<'_> {
    pub(super) fn complain(&mut self, error: KafkaError) {
        let code = error.rdkafka_error_code();
        if matches!(
            code,
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        ) {
            warn!(kafka.group = self.spec.group, %error, "offsets are gone");
            return self.look_for_lost();
        }
        if code == Some(RDKafkaErrorCode::BadMessage) {
            return self.find_spoiled(error);
        }
        debug!(kafka.group = self.spec.group, %error, "the consumer reports an error");
        self.context().troubled.store(true, Ordering::Relaxed);
        if self.trouble.replace(Instant::now()).is_none() {
            self.context().report(ConsumerEvent::Trouble(classify("consuming", error)));
        }
    }

    /// A batch that does not match its checksum: the client yields nothing behind it and does not say
    /// whose it is. Every partition with something to yield is suspected until it goes on.
    fn find_spoiled(&mut self, error: KafkaError) {
        let known = !self.spoiled.is_empty();
        if known && self.trouble.is_some_and(|asked| asked.elapsed() < PROBE_EVERY) {
            return; // said with every fetch, and the polling has to go on
        }
        let held: Vec<_> =
            self.context().holdings().all.iter().map(|h| (h.id.clone(), h.next_offset)).collect();
        for (id, next) in held {
            let ends = self.client.fetch_watermarks(&id.topic, id.partition, PROBE_WITHIN);
            let has_more = ends.is_ok_and(|(low, high)| next.unwrap_or(low) < high);
            if has_more && self.spoiled.iter().all(|(known, _)| *known != id) {
                self.spoiled.push((id, next));
            }
        }
        self.context().troubled.store(true, Ordering::Relaxed);
        if self.trouble.replace(Instant::now()).is_none() {
            warn!(kafka.group = self.spec.group, %error, "bytes are not as they were written");
            let fault = Fault::fatal("reading what a broker has on its disk", error);
            self.context().report(ConsumerEvent::Trouble(fault));
        }
    }

    /// Begins again where spoiled bytes were found: they may be right by now. A partition that has
    /// gone on is no longer suspected.
    fn read_spoiled_again(&mut self) {
        let mut spoiled = std::mem::take(&mut self.spoiled);
        spoiled.retain(|(id, next)| {
            let mut holdings = self.context().holdings();
            holdings.find(&id.topic, id.partition).is_some_and(|held| held.next_offset == *next)
        });
        for (id, next) in &spoiled {
            let at = next.map_or(StartAt::Beginning, StartAt::Offset);
            let begun = self
                .client
                .incremental_unassign(&plain_list([id]))
                .and_then(|()| starting_list(&[(id.clone(), at)]))
                .and_then(|list| self.client.incremental_assign(&list));
            if let Err(error) = begun {
                debug!(kafka.group = self.spec.group, %error, "spoiled bytes are not read again");
            }
        }
        self.spoiled = spoiled;
    }

    pub(super) fn end_trouble(&mut self) {
        if !self.spoiled.is_empty() {
            return; // other partitions' records say nothing about them
        }
        if self.trouble.take().is_some() {
            self.context().await_anew();
            self.context().troubled.store(false, Ordering::Relaxed);
            self.context().report(ConsumerEvent::Recovered);
        }
    }

    /// The client does not say when brokers are back, and on an idle topic nothing else does.
    pub(super) fn probe(&mut self) {
        if self.doubted.is_some_and(|asked| asked.elapsed() >= PROBE_EVERY) {
            self.look_for_lost();
        }
        if self.trouble.is_none_or(|asked| asked.elapsed() < PROBE_EVERY) {
            return;
        }
        self.trouble = Some(Instant::now());
        if !self.spoiled.is_empty() {
            return self.read_spoiled_again();
        }
        let healthy = self.spec.topics.iter().all(|topic| {
            let metadata = self.client.fetch_metadata(Some(topic), PROBE_WITHIN);
            metadata
                .is_ok_and(|metadata| metadata.topics().iter().all(|found| found.error().is_none()))
        });
        if healthy {
            self.end_trouble();
        }
    }

    /// Reports the partitions whose next offset lies outside what the broker has; the client reports
    /// the error without saying whose it is. While some partition has no answer, it is asked again
    /// ([`Self::probe`]): in range is only who was found in range.
    fn look_for_lost(&mut self) {
        let (partitions, all_answered) = self.out_of_range();
        self.doubted = (!all_answered).then(Instant::now);
        if !partitions.is_empty() {
            warn!(kafka.group = self.spec.group, ?partitions, "offsets are gone from these");
            self.context().report(ConsumerEvent::OffsetLost { partitions });
        }
    }

    /// Whose next offset is gone, and whether every partition that matters was answered for.
    fn out_of_range(&self) -> (Vec<PartitionId>, bool) {
        let held: Vec<_> = self
            .context()
            .holdings()
            .all
            .iter()
            .filter_map(|held| Some((held.id.clone(), held.next_offset?)))
            .collect();
        let mut gone = Vec::new();
        for (id, next) in held {
            match self.client.fetch_watermarks(&id.topic, id.partition, PROBE_WITHIN) {
                Ok((low, high)) if next < low || next > high => gone.push(id),
                Ok(_) => {}
                // The others would not answer either, and the polling has to go on.
                Err(error) => {
                    debug!(kafka.group = self.spec.group, %error, "no answer about offsets");
                    return (gone, false);
                }
            }
        }
        (gone, true)
    }

    /// Why the client counts as lost to its group: brokers are there, and the group has not said for longer than
    /// any rebalance takes what it is to have. Seen after a broker was killed while the client joined.
    pub(super) fn unanswered(&self) -> Option<String> {
        let awaited = self.context().awaited_for()?;
        let overdue = self.trouble.is_none() && awaited >= self.answered_within;
        overdue.then(|| format!("its group has not answered for {} s", awaited.as_secs()))
    }

    /// Why the client counts as stalled: a partition has records, is not paused, and yields none,
    /// and another client has not been tried for that.
    pub(super) fn stalled(&mut self) -> Option<String> {
        let quiet = self.context().holdings().all.iter_mut().find_map(|held| {
            let quiet = !held.paused && held.active_at.elapsed() >= self.spec.stall_after;
            quiet.then(|| {
                held.active_at = Instant::now(); // asked once a period, not once a poll
                (held.id.clone(), held.next_offset)
            })
        });
        let (id, next) = quiet?;
        let ends = self.client.fetch_watermarks(&id.topic, id.partition, PROBE_WITHIN);
        let (low, high) = ends.ok()?; // brokers that are away are trouble, not a stall
        let next = next.unwrap_or(low);
        self.stalls
            .are_news(&id, next, high)
            .then(|| format!("stalled: {id} has {} records and yields none", high - next))
    }
}

/// For which stalls a client was replaced already, whoever is the client now. What lies between the
/// next offset and the end may be no records at all but an aborted transaction, which no client
/// yields: without this each would be replaced in turn for as long as the topic is idle.
#[derive(Debug, Default)]
pub(super) struct Stalls(HashMap<PartitionId, (i64, i64)>);

impl Stalls {
    /// Does the partition have offsets to yield, other ones than when it was asked last?
    fn are_news(&mut self, id: &PartitionId, next: i64, high: i64) -> bool {
        high > next && self.0.insert(id.clone(), (next, high)) != Some((next, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k16_a_client_is_replaced_once_for_offsets_that_no_client_yields() {
        let (mut stalls, id) = (Stalls::default(), |partition| PartitionId {
            topic: "factline.parcel.v1".into(),
            partition,
        });
        assert!(!stalls.are_news(&id(0), 7, 7), "there is nothing to yield");
        assert!(stalls.are_news(&id(0), 7, 9), "another client may get them");
        assert!(!stalls.are_news(&id(0), 7, 9), "it did not");
        assert!(stalls.are_news(&id(1), 7, 9), "another partition is another matter");
        assert!(stalls.are_news(&id(0), 7, 10), "there is more than before");
        assert!(stalls.are_news(&id(0), 9, 10), "it went on, and stopped elsewhere");
    }
}
