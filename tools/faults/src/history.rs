//! What every operation was and what became of it, as its caller saw it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::failure::Failure;

/// What the caller may conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// 200 or 201: its events are in the log.
    Acknowledged,
    /// A refusal, or a 503 that says that nothing was written, and no attempt before it was lost:
    /// no event of it is in the log.
    Failed,
    /// An attempt was lost, and no later one was acknowledged: either.
    Unknown,
}

/// An event as the answer shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) event_id: Uuid,
    pub(crate) stream_id: String,
    pub(crate) version: i64,
    pub(crate) partition: i32,
    pub(crate) position: i64,
}

/// One operation, from its first attempt to its last answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// The `Idempotency-Key` of all its attempts.
    pub(crate) key: String,
    /// The `X-Correlation-Id` of all its attempts: by it the log's events are found again.
    pub(crate) correlation_id: Uuid,
    pub(crate) path: String,
    pub(crate) request: Value,
    pub(crate) outcome: Outcome,
    /// Of the last answer; none where no attempt was answered.
    pub(crate) status: Option<u16>,
    /// The problem's code, where the last answer was one.
    pub(crate) code: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) events: Vec<Told>,
    pub(crate) attempts: u32,
    /// Microseconds since the run began, on one clock for all operations.
    pub(crate) began_us: u64,
    /// When the last answer had arrived, or hope was given up.
    pub(crate) ended_us: u64,
}

/// How many operations came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
}

/// Takes operations as they end, and writes each to the file at once.
#[derive(Debug)]
pub(crate) struct History {
    inner: Mutex<(BufWriter<File>, Vec<Operation>)>,
}

impl History {
    /// Begins `history.jsonl` in a folder.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(crate) fn begin(folder: &Path) -> Result<History, Failure> {
        let file = File::create(folder.join("history.jsonl"))?;
        Ok(History { inner: Mutex::new((BufWriter::new(file), Vec::new())) })
    }

    /// Takes one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn take(&self, operation: Operation) -> Result<(), Failure> {
        let line = serde_json::to_string(&operation)
            .map_err(|source| Failure::Json { what: "the history", source })?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(inner.0, "{line}")?;
        inner.1.push(operation);
        Ok(())
    }

    /// All of them, once no more come.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn all(&self) -> Result<Vec<Operation>, Failure> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.flush()?;
        Ok(std::mem::take(&mut inner.1))
    }

    /// How many there are by now.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).1.len()
    }
}

/// Counts operations by what became of them.
pub(crate) fn counts(operations: &[Operation]) -> Counts {
    let of = |wanted: Outcome| operations.iter().filter(|one| one.outcome == wanted).count() as u64;
    Counts {
        acknowledged: of(Outcome::Acknowledged),
        failed: of(Outcome::Failed),
        unknown: of(Outcome::Unknown),
    }
}

/// The problem codes of operations that failed or stayed unknown, and how often each came.
pub(crate) fn codes(operations: &[Operation]) -> BTreeMap<String, u64> {
    let mut codes = BTreeMap::new();
    for one in operations.iter().filter(|one| one.outcome != Outcome::Acknowledged) {
        let code = one.code.clone().unwrap_or_else(|| "no answer".to_owned());
        *codes.entry(code).or_default() += 1;
    }
    codes
}
