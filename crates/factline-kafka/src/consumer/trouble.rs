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

/// How often brokers in trouble are asked whether they are back, and how long they may take.
const PROBE_EVERY: Duration = Duration::from_secs(1);
const PROBE_WITHIN: Duration = Duration::from_millis(500);

impl Poller<'_> {
    pub(super) fn complain(&mut self, error: KafkaError) {
        let code = error.rdkafka_error_code();
        if matches!(
            code,
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        ) {
            let partitions = self.out_of_range();
            warn!(kafka.group = self.spec.group, ?partitions, %error, "offsets are gone");
            return self.context().report(ConsumerEvent::OffsetLost { partitions });
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

    /// The partitions whose next offset lies outside what the broker has; the client reports the
    /// error without saying whose it is.
    fn out_of_range(&self) -> Vec<PartitionId> {
        let held: Vec<_> = self
            .context()
            .holdings()
            .all
            .iter()
            .filter_map(|held| Some((held.id.clone(), held.next_offset?)))
            .collect();
        let gone = |(id, next): &(PartitionId, i64)| {
            let ends = self.client.fetch_watermarks(&id.topic, id.partition, PROBE_WITHIN);
            ends.is_ok_and(|(low, high)| *next < low || *next > high)
        };
        held.into_iter().filter(gone).map(|(id, _)| id).collect()
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
