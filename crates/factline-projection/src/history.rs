//! Where missing positions are read from, and the past that a rebuild makes a view of.

pub(crate) mod topic;

use async_trait::async_trait;
use factline_codec::StoredEvent;
use factline_core::{Fault, Position};
use factline_log::LogReader;

/// Events by position: the log's, or what a topic has kept of them.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// What it is called where something is missing in it.
    fn name(&self) -> &'static str {
        "the log"
    }

    /// The next events of a partition after a position, in order, at most `limit`.
    ///
    /// # Errors
    /// It cannot be read.
    async fn read(
        &self,
        topic: &str,
        partition: i32,
        after: Position,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Fault>;
}

#[async_trait]
impl History for LogReader {
    async fn read(
        &self,
        topic: &str,
        partition: i32,
        after: Position,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Fault> {
        Self::read(self, topic, partition, after, limit).await
    }
}
