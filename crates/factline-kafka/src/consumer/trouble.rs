//! What the polling thread does when something is wrong: brokers away, offsets gone, a client that
//! has gone quiet.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rdkafka::{consumer::Consumer as _, error::KafkaError, types::RDKafkaErrorCode};
use tracing::{debug, warn};

use super::{ConsumerEvent, PartitionId, thread::Poller};
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
        debug!(kafka.group = self.spec.group, %error, "the consumer reports an error");
        self.context().troubled.store(true, Ordering::Relaxed);
        if self.trouble.replace(Instant::now()).is_none() {
            self.context().report(ConsumerEvent::Trouble(classify("consuming", error)));
        }
    }

    pub(super) fn end_trouble(&mut self) {
        if self.trouble.take().is_some() {
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

    /// Why the client counts as stalled: a partition has records, is not paused, and yields none.
    pub(super) fn stalled(&self) -> Option<String> {
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
        let lag = high - next.unwrap_or(low);
        (lag > 0).then(|| format!("stalled: {id} has {lag} records and yields none"))
    }
}
