//! Extractors: in flow requests, out flow typed values, or a problem document that says what is
//! wrong and where. Everything that can be refused without asking the domain is refused here.

mod headers;
mod json;
mod scan;
mod uri;

pub use headers::{ConsistencyTokens, IdempotencyKey, IfMatch};
pub use json::{Json, fitting};
pub use uri::{Path, Query};

use serde_path_to_error::{Path as SerdePath, Segment};

/// A caller's value may be long; what is quoted of it in a detail is not.
const MAX_DETAIL_CHARACTERS: usize = 200;

/// A path through a document as a JSON pointer (RFC 6901).
fn pointer(path: &SerdePath) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => {
            format!("{pointer}/{}", escaped(key))
        }
        Segment::Unknown => pointer,
    })
}

/// A key as it stands in a JSON pointer (RFC 6901, 3).
#[must_use]
pub fn escaped(key: &str) -> String {
    if key.contains(['~', '/']) {
        key.replace('~', "~0").replace('/', "~1")
    } else {
        key.to_owned()
    }
}

/// A parser's message without its position, without our type names, and not longer than useful.
fn readable(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _position)| text);
    let message = match message.split_once("expected struct ") {
        Some((before, _type_name)) => format!("{before}expected an object"),
        None => message.to_owned(),
    };
    match message.char_indices().nth(MAX_DETAIL_CHARACTERS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

/// The name in backticks of "missing field `name`", when the message begins like that.
fn field_named_by<'m>(message: &'m str, beginning: &str) -> Option<&'m str> {
    message.strip_prefix(beginning)?.strip_prefix('`')?.split('`').next()
}
