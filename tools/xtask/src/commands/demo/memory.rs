//! What a demo's stack holds from an import: which file, what its lines became, and, once it is done,
//! how many events that made. It tells a repeat of the same import, which changes nothing, from data of another
//! origin.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::LinesBecome;
use crate::failure::Failure;

const FILE: &str = "imported.json";

/// An import, begun or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// SHA-256 of the unpacked file, in hexadecimal.
    digest: String,
    /// An import that was remembered before there were orders made sales only.
    #[serde(default)]
    lines_become: LinesBecome,
    /// Events in the log when it was done and the system had exactly the file's totals; none before.
    log_events: Option<u64>,
}

/// What another import would be beside the one that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same: what was done is not done again.
    Repeat,
    /// The same lines once more, which became this.
    Otherwise(LinesBecome),
    /// On top of other data.
    More,
}

impl Memory {
    /// An import of this unpacked file that begins now.
    pub(crate) fn of(bytes: &[u8], lines_become: LinesBecome) -> Memory {
        let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Memory { digest, lines_become, log_events: None }
    }

    /// The import that this stack remembers, if its data still has one.
    pub(crate) fn read(root: &Path) -> Option<Memory> {
        let text = std::fs::read(root.join("data").join(FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Remembers the first import of the stack, in case it is never done.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn begun(&self, root: &Path) -> Result<(), Failure> {
        if Memory::read(root).is_some() { Ok(()) } else { self.write(root) }
    }

    /// Remembers this import as done, with so many events in the log.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn done(self, root: &Path, log_events: u64) -> Result<(), Failure> {
        Memory { log_events: Some(log_events), ..self }.write(root)
    }

    /// What this import would be, into a log of so many events.
    pub(crate) fn next(&self, import: &Memory, log_events: u64) -> Next {
        let is_same_file = self.digest == import.digest;
        if is_same_file && self.lines_become != import.lines_become {
            Next::Otherwise(self.lines_become)
        } else if is_same_file && self.log_events.is_none_or(|then| then == log_events) {
            Next::Repeat
        } else {
            Next::More
        }
    }

    /// The file lies in the stack's data and goes with it.
    fn write(&self, root: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec(self).map_err(|error| Failure::new(error.to_string()))?;
        Ok(std::fs::write(root.join("data").join(FILE), text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::LinesBecome::{Orders, Sales};
    use super::*;

    fn done(log_events: u64) -> Memory {
        Memory { log_events: Some(log_events), ..Memory::of(b"lines", Sales) }
    }

    #[test]
    fn only_the_same_file_with_the_same_fate_and_an_untouched_log_make_a_repeat() {
        assert_eq!(done(7).next(&Memory::of(b"lines", Sales), 7), Next::Repeat);
        assert_eq!(done(7).next(&Memory::of(b"lines", Sales), 8), Next::More);
        assert_eq!(done(7).next(&Memory::of(b"other lines", Sales), 7), Next::More);
        assert_eq!(done(7).next(&Memory::of(b"other lines", Orders), 7), Next::More);
    }

    #[test]
    fn lines_that_are_sales_already_are_known_when_they_are_to_become_orders() {
        let orders = Memory::of(b"lines", Orders);
        assert_eq!(done(7).next(&orders, 7), Next::Otherwise(Sales));
        assert_eq!(done(7).next(&orders, 9), Next::Otherwise(Sales));
    }

    #[test]
    fn an_import_that_was_interrupted_is_gone_on_with_and_not_done_otherwise() {
        let begun = Memory::of(b"lines", Sales);
        assert_eq!(begun.next(&Memory::of(b"lines", Sales), 3), Next::Repeat);
        assert_eq!(begun.next(&Memory::of(b"lines", Orders), 3), Next::Otherwise(Sales));
        assert_eq!(begun.next(&Memory::of(b"other lines", Sales), 3), Next::More);
    }

    #[test]
    fn an_import_that_was_remembered_before_there_were_orders_made_sales() {
        let memory: Memory = serde_json::from_str(r#"{"digest": "d", "log_events": 7}"#).unwrap();
        let old = Memory { digest: "d".to_owned(), ..done(7) };
        assert_eq!(memory, old);
    }
}
