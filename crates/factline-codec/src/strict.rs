//! What the decoder lets pass and Avro forbids: a block of an array or a map that is not as long as
//! it says, and a logical type's value beyond what the type can mean.
//!
//! A datum and its schema in, nothing or what is wrong out. The datum is walked, nothing is built or
//! allocated, and only schemas with such types are walked at all ([`concerns`]): most of ours have
//! none. What else may be wrong with the bytes is left to the decoder, which runs after it.

use std::ops::RangeInclusive;

use apache_avro::{
    Schema,
    schema::{DecimalSchema, InnerDecimalSchema, UuidSchema},
};
use uuid::Uuid;

/// 10^38 - 1 is the largest run of nines within the 128 bits that a decimal is compared in.
pub(crate) const MAX_DECIMAL_DIGITS: usize = 38;
/// Seven bits a byte: ten bytes hold 64.
const MAX_VARINT_BYTES: u32 = 10;

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// The years 0000 to 9999, in seconds since 1970: what RFC 3339 can write, and so every time that
/// an API of ours could show.
const RFC_3339_SECONDS: RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Is there anything in the schema that only this module looks at?
pub(crate) fn concerns(schema: &Schema) -> bool {
    match schema {
        Schema::Record(record) => record.fields.iter().any(|field| concerns(&field.schema)),
        Schema::Union(union) => union.variants().iter().any(concerns),
        Schema::Array(_)
        | Schema::Map(_)
        | Schema::Decimal(_)
        | Schema::Uuid(_)
        | Schema::Date
        | Schema::TimeMillis
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros => true,
        _ => false, // plain types; nanoseconds in 64 bits reach from 1677 to 2262
    }
}

/// Walks the datum. What follows it is not looked at.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn check(schema: &Schema, datum: &[u8]) -> Result<(), String> {
    Walk { rest: datum }.value(schema)
}

struct Walk<'d> {
    rest: &'d [u8],
}

impl<'d> Walk<'d> {
    fn value(&mut self, schema: &Schema) -> Result<(), String> {
        match schema {
            Schema::Null => Ok(()),
            Schema::Boolean => self.take(1).map(drop),
            Schema::Int | Schema::Long | Schema::Enum(_) => self.number().map(drop),
            Schema::TimestampNanos | Schema::LocalTimestampNanos => self.number().map(drop),
            Schema::Float => self.take(size_of::<f32>()).map(drop),
            Schema::Double => self.take(size_of::<f64>()).map(drop),
            Schema::Bytes | Schema::String | Schema::BigDecimal => self.prefixed().map(drop),
            Schema::Fixed(fixed) | Schema::Duration(fixed) => self.take(fixed.size).map(drop),
            Schema::Record(record) => {
                record.fields.iter().try_for_each(|field| self.value(&field.schema))
            }
            Schema::Union(union) => {
                let branch = usize::try_from(self.number()?).ok();
                let variant = branch.and_then(|branch| union.variants().get(branch));
                self.value(variant.ok_or("a union has no such branch")?)
            }
            Schema::Array(array) => self.blocks(|walk| walk.value(&array.items)),
            Schema::Map(map) => self.blocks(|walk| {
                walk.prefixed()?;
                walk.value(&map.types)
            }),
            Schema::Decimal(decimal) => self.decimal(decimal),
            Schema::Uuid(uuid) => self.uuid(uuid),
            Schema::Date => self.whole_days(),
            Schema::TimeMillis => self.within(0..=DAY_SECONDS * 1_000 - 1),
            Schema::TimeMicros => self.within(0..=DAY_SECONDS * 1_000_000 - 1),
            Schema::TimestampMillis | Schema::LocalTimestampMillis => self.instant(1_000),
            Schema::TimestampMicros | Schema::LocalTimestampMicros => self.instant(1_000_000),
            Schema::Ref { name } => Err(format!("{name} is not written out")),
        }
    }

