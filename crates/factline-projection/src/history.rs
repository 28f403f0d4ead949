//! Where missing positions are read from.

use async_trait::async_trait;
use factline_codec::StoredEvent;
use factline_core::{Fault, Position};
use factline_log::LogReader;

/// The log's events by position.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// The next events of a partition after a position, in order, at most `limit`.
    ///
    /// # Errors
    /// The log cannot be read.
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
