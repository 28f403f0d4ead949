//! The views on random histories: the rows are those of a model that is too plain to be wrong, and
//! of the orders' and customers' own states.

use std::collections::BTreeMap;

use domain::{
    customer::{Customer, CustomerEvent},
    order::{Order, OrderEvent},
};
use factline_core::{Aggregate, Fold, Folded, Recorded};
use factline_testkit::{History, ViewSpec};
use projector_list::{
    customer_list::{CustomerList, CustomerRow},
    order_list::{OrderList, OrderRow},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::words::*;

const SKUS: [(&str, i64); 4] = [("lantern", 255), ("candle", 90), ("tea", 1), ("free", 0)];

/// What the test knows of an order: its status, its units by item, the sum of its corrections.
#[derive(Default)]
struct Plain {
    status: &'static str,
    units: BTreeMap<&'static str, i64>,
    corrections: i64,
}

impl Plain {
    fn lines(&self) -> i64 {
        let price = |sku: &str| SKUS.iter().find(|(name, _)| *name == sku).unwrap().1;
        self.units.iter().map(|(sku, units)| units * price(sku)).sum()
    }

    fn total(&self) -> i64 {
        self.lines() + self.corrections
    }

    /// An event that may come next, and its effect here.
    fn next(&mut self, random: &mut StdRng) -> Option<OrderEvent> {
        let dice = random.random_range(0..10);
        let (status, event) = match (self.status, dice) {
            ("", _) => ("draft", created_for([ADA, BOB].choose(random).unwrap())),
            ("draft", 0..6) => {
                let (sku, price) = *SKUS.choose(random).unwrap();
                let quantity = random.random_range(1..=5);
                *self.units.entry(sku).or_default() += quantity;
                ("draft", added(sku, quantity, price))
            }
            ("draft", 6..8) if self.corrections == 0 => {
                let (sku, price) = *SKUS.choose(random).unwrap();
                let quantity = self.units.remove(sku)?;
                ("draft", removed(sku, quantity, price))
            }
            ("draft" | "delivered", 8) => {
                let delta = random.random_range(1..100);
                self.corrections += delta;
                (self.status, corrected(delta, self.total()))
            }
            ("draft" | "confirmed" | "pending" | "paid", 9) => ("cancelled", cancelled(0)),
            ("draft", _) => ("confirmed", confirmed(ADA, self.total())),
            ("confirmed", _) => ("pending", allocated(self.total())),
            ("pending", 0..4) => ("pending", payment_failed()),
            ("pending", _) => ("paid", paid(self.total())),
            ("paid", _) => ("shipped", shipped()),
            ("shipped", _) => ("delivered", delivered()),
            _ => return None,
        };
        self.status = status;
        Some(event)
    }

    fn is_shown_by(&self, row: &OrderRow) {
        assert_eq!(row.status.as_str(), self.status, "{row:?}");
        assert_eq!(row.total_cents, self.total(), "{row:?}");
        assert_eq!(row.items.iter().map(|item| item.total_cents).sum::<i64>(), self.lines());
        let units = row.items.iter().map(|item| (item.sku.as_str(), item.quantity));
        let wanted = self.units.iter().map(|(sku, units)| (*sku, *units));
        assert_eq!(units.collect::<BTreeMap<_, _>>(), wanted.collect(), "{row:?}");
        let reached = [
            ("confirmed", row.confirmed_at),
            ("pending", row.allocated_at),
            ("paid", row.paid_at),
            ("shipped", row.shipped_at),
            ("delivered", row.delivered_at),
        ];
        let place = reached.iter().position(|(status, _)| *status == self.status);
        for (index, (status, at)) in reached.iter().enumerate() {
            let wanted = place.is_some_and(|place| index <= place);
            assert!(self.status == "cancelled" || at.is_some() == wanted, "{status}: {row:?}");
        }
        assert_eq!(row.cancelled_at.is_some(), self.status == "cancelled", "{row:?}");
    }
}

/// What the fold makes of a history, once and in order; the spec does it in every other way.
fn rows<F: Fold>(history: &[Recorded<F::Event>]) -> BTreeMap<F::Key, F::Row> {
    let mut rows = BTreeMap::new();
    for event in history {
        let key = F::key(event).unwrap();
        match F::fold(rows.get(&key).cloned(), event) {
            Folded::Put(row) => drop(rows.insert(key, row)),
            Folded::Remove | Folded::Unchanged | Folded::Impossible(_) => panic!("no row"),
        }
    }
    rows
}

#[test]
fn random_orders_are_shown_as_the_plain_model_and_the_orders_own_state_have_them() {
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut plain: BTreeMap<String, Plain> = BTreeMap::new();
        let mut states: BTreeMap<String, Order> = BTreeMap::new();
        let mut history = History::new();
        for _ in 0..60 {
            let id = order(random.random_range(0..5));
            if let Some(event) = plain.entry(id.clone()).or_default().next(&mut random) {
                states.entry(id.clone()).or_default().evolve(&event);
                history = history.then(&id, event);
            }
        }
        let history = history.build();
        let rows = rows::<OrderList>(&history);
        for (id, row) in &rows {
            plain[id].is_shown_by(row);
            let state = states[id].known().unwrap();
            assert_eq!((row.status, row.total_cents), (state.status, state.total_cents()));
            assert_eq!(row.customer_id, state.customer_id);
            let version = history.iter().filter(|event| event.envelope.stream_id.as_str() == id);
            assert_eq!(row.version, i64::try_from(version.count()).unwrap());
        }
        ViewSpec::<OrderList>::given(history).then_rows(rows.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn random_customers_are_shown_as_the_customers_own_state_has_them() {
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut states: BTreeMap<String, Customer> = BTreeMap::new();
        let mut history = History::new();
        for number in 0..50 {
            let id = format!("customer-{}", random.random_range(0..6));
            let state = states.entry(id.clone()).or_default();
            let (name, email) = (format!("Name {number}"), format!("mail{number}@example.com"));
            let event: CustomerEvent = match random.random_range(0..2) {
                _ if state.known().is_none() => registered(&name, &email),
                0 => renamed(&name),
                _ => email_changed(&email),
            };
            state.evolve(&event);
            history = history.then(&id, event);
        }
        let history = history.build();
        let rows = rows::<CustomerList>(&history);
        for (id, CustomerRow { name, email, .. }) in &rows {
            let state = states[id].known().unwrap();
            assert_eq!((name, email), (&state.name, &state.email));
        }
        ViewSpec::<CustomerList>::given(history).then_rows(rows.into_iter().collect::<Vec<_>>());
    }
}
