//! One lane: takes whatever commands queued up while its previous batch was in flight, decides
//! each against the aggregate's cached state, and appends them all with one round trip and one
//! commit. No timer: idle latency is one commit, under load the batch grows by itself.
//!
//! A command that the lane remembers is answered at once ([`crate::repeats`]). A stream that the
//! append did not take (it moved on, or a key is known) is settled by itself ([`crate::settle`]);
//! its neighbours are untouched. When the connection is lost during the call, every command of the
//! batch is settled that way: the lock waits until the lost call has ended, and the keys then tell
//! what it did.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use factline_core::{Aggregate, Fault, StreamId};
use sqlx::Connection;
use tokio::sync::{Notify, mpsc};

use crate::{
    Command, LogSettings,
    append::{self, Appended, Probe, Taken},
    audit,
    batch::{Pending, StreamBatch, by_stream},
    broken,
    cache::{Bounds, Cache},
    classify,
    connection::{Incarnation, LaneConnection},
    decision::{self, Decided},
    fault,
    inline::InlineViews,
    kind::Kind,
    load::{self, Loaded},
    migrate,
    recorded::{Placed, record, recorded},
    snapshot::{self, Snapshot},
    stretch::Marked,
};

/// One lane's task.
pub(crate) struct Lane<A: Aggregate> {
    pub(crate) kind: Arc<Kind<A>>,
    /// Kept in the transactions of its appends.
    pub(crate) views: InlineViews<A::Event>,
    pub(crate) connection: LaneConnection,
    pub(crate) cache: Cache<A>,
    /// The log's numbers of today's schemas.
    pub(crate) schema_ids: Vec<i16>,
    /// The server that the lane remembers streams of.
    incarnation: Option<Incarnation>,
    /// The last look into the log found repeats: the next batch is looked up before it is decided.
    pub(crate) replaying: bool,
    /// The last append met a stream that had moved, or a known key: the next one looks first.
    contended: bool,
    /// Snapshots to write after the batch.
    due: Vec<Snapshot<A>>,
    pub(crate) appended: Arc<Notify>,
    settings: LogSettings,
}

impl<A: Aggregate> Lane<A> {
    pub(crate) fn new(
        settings: &LogSettings,
        kind: Arc<Kind<A>>,
        views: InlineViews<A::Event>,
        appended: Arc<Notify>,
    ) -> Result<Self, Fault> {
        let bounds = Bounds {
            streams: settings.cached_streams,
            bytes: settings.cached_bytes,
            recent_commands: settings.recent_commands,
        };
        Ok(Self {
            kind,
            views,
            connection: LaneConnection::new(settings)?,
            cache: Cache::new(bounds),
            schema_ids: Vec::new(),
            incarnation: None,
            replaying: false,
            contended: false,
            due: Vec::new(),
            appended,
            settings: settings.clone(),
        })
    }

