//! What a decision must know beyond the order itself: questions go out, facts come in. Both are
//! plain data; whoever asks stands at the border.

use std::collections::{BTreeMap, BTreeSet};

use factline_core::StreamId;

use super::{OrderCommand, OrderRefusal, PlaceOrder};
use crate::values::{CustomerId, EventId};

/// What has to be asked before a command can be decided; for most commands, nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// Which of these are customers?
    pub customers: BTreeSet<CustomerId>,
    /// What does the catalogue say about these items?
    pub skus: BTreeSet<StreamId>,
    /// Which of these are events of the order itself?
    pub events: BTreeSet<EventId>,
}

/// What is known. What was asked about and is not here does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The customers that exist.
    pub customers: BTreeSet<CustomerId>,
    /// The items that the catalogue knows, by SKU.
    pub quotes: BTreeMap<StreamId, Quote>,
    /// The events that the order has. An event is never taken back, so this stays true.
    pub events: BTreeSet<EventId>,
    /// Who acts, where known.
    pub actor: Option<String>,
}

/// What the catalogue said about an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// What people call it.
    pub name: String,
    /// Price of one unit in minor units of [`Self::currency`], at least 0.
    pub unit_price_cents: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// No longer sold.
    pub discontinued: bool,
}

/// A command with what its decision must know.
#[derive(Debug, Clone, PartialEq)]
pub struct Informed {
    /// What is asked for.
    pub command: OrderCommand,
    /// The answers to its [`Questions`], and who asks.
    pub facts: Facts,
}

impl OrderCommand {
    /// What has to be asked before this command can be decided.
    #[must_use]
    pub fn questions(&self) -> Questions {
        let mut questions = Questions::default();
        match self {
            Self::CreateOrder(create) => {
                questions.customers.insert(create.customer_id);
            }
            Self::PlaceOrder(PlaceOrder { customer_id, items, .. }) => {
                questions.customers.insert(*customer_id);
                questions.skus.extend(items.as_slice().iter().map(|item| item.sku.clone()));
            }
            Self::AddOrderItem(add) => {
                questions.skus.insert(add.sku.clone());
            }
            Self::CorrectAmount(correct) => {
                questions.events.insert(correct.corrects_event_id);
            }
            Self::RemoveOrderItem(_)
            | Self::ConfirmOrder(_)
            | Self::AllocateOrder(_)
            | Self::PayOrder(_)
            | Self::FailPayment(_)
            | Self::ShipOrder(_)
            | Self::DeliverOrder(_)
            | Self::CancelOrder(_) => {}
        }
        questions
    }
}

impl Facts {
    pub(super) fn check_customer(&self, customer_id: CustomerId) -> Result<(), OrderRefusal> {
        let known = self.customers.contains(&customer_id);
        known.then_some(()).ok_or(OrderRefusal::UnknownCustomer { customer_id })
    }

    pub(super) fn check_event(&self, event_id: EventId) -> Result<(), OrderRefusal> {
        let known = self.events.contains(&event_id);
        known.then_some(()).ok_or(OrderRefusal::UnknownEvent { event_id })
    }

    /// What the catalogue asks for an item that it offers in this currency.
    pub(super) fn offer(&self, sku: &StreamId, currency: &str) -> Result<&Quote, OrderRefusal> {
        let item = || sku.to_string();
        let quote =
            self.quotes.get(sku).ok_or_else(|| OrderRefusal::UnknownItem { sku: item() })?;
        if quote.discontinued {
            return Err(OrderRefusal::ItemDiscontinued { sku: item() });
        }
        if quote.currency != currency {
            return Err(OrderRefusal::CurrencyMismatch {
                sku: item(),
                order_currency: currency.to_owned(),
                item_currency: quote.currency.clone(),
            });
        }
        Ok(quote)
    }
}
