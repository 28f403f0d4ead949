//! Random commands against a model that is too plain to be wrong: a word for the status, a list of
//! lines, and one running total.

use std::collections::BTreeMap;

use chrono::DateTime;
use domain::order::{Informed, KnownOrder, Order, OrderCommand, OrderEvent, Quote};
use factline_core::{Aggregate, Decide, Moment, StreamId};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::words::*;

#[derive(Default)]
struct Model {
    /// Empty before the order exists.
    status: &'static str,
    /// SKU, units, price.
    lines: Vec<(String, i64, i64)>,
    total: i64,
}

impl Model {
    /// Whether the command is accepted; if so, it is done.
    fn accepts(&mut self, Informed { command, facts }: &Informed) -> bool {
        match command {
            OrderCommand::CreateOrder(_) => self.create(facts.customers.len() == 1),
            OrderCommand::PlaceOrder(place) => {
                let mut placed = Self { status: self.status, ..Self::default() };
                let accepted = placed.create(facts.customers.len() == 1)
                    && place.items.as_slice().iter().all(|item| {
                        placed.add(&item.sku, item.quantity.get(), facts.quotes.get(&item.sku))
                    });
                if accepted {
                    placed.status = "confirmed";
                    *self = placed;
                }
                accepted
            }
            OrderCommand::AddOrderItem(add) => {
                self.add(&add.sku, add.quantity.get(), facts.quotes.get(&add.sku))
            }
            OrderCommand::RemoveOrderItem(remove) => self.remove(remove.sku.as_str()),
            OrderCommand::ConfirmOrder(_) => {
                !self.lines.is_empty() && self.moves("draft", "confirmed")
            }
            OrderCommand::AllocateOrder(_) => self.moves("confirmed", "pending"),
            OrderCommand::PayOrder(pay) => {
                pay.amount_cents.get() == self.total && self.moves("pending", "paid")
            }
            OrderCommand::FailPayment(_) => self.status == "pending",
            OrderCommand::ShipOrder(_) => self.moves("paid", "shipped"),
            OrderCommand::DeliverOrder(_) => self.moves("shipped", "delivered"),
            OrderCommand::CancelOrder(_) => ["draft", "confirmed", "pending", "paid"]
                .iter()
                .any(|from| self.moves(from, "cancelled")),
            OrderCommand::CorrectAmount(correct) => {
                let after = self.total + correct.delta_cents.get();
                let accepted = !self.status.is_empty() && facts.events.len() == 1 && after >= 0;
                self.total = if accepted { after } else { self.total };
                accepted
            }
        }
    }

    fn create(&mut self, customer_exists: bool) -> bool {
        customer_exists && self.moves("", "draft")
    }

    fn moves(&mut self, from: &str, to: &'static str) -> bool {
        let accepted = self.status == from;
        self.status = if accepted { to } else { self.status };
        accepted
    }

    fn add(&mut self, sku: &StreamId, quantity: i64, quote: Option<&Quote>) -> bool {
        let Some(quote) = quote.filter(|quote| !quote.discontinued && quote.currency == "USD")
        else {
            return false;
        };
        let price = quote.unit_price_cents;
        let line = self.lines.iter_mut().find(|line| line.0 == sku.as_str());
        if self.status != "draft" || line.as_ref().is_some_and(|line| line.2 != price) {
            return false;
        }
        match line {
            Some(line) => line.1 += quantity,
            None => self.lines.push((sku.to_string(), quantity, price)),
        }
        self.total += quantity * price;
        true
    }

    fn remove(&mut self, sku: &str) -> bool {
        let Some(index) = self.lines.iter().position(|line| line.0 == sku) else { return false };
        let (_, quantity, price) = self.lines[index];
        let accepted = self.status == "draft" && self.total >= quantity * price;
        if accepted {
            self.lines.remove(index);
            self.total -= quantity * price;
        }
        accepted
    }
}

const SKUS: [&str; 5] = ["lantern", "candle", "tea", "gramophone", "unicorn"];

