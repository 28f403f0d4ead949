//! A first pass over JSON text for what serde does not refuse: duplicate keys and U+0000. It also
//! settles whether the text is JSON at all, so that the second pass only sees misfits of type.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{escaped, readable};
use crate::Problem;

#[derive(Default)]
struct Findings {
    duplicate_key: Option<String>,
    nul: Option<String>,
}

/// Checks a whole text. serde_json's own limit of 128 nested levels holds, so the stack is safe.
pub(super) fn check(text: &str) -> Result<(), Problem> {
    let (mut findings, mut pointer) = (Findings::default(), String::new());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let scan = Scan { findings: &mut findings, pointer: &mut pointer };
    let outcome = scan.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = outcome {
        return Err(not_json(&error, text, &pointer));
    }
    if let Some(pointer) = findings.duplicate_key {
        return Err(Problem::bad_request("duplicate_key", "a key appears twice in one object")
            .error(pointer, "appears twice"));
    }
    if let Some(pointer) = findings.nul {
        return Err(Problem::invalid_field(pointer, "must not contain U+0000"));
    }
    Ok(())
}

fn not_json(error: &serde_json::Error, text: &str, pointer: &str) -> Problem {
    let message = error.to_string();
    // Both are numbers that no field can hold, which is the field's fault rather than the text's.
    if message.starts_with("number out of range") || is_at_non_number(error, text) {
        return Problem::invalid_field(pointer, "is not a number in range");
    }
    let (line, column) = (error.line(), error.column());
    let detail = format!("{} at line {line} column {column}", readable(&message));
    Problem::bad_request("malformed_json", detail)
}

/// Whether parsing stopped at NaN or Infinity, which JavaScript knows and JSON does not.
fn is_at_non_number(error: &serde_json::Error, text: &str) -> bool {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let rest = line.get(error.column().saturating_sub(1)..).unwrap_or_default();
    ["NaN", "Infinity"].iter().any(|name| rest.starts_with(name))
}

struct Scan<'s> {
    findings: &'s mut Findings,
    /// Where the scan is; left where it was when an error ends it.
    pointer: &'s mut String,
}

impl Scan<'_> {
    fn inner(&mut self) -> Scan<'_> {
        Scan { findings: self.findings, pointer: self.pointer }
    }

    fn note_nul(&mut self, text: &str) {
        if text.contains('\0') {
            self.findings.nul.get_or_insert_with(|| self.pointer.clone());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _value: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _value: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _value: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _value: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.note_nul(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut values: A) -> Result<(), A::Error> {
        let here = self.pointer.len();
        let mut index = 0_usize;
        loop {
            self.pointer.push_str(&format!("/{index}"));
            if values.next_element_seed(self.inner())?.is_none() {
                self.pointer.truncate(here);
                return Ok(());
            }
            self.pointer.truncate(here);
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let here = self.pointer.len();
        let mut keys: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
            self.pointer.push('/');
            self.pointer.push_str(&escaped(&key));
            self.note_nul(&key);
            if !keys.insert(key) {
                self.findings.duplicate_key.get_or_insert_with(|| self.pointer.clone());
            }
            entries.next_value_seed(self.inner())?;
            self.pointer.truncate(here);
        }
        Ok(())
    }
}
