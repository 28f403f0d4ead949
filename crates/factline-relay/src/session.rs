//! One session: lease, cursors, producer, pages; until shutdown, a lost lease or the first trouble
//! of any kind. Nothing survives a session but schema ids: the next one starts at the stored
//! cursors with a new producer.

use std::time::{Duration, Instant};

use factline_codec::StoredEvent;
use factline_core::{Fault, Position};
use factline_failpoints::is_broken;
use factline_kafka::{Outgoing, Producer, SendFailure};
use factline_log::Lease;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{Relay, RelayStatus};

/// A page that Kafka has not acknowledged for so long is shown as trouble, though the client is
/// still trying. An acknowledgement takes milliseconds; a leader election some seconds.
const STALLED_AFTER: Duration = Duration::from_secs(5);
/// How often the cursor is saved while there is always something to send; what was sent since is sent
/// again after a crash. Saving it with every page would double the store's work for a single command.
const SAVED_EVERY: Duration = Duration::from_millis(100);
/// How often figures are refreshed while a page is in flight.
const OBSERVED_EVERY: Duration = Duration::from_secs(1);

/// Why a session ended in order.
#[derive(Debug)]
pub(crate) enum End {
    Shutdown,
    Standby,
    LeaseLost,
}

/// Why it ended otherwise.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) place: Place,
    pub(crate) fault: Fault,
}

/// Who could not do its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Store,
    Registry,
    Kafka,
}

impl Place {
    fn trouble(self) -> impl FnOnce(Fault) -> Trouble {
        move |fault| Trouble { place: self, fault }
    }
}

impl Relay {
    pub(crate) async fn session(&mut self, shutdown: &CancellationToken) -> Result<End, Trouble> {
        let started = tokio::select! {
            started = self.start() => started?,
            () = shutdown.cancelled() => return Ok(End::Shutdown), // nothing is in flight yet
        };
        let Some((mut lease, producer)) = started else { return Ok(End::Standby) };
        let ended = self.pump(&producer, &mut lease, shutdown).await;
        if ended.is_ok() {
            let limit = Duration::from_millis(self.settings.shutdown_ms);
            producer.close(limit).await.map_err(Place::Kafka.trouble())?;
        } else {
            drop(producer);
        }
        if let Err(error) = lease.release().await {
            debug!(relay.topic = %self.topic, %error, "the lease ends with its connection");
        }
        ended
    }

    /// `None` when another relay holds the lease.
    async fn start(&mut self) -> Result<Option<(Lease, Producer)>, Trouble> {
        let topic = &*self.topic;
        let lease = self.cursors.try_lease(topic).await.map_err(Place::Store.trouble())?;
        let Some(lease) = lease else { return Ok(None) };
        let stored = self.cursors.load(topic).await.map_err(Place::Store.trouble())?;
        let partitions = i32::try_from(stored.len()).unwrap_or(i32::MAX);
        if partitions == 0 {
            let fault = Fault::fatal("loading the relay's cursors", "the log has no such topic");
            return Err(Trouble { place: Place::Store, fault });
        }
        self.admin
            .ensure_topic(topic, partitions, &self.kafka.topic_config())
            .await
            .map_err(Place::Kafka.trouble())?;
        let producer = Producer::new(&self.kafka).map_err(Place::Kafka.trouble())?;
        self.meters.resent(self.progress.rewind(stored));
        Ok(Some((lease, producer)))
    }

    async fn pump(
        &mut self,
        producer: &Producer,
        lease: &mut Lease,
        shutdown: &CancellationToken,
    ) -> Result<End, Trouble> {
        let lease_check = Duration::from_millis(self.settings.lease_check_ms);
        let mut lease_checked = Instant::now();
        let mut ahead = None;
        let mut woken = false;
        loop {
            let page = match ahead.take() {
                Some(page) => page,
                None => self.read_page(&self.progress.read_after()).await?,
            };
            let found = !page.is_empty();
            if found {
                ahead = self.relay_page(producer, page).await?;
            }
            // Commits of this process wake the relay. Those of others do not, so where a look by
            // itself has found something, it looks again at once.
            if ahead.is_none() && (woken || !found) {
                woken = self.rest(shutdown).await?;
            }
            if self.meters.heads_due() {
                self.observe().await;
            }
            let held = if lease_checked.elapsed() < lease_check {
                true
            } else {
                lease_checked = Instant::now();
                lease.still_held().await
            };
            if shutdown.is_cancelled() || !held {
                self.save_unsaved().await?;
                return Ok(if held { End::Shutdown } else { End::LeaseLost });
            }
        }
    }

    /// Nothing to send: something happens or time passes, and then the cursor is saved. Whether it was
    /// a wake-up.
    async fn rest(&mut self, shutdown: &CancellationToken) -> Result<bool, Trouble> {
        self.oldest_waiting = None;
        self.meters.oldest_waiting(None);
        self.show(RelayStatus::Running);
        tokio::select! {
            () = self.wake.notified() => return Ok(true),
            () = tokio::time::sleep(Duration::from_millis(self.settings.poll_ms)) => {}
            () = shutdown.cancelled() => {}
        }
        self.save_unsaved().await?;
        Ok(false)
    }

