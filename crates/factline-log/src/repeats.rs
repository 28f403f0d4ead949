//! Commands that come again. A key that is in the log is final, so its first answer is given without
//! any lock: from what the lane remembers, else from the log, for a whole batch with two queries.
//!
//! The log is asked for the stretches of history that the repeats lie in: each from the last
//! snapshot before them (or from version 1) to the end of their last command.

use std::{collections::HashMap, sync::Arc};

use factline_core::{Aggregate, CommandKey, Fault, Recorded, Version};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow, types::Json};

use crate::{
    Command, Fingerprint,
    batch::{Outcome, StreamBatch},
    classify,
    kind::Kind,
    lane::Lane,
    load::WITHOUT_SNAPSHOTS,
    reader::{EventRow, columns, stored},
    stretch::{Marked, Opening, Stretch},
};

const DOING: &str = "answering repeated commands";

impl<A: Aggregate> Lane<A> {
    /// Answers what the lane remembers; streams without further commands leave the batch.
    pub(crate) fn answer_from_memory(&mut self, streams: &mut Vec<StreamBatch<A>>) {
        for stream in streams.iter_mut() {
            let commands = stream.commands();
            if let Some(answers) = self.cache.first_answers(&stream.stream_id, &commands) {
                count(&answers, &self.kind.topic, "memory");
                stream.answer(answers);
            }
        }
        streams.retain(|stream| !stream.pending.is_empty());
    }

    /// Answers what the log knows, in the same way. Where that fails, nobody is answered: whoever
    /// decides or settles the commands next finds out why.
    pub(crate) async fn answer_from_log(&mut self, streams: &mut Vec<StreamBatch<A>>) {
        if streams.is_empty() {
            return;
        }
        match self.known_to_log(streams).await {
            Ok(answers) => {
                self.replaying = answers.iter().any(Option::is_some);
                count(&answers, &self.kind.topic, "log");
                let mut answers = answers.into_iter();
                for stream in streams.iter_mut() {
                    stream.answer(answers.by_ref().take(stream.pending.len()));
                }
                streams.retain(|stream| !stream.pending.is_empty());
            }
            Err(fault) => {
                tracing::warn!(error = %fault, topic = %self.kind.topic, "repeats were not looked up");
                self.connection.discard().await;
            }
        }
    }

    async fn known_to_log(
        &mut self,
        streams: &[StreamBatch<A>],
    ) -> Result<Vec<Option<Outcome<A>>>, Fault> {
        self.agree_with_log().await?;
        let connection = self.connection.get().await.map_err(|error| classify(DOING, error))?;
        let commands: Vec<(i32, &Command<A>)> = streams
            .iter()
            .flat_map(|stream| {
                stream.commands().into_iter().map(|command| (stream.partition, command))
            })
            .collect();
        first_answers(connection, &self.kind, &commands).await
    }
}

fn count<A: Aggregate>(answers: &[Option<Outcome<A>>], topic: &str, from: &'static str) {
    let repeats = answers.iter().flatten().count();
    if repeats > 0 {
        metrics::counter!("factline_log_repeats_total", "topic" => topic.to_owned(), "from" => from)
            .increment(u64::try_from(repeats).unwrap_or(u64::MAX));
    }
}

/// For each command, in order, the answer that it got when it was carried out; `None` when its key
/// is not in the log (yet, unless the partition's head is locked).
///
/// # Errors
/// The database fails, or a stored event does not decode.
pub(crate) async fn first_answers<A: Aggregate>(
    connection: &mut PgConnection,
    kind: &Kind<A>,
    commands: &[(i32, &Command<A>)],
) -> Result<Vec<Option<Outcome<A>>>, Fault> {
    let mut answers: Vec<Option<Outcome<A>>> = commands.iter().map(|_| None).collect();
    let places = places(connection, kind, commands).await?;
    if places.is_empty() {
        return Ok(answers);
    }
    let partitions: Vec<i32> = places.iter().map(|place| place.partition).collect();
    let stretches = read(connection, kind, places).await?;
    let mut holders: HashMap<(i32, CommandKey), usize> = HashMap::new();
    for (index, stretch) in stretches.iter().enumerate() {
        holders.extend(stretch.keys().map(|key| ((partitions[index], key), index)));
    }
    let mut asked: Vec<Vec<usize>> = vec![Vec::new(); stretches.len()];
    for (index, (partition, command)) in commands.iter().enumerate() {
        if let Some(holder) = holders.get(&(*partition, command.key)) {
            asked[*holder].push(index);
        }
    }
    for (stretch, asked) in stretches.iter().zip(asked) {
        let commands: Vec<&Command<A>> = asked.iter().map(|index| commands[*index].1).collect();
        for (index, answer) in asked.into_iter().zip(stretch.first_answers(&commands)) {
            answers[index] = answer;
        }
    }
    Ok(answers)
}

/// Where a stretch with repeats lies in the log.
struct Place<A> {
    partition: i32,
    stream_id: String,
    /// The aggregate before its first event.
    start: A,
    after: Version,
    /// Where the first command begins that it does not hold.
    until: Version,
}

type PlaceRow = (i32, String, i64, i64, Option<Json<serde_json::Value>>);

async fn places<A: Aggregate>(
    connection: &mut PgConnection,
    kind: &Kind<A>,
    commands: &[(i32, &Command<A>)],
) -> Result<Vec<Place<A>>, Fault> {
    for state_version in [A::STATE_VERSION, WITHOUT_SNAPSHOTS] {
        let rows = place_rows(connection, &kind.topic, commands, state_version).await?;
        match rows.into_iter().map(place).collect() {
            Ok(places) => return Ok(places),
            Err(error) => tracing::warn!(%error, "passing over a snapshot that does not read"),
        }
    }
    Ok(Vec::new()) // without snapshots, none of them fails to read
}

