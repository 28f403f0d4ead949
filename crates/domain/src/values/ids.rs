//! Who and what a command speaks of.

use std::fmt;

use factline_core::{MAX_STREAM_ID_BYTES, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{InvalidValue, texts::is_plain};
use crate::command::{FieldValue, InvalidFields, Shape};

const MUST_BE_UUID: InvalidValue =
    InvalidValue("must be a UUID such as 018f3c1e-7b1a-7000-8000-000000000001");

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// The plain UUID; never nil.
            #[must_use]
            pub const fn get(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<Uuid> for $name {
            type Error = InvalidValue;
            fn try_from(id: Uuid) -> Result<Self, InvalidValue> {
                if id.is_nil() { Err(MUST_BE_UUID) } else { Ok(Self(id)) }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidValue;
            fn try_from(text: &str) -> Result<Self, InvalidValue> {
                const HYPHENATED: usize = uuid::fmt::Hyphenated::LENGTH;
                let text = text.trim();
                let id = Uuid::try_parse(text).ok().filter(|_| text.len() == HYPHENATED);
                id.ok_or(MUST_BE_UUID)?.try_into()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;
            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::try_from(text.as_str())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl FieldValue for $name {
            const SHAPE: Shape = Shape::Uuid;

            fn read(value: &Value) -> Result<Self, InvalidFields> {
                let text = value.as_str().ok_or(MUST_BE_UUID);
                text.and_then(Self::try_from).map_err(InvalidFields::from)
            }
        }
    };
}

id! {
    /// An order, and the id of its stream. Whoever creates one brings it: a new UUIDv7, or one that
    /// is derived from the request's key. In lower case, however it was written.
    OrderId
}
id! {
    /// A customer, and the id of its stream; made as an [`OrderId`] is.
    CustomerId
}
id! {
    /// An event of the log.
    EventId
}

impl From<OrderId> for StreamId {
    fn from(id: OrderId) -> Self {
        id.0.into()
    }
}

impl From<CustomerId> for StreamId {
    fn from(id: CustomerId) -> Self {
        id.0.into()
    }
}

/// What [`is_plain`] asks of a name that is taken as it is, blanks and all.
const PLAIN_BYTES: &str = r"^[^\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+$";

impl FieldValue for StreamId {
    const SHAPE: Shape =
        Shape::Text { min_length: 1, max_length: MAX_STREAM_ID_BYTES, pattern: Some(PLAIN_BYTES) };

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let text = value.as_str().filter(|text| is_plain(text));
        text.and_then(|text| Self::parse(text).ok()).ok_or_else(|| {
            InvalidFields::whole(
                "must be a text of 1 to 128 bytes without control characters, bidirectional ones \
                 included, and with at most 30 combining marks in a row",
            )
        })
    }
}
