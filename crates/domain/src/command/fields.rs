//! Reading the fields of a JSON object: each parses once, and everything that is wrong is kept, with
//! the place where it stands.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Command, Shape, Stated};

/// One thing that is wrong with the data of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the data: `/quantity`, `/items/2/sku`; empty for the whole.
    pub pointer: String,
    /// What a caller must know to mend it.
    pub detail: String,
}

/// Everything that is wrong with the data of a command, or with one value in it; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFields(pub Vec<FieldError>);

impl InvalidFields {
    /// One thing that is wrong with a value as a whole: what it must be.
    pub fn whole(must: impl Into<String>) -> Self {
        Self(vec![FieldError { pointer: String::new(), detail: must.into() }])
    }

    /// The same, seen from the object or the list that holds the value under this name or number.
    #[must_use]
    pub fn under(self, name: &str) -> Self {
        let escaped = name.replace('~', "~0").replace('/', "~1"); // RFC 6901
        let moved = |FieldError { pointer, detail }| {
            let pointer = format!("/{escaped}{pointer}");
            FieldError { pointer, detail }
        };
        Self(self.0.into_iter().map(moved).collect())
    }
}

impl fmt::Display for InvalidFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, FieldError { pointer, detail }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{pointer} {detail}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidFields {}

/// A type that a command's field can have: it parses once and is trusted from then on.
pub trait FieldValue: Sized {
    /// Whether a command without the field is invalid.
    const REQUIRED: bool = true;
    /// What the wire may hold.
    const SHAPE: Shape;

    /// # Errors
    /// What the value must be, beginning with "must"; for a value with parts, everything that is
    /// wrong with any of them.
    fn read(value: &Value) -> Result<Self, InvalidFields>;

    /// The value of a field that is missing or null; `None` when there must be one.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const REQUIRED: bool = false;
    const SHAPE: Shape = T::SHAPE;

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        T::read(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// The fields of a JSON object while they are being read: what is left to read, and what was wrong
/// so far.
#[derive(Debug)]
pub struct Fields {
    left: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// # Errors
    /// `data` is not an object.
    pub fn of(data: Value) -> Result<Self, InvalidFields> {
        if let Value::Object(left) = data {
            return Ok(Self { left, errors: Vec::new() });
        }
        Err(InvalidFields::whole("must be an object"))
    }

    /// Takes one field out. `None` means that it was invalid, which is remembered.
    pub fn take<T: FieldValue>(&mut self, name: &str) -> Option<T> {
        let value = self.left.remove(name).unwrap_or(Value::Null);
        let read = if value.is_null() {
            T::absent().ok_or_else(|| InvalidFields::whole("must be given"))
        } else {
            T::read(&value)
        };
        read.map_err(|wrong| self.errors.extend(wrong.under(name).0)).ok()
    }

    /// Takes the rest as a command with its `occurred_at`. Fields that do not belong to the command
    /// itself, such as the id of its stream, are taken out before.
    ///
    /// # Errors
    /// Everything that is wrong with the object.
    pub fn into_command<C: Command>(mut self) -> Result<Stated<C>, InvalidFields> {
        let command = C::read(&mut self);
        let occurred_at = self.take("occurred_at");
        self.finish(command.zip(occurred_at))
            .map(|(command, occurred_at)| Stated { command, occurred_at })
    }

    /// Ends the reading: every field that nobody took is one more error.
    ///
    /// # Errors
    /// Everything that was wrong.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, InvalidFields> {
        for name in std::mem::take(&mut self.left).keys() {
            let unknown = InvalidFields::whole("is not a field of this command");
            self.errors.extend(unknown.under(name).0);
        }
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => Err(InvalidFields(self.errors)),
        }
    }
}