/// Most go the order's way, so that many orders reach their end.
fn random_command(random: &mut StdRng, total: i64) -> Informed {
    let item = |random: &mut StdRng| (SKUS[random.random_range(0..5)], random.random_range(1..=4));
    let (sku, quantity) = item(random);
    match random.random_range(0..100) {
        0..8 => create_for([ADA, ADA, ADA, NOBODY][random.random_range(0..4)], None),
        8..14 => place(&[(SKUS[random.random_range(0..2)], quantity), item(random)]),
        14..40 => add(sku, quantity),
        40..48 => remove(sku),
        48..56 => confirm(),
        56..64 => allocate(),
        64..72 => pay(total + [0, 0, 0, 1][random.random_range(0..4)]),
        72..75 => fail_payment(),
        75..81 => ship(),
        81..86 => deliver(),
        86..89 => cancel(),
        _ => correct_event(
            [WRONG_EVENT, WRONG_EVENT, FOREIGN_EVENT][random.random_range(0..3)],
            random.random_range(-400..=300),
        ),
    }
}

/// What the events themselves say that the order comes to.
fn told(total: i64, event: &OrderEvent) -> i64 {
    match event {
        OrderEvent::OrderItemAdded(added) => total + added.quantity * added.unit_price_cents,
        OrderEvent::OrderItemRemoved(removed) => {
            total - removed.quantity * removed.unit_price_cents
        }
        OrderEvent::OrderAmountCorrected(corrected) => {
            assert_eq!(corrected.total_cents, total + corrected.delta_cents);
            corrected.total_cents
        }
        OrderEvent::OrderConfirmed(confirmed) => {
            assert_eq!(confirmed.total_cents, total);
            total
        }
        OrderEvent::OrderAllocated(allocated) => {
            assert_eq!(allocated.total_cents, total);
            total
        }
        OrderEvent::OrderPaid(paid) => {
            assert_eq!(paid.amount_cents, total);
            total
        }
        OrderEvent::OrderCancelled(cancelled) => {
            assert!(cancelled.refund_cents == 0 || cancelled.refund_cents == total);
            total
        }
        OrderEvent::OrderCreated(_)
        | OrderEvent::PaymentFailed(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderDelivered(_) => total,
    }
}

fn lines_of(order: &KnownOrder) -> Vec<(String, i64, i64)> {
    let line = |(sku, line): (&String, &domain::order::OrderLine)| {
        (sku.clone(), line.quantity, line.unit_price_cents)
    };
    order.lines.iter().map(line).collect()
}

#[test]
fn no_sequence_of_commands_makes_or_loses_money_or_parts_from_the_plain_model() {
    let (mut accepted, mut refused) = (0, 0);
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..800 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut order, mut model, mut told_total) = (Order::default(), Model::default(), 0);
        for step in 0..80 {
            let place = format!("seed {seed} step {step}");
            let mut command = random_command(&mut random, model.total);
            if random.random_ratio(1, 10) {
                // The catalogue asks another price by now.
                command.facts.quotes.values_mut().for_each(|quote| quote.unit_price_cents += 7);
            }
            let decision = order.decide(&command, Moment(DateTime::UNIX_EPOCH));
            assert_eq!(decision.is_ok(), model.accepts(&command), "{place}: {command:?}");
            if decision.is_ok() {
                accepted += 1;
            } else {
                refused += 1;
            }
            for event in decision.unwrap_or_default() {
                order.evolve(&event);
                told_total = told(told_total, &event);
                let known = order.known().expect("an order with events");
                assert_eq!(known.total_cents(), told_total, "{place}: {event:?}");
            }
            let Some(known) = order.known() else { continue };
            let sum: i64 =
                lines_of(known).iter().map(|(_, quantity, price)| quantity * price).sum();
            assert_eq!(known.total_cents(), sum + known.corrections_cents, "{place}");
            assert_eq!(known.total_cents(), model.total, "{place}");
            assert!(known.total_cents() >= 0, "{place}");
            assert_eq!(known.status.as_str(), model.status, "{place}");
            model.lines.sort();
            assert_eq!(lines_of(known), model.lines, "{place}");
        }
        *ends.entry(model.status).or_default() += 1;
    }
    assert!(accepted > 5_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
    for status in ["confirmed", "pending", "paid", "shipped", "delivered", "cancelled"] {
        assert!(ends.contains_key(status), "no order ended {status}: {ends:?}");
    }
}
