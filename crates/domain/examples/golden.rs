//! Adds golden data for schema files that have none, and renews what all of it means today:
//! `cargo run -p domain --example golden`, from anywhere. A stored datum is never changed; the
//! changes beside it are to be read like code.

use std::path::Path;

use domain::{customer::CustomerEvent, inventory::InventoryEvent, order::OrderEvent};
use factline_testkit::renew_golden_data;

fn main() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let mut changed = renew_golden_data::<InventoryEvent>(&schemas);
    changed.extend(renew_golden_data::<OrderEvent>(&schemas));
    changed.extend(renew_golden_data::<CustomerEvent>(&schemas));
    changed.iter().for_each(|path| println!("{}", path.display()));
    println!("{} files are another now", changed.len());
}
