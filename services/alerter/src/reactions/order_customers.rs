//! `order_customers`: whose order it is. `OrderCreated` flows in; one row per order flows out, for
//! mail about events that do not say.

use domain::order::{OrderCreated, OrderEvent};
use factline_core::{Fold, Folded, Recorded};
use factline_projection::{Rows, View};
use serde::{Deserialize, Serialize};

/// The view.
pub struct OrderCustomers;

/// Whose order one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCustomer {
    /// The order's key.
    pub order_id: String,
    /// The customer's.
    pub customer_id: String,
}

impl View for OrderCustomers {
    const TABLE: &'static str = "order_customers";
    const KEY: &'static [&'static str] = &["order_id"];
    const ROWS: Rows = Rows::OfOneEvent;
}

impl Fold for OrderCustomers {
    const NAME: &'static str = "order_customers";
    type Event = OrderEvent;
    type Key = String;
    type Row = OrderCustomer;

    fn key(event: &Recorded<OrderEvent>) -> Option<String> {
        of(&event.event).map(|_| event.envelope.stream_id.to_string())
    }

    fn fold(row: Option<OrderCustomer>, event: &Recorded<OrderEvent>) -> Folded<OrderCustomer> {
        let Some(created) = of(&event.event) else { return Folded::Unchanged };
        if row.is_some() {
            return Folded::Impossible("the order was created before");
        }
        let (order_id, customer_id) =
            (event.envelope.stream_id.to_string(), created.customer_id.clone());
        Folded::Put(OrderCustomer { order_id, customer_id })
    }
}

/// The one event that says it; a new event has to be answered for here.
const fn of(event: &OrderEvent) -> Option<&OrderCreated> {
    match event {
        OrderEvent::OrderCreated(created) => Some(created),
        OrderEvent::OrderItemAdded(_)
        | OrderEvent::OrderItemRemoved(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderAllocated(_)
        | OrderEvent::OrderPaid(_)
        | OrderEvent::PaymentFailed(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderDelivered(_)
        | OrderEvent::OrderCancelled(_)
        | OrderEvent::OrderAmountCorrected(_) => None,
    }
}
