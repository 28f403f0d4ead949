//! What an order answers to each command: the events it causes, none when nothing would change, or
//! a refusal.

use factline_core::{Aggregate, Decide, Moment};

use super::{
    AddOrderItem, AllocateOrder, CancelOrder, ConfirmOrder, CorrectAmount, CreateOrder,
    DeliverOrder, Facts, FailPayment, Informed, KnownOrder, MAX_LINES, Order, OrderAllocated,
    OrderAmountCorrected, OrderCancelled, OrderCommand, OrderConfirmed, OrderCreated,
    OrderDelivered, OrderEvent, OrderItemAdded, OrderItemRemoved, OrderPaid, OrderRefusal,
    OrderShipped, OrderStatus, PayOrder, PaymentFailed, PlaceOrder, Quote, RemoveOrderItem,
    ShipOrder,
};
use crate::values::{MAX_TOTAL, MAX_UNITS};

type Decision = Result<Vec<OrderEvent>, OrderRefusal>;

/// The only way to decide an order's command: with what has to be known for it.
impl Decide<Informed> for Order {
    fn decide(&self, Informed { command, facts }: &Informed, at: Moment) -> Decision {
        match command {
            OrderCommand::CreateOrder(command) => self.create(command, facts),
            OrderCommand::PlaceOrder(command) => self.place(command, facts, at),
            OrderCommand::AddOrderItem(command) => self.add_item(command, facts),
            OrderCommand::CancelOrder(command) => self.cancel(command, facts),
            OrderCommand::CorrectAmount(command) => self.correct_amount(command, facts),
            OrderCommand::RemoveOrderItem(command) => self.decide(command, at),
            OrderCommand::ConfirmOrder(command) => self.decide(command, at),
            OrderCommand::AllocateOrder(command) => self.decide(command, at),
            OrderCommand::PayOrder(command) => self.decide(command, at),
            OrderCommand::FailPayment(command) => self.decide(command, at),
            OrderCommand::ShipOrder(command) => self.decide(command, at),
            OrderCommand::DeliverOrder(command) => self.decide(command, at),
        }
    }
}

/// The commands that need facts.
impl Order {
    fn create(&self, command: &CreateOrder, facts: &Facts) -> Decision {
        if self.known().is_some() {
            return Err(OrderRefusal::OrderExists);
        }
        facts.check_customer(command.customer_id)?;
        happened(OrderCreated {
            customer_id: command.customer_id.into(),
            shipping_address: command.shipping_address.clone().into(),
            currency: command.currency.clone().unwrap_or_default().into(),
        })
    }

    /// Creating, adding and confirming, one after the other, each by its own rules.
    fn place(&self, command: &PlaceOrder, facts: &Facts, at: Moment) -> Decision {
        let PlaceOrder { customer_id, items, shipping_address, currency } = command.clone();
        let create = CreateOrder { customer_id, shipping_address, currency };
        let mut placing = Steps { order: self.clone(), events: Vec::new() };
        placing.then(|order| order.create(&create, facts))?;
        for item in items.as_slice() {
            placing.then(|order| order.add_item(item, facts))?;
        }
        placing.then(|order| order.decide(&ConfirmOrder {}, at))?;
        Ok(placing.events)
    }

    fn add_item(&self, command: &AddOrderItem, facts: &Facts) -> Decision {
        let order = self.in_status(OrderStatus::Draft)?;
        let quote = facts.offer(&command.sku, &order.currency)?;
        let (sku, quantity) = (command.sku.to_string(), command.quantity.get());
        order.check_room(&sku, quantity, quote)?;
        let Quote { name, unit_price_cents, .. } = quote.clone();
        happened(OrderItemAdded { sku, name, quantity, unit_price_cents })
    }

    fn cancel(&self, command: &CancelOrder, facts: &Facts) -> Decision {
        let order = self.existing()?;
        let refund_cents = match order.status {
            OrderStatus::Draft | OrderStatus::Confirmed | OrderStatus::Pending => 0,
            OrderStatus::Paid => order.total_cents(),
            OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Cancelled => {
                return Err(OrderRefusal::NotCancellable { status: order.status });
            }
        };
        happened(OrderCancelled {
            reason: command.reason.clone().into(),
            cancelled_by: facts.actor.clone(),
            refund_cents,
            currency: order.currency.clone(),
        })
    }

    fn correct_amount(&self, command: &CorrectAmount, facts: &Facts) -> Decision {
        let order = self.existing()?;
        facts.check_event(command.corrects_event_id)?;
        let delta_cents = command.delta_cents.get();
        if delta_cents == 0 {
            return nothing();
        }
        let total_cents = order.total_after(delta_cents)?;
        happened(OrderAmountCorrected {
            delta_cents,
            total_cents,
            currency: order.currency.clone(),
            reason: command.reason.clone().into(),
            corrects_event_id: command.corrects_event_id.into(),
        })
    }
}

impl Decide<RemoveOrderItem> for Order {
    fn decide(&self, command: &RemoveOrderItem, _at: Moment) -> Decision {
        let order = self.in_status(OrderStatus::Draft)?;
        let sku = command.sku.to_string();
        let Some(line) = order.lines.get(&sku) else {
            return Err(OrderRefusal::ItemNotOnOrder { sku });
        };
        order.total_after(-line.total_cents())?;
        let (quantity, unit_price_cents) = (line.quantity, line.unit_price_cents);
        happened(OrderItemRemoved { sku, quantity, unit_price_cents })
    }
}

