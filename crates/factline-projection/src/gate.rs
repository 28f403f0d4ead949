//! Read your writes: a query waits until its projection has passed the tokens that it carries.
//!
//! Works from the checkpoints in the database, so it serves every process that reads it, also one
//! that does not project. In the projecting process a commit wakes it; elsewhere it looks again
//! every few milliseconds. However many wait, one of them asks the database at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use factline_core::{Position, Token};
use sqlx::PgPool;
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use crate::failure::class_of;

/// How often waiting queries look at the checkpoints when nothing wakes them.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How old an answer may be for a query that waits for nothing. It says "at least", so age only
/// makes it modest.
const GOOD_FOR: Duration = Duration::from_millis(50);

/// Cheap to clone; clones share what was last read.
#[derive(Debug, Clone)]
pub struct ReadGate {
    inner: Arc<Inner>,
    moved: watch::Receiver<u64>,
}

#[derive(Debug)]
struct Inner {
    database: PgPool,
    projection: String,
    topics: Vec<Arc<str>>,
    last: Mutex<Option<Last>>,
    /// Keeps the channel open in a process that does not project.
    _idle: Option<watch::Sender<u64>>,
}

#[derive(Debug, Clone)]
struct Last {
    read_at: Instant,
    /// The commit counter when the read began.
    commits: u64,
    freshness: Freshness,
}

/// How far a projection is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Freshness {
    /// By topic and partition.
    pub partitions: Vec<PartitionFreshness>,
}

/// How far a projection is in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFreshness {
    /// The topic.
    pub topic: Arc<str>,
    /// From 0.
    pub partition: i32,
    /// How many there are.
    pub partitions: i32,
    /// The last event that had its effect.
    pub position: Position,
    /// When the log recorded that event; `None` before the first.
    pub recorded_at: Option<DateTime<Utc>>,
}

/// Why a query cannot be answered as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The token names a topic or partition that this projection does not read: a 400.
    #[error("this projection does not read partition {partition} of {topic}")]
    Unknown {
        /// The token's topic.
        topic: Arc<str>,
        /// The token's partition.
        partition: i32,
    },
    /// The projection has not come so far within the deadline: a 503 with Retry-After.
    #[error("the projection is at position {current}, not yet at {}", .token.position)]
    NotYet {
        /// What was waited for.
        token: Token,
        /// How far it is.
        current: Position,
    },
    /// The checkpoints cannot be read: a 503.
    #[error("the projection's checkpoints cannot be read: {0}")]
    Unavailable(#[from] sqlx::Error),
}

impl ReadGate {
    /// For a process that reads a projection's tables and does not project.
    #[must_use]
    pub fn new(database: PgPool, projection: &str, topics: Vec<Arc<str>>) -> Self {
        let (idle, moved) = watch::channel(0);
        Self::build(database, projection, topics, moved, Some(idle))
    }

    pub(crate) fn woken_by(
        database: PgPool,
        projection: &str,
        topics: Vec<Arc<str>>,
        moved: watch::Receiver<u64>,
    ) -> Self {
        Self::build(database, projection, topics, moved, None)
    }

    fn build(
        database: PgPool,
        projection: &str,
        topics: Vec<Arc<str>>,
        moved: watch::Receiver<u64>,
        idle: Option<watch::Sender<u64>>,
    ) -> Self {
        let (projection, last) = (projection.to_owned(), Mutex::new(None));
        Self { inner: Arc::new(Inner { database, projection, topics, last, _idle: idle }), moved }
    }

    /// Whether the projection reads a topic; a token of any other is [`GateError::Unknown`].
    #[must_use]
    pub fn reads(&self, topic: &str) -> bool {
        self.inner.topics.iter().any(|one| **one == *topic)
    }

    /// Waits until the projection has passed every token, at most for `within`. What it returns was
    /// read before the caller's own query, so that query sees at least as much. Without tokens it
    /// only says how fresh the projection is. Safe to cancel.
    ///
    /// # Errors
    /// See [`GateError`].
    pub async fn wait_for(
        &self,
        tokens: &[Token],
        within: Duration,
    ) -> Result<Freshness, GateError> {
        let until = Instant::now() + within;
        let mut moved = self.moved.clone();
        let mut commits = *moved.borrow_and_update();
        let mut freshness = self.read(commits, GOOD_FOR).await?;
        loop {
            let Some((token, current)) = self.first_missing(&freshness, tokens)? else {
                return Ok(freshness);
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(GateError::NotYet { token: token.clone(), current });
            }
            // Woken, timed out, or nobody projects here any more: each way it looks again.
            drop(timeout(LOOK_EVERY.min(left), moved.changed()).await);
            commits = commits.max(*moved.borrow_and_update());
            freshness = self.read(commits, LOOK_EVERY).await?;
        }
    }

