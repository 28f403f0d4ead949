//! Health: in flow components' reports, out flow liveness, readiness and start-up answers.
//! Liveness asks the process alone, so that a broken dependency never restarts a healthy one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

/// What one component says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ComponentStatus {
    /// It works.
    Ready,
    /// It works, but something is missing; traffic is still welcome.
    Degraded {
        /// For an operator.
        reason: String,
    },
    /// It does not work; no traffic.
    NotReady {
        /// For an operator.
        reason: String,
    },
}

/// The whole service, summed up from its components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OverallStatus {
    /// Every component is ready.
    Ready,
    /// At least one is degraded.
    Degraded,
    /// At least one is not ready, or the service is starting or stopping.
    NotReady,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The sum.
    pub status: OverallStatus,
    /// Each component by name.
    pub components: BTreeMap<String, ComponentStatus>,
}

/// The registry of components; a handle, cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    components: Mutex<BTreeMap<String, ComponentStatus>>,
    started: AtomicBool,
    stopping: AtomicBool,
}

/// One component's handle to report with. Reporting what was reported before costs a lock only.
#[derive(Debug, Clone)]
pub struct Component {
    health: Health,
    name: String,
}

impl Health {
    /// An empty registry of a service that is starting.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component, not ready until it reports. The same name means the same component.
    pub fn component(&self, name: impl Into<String>) -> Component {
        let component = Component { health: self.clone(), name: name.into() };
        let starting = ComponentStatus::NotReady { reason: "starting".to_owned() };
        self.components().entry(component.name.clone()).or_insert(starting);
        component
    }

    /// The service has started; it is ready as soon as its components are.
    pub fn set_started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// The service stops; it is not ready from now on.
    pub fn set_stopping(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Start-up is over.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.0.started.load(Ordering::Acquire)
    }

    /// The current state of everything.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let mut components = self.components().clone();
        for (flag, reason) in [
            (!self.is_started(), "starting"),
            (self.0.stopping.load(Ordering::Acquire), "stopping"),
        ] {
            if flag {
                let status = ComponentStatus::NotReady { reason: reason.to_owned() };
                components.insert("service".to_owned(), status);
            }
        }
        let status = components.values().fold(OverallStatus::Ready, |sum, status| match status {
            ComponentStatus::Ready => sum,
            ComponentStatus::Degraded { .. } if sum == OverallStatus::Ready => {
                OverallStatus::Degraded
            }
            ComponentStatus::Degraded { .. } => sum,
            ComponentStatus::NotReady { .. } => OverallStatus::NotReady,
        });
        Readiness { status, components }
    }

    fn components(&self) -> MutexGuard<'_, BTreeMap<String, ComponentStatus>> {
        self.0.components.lock().unwrap_or_else(PoisonError::into_inner) // a map of plain values
    }
}

impl Component {
    /// It works.
    pub fn ready(&self) {
        self.report(ComponentStatus::Ready);
    }

    /// It works without something.
    pub fn degraded(&self, reason: impl Into<String>) {
        self.report(ComponentStatus::Degraded { reason: reason.into() });
    }

    /// It does not work.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.report(ComponentStatus::NotReady { reason: reason.into() });
    }

    /// Reports a status; a change is logged.
    pub fn report(&self, status: ComponentStatus) {
        let before = self.health.components().insert(self.name.clone(), status.clone());
        if before.as_ref() == Some(&status) {
            return;
        }
        match status {
            ComponentStatus::Ready => tracing::info!(health.component = self.name, "ready"),
            ComponentStatus::Degraded { reason } => {
                tracing::warn!(health.component = self.name, reason, "degraded");
            }
            ComponentStatus::NotReady { reason } => {
                tracing::warn!(health.component = self.name, reason, "not ready");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_when_it_has_started_and_every_component_reported() {
        let health = Health::new();
        let database = health.component("database");
        health.set_started();
        assert_eq!(health.readiness().status, OverallStatus::NotReady);
        database.ready();
        assert_eq!(health.readiness().status, OverallStatus::Ready);
    }

    #[test]
    fn one_component_that_is_not_ready_outweighs_all_others() {
        let health = Health::new();
        health.set_started();
        let (one, two) = (health.component("one"), health.component("two"));
        one.not_ready("no route to host");
        two.degraded("cache bypassed");
        assert_eq!(health.readiness().status, OverallStatus::NotReady);
        one.ready();
        assert_eq!(health.readiness().status, OverallStatus::Degraded);
        health.set_stopping();
        assert_eq!(health.readiness().status, OverallStatus::NotReady);
    }
}
