//! The port to whoever gives money back. The default files what is due in a table, once an order; a payment
//! provider's client goes in its place, with the order as its idempotency key.

use async_trait::async_trait;
use factline_saga::{Later, Verdict};
use sqlx::PgPool;

/// Money of a cancelled order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refund {
    /// Refunded once.
    pub(super) order_id: String,
    /// As whoever took the money names it.
    pub(super) payment_id: Option<String>,
    /// In minor units.
    pub(super) amount_cents: i64,
    /// ISO 4217 code.
    pub(super) currency: String,
}

/// Gives money back.
#[async_trait]
pub(super) trait RefundPort: Send + Sync {
    /// Once an order, however often it is asked.
    ///
    /// # Errors
    /// Not now, or nobody knows: it is asked again.
    async fn refund(&self, refund: Refund) -> Result<Verdict, Later>;
}

/// Files refunds in the table `refunds`.
pub(super) struct FiledRefunds {
    pub(super) pool: PgPool,
}

#[async_trait]
impl RefundPort for FiledRefunds {
    async fn refund(&self, refund: Refund) -> Result<Verdict, Later> {
        let Refund { order_id, payment_id, amount_cents, currency } = refund;
        sqlx::query(
            "insert into refunds (order_id, payment_id, amount_cents, currency)
             values ($1, $2, $3, $4) on conflict (order_id) do nothing",
        )
        .bind(order_id)
        .bind(payment_id)
        .bind(amount_cents)
        .bind(currency)
        .execute(&self.pool)
        .await
        .map_err(|error| Later(error.to_string()))?;
        Ok(Verdict::Accepted { event_id: None })
    }
}
