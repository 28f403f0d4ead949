//! Silences: while one is in force, nothing is told of the alerts that it matches. They are held back,
//! not dropped: what is still open when it ends is told then.

use chrono::{DateTime, TimeDelta, Utc};
use read_kit::{Limit, PageError, cursor};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use sqlx::{PgPool, Postgres, QueryBuilder, types::Json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Whoever wants longer wants another rule.
const LONGEST_DAYS: i64 = 31;
/// Nobody plans further ahead; and a date that far reads the same everywhere.
const EARLIEST_WITHIN_DAYS: i64 = 366;
/// A sentence or two.
const MOST_LETTERS: usize = 500;

/// What is to be silent, until when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSilence {
    /// Only of this rule; every rule if absent. One of rule and subject must be there.
    #[serde(default)]
    #[schema(example = "low_stock", max_length = 200, pattern = "^[^\\u0000]*$")]
    pub rule: Option<String>,
    /// Only of this subject; every subject if absent.
    #[serde(default)]
    #[schema(example = "85123A", max_length = 200, pattern = "^[^\\u0000]*$")]
    pub subject: Option<String>,
    /// From when on, within a year; now if absent.
    #[serde(default)]
    pub starts_at: Option<DateTime<Utc>>,
    /// Until when, at most 31 days later.
    pub ends_at: DateTime<Utc>,
    /// Why.
    #[schema(min_length = 1, max_length = 500, pattern = "^[^\\u0000]*$")]
    pub reason: String,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Silence {
    /// The same for ever.
    pub id: Uuid,
    /// Only of this rule; every rule if null.
    pub rule: Option<String>,
    /// Only of this subject; every subject if null.
    pub subject: Option<String>,
    /// From when on.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it, as the caller claimed.
    pub created_by: String,
    /// When somebody ended it before its time.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who did.
    pub ended_by: Option<String>,
}

/// Which silences, how many.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SilenceQuery {
    /// Only those that are in force, or will be.
    #[serde(default)]
    #[param(value_type = bool, default = false)]
    pub active: bool,
    /// Silences on a page.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 500, default = 50)]
    pub limit: Limit,
    /// `next_cursor` of the page before, which had the same parameters.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// A page of silences.
#[derive(Debug, Serialize, ToSchema)]
pub struct SilencePage {
    /// The silences, the one made last first.
    pub items: Vec<Silence>,
    /// Give it as `cursor` to get the next page; null when this is the last.
    pub next_cursor: Option<String>,
}

impl NewSilence {
    /// # Errors
    /// It is for everything, for ever, for no reason, or over.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), Problem> {
        let starts_at = self.starts_at.unwrap_or(now);
        let wrong = if self.rule.is_none() && self.subject.is_none() {
            Some(("/rule", "or subject is required: a silence of everything hides everything"))
        } else if [&self.rule, &self.subject].into_iter().flatten().any(|text| is_unusable(text)) {
            Some(("/rule", "and subject have 1 to 500 characters, none of them NUL"))
        } else if is_unusable(&self.reason) {
            Some(("/reason", "has 1 to 500 characters, none of them NUL"))
        } else if self.ends_at <= starts_at.max(now) {
            Some(("/ends_at", "is not after the start, or over"))
        } else if starts_at - now > TimeDelta::days(EARLIEST_WITHIN_DAYS) {
            Some(("/starts_at", "is more than a year away"))
        } else if self.ends_at - starts_at > TimeDelta::days(LONGEST_DAYS) {
            Some(("/ends_at", "is more than 31 days after the start"))
        } else {
            None
        };
        let Some((pointer, detail)) = wrong else { return Ok(()) };
        let problem =
            Problem::unprocessable("unusable_silence", "this would silence nobody, or everybody");
        Err(problem.error(pointer, detail))
    }
}

fn is_unusable(text: &str) -> bool {
    text.trim().is_empty() || text.chars().count() > MOST_LETTERS || text.contains('\0')
}

