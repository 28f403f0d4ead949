//! What old, new, foreign and broken writers leave behind, read by today's structs.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use factline_codec::{Codec, CodecFault, Encoded, MAX_DATUM_BYTES, WriterSchema};
use factline_core::{DomainEvent, EventSchema, ReadData, Sample, WriteData};
use serde::{Deserialize, Serialize};

/// Today's event: `note` came with the second schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ParcelSent {
    weight_grams: i64,
    #[serde(alias = "forwarder")]
    carrier: String,
    #[serde(default)]
    note: Option<String>,
}

impl Sample for ParcelSent {
    fn sample() -> Self {
        Self { weight_grams: 1_250, carrier: "rail".into(), note: Some("fragile".into()) }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum ParcelEvent {
    ParcelSent(ParcelSent),
}

const TODAY: &str = r#"{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[
    {"name":"weight_grams","type":"long"},{"name":"carrier","type":"string"},
    {"name":"note","type":["null","string"],"default":null}]}"#;
const OLD: &str = r#"{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[
    {"name":"weight_grams","type":"long"},{"name":"carrier","type":"string"}]}"#;
const NEWER: &str = r#"{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[
    {"name":"insured_cents","type":["null","long"],"default":null},
    {"name":"weight_grams","type":"long"},{"name":"carrier","type":"string"},
    {"name":"note","type":["null","string"],"default":null}]}"#;
const RENAMED: &str = r#"{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[
    {"name":"mass","type":"long"},{"name":"carrier","type":"string"}]}"#;

impl DomainEvent for ParcelEvent {
    const KIND: &'static str = "parcel";
    const SCHEMAS: &'static [EventSchema] =
        &[EventSchema { name: "ParcelSent", file: "parcel/parcel_sent.v2", json: TODAY }];
    fn schema_index(&self) -> usize {
        0
    }
    fn write<W: WriteData>(&self, writer: W) -> Result<W::Ok, W::Error> {
        let Self::ParcelSent(data) = self;
        writer.write(data)
    }
    fn read<R: ReadData>(schema_index: usize, reader: R) -> Result<Self, R::Error> {
        if schema_index == 0 { reader.read().map(Self::ParcelSent) } else { Err(reader.unknown()) }
    }
    fn samples() -> Vec<Self> {
        vec![Self::ParcelSent(ParcelSent::sample())]
    }
}

// Avro by hand: zigzag varints, length-prefixed text, a union's branch before its value.
const WEIGHT_1250: &[u8] = &[0xc4, 0x13];
const RAIL: &[u8] = b"\x08rail";
const NOTE_FRAGILE: &[u8] = b"\x02\x0efragile";

fn decode(schema: &str, parts: &[&[u8]]) -> Result<ParcelEvent, CodecFault> {
    let writer = WriterSchema::admit(schema).unwrap();
    Codec::<ParcelEvent>::new().unwrap().decode(&writer, &parts.concat())
}

fn sent(note: Option<&str>) -> ParcelEvent {
    let note = note.map(str::to_owned);
    ParcelEvent::ParcelSent(ParcelSent { weight_grams: 1_250, carrier: "rail".into(), note })
}

#[test]
fn an_event_is_encoded_as_the_avro_specification_says_and_reads_back() {
    let codec = Codec::<ParcelEvent>::new().unwrap();
    let Encoded { schema_index, datum } = codec.encode(&ParcelEvent::samples()[0]).unwrap();
    assert_eq!(datum, [WEIGHT_1250, RAIL, NOTE_FRAGILE].concat());
    assert_eq!(
        codec.decode(&codec.schemas()[schema_index], &datum).unwrap(),
        sent(Some("fragile"))
    );
}

#[test]
fn an_old_writers_datum_takes_the_default_of_the_field_it_did_not_know() {
    assert_eq!(decode(OLD, &[WEIGHT_1250, RAIL]).unwrap(), sent(None));
}

#[test]
fn v19_a_newer_writers_additional_field_is_passed_over() {
    let insured: &[u8] = &[0x02, 0x90, 0x03];
    assert_eq!(
        decode(NEWER, &[insured, WEIGHT_1250, RAIL, NOTE_FRAGILE]).unwrap(),
        sent(Some("fragile"))
    );
}

