//! Data whose bytes follow their schema and still say what cannot be: blocks of arrays that lie, and
//! values that their logical type does not have.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use factline_codec::{Codec, CodecFault, WriterSchema, decode_to_json};
use factline_core::{DomainEvent, EventSchema, ReadData, Sample, WriteData};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ParcelsCounted {
    weights_grams: Vec<i64>,
}

impl Sample for ParcelsCounted {
    fn sample() -> Self {
        Self { weights_grams: vec![1, 2, 3] }
    }
}

/// A decimal's number without its scale, as its bytes.
#[derive(Debug, Clone, PartialEq)]
struct Unscaled(Vec<u8>);

impl Serialize for Unscaled {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Unscaled {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Unscaled;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Unscaled, E> {
                Ok(Unscaled(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Logical types as an event's struct sees them: plain bytes, numbers and texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ParcelWeightd {
    weight: Unscaled,
    at_ms: i64,
    label: String,
}

impl Sample for ParcelWeightd {
    fn sample() -> Self {
        let label = "0191a1de-0000-7000-8000-000000000001".to_owned();
        Self { weight: Unscaled(vec![0x7f, 0xff]), at_ms: 1_291_204_800_000, label }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum ParcelEvent {
    Counted(ParcelsCounted),
    Weightd(ParcelWeightd),
}

const COUNTED: &str = r#"{"type":"record","name":"ParcelsCounted","namespace":"factline.parcel",
    "fields":[{"name":"weights_grams","type":{"type":"array","items":"long"}}]}"#;
const PRICED: &str = r#"{"type":"record","name":"ParcelWeightd","namespace":"factline.parcel","fields":[
    {"name":"weight","type":{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}},
    {"name":"at_ms","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"label","type":{"type":"string","logicalType":"uuid"}}]}"#;

impl DomainEvent for ParcelEvent {
    const KIND: &'static str = "parcel";
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema { name: "ParcelsCounted", file: "parcel/parcels_counted.v1", json: COUNTED },
        EventSchema { name: "ParcelWeightd", file: "parcel/parcel_weightd.v1", json: PRICED },
    ];
    fn schema_index(&self) -> usize {
        match self {
            Self::Counted(_) => 0,
            Self::Weightd(_) => 1,
        }
    }
    fn write<W: WriteData>(&self, writer: W) -> Result<W::Ok, W::Error> {
        match self {
            Self::Counted(data) => writer.write(data),
            Self::Weightd(data) => writer.write(data),
        }
    }
    fn read<R: ReadData>(schema_index: usize, reader: R) -> Result<Self, R::Error> {
        match schema_index {
            0 => reader.read().map(Self::Counted),
            1 => reader.read().map(Self::Weightd),
            _ => Err(reader.unknown()),
        }
    }
    fn samples() -> Vec<Self> {
        vec![Self::Counted(ParcelsCounted::sample()), Self::Weightd(ParcelWeightd::sample())]
    }
}

/// As a consumer reads it, and as an operator's tool shows it.
fn decode(schema: &str, datum: &[u8]) -> Result<ParcelEvent, CodecFault> {
    let codec = Codec::<ParcelEvent>::new().unwrap();
    let writer = WriterSchema::admit(schema).unwrap();
    let decoded = codec.decode(&writer, datum);
    assert_eq!(decode_to_json(&writer, datum).is_ok(), decoded.is_ok(), "{datum:?}");
    decoded
}

fn counted(weights: &[i64]) -> ParcelEvent {
    ParcelEvent::Counted(ParcelsCounted { weights_grams: weights.to_vec() })
}

#[test]
fn v12_blocks_in_either_form_and_of_any_number_are_one_array() {
    for (what, datum) in [
        ("one block", &b"\x06\x02\x04\x06\x00"[..]),
        ("two blocks", b"\x02\x02\x04\x04\x06\x00"),
        ("a block with its size", b"\x05\x06\x02\x04\x06\x00"),
        ("both forms", b"\x01\x02\x02\x04\x04\x06\x00"),
    ] {
        assert_eq!(decode(COUNTED, datum).unwrap(), counted(&[1, 2, 3]), "{what}");
    }
    assert_eq!(decode(COUNTED, b"\x00").unwrap(), counted(&[]));
}

/// The counts would be 512 GiB and more of longs: a reader that made room for them would end the
/// process here, or panic.
#[test]
fn v12_an_array_that_lies_about_its_count_or_its_size_is_refused_before_room_is_made_for_it() {
    for (what, datum) in [
        ("2^36 items", &b"\x80\x80\x80\x80\x80\x04\x02"[..]),
        ("2^63 - 1 items", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x04"),
        ("-2^63 items", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x04\x02\x04"),
        ("one item more than there are", b"\x08\x02\x04\x06\x00"),
        ("a size that is too small", b"\x05\x04\x02\x04\x06\x00"),
        ("a size that is too large", b"\x05\x08\x02\x04\x06\x00"),
        ("a negative size", b"\x05\x05\x02\x04\x06\x00"),
        (
            "a size beyond all memory",
            b"\x05\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x04\x06\x00",
        ),
        ("no end", b"\x06\x02\x04\x06"),
    ] {
        assert_eq!(decode(COUNTED, datum).unwrap_err().code(), "data_mismatch", "{what}");
    }
}

const LABEL: &[u8] = b"\x480191a1de-0000-7000-8000-000000000001";
const YEAR_2010: &[u8] = b"\x80\xb8\xed\x9c\x94\x4b";

#[test]
fn v18_a_decimal_a_timestamp_and_a_uuid_within_their_range_are_read() {
    let datum = [b"\x04\x7f\xff", YEAR_2010, LABEL].concat();
    assert_eq!(decode(PRICED, &datum).unwrap(), ParcelEvent::Weightd(ParcelWeightd::sample()));
}

#[test]
fn v18_values_that_their_logical_type_does_not_have_are_refused() {
    let year_292_million = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let no_uuid = b"\x480191a1de-0000-7000-8000-00000000000x";
    for (what, parts) in [
        ("a decimal of six digits", [&b"\x06\x01\x86\xa0"[..], YEAR_2010, LABEL]),
        ("a negative one", [b"\x06\xfe\x79\x60", YEAR_2010, LABEL]),
        ("one of 20 bytes", [b"\x28\x01aaaaaaaaaaaaaaaaaaa", YEAR_2010, LABEL]),
        ("a time in the year 292 million", [b"\x04\x7f\xff", year_292_million, LABEL]),
        ("a text that is no uuid", [b"\x04\x7f\xff", YEAR_2010, no_uuid]),
        ("a uuid that is too short", [b"\x04\x7f\xff", YEAR_2010, b"\x080191"]),
    ] {
        let fault = decode(PRICED, &parts.concat()).unwrap_err();
        assert_eq!(fault.code(), "data_mismatch", "{what}");
    }
    let many = PRICED.replace(r#""precision":5"#, r#""precision":39"#);
    assert_eq!(WriterSchema::admit(&many).unwrap_err().code(), "inadmissible_schema");
}