    /// Runs until the queue is closed and empty.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Pending<A>>) {
        let topic = self.kind.topic.to_string();
        while let Some(first) = commands.recv().await {
            let mut batch = vec![first];
            while batch.len() < self.settings.batch_commands {
                let Ok(next) = commands.try_recv() else { break };
                batch.push(next);
            }
            metrics::histogram!("factline_log_batch_commands", "topic" => topic.clone())
                .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
            self.work(by_stream(batch)).await;
            self.write_snapshots().await;
        }
    }

    async fn work(&mut self, mut streams: Vec<StreamBatch<A>>) {
        self.answer_from_memory(&mut streams);
        if self.replaying {
            self.answer_from_log(&mut streams).await;
        }
        if streams.is_empty() {
            return;
        }
        let loaded = match self.load(&streams).await {
            Ok(loaded) => loaded,
            Err(fault @ Fault::Transient { .. }) => {
                self.connection.discard().await;
                return refuse_all(streams, &fault);
            }
            // One stream does not read: settle each by itself, so that only that one is refused.
            Err(Fault::Poison { .. } | Fault::Fatal { .. }) => {
                return self.settle_all(streams, false).await;
            }
        };
        let decided: Vec<Decided<A>> = streams
            .iter()
            .zip(&loaded)
            .map(|(stream, start)| decision::decide(start, &stream.commands(), &self.kind.codec))
            .collect();
        match self.append(&streams, &loaded, &decided).await {
            Ok(appended) => {
                self.finish(streams, loaded, decided, appended).await;
                broken::commit_late(&mut self.connection).await;
            }
            Err(error) => self.append_failed(streams, error).await,
        }
    }

    /// The streams' states: from memory, the missing ones in one query.
    async fn load(&mut self, streams: &[StreamBatch<A>]) -> Result<Vec<Loaded<A>>, Fault> {
        self.agree_with_log().await?;
        let known: Vec<_> =
            streams.iter().map(|stream| self.cache.get(&stream.stream_id)).collect();
        let missing: Vec<(i32, &StreamId)> = streams
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(stream, _)| (stream.partition, &stream.stream_id))
            .collect();
        let mut loaded = Vec::new();
        if !missing.is_empty() {
            let started = Instant::now();
            let connection = self.connection.get().await;
            let connection =
                connection.map_err(|error| classify("connecting to the log", error))?;
            loaded = load::load(connection, &self.kind, &missing).await?;
            if started.elapsed() > Duration::from_millis(self.settings.snapshot_after_load_ms) {
                self.shorten_next_load(&missing, &loaded);
            }
        }
        let mut loaded = loaded.into_iter();
        Ok(known.into_iter().filter_map(|known| known.or_else(|| loaded.next())).collect())
    }

    /// Before the first command on a connection, the lane and the log agree: the server keeps what
    /// it takes, streams lie in the same partitions for both, and today's schemas have numbers.
    /// What the lane remembers of another server's log is forgotten.
    pub(crate) async fn agree_with_log(&mut self) -> Result<(), Fault> {
        if self.connection.is_agreed() {
            return Ok(());
        }
        let connection = self.connection.get().await;
        let connection = connection.map_err(|error| classify("connecting to the log", error))?;
        if !self.settings.allow_unsafe_database {
            audit::audit(connection).await?;
        }
        let Kind { topic, schemas, codec } = &*self.kind;
        migrate::check_partitions(connection, topic, self.settings.partitions).await?;
        self.schema_ids = schemas.number(connection, codec.schemas()).await?;
        self.views.begin(connection, &self.kind, self.settings.partitions).await?;
        let incarnation = Incarnation::of(connection).await?;
        if self.incarnation.replace(incarnation) != Some(incarnation) {
            self.cache.clear();
        }
        self.connection.agree();
        Ok(())
    }

    /// Has snapshots of streams whose load took too long written.
    fn shorten_next_load(&mut self, streams: &[(i32, &StreamId)], loaded: &[Loaded<A>]) {
        for ((_, stream_id), stream) in streams.iter().zip(loaded) {
            if stream.version > stream.snapshot {
                self.due.push(Snapshot::of(stream_id, stream));
            }
        }
    }

    /// Writes the snapshots that have become due, after every answer has gone out. Only where the
    /// events were appended: another server may lack them, and a snapshot ahead of its log would
    /// leave a hole in the stream. They are a cache, so losing some costs nothing but time.
    async fn write_snapshots(&mut self) {
        let due = std::mem::take(&mut self.due);
        if due.is_empty() || !self.connection.is_agreed() {
            return;
        }
        let Ok(connection) = self.connection.get().await else { return };
        if let Err(error) = snapshot::save(connection, &self.kind.topic, &due).await {
            tracing::warn!(%error, count = due.len(), "snapshots were not written");
            self.connection.discard().await;
        }
    }

    async fn append(
        &mut self,
        streams: &[StreamBatch<A>],
        loaded: &[Loaded<A>],
        decided: &[Decided<A>],
    ) -> Result<Appended, NotAppended> {
        let commands: Vec<Vec<&Command<A>>> = streams.iter().map(StreamBatch::commands).collect();
        let mut groups = Vec::with_capacity(streams.len());
        for (index, stream) in streams.iter().enumerate() {
            groups.extend(decision::group(
                stream.partition,
                loaded[index].version,
                &commands[index],
                &decided[index],
                &self.schema_ids,
            ));
        }
        let (topic, connection) = (&self.kind.topic, self.connection.get().await?);
        broken::begin_early(connection).await?;
        if !self.views.is_empty() {
            let mut tx = connection.begin().await?;
            let appended = append::append(&mut tx, topic, &groups, Probe::First).await?;
            let events = recorded(&self.kind, streams, loaded, decided, &appended);
            self.views.keep(&mut tx, &self.kind, &events).await.map_err(NotAppended::View)?;
            tx.commit().await?;
            return Ok(appended);
        }
        let probe = if self.contended { Probe::First } else { Probe::Never };
        match append::append(connection, topic, &groups, probe).await {
            Err(error) if probe == Probe::Never && fault::is_taken(&error) => {
                self.contended = true;
                Ok(append::append(connection, topic, &groups, Probe::First).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Answers what the log took, settles the rest.
    async fn finish(
        &mut self,
        streams: Vec<StreamBatch<A>>,
        loaded: Vec<Loaded<A>>,
        decided: Vec<Decided<A>>,
        appended: Appended,
    ) {
        factline_failpoints::reach("lane_after_append").await;
        self.contended &= appended.iter().any(Option::is_none);
        let mut left = Vec::new();
        let mut wrote = false;
        for (((mut stream, before), decided), taken) in
            streams.into_iter().zip(loaded).zip(decided).zip(appended)
        {
            let Some(Taken { positions, recorded_at }) = taken else {
                self.cache.forget(&stream.stream_id);
                left.push(stream);
                continue;
            };
            wrote |= !positions.is_empty();
            let (partition, positions) = (stream.partition, &*positions);
            let placed = Placed { partition, before: before.version, positions, recorded_at };
            let Decided { answers, events, after } = decided;
            let events = record(&placed, &self.kind, &stream.commands(), events);
            stream.answer(answers.into_iter().map(|answer| answer.outcome(&events)));
            self.remember(&stream.stream_id, before, after, events);
            if !stream.pending.is_empty() {
                left.push(stream); // twins
            }
        }
        if wrote {
            self.appended.notify_one();
        }
        self.settle_all(left, false).await;
    }

    /// Trying again at once helps unless the server itself said that it has to wait.
    async fn append_failed(&mut self, streams: Vec<StreamBatch<A>>, error: NotAppended) {
        self.connection.discard().await;
        let error = match error {
            NotAppended::Database(error) => error,
            NotAppended::View(fault @ Fault::Transient { .. }) => {
                return refuse_all(streams, &fault);
            }
            // Settled one by one, only the command is refused whose event the view cannot take.
            NotAppended::View(Fault::Poison { .. } | Fault::Fatal { .. }) => {
                return self.settle_all(streams, false).await;
            }
        };
        let unsure = !fault::was_rolled_back(&error);
        if !unsure && fault::must_wait(&error) {
            return refuse_all(streams, &classify("appending events", error));
        }
        if unsure {
            streams.iter().for_each(|stream| self.cache.forget(&stream.stream_id));
        }
        tracing::warn!(%error, unsure, topic = %self.kind.topic, "an append failed; settling its commands one stream at a time");
        self.settle_all(streams, unsure).await;
    }

    /// Keeps a stream's state and its new events, and has its snapshot written when one is due.
    pub(crate) fn remember(
        &mut self,
        stream_id: &StreamId,
        before: Loaded<A>,
        after: Loaded<A>,
        events: Vec<Marked<A::Event>>,
    ) {
        if snapshot::crossed(before.version, after.version, self.settings.snapshot_every) {
            self.due.push(Snapshot::of(stream_id, &after));
        }
        self.cache.remember(stream_id, before, after, events);
    }
}

/// Why an append did not happen, or perhaps did.
enum NotAppended {
    Database(sqlx::Error),
    /// A view in the same transaction said no; nothing was written.
    View(Fault),
}

impl From<sqlx::Error> for NotAppended {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Nothing was written for any of them.
fn refuse_all<A: Aggregate>(streams: Vec<StreamBatch<A>>, fault: &Fault) {
    tracing::warn!(error = %fault, "commands are refused: the log is not available");
    for stream in streams {
        stream.fail(fault, false);
    }
}
