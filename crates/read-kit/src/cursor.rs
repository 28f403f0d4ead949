//! Cursors for pages: the place where a page ended goes in with the query it belongs to; an opaque text
//! comes out that only the same query takes back.
//!
//! A cursor carries a digest over the query and the place. It is no signature: whoever computes the
//! digest himself may start a page anywhere, which he could do with a filter as well. It tells a
//! truncated, edited or misused cursor from a good one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The text is no cursor of this query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this query gave")]
pub struct MalformedCursor;

const DIGEST_BYTES: usize = 16;

/// A cursor for `place`, bound to the query: base64 without padding, safe in an address.
pub fn seal(query: &str, place: &impl Serialize) -> String {
    let place = serde_json::to_string(place).unwrap_or_default(); // texts, numbers and times only
    let mut bytes = digest(query, &place).into_bytes().to_vec();
    bytes.extend_from_slice(place.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a cursor of this query holds.
///
/// # Errors
/// It is malformed, or of another query.
pub fn open<Place: DeserializeOwned>(query: &str, cursor: &str) -> Result<Place, MalformedCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| MalformedCursor)?;
    let (found, place) = bytes.split_at_checked(DIGEST_BYTES).ok_or(MalformedCursor)?;
    let place = std::str::from_utf8(place).map_err(|_| MalformedCursor)?;
    let nul = place.contains("\\u0000"); // no text of the database holds one
    if nul || digest(query, place).as_bytes() != found {
        return Err(MalformedCursor);
    }
    serde_json::from_str(place).map_err(|_| MalformedCursor)
}

fn digest(query: &str, place: &str) -> Uuid {
    Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_URL, query.as_bytes()), place.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_for_its_own_query() {
        let cursor = seal("by name", &("käse", 7));
        assert_eq!(open::<(String, i64)>("by name", &cursor), Ok(("käse".to_owned(), 7)));
    }

    #[test]
    fn h34_a_cursor_that_is_forged_cut_or_of_another_query_is_refused() {
        let cursor = seal("by name", &("käse", 7));
        let refused = |query, cursor: &str| open::<(String, i64)>(query, cursor).is_err();
        assert!(refused("by weight", &cursor));
        assert!(refused("by name", &cursor[..cursor.len() - 2]));
        assert!(refused("by name", &cursor.replacen(&cursor[..2], "AA", 1)));
        for nonsense in ["", "AAAA", "not base64!", "????", &"A".repeat(8_000)] {
            assert!(refused("by name", nonsense), "{nonsense}");
        }
        assert!(refused("by name", &seal("by name", &("a\0", 7))), "a text that cannot be stored");
        assert!(refused("by name", &seal("by name", &(7, 7))), "another type");
    }
}