fn place<A: Aggregate>(row: PlaceRow) -> Result<Place<A>, serde_json::Error> {
    let (partition, stream_id, after, until, state) = row;
    let start = state.map_or_else(|| Ok(A::default()), |Json(state)| A::deserialize(state))?;
    Ok(Place { partition, stream_id, start, after: Version(after), until: Version(until) })
}

async fn place_rows<A: Aggregate>(
    connection: &mut PgConnection,
    topic: &str,
    commands: &[(i32, &Command<A>)],
    state_version: i32,
) -> Result<Vec<PlaceRow>, Fault> {
    // Each subquery asks for an order that one index alone gives, and is never turned into a join:
    // a few probes for every key, whatever the planner believes. See log.look.
    const PLACES: &str = "
        with known as (
            select e.partition, e.stream_id, e.version, coalesce((
                       select s.version from log.snapshots s
                       where s.topic = $1 and s.stream_id = e.stream_id and s.version < e.version
                         and s.state_version = $4
                       order by s.version desc limit 1), 0) as after
            from unnest($2::int[], $3::uuid[]) a (partition, key)
            cross join lateral (
                select partition, stream_id, version from log.events
                where topic = $1 and partition = a.partition and command_key between a.key and a.key
                order by command_key limit 1
            ) e
        ), stretches as (
            select partition, stream_id, after, max(version) as last
            from known group by partition, stream_id, after
        )
        select t.partition, t.stream_id, t.after, coalesce((
                   select e.version from log.events e
                   where e.topic = $1 and e.partition = t.partition and e.stream_id = t.stream_id
                     and e.version > t.last and e.command_key is not null
                   order by e.version limit 1), 9223372036854775807), (
                   select s.state from log.snapshots s
                   where s.topic = $1 and s.stream_id = t.stream_id and s.version = t.after limit 1)
        from stretches t";
    let (partitions, keys): (Vec<i32>, Vec<CommandKey>) =
        commands.iter().map(|(partition, command)| (*partition, command.key)).unzip();
    sqlx::query_as(PLACES)
        .bind(topic)
        .bind(partitions)
        .bind(keys)
        .bind(state_version)
        .fetch_all(connection)
        .await
        .map_err(|error| classify(DOING, error))
}

/// An event, the fingerprint of the command that it opens, and which place it is of, from 1.
struct MarkedRow {
    event: EventRow,
    fingerprint: Option<Vec<u8>>,
    place: i64,
}

impl FromRow<'_, PgRow> for MarkedRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let event = EventRow::from_row(row)?;
        Ok(Self { event, fingerprint: row.try_get("fingerprint")?, place: row.try_get("place")? })
    }
}

async fn read<A: Aggregate>(
    connection: &mut PgConnection,
    kind: &Kind<A>,
    places: Vec<Place<A>>,
) -> Result<Vec<Stretch<A>>, Fault> {
    let rows = marked_rows(connection, &kind.topic, &places).await?;
    let mut stretches: Vec<Stretch<A>> =
        places.into_iter().map(|place| Stretch::starting_at(place.start)).collect();
    let (mut of, mut opens, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for MarkedRow { event, fingerprint, place } in rows {
        of.push(usize::try_from(place - 1).unwrap_or(usize::MAX));
        opens.push(opening(event.14, fingerprint)?);
        events.push(event);
    }
    let events = stored(connection, &kind.schemas, events).await?;
    for ((stored, opens), of) in events.into_iter().zip(opens).zip(of) {
        let event = kind
            .codec
            .decode(&stored.schema, &stored.datum)
            .map_err(|error| Fault::fatal(DOING, error))?;
        let recorded = Arc::new(Recorded { envelope: stored.envelope, event });
        let marked = Marked { recorded, opens, datum_bytes: stored.datum.len() };
        if let Some(stretch) = stretches.get_mut(of) {
            stretch.extend([marked]);
        }
    }
    Ok(stretches)
}

fn opening(
    key: Option<CommandKey>,
    fingerprint: Option<Vec<u8>>,
) -> Result<Option<Opening>, Fault> {
    let Some((key, fingerprint)) = key.zip(fingerprint) else { return Ok(None) };
    let fingerprint = Fingerprint::try_from(fingerprint).map_err(|_| {
        Fault::fatal(DOING, format!("the fingerprint of the key {key} is too long or short"))
    })?;
    Ok(Some(Opening { key, fingerprint }))
}

async fn marked_rows<A: Aggregate>(
    connection: &mut PgConnection,
    topic: &str,
    places: &[Place<A>],
) -> Result<Vec<MarkedRow>, Fault> {
    const EVENTS: &str = concat!(
        "select ",
        columns!(),
        ", e.command_fingerprint as fingerprint, p.ordinal as place
         from unnest($2::int[], $3::text[], $4::bigint[], $5::bigint[])
              with ordinality p (partition, stream_id, after, until, ordinal)
         cross join lateral (
             select * from log.events
             where topic = $1 and partition = p.partition and stream_id = p.stream_id
               and version > p.after and version < p.until
             order by version
         ) e
         order by p.ordinal, e.version"
    );
    sqlx::query_as(EVENTS)
        .bind(topic)
        .bind(places.iter().map(|place| place.partition).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.stream_id.as_str()).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.after.0).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.until.0).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(|error| classify(DOING, error))
}
