//! What came of attempts, marked in the table that they were claimed from.

use std::time::Duration;

use metrics::counter;
use sqlx::{AssertSqlSafe, PgPool};

use super::{Claimed, Outcome, pace::Pace};

/// A table of messages: `id`, `attempts`, `last_attempt_at`, `next_attempt_at`, `receiver_may_know`,
/// `last_error`, and at most one of `delivered_at`, `abandoned_at` and `withdrawn_at`.
#[derive(Debug, Clone)]
pub struct Book {
    pool: PgPool,
    table: Table,
    pace: Pace,
}

/// Which messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// What is told of alerts over a channel.
    Deliveries(&'static str),
    /// What reactions send to customers.
    Emails,
}

impl Table {
    /// As in SQL, all that there is of it in the queue; literals of this crate alone.
    fn rows(self) -> String {
        match self {
            Self::Deliveries(channel) => format!("deliveries where channel = '{channel}'"),
            Self::Emails => "emails where true".to_owned(),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Deliveries(_) => "deliveries",
            Self::Emails => "emails",
        }
    }
}

impl Book {
    /// Touches nothing yet.
    #[must_use]
    pub const fn new(pool: PgPool, table: Table, pace: Pace) -> Self {
        Self { pool, table, pace }
    }

    /// Whether something that was tried waits for its next attempt.
    pub(super) async fn waits(&self) -> Result<bool, sqlx::Error> {
        let sql = format!(
            "select exists (select from {} and delivered_at is null and abandoned_at is null
                and withdrawn_at is null and attempts > 0)",
            self.table.rows()
        );
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await
    }

    /// Marks an attempt. What was told meanwhile, or withdrawn, stays as it is.
    pub(super) async fn mark<M: Sync>(
        &self,
        queue: &'static str,
        message: &Claimed<M>,
        outcome: Outcome,
    ) -> Result<(), sqlx::Error> {
        match outcome {
            Outcome::Delivered => self.delivered(message).await,
            Outcome::Refused { why, retry_after } => {
                let again = self.again(message, retry_after);
                self.failed(queue, message, message.knew, &why, again).await
            }
            Outcome::Uncertain { why } => {
                let again = self.again(message, None);
                self.failed(queue, message, true, &why, again).await
            }
            Outcome::Rejected { why } => {
                self.failed(queue, message, message.knew, &why, None).await
            }
        }
    }

    /// The wait before the next attempt, if there is one.
    fn again<M>(&self, message: &Claimed<M>, retry_after: Option<Duration>) -> Option<Duration> {
        let left = message.attempts < self.pace.max_attempts;
        left.then(|| self.pace.wait_after(message.attempts, retry_after))
    }

    async fn delivered<M: Sync>(&self, message: &Claimed<M>) -> Result<(), sqlx::Error> {
        let sql = format!(
            "update {} set delivered_at = now(), abandoned_at = null, last_error = null
             where id = $1 and delivered_at is null and withdrawn_at is null",
            self.table.name()
        );
        sqlx::query(AssertSqlSafe(sql)).bind(message.id).execute(&self.pool).await?;
        Ok(())
    }

    async fn failed<M: Sync>(
        &self,
        queue: &'static str,
        message: &Claimed<M>,
        may_know: bool,
        why: &str,
        again: Option<Duration>,
    ) -> Result<(), sqlx::Error> {
        let sql = format!(
            "update {} set last_error = $2, receiver_may_know = $3,
                 next_attempt_at = now() + make_interval(secs => $4),
                 abandoned_at = case when $5 then now() end
             where id = $1 and delivered_at is null and withdrawn_at is null",
            self.table.name()
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(message.id)
            .bind(why)
            .bind(may_know)
            .bind(again.unwrap_or_default().as_secs_f64())
            .bind(again.is_none())
            .execute(&self.pool)
            .await?;
        let (id, attempts) = (message.id, message.attempts);
        if again.is_none() {
            counter!("factline_alerter_abandoned_total", "queue" => queue).increment(1);
            tracing::error!(message.id = %id, queue, attempts, why, "a message was given up");
        } else {
            tracing::info!(message.id = %id, queue, attempts, why, "a message is sent later");
        }
        Ok(())
    }
}
