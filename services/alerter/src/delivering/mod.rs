//! Tells alerts: rows of `deliveries` flow in, signed posts or mails flow out.
//!
//! What may be told now is decided in one transaction, one process at a time for each channel
//! (`storm` says how much of it), and only then sent, without a lock; see [`outbox`](crate::outbox).
//! A resolution waits until its opening has been told. What a silence matches, or an open episode
//! inhibits, waits until that is over, and is withdrawn if it resolves before.

mod letter;
mod storm;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    email::Smtp,
    outbox::{
        Claimed, Outcome, Queue, Sender,
        book::{Book, Table},
        pace::Pace,
    },
    rules::{Channel, Rules},
    webhook::{Answer, Webhook},
};

/// Over what a process tells alerts.
pub enum Way {
    /// Posts.
    Webhook(Webhook),
    /// Mail to this address.
    Email(Smtp, String),
}

impl Way {
    const fn channel(&self) -> Channel {
        match self {
            Self::Webhook(_) => Channel::Webhook,
            Self::Email(_, _) => Channel::Email,
        }
    }

    /// What `disabled_endpoints` knows it as; nobody's where there is nothing to disable.
    fn endpoint_id(&self) -> Uuid {
        match self {
            Self::Webhook(webhook) => webhook.endpoint_id(),
            Self::Email(_, _) => Uuid::nil(),
        }
    }
}

/// The alerts of one channel.
pub struct Delivering {
    pool: PgPool,
    way: Way,
    pace: Pace,
    most_per_minute: u32,
    rules: Rules,
}

impl Delivering {
    /// Touches nothing yet. Of each channel at most `most_per_minute` messages are begun in a minute.
    #[must_use]
    pub const fn new(
        pool: PgPool,
        way: Way,
        pace: Pace,
        most_per_minute: u32,
        rules: Rules,
    ) -> Self {
        Self { pool, way, pace, most_per_minute, rules }
    }

    /// With what sends it.
    #[must_use]
    pub fn sender(self) -> Sender<Self> {
        let table = Table::Deliveries(self.way.channel().as_str());
        let book = Book::new(self.pool.clone(), table, self.pace);
        let poll = std::time::Duration::from_millis(self.pace.poll_ms);
        Sender::new(self, book, poll)
    }

    /// Takes what may be told, of what was never tried at most `untried`.
    async fn take(
        &self,
        tx: &mut PgConnection,
        untried: i64,
    ) -> Result<Vec<Claimed<String>>, sqlx::Error> {
        let sql = format!(
            // Chosen once: as a part of the join it could be chosen anew for every row.
            "with due as materialized (
                 select due.id, due.receiver_may_know as knew {}
                   and (due.attempts > 0 or due.id in (
                       select due.id {} and due.attempts = 0 {} limit $6))
                 {} limit $7 for update of due skip locked
             )
             update deliveries d
             set attempts = d.attempts + 1, last_attempt_at = now(), receiver_may_know = true,
                 first_attempt_at = coalesce(d.first_attempt_at, now()),
                 next_attempt_at = now() + make_interval(secs => $5)
             from due
             where d.id = due.id
             returning d.id, d.body, d.attempts, due.knew",
            storm::TELLABLE,
            storm::TELLABLE,
            storm::WORST_FIRST,
            storm::WORST_FIRST,
        );
        let (rules, by_rules, by_subjects) = storm::inhibitions(&self.rules);
        let rows: Vec<(Uuid, String, i32, bool)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(self.way.channel().as_str())
            .bind(rules)
            .bind(by_rules)
            .bind(by_subjects)
            .bind(self.pace.claim_s())
            .bind(untried)
            .bind(self.pace.batch())
            .fetch_all(tx)
            .await?;
        let claimed = |(id, message, attempts, knew): (Uuid, String, i32, bool)| {
            let attempts = attempts.unsigned_abs();
            Claimed { id, attempts, knew, message }
        };
        Ok(rows.into_iter().map(claimed).collect())
    }

    /// Whether the receiver wants nothing any more.
    async fn is_disabled(&self) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("select exists (select from disabled_endpoints where id = $1)")
            .bind(self.way.endpoint_id())
            .fetch_one(&self.pool)
            .await
    }

    /// What waits keeps waiting: it is told when the receiver is taken up again.
    async fn disable(&self, delivery: Uuid) -> Outcome {
        let disabled = sqlx::query(
            "insert into disabled_endpoints (id, delivery_id) values ($1, $2)
             on conflict do nothing",
        )
        .bind(self.way.endpoint_id())
        .bind(delivery)
        .execute(&self.pool)
        .await;
        match disabled {
            Ok(_) => {
                tracing::error!(delivery.id = %delivery, "the receiver is gone: nothing is told any more");
            }
            // It is asked again, and says so again.
            Err(error) => tracing::warn!(%error, "a receiver that is gone was not marked"),
        }
        Outcome::refused("the receiver answered 410 Gone")
    }
}

#[async_trait]
impl Queue for Delivering {
    /// The frozen body.
    type Message = String;

    fn name(&self) -> &'static str {
        match self.way.channel() {
            Channel::Webhook => "webhook",
            Channel::Email => "alert_email",
        }
    }

    async fn claim(&self) -> Result<Vec<Claimed<String>>, sqlx::Error> {
        if self.is_disabled().await? {
            return Ok(Vec::new());
        }
        let mut tx = self.pool.begin().await?;
        let storm = storm::Storm {
            channel: self.way.channel(),
            most_per_minute: self.most_per_minute,
            rules: &self.rules,
        };
        let claimed = match storm.allowance(&mut tx).await? {
            Some(untried) => self.take(&mut tx, untried).await?,
            None => Vec::new(), // nothing is due
        };
        tx.commit().await?;
        Ok(claimed)
    }

    async fn send(&self, claimed: &Claimed<String>) -> Outcome {
        match &self.way {
            Way::Webhook(webhook) => match webhook.post(claimed.id, &claimed.message).await {
                Answer::Outcome(outcome) => outcome,
                Answer::Gone => self.disable(claimed.id).await,
            },
            Way::Email(smtp, to) => match letter::letter(claimed.id, to, &claimed.message) {
                Ok(letter) => smtp.send(&letter).await,
                Err(why) => Outcome::Rejected { why },
            },
        }
    }

    async fn trouble(&self) -> Result<Option<String>, sqlx::Error> {
        let gone = "the receiver answered 410 Gone and is disabled";
        Ok(self.is_disabled().await?.then(|| gone.to_owned()))
    }
}