    fn first_missing<'t>(
        &self,
        freshness: &Freshness,
        tokens: &'t [Token],
    ) -> Result<Option<(&'t Token, Position)>, GateError> {
        for token in tokens {
            let mut of_topic = freshness.partitions.iter().filter(|one| one.topic == token.topic);
            let count = of_topic.clone().next().map(|one| one.partitions);
            let known = self.reads(&token.topic);
            if !known || count.is_some_and(|count| token.partition >= count) {
                let (topic, partition) = (token.topic.clone(), token.partition);
                return Err(GateError::Unknown { topic, partition });
            }
            let found = of_topic.find(|one| one.partition == token.partition);
            let current = found.map_or(Position::ZERO, |one| one.position);
            if current < token.position {
                return Ok(Some((token, current)));
            }
        }
        Ok(None)
    }

    /// The checkpoints; an answer that another caller got a moment ago, and after the last commit
    /// here, is as good.
    async fn read(&self, commits: u64, good_for: Duration) -> Result<Freshness, GateError> {
        let mut last = self.inner.last.lock().await;
        if let Some(last) = &*last
            && last.read_at.elapsed() < good_for
            && last.commits >= commits
        {
            return Ok(last.freshness.clone());
        }
        let read_at = Instant::now();
        let freshness = read_checkpoints(&self.inner.database, &self.inner.projection).await?;
        *last = Some(Last { read_at, commits, freshness: freshness.clone() });
        Ok(freshness)
    }
}

impl Freshness {
    /// For the header `Projection-Position`: `topic:partition:position`, separated by commas.
    #[must_use]
    pub fn header(&self) -> String {
        let token =
            |one: &PartitionFreshness| format!("{}:{}:{}", one.topic, one.partition, one.position);
        self.partitions.iter().map(token).collect::<Vec<_>>().join(", ")
    }

    /// Seconds since the log recorded the newest event that had its effect; `None` before the
    /// first. On an idle log it grows although nothing is missing: it bounds the lag, it is not it.
    #[must_use]
    pub fn age_seconds(&self, now: DateTime<Utc>) -> Option<f64> {
        let newest = self.partitions.iter().filter_map(|one| one.recorded_at).max()?;
        let millis = (now - newest).num_milliseconds().max(0);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0)).as_secs_f64())
    }
}

impl GateError {
    /// May the same question be answered in a moment?
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unknown { .. } => false,
            Self::NotYet { .. } => true,
            Self::Unavailable(error) => class_of(error) != crate::Class::Config,
        }
    }
}

async fn read_checkpoints(database: &PgPool, projection: &str) -> Result<Freshness, sqlx::Error> {
    type Row = (String, i32, i32, i64, Option<DateTime<Utc>>);
    let rows: Vec<Row> = sqlx::query_as(
        "select topic, partition, partitions, position, recorded_at
         from projection.checkpoints where projection = $1 order by topic, partition",
    )
    .bind(projection)
    .fetch_all(database)
    .await?;
    let one = |(topic, partition, partitions, position, recorded_at): Row| PartitionFreshness {
        topic: topic.into(),
        partition,
        partitions,
        position: Position(position),
        recorded_at,
    };
    Ok(Freshness { partitions: rows.into_iter().map(one).collect() })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn freshness(positions: &[i64]) -> Freshness {
        let partition = |(partition, position): (i32, &i64)| PartitionFreshness {
            topic: "factline.parcel.v1".into(),
            partition,
            partitions: 4,
            position: Position(*position),
            recorded_at: Utc.timestamp_opt(1_700_000_000 + position, 0).single(),
        };
        Freshness { partitions: (0..).zip(positions).map(partition).collect() }
    }

    fn gate() -> ReadGate {
        let pool = PgPool::connect_lazy("postgres://localhost/nowhere").unwrap();
        ReadGate::new(pool, "parcels", vec!["factline.parcel.v1".into()])
    }

    fn missing(freshness: &Freshness, token: &str) -> Result<Option<i64>, GateError> {
        let tokens = [token.parse().unwrap()];
        gate().first_missing(freshness, &tokens).map(|found| found.map(|(_, current)| current.0))
    }

    #[tokio::test]
    async fn a_token_is_passed_waited_for_or_unknown() {
        let here = freshness(&[5, 9]);
        assert_eq!(missing(&here, "factline.parcel.v1:1:9").unwrap(), None);
        assert_eq!(missing(&here, "factline.parcel.v1:0:6").unwrap(), Some(5));
        assert_eq!(missing(&here, "factline.parcel.v1:3:1").unwrap(), Some(0), "not read yet");
        for unknown in ["factline.parcel.v1:4:1", "factline.letter.v1:0:1"] {
            let refused = missing(&here, unknown);
            assert!(matches!(refused, Err(GateError::Unknown { .. })), "h38 {unknown}");
        }
    }

    #[tokio::test]
    async fn before_the_first_assignment_a_token_is_waited_for() {
        let nothing = Freshness::default();
        assert_eq!(missing(&nothing, "factline.parcel.v1:7:1").unwrap(), Some(0));
    }

    #[test]
    fn freshness_is_told_as_positions_and_seconds() {
        let here = freshness(&[5, 9]);
        assert_eq!(here.header(), "factline.parcel.v1:0:5, factline.parcel.v1:1:9");
        let now = Utc.timestamp_opt(1_700_000_012, 500_000_000).unwrap();
        assert_eq!(here.age_seconds(now), Some(3.5));
        assert_eq!(Freshness::default().age_seconds(now), None);
    }
}
