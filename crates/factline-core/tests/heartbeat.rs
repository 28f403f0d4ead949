//! The heartbeat's event, its schema file and its golden data agree.

use std::path::Path;

use factline_core::heartbeat::HeartbeatEvent;

#[test]
fn the_event_survives_its_schema() {
    factline_testkit::round_trips::<HeartbeatEvent>();
}

#[test]
fn the_schema_file_is_the_event_of_today() {
    factline_testkit::schema_files::<HeartbeatEvent>();
}

#[test]
fn what_it_once_wrote_is_read_as_the_same_event() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let renew = "cargo run -p domain --example golden";
    factline_testkit::golden_data::<HeartbeatEvent>(&schemas, renew);
}