    /// Sends one page; beside it the cursor is saved when that is due and, when this page was full, the
    /// next one is read and returned.
    async fn relay_page(
        &mut self,
        producer: &Producer,
        page: Vec<StoredEvent>,
    ) -> Result<Option<Vec<StoredEvent>>, Trouble> {
        self.oldest_waiting = page.iter().map(|event| event.envelope.recorded_at).min();
        let records = self.publication.records(&page).await.map_err(Place::Registry.trouble())?;
        self.progress.hand_over(places(&page)).map_err(|hole| Trouble {
            place: Place::Store,
            fault: Fault::fatal("reading a page of the log", hole),
        })?;
        factline_failpoints::reach("relay_before_send").await;
        let due = self.saved_at.elapsed() >= SAVED_EVERY;
        let unsaved = if due { self.progress.unsaved() } else { Vec::new() };
        let after = self.progress.read_after();
        let full = self.is_full(&page);
        let (sent, saved, ahead) =
            tokio::join!(self.send(producer, records), self.save(&unsaved), async {
                if full { self.read_page(&after).await.map(Some) } else { Ok(None) }
            },);
        let sent = sent.map_err(|failure| Trouble { place: Place::Kafka, fault: failed(failure) });
        if sent.is_err() && is_broken("skip_past_failed_send") {
            self.progress.acknowledge();
            self.save_unsaved().await?;
        }
        sent?;
        factline_failpoints::reach("relay_before_cursor").await; // acknowledged, not saved
        self.progress.acknowledge();
        self.meters.acknowledged(page.len());
        self.meters.oldest_waiting(self.oldest_waiting);
        self.backoff.reset();
        self.show(RelayStatus::Running);
        saved?;
        if due {
            self.note_saved(&unsaved);
        }
        ahead
    }

    /// Waits for every acknowledgement, and keeps the figures and the status true meanwhile.
    async fn send(&self, producer: &Producer, records: Vec<Outgoing>) -> Result<(), SendFailure> {
        let began = Instant::now();
        let mut sending = std::pin::pin!(producer.send_all(records));
        loop {
            tokio::select! {
                sent = &mut sending => return sent,
                () = tokio::time::sleep(OBSERVED_EVERY) => self.observe().await,
            }
            if began.elapsed() >= STALLED_AFTER {
                self.show(RelayStatus::Retrying("kafka does not acknowledge a page".into()));
            }
        }
    }

    async fn read_page(&self, after: &[(i32, Position)]) -> Result<Vec<StoredEvent>, Trouble> {
        let read = self.reader.read_after(&self.topic, after, self.limit_per_partition());
        read.await.map_err(Place::Store.trouble())
    }

    async fn save_unsaved(&mut self) -> Result<(), Trouble> {
        let unsaved = self.progress.unsaved();
        self.save(&unsaved).await?;
        self.note_saved(&unsaved);
        Ok(())
    }

    fn note_saved(&mut self, cursors: &[(i32, Position)]) {
        self.progress.saved(cursors);
        self.saved_at = Instant::now();
    }

    async fn save(&self, cursors: &[(i32, Position)]) -> Result<(), Trouble> {
        if cursors.is_empty() {
            return Ok(());
        }
        let advanced = self.cursors.advance(&self.topic, cursors).await;
        advanced.map_err(Place::Store.trouble())
    }

    /// Refreshes the figures. A store that does not answer leaves them as they are: whoever needs
    /// it notices by itself.
    pub(crate) async fn observe(&self) {
        self.meters.oldest_waiting(self.oldest_waiting);
        match self.reader.heads(&self.topic).await {
            Ok(heads) => {
                for (partition, head) in heads {
                    let acknowledged = self.progress.acknowledged().get(&partition);
                    let acknowledged = acknowledged.copied().unwrap_or_default();
                    self.meters.place(partition, acknowledged, head);
                }
            }
            Err(error) => debug!(relay.topic = %self.topic, %error, "no heads to measure lag by"),
        }
    }

    fn limit_per_partition(&self) -> i64 {
        let partitions = i64::try_from(self.progress.partitions()).unwrap_or(i64::MAX);
        (i64::from(self.settings.page_events) / partitions.max(1)).max(1)
    }

    /// Whether some partition gave as much as it was asked for, so that there may be more.
    fn is_full(&self, page: &[StoredEvent]) -> bool {
        let limit = usize::try_from(self.limit_per_partition()).unwrap_or(usize::MAX);
        page.chunk_by(|a, b| a.envelope.partition == b.envelope.partition)
            .any(|partition| partition.len() >= limit)
    }
}

fn places(page: &[StoredEvent]) -> impl Iterator<Item = (i32, Position)> {
    page.iter().map(|event| (event.envelope.partition, event.envelope.position))
}

/// The fault behind a failed send, with how much of the page was acknowledged in its text.
fn failed(failure: SendFailure) -> Fault {
    match &failure.source {
        Fault::Transient { .. } => Fault::transient("relaying a page", failure),
        Fault::Poison { .. } => Fault::poison("relaying a page", failure),
        Fault::Fatal { .. } => Fault::fatal("relaying a page", failure),
    }
}
