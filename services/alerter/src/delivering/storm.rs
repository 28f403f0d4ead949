//! How much is told at once: untold deliveries flow in; some go out one by one, the others as one
//! summary for all of them.
//!
//! - A rule that groups has what came within its window told in one message.
//! - In any minute a channel begins at most so many messages. What is more than that is told in a
//!   summary, one a minute, which names how many of what and the first of them; the worst still go
//!   out by themselves. Nothing is dropped: every delivery says which summary told it, and every
//!   episode is at `GET /alerts`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use metrics::counter;
use serde::Deserialize;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, types::Json};
use uuid::Uuid;

use crate::rules::{Channel, Group, Rules};

/// What is due over a channel ($1), unless it has to wait: for its opening, for a silence's end, or,
/// by the rules of $2, for the end of an episode of $3 and $4.
pub(super) const TELLABLE: &str = "
    from deliveries due left join alert_episodes e on e.id = due.episode_id
    where due.channel = $1
      and due.delivered_at is null and due.abandoned_at is null and due.withdrawn_at is null
      and due.summarised_at is null and due.next_attempt_at <= now()
      and (due.kind <> 'resolved' or not exists (
          select from deliveries opening left join deliveries told on told.id = opening.summary_id
          where opening.episode_id = due.episode_id and opening.kind = 'opened'
            and opening.channel = due.channel
            and coalesce(opening.delivered_at, opening.abandoned_at,
                         told.delivered_at, told.abandoned_at) is null))
      and not exists (
          select from silences s
          where s.ended_at is null and s.starts_at <= now() and s.ends_at > now()
            and coalesce(s.rule, e.rule) = e.rule and coalesce(s.subject, e.subject) = e.subject)
      and not exists (
          select from unnest($2::text[], $3::text[], $4::text[]) as i (rule, by_rule, by_subject)
          join alert_episodes cause on cause.rule = i.by_rule and cause.resolved_at is null
           and cause.subject = coalesce(i.by_subject, cause.subject)
          where i.rule = e.rule)";

/// Summaries and heartbeats first: there are few.
pub(super) const WORST_FIRST: &str = "
    order by array_position(array['critical', 'warning', 'info'], e.severity) nulls first,
             due.next_attempt_at, due.id";

/// More are left to the next look: a message about more than that says nothing else.
const MOST_IN_A_SUMMARY: i64 = 10_000;
/// Those that a summary names; the rest it counts.
const NAMED_IN_A_SUMMARY: usize = 20;

/// One look at what is due.
pub(super) struct Storm<'a> {
    pub(super) channel: Channel,
    pub(super) most_per_minute: u32,
    pub(super) rules: &'a Rules,
}

/// One of the deliveries that a summary tells.
#[derive(Deserialize)]
struct Told {
    id: Uuid,
    kind: String,
    episode_id: Uuid,
    rule: String,
    severity: String,
    subject: String,
}

/// Why a summary was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Grouped,
    RateCap,
}

