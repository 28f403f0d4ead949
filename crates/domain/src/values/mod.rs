//! The values that commands are made of. Each is parsed once, at the border, and cannot be invalid
//! afterwards; each says in one sentence what it must be.

mod ids;
mod numbers;
mod texts;

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::{FieldValue, InvalidFields, Shape};

pub use ids::{CustomerId, EventId, OrderId};
pub use numbers::{AmountCents, AmountDeltaCents, Delta, Quantity, UnitPriceCents, Units};
pub use texts::{
    Carrier, Country, Email, Name, PaymentId, PostalAddress, Reason, ReservationId, TrackingNumber,
};

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

impl From<InvalidValue> for InvalidFields {
    fn from(must: InvalidValue) -> Self {
        Self::whole(must.0)
    }
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

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let text = value.as_str().ok_or(Self::MUST);
        text.and_then(Self::try_from).map_err(InvalidFields::from)
    }
}

impl FieldValue for DateTime<Utc> {
    const SHAPE: Shape = Shape::Timestamp;

    /// Cut to microseconds: what the log keeps, so that a time reads back as it was given.
    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let text = value.as_str().unwrap_or_default();
        let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc().trunc_subsecs(6));
        time.map_err(|_| {
            InvalidFields::whole("must be an RFC 3339 time such as 2026-01-31T08:30:00Z")
        })
    }
}

impl FieldValue for NaiveDate {
    const SHAPE: Shape = Shape::Date;

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let text = value.as_str().unwrap_or_default();
        let date = text.parse::<Self>().ok().filter(|date| date.to_string() == text);
        date.ok_or_else(|| InvalidFields::whole("must be a date such as 2026-01-31"))
    }
}
