//! Alert episodes and what is told of them: changes of a watched subject flow in, rows of
//! `alert_episodes` and `deliveries` flow out, in the caller's transaction.
//!
//! - An episode always opens and always resolves where the rule says so.
//! - It is told once opened and once resolved, each with an id and a body that never change.
//! - What was told of a subject holds the next episode's telling back for the cooldown. An episode
//!   that resolves before it was told is not told at all. So a level that swings around its limit
//!   floods nobody, and one that stays low is always told.
//! - No clock decides: episodes take the times of their events, and the cooldown only moves when a
//!   delivery is due.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use factline_core::Envelope;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::stock_watch::WatchedItem;

/// The only rule so far.
pub const LOW_STOCK: &str = "low_stock";

/// What an event did to a subject's episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    kind: Kind,
    episode_id: Uuid,
    subject: String,
    name: String,
    available: i64,
    reorder_point: i64,
    event_id: Uuid,
    at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Opened,
    Resolved,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Resolved => "resolved",
        }
    }
}

/// The webhook-id of what is told: the same however often it is told.
fn delivery_id(episode_id: Uuid, kind: Kind) -> Uuid {
    Uuid::new_v5(&episode_id, kind.as_str().as_bytes())
}

impl Change {
    /// What happened between two states of a subject, if its episode changed.
    #[must_use]
    pub fn between(
        before: Option<&WatchedItem>,
        after: &WatchedItem,
        envelope: &Envelope,
    ) -> Option<Self> {
        let open_before = before.and_then(|item| item.episode_id);
        let (kind, episode_id) = match (open_before, after.episode_id) {
            (None, Some(opened)) => (Kind::Opened, opened),
            (Some(resolved), None) => (Kind::Resolved, resolved),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        Some(Self {
            kind,
            episode_id,
            subject: after.sku.clone(),
            name: after.name.clone(),
            available: after.level.available(),
            reorder_point: after.level.reorder_point,
            event_id: envelope.event_id,
            at: envelope.recorded_at,
        })
    }

    /// What the receiver gets: the payload that Standard Webhooks recommends.
    fn body(&self, opened_at: DateTime<Utc>) -> String {
        let resolved_at = (self.kind == Kind::Resolved).then_some(self.at);
        json!({
            "type": format!("alert.{}", self.kind.as_str()),
            "timestamp": self.at,
            "data": {
                "episode_id": self.episode_id,
                "rule": LOW_STOCK,
                "sku": self.subject,
                "name": self.name,
                "available": self.available,
                "reorder_point": self.reorder_point,
                "opened_at": opened_at,
                "resolved_at": resolved_at,
                "event_id": self.event_id,
            },
        })
        .to_string()
    }
}

/// Writes a change.
///
/// # Errors
/// The database fails; the caller's transaction is lost.
pub async fn write(
    tx: &mut PgConnection,
    change: &Change,
    cooldown: Duration,
) -> Result<(), sqlx::Error> {
    match change.kind {
        Kind::Opened => open(tx, change, cooldown).await,
        Kind::Resolved => resolve(tx, change).await,
    }
}

/// An episode that is there already was opened before its view was rebuilt: it stays as it is.
async fn open(
    tx: &mut PgConnection,
    change: &Change,
    cooldown: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into alert_episodes
             (id, rule, subject, name, opened_at, opened_event_id, available, reorder_point)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
    )
    .bind(change.episode_id)
    .bind(LOW_STOCK)
    .bind(&change.subject)
    .bind(&change.name)
    .bind(change.at)
    .bind(change.event_id)
    .bind(change.available)
    .bind(change.reorder_point)
    .execute(&mut *tx)
    .await?;
    let due_at = due_at(change.at, last_told_at(tx, &change.subject).await?, cooldown);
    sqlx::query(
        "insert into deliveries (id, episode_id, kind, body, not_before, next_attempt_at)
         values ($1, $2, 'opened', $3, $4, $4) on conflict do nothing",
    )
    .bind(delivery_id(change.episode_id, change.kind))
    .bind(change.episode_id)
    .bind(change.body(change.at))
    .bind(due_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// When the receiver last learned, or may have learned, of an episode of this subject.
async fn last_told_at(
    tx: &mut PgConnection,
    subject: &str,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "select max(coalesce(d.delivered_at, d.last_attempt_at))
         from deliveries d join alert_episodes e on e.id = d.episode_id
         where e.rule = $1 and e.subject = $2 and d.kind = 'opened'
           and (d.delivered_at is not null or d.receiver_may_know)",
    )
    .bind(LOW_STOCK)
    .bind(subject)
    .fetch_one(tx)
    .await
}

/// When an opening may be told: at once, but not within the cooldown of the one told last.
fn due_at(
    opened_at: DateTime<Utc>,
    last_told_at: Option<DateTime<Utc>>,
    cooldown: Duration,
) -> DateTime<Utc> {
    let cooldown = TimeDelta::from_std(cooldown).unwrap_or(TimeDelta::MAX);
    let over = last_told_at
        .map(|told| told.checked_add_signed(cooldown).unwrap_or(DateTime::<Utc>::MAX_UTC));
    over.map_or(opened_at, |over| over.max(opened_at))
}

/// Where the receiver certainly knows of no opening, opening and resolution are both withdrawn.
async fn resolve(tx: &mut PgConnection, change: &Change) -> Result<(), sqlx::Error> {
    let opened_at: Option<DateTime<Utc>> = sqlx::query_scalar(
        "update alert_episodes set resolved_at = $2, resolved_event_id = $3
         where id = $1 returning opened_at",
    )
    .bind(change.episode_id)
    .bind(change.at)
    .bind(change.event_id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(opened_at) = opened_at else { return Ok(()) }; // somebody deleted it by hand
    sqlx::query(
        "with opening as (
             update deliveries set withdrawn_at = case
                 when delivered_at is null and abandoned_at is null and not receiver_may_know
                 then $5 else withdrawn_at end
             where id = $1
             returning delivered_at is not null or receiver_may_know as known
         )
         insert into deliveries
             (id, episode_id, kind, body, not_before, next_attempt_at, withdrawn_at)
         select $2, $3, 'resolved', $4, $5, $5, case when not known then $5 end from opening
         on conflict do nothing",
    )
    .bind(delivery_id(change.episode_id, Kind::Opened))
    .bind(delivery_id(change.episode_id, Kind::Resolved))
    .bind(change.episode_id)
    .bind(change.body(opened_at))
    .bind(change.at)
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const COOLDOWN: Duration = Duration::from_secs(900);

    #[test]
    fn a_first_episode_is_due_when_it_opens() {
        let opened = at("2026-01-05T09:00:00Z");
        assert_eq!(due_at(opened, None, COOLDOWN), opened);
    }

    #[test]
    fn an_episode_within_the_cooldown_is_due_when_it_is_over() {
        let (told, opened) = (at("2026-01-05T09:00:00Z"), at("2026-01-05T09:10:00Z"));
        assert_eq!(due_at(opened, Some(told), COOLDOWN), at("2026-01-05T09:15:00Z"));
    }

    #[test]
    fn an_episode_after_the_cooldown_is_due_when_it_opens() {
        let (told, opened) = (at("2026-01-05T09:00:00Z"), at("2026-01-05T09:15:01Z"));
        assert_eq!(due_at(opened, Some(told), COOLDOWN), opened);
    }

    #[test]
    fn a_delivery_has_one_id_for_ever_and_another_for_each_kind() {
        let episode = Uuid::from_u128(7);
        let opened = delivery_id(episode, Kind::Opened);
        assert_eq!(opened, delivery_id(episode, Kind::Opened));
        assert_ne!(opened, delivery_id(episode, Kind::Resolved));
        assert_ne!(opened, delivery_id(Uuid::from_u128(8), Kind::Opened));
    }

    #[test]
    fn w12_a_name_full_of_markup_stays_a_json_text() {
        let change = Change {
            kind: Kind::Opened,
            episode_id: Uuid::nil(),
            subject: "A".to_owned(),
            name: "\"}, {{7*7}} <script>\u{1b}[31m\n".to_owned(),
            available: 1,
            reorder_point: 5,
            event_id: Uuid::nil(),
            at: at("2026-01-05T09:00:00Z"),
        };
        let body: serde_json::Value = serde_json::from_str(&change.body(change.at)).unwrap();
        assert_eq!(body["type"], "alert.opened");
        assert_eq!(body["data"]["name"], change.name);
        assert_eq!(body["data"]["resolved_at"], serde_json::Value::Null);
    }
}
