//! A bound on the requests that are worked on at once: beyond it a request waits a moment, then is
//! turned away while turning away is still cheap.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::Problem;

/// The wait that a turned away caller is told: long enough for a queue of `max_in_flight` requests
/// to drain, short enough that nobody minds.
const RETRY_AFTER_S: u32 = 1;

/// One class of requests with its own bound; a handle, cheap to clone.
#[derive(Debug, Clone)]
pub struct InFlight {
    slots: Arc<Semaphore>,
    queue_wait: Duration,
}

impl InFlight {
    /// At most `max` at once; others wait `queue_wait`, then 503 with `Retry-After`.
    #[must_use]
    pub fn new(max: usize, queue_wait: Duration) -> Self {
        Self { slots: Arc::new(Semaphore::new(max)), queue_wait }
    }

    /// Bounds these routes by themselves, inside the server's own bound.
    pub fn bound(self, router: Router) -> Router {
        router.route_layer(from_fn_with_state(self, bounded))
    }

    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Ok(slot);
        }
        match timeout(self.queue_wait, self.slots.clone().acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) | Err(_) => {
                metrics::counter!("factline_http_turned_away_total").increment(1);
                let detail = "too many requests are being worked on";
                Err(Problem::unavailable("overloaded", detail, RETRY_AFTER_S))
            }
        }
    }
}

async fn bounded(State(class): State<InFlight>, request: Request, next: Next) -> Response {
    match class.enter().await {
        Ok(_slot) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
