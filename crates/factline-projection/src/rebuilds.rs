//! What an operator asks about rebuilding a view, through the projector's database: a row says who wants
//! it and why, a projector's process builds and answers in the same row. Nothing here is ever deleted: the
//! rows are the audit trail.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgPool, types::Json};

use crate::row;

/// What a rebuild begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// An empty table and the log's first event.
    Nothing,
    /// The table that the last switch has kept, at the positions where it was left: a rollback.
    Previous,
}

/// A rebuild that nobody has asked for yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRebuild<'a> {
    /// The person.
    pub who: &'a str,
    /// Why; the database refuses one without.
    pub reason: &'a str,
    /// Of which projection's view.
    pub projection: &'a str,
    /// With what.
    pub begin: Begin,
    /// No faster than this; `None`: as fast as it goes.
    pub events_per_second: Option<i32>,
    /// Switch also when the rows differ. A rollback always does: it is for rows that differ.
    pub accept_difference: bool,
}

/// What can be said about a rebuild that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Catch up, compare again, and switch if the rows are equal or a difference is accepted.
    Switch {
        /// Whether it is.
        accept_difference: bool,
    },
    /// Leave nothing of it. Of a rollback: put the previous table back.
    Cancel,
    /// Drop the table that the last switch has kept; there is no rollback then.
    DropPrevious,
}

impl Wish {
    /// As in the column `wish`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Switch { .. } => "switch",
            Self::Cancel => "cancel",
            Self::DropPrevious => "drop_previous",
        }
    }

    const fn accepts(self) -> bool {
        match self {
            Self::Switch { accept_difference } => accept_difference,
            Self::Cancel | Self::DropPrevious => false,
        }
    }
}

row! {
    /// A rebuild, and what became of it.
    #[derive(Debug, Clone, PartialEq, Serialize)]
    #[allow(missing_docs)] // the columns of projection.rebuilds
    pub struct Rebuild {
        pub id: i64,
        pub asked_at: DateTime<Utc>,
        pub who: String,
        pub reason: String,
        pub projection: String,
        pub begins_with: String,
        pub events_per_second: Option<i32>,
        pub accept_difference: bool,
        pub state: String,
        pub wish: Option<String>,
        pub said: Json<Vec<Said>>,
        pub began_with: i64,
        pub started_at: Option<DateTime<Utc>>,
        pub finished_at: Option<DateTime<Utc>>,
        pub heads: Option<Json<Value>>,
        pub difference: Option<Json<Difference>>,
        pub waiting: Option<String>,
        pub error: Option<String>,
    }
}

impl Rebuild {
    /// Whether something is still being done or decided about it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(&*self.state, "asked" | "building" | "ready")
    }

    /// Whether its table is the live one now, or was.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        matches!(&*self.state, "switched" | "rolled_back")
    }

    pub(crate) fn is_rollback(&self) -> bool {
        self.begins_with == "previous"
    }
}

/// A wish, on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // what, who, when and why
pub struct Said {
    pub wish: String,
    pub who: String,
    pub at: DateTime<Utc>,
    pub reason: Option<String>,
}

/// What the comparison of the rebuilt table with the live one found, at the same positions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Difference {
    /// Rows that the live table lacks.
    pub missing: i64,
    /// Rows that only the live table has.
    pub extra: i64,
    /// Rows that both have and that are not the same.
    pub different: i64,
    /// The first of these rows, by key.
    pub samples: Vec<RowDifference>,
    /// Streams that stand still in the live view and flow in the rebuilt one.
    pub repaired_streams: Vec<String>,
    /// Streams that flow in the live view and stand still in the rebuilt one.
    pub newly_parked_streams: Vec<String>,
}

impl Difference {
    /// Whether a switch shows readers nothing new and stops no stream.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.rows() == 0 && self.newly_parked_streams.is_empty()
    }

    /// Rows that are not the same.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.missing + self.extra + self.different
    }
}

/// One row that is not the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowDifference {
    /// `missing`, `extra` or `different`.
    pub what: String,
    /// The key's columns.
    pub key: Value,
    /// The columns that differ.
    pub columns: Vec<ColumnDifference>,
}

/// One column that is not the same; null also where the row is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the column and its two values
pub struct ColumnDifference {
    pub column: String,
    pub live: Value,
    pub rebuilt: Value,
}

