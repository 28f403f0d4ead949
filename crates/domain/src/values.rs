//! The values that commands are made of. Each is parsed once, at the border, and cannot be invalid
//! afterwards; each says in one sentence what it must be.

use chrono::{DateTime, SubsecRound, Utc};
use factline_core::{MAX_STREAM_ID_BYTES, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::{FieldValue, Shape};

/// The largest number of units in one command: far above any real delivery, and low enough that
/// millions of them still add up without overflow.
pub const MAX_UNITS: i64 = 1_000_000_000;

/// The highest price of one unit in cents: ten thousand million dollars, above anything sold.
pub const MAX_UNIT_PRICE_CENTS: i64 = 1_000_000_000_000;

/// The largest total (units on hand, an amount in cents): 2^53 - 1, the last whole number that a
/// JSON reader with double precision (every browser) still reads exactly.
pub const MAX_TOTAL: i64 = 9_007_199_254_740_991;

/// A value is not what its type demands; the text tells what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(&'static str);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $minimum:expr, $maximum:expr, $must:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The plain number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = InvalidValue;
            fn try_from(number: i64) -> Result<Self, InvalidValue> {
                if ($minimum..=$maximum).contains(&number) {
                    Ok(Self(number))
                } else {
                    Err(InvalidValue($must))
                }
            }
        }

        impl From<$name> for i64 {
            fn from(number: $name) -> Self {
                number.0
            }
        }

        impl FieldValue for $name {
            const SHAPE: Shape = Shape::Integer { minimum: $minimum, maximum: $maximum };

            fn read(value: &Value) -> Result<Self, String> {
                let number = value.as_i64().ok_or(InvalidValue($must));
                number.and_then(Self::try_from).map_err(|must| must.to_string())
            }
        }
    };
}

number! {
    /// Units that move: at least one.
    Quantity, 1, MAX_UNITS, "must be a whole number from 1 to 1000000000"
}
number! {
    /// Units that may be none: an opening stock, a reorder point.
    Units, 0, MAX_UNITS, "must be a whole number from 0 to 1000000000"
}
number! {
    /// Units added, or taken away when negative.
    Delta, -MAX_UNITS, MAX_UNITS, "must be a whole number from -1000000000 to 1000000000"
}
number! {
    /// The price of one unit in minor units of its currency; free is a price.
    UnitPriceCents, 0, MAX_UNIT_PRICE_CENTS, "must be a whole number of cents from 0 to 1000000000000"
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $maximum:literal, $must:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text, trimmed.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidValue;
            fn try_from(text: &str) -> Result<Self, InvalidValue> {
                let text = text.trim();
                let fits = !text.is_empty() && text.chars().count() <= $maximum;
                if fits && !text.chars().any(char::is_control) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidValue($must))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;
            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::try_from(text.as_str())
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl FieldValue for $name {
            const SHAPE: Shape = Shape::Text { min_length: 1, max_length: $maximum, pattern: None };

            fn read(value: &Value) -> Result<Self, String> {
                let text = value.as_str().ok_or(InvalidValue($must));
                text.and_then(Self::try_from).map_err(|must| must.to_string())
            }
        }
    };
}

text! {
    /// What people call a thing; 200 characters fill two lines of any screen.
    Name, 200, "must be a text of 1 to 200 characters without control characters"
}
text! {
    /// Why somebody did something; a remark, not a report.
    Reason, 500, "must be a text of 1 to 500 characters without control characters"
}
text! {
    /// A country as the caller names it; the longest official name has 56 characters.
    Country, 60, "must be a text of 1 to 60 characters without control characters"
}
text! {
    /// Who units are promised to, unique within an item.
    ReservationId, 128, "must be a text of 1 to 128 characters without control characters"
}

/// An ISO 4217 code: three capital letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(String);

impl Currency {
    const MUST: InvalidValue = InvalidValue("must be an ISO 4217 code of three capital letters");

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self("USD".to_owned())
    }
}

impl TryFrom<&str> for Currency {
    type Error = InvalidValue;
    fn try_from(text: &str) -> Result<Self, InvalidValue> {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Self::MUST)
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidValue;
    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::try_from(text.as_str())
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.0
    }
}

impl FieldValue for Currency {
    const SHAPE: Shape = Shape::Text { min_length: 3, max_length: 3, pattern: Some("^[A-Z]{3}$") };

    fn read(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or(Self::MUST);
        text.and_then(Self::try_from).map_err(|must| must.to_string())
    }
}

impl FieldValue for StreamId {
    const SHAPE: Shape =
        Shape::Text { min_length: 1, max_length: MAX_STREAM_ID_BYTES, pattern: None };

    fn read(value: &Value) -> Result<Self, String> {
        value
            .as_str()
            .and_then(|text| Self::parse(text).ok())
            .ok_or_else(|| "must be a text of 1 to 128 bytes without control characters".to_owned())
    }
}

impl FieldValue for DateTime<Utc> {
    const SHAPE: Shape = Shape::Timestamp;

    /// Cut to microseconds: what the log keeps, so that a time reads back as it was given.
    fn read(value: &Value) -> Result<Self, String> {
        let text = value.as_str().unwrap_or_default();
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(time.to_utc().trunc_subsecs(6)),
            Err(_) => Err("must be an RFC 3339 time such as 2026-01-31T08:30:00Z".to_owned()),
        }
    }
}
