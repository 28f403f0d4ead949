//! The layers as untyped TOML: in flow the default text, a file's path and variables; out flows one
//! table of values in force, with every key or type that the defaults do not know as a problem.

use std::path::Path;

use toml::{Table, Value};

use super::{ENVIRONMENT_PREFIX, SettingsProblem, secret};

/// The values in force and what was wrong on the way to them.
pub(super) struct Layers {
    /// What the default file says, the value that a broken override falls back to.
    pub defaults: Table,
    /// Every value in force, `x_file` keys included, for printing.
    pub effective: Table,
    /// The same with `x_file` keys resolved and gone, for reading.
    pub values: Table,
    pub problems: Vec<SettingsProblem>,
}

impl Layers {
    /// Moves some sections into layers of their own; problems stay here.
    pub(super) fn split_off(&mut self, sections: &[&str]) -> Self {
        let take = |table: &mut Table| -> Table {
            sections.iter().filter_map(|name| table.remove_entry(*name)).collect()
        };
        let (defaults, values) = (take(&mut self.defaults), take(&mut self.values));
        Self { defaults, values, effective: Table::new(), problems: self.problems.clone() }
    }

    /// Adds the problems that split off layers have found since.
    pub(super) fn absorb(&mut self, other: Self) {
        let new = other.problems.into_iter().filter(|problem| !self.problems.contains(problem));
        let new: Vec<_> = new.collect();
        self.problems.extend(new);
    }
}

pub(super) fn resolve(
    defaults: &str,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Layers {
    let mut problems = Vec::new();
    let defaults: Table = defaults.parse().unwrap_or_else(|error: toml::de::Error| {
        problems.push(SettingsProblem::new("defaults", error.to_string()));
        Table::new()
    });
    let mut effective = defaults.clone();
    if let Some(path) = file {
        overlay(&mut effective, read_file(path, &mut problems), "", &mut problems);
    }
    let mut variables: Vec<_> = environment
        .into_iter()
        .filter_map(|(name, value)| {
            let key = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_ascii_lowercase();
            Some((name.clone(), key, value))
        })
        .collect();
    variables.sort(); // the same problems in the same order, whatever the environment's order
    for (name, key, text) in variables {
        let path: Vec<&str> = key.split("__").collect();
        if let Err(detail) = set_from_text(&mut effective, &path, &text) {
            problems
                .push(SettingsProblem::new(format!("{} (from {name})", path.join(".")), detail));
        }
    }
    let mut values = effective.clone();
    secret::read_files(&mut values, "", &mut problems);
    let defaults_without_files = without_file_keys(&defaults);
    Layers { defaults: defaults_without_files, effective, values, problems }
}

fn read_file(path: &Path, problems: &mut Vec<SettingsProblem>) -> Table {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let table = text.and_then(|text| text.parse::<Table>().map_err(|error| error.to_string()));
    table.unwrap_or_else(|detail| {
        problems.push(SettingsProblem::new(path.display().to_string(), detail));
        Table::new()
    })
}

fn overlay(base: &mut Table, over: Table, at: &str, problems: &mut Vec<SettingsProblem>) {
    let accepts_any_key = base.is_empty() && !at.is_empty();
    for (key, value) in over {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match (base.get_mut(&key), value) {
            (None, value) if accepts_any_key => drop(base.insert(key, value)),
            (None, _) => problems.push(SettingsProblem::new(path, "is not a known key")),
            (Some(Value::Table(section)), Value::Table(inner)) => {
                overlay(section, inner, &path, problems);
            }
            (Some(current), value) => match converted(current, value) {
                Ok(value) => *current = value,
                Err(detail) => problems.push(SettingsProblem::new(path, detail)),
            },
        }
    }
}

/// The value as the type that the default has; an integer may stand for a float.
fn converted(default: &Value, value: Value) -> Result<Value, String> {
    match (default, value) {
        #[allow(clippy::cast_precision_loss)] // no setting is a float beyond 2^53
        (Value::Float(_), Value::Integer(number)) => Ok(Value::Float(number as f64)),
        (default, value) if default.same_type(&value) => Ok(value),
        (default, value) => {
            Err(format!("must be of type {}, not {}", default.type_str(), value.type_str()))
        }
    }
}

fn set_from_text(table: &mut Table, path: &[&str], text: &str) -> Result<(), String> {
    let unknown = || "is not a known key".to_owned();
    let (key, rest) = path.split_first().ok_or_else(unknown)?;
    let current = table.get_mut(*key).ok_or_else(unknown)?;
    match current {
        Value::Table(section) if !rest.is_empty() => {
            if section.is_empty() && rest.len() == 1 {
                section.insert(rest[0].to_owned(), Value::String(text.to_owned()));
                return Ok(());
            }
            set_from_text(section, rest, text)
        }
        Value::Table(_) => Err("is a section, not a key".to_owned()),
        _ if !rest.is_empty() => Err(unknown()),
        current => {
            *current = read_as(current, text)?;
            Ok(())
        }
    }
}

fn read_as(default: &Value, text: &str) -> Result<Value, String> {
    let not_a = || format!("must be of type {}", default.type_str());
    match default {
        Value::String(_) => Ok(Value::String(text.to_owned())),
        Value::Array(_) if !text.trim_start().starts_with('[') => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => {
            let mut parsed: Table = format!("value = {text}").parse().map_err(|_| not_a())?;
            let value = parsed.remove("value").filter(|_| parsed.is_empty()).ok_or_else(not_a)?;
            converted(default, value)
        }
    }
}

/// The table without the keys that only name a file; see [`secret::read_files`].
fn without_file_keys(table: &Table) -> Table {
    let mut copy = table.clone();
    let companions: Vec<String> = secret::file_keys(table);
    companions.iter().for_each(|key| drop(copy.remove(key)));
    for value in copy.iter_mut().map(|(_, value)| value) {
        if let Value::Table(section) = value {
            *section = without_file_keys(section);
        }
    }
    copy
}
