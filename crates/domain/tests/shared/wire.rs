//! What holds for what the wire may say, whatever the aggregate: every example of every command is
//! read, and spoilt field by field.

use chrono::{DateTime, Utc};
use domain::command::{CommandSpec, ReadError, Shape};
use serde_json::{Value, json};

/// The commands of one aggregate.
pub struct Wire {
    /// All of them, described.
    pub specs: &'static [CommandSpec],
    /// One valid example of each, in their order, without `occurred_at`.
    pub examples: &'static [(&'static str, &'static str)],
    /// Reads the command of a name; gives the name that the command itself says, and when it
    /// happened.
    pub read: fn(&str, Value) -> Read,
}

pub type Read = Result<(&'static str, Option<DateTime<Utc>>), ReadError>;

impl Wire {
    pub fn every_command_is_read_by_its_name(&self) {
        let known: Vec<_> = self.specs.iter().map(|spec| spec.name).collect();
        let examples: Vec<_> = self.examples.iter().map(|(name, _)| *name).collect();
        assert_eq!(known, examples);
        for (name, data) in self.examples {
            assert_eq!((self.read)(name, parse(data)), Ok((*name, None)));
        }
    }

    pub fn a_command_of_another_name_is_unknown(&self) {
        let (name, _) = self.examples[0];
        let (_, short) = name.split_once('.').unwrap();
        for other in ["", short, &name.to_uppercase(), &format!("other.{short}")] {
            assert_eq!((self.read)(other, json!({})), Err(ReadError::UnknownCommand), "{other}");
        }
    }

    pub fn every_command_may_say_when_it_happened(&self) {
        for (name, data) in self.examples {
            let mut data = parse(data);
            data["occurred_at"] = json!("2010-12-01T09:26:00.1234567+01:00");
            let (_, at) = (self.read)(name, data).unwrap();
            assert_eq!(at.unwrap().to_rfc3339(), "2010-12-01T08:26:00.123456+00:00", "{name}");
        }
    }

    pub fn every_command_refuses_a_field_that_it_does_not_know(&self) {
        for (name, data) in self.examples {
            let mut data = parse(data);
            data["quantty/~"] = json!(1);
            assert_eq!(pointers((self.read)(name, data)), ["/quantty~1~0"], "{name}");
        }
    }

    pub fn every_command_refuses_a_missing_a_null_and_a_wrong_value_of_each_field(&self) {
        for (spec, (name, data)) in self.specs.iter().zip(self.examples) {
            for field in spec.fields {
                let pointer = format!("/{}", field.name);
                let refused = |value: Option<Value>| {
                    let mut data = parse(data);
                    data.as_object_mut().unwrap().remove(field.name);
                    if let Some(value) = value {
                        data[field.name] = value;
                    }
                    let pointers = pointers((self.read)(name, data));
                    pointers.len() == 1 && pointers[0].starts_with(&pointer)
                };
                assert_eq!(refused(None), field.required, "{name} {pointer} missing");
                assert_eq!(refused(Some(Value::Null)), field.required, "{name} {pointer} null");
                for wrong in [json!({}), json!([1]), json!(true), json!(1.5), json!("a\u{0}b")] {
                    assert!(refused(Some(wrong.clone())), "{name} {pointer} {wrong}");
                }
            }
        }
    }

    pub fn every_number_is_refused_just_outside_its_published_limits_and_taken_on_them(&self) {
        self.each_field(|read, field, shape| {
            let Shape::Integer { minimum, maximum } = shape else { return };
            for (number, taken) in
                [(minimum, true), (maximum, true), (minimum - 1, false), (maximum + 1, false)]
            {
                assert_eq!(read(json!(number)), taken, "{field} = {number}");
            }
            assert!(!read(parse("18446744073709551615")), "{field}"); // fits no i64
            for whole in ["1.0", "1e0", "10e-1"] {
                assert!(read(parse(whole)), "{field} = {whole}");
            }
            for other in ["-0", "-0.0", "1.5", "9007199254740993.0", "1e300"] {
                assert!(!read(parse(other)), "{field} = {other}");
            }
        });
    }

    pub fn every_text_is_refused_when_blank_or_longer_than_published(&self) {
        self.each_field(|read, field, shape| {
            let Shape::Text { max_length, .. } = shape else { return };
            for wrong in [String::new(), "ä".repeat(max_length + 1)] {
                assert!(!read(json!(wrong)), "{field} = {wrong:?}");
            }
            // The name of a stream is taken as it is, blanks and all; every other text is trimmed.
            assert_eq!(read(json!("  ")), field.ends_with(" sku"), "{field} is blank");
        });
    }

    pub fn every_text_is_refused_that_does_not_look_like_what_it_holds(&self) {
        let pile =
            |marks: usize| format!("a@{}", "e\u{301}".to_owned() + &"\u{301}".repeat(marks - 1));
        self.each_field(|read, field, shape| {
            let Shape::Text { max_length, .. } = shape else { return };
            for control in ['\u{202e}', '\u{2066}', '\u{2069}', '\u{85}', '\u{7f}', '\u{0}'] {
                assert!(!read(json!(format!("a@b{control}c"))), "{field} {control:?}");
            }
            if max_length > 31 {
                assert!(read(json!(pile(30))), "{field}: 30 marks");
                assert!(!read(json!(pile(31))), "{field}: 31 marks");
            }
            let pattern = matches!(shape, Shape::Text { pattern: Some(_), .. });
            assert!(pattern || max_length < 31, "{field} is published without its pattern");
        });
    }

    /// Tries each field of each command with a reader that takes a value for this field and tells
    /// whether the command was read.
    pub fn each_field(&self, check: impl Fn(&dyn Fn(Value) -> bool, &str, Shape)) {
        for (spec, (name, data)) in self.specs.iter().zip(self.examples) {
            for field in spec.fields {
                let read = |value: Value| {
                    let mut data = parse(data);
                    data[field.name] = value;
                    (self.read)(name, data).is_ok()
                };
                check(&read, &format!("{name} {}", field.name), field.shape);
            }
        }
    }
}

pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Where something was wrong.
pub fn pointers(read: Read) -> Vec<String> {
    match read {
        Err(ReadError::Invalid(wrong)) => wrong.0.into_iter().map(|error| error.pointer).collect(),
        Err(ReadError::UnknownCommand) => panic!("there is no such command"),
        Ok(_) => Vec::new(),
    }
}
