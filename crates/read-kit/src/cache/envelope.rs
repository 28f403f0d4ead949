//! What a value in Redis looks like: an answer and its key flow in, bytes that tell whether they are
//! whole flow out, and the other way round.
//!
//! ```text
//! 1 byte: the format · 16 bytes: a digest of key and answer · the answer
//! ```

use uuid::Uuid;

/// The format's number; anything else was written by another version.
const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 16;

/// The longest answer that is kept: two milliseconds of a network of a gigabit, so that a dozen callers at
/// once still have theirs within the budget.
const MOST_BYTES: usize = 256 * 1024;

/// The longest value that can be one of ours.
pub(super) const MOST_SEALED_BYTES: usize = HEAD_BYTES + MOST_BYTES;

/// The value for an answer; `None` when it is too long to be kept.
pub(super) fn seal(key: &str, answer: &[u8]) -> Option<Vec<u8>> {
    if answer.len() > MOST_BYTES {
        return None;
    }
    let mut value = Vec::with_capacity(HEAD_BYTES + answer.len());
    value.push(FORMAT);
    value.extend_from_slice(digest(key, answer).as_bytes());
    value.extend_from_slice(answer);
    Some(value)
}

/// The answer in a value of this key; `None` for whatever [`seal`] has not made for it.
pub(super) fn open<'value>(key: &str, value: &'value [u8]) -> Option<&'value [u8]> {
    let (head, answer) = value.split_at_checked(HEAD_BYTES)?;
    let whole = answer.len() <= MOST_BYTES
        && head.first() == Some(&FORMAT)
        && head.get(1..) == Some(&digest(key, answer).as_bytes()[..]);
    whole.then_some(answer)
}

fn digest(key: &str, answer: &[u8]) -> Uuid {
    Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_URL, key.as_bytes()), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_back_under_its_own_key() {
        let longest = vec![b'x'; MOST_BYTES];
        for answer in [&b"{}"[..], b"", &longest] {
            let value = seal("parcels", answer).unwrap();
            assert_eq!(open("parcels", &value), Some(answer));
        }
    }

    #[test]
    fn w01_a_value_that_is_cut_changed_of_another_version_or_of_another_key_is_none() {
        let value = seal("parcels", b"{\"weight\":7}").unwrap();
        assert_eq!(open("letters", &value), None);
        for length in 0..value.len() {
            assert_eq!(open("parcels", &value[..length]), None, "cut at {length}");
        }
        for place in 0..value.len() {
            let mut changed = value.clone();
            changed[place] ^= 1; // the first byte is the version
            assert_eq!(open("parcels", &changed), None, "changed at {place}");
        }
        assert_eq!(open("parcels", &[&value[..], b"0"].concat()), None);
    }

    #[test]
    fn w01_an_answer_above_the_limit_is_neither_kept_nor_believed() {
        let long = vec![b'x'; MOST_BYTES + 1];
        assert_eq!(seal("parcels", &long), None);
        let mut value = vec![FORMAT];
        value.extend_from_slice(digest("parcels", &long).as_bytes());
        value.extend_from_slice(&long);
        assert_eq!(open("parcels", &value), None);
    }
}
