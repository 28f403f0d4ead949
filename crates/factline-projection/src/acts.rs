//! What an operator asks of a projection, through its database: a row says who wants what and why, a
//! projector's process carries it out and answers in the same row. Nothing here is ever deleted: the
//! rows are the audit trail.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use crate::row;

/// What can be asked about a parked stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Apply its parked events, in order; then it is live again.
    Retry,
    /// Find out what a retry would do; change nothing.
    DryRun,
    /// Pass over its first parked event, which stands at this position.
    Skip {
        /// In the partition.
        position: i64,
    },
}

impl Wish {
    /// As in the column `act`.
    #[must_use]
    pub const fn act(self) -> &'static str {
        match self {
            Self::Retry | Self::DryRun => "retry",
            Self::Skip { .. } => "skip",
        }
    }

    /// As in metrics and logs, where a dry run is told apart.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::DryRun => "dry_run",
            Self::Skip { .. } => "skip",
        }
    }
}

/// An act that nobody has asked for yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAct<'a> {
    /// The person.
    pub who: &'a str,
    /// What is to be done.
    pub wish: Wish,
    /// By which projection.
    pub projection: &'a str,
    /// Of the stream.
    pub topic: &'a str,
    /// The parked stream.
    pub stream_id: &'a str,
    /// Why. A skip is refused by the database without one.
    pub reason: Option<&'a str>,
}

row! {
    /// An act, and what became of it.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    #[allow(missing_docs)] // the columns of projection.operator_acts
    pub struct Act {
        pub id: i64,
        pub asked_at: DateTime<Utc>,
        pub who: String,
        pub act: String,
        pub projection: String,
        pub topic: String,
        pub stream_id: String,
        pub position: Option<i64>,
        pub reason: Option<String>,
        pub dry_run: bool,
        pub state: String,
        pub outcome: Option<Json<Outcome>>,
        pub finished_at: Option<DateTime<Utc>>,
    }
}

impl Act {
    /// What was asked. The table's checks admit nothing else.
    #[must_use]
    pub fn wish(&self) -> Wish {
        match self.position {
            Some(position) if self.act == "skip" => Wish::Skip { position },
            Some(_) | None if self.dry_run => Wish::DryRun,
            Some(_) | None => Wish::Retry,
        }
    }

    /// Whether nothing more will become of it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state != "asked"
    }

    /// Whether it was done; for a dry run: whether it could be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == "done"
    }
}

/// What became of an act.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Events that had their effect by it; of a dry run: that would have.
    pub applied: i64,
    /// Events that turned out to have had their effect before; they were not applied twice.
    pub known: i64,
    /// Events of the stream that are parked after it.
    pub still_parked: i64,
    /// The event that cannot be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<EventCause>,
    /// The event that was passed over, with the cause that it was parked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<EventCause>,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What the projector waits for before it tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// An event and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the columns of projection.parked_events
pub struct EventCause {
    pub event_id: Uuid,
    pub event_type: String,
    pub partition: i32,
    pub position: i64,
    pub version: i64,
    pub code: String,
    pub detail: String,
}

/// Asks for an act; answers its id.
///
/// # Errors
/// The database fails, or refuses a skip without a reason or an act without a person.
pub async fn ask(database: &PgPool, act: &NewAct<'_>) -> Result<i64, sqlx::Error> {
    let position = match act.wish {
        Wish::Skip { position } => Some(position),
        Wish::Retry | Wish::DryRun => None,
    };
    sqlx::query_scalar(
        "insert into projection.operator_acts
             (who, act, projection, topic, stream_id, position, reason, dry_run)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
    )
    .bind(act.who)
    .bind(act.wish.act())
    .bind(act.projection)
    .bind(act.topic)
    .bind(act.stream_id)
    .bind(position)
    .bind(act.reason)
    .bind(act.wish == Wish::DryRun)
    .fetch_one(database)
    .await
}

/// An act as it stands now.
///
/// # Errors
/// The database fails, or has no such act.
pub async fn find(database: &PgPool, id: i64) -> Result<Act, sqlx::Error> {
    sqlx::query_as("select * from projection.operator_acts where id = $1")
        .bind(id)
        .fetch_one(database)
        .await
}
