//! A log that answers so many pages and then stands still, as a process does that is about to be killed.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use factline_codec::StoredEvent;
use factline_core::{Fault, Position};
use factline_projection::History;
use tokio::sync::Notify;

use super::Log;

#[derive(Clone)]
pub struct Gated {
    log: Log,
    pages: Arc<AtomicI64>,
    pub reached: Arc<Notify>,
}

impl Gated {
    pub fn after(log: &Log, pages: i64) -> Self {
        Self { log: log.clone(), pages: Arc::new(AtomicI64::new(pages)), reached: Arc::default() }
    }
}

#[async_trait]
impl History for Gated {
    async fn read(
        &self,
        topic: &str,
        partition: i32,
        after: Position,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, Fault> {
        if self.pages.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        self.log.read(topic, partition, after, limit).await
    }
}
