//! Where a caller is in the feed: the last id of each of its streams, as the `id` of an event, which
//! browsers send back as `Last-Event-ID`.

use std::{fmt, str::FromStr};

/// An entry's id in a Redis stream: milliseconds and a number within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct EntryId {
    ms: u64,
    number: u64,
}

impl FromStr for EntryId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (ms, number) = text.split_once('-').ok_or(Malformed)?;
        let digits = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| plain).ok_or(Malformed)
        };
        Ok(Self { ms: digits(ms)?, number: digits(number)? })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.ms, self.number)
    }
}

/// One id for each stream, in the order in which the caller's streams are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(pub(super) Vec<EntryId>);

/// The text is no place in this feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Place {
    /// # Errors
    /// Not one id for each of so many streams.
    pub(super) fn parse(text: &str, streams: usize) -> Result<Self, Malformed> {
        let ids: Vec<EntryId> = text.split('.').map(str::parse).collect::<Result<_, _>>()?;
        if ids.len() == streams { Ok(Self(ids)) } else { Err(Malformed) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, id) in self.0.iter().enumerate() {
            write!(formatter, "{}{id}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_for_as_many_streams() {
        let place = Place::parse("1763767000123-0.0-0.7-12", 3).unwrap();
        assert_eq!(place.to_string(), "1763767000123-0.0-0.7-12");
        assert!(place.0[1] < place.0[2] && place.0[2] < place.0[0]);
        assert_eq!(Place::parse("1-0.0-0.7-12", 2), Err(Malformed));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "1", "1-", "-1", "a-b", "+1-0", "1-0.", "1-0 ", "99999999999999999999-0"] {
            assert_eq!(Place::parse(text, 1), Err(Malformed), "{text}");
        }
    }
}
