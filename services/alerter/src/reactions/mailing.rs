//! Reactions' mail on its way: rows of `emails` flow in, joined with whom they are for, and letters
//! flow out.
//!
//! A mail whose customer is not known yet is not due. One that is older than the settings allow is
//! withdrawn: nobody needs last month's confirmation, and a reaction that is added today must not
//! write to every customer of the past.

use std::time::Duration;

use askama::Template;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use metrics::counter;
use serde::Deserialize;
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use crate::{
    email::{EmailSettings, Letter, Smtp},
    outbox::{Claimed, Outcome, Queue, pace::Pace},
};

/// The queue.
pub struct Mailing {
    pool: PgPool,
    smtp: Smtp,
    pace: Pace,
    expire: Duration,
}

const EXPIRE: &str = "
    update emails set withdrawn_at = now(), last_error = 'too old to be of use'
    where id in (
        select id from emails
        where delivered_at is null and abandoned_at is null and withdrawn_at is null
          and created_at < now() - make_interval(secs => $1) and next_attempt_at <= now()
        for update skip locked
    )";

/// What is due is chosen once: as a part of the join it could be chosen anew for every row.
const CLAIM: &str = "
    with due as materialized (
        select due.id, due.receiver_may_know as knew, c.name, c.email
        from emails due
        left join order_customers o on o.order_id = due.order_id
        join contacts c on c.customer_id = coalesce(due.customer_id, o.customer_id)
        where due.delivered_at is null and due.abandoned_at is null and due.withdrawn_at is null
          and due.next_attempt_at <= now()
        order by due.next_attempt_at limit $1
        for update of due skip locked
    )
    update emails e
    set attempts = e.attempts + 1, last_attempt_at = now(), receiver_may_know = true,
        next_attempt_at = now() + make_interval(secs => $2)
    from due
    where e.id = due.id
    returning to_jsonb(e) || jsonb_build_object('knew', due.knew, 'name', due.name,
                                                'email', due.email)";

#[derive(Deserialize)]
struct Row {
    id: Uuid,
    attempts: u32,
    knew: bool,
    name: String,
    email: String,
    subject: String,
    text_body: String,
    html_body: String,
    created_at: DateTime<Utc>,
}

/// What stands around every mail.
#[derive(Template)]
#[template(path = "frame.txt")]
struct TextFrame<'a> {
    name: &'a str,
    body: &'a str,
}

#[derive(Template)]
#[template(path = "frame.html")]
struct HtmlFrame<'a> {
    subject: &'a str,
    name: &'a str,
    body: &'a str,
}

impl Mailing {
    /// Touches nothing yet.
    #[must_use]
    pub fn new(pool: PgPool, smtp: Smtp, settings: &EmailSettings) -> Self {
        let expire = Duration::from_millis(settings.expire_ms);
        Self { pool, smtp, pace: settings.pace(), expire }
    }

    async fn expire(&self) -> Result<(), sqlx::Error> {
        let expired = sqlx::query(EXPIRE).bind(self.expire.as_secs_f64()).execute(&self.pool);
        let expired = expired.await?.rows_affected();
        if expired > 0 {
            counter!("factline_alerter_expired_total", "queue" => self.name()).increment(expired);
            tracing::warn!(expired, "mail was not sent in time and is not sent any more");
        }
        Ok(())
    }
}

#[async_trait]
impl Queue for Mailing {
    /// Everything but the greeting's frame, which is put around it when it is sent.
    type Message = Letter;

    fn name(&self) -> &'static str {
        "email"
    }

    async fn claim(&self) -> Result<Vec<Claimed<Letter>>, sqlx::Error> {
        self.expire().await?;
        let rows: Vec<Json<Row>> = sqlx::query_scalar(CLAIM)
            .bind(self.pace.batch())
            .bind(self.pace.claim_s())
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|Json(row)| row.claimed()).collect())
    }

    async fn send(&self, claimed: &Claimed<Letter>) -> Outcome {
        match framed(&claimed.message) {
            Ok(letter) => self.smtp.send(&letter).await,
            Err(error) => Outcome::Rejected { why: error.to_string() },
        }
    }
}

impl Row {
    fn claimed(self) -> Claimed<Letter> {
        let letter = Letter {
            id: self.id,
            to_name: self.name,
            to_address: self.email,
            subject: self.subject,
            text: self.text_body,
            html: self.html_body,
            at: self.created_at,
        };
        Claimed { id: self.id, attempts: self.attempts, knew: self.knew, message: letter }
    }
}

fn framed(letter: &Letter) -> Result<Letter, askama::Error> {
    let Letter { to_name: name, subject, text, html, .. } = letter;
    let text = TextFrame { name, body: text }.render()?;
    let html = HtmlFrame { subject, name, body: html }.render()?;
    Ok(Letter { text, html, ..letter.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w12_a_customers_name_cannot_be_markup() {
        let letter = Letter {
            id: Uuid::nil(),
            to_name: "<script>alert(1)</script> {{7*7}}".to_owned(),
            to_address: "ada@example.com".to_owned(),
            subject: "</title><script>".to_owned(),
            text: "It is done.".to_owned(),
            html: "<p>It is done.</p>".to_owned(),
            at: Utc::now(),
        };
        let Letter { text, html, .. } = framed(&letter).unwrap();
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("<p>It is done.</p>"), "{html}");
        assert!(
            html.contains("{{7*7}}") && text.contains("{{7*7}}"),
            "shown as it is, computed never"
        );
    }
}
