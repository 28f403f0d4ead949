//! A view in the append's own transaction: the same row, key and fold as a view that follows, kept by the
//! log itself ([`factline_log::InlineView`]).

use async_trait::async_trait;
use factline_core::{Fault, Recorded};
use factline_log::{InlineView, classify};
use sqlx::PgConnection;

use crate::{ApplyError, FoldedView, Projection, View};

const DOING: &str = "keeping an inline view";

#[async_trait]
impl<V: View> InlineView<V::Event> for FoldedView<V> {
    fn name(&self) -> &'static str {
        V::NAME
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), Fault> {
        Projection::prepare(self, connection).await.map_err(fault)
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<V::Event>],
    ) -> Result<(), Fault> {
        Projection::apply(self, tx, events).await.map_err(fault)
    }
}

fn fault(error: ApplyError) -> Fault {
    match error {
        ApplyError::Poison(poisoned) => {
            let details: Vec<String> = poisoned.into_iter().map(|one| one.detail).collect();
            Fault::poison(DOING, details.join("; "))
        }
        ApplyError::Database(error) => classify(DOING, error),
        ApplyError::Fault(fault) => fault,
    }
}
