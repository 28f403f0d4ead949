//! Random commands against a model that is too plain to be wrong: two counters and a list.

use std::collections::BTreeMap;

use chrono::DateTime;
use domain::inventory::{
    AdjustStock, DiscontinueItem, InventoryCommand, Item, ReceiveStock, ReleaseReservation,
    ReserveStock, ReturnItem, SellItem, ShipReservation, StockItem, StockLevel,
};
use factline_core::{Aggregate, Decide, Moment};
use rand::{Rng, SeedableRng, rngs::StdRng};

#[derive(Default)]
struct Model {
    exists: bool,
    discontinued: bool,
    on_hand: i64,
    reservations: BTreeMap<String, i64>,
}

impl Model {
    fn available(&self) -> i64 {
        self.on_hand - self.reservations.values().sum::<i64>()
    }

    /// Whether the command is accepted; if so, it is done.
    fn accepts(&mut self, command: &InventoryCommand) -> bool {
        if let InventoryCommand::StockItem(stock) = command {
            if !self.discontinued {
                self.exists = true;
                self.on_hand += stock.quantity.get();
            }
            return !self.discontinued;
        }
        if !self.exists {
            return matches!(command, InventoryCommand::ReleaseReservation(_));
        }
        match command {
            InventoryCommand::ReceiveStock(receive) => {
                let accepted = !self.discontinued;
                self.on_hand += if accepted { receive.quantity.get() } else { 0 };
                accepted
            }
            InventoryCommand::SellItem(sell) => {
                let accepted = !self.discontinued && sell.quantity.get() <= self.available();
                self.on_hand -= if accepted { sell.quantity.get() } else { 0 };
                accepted
            }
            InventoryCommand::ReturnItem(returned) => {
                self.on_hand += returned.quantity.get();
                true
            }
            InventoryCommand::AdjustStock(adjust) => {
                let accepted = adjust.delta.get() + self.available() >= 0;
                self.on_hand += if accepted { adjust.delta.get() } else { 0 };
                accepted
            }
            InventoryCommand::ReserveStock(reserve) => self.reserve(reserve),
            InventoryCommand::ReleaseReservation(release) => {
                self.reservations.remove(release.reservation_id.as_str());
                true
            }
            InventoryCommand::ShipReservation(ship) => {
                let shipped = self.reservations.remove(ship.reservation_id.as_str());
                self.on_hand -= shipped.unwrap_or(0);
                shipped.is_some()
            }
            InventoryCommand::DiscontinueItem(_) => {
                self.discontinued = true;
                true
            }
            other => panic!("{other:?} is not part of this test"),
        }
    }

    fn reserve(&mut self, reserve: &ReserveStock) -> bool {
        let (id, quantity) = (reserve.reservation_id.as_str(), reserve.quantity.get());
        match self.reservations.get(id) {
            Some(held) => *held == quantity,
            None if self.discontinued || quantity > self.available() => false,
            None => {
                self.reservations.insert(id.to_owned(), quantity);
                true
            }
        }
    }
}

fn random_command(random: &mut StdRng) -> InventoryCommand {
    let quantity = random.random_range(1..=6).try_into().unwrap();
    let reservation_id = ["r1", "r2", "r3"][random.random_range(0..3)].try_into().unwrap();
    let reason = "counted".try_into().unwrap();
    let unit_price_cents = Some(random.random_range(1..=500).try_into().unwrap());
    match random.random_range(0..100) {
        0..8 => StockItem {
            name: "Lantern".try_into().unwrap(),
            quantity,
            unit_price_cents: 250.try_into().unwrap(),
        }
        .into(),
        8..20 => ReceiveStock { quantity, unit_price_cents }.into(),
        20..50 => SellItem { quantity, unit_price_cents, country: None }.into(),
        50..55 => ReturnItem { quantity, reason, unit_price_cents: None }.into(),
        55..65 => {
            AdjustStock { delta: random.random_range(-9..=4).try_into().unwrap(), reason }.into()
        }
        65..80 => ReserveStock { reservation_id, quantity }.into(),
        80..88 => ReleaseReservation { reservation_id }.into(),
        88..99 => ShipReservation { reservation_id }.into(),
        _ => DiscontinueItem { reason: None }.into(),
    }
}

#[test]
fn no_sequence_of_commands_makes_stock_negative_or_parts_from_the_plain_model() {
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut item, mut model, mut level) = (Item::default(), Model::default(), None);
        for step in 0..200 {
            let place = format!("seed {seed} step {step}");
            let command = random_command(&mut random);
            let decision = item.decide(&command, Moment(DateTime::UNIX_EPOCH));
            assert_eq!(decision.is_ok(), model.accepts(&command), "{place}: {command:?}");
            if decision.is_ok() {
                accepted += 1
            } else {
                refused += 1
            }
            for event in decision.unwrap_or_default() {
                item.evolve(&event);
                level = Some(StockLevel::after(level, &event).expect("a possible history"));
            }
            let Some(known) = item.known() else { continue };
            assert_eq!(known.on_hand, model.on_hand, "{place}");
            assert_eq!(known.reservations, model.reservations, "{place}");
            assert_eq!(known.available(), model.available(), "{place}");
            assert!(known.available() >= 0, "{place}");
            let level = level.unwrap();
            assert_eq!((level.on_hand, level.reserved), (known.on_hand, known.reserved), "{place}");
            assert_eq!(level.discontinued, known.discontinued, "{place}");
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}
