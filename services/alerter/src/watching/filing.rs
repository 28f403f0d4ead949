//! What a look found, as episodes: findings flow in, openings and resolutions flow out, in the
//! caller's transaction; beside them reminders, heartbeats to the receiver, and what is asked of the
//! alerter's own database.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::json;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::Findings;
use crate::episodes::{self, Change, Kind, Terms};

/// Writes what changed.
pub(super) struct Filing<'a> {
    pub(super) terms: &'a BTreeMap<String, Terms>,
    pub(super) findings: &'a Findings,
    pub(super) answered: &'a BTreeSet<String>,
}

/// An episode that no event opened.
#[derive(Deserialize)]
struct Open {
    id: Uuid,
    rule: String,
    subject: String,
    name: String,
}

impl Filing<'_> {
    /// Opens what fires and is not open, resolves what is open and fires no more.
    pub(super) async fn file(
        &self,
        tx: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let open: Vec<Json<Open>> = sqlx::query_scalar(
            "select to_jsonb(e) from alert_episodes e
             where resolved_at is null and opened_event_id is null",
        )
        .fetch_all(&mut *tx)
        .await?;
        let open: Vec<Open> = open.into_iter().map(|Json(episode)| episode).collect();
        let is_open = |rule: &str, subject: &str| {
            open.iter().any(|episode| episode.rule == rule && episode.subject == subject)
        };
        for ((rule, subject), figures) in &self.findings.firing {
            let Some(terms) = self.terms.get(rule).filter(|_| !is_open(rule, subject)) else {
                continue;
            };
            let change = Change {
                kind: Kind::Opened,
                episode_id: Uuid::now_v7(), // of several processes' the first stays
                subject: subject.clone(),
                name: subject.clone(),
                figures: figures.clone(),
                event_id: None,
                at: now,
            };
            episodes::write(tx, &change, terms).await?;
        }
        for episode in open.iter().filter(|episode| self.is_over(episode)) {
            self.resolve(tx, episode, now).await?;
        }
        Ok(())
    }

    /// Whether an open episode's subject is certainly fine now. One that is not told of any more is,
    /// when its service answered.
    fn is_over(&self, episode: &Open) -> bool {
        let Findings { firing, unknown, unjudged } = self.findings;
        let key = (episode.rule.clone(), episode.subject.clone());
        if firing.contains_key(&key) || unknown.contains(&key) || unjudged.contains(&episode.rule) {
            return false;
        }
        let service = episode.subject.split('/').next().unwrap_or_default();
        let metric = |terms: &Terms| terms.rule().source == crate::rules::Source::Metric;
        let asked = self.terms.get(&episode.rule).is_none_or(|terms| !metric(terms));
        asked || service == super::OWN || self.answered.contains(service)
    }

    async fn resolve(
        &self,
        tx: &mut PgConnection,
        episode: &Open,
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let Some(terms) = self.terms.get(&episode.rule) else {
            // Nobody can say what a rule that is gone would say.
            sqlx::query("update alert_episodes set resolved_at = $2 where id = $1")
                .bind(episode.id)
                .bind(now)
                .execute(tx)
                .await?;
            return Ok(());
        };
        let change = Change {
            kind: Kind::Resolved,
            episode_id: episode.id,
            subject: episode.subject.clone(),
            name: episode.name.clone(),
            figures: json!({}),
            event_id: None,
            at: now,
        };
        episodes::write(tx, &change, terms).await
    }
}

/// Makes what was told of a rule's open episodes due once more, where nobody has acknowledged them.
/// However many processes do so, there is one: its id follows from how many there were.
pub(super) async fn remind(
    tx: &mut PgConnection,
    rule: &str,
    every: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into deliveries (id, channel, kind, episode_id, body, not_before, next_attempt_at)
         select md5(concat_ws('/', told.episode_id, told.channel, told.reminders))::uuid,
                told.channel, 'reminded', told.episode_id,
                (told.body::jsonb || jsonb_build_object('type', 'alert.reminded',
                                                        'timestamp', now()))::text,
                now(), now()
         from (
             select d.episode_id, d.channel,
                    max(d.body) filter (where d.kind = 'opened') as body,
                    count(*) filter (where d.kind = 'reminded') as reminders,
                    max(coalesce(d.delivered_at, d.summarised_at)) as last_told_at,
                    bool_or(num_nonnulls(d.delivered_at, d.summarised_at, d.abandoned_at,
                                         d.withdrawn_at) = 0) as is_due
             from deliveries d join alert_episodes e on e.id = d.episode_id
             where e.rule = $1 and e.resolved_at is null and e.acknowledged_at is null
               and d.kind in ('opened', 'reminded')
             group by d.episode_id, d.channel
         ) told
         where not told.is_due and told.last_told_at <= now() - make_interval(secs => $2)
         on conflict do nothing",
    )
    .bind(rule)
    .bind(every.as_secs_f64())
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes a heartbeat to the receiver due, once in each interval whoever does so; one that was not told
/// in its interval is of no use any more.
pub(super) async fn tell_all_is_well(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    every: Duration,
    age_s: f64,
) -> Result<(), sqlx::Error> {
    let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    let interval = now.timestamp_millis().div_euclid(every_ms);
    let name = format!("factline heartbeat {every_ms} {interval}");
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let body = json!({
        "type": "alert.heartbeat",
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "data": {"every_ms": every_ms, "newest_heartbeat_age_s": age_s},
    });
    let inserted = sqlx::query(
        "insert into deliveries (id, channel, kind, body, not_before, next_attempt_at)
         values ($1, 'webhook', 'heartbeat', $2, $3, $3) on conflict do nothing",
    )
    .bind(id)
    .bind(body.to_string())
    .bind(now)
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() > 0 {
        sqlx::query(
            "update deliveries set withdrawn_at = $2
             where kind = 'heartbeat' and id <> $1 and delivered_at is null
               and abandoned_at is null and withdrawn_at is null",
        )
        .bind(id)
        .bind(now)
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// When the log recorded the newest heartbeat that has come.
pub(super) async fn newest_heartbeat(
    pool: &PgPool,
    projection: &str,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar("select max(recorded_at) from projection.checkpoints where projection = $1")
        .bind(projection)
        .fetch_one(pool)
        .await
}
