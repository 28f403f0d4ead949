//! Adds golden data for schema files that have none, renews what all of it means today, and records
//! what is new as released (`schemas/released.sha256`): `cargo run -p domain --example golden`, from
//! anywhere. A stored datum and a recorded line are never changed; the changes beside the data are to
//! be read like code.

use std::{fs, io, path::Path};

use domain::{customer::CustomerEvent, inventory::InventoryEvent, order::OrderEvent};
use factline_codec::{RELEASE_RECORD, SchemaFolder};
use factline_core::heartbeat::HeartbeatEvent;
use factline_testkit::renew_golden_data;

fn main() -> io::Result<()> {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let mut changed = renew_golden_data::<InventoryEvent>(&schemas);
    changed.extend(renew_golden_data::<OrderEvent>(&schemas));
    changed.extend(renew_golden_data::<CustomerEvent>(&schemas));
    changed.extend(renew_golden_data::<HeartbeatEvent>(&schemas));
    let record = schemas.join(RELEASE_RECORD);
    let (before, after) =
        (fs::read_to_string(&record)?, SchemaFolder::read(&schemas)?.renewed_record());
    if after != before {
        fs::write(&record, after)?;
        changed.push(record);
    }
    changed.iter().for_each(|path| println!("{}", path.display()));
    println!("{} files are another now", changed.len());
    Ok(())
}
