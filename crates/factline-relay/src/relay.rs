//! The task: one session after another until it is told to stop.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use factline_codec::Registry;
use factline_core::Fault;
use factline_kafka::{Admin, KafkaSettings, librdkafka_version};
use factline_log::{LogReader, RelayCursors};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    RelaySettings, RelayStatus,
    backoff::Backoff,
    meters::Meters,
    progress::Progress,
    publication::Publication,
    session::{End, Place, Trouble},
};

/// What a relay is made of.
pub struct RelayParts {
    /// The topic in the store and on Kafka.
    pub topic: Arc<str>,
    /// Reads the events; needs two connections, one for a page and one for what goes on beside.
    pub reader: LogReader,
    /// Remembers how far Kafka has acknowledged.
    pub cursors: RelayCursors,
    /// Gives the schema ids.
    pub registry: Arc<Registry>,
    /// The registry as consumers reach it; stands in every record's `ce_dataschema`.
    pub registry_url: String,
    /// Where to.
    pub kafka: KafkaSettings,
    /// How fast.
    pub settings: RelaySettings,
    /// Notified after each commit of this process that wrote to the topic.
    pub wake: Arc<Notify>,
}

/// The relay of one topic.
pub struct Relay {
    pub(crate) topic: Arc<str>,
    pub(crate) reader: LogReader,
    pub(crate) cursors: RelayCursors,
    pub(crate) kafka: KafkaSettings,
    pub(crate) admin: Admin,
    pub(crate) settings: RelaySettings,
    pub(crate) wake: Arc<Notify>,
    pub(crate) publication: Publication,
    pub(crate) progress: Progress,
    pub(crate) backoff: Backoff,
    pub(crate) meters: Meters,
    /// When the oldest event was recorded that was read and is not known to be acknowledged.
    pub(crate) oldest_waiting: Option<DateTime<Utc>>,
    pub(crate) saved_at: Instant,
    status: watch::Sender<RelayStatus>,
}

impl Relay {
    /// Nothing is contacted yet. The receiver shows what the relay is doing.
    ///
    /// # Errors
    /// Fatal when librdkafka refuses the Kafka settings.
    pub fn new(parts: RelayParts) -> Result<(Self, watch::Receiver<RelayStatus>), Fault> {
        let RelayParts { topic, reader, cursors, registry, registry_url, kafka, settings, wake } =
            parts;
        let (status, watching) = watch::channel(RelayStatus::Starting);
        let relay = Self {
            publication: Publication::new(&topic, registry, registry_url),
            progress: Progress::default(),
            backoff: Backoff::new(settings.backoff_min_ms, settings.backoff_max_ms),
            meters: Meters::new(&topic),
            oldest_waiting: None,
            saved_at: Instant::now(),
            admin: Admin::new(&kafka)?,
            topic,
            reader,
            cursors,
            kafka,
            settings,
            wake,
            status,
        };
        Ok((relay, watching))
    }

    /// Relays until `shutdown`. Then the page in flight is finished, its cursor saved and the
    /// lease given back, within `relay.shutdown_ms`.
    ///
    /// # Cancellation
    /// A dropped call is a crash: what was sent and not saved is sent again by the next relay.
    pub async fn run(mut self, shutdown: CancellationToken) {
        info!(relay.topic = %self.topic, kafka.client = librdkafka_version(), "relay starts");
        while !shutdown.is_cancelled() {
            let limit = Duration::from_millis(self.settings.shutdown_ms);
            let ended = tokio::select! {
                ended = self.session(&shutdown) => ended,
                () = overdue(&shutdown, limit) => {
                    warn!(relay.topic = %self.topic, "the page in flight did not finish in time");
                    Ok(End::Shutdown)
                }
            };
            let pause = match ended {
                Ok(End::Shutdown) => break,
                Ok(End::Standby) => {
                    self.show(RelayStatus::Standby);
                    Duration::from_millis(self.settings.lease_check_ms)
                }
                Ok(End::LeaseLost) => {
                    info!(relay.topic = %self.topic, "the relay lost its lease");
                    Duration::ZERO
                }
                Err(trouble) => {
                    self.report(&trouble).await;
                    self.backoff.wait(rand::random())
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.show(RelayStatus::Stopped);
        info!(relay.topic = %self.topic, "relay stopped");
    }

    /// Changes the status; watchers are woken only by a change.
    pub(crate) fn show(&self, status: RelayStatus) {
        self.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }

    async fn report(&self, trouble: &Trouble) {
        let Trouble { place, fault } = trouble;
        let text = fault.to_string();
        let topic = &self.topic;
        match fault {
            Fault::Transient { .. } => {
                warn!(relay.topic = %topic, %fault, "relay goes back to its cursor");
                self.show(match place {
                    Place::Registry => RelayStatus::WaitingForRegistry(text),
                    Place::Store | Place::Kafka => RelayStatus::Retrying(text),
                });
            }
            Fault::Poison { .. } | Fault::Fatal { .. } => {
                error!(relay.topic = %topic, %fault, "relay cannot go on");
                self.show(RelayStatus::Failed(text));
            }
        }
        self.meters.failed();
        self.observe().await;
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Ends when the process has been told to stop for longer than `limit`.
async fn overdue(shutdown: &CancellationToken, limit: Duration) {
    shutdown.cancelled().await;
    tokio::time::sleep(limit).await;
}
