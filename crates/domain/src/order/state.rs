//! The state of one order, made by its events.

use std::collections::BTreeMap;

use factline_core::Aggregate;
use serde::{Deserialize, Serialize};

use super::{ConfirmedLine, OrderEvent, OrderItemAdded, OrderRefusal, OrderStatus};

/// An order, or the place where one could be created.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Order(Option<KnownOrder>);

/// An order that was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownOrder {
    /// Whose order it is.
    pub customer_id: String,
    /// Where the goods go.
    pub shipping_address: String,
    /// ISO 4217 code of all its amounts.
    pub currency: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// What is on it, by SKU.
    pub lines: BTreeMap<String, OrderLine>,
    /// The sum of all corrections of its amount.
    pub corrections_cents: i64,
}

/// All the units of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// What the item was called when it was added.
    pub name: String,
    /// Units, at least 1.
    pub quantity: i64,
    /// Price of one unit in minor units of the order's currency.
    pub unit_price_cents: i64,
}

impl Order {
    /// The order, if it was ever created.
    #[must_use]
    pub fn known(&self) -> Option<&KnownOrder> {
        self.0.as_ref()
    }
}

impl OrderLine {
    /// What the line comes to.
    #[must_use]
    pub fn total_cents(&self) -> i64 {
        self.quantity.saturating_mul(self.unit_price_cents)
    }
}

/// Sums saturate: decisions keep them far from the edge, and taking in an event never fails.
impl KnownOrder {
    /// What the lines come to, before corrections.
    #[must_use]
    pub fn lines_cents(&self) -> i64 {
        self.lines.values().fold(0, |sum, line| sum.saturating_add(line.total_cents()))
    }

    /// What the order comes to; never negative.
    #[must_use]
    pub fn total_cents(&self) -> i64 {
        self.lines_cents().saturating_add(self.corrections_cents)
    }

    /// The lines as events tell them, by SKU.
    #[must_use]
    pub fn confirmed_lines(&self) -> Vec<ConfirmedLine> {
        let told = |(sku, line): (&String, &OrderLine)| ConfirmedLine {
            sku: sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price_cents: line.unit_price_cents,
        };
        self.lines.iter().map(told).collect()
    }

    fn take(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderCreated(_) => {} // made this state
            OrderEvent::OrderItemAdded(added) => self.add(added),
            OrderEvent::OrderItemRemoved(removed) => {
                self.lines.remove(&removed.sku);
            }
            OrderEvent::OrderConfirmed(_) => self.status = OrderStatus::Confirmed,
            OrderEvent::OrderAllocated(_) => self.status = OrderStatus::Pending,
            OrderEvent::OrderPaid(_) => self.status = OrderStatus::Paid,
            OrderEvent::PaymentFailed(_) => {} // it still waits for a payment
            OrderEvent::OrderShipped(_) => self.status = OrderStatus::Shipped,
            OrderEvent::OrderDelivered(_) => self.status = OrderStatus::Delivered,
            OrderEvent::OrderCancelled(_) => self.status = OrderStatus::Cancelled,
            OrderEvent::OrderAmountCorrected(corrected) => {
                self.corrections_cents =
                    self.corrections_cents.saturating_add(corrected.delta_cents);
            }
        }
    }

    fn add(&mut self, added: &OrderItemAdded) {
        let line = self.lines.entry(added.sku.clone()).or_insert_with(|| OrderLine {
            name: added.name.clone(),
            quantity: 0,
            unit_price_cents: added.unit_price_cents,
        });
        line.quantity = line.quantity.saturating_add(added.quantity);
    }
}

impl Aggregate for Order {
    const STATE_VERSION: i32 = 1;
    type Event = OrderEvent;
    type Refusal = OrderRefusal;

    fn evolve(&mut self, event: &OrderEvent) {
        if let OrderEvent::OrderCreated(created) = event {
            self.0 = Some(KnownOrder {
                customer_id: created.customer_id.clone(),
                shipping_address: created.shipping_address.clone(),
                currency: created.currency.clone(),
                status: OrderStatus::Draft,
                lines: BTreeMap::new(),
                corrections_cents: 0,
            });
        } else if let Some(known) = &mut self.0 {
            known.take(event);
        }
    }
}
