//! The macro that turns a list of names into an event type that the compiler can check.

/// Declares an aggregate kind's events: one line an event, naming its struct and its schema file
/// below `schemas/<kind>/`. A line without its file or its struct does not compile.
///
/// Behind today's version stand those older ones that today's struct cannot read by itself, newest
/// first, each with a struct for what it wrote. Every arrow is one step of the way up to today and
/// demands a `From`: below, `From<ParcelSentV2> for ParcelSent` and `From<ParcelSentV1> for
/// ParcelSentV2`. A step is a pure function that cannot fail. The structs of older versions carry
/// `#[serde(rename = "ParcelSent")]`: Avro knows a record by its name.
///
/// ```text
/// event_set! {
///     /// Everything that can happen to a parcel.
///     pub enum ParcelEvent of "parcel" {
///         ParcelSent: "parcel_sent.v3" <- ParcelSentV2: "parcel_sent.v2" <- ParcelSentV1: "parcel_sent.v1",
///         ParcelLost: "parcel_lost.v1",
///     }
/// }
/// ```
///
/// The smallest one is the [heartbeat](crate::heartbeat). Schemas that are no part of the product, such
/// as a test's, stand in a folder of their own, named from the crate's: `of "parcel" in
/// "tests/schemas"`.
#[macro_export]
macro_rules! event_set {
    (@steps $set:ident: $next:ident) => {};

    (@steps $set:ident: $next:ident $older:ident $($rest:ident)*) => {
        impl From<$older> for $set {
            fn from(data: $older) -> Self { Self::from($next::from(data)) }
        }
        $crate::event_set!(@steps $set: $older $($rest)*);
    };

    ($(#[$doc:meta])* pub enum $set:ident of $kind:literal { $($events:tt)+ }) => {
        $crate::event_set! {
            $(#[$doc])* pub enum $set of $kind in "../../schemas" { $($events)+ }
        }
    };

    ($(#[$doc:meta])* pub enum $set:ident of $kind:literal in $folder:literal {
        $($name:ident: $file:literal $(<- $older:ident: $older_file:literal)*),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // each variant's struct carries the words
        pub enum $set { $($name($name)),+ }

        impl $crate::DomainEvent for $set {
            const KIND: &'static str = $kind;
            const SCHEMAS: &'static [$crate::EventSchema] =
                &[$($crate::event_set!(@schema $name $kind $folder $file)),+];
            const OLDER: &'static [$crate::EventSchema] =
                &[$($($crate::event_set!(@schema $name $kind $folder $older_file),)*)+];

            fn schema_index(&self) -> usize {
                let name = match self { $(Self::$name(_) => stringify!($name)),+ };
                const NAMES: &[&str] = &[$(stringify!($name)),+];
                NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len())
            }

            fn write<W: $crate::WriteData>(&self, writer: W) -> Result<W::Ok, W::Error> {
                match self { $(Self::$name(data) => writer.write(data)),+ }
            }

            fn read<R: $crate::ReadData>(schema_index: usize, reader: R) -> Result<Self, R::Error> {
                let name = Self::SCHEMAS.get(schema_index).map(|schema| schema.name);
                $(if name == Some(stringify!($name)) {
                    return reader.read::<$name>().map(Self::$name);
                })+
                Err(reader.unknown())
            }

            fn read_older<R: $crate::ReadData>(
                older_index: usize,
                reader: R,
            ) -> Result<Self, R::Error> {
                match Self::OLDER.get(older_index).map(|older| older.file) {
                    $($(Some(concat!($kind, "/", $older_file)) => {
                        reader.read::<$older>().map(Self::from)
                    })*)+
                    Some(_) | None => Err(reader.unknown()),
                }
            }

            fn samples() -> Vec<Self> {
                vec![$(Self::$name(<$name as $crate::Sample>::sample())),+]
            }
        }

        $(impl From<$name> for $set {
            fn from(data: $name) -> Self { Self::$name(data) }
        })+

        $($crate::event_set!(@steps $set: $name $($older)*);)+
    };

    (@schema $name:ident $kind:literal $folder:literal $file:literal) => {
        $crate::EventSchema {
            name: stringify!($name),
            file: concat!($kind, "/", $file),
            json: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $kind, "/", $file, ".avsc"
            )),
        }
    };
}
