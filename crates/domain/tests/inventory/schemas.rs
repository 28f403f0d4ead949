//! The inventory's events, their schema files and their golden data agree.

use std::path::Path;

use domain::inventory::{InventoryEvent, ItemAdded, ItemSold, StockLevel, StockReserved};
use factline_core::DomainEvent;

#[test]
fn every_event_survives_its_schema() {
    factline_testkit::round_trips::<InventoryEvent>();
}

#[test]
fn every_schema_file_is_an_event_of_today_and_every_version_of_it_is_read() {
    factline_testkit::schema_files::<InventoryEvent>();
}

#[test]
fn what_every_version_once_wrote_is_read_as_the_same_event() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    factline_testkit::golden_data::<InventoryEvent>(
        &schemas,
        "cargo run -p domain --example golden",
    );
}

#[test]
fn a_level_is_not_made_of_a_history_that_cannot_be() {
    let added = ItemAdded {
        name: "Lantern".to_owned(),
        quantity: 1,
        unit_price_cents: 250,
        reorder_point: 5,
        currency: "USD".to_owned(),
    };
    let sold = ItemSold {
        quantity: 2,
        unit_price_cents: 250,
        revenue_cents: 500,
        currency: "USD".to_owned(),
        country: None,
    };
    let reserved = StockReserved { reservation_id: "r1".to_owned(), quantity: 2 };
    let level = StockLevel::after(None, &added.clone().into());
    assert!(level.is_some_and(|level| level.is_low()));
    assert_eq!(StockLevel::after(level, &added.into()), None, "added twice");
    assert_eq!(StockLevel::after(level, &sold.into()), None, "sold more than there was");
    assert_eq!(StockLevel::after(level, &reserved.into()), None, "promised more than there was");
    for event in InventoryEvent::samples().into_iter().skip(1) {
        assert_eq!(StockLevel::after(None, &event), None, "{} before it was added", event.name());
    }
}