#[test]
fn v20_a_writer_without_a_required_field_is_a_mismatch() {
    let fault = decode(RENAMED, &[WEIGHT_1250, RAIL]).unwrap_err();
    assert_eq!(fault.code(), "data_mismatch");
}

#[test]
fn v05_a_record_of_another_name_is_foreign() {
    let foreign = TODAY.replace("ParcelSent", "LetterSent");
    let fault = decode(&foreign, &[WEIGHT_1250, RAIL, NOTE_FRAGILE]).unwrap_err();
    assert_eq!(fault.code(), "foreign_schema");
}

/// Which writers of other names are read: aliases are a reader's, and ours stand in its structs.
#[test]
fn v21_another_namespace_is_foreign_and_a_field_of_another_name_is_read_by_its_readers_alias_alone()
{
    let moved = TODAY.replace("factline.parcel", "factline.post");
    let bare = TODAY.replace(r#""namespace":"factline.parcel","#, "");
    let whole_name =
        bare.replace(r#""name":"ParcelSent""#, r#""name":"factline.parcel.ParcelSent""#);
    let renamed = r#""name":"LetterSent","aliases":["factline.parcel.ParcelSent"]"#;
    let renamed = TODAY.replace(r#""name":"ParcelSent""#, renamed);
    let forwarder = TODAY.replace("carrier", "forwarder");
    let mass = TODAY.replace("weight_grams", "mass");
    let mass_with_alias =
        TODAY.replace(r#""name":"weight_grams""#, r#""name":"mass","aliases":["weight_grams"]"#);
    for (what, writer, fixture) in [
        ("another namespace", &moved, Err("foreign_schema")),
        ("no namespace", &bare, Err("foreign_schema")),
        ("the namespace within the name", &whole_name, Ok(())),
        ("a record of another name that says it was ours", &renamed, Err("foreign_schema")),
        ("a field's name that the struct knows as an alias", &forwarder, Ok(())),
        ("a field's name that nobody knows", &mass, Err("data_mismatch")),
        ("a field that the writer says had our name", &mass_with_alias, Err("data_mismatch")),
    ] {
        let decoded = decode(writer, &[WEIGHT_1250, RAIL, NOTE_FRAGILE]);
        let expected = fixture.map(|()| sent(Some("fragile")));
        assert_eq!(decoded.map_err(|fault| fault.code()), expected, "{what}");
    }
}

#[test]
fn v09_bytes_after_the_datum_are_refused() {
    let fault = decode(OLD, &[WEIGHT_1250, RAIL, b"x"]).unwrap_err();
    assert!(matches!(fault, CodecFault::TrailingBytes(1)));
}

#[test]
fn v10_v11_v15_v16_v17_v22_bytes_that_break_avros_rules_are_refused_without_a_large_allocation() {
    let cases: [(&str, &[&[u8]]); 7] = [
        ("truncated", &[WEIGHT_1250, b"\x08ra"]),
        ("negative length", &[WEIGHT_1250, b"\x01rail"]),
        ("huge length", &[WEIGHT_1250, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"]),
        ("union branch out of range", &[WEIGHT_1250, RAIL, b"\x08"]),
        ("varint of eleven bytes", &[&[0xff; 11]]),
        ("text that is not UTF-8", &[WEIGHT_1250, b"\x04\xff\xfe", b"\x00"]),
        ("an object container file", &[b"Obj\x01\x04\x14avro.codec"]),
    ];
    for (what, parts) in cases {
        let fault = decode(TODAY, parts).unwrap_err();
        assert_eq!(fault.code(), "data_mismatch", "{what}");
    }
}

#[test]
fn k18_a_datum_over_the_limit_is_refused_before_it_is_decoded_and_never_encoded() {
    let large = vec![0; MAX_DATUM_BYTES + 1];
    assert_eq!(decode(OLD, &[&large]).unwrap_err().code(), "too_large");

    let carrier = "x".repeat(MAX_DATUM_BYTES);
    let event = ParcelEvent::ParcelSent(ParcelSent { carrier, ..ParcelSent::sample() });
    let fault = Codec::<ParcelEvent>::new().unwrap().encode(&event).unwrap_err();
    assert_eq!(fault.code(), "too_large");
}
