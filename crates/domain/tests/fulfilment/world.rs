//! A world of one order, its items and its fulfilment, in which every move that can come next is tried.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    fulfilment::{Fulfilment, FulfilmentCommand, OrderFulfilment},
    inventory::{Item, ItemAdded, ReleaseReservation, ReserveStock, ShipReservation},
    order::{
        AllocateOrder, CancelOrder, ConfirmedLine, CorrectAmount, Facts, FailPayment, Informed,
        Order, OrderCommand, OrderConfirmed, OrderCreated, OrderEvent, OrderItemAdded, PayOrder,
        PaymentMethod, ShipOrder,
    },
    values::{EventId, Reason},
};
use factline_core::{
    Aggregate, Decide, Envelope, Moment, Position, Recorded, Refusal, StreamId, Version,
    saga::{Answer, Input, Outcome, Saga, Unanswered},
};
use uuid::Uuid;

use crate::words::{ORDER, SAGA};

pub const PRICE: i64 = 100;

/// What customer and warehouse do, one after the other, whenever they like; what is refused is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// By hand, past the fulfilment.
    Allocate,
    Pay,
    FailPayment,
    Correct,
    Ship,
    Cancel,
}

/// A refusal's code, or nothing.
type Verdict = Option<&'static str>;

#[derive(Debug, Clone)]
pub struct World {
    order: Order,
    events: Vec<OrderEvent>,
    /// Of them, what the fulfilment was told.
    seen: usize,
    pub items: BTreeMap<&'static str, Item>,
    state: Option<Fulfilment>,
    pub outcome: Option<Outcome>,
    due: BTreeMap<String, FulfilmentCommand>,
    /// Carried out, and not told to the fulfilment yet.
    answers: BTreeMap<String, Verdict>,
    timer: bool,
    deeds: &'static [Deed],
    pub refunds: Vec<i64>,
    pub unanswered: Option<String>,
}

/// One thing that can come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    Event,
    CarryOut(String),
    Answer(String),
    Timer,
    Deed,
}

