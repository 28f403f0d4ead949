//! Whether the way from the write side to this service's database works while nothing happens:
//! heartbeats flow in as events of any kind do, their age flows out as a metric and into readiness.
//!
//! Readiness says degraded and never more: the views answer, and say themselves how old they are.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use factline_core::{DomainEvent, Recorded, heartbeat::HeartbeatEvent};
use factline_projection::{ApplyError, Freshness, Projection, ProjectionSettings, ReadGate};
use metrics::gauge;
use service_kit::{Component, Phase, Runtime, ServiceError};
use sqlx::PgConnection;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{database::Database, projecting::project, settings::ReadSettings};

/// The age is at most this much out of date; the checkpoint is one row.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A look at one row that takes longer is one that fails.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// So many intervals without one are no chance: a restart of the write side or of a broker costs one.
const MISSING_AFTER: u32 = 3;

/// Takes heartbeats into the checkpoint of its own name, which is all that there is to know.
struct Heartbeats(&'static str);

#[async_trait]
impl Projection for Heartbeats {
    type Event = HeartbeatEvent;

    fn name(&self) -> &'static str {
        self.0
    }

    async fn apply(
        &self,
        _tx: &mut PgConnection,
        _events: &[Recorded<HeartbeatEvent>],
    ) -> Result<(), ApplyError> {
        Ok(())
    }
}

/// Takes heartbeats into the service's database if this process plays `role`, and tells in every
/// process how old the newest one there is. `name` is the consumer group's and the checkpoint's:
/// permanent, and no other service's. Nothing happens where the settings say that there are none.
///
/// # Errors
/// The settings name what cannot be used.
pub fn follow_heartbeat<R: PartialEq>(
    name: &'static str,
    role: R,
    settings: &ReadSettings<R>,
    database: &Database,
    runtime: &Runtime,
) -> Result<(), ServiceError> {
    if !settings.heartbeat.is_on() {
        return Ok(());
    }
    let gate = if settings.plays(role) {
        // One event at a time in one partition: a second worker would have nothing to do.
        let pace = ProjectionSettings { workers: 1, ..settings.projection.clone() };
        project(Heartbeats(name), settings, pace, database, runtime)?.0
    } else {
        let topic = settings.kafka.topic(HeartbeatEvent::KIND);
        ReadGate::new(database.queries.clone(), name, vec![topic.into()])
    };
    let every = Duration::from_millis(settings.heartbeat.every_ms.into());
    let component = runtime.health.component("heartbeat");
    runtime.tasks.spawn(Phase::Watching, "heartbeat", move |stop| async move {
        watch(&gate, every, &component, stop).await;
        Ok(())
    });
    Ok(())
}

/// While the database does not answer, the newest one that it told of grows older.
async fn watch(gate: &ReadGate, every: Duration, component: &Component, stop: CancellationToken) {
    let mut newest = Newest { began_at: Utc::now(), recorded_at: None };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        let look = timeout(LOOK_WITHIN, gate.wait_for(&[], Duration::ZERO));
        if let Ok(Ok(freshness)) = look.await {
            newest.look(&freshness);
        }
        let age = newest.age(Utc::now());
        gauge!("factline_heartbeat_age_seconds").set(age.as_secs_f64());
        match newest.missing(age, every) {
            None => component.ready(),
            Some(reason) => component.degraded(reason),
        }
    }
}

/// The newest heartbeat that the database has shown.
#[derive(Debug, Clone, Copy)]
struct Newest {
    /// The age before the first one counts from here.
    began_at: DateTime<Utc>,
    recorded_at: Option<DateTime<Utc>>,
}

impl Newest {
    fn look(&mut self, freshness: &Freshness) {
        let shown = freshness.partitions.iter().filter_map(|one| one.recorded_at).max();
        self.recorded_at = shown.or(self.recorded_at);
    }

    /// Since it was recorded; nothing when the log's clock is ahead of this one.
    fn age(&self, now: DateTime<Utc>) -> Duration {
        (now - self.recorded_at.unwrap_or(self.began_at)).to_std().unwrap_or_default()
    }

    /// What to say when it is too old. True of a service that was off over night, until the next comes.
    fn missing(&self, age: Duration, every: Duration) -> Option<String> {
        if age <= every * MISSING_AFTER {
            return None;
        }
        let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        Some(match self.recorded_at {
            Some(at) => format!("no heartbeat has come since {}", text(at)),
            None => format!("no heartbeat has come since the start at {}", text(self.began_at)),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use factline_core::Position;
    use factline_projection::PartitionFreshness;

    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_700_000_000 + seconds, 0).unwrap()
    }

    fn shown(recorded_at: Option<DateTime<Utc>>) -> Freshness {
        let partition = PartitionFreshness {
            topic: "factline.heartbeat.v1".into(),
            partition: 0,
            partitions: 1,
            position: Position(7),
            recorded_at,
        };
        Freshness { partitions: vec![partition] }
    }

    #[test]
    fn the_age_counts_from_the_newest_one_and_before_the_first_from_the_start() {
        let mut newest = Newest { began_at: at(0), recorded_at: None };
        assert_eq!(newest.age(at(5)), Duration::from_secs(5));
        newest.look(&shown(Some(at(4))));
        assert_eq!(newest.age(at(5)), Duration::from_secs(1));
        newest.look(&Freshness::default());
        assert_eq!(newest.age(at(50)), Duration::from_secs(46), "what was shown is known");
        assert_eq!(newest.age(at(3)), Duration::ZERO, "a clock that is behind");
    }

    #[test]
    fn three_intervals_without_one_are_told() {
        let newest = Newest { began_at: at(0), recorded_at: Some(at(10)) };
        assert_eq!(newest.missing(newest.age(at(100)), EVERY), None);
        let told = newest.missing(newest.age(at(101)), EVERY).unwrap();
        assert_eq!(told, "no heartbeat has come since 2023-11-14T22:13:30Z");
        let none = Newest { began_at: at(0), recorded_at: None };
        assert!(none.missing(none.age(at(91)), EVERY).unwrap().contains("since the start"));
    }
}
