//! What we do because something happened, without being asked: an event flows in, at most one mail to
//! a customer flows out. Each reaction is a projection of its own: its own consumer group, its own
//! pace, its own mistakes; none knows of another, and whoever wrote the event knows of none.
//!
//! - The mail is a row, written in the transaction that moves the reaction's checkpoint, under an id
//!   that follows from reaction and event: however often the event comes, there is one.
//! - To whom it goes is known when it is sent ([`mailing`]): a customer's event may come later than
//!   the order's, and then the mail waits for it ([`contacts`], [`order_customers`]).
//!
//! `docs/recipes/add-a-reaction.md` adds one.

pub mod cancellation;
pub mod confirmation;
pub mod contacts;
pub mod mailing;
pub mod order_customers;

use std::marker::PhantomData;

use async_trait::async_trait;
use factline_core::{DomainEvent, Recorded};
use factline_projection::{ApplyError, Projection};
use sqlx::PgConnection;
use uuid::Uuid;

/// Something that is done because of an event.
pub trait Reaction: Send + Sync + 'static {
    /// Consumer group, checkpoint, metric label, part of each mail's id. Permanent.
    const NAME: &'static str;
    /// The events that it may react to; their kind names the topic.
    type Event: DomainEvent;

    /// What this event makes us send, if anything. Pure.
    ///
    /// # Errors
    /// A mail cannot be written at all: the event's stream is parked.
    fn react(event: &Recorded<Self::Event>) -> Result<Option<Mail>, askama::Error>;
}

/// A mail as far as the event tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who gets it.
    pub to: Recipient,
    /// One line.
    pub subject: String,
    /// What it says to readers of plain text, without a greeting.
    pub text: String,
    /// The same as escaped HTML: paragraphs, tables; no document of its own.
    pub html: String,
}

/// Who gets a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// The customer of this id.
    Customer(String),
    /// The customer of the order of this id, where the event does not say who that is.
    CustomerOfOrder(String),
}

/// Runs a [`Reaction`].
pub struct Reacting<R>(PhantomData<fn() -> R>);

impl<R> Reacting<R> {
    /// Touches nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> Default for Reacting<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// The mail's id: the same however often the event is seen.
#[must_use]
pub fn mail_id<R: Reaction>(event_id: Uuid) -> Uuid {
    Uuid::new_v5(&event_id, R::NAME.as_bytes())
}

#[async_trait]
impl<R: Reaction> Projection for Reacting<R> {
    type Event = R::Event;

    fn name(&self) -> &'static str {
        R::NAME
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        // Fails where the table is missing, before anything is consumed.
        sqlx::query("select from emails limit 0").execute(connection).await?;
        Ok(())
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<R::Event>],
    ) -> Result<(), ApplyError> {
        for (index, event) in events.iter().enumerate() {
            let mail = R::react(event)
                .map_err(|error| ApplyError::impossible(index, error.to_string()))?;
            if let Some(mail) = mail {
                file::<R>(tx, event, &mail).await?;
            }
        }
        Ok(())
    }
}

/// A mail that is there already was filed before the reaction's checkpoint was lost: it stays.
async fn file<R: Reaction>(
    tx: &mut PgConnection,
    event: &Recorded<R::Event>,
    mail: &Mail,
) -> Result<(), sqlx::Error> {
    let (customer, order) = match &mail.to {
        Recipient::Customer(id) => (Some(id), None),
        Recipient::CustomerOfOrder(id) => (None, Some(id)),
    };
    sqlx::query(
        "insert into emails (id, reaction, event_id, customer_id, order_id, subject, text_body,
                             html_body, created_at, next_attempt_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) on conflict do nothing",
    )
    .bind(mail_id::<R>(event.envelope.event_id))
    .bind(R::NAME)
    .bind(event.envelope.event_id)
    .bind(customer)
    .bind(order)
    .bind(&mail.subject)
    .bind(&mail.text)
    .bind(&mail.html)
    .bind(event.envelope.recorded_at)
    .execute(tx)
    .await?;
    Ok(())
}
