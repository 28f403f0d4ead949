//! Runs projections as tasks of the service: in flow settings, out flow the views that queries ask,
//! and reports to readiness.

use std::{sync::Arc, time::Duration};

use factline_codec::Registry;
use factline_core::DomainEvent;
use factline_log::LogReader;
use factline_projection::{
    Condition, History, Projection, ProjectionSettings, Projector, ProjectorParts, ReadGate, Status,
};
use service_kit::{Component, Phase, Runtime, ServiceError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    database::Database,
    reading::Reading,
    settings::{HistorySettings, ReadSettings},
};

/// Begins a projection if this process plays `role`; elsewhere another process projects. In either
/// case its view can be asked from now on.
///
/// The projection's events name the topic. Its task works until the runtime stops, another reports
/// to readiness as `projection <name>`. Whatever is away is waited for there.
///
/// # Errors
/// The settings name what cannot be used, or a compiled-in schema is not admissible.
pub fn begin<P: Projection, R: PartialEq>(
    projection: P,
    role: R,
    settings: &ReadSettings<R>,
    database: &Database,
    runtime: &Runtime,
) -> Result<Reading, ServiceError> {
    let pool = database.queries.clone();
    let wait = Duration::from_millis(settings.query.consistency_wait_ms);
    let gate = if settings.plays(role) {
        let name = projection.name();
        let (gate, status) =
            project(projection, settings, settings.projection.clone(), database, runtime)?;
        let component = runtime.health.component(format!("projection {name}"));
        runtime.tasks.spawn(Phase::Watching, format!("health of {name}"), |stop| {
            report(status, component, stop)
        });
        gate
    } else {
        let topic = settings.kafka.topic(P::Event::KIND);
        ReadGate::new(pool.clone(), projection.name(), vec![topic.into()])
    };
    Ok(Reading { pool, gate, wait })
}

/// Runs it as a task of the service; gives what it is asked by.
pub(crate) fn project<P: Projection, R>(
    projection: P,
    settings: &ReadSettings<R>,
    pace: ProjectionSettings,
    database: &Database,
    runtime: &Runtime,
) -> Result<(ReadGate, watch::Receiver<Status>), ServiceError> {
    let name = projection.name();
    let projector = Projector::new(ProjectorParts {
        projection,
        kafka: settings.kafka.clone(),
        database: database.projections.clone(),
        registry: Arc::new(Registry::new(&settings.registry)?),
        history: history(&settings.history)?,
        settings: pace,
    })?;
    let (gate, status) = (projector.gate(), projector.status());
    runtime.tasks.spawn(Phase::Working, format!("projection {name}"), |stop| async move {
        projector.run(stop.cancelled()).await.map_err(ServiceError::from)
    });
    Ok((gate, status))
}

fn history(settings: &HistorySettings) -> Result<Option<Arc<dyn History>>, ServiceError> {
    if settings.url.is_empty() {
        return Ok(None);
    }
    let reader = LogReader::new(&settings.url, settings.max_connections)?;
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
