//! Tells receivers what is due: rows of `deliveries` flow in, signed posts flow out, and what came of
//! them is marked.
//!
//! A delivery is claimed by moving its next attempt beyond the receiver's time-out, in one committed
//! statement, and only then posted; no lock is held meanwhile. So any number of processes may
//! deliver, and after a crash between a post and its mark the claim runs out and the same body goes
//! out again under the same webhook-id: at least once, recognisable. A resolution waits until its
//! opening has been told.

use std::time::Duration;

use futures::future::join_all;
use metrics::counter;
use service_kit::{Component, ServiceError};
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    settings::WebhookSettings,
    webhook::{Outcome, Webhook},
};

/// Beyond a receiver's time-out, a claim is kept for so long: the mark's own time, generously. A
/// delivery whose process died waits for it once.
const CLAIM_MARGIN: Duration = Duration::from_secs(10);
/// The doubling stops here; 2^30 seconds are above any limit that can be set.
const MOST_DOUBLINGS: u32 = 30;

/// The deliverer.
pub struct Delivering {
    pool: PgPool,
    webhook: Webhook,
    settings: WebhookSettings,
}

/// A delivery that this process may post until its claim runs out.
#[derive(Debug)]
struct Claimed {
    id: Uuid,
    body: String,
    /// This one included.
    attempts: u32,
    /// The receiver may know of it from an earlier attempt.
    knew: bool,
}

const CLAIM: &str = "
    update deliveries d
    set attempts = d.attempts + 1, last_attempt_at = now(), receiver_may_know = true,
        next_attempt_at = now() + make_interval(secs => $2)
    from (
        select id, receiver_may_know as knew from deliveries due
        where delivered_at is null and abandoned_at is null and withdrawn_at is null
          and next_attempt_at <= now()
          and not exists (select from disabled_endpoints where id = $3)
          and (kind = 'opened' or not exists (
              select from deliveries opening
              where opening.episode_id = due.episode_id and opening.kind = 'opened'
                and opening.delivered_at is null and opening.abandoned_at is null))
        order by next_attempt_at limit $1
        for update skip locked
    ) due
    where d.id = due.id
    returning d.id, d.body, d.attempts, due.knew";

