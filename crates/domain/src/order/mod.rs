//! The orders: one stream per order, named by a UUID that whoever creates one brings along.
//!
//! [`OrderCommand`]s flow in, [`Order`] decides them, [`OrderEvent`]s or an [`OrderRefusal`] flow
//! out. An order is a `draft` until it is `confirmed`; then its stock is reserved (`pending`), it is
//! `paid`, `shipped` and `delivered`. Until it is shipped it may be `cancelled`.
//!
//! **What a decision must know of others.** A decision is a pure function and an order knows nothing
//! but itself, so a command says what has to be asked first ([`OrderCommand::questions`]): whether a
//! customer exists, what the catalogue says about an item, whether an event is one of this order's.
//! The border asks, through ports of its own, and hands command and [`Facts`] to the decision
//! together ([`Informed`]); in no other form is an [`OrderCommand`] decided. The border never refuses by
//! itself: what does not exist is missing among the facts, and the decision says no.
//! So the repeat of a command that was carried out meets its first answer, even when its item is
//! discontinued by now. A fact may have become old before the decision: a price holds that was right
//! when it was asked for.
//!
//! **Lines.** There is one line per SKU; units of an item that is on the draft already are added to
//! its line. A line has one price: when the catalogue asks another by now, the item is taken off and
//! added anew. The total is what the lines and the corrections come to, and is never negative.

mod commands;
mod decisions;
mod events;
mod facts;
mod payment;
mod refusal;
mod state;
mod status;

pub use commands::{
    AddOrderItem, AllocateOrder, CancelOrder, ConfirmOrder, CorrectAmount, CreateOrder,
    DeliverOrder, FailPayment, ItemsToPlace, OrderCommand, PayOrder, PlaceOrder, RemoveOrderItem,
    ShipOrder,
};
pub use events::{
    ConfirmedLine, OrderAllocated, OrderAmountCorrected, OrderCancelled, OrderConfirmed,
    OrderCreated, OrderDelivered, OrderEvent, OrderItemAdded, OrderItemRemoved, OrderPaid,
    OrderShipped, PaymentFailed,
};
pub use facts::{Facts, Informed, Questions, Quote};
pub use payment::PaymentMethod;
pub use refusal::OrderRefusal;
pub use state::{KnownOrder, Order, OrderLine};
pub use status::OrderStatus;

/// The most items that one order has. Its confirmation carries all of them in one event of at most
/// 256 KiB, and a line of the longest SKU and name takes 950 bytes of that.
pub const MAX_LINES: usize = 250;