/// Makes a silence; one of this id that is there already stays as it is. `None`: it is another.
///
/// # Errors
/// The database fails.
pub async fn create(
    pool: &PgPool,
    id: Uuid,
    new: &NewSilence,
    by: &str,
) -> Result<Option<Silence>, sqlx::Error> {
    sqlx::query(
        "insert into silences (id, rule, subject, starts_at, ends_at, reason, created_by)
         values ($1, $2, $3, coalesce($4, now()), $5, $6, $7) on conflict do nothing",
    )
    .bind(id)
    .bind(&new.rule)
    .bind(&new.subject)
    .bind(new.starts_at)
    .bind(new.ends_at)
    .bind(&new.reason)
    .bind(by)
    .execute(pool)
    .await?;
    let found = find(pool, id).await?;
    let same = |silence: &Silence| {
        // The database keeps microseconds.
        let ends_at = new.ends_at.timestamp_micros() == silence.ends_at.timestamp_micros();
        let starts_at = new
            .starts_at
            .is_none_or(|at| at.timestamp_micros() == silence.starts_at.timestamp_micros());
        ends_at
            && starts_at
            && (&new.rule, &new.subject, &new.reason)
                == (&silence.rule, &silence.subject, &silence.reason)
    };
    Ok(found.filter(same))
}

/// Ends a silence now; one that is over stays as it is. `None`: there is none of this id.
///
/// # Errors
/// The database fails.
pub async fn end(pool: &PgPool, id: Uuid, by: &str) -> Result<Option<Silence>, sqlx::Error> {
    sqlx::query(
        "update silences set ended_at = now(), ended_by = $2
         where id = $1 and ended_at is null and ends_at > now()",
    )
    .bind(id)
    .bind(by)
    .execute(pool)
    .await?;
    find(pool, id).await
}

async fn find(pool: &PgPool, id: Uuid) -> Result<Option<Silence>, sqlx::Error> {
    let row: Option<Json<Silence>> =
        sqlx::query_scalar("select to_jsonb(s) from silences s where id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|Json(row)| row))
}

/// Where a page ended.
type PageEnd = (DateTime<Utc>, Uuid);

/// Reads a page.
///
/// # Errors
/// The cursor is not one that this query gave, or the database fails.
pub async fn page(pool: &PgPool, query: &SilenceQuery) -> Result<SilencePage, PageError> {
    let SilenceQuery { active, limit, cursor } = query;
    let binding = format!("silences {active}");
    let end: Option<PageEnd> =
        cursor.as_deref().map(|text| cursor::open(&binding, text)).transpose()?;
    let mut sql: QueryBuilder<Postgres> =
        QueryBuilder::new("select to_jsonb(s) from silences s where true");
    if *active {
        sql.push(" and s.ended_at is null and s.ends_at > now()");
    }
    if let Some((created_at, id)) = end {
        sql.push(" and (s.created_at, s.id) < (").push_bind(created_at);
        sql.push(", ").push_bind(id).push(")");
    }
    sql.push(" order by s.created_at desc, s.id desc limit ").push_bind(limit.and_one());
    let rows: Vec<Json<Silence>> = sql.build_query_scalar().fetch_all(pool).await?;
    let seal = |row: &Silence| cursor::seal(&binding, &(row.created_at, row.id));
    let (items, next_cursor) = limit.page(rows, seal);
    Ok(SilencePage { items, next_cursor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_needs_a_rule_or_a_subject_a_reason_and_an_end_within_a_month() {
        let now: DateTime<Utc> = "2026-01-05T09:00:00Z".parse().unwrap();
        let good = NewSilence {
            rule: Some("low_stock".to_owned()),
            subject: None,
            starts_at: None,
            ends_at: now + TimeDelta::hours(1),
            reason: "stocktaking".to_owned(),
        };
        assert!(good.check(now).is_ok());
        let bad = [
            NewSilence { rule: None, ..good.clone() },
            NewSilence { rule: Some("a\0".to_owned()), ..good.clone() },
            NewSilence { reason: " ".to_owned(), ..good.clone() },
            NewSilence { ends_at: now, ..good.clone() },
            NewSilence { starts_at: Some(now + TimeDelta::hours(2)), ..good.clone() },
            NewSilence { ends_at: now + TimeDelta::days(32), ..good.clone() },
            NewSilence {
                starts_at: Some(now + TimeDelta::days(100_000)),
                ends_at: now + TimeDelta::days(100_001),
                ..good.clone()
            },
        ];
        for bad in bad {
            assert_eq!(bad.check(now).unwrap_err().code(), "unusable_silence", "{bad:?}");
        }
    }
}
