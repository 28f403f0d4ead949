//! Names, reasons, addresses: texts with a limit and without control characters.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::InvalidValue;
use crate::command::{FieldValue, InvalidFields, Shape};

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

            fn read(value: &Value) -> Result<Self, InvalidFields> {
                let text = value.as_str().ok_or(InvalidValue($must));
                text.and_then(Self::try_from).map_err(InvalidFields::from)
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
text! {
    /// Where goods go, in one line: postal addresses of the world have no common parts, and nothing
    /// here takes one apart.
    PostalAddress, 500, "must be a text of 1 to 500 characters without control characters"
}
text! {
    /// A payment, as whoever takes the money names it.
    PaymentId, 128, "must be a text of 1 to 128 characters without control characters"
}
text! {
    /// Who carries a parcel.
    Carrier, 100, "must be a text of 1 to 100 characters without control characters"
}
text! {
    /// A parcel, as its carrier names it.
    TrackingNumber, 128, "must be a text of 1 to 128 characters without control characters"
}

/// Where mail reaches somebody: something before and after one `@`, no blanks. Whether mail arrives
/// there only mail can tell, so nothing more is asked. 254 characters are the longest that a mail
/// server takes (RFC 5321, a path of 256 with its brackets).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    const MAX_LENGTH: usize = 254;
    const MUST: InvalidValue = InvalidValue("must be an e-mail address of at most 254 characters");

    /// The address, trimmed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Email {
    type Error = InvalidValue;
    fn try_from(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let (mailbox, host) = text.split_once('@').ok_or(Self::MUST)?;
        let parts = !mailbox.is_empty() && !host.is_empty() && !host.contains('@');
        let blank = |letter: char| letter.is_whitespace() || letter.is_control();
        if parts && text.chars().count() <= Self::MAX_LENGTH && !text.chars().any(blank) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Self::MUST)
        }
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidValue;
    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::try_from(text.as_str())
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl FieldValue for Email {
    const SHAPE: Shape = Shape::Text {
        min_length: 3,
        max_length: Self::MAX_LENGTH,
        pattern: Some(r"^[^@\s]+@[^@\s]+$"),
    };

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let text = value.as_str().ok_or(Self::MUST);
        text.and_then(Self::try_from).map_err(InvalidFields::from)
    }
}
