//! Runs projections as tasks of the service: in flow settings, out flow the gates that queries wait
//! at, and reports to readiness.

use std::sync::Arc;

use domain::inventory::InventoryEvent;
use factline_codec::Registry;
use factline_core::DomainEvent;
use factline_log::LogReader;
use factline_projection::{
    Condition, History, Projection, Projector, ProjectorParts, ReadGate, Status,
};
use service_kit::{Component, Phase, Runtime, ServiceError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    database::Database,
    settings::{Role, Settings},
};

/// Begins a projection if this process projects, and gives the gate of its view in either case.
///
/// # Errors
/// The settings name what cannot be used.
pub fn begin<P: Projection>(
    projection: P,
    settings: &Settings,
    database: &Database,
    runtime: &Runtime,
) -> Result<ReadGate, ServiceError> {
    let name = projection.name();
    if !settings.plays(Role::Project) {
        let topic = settings.kafka.topic(InventoryEvent::KIND);
        return Ok(ReadGate::new(database.queries.clone(), name, vec![topic.into()]));
    }
    let projector = Projector::new(ProjectorParts {
        projection,
        kafka: settings.kafka.clone(),
        database: database.runtime.clone(),
        registry: Arc::new(Registry::new(&settings.registry)?),
        history: history(settings)?,
        settings: settings.projection.clone(),
    })?;
    let (gate, status) = (projector.gate(), projector.status());
    let component = runtime.health.component(format!("projection {name}"));
    runtime.tasks.spawn(Phase::Watching, format!("health of {name}"), |stop| {
        report(status, component, stop)
    });
    runtime.tasks.spawn(Phase::Working, format!("projection {name}"), |stop| async move {
        projector.run(stop.cancelled()).await.map_err(ServiceError::from)
    });
    Ok(gate)
}

fn history(settings: &Settings) -> Result<Option<Arc<dyn History>>, ServiceError> {
    if settings.history.url.is_empty() {
        return Ok(None);
    }
    let reader = LogReader::new(&settings.history.url, settings.history.max_connections)?;
    Ok(Some(Arc::new(reader)))
}

/// Queries are answered while a projection waits for something outside; not while a person must act.
async fn report(
    mut status: watch::Receiver<Status>,
    component: Component,
    stop: CancellationToken,
) -> Result<(), ServiceError> {
    loop {
        let Status { condition, reasons } = status.borrow_and_update().clone();
        let reasons = reasons.join("; ");
        match condition {
            Condition::Running => component.ready(),
            Condition::Degraded => component.degraded(reasons),
            Condition::Starting | Condition::Misconfigured | Condition::Stopped => {
                component.not_ready(reasons);
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = status.changed() => if changed.is_err() {
                stop.cancelled().await; // the projection is gone; its own task tells why
                return Ok(());
            },
        }
    }
}
