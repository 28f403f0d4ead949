//! A view that refuses until it is mended, or stands still in the middle of a transaction.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use async_trait::async_trait;
use factline_core::Recorded;
use factline_projection::{ApplyError, Beside, FoldedView, Projection};
use factline_testkit::parcels::ParcelEvent;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;

use super::Parcels;

pub const PASSES: u8 = 0;
pub const REFUSES: u8 = 1;
pub const BLOCKS: u8 = 2;

/// Parcels, and the order in which their events were applied; an operator's fix is a switch. A
/// refusal concerns parcels that were lost.
#[derive(Clone)]
pub struct Switched {
    view: Arc<FoldedView<Parcels>>,
    mode: Arc<AtomicU8>,
    pub reached: Arc<Notify>,
    pub released: Arc<Notify>,
}

impl Switched {
    pub fn new(mode: u8) -> Self {
        Self {
            view: Arc::new(FoldedView::new()),
            mode: Arc::new(AtomicU8::new(mode)),
            reached: Arc::default(),
            released: Arc::default(),
        }
    }

    pub fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }
}

#[async_trait]
impl Projection for Switched {
    type Event = ParcelEvent;

    fn name(&self) -> &'static str {
        "parcels"
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        self.view.prepare(connection).await
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<ParcelEvent>],
    ) -> Result<(), ApplyError> {
        let is_lost = |one: &Recorded<ParcelEvent>| matches!(one.event, ParcelEvent::ParcelLost(_));
        if let Some(index) = events.iter().position(is_lost) {
            match self.mode.load(Ordering::SeqCst) {
                REFUSES => return Err(ApplyError::impossible(index, "not yet understood")),
                BLOCKS => {
                    self.reached.notify_one();
                    self.released.notified().await;
                }
                _ => {}
            }
        }
        for event in events {
            sqlx::query("insert into applied (parcel, version) values ($1, $2)")
                .bind(event.envelope.stream_id.as_str())
                .bind(event.envelope.version.0)
                .execute(&mut *tx)
                .await?;
        }
        self.view.apply(tx, events).await
    }

    /// Beside the live table it passes everything: the view as it is after the fix.
    fn beside(&self) -> Option<Beside<ParcelEvent>> {
        self.view.beside()
    }
}

pub async fn create_order_table(pool: &PgPool) {
    sqlx::raw_sql("create table applied (nth bigserial, parcel text, version bigint)")
        .execute(pool)
        .await
        .unwrap();
}
