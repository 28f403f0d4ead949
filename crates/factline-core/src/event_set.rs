//! The macro that turns a list of names into an event type that the compiler can check.

/// Declares an aggregate kind's events: one line an event, naming its struct and its schema file
/// below `schemas/<kind>/`. A line without its file or its struct does not compile.
///
/// ```ignore
/// event_set! {
///     /// Everything that can happen to a parcel.
///     pub enum ParcelEvent of "parcel" {
///         ParcelSent: "parcel_sent.v1",
///         ParcelLost: "parcel_lost.v1",
///     }
/// }
/// ```
#[macro_export]
macro_rules! event_set {
    ($(#[$doc:meta])* pub enum $set:ident of $kind:literal {
        $($name:ident: $file:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // each variant's struct carries the words
        pub enum $set { $($name($name)),+ }

        impl $crate::DomainEvent for $set {
            const KIND: &'static str = $kind;
            const SCHEMAS: &'static [$crate::EventSchema] = &[$($crate::EventSchema {
                name: stringify!($name),
                file: concat!($kind, "/", $file),
                json: include_str!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/../../schemas/", $kind, "/", $file, ".avsc"
                )),
            }),+];

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

            fn samples() -> Vec<Self> {
                vec![$(Self::$name(<$name as $crate::Sample>::sample())),+]
            }
        }

        $(impl From<$name> for $set {
            fn from(data: $name) -> Self { Self::$name(data) }
        })+
    };
}
