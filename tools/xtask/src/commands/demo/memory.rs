//! What a demo's stack holds from its last import: which file, and how many events that made. It
//! tells a repeat of the same import, which changes nothing, from data of another origin.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

const FILE: &str = "imported.json";

/// A finished import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// SHA-256 of the unpacked file, in hexadecimal.
    digest: String,
    /// Events in the log when it was done.
    log_events: u64,
}

/// A file's digest.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Memory {
    /// The last finished import of this stack, if its data still has one.
    pub(crate) fn read(root: &Path) -> Option<Memory> {
        let text = std::fs::read(root.join("data").join(FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Remembers this import. The file lies in the stack's data and goes with it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(root: &Path, digest: String, log_events: u64) -> Result<(), Failure> {
        let memory = Memory { digest, log_events };
        let text = serde_json::to_vec(&memory).map_err(|error| Failure::new(error.to_string()))?;
        Ok(std::fs::write(root.join("data").join(FILE), text)?)
    }

    /// Whether an import of the file with this digest, into a log of so many events, is nothing but
    /// a repeat.
    pub(crate) fn is_repeated_by(&self, digest: &str, log_events: u64) -> bool {
        self.digest == digest && self.log_events == log_events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_file_and_an_untouched_log_make_a_repeat() {
        let memory = Memory { digest: digest(b"lines"), log_events: 7 };
        assert!(memory.is_repeated_by(&digest(b"lines"), 7));
        assert!(!memory.is_repeated_by(&digest(b"other lines"), 7));
        assert!(!memory.is_repeated_by(&digest(b"lines"), 8));
    }
}
