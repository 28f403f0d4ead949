//! Alert episodes and what is told of them: what changed for a subject flows in, rows of
//! `alert_episodes` and `deliveries` flow out, in the caller's transaction.
//!
//! - An episode always opens and always resolves where its rule says so.
//! - It is told once opened and once resolved over each channel, each time with an id and a body that
//!   never change.
//! - What was told of a subject holds the next episode's telling back for the cooldown. An episode
//!   that resolves before it was told is not told at all. So a level that swings around its limit
//!   floods nobody, and one that stays low is always told.
//! - No clock decides: episodes take the times of their events, and the cooldown only moves when a
//!   delivery is due.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::rules::{Channel, Rule};

/// A subject's alert opened, or its open one resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which of the two.
    pub kind: Kind,
    /// The episode's id, the same however often this is written.
    pub episode_id: Uuid,
    /// What was judged; unique within the rule.
    pub subject: String,
    /// What people call it.
    pub name: String,
    /// What it was judged by, by name.
    pub figures: Value,
    /// The event that did it, where one did.
    pub event_id: Option<Uuid>,
    /// When the log recorded that event, or the figure was looked at.
    pub at: DateTime<Utc>,
}

/// What happened to an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It began.
    Opened,
    /// It ended.
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

/// How the episodes of one rule are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    rule: Rule,
    channels: Vec<Channel>,
}

impl Terms {
    /// Of a rule, over those of its channels that `there_are`.
    #[must_use]
    pub fn of(rule: &Rule, there_are: &[Channel]) -> Self {
        let channels = there_are.iter().filter(|channel| rule.channels.contains(channel));
        Self { rule: rule.clone(), channels: channels.copied().collect() }
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }
}

/// The id of what is told over a channel: the same however often it is told.
fn delivery_id(episode_id: Uuid, kind: &str, channel: Channel) -> Uuid {
    let name = match channel {
        Channel::Webhook => kind.to_owned(), // as before there were others
        Channel::Email => format!("{kind}/email"),
    };
    Uuid::new_v5(&episode_id, name.as_bytes())
}

impl Change {
    /// What the receiver gets: the payload that Standard Webhooks recommends.
    fn body(&self, rule: &Rule, opened_at: DateTime<Utc>) -> String {
        let resolved_at = (self.kind == Kind::Resolved).then_some(self.at);
        json!({
            "type": format!("alert.{}", self.kind.as_str()),
            "timestamp": self.at,
            "data": {
                "episode_id": self.episode_id,
                "rule": rule.name,
                "title": rule.title,
                "severity": rule.severity,
                "subject": self.subject,
                "name": self.name,
                "figures": self.figures,
                "opened_at": opened_at,
                "resolved_at": resolved_at,
                "event_id": self.event_id,
            },
        })
        .to_string()
    }
}

/// Writes a change. An opening of what is open already, and a resolution of what is not, change
/// nothing.
///
/// # Errors
/// The database fails; the caller's transaction is lost.
pub async fn write(
    tx: &mut PgConnection,
    change: &Change,
    terms: &Terms,
) -> Result<(), sqlx::Error> {
    match change.kind {
        Kind::Opened => open(tx, change, terms).await,
        Kind::Resolved => resolve(tx, change, terms).await,
    }
}

/// An episode that is there already was opened before its view was rebuilt, or by another process
/// that looked at the same figure: it stays as it is, and is told as it was to be.
async fn open(tx: &mut PgConnection, change: &Change, terms: &Terms) -> Result<(), sqlx::Error> {
    let rule = &terms.rule;
    let inserted = sqlx::query(
        "insert into alert_episodes
             (id, rule, subject, name, severity, opened_at, opened_event_id, figures)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
    )
    .bind(change.episode_id)
    .bind(&rule.name)
    .bind(&change.subject)
    .bind(&change.name)
    .bind(rule.severity.as_str())
    .bind(change.at)
    .bind(change.event_id)
    .bind(&change.figures)
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(());
    }
    let told_at = last_told_at(tx, &rule.name, &change.subject).await?;
    let due_at = end_of_slot(due_at(change.at, told_at, rule.cooldown()), rule.group_window());
    for channel in &terms.channels {
        sqlx::query(
            "insert into deliveries
                 (id, channel, episode_id, kind, body, not_before, next_attempt_at)
             values ($1, $2, $3, 'opened', $4, $5, $5) on conflict do nothing",
        )
        .bind(delivery_id(change.episode_id, "opened", *channel))
        .bind(channel.as_str())
        .bind(change.episode_id)
        .bind(change.body(rule, change.at))
        .bind(due_at)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// When a receiver last learned, or may have learned, of an episode of this subject.
async fn last_told_at(
    tx: &mut PgConnection,
    rule: &str,
    subject: &str,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "select max(coalesce(d.delivered_at, d.summarised_at, d.last_attempt_at))
         from deliveries d join alert_episodes e on e.id = d.episode_id
         where e.rule = $1 and e.subject = $2 and d.kind = 'opened'
           and (d.delivered_at is not null or d.summarised_at is not null or d.receiver_may_know)",
    )
    .bind(rule)
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
    let over = last_told_at
        .map(|told| told.checked_add_signed(delta(cooldown)).unwrap_or(DateTime::<Utc>::MAX_UTC));
    over.map_or(opened_at, |over| over.max(opened_at))
}

