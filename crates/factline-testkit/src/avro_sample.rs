//! Plausible Avro data for a schema, written by hand from the Avro 1.12 specification ("Binary
//! encoding"): a second opinion beside the library that the codec uses, and what stands in for
//! data that old versions wrote.

use serde_json::Value;

/// Two data of the record: every union at its first branch, and every union at its last.
pub(crate) fn data(schema: &Value) -> [Vec<u8>; 2] {
    [false, true].map(|last_branch| {
        let mut datum = Vec::new();
        write(schema, last_branch, &mut datum);
        datum
    })
}

fn write(schema: &Value, last_branch: bool, out: &mut Vec<u8>) {
    match schema {
        Value::Array(branches) => {
            let branch = if last_branch { branches.len() - 1 } else { 0 };
            write_long(i64::try_from(branch).expect("few branches"), out);
            write(&branches[branch], last_branch, out);
        }
        Value::Object(object) => match object.get("type").and_then(Value::as_str) {
            Some("record") => {
                for field in object["fields"].as_array().into_iter().flatten() {
                    write(&field["type"], last_branch, out);
                }
            }
            Some("array" | "map" | "enum") => write_long(0, out), // empty; the first symbol
            Some("fixed") => {
                let size = object["size"].as_u64().and_then(|size| usize::try_from(size).ok());
                out.resize(out.len() + size.unwrap_or_default(), 0);
            }
            Some(_) | None => write(&object["type"], last_branch, out),
        },
        Value::String(primitive) => write_primitive(primitive, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => panic!("{schema} is not a schema"),
    }
}

fn write_primitive(name: &str, out: &mut Vec<u8>) {
    match name {
        "null" => {}
        "boolean" => out.push(1),
        "int" | "long" => write_long(7, out),
        "float" => out.extend(1.5_f32.to_le_bytes()),
        "double" => out.extend(1.5_f64.to_le_bytes()),
        "bytes" | "string" => {
            write_long(6, out);
            out.extend(b"sample");
        }
        other => panic!("{other} is not a primitive type; named types are not supported here"),
    }
}

/// Zig-zag, then seven bits a byte, the lowest first.
fn write_long(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_written_as_in_the_specifications_own_table() {
        for (number, bytes) in [
            (0, vec![0x00]),
            (-1, vec![0x01]),
            (1, vec![0x02]),
            (-64, vec![0x7f]),
            (64, vec![0x80, 0x01]),
        ] {
            let mut out = Vec::new();
            write_long(number, &mut out);
            assert_eq!(out, bytes, "{number}");
        }
    }
}
