//! The two macros that declare commands.

/// Declares a command: a struct whose fields are all
/// [`FieldValue`](crate::command::FieldValue)s, and its name on the wire.
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

            #[allow(unused_variables)] // a command may have no fields
            fn read(fields: &mut $crate::command::Fields) -> Option<Self> {
                $(let $field = fields.take::<$type>(stringify!($field));)*
                Some(Self { $($field: $field?),* })
            }
        }
    };
}

/// Declares all the commands of one aggregate: an enum that is read by a command's name. With
/// `for Aggregate` the aggregate decides it as well, and a command that it does not decide does not
/// compile; without, the aggregate needs more than the command and says so in its own `Decide`.
macro_rules! command_set {
    ($(#[$doc:meta])* pub enum $set:ident for $aggregate:ident { $($name:ident),+ $(,)? }) => {
        command_set! { $(#[$doc])* pub enum $set { $($name),+ } }

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

    ($(#[$doc:meta])* pub enum $set:ident { $($name:ident),+ $(,)? }) => {
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
    };
}
