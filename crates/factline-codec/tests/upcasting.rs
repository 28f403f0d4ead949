//! What older versions wrote, brought up to today's event when it is read.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use factline_codec::{Codec, CodecFault, WriterSchema, decode_to_json, frame, unframe};
use factline_core::{DomainEvent, EventSchema, Sample, event_set};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

event_set! {
    /// Two types: one had three versions, one never changed.
    pub enum ParcelEvent of "parcel" in "tests/schemas" {
        ParcelSent: "parcel_sent.v3" <- ParcelSentV2: "parcel_sent.v2" <- ParcelSentV1: "parcel_sent.v1",
        ParcelLost: "parcel_lost.v1",
    }
}

/// Today's version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelSent {
    weight_grams: i64,
    carrier: String,
    service: String,
}

impl Sample for ParcelSent {
    fn sample() -> Self {
        Self { weight_grams: 1_250, carrier: "rail".into(), service: "rail express".into() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename = "ParcelSent")]
struct ParcelSentV1 {
    weight_grams: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "ParcelSent")]
struct ParcelSentV2 {
    weight_grams: i64,
    carrier: String,
}

impl From<ParcelSentV1> for ParcelSentV2 {
    fn from(sent: ParcelSentV1) -> Self {
        Self { weight_grams: sent.weight_grams, carrier: "post".into() }
    }
}

impl From<ParcelSentV2> for ParcelSent {
    fn from(sent: ParcelSentV2) -> Self {
        let service = format!("{} standard", sent.carrier);
        Self { weight_grams: sent.weight_grams, carrier: sent.carrier, service }
    }
}

/// Never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelLost {
    reason: String,
}

impl Sample for ParcelLost {
    fn sample() -> Self {
        Self { reason: "fell off the ferry".into() }
    }
}

// Avro by hand: zigzag varints, length-prefixed text.
const WEIGHT_1250: &[u8] = &[0xc4, 0x13];
const RAIL: &[u8] = b"\x08rail";
const RAIL_EXPRESS: &[u8] = b"\x18rail express";

fn sent(carrier: &str, service: &str) -> ParcelEvent {
    let (carrier, service) = (carrier.to_owned(), service.to_owned());
    ParcelSent { weight_grams: 1_250, carrier, service }.into()
}

/// The version's schema, as it stands in its file.
fn version(number: usize) -> EventSchema {
    let mut oldest_first = ParcelEvent::OLDER.to_vec();
    oldest_first.reverse();
    oldest_first.push(ParcelEvent::SCHEMAS[0]);
    oldest_first[number - 1]
}

fn decode(json: &str, datum: &[u8]) -> Result<ParcelEvent, CodecFault> {
    let writer = WriterSchema::admit(json).unwrap();
    Codec::<ParcelEvent>::new().unwrap().decode(&writer, datum)
}

/// As a registry may give a schema back: no documentation, the fields' members in another order.
fn respelled(json: &str) -> String {
    let mut schema: Value = serde_json::from_str(json).unwrap();
    schema.as_object_mut().unwrap().remove("doc");
    let members = |field: &Value| {
        let (name, kind) = (&field["name"], &field["type"]);
        format!(r#"{{"type":{kind},"name":{name}}}"#)
    };
    let fields: Vec<_> = schema["fields"].as_array().unwrap().iter().map(members).collect();
    let fields = fields.join(",");
    format!(
        r#"{{"fields":[{fields}],"namespace":"factline.parcel","name":"ParcelSent","type":"record"}}"#
    )
}

#[test]
fn the_set_names_every_older_version_newest_first() {
    let files: Vec<_> = ParcelEvent::OLDER.iter().map(|older| (older.name, older.file)).collect();
    assert_eq!(
        files,
        [("ParcelSent", "parcel/parcel_sent.v2"), ("ParcelSent", "parcel/parcel_sent.v1")]
    );
}

#[test]
fn the_first_version_takes_both_steps() {
    let event = decode(version(1).json, WEIGHT_1250).unwrap();
    assert_eq!(event, sent("post", "post standard"));
}

#[test]
fn the_second_version_takes_the_last_step_only() {
    let event = decode(version(2).json, &[WEIGHT_1250, RAIL].concat()).unwrap();
    assert_eq!(event, sent("rail", "rail standard"));
}

#[test]
fn todays_version_takes_no_step() {
    let datum = [WEIGHT_1250, RAIL, RAIL_EXPRESS].concat();
    assert_eq!(decode(version(3).json, &datum).unwrap(), sent("rail", "rail express"));
    let codec = Codec::<ParcelEvent>::new().unwrap();
    assert_eq!(codec.encode(&ParcelEvent::samples()[0]).unwrap().datum, datum);
}

#[test]
fn a_step_is_taken_for_the_version_that_wrote_and_for_no_other() {
    let admit = |number: usize| WriterSchema::admit(version(number).json).unwrap();
    for (one, other) in [(1, 2), (1, 3), (2, 3)] {
        assert!(!admit(one).writes_as(&admit(other)), "{one} and {other}");
    }
    let first = WriterSchema::admit(version(1).json).unwrap();
    let renamed = WriterSchema::admit(&version(1).json.replace("ParcelSent", "LetterSent"));
    assert!(!first.writes_as(&renamed.unwrap()));
    // A version that nobody knows is read as it is, and fails when that is not enough.
    let unknown = version(1).json.replace("weight_grams", "mass_grams");
    assert_eq!(decode(&unknown, WEIGHT_1250).unwrap_err().code(), "data_mismatch");
}

#[test]
fn a_record_of_kafka_and_a_row_of_the_store_are_brought_up_alike() {
    // The store gives the schema's text as it was compiled in, the registry as it pleases.
    let row = decode(version(1).json, WEIGHT_1250).unwrap();
    let value = frame(7, WEIGHT_1250);
    let (_, datum) = unframe(&value).unwrap();
    assert_eq!(decode(&respelled(version(1).json), datum).unwrap(), row);
    let second = [WEIGHT_1250, RAIL].concat();
    assert_eq!(
        decode(&respelled(version(2).json), &second).unwrap(),
        sent("rail", "rail standard")
    );
}

#[test]
fn the_stored_event_itself_stays_as_it_was_written() {
    let writer = WriterSchema::admit(version(1).json).unwrap();
    assert_eq!(decode_to_json(&writer, WEIGHT_1250).unwrap(), json!({ "weight_grams": 1_250 }));
}

#[test]
fn older_data_that_breaks_avros_rules_is_refused_like_todays() {
    assert_eq!(decode(version(1).json, &[0xc4]).unwrap_err().code(), "data_mismatch");
    let longer = [WEIGHT_1250, b"x"].concat();
    assert_eq!(decode(version(1).json, &longer).unwrap_err().code(), "trailing_bytes");
}

#[test]
fn versions_that_cannot_read_each_other_are_told_apart() {
    let admit = |json: &str| WriterSchema::admit(json).unwrap();
    let [first, second, today] = [1, 2, 3].map(|number| admit(version(number).json));
    for (one, other) in [(&first, &second), (&second, &today), (&first, &today)] {
        assert!(one.check_compatible(other).is_ok(), "{one:?} {other:?}");
    }
    let without_default = version(2).json.replace(r#""default": "post","#, "");
    let renamed = version(1).json.replace("weight_grams", "mass_grams");
    let retyped = version(1).json.replace(r#""long""#, r#""string""#);
    for changed in [without_default, renamed, retyped] {
        let fault = first.check_compatible(&admit(&changed)).unwrap_err();
        assert_eq!(fault.code(), "incompatible_schema", "{changed}");
    }
}
