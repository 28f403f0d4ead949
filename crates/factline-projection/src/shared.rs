//! What the tasks of one projection share.

use std::sync::{Arc, atomic::AtomicBool};

use sqlx::PgPool;
use tokio::sync::{Notify, watch};

use crate::{
    Projection, ProjectionSettings, history::History, lateness::Lateness, reading::Reader,
    status::Board,
};

pub(crate) struct Shared<P: Projection> {
    pub(crate) projection: P,
    pub(crate) reader: Reader<P::Event>,
    /// Fills gaps of the topic: the log.
    pub(crate) history: Option<Arc<dyn History>>,
    /// What rebuilds read: the log, or else the topic.
    pub(crate) past: Arc<dyn History>,
    pub(crate) settings: ProjectionSettings,
    /// For single statements; each worker's transactions run on a connection of its own.
    pub(crate) database: PgPool,
    pub(crate) board: Board,
    pub(crate) lateness: Lateness,
    /// Counts commits: whoever waits for a checkpoint looks again when it changes.
    pub(crate) moved: watch::Sender<u64>,
    /// Something was parked or kept: the export looks again.
    pub(crate) parked: Notify,
    /// No worker begins another batch: a person must look first.
    pub(crate) halted: AtomicBool,
}

impl<P: Projection> Shared<P> {
    pub(crate) fn name(&self) -> &'static str {
        self.projection.name()
    }
}
