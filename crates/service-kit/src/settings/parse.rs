//! From untyped values to a checked struct. Serde stops at its first error; to report all of them,
//! the offending value is set back to its default and the struct is read again.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::{SettingsProblem, Validate, layers::Layers};

/// Reads and validates; what is wrong is added to the layers' problems. `None` when there is no
/// struct to return.
pub(super) fn checked<T: DeserializeOwned + Validate>(layers: &mut Layers) -> Option<T> {
    let mut table = layers.values.clone();
    let settings: T = loop {
        match serde_path_to_error::deserialize(Value::Table(table.clone())) {
            Ok(settings) => break settings,
            Err(error) => {
                let key = error.path().to_string();
                let detail = error.inner().message().trim().replace('\n', "; ");
                let path: Vec<String> = error.path().iter().map_while(key_of).collect();
                layers.problems.push(SettingsProblem::new(key, detail));
                if !reset(&mut table, &layers.defaults, &path) {
                    return None; // the defaults themselves do not fit the struct
                }
            }
        }
    };
    for problem in settings.validate() {
        if !layers.problems.iter().any(|known| concerns(known, &problem.key)) {
            layers.problems.push(problem);
        }
    }
    Some(settings)
}

/// Whether a problem is about this key, whichever layer it came from; a value that was already
/// refused is its default while the others are validated, and must not be reported twice.
fn concerns(known: &SettingsProblem, key: &str) -> bool {
    known.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(" (from"))
}

fn key_of(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// Puts the default back at a path; false when that changes nothing, so that reading again is
/// futile.
fn reset(table: &mut Table, defaults: &Table, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    let (Some(value), Some(default)) = (table.get_mut(key), defaults.get(key)) else {
        return false;
    };
    if value == default {
        return false;
    }
    match (value, default) {
        (Value::Table(section), Value::Table(default)) if !rest.is_empty() => {
            reset(section, default, rest)
        }
        (value, default) => {
            *value = default.clone();
            true
        }
    }
}
