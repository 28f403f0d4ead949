//! What an operator asks of an instance, through the database: a row says who wants what and why, a process
//! of the service carries it out and answers in the same row. Nothing here is ever deleted: the rows are
//! the audit trail.

use chrono::{DateTime, Utc};
use factline_projection::row;
use serde::Serialize;
use sqlx::PgPool;

pub use crate::wishes::Wish;

impl Wish {
    /// As in the column `act`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Compensate => "compensate",
        }
    }

    pub(crate) fn read(text: &str) -> Self {
        match text {
            "retry" => Self::Retry,
            "skip" => Self::Skip,
            _ => Self::Compensate, // the table's check admits nothing else
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
    /// Of which saga.
    pub saga: &'a str,
    /// Which one.
    pub instance: &'a str,
    /// Why; the database refuses an act without a reason or a person.
    pub reason: &'a str,
}

row! {
    /// An act, and what became of it.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    #[allow(missing_docs)] // the columns of saga.operator_acts
    pub struct Act {
        pub id: i64,
        pub asked_at: DateTime<Utc>,
        pub who: String,
        pub act: String,
        pub saga: String,
        pub instance: String,
        pub reason: String,
        pub state: String,
        pub outcome: Option<String>,
        pub finished_at: Option<DateTime<Utc>>,
    }
}

impl Act {
    /// Whether nothing more will become of it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state != "asked"
    }

    /// Whether it was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == "done"
    }
}

/// Asks for an act; answers its id.
///
/// # Errors
/// The database fails, or refuses an act without a reason or a person.
pub async fn ask(database: &PgPool, act: &NewAct<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "insert into saga.operator_acts (who, act, saga, instance, reason)
         values ($1, $2, $3, $4, $5) returning id",
    )
    .bind(act.who)
    .bind(act.wish.as_str())
    .bind(act.saga)
    .bind(act.instance)
    .bind(act.reason)
    .fetch_one(database)
    .await
}

/// An act as it stands now.
///
/// # Errors
/// The database fails, or has no such act.
pub async fn find(database: &PgPool, id: i64) -> Result<Act, sqlx::Error> {
    sqlx::query_as("select * from saga.operator_acts where id = $1")
        .bind(id)
        .fetch_one(database)
        .await
}

/// Every act about an instance, the first one first.
///
/// # Errors
/// The database fails.
pub async fn of(database: &PgPool, saga: &str, instance: &str) -> Result<Vec<Act>, sqlx::Error> {
    sqlx::query_as("select * from saga.operator_acts where saga = $1 and instance = $2 order by id")
        .bind(saga)
        .bind(instance)
        .fetch_all(database)
        .await
}
