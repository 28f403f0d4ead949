//! One business flow's events across streams and topics, by their correlation id.
//!
//! No index knows correlation ids: it would be written at every append, for a question that is asked
//! now and then. What there is instead is the order of the log: `recorded_at` rises with the position
//! within a partition, so a time becomes a position by halving, one probe of the primary key a step,
//! and from there on at most [`EXAMINED`] events of each partition are looked at in one call, whatever
//! they are. The caller goes on from the place that it is given (decision 0017).

use chrono::{DateTime, Utc};
use factline_codec::StoredEvent;
use factline_core::{Envelope, Fault};
use uuid::Uuid;

use crate::{
    LogReader, classify,
    reader::{EventRow, columns, stored},
};

/// How many events of a partition one call looks at: some milliseconds of reading. More when one
/// append wrote more, for its events have one `recorded_at` and are read together.
pub const EXAMINED: i64 = 16_384;

/// A place in the one order that such a history has: the time of the append, then topic, partition
/// and position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// By the database's clock.
    pub recorded_at: DateTime<Utc>,
    /// Compared byte by byte.
    pub topic: String,
    /// From 0.
    pub partition: i32,
    /// From 1; 0 stands before all.
    pub position: i64,
}

/// What to look for.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Follows the whole business flow.
    pub correlation_id: Uuid,
    /// Only what stands behind this place.
    pub after: Place,
    /// Only what was recorded before this time.
    pub before: Option<DateTime<Utc>>,
}

/// A page of a flow's events.
#[derive(Debug)]
pub struct FlowPage {
    /// In the order of their places.
    pub events: Vec<StoredEvent>,
    /// Where to go on; `None` at the end. There may be a next page when this one is not full, or
    /// empty: then as much was looked at as one call may.
    pub next: Option<Place>,
}

impl Place {
    /// Before everything that was recorded at this time or later.
    #[must_use]
    pub fn from_time(recorded_at: DateTime<Utc>) -> Self {
        Self { recorded_at, topic: String::new(), partition: 0, position: 0 }
    }

    fn of(envelope: &Envelope) -> Self {
        Self {
            recorded_at: envelope.recorded_at,
            topic: envelope.topic.to_string(),
            partition: envelope.partition,
            position: envelope.position.0,
        }
    }
}

/// Topic, partition, its last position before the time, and when the first event beyond those that may be
/// looked at was recorded.
type Start = (String, i32, i64, Option<DateTime<Utc>>);

const STARTS: &str = "
    with recursive search (topic, partition, low, high) as (
        select h.topic, h.partition, 0::bigint, h.position from log.heads h
        where h.topic = any ($1)
        union all
        select s.topic, s.partition,
               case when e.recorded_at < $2 then e.position else s.low end,
               case when e.recorded_at < $2 then s.high else e.position - 1 end
        from search s cross join lateral (
            select position, recorded_at from log.events
            where topic = s.topic and partition = s.partition
              and position = (s.low + s.high + 1) / 2
        ) e
        where s.low < s.high
    )
    select s.topic, s.partition, s.low as position, e.recorded_at as beyond
    from search s left join lateral (
        select recorded_at from log.events
        where topic = s.topic and partition = s.partition and position = s.low + $3 + 1
    ) e on true
    where s.low = s.high";

const FLOW: &str = concat!(
    "select ",
    columns!(),
    " from unnest($1::text[], $2::int[], $3::bigint[]) s (topic, partition, position)
     cross join lateral (
         select * from log.events
         where topic = s.topic and partition = s.partition
           and position > s.position and position <= s.position + $4
     ) e
     where e.correlation_id = $5 and ($6::timestamptz is null or e.recorded_at < $6)
       and (e.recorded_at, e.topic collate \"C\", e.partition, e.position)
           > ($7, $8 collate \"C\", $9, $10)
     order by e.recorded_at, e.topic collate \"C\", e.partition, e.position
     limit $11"
);

impl LogReader {
    /// The next events of a flow in these topics, at most `limit`, from at most [`EXAMINED`] events
    /// of each partition.
    ///
    /// An append that commits while this runs may be missed by this page and all that follow it; a
    /// flow that has come to rest is told completely.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn flow(&self, topics: &[&str], flow: &Flow, limit: i64) -> Result<FlowPage, Fault> {
        self.flow_within(topics, flow, limit, EXAMINED).await
    }

    /// The same from at most `examined` events of each partition, or as many as one append wrote.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn flow_within(
        &self,
        topics: &[&str],
        flow: &Flow,
        limit: i64,
        examined: i64,
    ) -> Result<FlowPage, Fault> {
        let failed = |error| classify("reading a flow", error);
        let mut connection = self.pool().acquire().await.map_err(failed)?;
        let mut examined = examined;
        let (starts, beyond) = loop {
            let starts: Vec<Start> = sqlx::query_as(STARTS)
                .bind(topics)
                .bind(flow.after.recorded_at)
                .bind(examined)
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
            // Up to here every partition has been looked at. An append that is larger than what may
            // be looked at is looked at as a whole.
            let beyond = starts.iter().filter_map(|start| start.3).min();
            if beyond != Some(flow.after.recorded_at) {
                break (starts, beyond);
            }
            examined *= 2;
        };
        let beyond = beyond.filter(|beyond| flow.before.is_none_or(|before| *beyond < before));
        let rows: Vec<EventRow> = sqlx::query_as(FLOW)
            .bind(starts.iter().map(|start| start.0.as_str()).collect::<Vec<_>>())
            .bind(starts.iter().map(|start| start.1).collect::<Vec<_>>())
            .bind(starts.iter().map(|start| start.2).collect::<Vec<_>>())
            .bind(examined)
            .bind(flow.correlation_id)
            .bind(beyond.or(flow.before))
            .bind(flow.after.recorded_at)
            .bind(&flow.after.topic)
            .bind(flow.after.partition)
            .bind(flow.after.position)
            .bind(limit)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        let events = stored(&mut connection, &self.schemas, rows).await?;
        let is_full = i64::try_from(events.len()).unwrap_or(i64::MAX) >= limit;
        let last = events.last().filter(|_| is_full).map(|event| Place::of(&event.envelope));
        Ok(FlowPage { next: last.or_else(|| beyond.map(Place::from_time)), events })
    }
}
