//! Quantities and amounts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InvalidValue, MAX_TOTAL, MAX_UNIT_PRICE_CENTS, MAX_UNITS};
use crate::command::{FieldValue, InvalidFields, Shape};

/// A JSON number without a fraction, also when it is written with one, as some languages do: 131.0
/// is an integer to JSON Schema, and so to the published description. Beyond 2^53 such a number may
/// be another than was meant, and minus zero is no number of anything.
fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        let is_minus_zero = number == 0.0 && number.is_sign_negative();
        let fits = number.fract() == 0.0 && number.abs() < EXACT && !is_minus_zero;
        #[allow(clippy::cast_possible_truncation)] // it has neither a fraction nor too many digits
        fits.then_some(number as i64)
    })
}

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

            fn read(value: &Value) -> Result<Self, InvalidFields> {
                let number = whole(value).ok_or(InvalidValue($must));
                number.and_then(Self::try_from).map_err(InvalidFields::from)
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
number! {
    /// An amount in minor units of its currency; nothing is an amount.
    AmountCents, 0, MAX_TOTAL, "must be a whole number of cents from 0 to 9007199254740991"
}
number! {
    /// What an amount is corrected by, in minor units of its currency; negative to lower it.
    AmountDeltaCents, -MAX_TOTAL, MAX_TOTAL,
    "must be a whole number of cents from -9007199254740991 to 9007199254740991"
}
