//! The way in for events: a projection whose rows are instances.

use std::sync::Arc;

use async_trait::async_trait;
use factline_core::{Fault, Recorded, saga::Saga};
use factline_projection::{ApplyError, Projection};
use sqlx::PgConnection;

use crate::{
    journal::{self, Setback, check_definitions},
    machine::{Arrived, Beginning, Kept},
    meters,
};

/// Takes events into the instances of a saga.
pub struct SagaProjection<S> {
    pub(crate) saga: Arc<S>,
}

#[async_trait]
impl<S: Saga> Projection for SagaProjection<S> {
    type Event = S::Event;

    fn name(&self) -> &'static str {
        S::NAME
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        // Unlike a view, instances are nowhere else: answers and acts do not come again.
        sqlx::raw_sql("set synchronous_commit = on").execute(&mut *connection).await?;
        sqlx::query(
            "select from saga.instances, saga.commands, saga.timers, saga.waiting_inputs limit 0",
        )
        .execute(&mut *connection)
        .await?;
        let supported = check_definitions::<S>(connection).await?;
        Ok(supported.map_err(|why| Fault::fatal("looking for instances in flight", why))?)
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<S::Event>],
    ) -> Result<(), ApplyError> {
        let mut arrived = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            let Some(fact) = S::fact(event) else { continue };
            let unkept =
                |error: serde_json::Error| ApplyError::impossible(index, error.to_string());
            let state = S::begin(&fact).map(serde_json::to_value).transpose().map_err(unkept)?;
            let (correlation_id, traceparent) =
                (event.envelope.correlation_id, event.envelope.traceparent.clone());
            arrived.push(Arrived {
                instance: event.envelope.stream_id.to_string(),
                input: Kept::Fact { fact: serde_json::to_value(fact).map_err(unkept)? },
                cause: event.envelope.event_id,
                begins: state.map(|state| Beginning { state, correlation_id, traceparent }),
            });
        }
        meters::inputs(S::NAME, "fact", arrived.len());
        journal::take(tx, &*self.saga, arrived).await.map_err(|setback| match setback {
            Setback::Database(error) => ApplyError::Database(error),
            Setback::Unsupported(why) => Fault::fatal("reacting to events", why).into(),
        })
    }
}
