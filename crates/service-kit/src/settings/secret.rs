//! A text that is never printed, and the files that secrets come from.

use std::{cell::RefCell, fmt, fs, path::Path};

use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::SettingsProblem;

thread_local! {
    /// What [`Secret`]s were read on this thread, so that the printer redacts them by content
    /// wherever they stand; only set while settings load.
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// A password, key or token. Debug and Display show `***`; [`expose`](Self::expose) is the only
/// way to its text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; must reach neither logs nor answers.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// No secret was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        SEEN.with_borrow_mut(|seen| {
            if let Some(seen) = seen {
                seen.push(text.clone());
            }
        });
        Ok(Self(text))
    }
}

/// Runs `read` and returns with it the texts of the secrets that it read.
pub(super) fn collecting<T>(read: impl FnOnce() -> T) -> (T, Vec<String>) {
    SEEN.set(Some(Vec::new()));
    let result = read();
    (result, SEEN.take().unwrap_or_default())
}

/// The keys `x_file` that stand beside a text key `x`.
pub(super) fn file_keys(table: &Table) -> Vec<String> {
    let beside = |key: &&String| {
        key.strip_suffix("_file").is_some_and(|stem| table.get(stem).is_some_and(Value::is_str))
    };
    table.keys().filter(beside).cloned().collect()
}

/// Replaces every `x_file` by the content of the file it names, in `x`.
pub(super) fn read_files(table: &mut Table, at: &str, problems: &mut Vec<SettingsProblem>) {
    for key in file_keys(table) {
        let stem = key.trim_end_matches("_file").to_owned();
        let Some(Value::String(path)) = table.remove(&key) else { continue };
        if path.is_empty() {
            continue;
        }
        let given = table.get(&stem).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        let content = if given {
            Err(format!("is given, and so is {stem}; only one of them may be"))
        } else {
            read_file(Path::new(&path)).map_err(|detail| format!("{path} {detail}"))
        };
        match content {
            Ok(text) => drop(table.insert(stem, Value::String(text))),
            Err(detail) => problems.push(SettingsProblem::new(format!("{at}{key}"), detail)),
        }
    }
    for (key, value) in table.iter_mut() {
        if let Value::Table(section) = value {
            read_files(section, &format!("{at}{key}."), problems);
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if is_world_readable(&metadata) {
        return Err("is readable by every user; take that right away (chmod o-r)".to_owned());
    }
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(unix)]
fn is_world_readable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o004 != 0 // the "others may read" bit
}

#[cfg(not(unix))]
fn is_world_readable(_metadata: &fs::Metadata) -> bool {
    false
}
