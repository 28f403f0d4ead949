//! The customers' events, their schema files and their golden data agree.

use std::path::Path;

use domain::customer::CustomerEvent;

#[test]
fn every_event_survives_its_schema() {
    factline_testkit::round_trips::<CustomerEvent>();
}

#[test]
fn every_schema_file_is_an_event_of_today_and_every_version_of_it_is_read() {
    factline_testkit::schema_files::<CustomerEvent>();
}

#[test]
fn what_every_version_once_wrote_is_read_as_the_same_event() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    factline_testkit::golden_data::<CustomerEvent>(
        &schemas,
        "cargo run -p domain --example golden",
    );
}
