//! Records to Kafka, in order, and never past a failure.
//!
//! In flow batches of [`Outgoing`]; out flows one answer a batch: every record acknowledged by all
//! in-sync replicas, or a [`SendFailure`]. After a failure the topic may hold any part of the
//! batch, even with holes: a record may expire while one behind it is still written. So a producer
//! that failed is spent; its owner drops it, builds another and sends again from what it knows to
//! be acknowledged. Readers skip the repeats.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use factline_core::Fault;
use rdkafka::{
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use tokio::sync::Mutex;
use tracing::warn;

use crate::{KafkaSettings, Outgoing, classify};

mod batch;
use batch::{Batch, Deliveries};

/// How many records are handed to the client between two chances for other tasks; a hand-over
/// costs about a microsecond, so this is a third of a millisecond.
const RECORDS_BETWEEN_YIELDS: usize = 256;

/// A producer for one task. Cloning is left out on purpose: order needs one sender.
///
/// Dropping it discards what is not yet acknowledged and never blocks the caller: the client is
/// taken down on a thread of its own.
pub struct Producer {
    /// `None` only while it is being dropped.
    client: Option<ThreadedProducer<Deliveries>>,
    /// Two batches in flight at once would make "the first failure" ambiguous.
    turn: Mutex<()>,
    /// Set while a batch is under way and left set when it fails or is cancelled.
    spent: AtomicBool,
}

/// A batch was not acknowledged whole. The producer is spent.
#[derive(Debug, thiserror::Error)]
#[error("kafka acknowledged {acknowledged} of {total} records")]
pub struct SendFailure {
    /// How many records were acknowledged, of any partition and not necessarily the first ones:
    /// for a log line, never for a cursor.
    pub acknowledged: usize,
    /// How many there were.
    pub total: usize,
    /// Whether the client itself reported a fatal error (its idempotence is lost).
    pub fatal: bool,
    /// The first failure, classified.
    pub source: Fault,
}

/// A batch was given to a producer whose earlier batch had failed or was cancelled.
#[derive(Debug, thiserror::Error)]
#[error("this producer gave up an earlier batch and must be replaced")]
struct Spent;

impl Producer {
    /// Connects in the background: brokers that are away delay the first batch, not this call.
    ///
    /// # Errors
    /// Fatal when librdkafka refuses the settings.
    pub fn new(settings: &KafkaSettings) -> Result<Self, Fault> {
        let client = settings
            .producer_config()
            .create_with_context(Deliveries)
            .map_err(|error| classify("creating a kafka producer", error))?;
        let (turn, spent) = (Mutex::new(()), AtomicBool::new(false));
        Ok(Self { client: Some(client), turn, spent })
    }

    /// Sends the records in their order and returns when every one is acknowledged. When the
    /// client's queue is full it waits for acknowledgements and goes on at the same record.
    ///
    /// # Errors
    /// The first failure, of handing over or of delivery. What is still queued is discarded; what
    /// is in flight may land or not.
    ///
    /// # Cancellation
    /// A dropped call leaves any part of the batch sent, and the producer spent.
    pub async fn send_all(&self, records: Vec<Outgoing>) -> Result<(), SendFailure> {
        let _turn = self.turn.lock().await;
        let batch = Arc::new(Batch::default());
        if self.spent.swap(true, Ordering::SeqCst) {
            let source = Fault::transient("sending to kafka", Spent);
            return Err(SendFailure { acknowledged: 0, total: records.len(), fatal: true, source });
        }
        match self.send_batch(&batch, &records).await {
            Ok(()) => {
                self.spent.store(false, Ordering::SeqCst);
                Ok(())
            }
            Err(error) => Err(self.give_up(&batch, records.len(), error)),
        }
    }

    /// Waits until nothing is queued or in flight, then takes the client down; both on a thread
    /// where blocking is allowed.
    ///
    /// # Errors
    /// Transient when `deadline` passed first; what was left is discarded.
    pub async fn close(mut self, deadline: Duration) -> Result<(), Fault> {
        let Some(client) = self.client.take() else { return Ok(()) };
        let flushed = tokio::task::spawn_blocking(move || client.flush(deadline)).await;
        match flushed {
            Ok(result) => result.map_err(|error| classify("flushing the kafka producer", error)),
            Err(join) => Err(Fault::transient("flushing the kafka producer", join)),
        }
    }

    async fn send_batch(&self, batch: &Arc<Batch>, records: &[Outgoing]) -> Result<(), KafkaError> {
        for (index, record) in records.iter().enumerate() {
            while let Err(error) = self.hand_over(batch, record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(error);
                }
                self.await_room(batch, index).await?;
            }
            if index % RECORDS_BETWEEN_YIELDS == RECORDS_BETWEEN_YIELDS - 1 {
                batch.check()?;
                tokio::task::yield_now().await;
            }
        }
        batch.reach(records.len()).await
    }

    /// Waits until the queue has room again. A quarter of what is in flight at a time, so that a
    /// full queue wakes this task four times, not once a record.
    async fn await_room(&self, batch: &Batch, handed_over: usize) -> Result<(), KafkaError> {
        let in_flight = handed_over - batch.acknowledged();
        if in_flight == 0 {
            // Everything is acknowledged, but the client frees a record's place just after it
            // reports the record.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        batch.reach(batch.acknowledged() + in_flight.div_ceil(4)).await
    }

    fn hand_over(&self, batch: &Arc<Batch>, record: &Outgoing) -> Result<(), KafkaError> {
        let Some(client) = &self.client else { return Err(KafkaError::Canceled) };
        let mut wire =
            BaseRecord::<[u8], [u8], _>::with_opaque_to(&record.topic, Arc::clone(batch));
        wire.partition = record.partition;
        wire.key = record.key.as_deref();
        wire.payload = record.value.as_deref();
        wire.headers = Some(record.headers.iter().fold(
            OwnedHeaders::new_with_capacity(record.headers.len()),
            |headers, (key, value)| headers.insert(Header { key, value: value.as_deref() }),
        ));
        client.send(wire).map_err(|(error, _)| error)
    }

    fn give_up(&self, batch: &Batch, total: usize, error: KafkaError) -> SendFailure {
        let mut fatal = error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal);
        if let Some(client) = &self.client {
            // The less lands behind the failure, the less is sent twice.
            client.purge(PurgeConfig::default().queue().inflight());
            if let Some((code, reason)) = client.client().fatal_error() {
                fatal = true;
                warn!(kafka.error = %code, "the Kafka producer is finished: {reason}");
            }
        }
        let source = classify("sending to kafka", error);
        SendFailure { acknowledged: batch.acknowledged(), total, fatal, source }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // The client's own drop joins its polling thread and flushes for up to half a second.
        if let Some(client) = self.client.take() {
            let thread = std::thread::Builder::new().name("kafka-producer-drop".into());
            if let Err(error) = thread.spawn(move || drop(client)) {
                warn!(%error, "no thread to take a Kafka producer down, so it blocked its task");
            }
        }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("spent", &self.spent).finish_non_exhaustive()
    }
}
