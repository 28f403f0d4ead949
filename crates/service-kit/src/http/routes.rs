//! A service's routes: those that answer JSON, which refuse callers that cannot read it, and those
//! that answer something else.

use axum::{Router, handler::Handler, middleware::from_fn};

use super::accept;
use crate::Problem;

/// What [`serve`](super::serve) serves. A plain `Router` is taken as JSON routes.
#[derive(Debug, Clone)]
pub struct Routes {
    router: Router,
    has_fallback: bool,
}

impl Routes {
    /// No routes yet.
    #[must_use]
    pub fn none() -> Self {
        Self { router: Router::new(), has_fallback: false }
    }

    /// Routes that answer `application/json`; a request that does not accept it gets 406.
    #[must_use]
    pub fn json(router: Router) -> Self {
        if !router.has_routes() {
            return Self::none(); // a route layer needs routes
        }
        let router = router.method_not_allowed_fallback(method_not_allowed);
        let router = router.route_layer(from_fn(accept::require_json));
        Self { router, has_fallback: false }
    }

    /// Adds routes that answer something else, such as a page or an event stream.
    #[must_use]
    pub fn with_other(mut self, router: Router) -> Self {
        let router = router.method_not_allowed_fallback(method_not_allowed);
        self.router = self.router.merge(router);
        self
    }

    /// Answers unknown paths in another way than with 404.
    pub(crate) fn with_fallback<H, T>(mut self, handler: H) -> Self
    where
        H: Handler<T, ()>,
        T: 'static,
    {
        self.router = self.router.fallback(handler);
        self.has_fallback = true;
        self
    }

    /// The router, unknown paths answered with a problem document.
    pub(super) fn into_router(self) -> Router {
        if self.has_fallback { self.router } else { self.router.fallback(unknown_path) }
    }
}

impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self::json(router)
    }
}

async fn unknown_path() -> Problem {
    Problem::not_found("unknown_path", "there is nothing at this path")
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}
