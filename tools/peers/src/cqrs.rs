//! cqrs-es with postgres-es, set up as its guide says, with the tables of its `db/init.sql`.

use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, AggregateError, DomainEvent};
use postgres_es::{PostgresCqrs, postgres_aggregate_cqrs, postgres_cqrs, postgres_snapshot_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::{Failure, OPENING, Peer, Sold};

const TABLES: [&str; 2] = [
    "create table events (
        aggregate_type text not null,
        aggregate_id text not null,
        sequence bigint check (sequence >= 0) not null,
        event_type text not null,
        event_version text not null,
        payload json not null,
        metadata json not null,
        primary key (aggregate_type, aggregate_id, sequence))",
    "create table snapshots (
        aggregate_type text not null,
        aggregate_id text not null,
        last_sequence bigint check (last_sequence >= 0) not null,
        current_snapshot bigint check (current_snapshot >= 0) not null,
        payload json not null,
        primary key (aggregate_type, aggregate_id, last_sequence))",
];

/// Events between snapshots, as in ours.
const SNAPSHOT_EVERY: usize = 100;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stock {
    units: i64,
}

pub(crate) enum StockCommand {
    Receive { units: i64 },
    Sell { units: i64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum StockEvent {
    Received { units: i64 },
    Sold { units: i64 },
}

#[derive(Debug, thiserror::Error)]
#[error("there are not so many")]
pub(crate) struct NotEnough;

impl DomainEvent for StockEvent {
    fn event_type(&self) -> String {
        match self {
            StockEvent::Received { .. } => "Received".to_owned(),
            StockEvent::Sold { .. } => "Sold".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Stock {
    const TYPE: &'static str = "stock";
    type Command = StockCommand;
    type Event = StockEvent;
    type Error = NotEnough;
    type Services = ();

    async fn handle(
        &mut self,
        command: StockCommand,
        _: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), NotEnough> {
        let event = match command {
            StockCommand::Receive { units } => StockEvent::Received { units },
            StockCommand::Sell { units } if units > self.units => return Err(NotEnough),
            StockCommand::Sell { units } => StockEvent::Sold { units },
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: StockEvent) {
        match event {
            StockEvent::Received { units } => self.units += units,
            StockEvent::Sold { units } => self.units -= units,
        }
    }
}

/// The framework and the pool it works with.
#[derive(Clone)]
pub(crate) struct Cqrs {
    framework: Arc<PostgresCqrs<Stock>>,
    pool: PgPool,
}

/// Every load reads all events.
pub(crate) async fn on_events(pool: PgPool) -> Result<Cqrs, Failure> {
    make_tables(&pool).await?;
    Ok(Cqrs { framework: Arc::new(postgres_cqrs(pool.clone(), vec![], ())), pool })
}

/// A load reads the last snapshot and what follows.
pub(crate) async fn with_snapshots(pool: PgPool) -> Result<Cqrs, Failure> {
    make_tables(&pool).await?;
    let framework = postgres_snapshot_cqrs(pool.clone(), vec![], SNAPSHOT_EVERY, ());
    Ok(Cqrs { framework: Arc::new(framework), pool })
}

/// A load reads the stored aggregate.
pub(crate) async fn on_aggregates(pool: PgPool) -> Result<Cqrs, Failure> {
    make_tables(&pool).await?;
    let framework = postgres_aggregate_cqrs(pool.clone(), vec![], ());
    Ok(Cqrs { framework: Arc::new(framework), pool })
}

async fn make_tables(pool: &PgPool) -> Result<(), Failure> {
    for table in TABLES {
        sqlx::query(table).execute(pool).await?;
    }
    Ok(())
}

impl Cqrs {
    async fn execute(&self, stock: &str, command: StockCommand) -> Result<Sold, Failure> {
        match self.framework.execute(stock, command).await {
            Ok(()) => Ok(Sold::Once),
            Err(AggregateError::AggregateConflict) => Ok(Sold::Conflict),
            Err(error) => Err(error.to_string().into()),
        }
    }
}

impl Peer for Cqrs {
    async fn open(&self, stock: &str) -> Result<(), Failure> {
        self.execute(stock, StockCommand::Receive { units: OPENING }).await.map(|_| ())
    }

    async fn sell(&self, stock: &str) -> Result<Sold, Failure> {
        self.execute(stock, StockCommand::Sell { units: 1 }).await
    }

    async fn stored(&self) -> Result<i64, Failure> {
        let query = "select count(*) from events where event_type = 'Sold'";
        Ok(sqlx::query_scalar(query).fetch_one(&self.pool).await?)
    }
}