impl Delivering {
    /// Touches nothing outside yet.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(pool: PgPool, settings: WebhookSettings) -> Result<Self, ServiceError> {
        Ok(Self { pool, webhook: Webhook::new(&settings)?, settings })
    }

    /// Delivers until told to stop; posts under way are awaited, which a time-out bounds.
    pub async fn run(self, component: Component, stop: CancellationToken) {
        let poll = Duration::from_millis(self.settings.poll_ms);
        while !stop.is_cancelled() {
            match self.round().await {
                Ok(0) => {
                    self.report(&component).await;
                    stop.run_until_cancelled(sleep(poll)).await;
                }
                Ok(_) => {} // there may be more
                Err(error) => {
                    component.degraded(format!("deliveries cannot be read: {error}"));
                    stop.run_until_cancelled(sleep(poll)).await;
                }
            }
        }
    }

    /// Posts what is due, at most `concurrency` deliveries; says how many.
    async fn round(&self) -> Result<usize, sqlx::Error> {
        let claimed = self.claim().await?;
        let count = claimed.len();
        join_all(claimed.into_iter().map(|delivery| self.deliver(delivery))).await;
        Ok(count)
    }

    async fn claim(&self) -> Result<Vec<Claimed>, sqlx::Error> {
        let kept = Duration::from_millis(self.settings.timeout_ms) + CLAIM_MARGIN;
        let rows: Vec<(Uuid, String, i32, bool)> = sqlx::query_as(CLAIM)
            .bind(i64::try_from(self.settings.concurrency).unwrap_or(i64::MAX))
            .bind(kept.as_secs_f64())
            .bind(self.webhook.endpoint_id())
            .fetch_all(&self.pool)
            .await?;
        let claimed = |(id, body, attempts, knew): (Uuid, String, i32, bool)| Claimed {
            id,
            body,
            attempts: attempts.unsigned_abs(),
            knew,
        };
        Ok(rows.into_iter().map(claimed).collect())
    }

    async fn deliver(&self, delivery: Claimed) {
        let outcome = self.webhook.post(delivery.id, &delivery.body).await;
        let name = match &outcome {
            Outcome::Delivered => "delivered",
            Outcome::Gone => "gone",
            Outcome::Refused { .. } => "refused",
            Outcome::Uncertain { .. } => "uncertain",
        };
        counter!("factline_alerter_attempts_total", "outcome" => name).increment(1);
        if let Err(error) = self.mark(&delivery, outcome).await {
            // The claim runs out and it is posted again, under the same id.
            tracing::warn!(delivery.id = %delivery.id, %error, "an attempt was not marked");
        }
    }

    async fn mark(&self, delivery: &Claimed, outcome: Outcome) -> Result<(), sqlx::Error> {
        match outcome {
            Outcome::Delivered => {
                sqlx::query(
                    "update deliveries
                     set delivered_at = now(), abandoned_at = null, last_error = null
                     where id = $1 and delivered_at is null and withdrawn_at is null",
                )
                .bind(delivery.id)
                .execute(&self.pool)
                .await?;
            }
            Outcome::Gone => self.disable(delivery).await?,
            Outcome::Refused { why, retry_after } => {
                self.postpone(delivery, delivery.knew, &why, retry_after).await?;
            }
            Outcome::Uncertain { why } => self.postpone(delivery, true, &why, None).await?,
        }
        Ok(())
    }

    /// What waits keeps waiting: it is told when the receiver is taken up again.
    async fn disable(&self, delivery: &Claimed) -> Result<(), sqlx::Error> {
        self.postpone(delivery, delivery.knew, "the receiver answered 410 Gone", None).await?;
        sqlx::query(
            "insert into disabled_endpoints (id, delivery_id) values ($1, $2)
             on conflict do nothing",
        )
        .bind(self.webhook.endpoint_id())
        .bind(delivery.id)
        .execute(&self.pool)
        .await?;
        tracing::error!(delivery.id = %delivery.id, "the receiver is gone: nothing is told any more");
        Ok(())
    }

    async fn postpone(
        &self,
        delivery: &Claimed,
        may_know: bool,
        why: &str,
        retry_after: Option<Duration>,
    ) -> Result<(), sqlx::Error> {
        let wait = wait_after(delivery.attempts, retry_after, &self.settings);
        let abandon = delivery.attempts >= self.settings.max_attempts;
        sqlx::query(
            "update deliveries
             set last_error = $2, receiver_may_know = $3,
                 next_attempt_at = now() + make_interval(secs => $4),
                 abandoned_at = case when $5 then now() end
             where id = $1 and delivered_at is null and withdrawn_at is null",
        )
        .bind(delivery.id)
        .bind(why)
        .bind(may_know)
        .bind(wait.as_secs_f64())
        .bind(abandon)
        .execute(&self.pool)
        .await?;
        let attempts = delivery.attempts;
        if abandon {
            tracing::error!(delivery.id = %delivery.id, attempts, why, "an alert was not told");
        } else {
            tracing::info!(delivery.id = %delivery.id, attempts, why, "an alert is told later");
        }
        Ok(())
    }

    async fn report(&self, component: &Component) {
        let asked: Result<(bool, bool), _> = sqlx::query_as(
            "select exists (select from disabled_endpoints where id = $1),
                    exists (select from deliveries
                            where delivered_at is null and abandoned_at is null
                              and withdrawn_at is null and attempts > 0)",
        )
        .bind(self.webhook.endpoint_id())
        .fetch_one(&self.pool)
        .await;
        match asked {
            Ok((true, _)) => component.degraded("the receiver answered 410 Gone and is disabled"),
            Ok((false, true)) => component.degraded("alerts wait for the receiver"),
            Ok((false, false)) => component.ready(),
            Err(error) => component.degraded(format!("deliveries cannot be read: {error}")),
        }
    }
}

/// The wait before the next attempt: doubling, with jitter so that what failed together does not
/// come back together; longer if the receiver asks for it, but never above the limit.
fn wait_after(
    attempts: u32,
    retry_after: Option<Duration>,
    settings: &WebhookSettings,
) -> Duration {
    let doublings = attempts.saturating_sub(1).min(MOST_DOUBLINGS);
    let most = settings.retry_most_ms;
    let doubled = settings.retry_first_ms.saturating_mul(1 << doublings).clamp(1, most.max(1));
    let own = Duration::from_millis(rand::random_range(doubled.div_ceil(2)..=doubled));
    retry_after.map_or(own, |asked| own.max(asked.min(Duration::from_millis(most))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::settings::Secret;

    fn settings() -> WebhookSettings {
        WebhookSettings {
            url: String::new(),
            secret: Secret::default(),
            allow_insecure: false,
            timeout_ms: 5_000,
            poll_ms: 500,
            concurrency: 8,
            retry_first_ms: 1_000,
            retry_most_ms: 60_000,
            max_attempts: 60,
        }
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_is_never_below_half() {
        for (attempts, most_ms) in [(1, 1_000), (2, 2_000), (6, 32_000), (7, 60_000), (900, 60_000)]
        {
            let wait = wait_after(attempts, None, &settings()).as_millis();
            assert!(wait <= most_ms && wait >= most_ms / 2, "{attempts}: {wait}");
        }
    }

    #[test]
    fn w07_a_retry_after_lengthens_the_wait_up_to_its_limit_and_never_shortens_it() {
        let asked = |seconds| wait_after(1, Some(Duration::from_secs(seconds)), &settings());
        assert_eq!(asked(30), Duration::from_secs(30));
        assert_eq!(asked(1_000_000_000), Duration::from_secs(60));
        assert!(asked(0) >= Duration::from_millis(500));
    }
}
