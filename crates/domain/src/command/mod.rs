//! How commands come in from the wire: a JSON object goes in; a command whose every field is valid
//! comes out, or everything that is wrong with the object, all at once.
//!
//! A command is declared once, with `command!`; its struct, its reader and the description that
//! the HTTP interface publishes all come from that one declaration.

mod fields;
#[macro_use]
mod macros;

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use fields::{FieldError, FieldValue, Fields, InvalidFields};

/// What a field may hold, for the published description of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A whole number.
    Integer {
        /// The smallest.
        minimum: i64,
        /// The largest.
        maximum: i64,
    },
    /// A text, counted in characters after trimming.
    Text {
        /// The shortest.
        min_length: usize,
        /// The longest.
        max_length: usize,
        /// A regular expression (ECMA 262) that it matches.
        pattern: Option<&'static str>,
    },
    /// An RFC 3339 time.
    Timestamp,
    /// A date of the calendar: `2026-01-31`.
    Date,
    /// A UUID, hyphenated.
    Uuid,
    /// One of these words.
    Choice {
        /// All of them.
        words: &'static [&'static str],
    },
    /// Several values of one shape.
    List {
        /// The shape of each.
        of: &'static Shape,
        /// The fewest.
        min_items: usize,
        /// The most.
        max_items: usize,
    },
    /// An object with these fields and no others.
    Object {
        /// Its fields.
        fields: &'static [FieldSpec],
    },
}

/// One field of a command, described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it may hold.
    pub shape: Shape,
}

/// One command, described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// Its name on the wire: `inventory.sell_item`.
    pub name: &'static str,
    /// What it asks for.
    pub doc: &'static str,
    /// Its own fields; `occurred_at` comes with every command and is not listed.
    pub fields: &'static [FieldSpec],
}

/// Something that can be asked of an aggregate; declared with `command!`.
pub trait Command: Sized {
    /// Its description.
    const SPEC: CommandSpec;

    /// Takes the command's fields out of `fields`; `None` when one of them was invalid, which
    /// `fields` then knows.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// A command as a caller stated it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stated<C> {
    /// What is asked for.
    pub command: C,
    /// When it happened, if the caller says so; otherwise it happens when it arrives.
    pub occurred_at: Option<DateTime<Utc>>,
}

/// Reads a command from the data of a request. `occurred_at` is understood beside every command's
/// own fields; any other field is an error.
///
/// # Errors
/// Everything that is wrong with the data.
pub fn read<C: Command>(data: Value) -> Result<Stated<C>, InvalidFields> {
    Fields::of(data)?.into_command()
}

/// Why a command that is given by name could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No command has this name.
    #[error("there is no command of this name")]
    UnknownCommand,
    /// The command's data is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidFields),
}