/// When the window ends that a time lies in: windows follow each other without a gap, so what comes
/// within one is due at one moment, and waits for it less than a window.
fn end_of_slot(at: DateTime<Utc>, window: Duration) -> DateTime<Utc> {
    let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let Some(into_ms) = at.timestamp_millis().checked_rem_euclid(window_ms) else { return at };
    at.checked_add_signed(TimeDelta::milliseconds(window_ms - into_ms)).unwrap_or(at)
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// Where a receiver certainly knows of no opening, opening and resolution are both withdrawn, and
/// reminders with them.
async fn resolve(tx: &mut PgConnection, change: &Change, terms: &Terms) -> Result<(), sqlx::Error> {
    let opened_at: Option<DateTime<Utc>> = sqlx::query_scalar(
        "update alert_episodes set resolved_at = $2, resolved_event_id = $3
         where id = $1 and resolved_at is null returning opened_at",
    )
    .bind(change.episode_id)
    .bind(change.at)
    .bind(change.event_id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(opened_at) = opened_at else { return Ok(()) }; // somebody deleted it by hand
    let body = change.body(&terms.rule, opened_at);
    let told = withdraw_untold(tx, change).await?;
    for channel in [Channel::Webhook, Channel::Email] {
        let known = is_known(&told, channel);
        let Some(known) = known else { continue }; // it was not to be told over this one
        sqlx::query(
            "insert into deliveries
                 (id, channel, episode_id, kind, body, not_before, next_attempt_at, withdrawn_at)
             values ($1, $2, $3, 'resolved', $4, $5, $5, case when not $6 then $5 end)
             on conflict do nothing",
        )
        .bind(delivery_id(change.episode_id, "resolved", channel))
        .bind(channel.as_str())
        .bind(change.episode_id)
        .bind(&body)
        .bind(change.at)
        .bind(known)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Gives, for each thing that was to be told of the episode, its channel and whether its receiver may
/// know of it.
async fn withdraw_untold(
    tx: &mut PgConnection,
    change: &Change,
) -> Result<Vec<(String, bool)>, sqlx::Error> {
    sqlx::query_as(
        "update deliveries set withdrawn_at = case
             when num_nonnulls(delivered_at, abandoned_at, withdrawn_at, summarised_at) = 0
              and not receiver_may_know
             then $2 else withdrawn_at end
         where episode_id = $1 and kind in ('opened', 'reminded')
         returning channel,
                   delivered_at is not null or summarised_at is not null or receiver_may_know",
    )
    .bind(change.episode_id)
    .bind(change.at)
    .fetch_all(tx)
    .await
}

/// Whether what was told over a channel may have reached its receiver; `None`: there was nothing to
/// tell.
fn is_known(told: &[(String, bool)], channel: Channel) -> Option<bool> {
    let of_channel = told.iter().filter(|(name, _)| name == channel.as_str());
    of_channel.map(|(_, known)| *known).reduce(|one, other| one || other)
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
    fn what_comes_within_a_window_is_due_at_its_end() {
        let minute = Duration::from_secs(60);
        let end = at("2026-01-05T09:01:00Z");
        for within in ["2026-01-05T09:00:00Z", "2026-01-05T09:00:07Z", "2026-01-05T09:00:59.999Z"] {
            assert_eq!(end_of_slot(at(within), minute), end, "{within}");
        }
        assert_eq!(end_of_slot(end, Duration::ZERO), end, "nothing is held without a window");
    }

    #[test]
    fn a_delivery_has_one_id_for_ever_and_another_for_each_kind_and_channel() {
        let episode = Uuid::from_u128(7);
        let opened = delivery_id(episode, "opened", Channel::Webhook);
        assert_eq!(opened, delivery_id(episode, "opened", Channel::Webhook));
        assert_ne!(opened, delivery_id(episode, "opened", Channel::Email));
        assert_ne!(opened, delivery_id(episode, "resolved", Channel::Webhook));
        assert_ne!(opened, delivery_id(Uuid::from_u128(8), "opened", Channel::Webhook));
    }

    #[test]
    fn w12_a_name_full_of_markup_stays_a_json_text() {
        let change = Change {
            kind: Kind::Opened,
            episode_id: Uuid::nil(),
            subject: "A".to_owned(),
            name: "\"}, {{7*7}} <script>\u{1b}[31m\n".to_owned(),
            figures: json!({"available": 1, "reorder_point": 5}),
            event_id: Some(Uuid::nil()),
            at: at("2026-01-05T09:00:00Z"),
        };
        let rules = crate::settings::defaults().rules;
        let rule = rules.named(crate::rules::LOW_STOCK).unwrap();
        let body: Value = serde_json::from_str(&change.body(rule, change.at)).unwrap();
        assert_eq!(body["type"], "alert.opened");
        assert_eq!(body["data"]["name"], change.name);
        assert_eq!(body["data"]["resolved_at"], Value::Null);
    }
}
