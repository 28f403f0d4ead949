//! What breaks a reader of stored events is told, file by file, before any registry sees it.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::collections::BTreeMap;

use factline_codec::{RELEASE_RECORD, SchemaFolder};

fn folder(files: &BTreeMap<String, String>) -> SchemaFolder {
    SchemaFolder::from_iter(files.clone())
}

const V1: &str = "parcel/parcel_sent.v1.avsc";
const V2: &str = "parcel/parcel_sent.v2.avsc";
const DATA: &str = "golden/parcel/parcel_sent.v1.json";

fn sent(fields: &str) -> String {
    format!(
        r#"{{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[{fields}]}}"#
    )
}

const WEIGHT: &str = r#"{"name":"weight_grams","type":"long","doc":"Grams."}"#;

/// Version 1, released, with a golden datum of 1,250 grams.
fn first() -> BTreeMap<String, String> {
    let data = r#"[{"datum":"c413","event":{"weight_grams":1250}}]"#;
    recorded([(V1.to_owned(), sent(WEIGHT)), (DATA.to_owned(), data.to_owned())].into())
}

fn recorded(mut files: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let record = folder(&files).renewed_record();
    files.insert(RELEASE_RECORD.to_owned(), record);
    files
}

fn with_second(fields: &str) -> Vec<String> {
    let mut files = first();
    files.insert(V2.to_owned(), sent(fields));
    folder(&recorded(files)).findings()
}

#[test]
fn what_was_released_and_stayed_has_no_findings() {
    assert!(folder(&first()).findings().is_empty());
    let optional = r#"{"name":"note","type":["null","string"],"default":null}"#;
    assert!(with_second(&format!("{WEIGHT},{optional}")).is_empty());
}

#[test]
fn one_byte_of_a_released_schema_or_a_golden_datum_is_a_finding() {
    let mut files = first();
    let schema = files.get_mut(V1).unwrap();
    *schema = schema.replace("Grams.", "Gramz.");
    assert_eq!(
        folder(&files).findings(),
        [format!(
            "{V1} differs from what was released; events were written with it, so make a new \
             version beside it"
        )]
    );
    let mut files = first();
    let data = files.get_mut(DATA).unwrap();
    *data = data.replace("c413", "c412");
    assert_eq!(
        folder(&files).findings(),
        [format!(
            "{DATA}#1 is another datum than the one that was released; data that was once \
             written never changes"
        )]
    );
}

#[test]
fn what_is_gone_or_was_never_recorded_is_a_finding_and_the_record_only_grows() {
    let mut files = first();
    files.remove(DATA);
    assert_eq!(
        folder(&files).findings(),
        [format!("{DATA}#1 was released and is gone; old events need it")]
    );
    let mut files = first();
    files.insert(V2.to_owned(), sent(WEIGHT));
    let unrecorded = folder(&files).findings();
    assert_eq!(
        unrecorded,
        [format!(
            "{V2} is not in {RELEASE_RECORD}; `cargo run -p domain --example golden` adds it"
        )]
    );
    let before = files[RELEASE_RECORD].clone();
    files.insert(V1.to_owned(), sent(""));
    let after = folder(&files).renewed_record();
    assert!(after.strip_prefix(&before).is_some_and(|added| added.contains(V2)), "{after}");
}

#[test]
fn a_version_that_breaks_a_reader_is_told_by_who_cannot_read_whom() {
    let required = r#"{"name":"carrier","type":"string"}"#;
    let findings = with_second(&format!("{WEIGHT},{required}"));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with(&format!("{V2} cannot read all that {V1} wrote: ")));

    let retyped = with_second(r#"{"name":"weight_grams","type":"string"}"#);
    assert_eq!(retyped.len(), 2, "neither reads the other: {retyped:?}");

    // The old reader finds no place for null: Avro calls that partly compatible.
    let optional = with_second(r#"{"name":"weight_grams","type":["null","long"]}"#);
    assert_eq!(optional.len(), 1, "{optional:?}");
    assert!(optional[0].starts_with(&format!("{V1} cannot read all that {V2} wrote: ")));

    let renamed = sent(WEIGHT).replace("ParcelSent", "ParcelGone");
    let mut files = first();
    files.insert(V2.to_owned(), renamed);
    let findings = folder(&recorded(files)).findings();
    assert!(findings[0].contains("all versions of an event type have one name"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding() {
    for (path, text) in [(V2, "{"), ("parcel/parcel_sent.avsc", "{}"), ("golden/a/b.v1.json", "")] {
        let mut files = first();
        files.insert(path.to_owned(), text.to_owned());
        assert!(!folder(&recorded(files)).findings().is_empty(), "{path}");
    }
}
