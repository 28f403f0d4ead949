//! What a demo's stack holds from an import: which file, what its lines became, and how many events
//! that made. It tells a repeat of the same import, which changes nothing, from data of another
//! origin.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::LinesBecome;
use crate::failure::Failure;

const FILE: &str = "imported.json";

/// The last import after which the system had exactly the file's totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// SHA-256 of the unpacked file, in hexadecimal.
    digest: String,
    /// An import that was remembered before there were orders made sales only.
    #[serde(default)]
    lines_become: LinesBecome,
    /// Events in the log when it was done.
    log_events: u64,
}

/// What another import would be beside the one that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same, which changes nothing.
    Repeat,
    /// The same lines once more, which became this.
    Otherwise(LinesBecome),
    /// On top of other data.
    More,
}

/// A file's digest.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Memory {
    /// The import that this stack remembers, if its data still has one.
    pub(crate) fn read(root: &Path) -> Option<Memory> {
        let text = std::fs::read(root.join("data").join(FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Remembers this import. The file lies in the stack's data and goes with it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(
        root: &Path,
        digest: String,
        lines_become: LinesBecome,
        log_events: u64,
    ) -> Result<(), Failure> {
        let memory = Memory { digest, lines_become, log_events };
        let text = serde_json::to_vec(&memory).map_err(|error| Failure::new(error.to_string()))?;
        Ok(std::fs::write(root.join("data").join(FILE), text)?)
    }

    /// What an import of the file with this digest, into a log of so many events, would be.
    pub(crate) fn next(&self, digest: &str, lines_become: LinesBecome, log_events: u64) -> Next {
        let is_same_file = self.digest == digest;
        if is_same_file && self.lines_become != lines_become {
            Next::Otherwise(self.lines_become)
        } else if is_same_file && self.log_events == log_events {
            Next::Repeat
        } else {
            Next::More
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_file_with_the_same_fate_and_an_untouched_log_make_a_repeat() {
        use LinesBecome::{Orders, Sales};
        let memory = Memory { digest: digest(b"lines"), lines_become: Sales, log_events: 7 };
        assert_eq!(memory.next(&digest(b"lines"), Sales, 7), Next::Repeat);
        assert_eq!(memory.next(&digest(b"lines"), Sales, 8), Next::More);
        assert_eq!(memory.next(&digest(b"other lines"), Sales, 7), Next::More);
        assert_eq!(memory.next(&digest(b"other lines"), Orders, 7), Next::More);
    }

    #[test]
    fn lines_that_are_sales_already_are_known_when_they_are_to_become_orders() {
        use LinesBecome::{Orders, Sales};
        let memory = Memory { digest: digest(b"lines"), lines_become: Sales, log_events: 7 };
        assert_eq!(memory.next(&digest(b"lines"), Orders, 7), Next::Otherwise(Sales));
        assert_eq!(memory.next(&digest(b"lines"), Orders, 9), Next::Otherwise(Sales));
    }

    #[test]
    fn an_import_that_was_remembered_before_there_were_orders_made_sales() {
        let memory: Memory = serde_json::from_str(r#"{"digest": "d", "log_events": 7}"#).unwrap();
        assert_eq!(memory.next("d", LinesBecome::Sales, 7), Next::Repeat);
    }
}
