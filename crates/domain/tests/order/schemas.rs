//! The orders' events, their schema files and their golden data agree; and what an order may have at
//! most still fits into its events.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use domain::{
    order::{ConfirmedLine, MAX_LINES, OrderConfirmed, OrderCreated, OrderEvent},
    values::{MAX_TOTAL, MAX_UNIT_PRICE_CENTS, MAX_UNITS},
};
use factline_codec::{Codec, WriterSchema};
use factline_core::{DomainEvent, MAX_STREAM_ID_BYTES};
use factline_testkit::{golden_data, renew_golden_data};

const RENEW: &str = "cargo run -p domain --example golden";

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

#[test]
fn every_event_survives_its_schema() {
    factline_testkit::round_trips::<OrderEvent>();
}

#[test]
fn every_schema_file_is_an_event_of_today_and_every_version_of_it_is_read() {
    factline_testkit::schema_files::<OrderEvent>();
}

#[test]
fn what_every_version_once_wrote_is_read_as_the_same_event() {
    golden_data::<OrderEvent>(&schemas(), RENEW);
}

#[test]
fn an_order_that_was_created_before_there_were_currencies_is_in_us_dollars() {
    let [first] = OrderEvent::OLDER else { panic!("one older version") };
    assert_eq!(first.file, "order/order_created.v1");
    let writer = WriterSchema::admit(first.json).unwrap();
    // Avro by hand: two texts, each after its length.
    let event = Codec::<OrderEvent>::new().unwrap().decode(&writer, b"\x04c1\x08Oslo").unwrap();
    let (customer_id, shipping_address) = ("c1".to_owned(), "Oslo".to_owned());
    let currency = "USD".to_owned();
    assert_eq!(event, OrderCreated { customer_id, shipping_address, currency }.into());
}

#[test]
fn the_confirmation_of_the_largest_order_can_be_stored() {
    let line = ConfirmedLine {
        sku: "s".repeat(MAX_STREAM_ID_BYTES),
        name: "🏮".repeat(200), // the longest name, in the longest characters
        quantity: MAX_UNITS,
        unit_price_cents: MAX_UNIT_PRICE_CENTS,
    };
    let confirmed = OrderConfirmed {
        customer_id: "018f3c1e-7b1a-7000-8000-0000000000c1".to_owned(),
        lines: vec![line; MAX_LINES],
        total_cents: MAX_TOTAL,
        currency: "USD".to_owned(),
    };
    let codec = Codec::<OrderEvent>::new().unwrap();
    let encoded = codec.encode(&confirmed.clone().into()).unwrap();
    let writer = &codec.schemas()[encoded.schema_index];
    assert_eq!(codec.decode(writer, &encoded.datum).unwrap(), confirmed.into());
}

/// A copy of the orders' schema files, without golden data; gone when dropped.
struct Copy(PathBuf);

impl Copy {
    fn new(test: &str) -> Self {
        let copy = Self(std::env::temp_dir().join(format!("{test}-{}", std::process::id())));
        for folder in ["order", "golden/order"] {
            fs::create_dir_all(copy.0.join(folder)).unwrap();
        }
        for entry in fs::read_dir(schemas().join("order")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.0.join("order").join(entry.file_name())).unwrap();
        }
        copy
    }

    fn fails(&self) -> bool {
        catch_unwind(AssertUnwindSafe(|| golden_data::<OrderEvent>(&self.0, RENEW))).is_err()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_schema_file_without_golden_data_fails_until_it_has_some() {
    let copy = Copy::new("golden-missing");
    assert!(copy.fails());
    let written = renew_golden_data::<OrderEvent>(&copy.0);
    assert_eq!(written.len(), OrderEvent::SCHEMAS.len() + OrderEvent::OLDER.len());
    assert!(!copy.fails());
    assert!(renew_golden_data::<OrderEvent>(&copy.0).is_empty(), "nothing is written again");

    let golden = copy.0.join("golden/order");
    fs::remove_file(golden.join("order_created.v1.json")).unwrap();
    assert!(copy.fails());
    fs::write(golden.join("order_created.v1.json"), "[]").unwrap();
    assert!(copy.fails());
}

#[test]
fn golden_data_that_means_something_else_fails_and_is_never_rewritten() {
    let copy = Copy::new("golden-changed");
    drop(renew_golden_data::<OrderEvent>(&copy.0));
    let file = copy.0.join("golden/order/order_allocated.v1.json");
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, before.replacen("GBP", "EUR", 1)).unwrap();
    assert!(copy.fails());
    assert_eq!(renew_golden_data::<OrderEvent>(&copy.0), std::slice::from_ref(&file));
    assert_eq!(fs::read_to_string(&file).unwrap(), before, "the datum decides");
    fs::rename(&file, file.with_file_name("order_lost.v1.json")).unwrap();
    assert!(copy.fails());
}
