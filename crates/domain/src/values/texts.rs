//! Names, reasons, addresses: texts with a limit, that show what they hold.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_normalization::char::is_combining_mark;

use super::InvalidValue;
use crate::command::{FieldValue, InvalidFields, Shape};

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $maximum:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            const MUST: InvalidValue = InvalidValue(concat!(
                "must be a text of 1 to ",
                $maximum,
                " characters without control characters, bidirectional ones included, \
                 and with at most 30 combining marks in a row",
            ));

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
                if fits && is_plain(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Self::MUST)
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
            const SHAPE: Shape =
                Shape::Text { min_length: 1, max_length: $maximum, pattern: Some(PLAIN) };

            fn read(value: &Value) -> Result<Self, InvalidFields> {
                let text = value.as_str().ok_or(Self::MUST);
                text.and_then(Self::try_from).map_err(InvalidFields::from)
            }
        }
    };
}

/// What [`is_plain`] asks, and one character that is not blank; without the last part, which no
/// expression says in short.
const PLAIN: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*",
    r"[^\s\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]",
    r"[^\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$",
);

/// As many marks upon one character as a text of any language may have: the limit of Unicode's
/// Stream-Safe Text Format (UAX 15, 13), which counts 30 to be far more than any needs. Texts with
/// more are made to grow out of their line.
const MAX_MARKS: usize = 30;

/// Does the text look like what it holds? Control characters do not, nor do those that show the
/// text around them in another order than it stands (the embeddings, overrides and isolates of UAX
/// 9), nor piles of marks.
pub(super) fn is_plain(text: &str) -> bool {
    let reorders =
        |character| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut marks = 0;
    text.chars().all(|character| {
        marks = if is_combining_mark(character) { marks + 1 } else { 0 };
        marks <= MAX_MARKS && !character.is_control() && !reorders(character)
    })
}

text! {
    /// What people call a thing; 200 characters fill two lines of any screen.
    Name, 200
}
text! {
    /// Why somebody did something; a remark, not a report.
    Reason, 500
}
text! {
    /// A country as the caller names it; the longest official name has 56 characters.
    Country, 60
}
text! {
    /// Who units are promised to, unique within an item.
    ReservationId, 128
}
text! {
    /// Where goods go, in one line: postal addresses of the world have no common parts, and nothing
    /// here takes one apart.
    PostalAddress, 500
}
text! {
    /// A payment, as whoever takes the money names it.
    PaymentId, 128
}
text! {
    /// Who carries a parcel.
    Carrier, 100
}
text! {
    /// A parcel, as its carrier names it.
    TrackingNumber, 128
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
        let fits = text.chars().count() <= Self::MAX_LENGTH && is_plain(text);
        if parts && fits && !text.chars().any(char::is_whitespace) {
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
        pattern: Some(concat!(
            r"^[^@\s\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+",
            r"@[^@\s\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+$",
        )),
    };

    fn read(value: &Value) -> Result<Self, InvalidFields> {
        let text = value.as_str().ok_or(Self::MUST);
        text.and_then(Self::try_from).map_err(InvalidFields::from)
    }
}
