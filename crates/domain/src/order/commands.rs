//! What can be asked of an order. The order's id is the stream's id and stands beside a command,
//! never in it.

use chrono::NaiveDate;
use factline_core::StreamId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MAX_LINES, PaymentMethod};
use crate::{
    command::{Command, FieldValue, Fields, InvalidFields, Shape},
    values::{
        AmountCents, AmountDeltaCents, Carrier, Currency, CustomerId, EventId, PaymentId,
        PostalAddress, Quantity, Reason, TrackingNumber,
    },
};

command! {
    /// Begins an order: a draft without items.
    pub struct CreateOrder = "order.create_order" {
        /// Whose order it is.
        pub customer_id: CustomerId,
        /// Where the goods go.
        pub shipping_address: PostalAddress,
        /// ISO 4217 code of all the order's amounts; USD when not given.
        pub currency: Option<Currency>,
    }
}

command! {
    /// Creates an order, adds its items and confirms it: all of it, or nothing.
    pub struct PlaceOrder = "order.place_order" {
        /// Whose order it is.
        pub customer_id: CustomerId,
        /// What is ordered; an item that is named twice is ordered with both quantities.
        pub items: ItemsToPlace,
        /// Where the goods go.
        pub shipping_address: PostalAddress,
        /// ISO 4217 code of all the order's amounts; USD when not given.
        pub currency: Option<Currency>,
    }
}

command! {
    /// Adds units of an item to a draft, at the catalogue's price.
    pub struct AddOrderItem = "order.add_order_item" {
        /// Which item.
        pub sku: StreamId,
        /// Units to add to those that are on the order.
        pub quantity: Quantity,
    }
}

command! {
    /// Takes an item off a draft, with all its units.
    pub struct RemoveOrderItem = "order.remove_order_item" {
        /// Which item.
        pub sku: StreamId,
    }
}

command! {
    /// Ends the draft: from now on its items and prices stay as they are.
    pub struct ConfirmOrder = "order.confirm_order" {}
}

command! {
    /// Tells that every line is reserved, so that the order can be paid.
    pub struct AllocateOrder = "order.allocate_order" {}
}

command! {
    /// Pays the order, in full.
    pub struct PayOrder = "order.pay_order" {
        /// The payment, as whoever took the money names it.
        pub payment_id: PaymentId,
        /// What was paid: exactly the order's total.
        pub amount_cents: AmountCents,
        /// How it was paid.
        pub method: PaymentMethod,
    }
}

command! {
    /// Tells that a payment was tried and did not succeed.
    pub struct FailPayment = "order.fail_payment" {
        /// The payment, as whoever was to take the money names it.
        pub payment_id: PaymentId,
        /// Why it failed.
        pub reason: Reason,
    }
}

command! {
    /// Tells that the goods left the house.
    pub struct ShipOrder = "order.ship_order" {
        /// The parcel, as its carrier names it.
        pub tracking_number: TrackingNumber,
        /// Who carries it.
        pub carrier: Carrier,
        /// The day on which it should arrive.
        pub estimated_delivery_on: Option<NaiveDate>,
    }
}

command! {
    /// Tells that the goods arrived.
    pub struct DeliverOrder = "order.deliver_order" {}
}

command! {
    /// Gives the order up, as long as it is not shipped.
    pub struct CancelOrder = "order.cancel_order" {
        /// Why.
        pub reason: Reason,
    }
}

command! {
    /// Corrects what the order comes to; the event that was wrong stays as it is.
    pub struct CorrectAmount = "order.correct_amount" {
        /// Cents to add to the total; negative to take away.
        pub delta_cents: AmountDeltaCents,
        /// Why the amount was wrong.
        pub reason: Reason,
        /// The event of this order that was wrong.
        pub corrects_event_id: EventId,
    }
}

command_set! {
    /// Everything that can be asked of an order.
    pub enum OrderCommand {
        CreateOrder,
        PlaceOrder,
        AddOrderItem,
        RemoveOrderItem,
        ConfirmOrder,
        AllocateOrder,
        PayOrder,
        FailPayment,
        ShipOrder,
        DeliverOrder,
        CancelOrder,
        CorrectAmount,
    }
}

/// What is ordered at once: at least one item and at most [`MAX_LINES`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<AddOrderItem>", into = "Vec<AddOrderItem>")]
pub struct ItemsToPlace(Vec<AddOrderItem>);

impl ItemsToPlace {
    /// As they were named.
    #[must_use]
    pub fn as_slice(&self) -> &[AddOrderItem] {
        &self.0
    }
}

impl TryFrom<Vec<AddOrderItem>> for ItemsToPlace {
    type Error = InvalidFields;

    fn try_from(items: Vec<AddOrderItem>) -> Result<Self, InvalidFields> {
        check_count(items.len()).map(|()| Self(items))
    }
}

impl From<ItemsToPlace> for Vec<AddOrderItem> {
    fn from(items: ItemsToPlace) -> Self {
        items.0
    }
}

impl FieldValue for ItemsToPlace {
    const SHAPE: Shape =
        Shape::List { of: &AddOrderItem::SHAPE, min_items: 1, max_items: MAX_LINES };

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let listed = value.as_array().map_or(&[][..], Vec::as_slice);
        check_count(listed.len())?;
        let (mut items, mut wrong) = (Vec::new(), Vec::new());
        for (index, item) in listed.iter().enumerate() {
            match <AddOrderItem as FieldValue>::read(item) {
                Ok(item) => items.push(item),
                Err(errors) => wrong.extend(errors.under(&index.to_string()).0),
            }
        }
        if wrong.is_empty() { Ok(Self(items)) } else { Err(InvalidFields(wrong)) }
    }
}

fn check_count(items: usize) -> Result<(), InvalidFields> {
    if (1..=MAX_LINES).contains(&items) {
        return Ok(());
    }
    Err(InvalidFields::whole(format!("must be a list of 1 to {MAX_LINES} items")))
}

/// One of the items to place: what [`AddOrderItem`] takes.
impl FieldValue for AddOrderItem {
    const SHAPE: Shape = Shape::Object { fields: Self::SPEC.fields };

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let mut fields = Fields::of(value.clone())?;
        let item = <Self as Command>::read(&mut fields);
        fields.finish(item)
    }
}
