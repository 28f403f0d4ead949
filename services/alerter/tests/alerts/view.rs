//! The view `stock_watch`, proved on histories.

use alerter::stock_watch::{StockWatch, WatchedItem, episode_id};
use domain::inventory::{InventoryEvent, ItemDiscontinued, ItemRenamed, StockLevel};
use factline_core::Recorded;
use factline_testkit::{ViewSpec, recorded};

use crate::alarm::{added, received, sold};

fn row(on_hand: i64, opened_by: Option<&Recorded<InventoryEvent>>) -> WatchedItem {
    WatchedItem {
        sku: "A".to_owned(),
        name: "Lantern".to_owned(),
        level: StockLevel { on_hand, reserved: 0, reorder_point: 5, discontinued: false },
        episode_id: opened_by.map(|event| episode_id(event.envelope.event_id)),
    }
}

#[test]
fn an_episode_opens_with_the_event_that_makes_an_item_low_and_stays_the_same() {
    let history = recorded([("A", added(10)), ("A", sold(5)), ("A", sold(1))]);
    let expected = row(4, Some(&history[1]));
    ViewSpec::<StockWatch>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn an_episode_ends_when_stock_rises_and_the_next_is_another() {
    let history = recorded([("A", added(10)), ("A", sold(5)), ("A", received(1)), ("A", sold(1))]);
    let resolved = ViewSpec::<StockWatch>::given(history[..3].to_vec());
    resolved.then_rows([("A".to_owned(), row(6, None))]);
    let expected = row(5, Some(&history[3]));
    ViewSpec::<StockWatch>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn discontinuing_an_item_ends_its_episode_and_renaming_it_does_not() {
    let renamed = ItemRenamed { name: "Lamp".to_owned(), previous_name: "Lantern".to_owned() };
    let gone = ItemDiscontinued { on_hand: 1, reason: None };
    let history = recorded([("A", added(1)), ("A", renamed.into()), ("A", gone.into())]);
    let lamp = WatchedItem { name: "Lamp".to_owned(), ..row(1, Some(&history[0])) };
    let spec = ViewSpec::<StockWatch>::given(history[..2].to_vec());
    spec.then_rows([("A".to_owned(), lamp.clone())]);
    let level = StockLevel { discontinued: true, ..lamp.level };
    let gone = WatchedItem { level, episode_id: None, ..lamp };
    ViewSpec::<StockWatch>::given(history).then_rows([("A".to_owned(), gone)]);
}

#[test]
fn a_history_that_cannot_be_parks_its_stream() {
    let history = recorded([("A", added(1)), ("B", sold(1))]);
    ViewSpec::<StockWatch>::given(history)
        .then_impossible("the event does not fit the item's units");
}
