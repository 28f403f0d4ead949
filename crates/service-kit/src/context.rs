//! Who asked, and as part of what: in flow a request's headers, out flows a [`RequestContext`] that
//! handlers extract and that everything running inside the request can look up.

use std::{convert::Infallible, future::Future};

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, header::HeaderValue, request::Parts};
use uuid::Uuid;

use crate::{Problem, TraceContext};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const X_ACTOR: HeaderName = HeaderName::from_static("x-actor");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// An actor's name fits an index and a log line.
const MAX_ACTOR_BYTES: usize = 128;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// One request's identity. An extractor; never fails.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The caller's `X-Correlation-Id`, or a new one: the same for everything that one cause leads
    /// to.
    pub correlation_id: Uuid,
    /// This request's own id, answered as `X-Request-Id`.
    pub request_id: Uuid,
    /// `X-Actor`: who acts, as the caller claims; 1 to 128 visible ASCII characters.
    pub actor: Option<String>,
    /// The span of this request; hand on its [`child`](TraceContext::child).
    pub trace: TraceContext,
}

impl RequestContext {
    /// The request that the current task works on, if any. Not inherited by tasks it spawns.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// A context for work that no request carries in.
    #[must_use]
    pub fn fresh() -> Self {
        Self {
            correlation_id: Uuid::new_v4(),
            request_id: Uuid::now_v7(),
            actor: None,
            trace: TraceContext::root(),
        }
    }

    /// The context that headers ask for, and what is wrong with them, if anything. A malformed
    /// `traceparent` starts a new trace, as its specification says.
    pub(crate) fn from_headers(headers: &HeaderMap) -> (Self, Option<Problem>) {
        let mut context = Self::fresh();
        if let Some(parent) = text(headers, &TRACEPARENT).and_then(TraceContext::parse) {
            context.trace = parent.child();
        }
        let problem = context.read_identity(headers).err();
        (context, problem)
    }

    fn read_identity(&mut self, headers: &HeaderMap) -> Result<(), Problem> {
        if let Some(value) = headers.get(&X_CORRELATION_ID) {
            let id = value.to_str().ok().filter(|text| text.len() == 36); // the hyphenated form
            self.correlation_id = id.and_then(|text| text.parse().ok()).ok_or_else(|| {
                Problem::bad_request("malformed_correlation_id", "X-Correlation-Id must be a UUID")
            })?;
        }
        if let Some(value) = headers.get(&X_ACTOR) {
            let actor = value.to_str().ok().map(str::trim);
            let actor = actor.filter(|text| (1..=MAX_ACTOR_BYTES).contains(&text.len()));
            let actor = actor.ok_or_else(|| {
                let detail = "X-Actor must be 1 to 128 visible ASCII characters";
                Problem::bad_request("malformed_actor", detail)
            })?;
            self.actor = Some(actor.to_owned());
        }
        Ok(())
    }

    /// Runs a future as part of this request.
    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
        for (name, id) in [(X_REQUEST_ID, self.request_id), (X_CORRELATION_ID, self.correlation_id)]
        {
            let mut buffer = Uuid::encode_buffer();
            if let Ok(value) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)) {
                headers.insert(name, value);
            }
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::current().unwrap_or_else(Self::fresh))
    }
}
