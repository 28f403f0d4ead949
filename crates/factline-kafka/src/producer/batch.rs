//! What is known about one batch in flight: counters instead of a future per record, which costs
//! three times the throughput.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{DeliveryResult, ProducerContext},
};
use tokio::sync::Notify;

use crate::context::{log_client_error, log_client_line};

/// Shared by the sender and by the client's polling thread, which reports deliveries. Every record
/// in flight holds its own batch, so a late report of a batch that was given up touches no other.
#[derive(Debug)]
pub(super) struct Batch {
    acknowledged: AtomicUsize,
    /// The count at which the sender wants to be woken.
    wake_at: AtomicUsize,
    failure: OnceLock<KafkaError>,
    changed: Notify,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            acknowledged: AtomicUsize::new(0),
            wake_at: AtomicUsize::new(usize::MAX),
            failure: OnceLock::new(),
            changed: Notify::new(),
        }
    }
}

impl Batch {
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// The first failure so far, if any.
    pub(super) fn check(&self) -> Result<(), KafkaError> {
        self.failure.get().cloned().map_or(Ok(()), Err)
    }

    /// Waits until `count` records are acknowledged, or one has failed. One waiter at a time.
    pub(super) async fn reach(&self, count: usize) -> Result<(), KafkaError> {
        // Order matters: a report either sees this target and wakes us, or came before and is
        // seen in the count below. A wake-up without a waiter is kept by `Notify`.
        self.wake_at.store(count, Ordering::SeqCst);
        loop {
            self.check()?;
            if self.acknowledged() >= count {
                return Ok(());
            }
            self.changed.notified().await;
        }
    }

    fn succeed(&self) {
        let acknowledged = self.acknowledged.fetch_add(1, Ordering::SeqCst) + 1;
        if acknowledged >= self.wake_at.load(Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }

    fn fail(&self, error: KafkaError) {
        if self.failure.set(error).is_ok() {
            self.changed.notify_one(); // later failures are consequences of the first
        }
    }
}

/// The client's callbacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deliveries;

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_client_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_client_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        match result {
            Ok(_) => batch.succeed(),
            Err((error, _)) => batch.fail(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;

    #[tokio::test]
    async fn a_batch_is_done_when_its_last_record_is_acknowledged() {
        let batch = Arc::new(Batch::default());
        let waiting = tokio::spawn({
            let batch = Arc::clone(&batch);
            async move { batch.reach(3).await }
        });
        tokio::task::yield_now().await;
        for _ in 0..3 {
            assert!(!waiting.is_finished());
            batch.succeed();
        }
        assert_eq!(waiting.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn the_first_failure_is_the_one_that_is_told() {
        let batch = Batch::default();
        batch.succeed();
        let first = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        batch.fail(first.clone());
        batch.fail(KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue));
        batch.succeed();
        assert_eq!(batch.reach(2).await, Err(first));
        assert_eq!(batch.acknowledged(), 2);
    }

    #[tokio::test]
    async fn what_was_acknowledged_before_the_wait_began_counts() {
        let batch = Batch::default();
        batch.succeed();
        assert_eq!(batch.reach(1).await, Ok(()));
        assert_eq!(batch.reach(0).await, Ok(()));
    }
}
