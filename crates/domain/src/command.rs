//! How commands come in from the wire: a JSON object goes in; a command whose every field is valid
//! comes out, or everything that is wrong with the object, all at once.
//!
//! A command is declared once, with `command!`; its struct, its reader and the description that
//! the HTTP interface publishes all come from that one declaration.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

/// One thing that is wrong with the data of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the data: `/quantity`; empty for the whole.
    pub pointer: String,
    /// What a caller must know to mend it.
    pub detail: String,
}

/// Everything that is wrong with the data of a command; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFields(pub Vec<FieldError>);

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
    /// The sentence that tells the caller what the field must be, beginning with "must".
    fn read(value: &Value) -> Result<Self, String>;

    /// The value of a field that is missing or null; `None` when there must be one.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const REQUIRED: bool = false;
    const SHAPE: Shape = T::SHAPE;

    fn read(value: &Value) -> Result<Self, String> {
        T::read(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

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
        let detail = "must be an object".to_owned();
        Err(InvalidFields(vec![FieldError { pointer: String::new(), detail }]))
    }

    /// Takes one field out. `None` means that it was invalid, which is remembered.
    pub fn take<T: FieldValue>(&mut self, name: &str) -> Option<T> {
        let value = self.left.remove(name).unwrap_or(Value::Null);
        let read = if value.is_null() {
            T::absent().ok_or_else(|| "must be given".to_owned())
        } else {
            T::read(&value)
        };
        read.map_err(|detail| self.refuse(name, detail)).ok()
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
            self.refuse(name, "is not a field of this command".to_owned());
        }
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => Err(InvalidFields(self.errors)),
        }
    }

    fn refuse(&mut self, name: &str, detail: String) {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1")); // RFC 6901
        self.errors.push(FieldError { pointer, detail });
    }
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

/// Declares a command: a struct whose fields are all [`FieldValue`]s, and its name on the wire.
macro_rules! command {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident = $wire:literal {
            $($(#[doc = $field_doc:literal])+ pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[doc = $field_doc])+ pub $field: $type,)* }

        impl $crate::command::Command for $name {
            const SPEC: $crate::command::CommandSpec = $crate::command::CommandSpec {
                name: $wire,
                doc: concat!($($doc),+).trim_ascii(),
                fields: &[$($crate::command::FieldSpec {
                    name: stringify!($field),
                    doc: concat!($($field_doc),+).trim_ascii(),
                    required: <$type as $crate::command::FieldValue>::REQUIRED,
                    shape: <$type as $crate::command::FieldValue>::SHAPE,
                }),*],
            };

            fn read(fields: &mut $crate::command::Fields) -> Option<Self> {
                $(let $field = fields.take::<$type>(stringify!($field));)*
                Some(Self { $($field: $field?),* })
            }
        }
    };
}

/// Declares all the commands of one aggregate: an enum that is read by a command's name and that
/// the aggregate decides. A command that the aggregate does not decide does not compile.
macro_rules! command_set {
    ($(#[$doc:meta])* pub enum $set:ident for $aggregate:ident { $($name:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // each variant's struct carries the words
        pub enum $set { $($name($name)),+ }

        impl $set {
            /// Every command, described.
            pub const SPECS: &'static [$crate::command::CommandSpec] =
                &[$(<$name as $crate::command::Command>::SPEC),+];

            /// The command's name on the wire.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => <$name as $crate::command::Command>::SPEC.name),+ }
            }

            /// Reads the command of that name from its data.
            ///
            /// # Errors
            /// There is no such command, or its data is invalid.
            pub fn read(
                name: &str,
                data: ::serde_json::Value,
            ) -> Result<$crate::command::Stated<Self>, $crate::command::ReadError> {
                $(if name == <$name as $crate::command::Command>::SPEC.name {
                    let stated = $crate::command::read::<$name>(data)?;
                    return Ok($crate::command::Stated {
                        command: Self::$name(stated.command),
                        occurred_at: stated.occurred_at,
                    });
                })+
                Err($crate::command::ReadError::UnknownCommand)
            }
        }

        $(impl From<$name> for $set {
            fn from(command: $name) -> Self { Self::$name(command) }
        })+

        impl ::factline_core::Decide<$set> for $aggregate {
            fn decide(
                &self,
                command: &$set,
                at: ::factline_core::Moment,
            ) -> Result<
                Vec<<Self as ::factline_core::Aggregate>::Event>,
                <Self as ::factline_core::Aggregate>::Refusal,
            > {
                match command { $($set::$name(command) => self.decide(command, at)),+ }
            }
        }
    };
}
