//! One lane: takes whatever commands queued up while its previous batch was in flight, decides
//! each against the aggregate's cached state, and appends them all with one round trip and one
//! commit. No timer: idle latency is one commit, under load the batch grows by itself.
//!
//! A stream that the append did not take (it moved on, or a key is known) is settled by itself
//! under the lock, see [`crate::settle`]; its neighbours are untouched. When the connection is lost
//! during the call, every command of the batch is settled that way: the lock waits until the lost
//! call has ended, and the keys then tell what it did.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use factline_codec::Codec;
use factline_core::{Aggregate, Fault, Recorded, StreamId, Version};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    Command, CommandFault, Done, LogSettings,
    append::{self, Appended},
    cache::Cache,
    classify,
    connection::LaneConnection,
    decision::{self, Answer, Decided},
    load::{self, Loaded},
    migrate,
    recorded::{Placed, record},
    schemas::SchemaBook,
    snapshot,
};

pub(crate) type Outcome<A> = Result<Done<A>, CommandFault<<A as Aggregate>::Refusal>>;

/// A command that waits for its outcome.
pub(crate) struct Pending<A: Aggregate> {
    pub partition: i32,
    pub command: Command<A>,
    pub reply: oneshot::Sender<Outcome<A>>,
}

impl<A: Aggregate> Pending<A> {
    /// A caller that has gone away does not mind: its command's outcome stands in the log.
    pub(crate) fn answer(self, outcome: Outcome<A>) {
        drop(self.reply.send(outcome));
    }
}

/// The commands of one stream in a batch.
pub(crate) struct StreamBatch<A: Aggregate> {
    pub partition: i32,
    pub stream_id: StreamId,
    pub pending: Vec<Pending<A>>,
}

impl<A: Aggregate> StreamBatch<A> {
    pub(crate) fn commands(&self) -> Vec<&Command<A>> {
        self.pending.iter().map(|pending| &pending.command).collect()
    }
}

/// One lane's task.
pub(crate) struct Lane<A: Aggregate> {
    pub(crate) topic: Arc<str>,
    pub(crate) codec: Arc<Codec<A::Event>>,
    pub(crate) schemas: Arc<SchemaBook>,
    pub(crate) connection: LaneConnection,
    pub(crate) cache: Cache<A>,
    pub(crate) appended: Arc<Notify>,
    partitions: i32,
    schema_ids: Vec<i16>,
    batch_commands: usize,
    snapshot_every: i64,
    slow_load: Duration,
}

impl<A: Aggregate> Lane<A> {
    pub(crate) fn new(
        settings: &LogSettings,
        topic: Arc<str>,
        codec: Arc<Codec<A::Event>>,
        schemas: Arc<SchemaBook>,
        appended: Arc<Notify>,
    ) -> Result<Self, Fault> {
        Ok(Self {
            topic,
            codec,
            schemas,
            connection: LaneConnection::new(&settings.url)?,
            cache: Cache::new(settings.cached_streams),
            appended,
            partitions: settings.partitions,
            schema_ids: Vec::new(),
            batch_commands: settings.batch_commands,
            snapshot_every: settings.snapshot_every,
            slow_load: Duration::from_millis(settings.snapshot_after_load_ms),
        })
    }

