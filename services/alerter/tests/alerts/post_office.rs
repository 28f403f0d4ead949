//! The stack's real SMTP server, and what it has received.

use alerter::{
    email::{EmailSettings, Security, Smtp},
    outbox::{
        Sender,
        book::{Book, Table},
    },
    reactions::mailing::Mailing,
};
use factline_testkit::{eventually_ok, stack};
use serde_json::Value;
use service_kit::settings::Secret;
use uuid::Uuid;

use crate::alarm::{Alarm, DEADLINE, Deliverer};

/// A recipient that no other test writes to.
pub fn somebody() -> String {
    format!("{}@example.com", Uuid::new_v4().simple())
}

/// Impatient settings, for the stack's server.
pub fn email() -> EmailSettings {
    EmailSettings {
        smtp: stack().smtp,
        security: Security::None,
        allow_insecure: true,
        ca_file: String::new(),
        username: String::new(),
        password: Secret::default(),
        from: "Shop <orders@shop.example>".to_owned(),
        alerts_to: String::new(),
        timeout_ms: 10_000,
        poll_ms: 10,
        concurrency: 4,
        retry_first_ms: 2,
        retry_most_ms: 50,
        max_attempts: 1_000,
        expire_ms: 3_153_600_000_000, // a century: histories of tests are of one day in January 2026
    }
}

/// A mail that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub message_id: String,
    pub subject: String,
    /// Headers and all parts, as they came.
    pub source: String,
}

/// What the server has for a recipient, oldest first.
pub async fn received(to: &str) -> Vec<Received> {
    let url = format!("{}/api/user/{to}/messages", stack().mail_url);
    let answer = reqwest::get(url).await.unwrap();
    if !answer.status().is_success() {
        return Vec::new(); // nobody has written to them yet
    }
    let messages: Vec<Value> = answer.json().await.unwrap();
    let received = |message: &Value| {
        let source = message["mimeMessage"].as_str().unwrap().to_owned();
        let id = source.lines().find_map(|line| line.strip_prefix("Message-ID: "));
        Received {
            message_id: id.unwrap_or_default().to_owned(),
            subject: message["subject"].as_str().unwrap_or_default().to_owned(),
            source,
        }
    };
    messages.iter().map(received).collect()
}

/// Waits until the server has so many.
pub async fn until_received(to: &str, count: usize) -> Vec<Received> {
    eventually_ok(DEADLINE, "mail at the server", async || {
        let mails = received(to).await;
        if mails.len() == count { Ok(mails) } else { Err(format!("{mails:?}")) }
    })
    .await
}

impl Alarm {
    /// Sends the reactions' mail.
    pub fn mail(&self, settings: &EmailSettings) -> Deliverer {
        let mailing = Mailing::new(self.pool.clone(), Smtp::new(settings).unwrap(), settings);
        let book = Book::new(self.pool.clone(), Table::Emails, settings.pace());
        let poll = std::time::Duration::from_millis(settings.poll_ms);
        Deliverer::of(Sender::new(mailing, book, poll), self.health.component("email"))
    }

    /// The states of all mails, by the order's event: `delivered 1`, with the attempts.
    pub async fn mails(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select concat_ws(' ', case when delivered_at is not null then 'delivered'
                         when withdrawn_at is not null then 'withdrawn'
                         when abandoned_at is not null then 'abandoned' else 'waiting' end, attempts)
             from emails order by created_at, reaction",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// Waits until the only mail's last attempt failed with this word in its error.
    pub async fn until_mail_failed(&self, word: &str) {
        eventually_ok(DEADLINE, "a failed attempt", async || {
            let error: Option<String> = sqlx::query_scalar("select last_error from emails")
                .fetch_one(&self.pool)
                .await
                .unwrap();
            let error = error.unwrap_or_default();
            if error.contains(word) { Ok(()) } else { Err(error) }
        })
        .await;
        sqlx::query("update emails set last_error = null, next_attempt_at = now()")
            .execute(&self.pool)
            .await
            .unwrap();
    }

    pub async fn until_mails(&self, expected: &[&str]) {
        eventually_ok(DEADLINE, "the mails' states", async || {
            let mails = self.mails().await;
            if mails == expected { Ok(()) } else { Err(format!("{mails:?}")) }
        })
        .await;
    }
}
