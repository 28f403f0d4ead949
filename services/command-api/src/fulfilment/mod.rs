//! The role `saga`: order fulfilment at work. The orders' events flow in from Kafka; commands to items and
//! orders flow out through the lanes of this process ([`executor`]), refunds into a table ([`refunds`]).
//!
//! Whatever is wrong with it degrades the service and no more: a caller's command needs the log alone.

mod executor;
mod refunds;

use std::{sync::Arc, time::Duration};

use domain::{fulfilment::OrderFulfilment, order::OrderEvent};
use factline_codec::Registry;
use factline_core::saga::Saga;
use factline_log::LogReader;
use factline_projection::{Condition, Projector, ProjectorParts, Status};
use factline_saga::{MIGRATION, SagaParts, SagaRuntime, check_definitions};
use read_kit::{Migration, migrate};
use service_kit::{Component, Phase, Runtime, ServiceError};
use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{executor::InProcess, refunds::FiledRefunds};
use crate::{App, settings::Settings, told};

/// The steps of the schema, behind the projection runtime's.
const MIGRATIONS: [Migration; 2] =
    [MIGRATION, (1101, "refunds", include_str!("../../migrations/1101_refunds.sql"))];

/// Of tasks, components and the consumer group.
const NAME: &str = OrderFulfilment::NAME;

/// What the projection runtime needs: its workers have connections of their own.
const PROJECTION_CONNECTIONS: u32 = 4;

/// Begins to react, and to carry out what that asks for.
///
/// # Errors
/// The settings name what cannot be used.
pub(crate) fn begin(
    app: App,
    settings: &Settings,
    reader: LogReader,
    runtime: &Runtime,
) -> Result<(), ServiceError> {
    let own = &settings.saga;
    let pool = read_kit::pool(&own.database, "factline-saga", own.database.max_connections)?;
    let executor = InProcess { app, refunds: Box::new(FiledRefunds { pool: pool.clone() }) };
    let saga = OrderFulfilment { payment_timeout: Duration::from_millis(own.payment_timeout_ms) };
    let sagas =
        SagaRuntime::new(SagaParts { saga, executor, database: pool, settings: own.runtime() });
    let projector = Projector::new(ProjectorParts {
        projection: sagas.projection(),
        kafka: settings.kafka.clone(),
        database: read_kit::pool(&own.database, "factline-projection", PROJECTION_CONNECTIONS)?,
        registry: Arc::new(Registry::new(&settings.registry).map_err(told)?),
        history: Some(Arc::new(reader)),
        settings: settings.projection.clone(),
    })
    .map_err(told)?;
    watch(&projector, &sagas, runtime);
    let commits = projector.commits();
    runtime.tasks.spawn(Phase::Working, format!("projection {NAME}"), |stop| async move {
        projector.run(stop.cancelled()).await.map_err(ServiceError::from)
    });
    runtime.tasks.spawn(Phase::Working, format!("saga {NAME}"), |stop| async move {
        sagas.run(commits, stop.cancelled()).await;
        Ok(())
    });
    Ok(())
}

/// Reports to readiness what either of them says.
fn watch(
    projector: &Projector<OrderEvent>,
    sagas: &SagaRuntime<OrderFulfilment, InProcess>,
    runtime: &Runtime,
) {
    let (projecting, reacting) = (projector.status(), sagas.status());
    let component = runtime.health.component(format!("projection {NAME}"));
    runtime.tasks.spawn(Phase::Watching, format!("health of projection {NAME}"), |stop| {
        report(projecting, component, stop, |status: &Status| match status.condition {
            Condition::Running => Vec::new(),
            Condition::Degraded
            | Condition::Starting
            | Condition::Misconfigured
            | Condition::Stopped => status.reasons.clone(),
        })
    });
    let component = runtime.health.component(format!("saga {NAME}"));
    runtime.tasks.spawn(Phase::Watching, format!("health of saga {NAME}"), |stop| {
        report(reacting, component, stop, Clone::clone)
    });
}

/// Creates the database or brings it up to date, and then checks as [`check`] does: a deployment begins with
/// its migrations.
///
/// # Errors
/// The database refuses, or instances in flight have a definition that this build does not have.
pub(crate) async fn prepare(settings: &Settings) -> Result<(), ServiceError> {
    let database = &settings.saga.database;
    if database.url.is_empty() {
        return Ok(()); // no process of this system plays the role
    }
    migrate(database, &MIGRATIONS).await?;
    check(settings).await
}

/// Whether this build can run every instance that is in flight.
///
/// # Errors
/// It cannot, or nobody can be asked.
pub(crate) async fn check(settings: &Settings) -> Result<(), ServiceError> {
    let url = &settings.saga.database.url;
    if url.is_empty() {
        return Ok(());
    }
    let mut connection = PgConnection::connect(url).await?;
    let supported = check_definitions::<OrderFulfilment>(&mut connection).await?;
    connection.close().await?;
    Ok(supported?)
}

/// Reports what is wrong, if anything.
async fn report<T: Clone>(
    mut status: watch::Receiver<T>,
    component: Component,
    stop: CancellationToken,
    reasons: impl Fn(&T) -> Vec<String>,
) -> Result<(), ServiceError> {
    loop {
        let reasons = reasons(&status.borrow_and_update());
        if reasons.is_empty() {
            component.ready();
        } else {
            component.degraded(reasons.join("; "));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = status.changed() => if changed.is_err() {
                stop.cancelled().await; // it is gone; its own task tells why
                return Ok(());
            },
        }
    }
}
