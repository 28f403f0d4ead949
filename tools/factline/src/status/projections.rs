//! How far a projector's projections are behind the log, and what they parked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use factline_projection::inspect::{self, CheckpointRow};
use serde::Serialize;
use sqlx::PgPool;

use crate::failure::Failure;
use crate::sources::{Projector, Topic};

/// One projection on one topic.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct ProjectionStatus {
    pub(super) service: String,
    pub(super) projection: String,
    pub(super) topic: String,
    /// Events that it has seen.
    pub(super) position: i64,
    pub(super) lag_events: i64,
    pub(super) lag_seconds: f64,
    /// Since the newest event that it has seen was recorded; none before the first.
    pub(super) age_seconds: Option<f64>,
    pub(super) parked_streams: usize,
    pub(super) parked_events: i64,
    /// Records on the topic that are no events.
    pub(super) foreign_records: i64,
    pub(super) partitions: Vec<Partition>,
}

/// One partition of it.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Partition {
    pub(super) partition: i32,
    pub(super) position: i64,
    pub(super) head: i64,
    pub(super) lag_events: i64,
}

/// Asks a projector's database, and the log for how old what is missing is.
///
/// # Errors
/// A database does not answer, or was never migrated.
pub(super) async fn ask(
    projector: &Projector,
    topics: &[Topic],
    log: &PgPool,
) -> Result<Vec<ProjectionStatus>, Failure> {
    let checkpoints = inspect::checkpoints(&projector.database).await?;
    let mut all = from_checkpoints(&projector.service, &checkpoints, topics, Utc::now());
    let streams = inspect::parked_streams(&projector.database).await?;
    let events = inspect::parked_event_counts(&projector.database).await?;
    let foreign: Vec<(String, i64)> =
        sqlx::query_as("select projection, count(*) from projection.foreign_records group by 1")
            .fetch_all(&projector.database)
            .await?;
    let of = |counts: &[(String, i64)], name: &str| {
        counts.iter().find(|(projection, _)| projection == name).map_or(0, |(_, count)| *count)
    };
    for one in &mut all {
        let parked = streams.iter().filter(|stream| stream.projection == one.projection);
        one.parked_streams = parked.count();
        one.parked_events = of(&events, &one.projection);
        one.foreign_records = of(&foreign, &one.projection);
        if one.lag_events > 0 {
            one.lag_seconds = lag_seconds(log, one).await?;
        }
    }
    Ok(all)
}

/// A partition without a checkpoint has seen nothing.
fn from_checkpoints(
    service: &str,
    checkpoints: &[CheckpointRow],
    topics: &[Topic],
    now: DateTime<Utc>,
) -> Vec<ProjectionStatus> {
    let mut positions: BTreeMap<(&str, &str), BTreeMap<i32, i64>> = BTreeMap::new();
    for row in checkpoints {
        let partitions = positions.entry((&row.projection, &row.topic)).or_default();
        partitions.insert(row.partition, row.position);
    }
    let status = |((projection, name), seen): ((&str, &str), BTreeMap<i32, i64>)| {
        let topic = topics.iter().find(|topic| topic.name == name);
        let heads = topic.map(|topic| topic.heads.as_slice()).unwrap_or_default();
        let partitions: Vec<Partition> = (0..)
            .zip(heads)
            .map(|(partition, head)| {
                let position = seen.get(&partition).copied().unwrap_or_default();
                let lag_events = (head - position).max(0);
                Partition { partition, position, head: *head, lag_events }
            })
            .collect();
        ProjectionStatus {
            service: service.to_owned(),
            projection: projection.to_owned(),
            topic: name.to_owned(),
            position: partitions.iter().map(|one| one.position).sum(),
            lag_events: partitions.iter().map(|one| one.lag_events).sum(),
            lag_seconds: 0.0,
            age_seconds: age_seconds(checkpoints, projection, name, now),
            parked_streams: 0,
            parked_events: 0,
            foreign_records: 0,
            partitions,
        }
    };
    positions.into_iter().map(status).collect()
}

/// Clocks that differ must not make it younger than nothing.
fn age_seconds(
    checkpoints: &[CheckpointRow],
    projection: &str,
    topic: &str,
    now: DateTime<Utc>,
) -> Option<f64> {
    let own = checkpoints.iter().filter(|row| row.projection == projection && row.topic == topic);
    let newest = own.filter_map(|row| row.recorded_at).max()?;
    Some((now - newest).to_std().unwrap_or_default().as_secs_f64())
}

/// How long ago the oldest unseen event was recorded, by the log's own clock.
async fn lag_seconds(log: &PgPool, status: &ProjectionStatus) -> Result<f64, Failure> {
    const OLDEST: &str = "
        select extract(epoch from clock_timestamp() - min(e.recorded_at))::float8
        from unnest($2::int[], $3::bigint[]) seen (partition, position)
        join log.events e on e.topic = $1 and e.partition = seen.partition
                         and e.position = seen.position + 1";
    let behind: Vec<&Partition> =
        status.partitions.iter().filter(|one| one.lag_events > 0).collect();
    let seconds: Option<f64> = sqlx::query_scalar(OLDEST)
        .bind(&status.topic)
        .bind(behind.iter().map(|one| one.partition).collect::<Vec<_>>())
        .bind(behind.iter().map(|one| one.position).collect::<Vec<_>>())
        .fetch_one(log)
        .await?;
    Ok(seconds.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(projection: &str, partition: i32, position: i64) -> CheckpointRow {
        CheckpointRow {
            projection: projection.to_owned(),
            topic: "factline.parcel.v1".to_owned(),
            partition,
            position,
            next_offset: None,
            partitions: 2,
            recorded_at: None,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_lag_is_what_the_log_has_and_the_projection_has_not_seen() {
        let topics = [Topic {
            name: "factline.parcel.v1".to_owned(),
            heads: vec![10, 7],
            relayed: vec![10, 7],
        }];
        let rows = [checkpoint("a", 0, 10), checkpoint("a", 1, 4), checkpoint("b", 0, 0)];
        let all = from_checkpoints("parcels", &rows, &topics, DateTime::UNIX_EPOCH);
        let lags: Vec<_> = all.iter().map(|one| (one.position, one.lag_events)).collect();
        assert_eq!(lags, [(14, 3), (0, 17)]);
    }

    #[test]
    fn the_age_is_that_of_the_newest_event_of_any_partition() {
        let at = |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0);
        let mut rows = [checkpoint("a", 0, 10), checkpoint("a", 1, 4), checkpoint("b", 0, 0)];
        (rows[0].recorded_at, rows[1].recorded_at) = (at(5), at(7));
        let age = |name| age_seconds(&rows, name, "factline.parcel.v1", at(9).unwrap());
        assert_eq!((age("a"), age("b")), (Some(2.0), None));
    }
}
