//! disintegrate with disintegrate-postgres, set up as its README says.

use std::sync::Arc;

use disintegrate::serde::json::Json;
use disintegrate::{
    Decision, DecisionError, Event, EventSourcedStateStore, LoadState, NoSnapshot, PersistDecision,
    SnapshotConfig, StateMutate, StateQuery,
};
use disintegrate_postgres::{
    Error as PgError, PgDecisionMaker, PgEventId, PgEventStore, PgSnapshotter, WithPgSnapshot,
    decision_maker,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::{Failure, OPENING, Peer, Sold};

/// Events between snapshots, as in ours.
const SNAPSHOT_EVERY: u64 = 100;

#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
#[stream(StockEvent, [Received, UnitsSold])]
pub(crate) enum DomainEvent {
    Received {
        #[id]
        stock_id: String,
        units: i64,
    },
    UnitsSold {
        #[id]
        stock_id: String,
        units: i64,
    },
}

#[derive(Clone, Debug, Default, StateQuery, Serialize, Deserialize)]
#[state_query(StockEvent)]
pub(crate) struct Stock {
    #[id]
    stock_id: String,
    units: i64,
}

impl StateMutate for Stock {
    fn mutate(&mut self, event: Self::Event) {
        match event {
            StockEvent::Received { units, .. } => self.units += units,
            StockEvent::UnitsSold { units, .. } => self.units -= units,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there are not so many")]
pub(crate) struct NotEnough;

struct Receive(String);
struct Sell(String);

impl Decision for Receive {
    type Event = DomainEvent;
    type StateQuery = Stock;
    type Error = NotEnough;

    fn state_query(&self) -> Stock {
        Stock { stock_id: self.0.clone(), units: 0 }
    }

    fn process(&self, _: &Stock) -> Result<Vec<DomainEvent>, NotEnough> {
        Ok(vec![DomainEvent::Received { stock_id: self.0.clone(), units: OPENING }])
    }
}

impl Decision for Sell {
    type Event = DomainEvent;
    type StateQuery = Stock;
    type Error = NotEnough;

    fn state_query(&self) -> Stock {
        Stock { stock_id: self.0.clone(), units: 0 }
    }

    fn process(&self, stock: &Stock) -> Result<Vec<DomainEvent>, NotEnough> {
        if stock.units < 1 {
            return Err(NotEnough);
        }
        Ok(vec![DomainEvent::UnitsSold { stock_id: self.0.clone(), units: 1 }])
    }
}

type Store = PgEventStore<DomainEvent, Json<DomainEvent>>;
type Maker<S> = PgDecisionMaker<DomainEvent, Json<DomainEvent>, S>;
type States<S> = EventSourcedStateStore<PgEventId, DomainEvent, Store, S>;

/// The decision maker and the pool it works with.
pub(crate) struct Disintegrated<S: SnapshotConfig + Clone> {
    maker: Arc<Maker<S>>,
    pool: PgPool,
}

impl<S: SnapshotConfig + Clone> Clone for Disintegrated<S> {
    fn clone(&self) -> Self {
        Self { maker: self.maker.clone(), pool: self.pool.clone() }
    }
}

/// Every decision reads all events of its stock.
pub(crate) async fn plain(pool: PgPool) -> Result<Disintegrated<NoSnapshot>, Failure> {
    let store = Store::try_new(pool.clone(), Json::default()).await?;
    Ok(Disintegrated { maker: Arc::new(decision_maker(store, NoSnapshot)), pool })
}

/// A decision reads the last snapshot and what follows.
pub(crate) async fn with_snapshots(pool: PgPool) -> Result<Disintegrated<WithPgSnapshot>, Failure> {
    let store = Store::try_new(pool.clone(), Json::default()).await?;
    let snapshots = PgSnapshotter::try_new(pool.clone(), SNAPSHOT_EVERY).await?;
    let maker = decision_maker(store, WithPgSnapshot::new(snapshots));
    Ok(Disintegrated { maker: Arc::new(maker), pool })
}

impl<S> Peer for Disintegrated<S>
where
    S: SnapshotConfig + Clone + Send + Sync + 'static,
    States<S>:
        LoadState<PgEventId, Stock, DomainEvent> + PersistDecision<PgEventId, Stock, DomainEvent>,
{
    async fn open(&self, stock: &str) -> Result<(), Failure> {
        sold(self.maker.make(Receive(stock.to_owned())).await).map(|_| ())
    }

    async fn sell(&self, stock: &str) -> Result<Sold, Failure> {
        sold(self.maker.make(Sell(stock.to_owned())).await)
    }

    async fn stored(&self) -> Result<i64, Failure> {
        let query = "select count(*) from event where event_type = 'UnitsSold'";
        Ok(sqlx::query_scalar(query).fetch_one(&self.pool).await?)
    }
}

fn sold<T>(outcome: Result<T, DecisionError<NotEnough>>) -> Result<Sold, Failure> {
    match outcome {
        Ok(_) => Ok(Sold::Once),
        Err(DecisionError::StateStore(error)) if is_conflict(error.as_ref()) => Ok(Sold::Conflict),
        Err(error) => Err(format!("{error:?}").into()),
    }
}

/// Somebody else was faster: found out by the library's own check, or by PostgreSQL, which aborts
/// one of two serializable transactions (40001) or of two that wait for each other (40P01).
fn is_conflict(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<PgError>() {
        Some(PgError::Concurrency) => true,
        Some(PgError::Database(sqlx::Error::Database(error))) => {
            matches!(error.code().as_deref(), Some("40001" | "40P01"))
        }
        Some(_) | None => false,
    }
}