impl Storm<'_> {
    /// Makes the summaries that have to be, and says how many messages may begin now; `None` when
    /// nothing is due. Until the caller's transaction ends, no other process does the same.
    pub(super) async fn allowance(
        &self,
        tx: &mut PgConnection,
    ) -> Result<Option<i64>, sqlx::Error> {
        let due = "select exists (select from deliveries where channel = $1
             and delivered_at is null and abandoned_at is null and withdrawn_at is null
             and summarised_at is null and next_attempt_at <= now())";
        let due: bool =
            sqlx::query_scalar(due).bind(self.channel.as_str()).fetch_one(&mut *tx).await?;
        if !due {
            return Ok(None);
        }
        sqlx::query("select pg_advisory_xact_lock(hashtext('factline deliveries'), hashtext($1))")
            .bind(self.channel.as_str())
            .execute(&mut *tx)
            .await?;
        for rule in self.rules.0.iter().filter(|rule| rule.group == Group::Rule) {
            for kind in ["opened", "resolved"] {
                let rows = self.due(tx, Some((&rule.name, kind)), 0).await?;
                if rows.len() > 1 {
                    self.summarise(tx, Reason::Grouped, &rows).await?;
                }
            }
        }
        self.cap(tx).await.map(Some)
    }

    /// Puts what is too much into a summary, unless one was made within the last minute: then it
    /// waits. Says how many messages may begin now.
    async fn cap(&self, tx: &mut PgConnection) -> Result<i64, sqlx::Error> {
        let (begun, summarised): (i64, bool) = sqlx::query_as(
            "select count(*) filter (where first_attempt_at > now() - interval '1 minute'),
                    coalesce(bool_or(kind = 'summary' and not_before > now() - interval '1 minute'
                                     and body::jsonb #>> '{data,reason}' = $2), false)
             from deliveries
             where channel = $1 and (first_attempt_at > now() - interval '1 minute'
                                     or (kind = 'summary' and first_attempt_at is null))",
        )
        .bind(self.channel.as_str())
        .bind(Reason::RateCap.as_str())
        .fetch_one(&mut *tx)
        .await?;
        let left = (i64::from(self.most_per_minute) - begun).max(0);
        let too_much = self.due(tx, None, left).await?;
        if too_much.len() > 1 && !summarised {
            let one_by_one = (left - 1).max(0); // the last place is the summary's
            let rows = self.due(tx, None, one_by_one).await?;
            self.summarise(tx, Reason::RateCap, &rows).await?;
        }
        Ok(left)
    }

    /// Deliveries of episodes that were never tried and may be told now, the worst first, but for the
    /// first few; of one rule and kind, or all.
    async fn due(
        &self,
        tx: &mut PgConnection,
        of: Option<(&str, &str)>,
        but_for: i64,
    ) -> Result<Vec<Told>, sqlx::Error> {
        let sql = format!(
            "select jsonb_build_object('id', due.id, 'kind', due.kind, 'episode_id', e.id,
                    'rule', e.rule, 'severity', e.severity, 'subject', e.subject) {TELLABLE}
               and due.attempts = 0 and e.rule = coalesce($5, e.rule)
               and due.kind = coalesce($6, due.kind)
             {WORST_FIRST} offset $7 limit {MOST_IN_A_SUMMARY}"
        );
        let (rules, by_rules, by_subjects) = inhibitions(self.rules);
        let rows: Vec<Json<Told>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(self.channel.as_str())
            .bind(rules)
            .bind(by_rules)
            .bind(by_subjects)
            .bind(of.map(|(rule, _)| rule))
            .bind(of.map(|(_, kind)| kind))
            .bind(but_for)
            .fetch_all(tx)
            .await?;
        Ok(rows.into_iter().map(|Json(row)| row).collect())
    }

    async fn summarise(
        &self,
        tx: &mut PgConnection,
        reason: Reason,
        rows: &[Told],
    ) -> Result<(), sqlx::Error> {
        let now: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&mut *tx).await?;
        let id = Uuid::now_v7();
        sqlx::query(
            "insert into deliveries (id, channel, kind, body, not_before, next_attempt_at)
             values ($1, $2, 'summary', $3, $4, $4)",
        )
        .bind(id)
        .bind(self.channel.as_str())
        .bind(body(reason, rows, now))
        .bind(now)
        .execute(&mut *tx)
        .await?;
        // What resolved a moment ago is withdrawn, and only counted in the summary.
        sqlx::query(
            "update deliveries set summarised_at = $2, summary_id = $3
             where id = any($1) and withdrawn_at is null",
        )
        .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
        .bind(now)
        .bind(id)
        .execute(tx)
        .await?;
        counter!("factline_alerter_summarised_total", "reason" => reason.as_str())
            .increment(rows.len() as u64);
        Ok(())
    }
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Grouped => "grouped",
            Self::RateCap => "rate_cap",
        }
    }
}

/// What the receiver gets: how many of what, and the first of them.
fn body(reason: Reason, rows: &[Told], now: DateTime<Utc>) -> String {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for row in rows {
        *counts.entry((&row.rule, &row.kind)).or_default() += 1;
    }
    let counts = counts
        .into_iter()
        .map(|((rule, kind), count)| json!({"rule": rule, "kind": kind, "count": count}));
    let first = rows.iter().take(NAMED_IN_A_SUMMARY).map(|row| {
        let Told { id: _, kind, episode_id, rule, severity, subject } = row;
        json!({"episode_id": episode_id, "rule": rule, "severity": severity, "subject": subject,
               "kind": kind})
    });
    json!({
        "type": "alert.summary",
        "timestamp": now,
        "data": {
            "reason": reason.as_str(),
            "count": rows.len(),
            "counts": counts.collect::<Vec<_>>(),
            "first": first.collect::<Vec<_>>(),
        },
    })
    .to_string()
}

/// The rules' `inhibited_by` as three columns: which rule waits, for which rule, for which subject if
/// not for all.
pub(super) fn inhibitions(rules: &Rules) -> (Vec<String>, Vec<String>, Vec<Option<String>>) {
    let each = rules.0.iter().flat_map(|rule| rule.inhibited_by.iter().map(move |by| (rule, by)));
    let (mut waiting, mut by_rules, mut by_subjects) = (Vec::new(), Vec::new(), Vec::new());
    for (rule, by) in each {
        let mut parts = by.splitn(2, '/').map(str::to_owned);
        waiting.push(rule.name.clone());
        by_rules.extend(parts.next());
        by_subjects.push(parts.next());
    }
    (waiting, by_rules, by_subjects)
}
