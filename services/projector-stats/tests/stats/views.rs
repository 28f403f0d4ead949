//! The views, proved on histories.

use chrono::{DateTime, NaiveDate, Utc};
use domain::inventory::{
    InventoryEvent, ItemAdded, ItemDiscontinued, ItemRenamed, ItemReturned, ItemSold, PriceChanged,
    ReorderPointChanged, ReservationShipped, StockAdjusted, StockReceived, StockReserved,
};
use factline_core::Recorded;
use factline_testkit::{History, ViewSpec, recorded};
use projector_stats::{
    inventory_stats::{InventoryStats, ItemStats},
    sales::Sales,
    sales_by_country::{CountryOfSales, SalesByCountry},
    sales_by_day::{DayOfSales, SalesByDay},
};

pub fn added(quantity: i64) -> InventoryEvent {
    let (name, currency) = ("Lantern".to_owned(), "GBP".to_owned());
    ItemAdded { name, quantity, unit_price_cents: 255, reorder_point: 5, currency }.into()
}

pub fn sold(quantity: i64, unit_price_cents: i64, country: Option<&str>) -> InventoryEvent {
    let (currency, country) = ("GBP".to_owned(), country.map(str::to_owned));
    let revenue_cents = quantity * unit_price_cents;
    ItemSold { quantity, unit_price_cents, revenue_cents, currency, country }.into()
}

fn returned(quantity: i64, refund_cents: i64) -> InventoryEvent {
    let (currency, reason) = ("GBP".to_owned(), "broken".to_owned());
    ItemReturned { quantity, refund_cents, currency, reason }.into()
}

fn sales(sales: i64, units_sold: i64, revenue_cents: i64) -> Sales {
    Sales { sales, units_sold, revenue_cents }
}

/// Two items, sold on two days to two countries and to nobody knows where.
pub fn trade() -> Vec<Recorded<InventoryEvent>> {
    History::new()
        .then("A", added(20))
        .then("B", added(10))
        .at("2010-12-01T23:59:59Z")
        .then("A", sold(6, 255, Some("France")))
        .at("2010-12-02T00:00:00Z")
        .then("B", sold(1, 100, Some("Norway")))
        .at("2010-12-02T12:00:00Z")
        .then("A", sold(2, 200, Some("France")))
        .at("2010-12-01T00:00:00Z")
        .then("B", sold(3, 100, None))
        .then("A", returned(1, 255))
        .build()
}

#[test]
fn an_items_figures_are_the_sum_of_its_events() {
    let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    let a = ItemStats {
        sku: "A".to_owned(),
        name: "Lantern".to_owned(),
        on_hand: 13,
        reorder_point: 5,
        unit_price_cents: 255,
        currency: "GBP".to_owned(),
        stock_value_cents: 13 * 255,
        sales: sales(2, 8, 6 * 255 + 400),
        returns: 1,
        units_returned: 1,
        refund_cents: 255,
        last_sale_at: at("2010-12-02T12:00:00Z"),
        ..ItemStats::default()
    };
    let b = ItemStats {
        sku: "B".to_owned(),
        on_hand: 6,
        stock_value_cents: 6 * 255,
        sales: sales(2, 4, 400),
        returns: 0,
        units_returned: 0,
        refund_cents: 0,
        last_sale_at: at("2010-12-02T00:00:00Z"), // the later sale occurred earlier
        ..a.clone()
    };
    let spec = ViewSpec::<InventoryStats>::given(trade());
    spec.then_rows([("A".to_owned(), a), ("B".to_owned(), b)]);
}

#[test]
fn stock_value_and_low_stock_follow_price_level_and_reorder_point() {
    let history = recorded([
        ("A", added(10)),
        ("A", ItemRenamed { name: "Lamp".to_owned(), previous_name: "Lantern".to_owned() }.into()),
        ("A", StockReceived { quantity: 10, unit_price_cents: Some(300) }.into()),
        ("A", PriceChanged { unit_price_cents: 400, previous_unit_price_cents: 300 }.into()),
        ("A", StockReserved { reservation_id: "r".to_owned(), quantity: 4 }.into()),
        ("A", ReservationShipped { reservation_id: "r".to_owned(), quantity: 4 }.into()),
        ("A", StockAdjusted { delta: -1, reason: "counted".to_owned() }.into()),
        ("A", ReorderPointChanged { reorder_point: 15, previous_reorder_point: 5 }.into()),
    ]);
    let low = ItemStats {
        sku: "A".to_owned(),
        name: "Lamp".to_owned(),
        on_hand: 15,
        reorder_point: 15,
        low: true,
        unit_price_cents: 400,
        currency: "GBP".to_owned(),
        stock_value_cents: 15 * 400,
        ..ItemStats::default()
    };
    let spec = ViewSpec::<InventoryStats>::given(history);
    spec.then_rows([("A".to_owned(), low)]);
}

#[test]
fn a_discontinued_item_is_not_low() {
    let gone = ItemDiscontinued { on_hand: 1, reason: None };
    let expected = ItemStats {
        sku: "A".to_owned(),
        name: "Lantern".to_owned(),
        on_hand: 1,
        reorder_point: 5,
        discontinued: true,
        unit_price_cents: 255,
        currency: "GBP".to_owned(),
        stock_value_cents: 255,
        ..ItemStats::default()
    };
    let spec = ViewSpec::<InventoryStats>::given(recorded([("A", added(1)), ("A", gone.into())]));
    spec.then_rows([("A".to_owned(), expected)]);
}

#[test]
fn figures_that_do_not_fit_are_cut_and_not_wrapped() {
    let history = recorded([
        ("A", added(2)),
        ("A", sold(1, i64::MAX, None)),
        ("A", sold(1, i64::MAX, None)),
        ("A", returned(1, i64::MAX)),
        ("A", returned(1, i64::MAX)),
    ]);
    let expected = ItemStats {
        sku: "A".to_owned(),
        name: "Lantern".to_owned(),
        on_hand: 2,
        reorder_point: 5,
        low: true,
        unit_price_cents: 255,
        currency: "GBP".to_owned(),
        stock_value_cents: 510,
        sales: sales(2, 2, i64::MAX),
        returns: 2,
        units_returned: 2,
        refund_cents: i64::MAX,
        last_sale_at: Some("2026-01-05T09:00:03Z".parse().unwrap()),
        ..ItemStats::default()
    };
    ViewSpec::<InventoryStats>::given(history).then_rows([("A".to_owned(), expected)]);
}

#[test]
fn a_sale_counts_on_the_day_on_which_it_occurred() {
    let day = |day| NaiveDate::from_ymd_opt(2010, 12, day).unwrap();
    let row = |on, sales| (day(on), DayOfSales { day: day(on), sales });
    ViewSpec::<SalesByDay>::given(trade())
        .then_rows([row(1, sales(2, 9, 6 * 255 + 300)), row(2, sales(2, 3, 500))]);
}

#[test]
fn a_sale_without_a_country_counts_as_unknown() {
    let row = |country: &str, sales| {
        (country.to_owned(), CountryOfSales { country: country.to_owned(), sales })
    };
    ViewSpec::<SalesByCountry>::given(trade()).then_rows([
        row("France", sales(2, 8, 6 * 255 + 400)),
        row("Norway", sales(1, 1, 100)),
        row("unknown", sales(1, 3, 300)),
    ]);
}
