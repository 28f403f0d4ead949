//! The registry's wire format: a zero byte, the schema's id (4 bytes, big endian), the datum.

use crate::CodecFault;

const MAGIC: u8 = 0;
const HEADER_BYTES: usize = 5;

/// Puts the wire format's five bytes before a datum.
#[must_use]
pub fn frame(schema_id: u32, datum: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + datum.len());
    value.push(MAGIC);
    value.extend_from_slice(&schema_id.to_be_bytes());
    value.extend_from_slice(datum);
    value
}

/// The schema's id and the datum of a Kafka value.
///
/// # Errors
/// [`CodecFault::BadMagic`].
pub fn unframe(value: &[u8]) -> Result<(u32, &[u8]), CodecFault> {
    match value {
        [MAGIC, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(CodecFault::BadMagic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framed_datum_reads_back() {
        assert_eq!(unframe(&frame(513, b"abc")).unwrap(), (513, b"abc".as_slice()));
        assert_eq!(unframe(&frame(7, b"")).unwrap(), (7, b"".as_slice()));
    }

    #[test]
    fn v01_v02_v03_a_value_without_the_five_bytes_is_refused() {
        for bad in [b"".as_slice(), b"\0\0\0\0", b"\x01\0\0\0\x01x", b"{\"json\":1}"] {
            assert!(matches!(unframe(bad), Err(CodecFault::BadMagic)), "{bad:?}");
        }
    }
}