row! {
    /// How far the table beside the live one is.
    #[derive(Debug, Clone, PartialEq, Serialize)]
    pub struct Progress {
        /// The rebuild.
        pub id: i64,
        /// Events that it has applied or left out.
        pub done: i64,
        /// Events that the live view has seen.
        pub total: i64,
        /// On average since it was begun; 0 in its first moment.
        pub events_per_second: f64,
    }
}

impl Progress {
    /// Until it has caught up, at the speed so far; `None` when nothing can be said yet.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // positions stay far below 2^53
    pub fn seconds_left(&self) -> Option<f64> {
        let left = (self.total - self.done).max(0) as f64;
        (self.events_per_second > 0.0).then(|| left / self.events_per_second)
    }
}

/// Asks for a rebuild; answers its id.
///
/// # Errors
/// The database fails, or refuses: one without a person or a reason, or a second one beside an open one
/// ([`sqlx::error::DatabaseError::is_unique_violation`]).
pub async fn ask(database: &PgPool, rebuild: &NewRebuild<'_>) -> Result<i64, sqlx::Error> {
    let begins_with = match rebuild.begin {
        Begin::Nothing => "nothing",
        Begin::Previous => "previous",
    };
    sqlx::query_scalar(
        "insert into projection.rebuilds
             (who, reason, projection, begins_with, events_per_second, accept_difference)
         values ($1, $2, $3, $4, $5, $6) returning id",
    )
    .bind(rebuild.who)
    .bind(rebuild.reason)
    .bind(rebuild.projection)
    .bind(begins_with)
    .bind(rebuild.events_per_second)
    .bind(rebuild.accept_difference || rebuild.begin == Begin::Previous)
    .fetch_one(database)
    .await
}

const SAY: &str = "
    update projection.rebuilds r
    set wish = $2::text, accept_difference = accept_difference or $3,
        said = said || jsonb_build_object(
            'wish', $2::text, 'who', $4::text, 'at', now(), 'reason', $5::text)
    where r.projection = $1 and case $2::text
        when 'switch' then state = 'ready'
        when 'cancel' then state in ('asked', 'building', 'ready')
        else id = (select max(id) from projection.rebuilds
                   where projection = $1 and state = 'switched')
    end returning id";

/// Says something about the rebuild of a projection; answers which it is, or `None` when there is
/// none that it can be said about.
///
/// # Errors
/// The database fails.
pub async fn say(
    database: &PgPool,
    projection: &str,
    wish: Wish,
    who: &str,
    reason: Option<&str>,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(SAY)
        .bind(projection)
        .bind(wish.label())
        .bind(wish.accepts())
        .bind(who)
        .bind(reason)
        .fetch_optional(database)
        .await
}

/// A rebuild as it stands now.
///
/// # Errors
/// The database fails, or has no such rebuild.
pub async fn find(database: &PgPool, id: i64) -> Result<Rebuild, sqlx::Error> {
    sqlx::query_as("select * from projection.rebuilds where id = $1")
        .bind(id)
        .fetch_one(database)
        .await
}

/// Every rebuild that was ever asked for, oldest first.
///
/// # Errors
/// The database fails.
pub async fn all(database: &PgPool) -> Result<Vec<Rebuild>, sqlx::Error> {
    sqlx::query_as("select * from projection.rebuilds order by id").fetch_all(database).await
}

/// How far the open rebuilds are.
///
/// # Errors
/// The database fails.
pub async fn progress(database: &PgPool) -> Result<Vec<Progress>, sqlx::Error> {
    sqlx::query_as(
        "select id, done, total,
                coalesce((done - began_with) / nullif(seconds, 0), 0)::float8 as events_per_second
         from (
             select r.id, r.began_with,
                    extract(epoch from now() - r.started_at) as seconds,
                    coalesce((select sum(position) from projection.rebuild_positions
                              where projection = r.projection || '/next'), 0)::bigint as done,
                    coalesce((select sum(position) from projection.checkpoints
                              where projection = r.projection), 0)::bigint as total
             from projection.rebuilds r where state in ('building', 'ready')
         ) r order by id",
    )
    .fetch_all(database)
    .await
}

/// The projections that have a table kept for a rollback.
///
/// # Errors
/// The database fails.
pub async fn kept(database: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select distinct split_part(projection, '/', 1) from projection.rebuild_positions
         where projection like '%/previous' order by 1",
    )
    .fetch_all(database)
    .await
}