impl Decide<ConfirmOrder> for Order {
    fn decide(&self, _command: &ConfirmOrder, _at: Moment) -> Decision {
        let order = self.in_status(OrderStatus::Draft)?;
        if order.lines.is_empty() {
            return Err(OrderRefusal::NoItems);
        }
        happened(OrderConfirmed {
            customer_id: order.customer_id.clone(),
            lines: order.confirmed_lines(),
            total_cents: order.total_cents(),
            currency: order.currency.clone(),
        })
    }
}

impl Decide<AllocateOrder> for Order {
    fn decide(&self, _command: &AllocateOrder, _at: Moment) -> Decision {
        let order = self.in_status(OrderStatus::Confirmed)?;
        let (total_cents, currency) = (order.total_cents(), order.currency.clone());
        happened(OrderAllocated { total_cents, currency })
    }
}

impl Decide<PayOrder> for Order {
    fn decide(&self, command: &PayOrder, _at: Moment) -> Decision {
        let order = self.in_status(OrderStatus::Pending)?;
        let (total_cents, amount_cents) = (order.total_cents(), command.amount_cents.get());
        if amount_cents != total_cents {
            return Err(OrderRefusal::AmountMismatch { total_cents, amount_cents });
        }
        happened(OrderPaid {
            payment_id: command.payment_id.clone().into(),
            amount_cents,
            currency: order.currency.clone(),
            method: command.method.as_str().to_owned(),
        })
    }
}

impl Decide<FailPayment> for Order {
    fn decide(&self, command: &FailPayment, _at: Moment) -> Decision {
        self.in_status(OrderStatus::Pending)?;
        let FailPayment { payment_id, reason } = command.clone();
        happened(PaymentFailed { payment_id: payment_id.into(), reason: reason.into() })
    }
}

impl Decide<ShipOrder> for Order {
    fn decide(&self, command: &ShipOrder, _at: Moment) -> Decision {
        self.in_status(OrderStatus::Paid)?;
        let ShipOrder { tracking_number, carrier, estimated_delivery_on } = command.clone();
        happened(OrderShipped {
            tracking_number: tracking_number.into(),
            carrier: carrier.into(),
            estimated_delivery_on: estimated_delivery_on.map(|date| date.to_string()),
        })
    }
}

impl Decide<DeliverOrder> for Order {
    fn decide(&self, _command: &DeliverOrder, _at: Moment) -> Decision {
        self.in_status(OrderStatus::Shipped)?;
        happened(OrderDelivered {})
    }
}

fn happened(event: impl Into<OrderEvent>) -> Decision {
    Ok(vec![event.into()])
}

fn nothing() -> Decision {
    Ok(Vec::new())
}

/// Several decisions in a row, each on the order that the ones before it would make.
struct Steps {
    order: Order,
    events: Vec<OrderEvent>,
}

impl Steps {
    fn then(&mut self, decide: impl FnOnce(&Order) -> Decision) -> Result<(), OrderRefusal> {
        let events = decide(&self.order)?;
        events.iter().for_each(|event| self.order.evolve(event));
        self.events.extend(events);
        Ok(())
    }
}

impl Order {
    fn existing(&self) -> Result<&KnownOrder, OrderRefusal> {
        self.known().ok_or(OrderRefusal::UnknownOrder)
    }

    fn in_status(&self, required: OrderStatus) -> Result<&KnownOrder, OrderRefusal> {
        let order = self.existing()?;
        let status = order.status;
        if status == required {
            Ok(order)
        } else {
            Err(OrderRefusal::WrongStatus { required, status })
        }
    }
}

impl KnownOrder {
    /// Whether units of an item can come on top of what is on the order.
    fn check_room(&self, sku: &str, quantity: i64, quote: &Quote) -> Result<(), OrderRefusal> {
        let now_cents = quote.unit_price_cents;
        let line = self.lines.get(sku);
        if let Some(unit_price_cents) = line.map(|line| line.unit_price_cents)
            && unit_price_cents != now_cents
        {
            let sku = sku.to_owned();
            return Err(OrderRefusal::PriceChanged { sku, unit_price_cents, now_cents });
        }
        if line.is_none() && self.lines.len() >= MAX_LINES {
            return Err(OrderRefusal::OutOfRange { limit: MAX_LINES as i64 });
        }
        let units = line.map_or(0, |line| line.quantity).checked_add(quantity);
        within(units, MAX_UNITS)?; // what one command can reserve later
        let amount_cents = within(quantity.checked_mul(now_cents), MAX_TOTAL)?;
        within(self.lines_cents().checked_add(amount_cents), MAX_TOTAL)?;
        self.total_after(amount_cents).map(|_| ())
    }

    fn total_after(&self, delta_cents: i64) -> Result<i64, OrderRefusal> {
        let total = within(self.total_cents().checked_add(delta_cents), MAX_TOTAL)?;
        if total < 0 {
            return Err(OrderRefusal::NegativeTotal { resulting_cents: total });
        }
        Ok(total)
    }
}

fn within(number: Option<i64>, limit: i64) -> Result<i64, OrderRefusal> {
    number.filter(|number| *number <= limit).ok_or(OrderRefusal::OutOfRange { limit })
}