impl World {
    /// An order was just confirmed: of each item, so many are there and so many are ordered.
    pub fn new(items: &[(&'static str, i64, i64)], deeds: &'static [Deed]) -> Self {
        let line = |sku: &str, quantity| OrderItemAdded {
            sku: sku.to_owned(),
            name: sku.to_owned(),
            quantity,
            unit_price_cents: PRICE,
        };
        let added: Vec<_> = items.iter().map(|(sku, _, units)| line(sku, *units)).collect();
        let lines = added.iter().cloned().map(|added| ConfirmedLine {
            sku: added.sku,
            name: added.name,
            quantity: added.quantity,
            unit_price_cents: added.unit_price_cents,
        });
        let lines: Vec<_> = lines.collect();
        let total_cents = lines.iter().map(|line| line.quantity * PRICE).sum();
        let customer_id = ORDER.to_owned();
        let mut history: Vec<OrderEvent> = vec![
            OrderCreated {
                customer_id: customer_id.clone(),
                shipping_address: "Leeds".to_owned(),
                currency: "USD".to_owned(),
            }
            .into(),
        ];
        history.extend(added.into_iter().map(OrderEvent::from));
        history.push(
            OrderConfirmed { customer_id, lines, total_cents, currency: "USD".into() }.into(),
        );
        let mut world = Self {
            order: Order::default(),
            events: Vec::new(),
            seen: 0,
            items: items.iter().map(|(sku, there, _)| (*sku, item(sku, *there))).collect(),
            state: None,
            outcome: None,
            due: BTreeMap::new(),
            answers: BTreeMap::new(),
            timer: false,
            deeds,
            refunds: Vec::new(),
            unanswered: None,
        };
        history.into_iter().for_each(|event| world.record(event));
        world
    }

    fn record(&mut self, event: OrderEvent) {
        self.order.evolve(&event);
        self.events.push(event);
    }

    pub fn order_status(&self) -> &'static str {
        self.order.known().unwrap().status.as_str()
    }

    pub fn was_paid(&self) -> bool {
        self.events.iter().any(|event| matches!(event, OrderEvent::OrderPaid(_)))
    }

    /// What the order's cancellation says.
    pub fn refunds_due(&self) -> Vec<i64> {
        let due = self.events.iter().filter_map(|event| match event {
            OrderEvent::OrderCancelled(cancelled) => Some(cancelled.refund_cents),
            _ => None,
        });
        due.filter(|cents| *cents > 0).collect()
    }

    pub fn is_patient(&self) -> bool {
        self.state.as_ref().is_some_and(OrderFulfilment::is_patient)
    }

    pub fn moves(&self) -> Vec<Move> {
        let mut moves: Vec<_> = self.due.keys().cloned().map(Move::CarryOut).collect();
        moves.extend(self.answers.keys().cloned().map(Move::Answer));
        let others = [
            (self.seen < self.events.len(), Move::Event),
            (self.timer, Move::Timer),
            (!self.deeds.is_empty(), Move::Deed),
        ];
        moves.extend(others.into_iter().filter(|(can, _)| *can).map(|(_, one)| one));
        moves
    }

    pub fn go(&mut self, one: &Move) {
        match one {
            Move::Event => self.tell_event(),
            Move::CarryOut(step) => {
                let command = self.due.remove(step).unwrap();
                let verdict = self.carry_out(command);
                self.answers.insert(step.clone(), verdict);
            }
            Move::Answer(step) => {
                let answer = self.answers.remove(step).unwrap();
                let answer = answer.map_or(Answer::Accepted, Answer::Refused);
                self.react(Input::Answer { step, answer });
            }
            Move::Timer => {
                self.timer = false;
                self.react(Input::Timer("payment"));
            }
            Move::Deed => {
                let (deed, rest) = self.deeds.split_first().unwrap();
                self.deeds = rest;
                self.do_deed(*deed);
            }
        }
    }

    fn tell_event(&mut self) {
        let event = self.events[self.seen].clone();
        self.seen += 1;
        let envelope = envelope(i64::try_from(self.seen).unwrap());
        let Some(fact) = OrderFulfilment::fact(&Recorded { envelope, event }) else { return };
        if self.state.is_none() {
            self.state = OrderFulfilment::begin(&fact);
        }
        self.react(Input::Fact(&fact));
    }

    fn react(&mut self, input: Input<'_, domain::fulfilment::OrderFact>) {
        if self.outcome.is_some() || self.unanswered.is_some() {
            return;
        }
        let Some(state) = self.state.clone() else { return };
        match SAGA.react(1, state, input) {
            Ok(reaction) => {
                self.state = Some(reaction.state);
                for (step, command) in reaction.commands {
                    assert!(self.due.insert(step.clone(), command).is_none(), "{step} twice");
                }
                for (_, after) in reaction.timers {
                    self.timer = after.is_some();
                }
                self.outcome = reaction.outcome;
                self.timer &= self.outcome.is_none();
            }
            Err(Unanswered(why)) => self.unanswered = Some(why),
        }
    }

    fn carry_out(&mut self, command: FulfilmentCommand) -> Verdict {
        match command {
            FulfilmentCommand::ReserveStock { sku, reservation_id, quantity } => {
                let reservation_id = (&*reservation_id).try_into().unwrap();
                let quantity = quantity.try_into().unwrap();
                self.ask_item(&sku, &ReserveStock { reservation_id, quantity })
            }
            FulfilmentCommand::ReleaseReservation { sku, reservation_id } => {
                let reservation_id = (&*reservation_id).try_into().unwrap();
                self.ask_item(&sku, &ReleaseReservation { reservation_id })
            }
            FulfilmentCommand::ShipReservation { sku, reservation_id } => {
                let reservation_id = (&*reservation_id).try_into().unwrap();
                self.ask_item(&sku, &ShipReservation { reservation_id })
            }
            FulfilmentCommand::AllocateOrder { .. } => self.ask_order(AllocateOrder {}),
            FulfilmentCommand::CancelOrder { reason, at_version, .. } => {
                let version = i64::try_from(self.events.len()).unwrap();
                if at_version.is_some_and(|at| at != version) {
                    return Some("version_mismatch");
                }
                self.ask_order(CancelOrder { reason: Reason::try_from(&*reason).unwrap() })
            }
            FulfilmentCommand::RefundPayment { amount_cents, .. } => {
                self.refunds.push(amount_cents);
                None
            }
        }
    }

    fn ask_item<C>(&mut self, sku: &str, command: &C) -> Verdict
    where
        Item: Decide<C>,
    {
        let item = self.items.get_mut(sku).unwrap();
        match item.decide(command, at()) {
            Ok(events) => {
                events.iter().for_each(|event| item.evolve(event));
                None
            }
            Err(refusal) => Some(refusal.code()),
        }
    }

    fn ask_order(&mut self, command: impl Into<OrderCommand>) -> Verdict {
        let command = command.into();
        let facts = Facts { events: command.questions().events, ..Facts::default() };
        match self.order.decide(&Informed { command, facts }, at()) {
            Ok(events) => {
                events.into_iter().for_each(|event| self.record(event));
                None
            }
            Err(refusal) => Some(refusal.code()),
        }
    }

    /// What is refused is given up.
    fn do_deed(&mut self, deed: Deed) {
        let reason = || Reason::try_from("because").unwrap();
        let command: OrderCommand = match deed {
            Deed::Allocate => AllocateOrder {}.into(),
            Deed::Pay => PayOrder {
                payment_id: "pay-1".try_into().unwrap(),
                amount_cents: self.order.known().unwrap().total_cents().try_into().unwrap(),
                method: PaymentMethod::Card,
            }
            .into(),
            Deed::FailPayment => {
                FailPayment { payment_id: "pay-0".try_into().unwrap(), reason: reason() }.into()
            }
            Deed::Correct => CorrectAmount {
                delta_cents: 5.try_into().unwrap(),
                reason: reason(),
                corrects_event_id: EventId::try_from(Uuid::from_u128(1)).unwrap(),
            }
            .into(),
            Deed::Ship => ShipOrder {
                tracking_number: "RM1".try_into().unwrap(),
                carrier: "Royal Mail".try_into().unwrap(),
                estimated_delivery_on: None,
            }
            .into(),
            Deed::Cancel => CancelOrder { reason: reason() }.into(),
        };
        let _refused_or_not = self.ask_order(command);
    }

    /// Tells worlds apart.
    fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

/// Tries everything that can come next, in every order; gives every world in which nothing can.
pub fn every_end(start: World) -> (usize, Vec<World>) {
    let (mut seen, mut ends) = (BTreeSet::new(), Vec::new());
    let mut open = vec![start];
    while let Some(world) = open.pop() {
        if !seen.insert(world.fingerprint()) {
            continue;
        }
        let moves = world.moves();
        if moves.is_empty() {
            ends.push(world);
            continue;
        }
        for one in moves {
            let mut next = world.clone();
            next.go(&one);
            open.push(next);
        }
    }
    (seen.len(), ends)
}

fn item(sku: &str, quantity: i64) -> Item {
    let mut item = Item::default();
    let added = ItemAdded {
        name: sku.to_owned(),
        quantity,
        unit_price_cents: PRICE,
        currency: "USD".to_owned(),
        reorder_point: 0,
    };
    item.evolve(&added.into());
    item
}

fn at() -> Moment {
    Moment(chrono::DateTime::UNIX_EPOCH)
}

fn envelope(version: i64) -> Envelope {
    Envelope {
        topic: "factline.order.v1".into(),
        partition: 0,
        position: Position(version),
        stream_id: StreamId::parse(ORDER).unwrap(),
        version: Version(version),
        event_id: Uuid::from_u128(u128::try_from(version).unwrap()),
        event_type: "".into(),
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: None,
        traceparent: None,
        occurred_at: chrono::DateTime::UNIX_EPOCH,
        recorded_at: chrono::DateTime::UNIX_EPOCH,
    }
}