    /// Runs until the queue is closed and empty.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Pending<A>>) {
        while let Some(first) = commands.recv().await {
            let mut batch = vec![first];
            while batch.len() < self.batch_commands {
                let Ok(next) = commands.try_recv() else { break };
                batch.push(next);
            }
            metrics::histogram!("factline_log_batch_commands", "topic" => self.topic.to_string())
                .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
            self.work(by_stream(batch)).await;
        }
    }

    async fn work(&mut self, streams: Vec<StreamBatch<A>>) {
        let loaded = match self.load(&streams).await {
            Ok(loaded) => loaded,
            Err(Fault::Transient { doing, source }) => {
                self.connection.discard().await;
                return refuse_all(streams, doing, &source.to_string());
            }
            // One stream does not read: settle each by itself, so that only that one is refused.
            Err(Fault::Poison { .. } | Fault::Fatal { .. }) => {
                return self.settle_all(streams, false).await;
            }
        };
        let decided: Vec<Decided<A>> = streams
            .iter()
            .zip(&loaded)
            .map(|(stream, start)| decision::decide(start.clone(), &stream.commands(), &self.codec))
            .collect();
        match self.append(&streams, &loaded, &decided).await {
            Ok(appended) => self.finish(streams, loaded, decided, appended).await,
            Err(error) => {
                tracing::warn!(%error, topic = %self.topic, "an append failed; settling its commands one stream at a time");
                self.connection.discard().await;
                self.settle_all(streams, true).await;
            }
        }
    }

    /// The streams' states: from memory, the missing ones in one query.
    async fn load(&mut self, streams: &[StreamBatch<A>]) -> Result<Vec<Loaded<A>>, Fault> {
        let failed = |error| classify("connecting to the log", error);
        self.schema_ids().await?;
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
            let connection = self.connection.get().await.map_err(failed)?;
            let started = Instant::now();
            loaded =
                load::load(connection, &self.schemas, &self.codec, &self.topic, &missing).await?;
            if started.elapsed() > self.slow_load {
                self.shorten_next_load(&missing, &loaded).await;
            }
        }
        let mut loaded = loaded.into_iter();
        Ok(known.into_iter().filter_map(|known| known.or_else(|| loaded.next())).collect())
    }

    /// Writes snapshots of streams whose load took too long.
    async fn shorten_next_load(&mut self, streams: &[(i32, &StreamId)], loaded: &[Loaded<A>]) {
        for ((_, stream_id), stream) in streams.iter().zip(loaded) {
            if stream.version > stream.snapshot {
                self.save_snapshot(stream_id, stream).await;
            }
        }
    }

    async fn save_snapshot(&mut self, stream_id: &StreamId, stream: &Loaded<A>) {
        let Ok(connection) = self.connection.get().await else { return };
        let saved =
            snapshot::save(connection, &self.topic, stream_id, stream.version, &stream.state).await;
        if let Err(error) = saved {
            tracing::warn!(%error, %stream_id, "a snapshot was not written");
            self.connection.discard().await;
        }
    }

    async fn append(
        &mut self,
        streams: &[StreamBatch<A>],
        loaded: &[Loaded<A>],
        decided: &[Decided<A>],
    ) -> Result<Appended, sqlx::Error> {
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
        append::append(self.connection.get().await?, &self.topic, &groups).await
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
        let recorded_at = appended.recorded_at;
        let mut left = Vec::new();
        let mut wrote = false;
        for (((stream, start), decided), positions) in
            streams.into_iter().zip(loaded).zip(decided).zip(appended.positions)
        {
            let Some(positions) = positions else {
                self.cache.forget(&stream.stream_id);
                left.push(stream);
                continue;
            };
            wrote |= !positions.is_empty();
            let placed = Placed {
                topic: &self.topic,
                partition: stream.partition,
                before: start.version,
                positions: &positions,
                recorded_at,
            };
            let events = record(&placed, &self.codec, &stream.commands(), &decided);
            let StreamBatch { partition, stream_id, pending } = stream;
            let mut twins = Vec::new();
            for (pending, answer) in pending.into_iter().zip(decided.answers) {
                match settled(answer, &events) {
                    Some(outcome) => pending.answer(outcome),
                    None => twins.push(pending),
                }
            }
            self.remember(&stream_id, start.version, decided.after).await;
            if !twins.is_empty() {
                left.push(StreamBatch { partition, stream_id, pending: twins });
            }
        }
        if wrote {
            self.appended.notify_one();
        }
        self.settle_all(left, false).await;
    }

    /// Keeps a stream's state, and writes its snapshot when one is due.
    pub(crate) async fn remember(
        &mut self,
        stream_id: &StreamId,
        before: Version,
        after: Loaded<A>,
    ) {
        if snapshot::crossed(before, after.version, self.snapshot_every) {
            self.save_snapshot(stream_id, &after).await;
        }
        self.cache.put(stream_id.clone(), after);
    }

    /// The log's numbers of today's schemas; asked for once, when the lane also makes sure that it
    /// places streams as the log does.
    pub(crate) async fn schema_ids(&mut self) -> Result<&[i16], Fault> {
        if self.schema_ids.is_empty() {
            let connection = self.connection.get().await;
            let connection =
                connection.map_err(|error| classify("connecting to the log", error))?;
            migrate::check_partitions(connection, &self.topic, self.partitions).await?;
            self.schema_ids = self.schemas.number(connection, self.codec.schemas()).await?;
        }
        Ok(&self.schema_ids)
    }
}

/// The outcome of a command whose group the log took; `None` for a twin, which is settled next.
pub(crate) fn settled<A: Aggregate>(
    answer: Answer<A>,
    events: &[Recorded<A::Event>],
) -> Option<Outcome<A>> {
    match answer {
        Answer::Events(range, state, version) => {
            let events = events.get(range).unwrap_or_default().to_vec();
            Some(Ok(Done { version, state, events, replayed: false }))
        }
        Answer::Refused(refusal) => Some(Err(CommandFault::Refused(refusal))),
        Answer::Mismatch(current) => Some(Err(CommandFault::VersionMismatch { current })),
        Answer::Unencodable(fault) => Some(Err(CommandFault::Unencodable(fault))),
        Answer::Twin => None,
    }
}

/// A batch's commands by stream, both in the order of arrival.
fn by_stream<A: Aggregate>(batch: Vec<Pending<A>>) -> Vec<StreamBatch<A>> {
    let mut places: HashMap<StreamId, usize> = HashMap::new();
    let mut streams: Vec<StreamBatch<A>> = Vec::new();
    for pending in batch {
        let stream_id = pending.command.stream_id.clone();
        let place = *places.entry(stream_id.clone()).or_insert_with(|| {
            streams.push(StreamBatch { partition: pending.partition, stream_id, pending: vec![] });
            streams.len() - 1
        });
        streams[place].pending.push(pending);
    }
    streams
}

fn refuse_all<A: Aggregate>(streams: Vec<StreamBatch<A>>, doing: &'static str, why: &str) {
    tracing::warn!(error = why, doing, "the log is not available");
    for pending in streams.into_iter().flat_map(|stream| stream.pending) {
        pending.answer(Err(CommandFault::Unavailable(Fault::transient(doing, why))));
    }
}