    /// Blocks until one of no items. A negative count is followed by the block's size in bytes, by
    /// which a reader may pass over it: two readers must not come to different ends.
    fn blocks(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let count = self.number()?;
            if count == 0 {
                return Ok(());
            }
            let said = if count < 0 { Some(self.number()?) } else { None };
            let before = self.rest.len();
            for _ in 0..count.unsigned_abs() {
                item(self)?; // takes at least one byte, as admitted: a forged count ends with the datum
            }
            let taken = before - self.rest.len();
            if said.is_some_and(|said| usize::try_from(said) != Ok(taken)) {
                return Err(format!("a block of {taken} bytes says that it has another size"));
            }
        }
    }

    fn decimal(&mut self, decimal: &DecimalSchema) -> Result<(), String> {
        let bytes = match &decimal.inner {
            InnerDecimalSchema::Bytes => self.prefixed()?,
            InnerDecimalSchema::Fixed(fixed) => self.take(fixed.size)?,
        };
        let digits = unscaled(bytes)
            .map(|number| number.unsigned_abs().checked_ilog10().map_or(0, |log| log as usize + 1));
        match digits {
            Some(digits) if digits <= decimal.precision => Ok(()),
            _ => Err(format!("a decimal has more than its {} digits", decimal.precision)),
        }
    }

    fn uuid(&mut self, uuid: &UuidSchema) -> Result<(), String> {
        let read = match uuid {
            UuidSchema::String => Uuid::try_parse_ascii(self.prefixed()?),
            UuidSchema::Bytes => Uuid::from_slice(self.prefixed()?),
            UuidSchema::Fixed(fixed) => Uuid::from_slice(self.take(fixed.size)?),
        };
        read.map(drop).map_err(|error| format!("a uuid is none: {error}"))
    }

    fn whole_days(&mut self) -> Result<(), String> {
        let (first, last) = RFC_3339_SECONDS.into_inner();
        self.within(first / DAY_SECONDS..=last / DAY_SECONDS)
    }

    fn instant(&mut self, per_second: i64) -> Result<(), String> {
        let (first, last) = RFC_3339_SECONDS.into_inner();
        self.within(first * per_second..=last * per_second + (per_second - 1))
    }

    fn within(&mut self, range: RangeInclusive<i64>) -> Result<(), String> {
        let number = self.number()?;
        if range.contains(&number) {
            return Ok(());
        }
        Err(format!("a time is out of range: {number}"))
    }

    fn number(&mut self) -> Result<i64, String> {
        let mut bits = 0_u64;
        for nth in 0..MAX_VARINT_BYTES {
            let byte = self.take(1)?[0];
            bits |= u64::from(byte & 0x7f) << (7 * nth);
            if byte < 0x80 {
                return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        Err(format!("a number has more than {MAX_VARINT_BYTES} bytes"))
    }

    fn prefixed(&mut self) -> Result<&'d [u8], String> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| format!("a length is {length}"))?)
    }

    fn take(&mut self, bytes: usize) -> Result<&'d [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or("the datum ends early")?;
        self.rest = rest;
        Ok(taken)
    }
}

/// A decimal's number, big-endian in two's complement; `None` when it takes more than 128 bits.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let sign = if negative { 0xff } else { 0 };
    let kept = bytes.len().min(size_of::<i128>());
    let (extension, number) = bytes.split_at(bytes.len() - kept);
    let mut whole = [sign; size_of::<i128>()];
    whole[size_of::<i128>() - kept..].copy_from_slice(number);
    let value = i128::from_be_bytes(whole);
    (extension.iter().all(|byte| *byte == sign) && (value < 0) == negative).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kind: &str, datum: &[u8]) -> Result<(), String> {
        let schema = Schema::parse_str(kind).unwrap();
        assert!(concerns(&schema), "{kind}");
        check(&schema, datum)
    }

    /// A zigzag varint.
    fn zigzag(number: i64) -> Vec<u8> {
        let mut bits = ((number << 1) ^ (number >> 63)).cast_unsigned();
        let mut bytes = Vec::new();
        while bits >= 0x80 {
            bytes.push((bits & 0x7f) as u8 | 0x80);
            bits >>= 7;
        }
        bytes.push(bits as u8);
        bytes
    }

    #[test]
    fn v18_a_time_ends_where_rfc_3339_does() {
        let (first, last) = RFC_3339_SECONDS.into_inner();
        for (base, kind, least, most) in [
            ("int", "date", first / DAY_SECONDS, last / DAY_SECONDS),
            ("int", "time-millis", 0, 86_399_999),
            ("long", "time-micros", 0, 86_399_999_999),
            ("long", "timestamp-millis", first * 1_000, last * 1_000 + 999),
            ("long", "timestamp-micros", first * 1_000_000, last * 1_000_000 + 999_999),
            ("long", "local-timestamp-millis", first * 1_000, last * 1_000 + 999),
            ("long", "local-timestamp-micros", first * 1_000_000, last * 1_000_000 + 999_999),
        ] {
            let schema = format!(r#"{{"type":"{base}","logicalType":"{kind}"}}"#);
            for (number, fits) in
                [(least, true), (most, true), (least - 1, false), (most + 1, false)]
            {
                assert_eq!(judged(&schema, &zigzag(number)).is_ok(), fits, "{kind} {number}");
            }
        }
    }

    #[test]
    fn v18_a_decimal_has_no_more_digits_than_its_precision() {
        let bytes = r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#;
        for (number, fits) in [(9_999, true), (-9_999, true), (10_000, false), (-10_000, false)] {
            let number: i32 = number;
            let datum = [&[8][..], &number.to_be_bytes()].concat();
            assert_eq!(judged(bytes, &datum).is_ok(), fits, "{number}");
        }
        // Twenty bytes: as a sign alone they are a small number, and otherwise a very large one.
        let fixed =
            r#"{"type":"fixed","name":"F","size":20,"logicalType":"decimal","precision":38}"#;
        assert_eq!(judged(fixed, &[0xff; 20]), Ok(()));
        let mut large = [0; 20];
        large[4] = 0x80;
        assert!(judged(fixed, &large).is_err());
        large[3] = 1;
        assert!(judged(fixed, &large).is_err());
    }

    #[test]
    fn v18_a_uuid_is_one() {
        let text = r#"{"type":"string","logicalType":"uuid"}"#;
        assert_eq!(judged(text, b"\x480191a1de-0000-7000-8000-000000000001"), Ok(()));
        assert!(judged(text, b"\x480191a1de-0000-7000-8000-00000000000g").is_err());
        assert!(judged(text, b"\x00").is_err());
    }

    #[test]
    fn plain_types_are_not_walked() {
        for kind in [r#""long""#, r#"["null","string"]"#, r#"{"type":"fixed","name":"F","size":3}"#]
        {
            assert!(!concerns(&Schema::parse_str(kind).unwrap()), "{kind}");
        }
    }
}
