//! Aggregates' states from the log: snapshot and tail, many streams in one query.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use factline_codec::Codec;
use factline_core::{Aggregate, Fault, StreamId, Version};
use sqlx::{PgConnection, types::Json};

use crate::{classify, kind::Kind, reader::LogReader, reader::StreamBound};

/// An aggregate and the version of its last event.
#[derive(Debug, Clone)]
pub(crate) struct Loaded<A> {
    pub state: Arc<A>,
    pub version: Version,
    /// The version of the snapshot that it started from, 0 without one.
    pub snapshot: Version,
}

impl<A: Default> Default for Loaded<A> {
    fn default() -> Self {
        Self { state: Arc::default(), version: Version::ZERO, snapshot: Version::ZERO }
    }
}

const LOAD: &str = "
    with wanted as (
        select * from unnest($2::int[], $3::text[]) with ordinality w (partition, stream_id, ordinal)
    ), snapshot as (
        select w.ordinal, s.version, s.state
        from wanted w
        cross join lateral (
            select version, state from log.snapshots
            where topic = $1 and stream_id = w.stream_id and state_version = $4
            order by version desc limit 1
        ) s
    )
    select ordinal, version, null::smallint, null::bytea, state from snapshot
    union all
    select w.ordinal, e.version, e.schema_id, e.payload, null
    from wanted w
    left join snapshot s on s.ordinal = w.ordinal
    cross join lateral (
        select version, schema_id, payload from log.events
        where topic = $1 and partition = w.partition and stream_id = w.stream_id
          and version > coalesce(s.version, 0)
        order by version -- so that the stream's own index is the one to read
    ) e
    order by 1, 2";

const DOING: &str = "loading streams";

type Row = (i64, i64, Option<i16>, Option<Vec<u8>>, Option<Json<serde_json::Value>>);

/// Matches no snapshot: versions of states start at 1.
pub(crate) const WITHOUT_SNAPSHOTS: i32 = 0;

/// Loads streams of one topic, in the order given; a stream without events is the default state at
/// version 0. A snapshot that does not read is passed over: the events are the truth.
///
/// # Errors
/// The database fails, or a stored event does not decode: the stream is then closed to commands
/// until that is mended.
pub(crate) async fn load<A: Aggregate>(
    connection: &mut PgConnection,
    kind: &Kind<A>,
    streams: &[(i32, &StreamId)],
) -> Result<Vec<Loaded<A>>, Fault> {
    let rows = fetch(connection, &kind.topic, streams, A::STATE_VERSION).await?;
    let unreadable = |error: &serde_json::Error| {
        tracing::warn!(%error, topic = %kind.topic, "passing over a snapshot that does not read");
    };
    if rows.iter().filter_map(snapshot::<A>).any(|state| state.inspect_err(unreadable).is_err()) {
        let rows = fetch(connection, &kind.topic, streams, WITHOUT_SNAPSHOTS).await?;
        return replay(connection, kind, streams, rows).await;
    }
    replay(connection, kind, streams, rows).await
}

async fn fetch(
    connection: &mut PgConnection,
    topic: &str,
    streams: &[(i32, &StreamId)],
    state_version: i32,
) -> Result<Vec<Row>, Fault> {
    let partitions: Vec<i32> = streams.iter().map(|(partition, _)| *partition).collect();
    let ids: Vec<&str> = streams.iter().map(|(_, id)| id.as_str()).collect();
    sqlx::query_as(LOAD)
        .bind(topic)
        .bind(partitions)
        .bind(ids)
        .bind(state_version)
        .fetch_all(connection)
        .await
        .map_err(|error| classify(DOING, error))
}

async fn replay<A: Aggregate>(
    connection: &mut PgConnection,
    kind: &Kind<A>,
    streams: &[(i32, &StreamId)],
    rows: Vec<Row>,
) -> Result<Vec<Loaded<A>>, Fault> {
    let mut loaded: Vec<Loaded<A>> = vec![Loaded::default(); streams.len()];
    for row in rows {
        let index = usize::try_from(row.0 - 1).unwrap_or(usize::MAX);
        let Some(stream) = loaded.get_mut(index) else { continue };
        let version = Version(row.1);
        if let Some(Ok(state)) = snapshot(&row) {
            *stream = Loaded { state: Arc::new(state), version, snapshot: version };
        } else if let (Some(schema_id), Some(payload)) = (row.2, &row.3) {
            if version != stream.version.next() {
                let words =
                    format!("{} has no version {}", streams[index].1, stream.version.next());
                return Err(Fault::fatal(DOING, words));
            }
            let schema = kind.schemas.get(connection, schema_id).await?;
            let event =
                kind.codec.decode(&schema, payload).map_err(|error| Fault::fatal(DOING, error))?;
            evolve(stream, &event).map_err(|()| {
                let words =
                    format!("taking in version {} of {} panicked", version, streams[index].1);
                Fault::fatal(DOING, words)
            })?;
            stream.version = version;
        }
    }
    Ok(loaded)
}

/// A panic is a defect of the domain's code, told by the panic hook: it closes this stream, and the
/// lane goes on. What is left of the state is thrown away.
fn evolve<A: Aggregate>(stream: &mut Loaded<A>, event: &A::Event) -> Result<(), ()> {
    catch_unwind(AssertUnwindSafe(|| Arc::make_mut(&mut stream.state).evolve(event)))
        .map_err(|_told| ())
}

fn snapshot<A: Aggregate>(row: &Row) -> Option<Result<A, serde_json::Error>> {
    row.4.as_ref().map(|Json(state)| A::deserialize(state))
}

/// The aggregate as it was after the events within `bound`, with its version then; `None` when
/// there was none yet.
///
/// # Errors
/// As [`LogReader::stream`]; fatal when an event does not decode.
pub async fn state_at<A: Aggregate>(
    reader: &LogReader,
    codec: &Codec<A::Event>,
    topic: &str,
    stream_id: &StreamId,
    bound: StreamBound,
) -> Result<Option<(A, Version)>, Fault> {
    /// Events that one query gives: bounds memory for streams of any length.
    const PAGE: i64 = 1_000;
    let mut state = A::default();
    let mut version = Version::ZERO;
    loop {
        let page = reader.stream(topic, stream_id, version, bound, PAGE).await?;
        let last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for stored in page {
            let event = codec
                .decode(&stored.schema, &stored.datum)
                .map_err(|error| Fault::fatal("reading a stream", error))?;
            state.evolve(&event);
            version = stored.envelope.version;
        }
        if last {
            return Ok((version > Version::ZERO).then_some((state, version)));
        }
    }
}
