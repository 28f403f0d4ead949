//! What a caller is told: a command's events, or why there are none.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use factline_codec::EventView;
use factline_core::{Aggregate, DomainEvent, Fault, Recorded, Refusal, RefusalKind, Version};
use factline_log::{CommandFault, Done};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use service_kit::{Problem, extract::Json};

const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A command that was carried out: its stream's version, and the events it caused.
pub(crate) fn done<A: Aggregate>(done: &Done<A>, creates: bool) -> Response {
    done_with(done, creates, None)
}

/// The same, and what remains of an item.
pub(crate) fn done_with<A: Aggregate>(
    done: &Done<A>,
    creates: bool,
    remaining: Option<i64>,
) -> Response {
    let body = Told { remaining, ..Told::of(done) };
    let mut response = (status(done, creates), Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::ETAG, text(format!("\"{}\"", done.version)));
    if let Some(token) = done.token() {
        headers.insert(CONSISTENCY_TOKEN, text(token.to_string()));
    }
    if done.replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// A command that was carried out as one outcome of a list, which has no headers of its own: the
/// token stands in it.
///
/// # Errors
/// An event does not become JSON, which no event of ours does.
pub(crate) fn outcome<A: Aggregate>(done: &Done<A>) -> Result<Value, Problem> {
    let told = serde_json::to_value(Told::of(done)).map_err(|error| {
        tracing::error!(%error, "an event does not become json");
        Problem::internal()
    })?;
    let mut outcome = json!({
        "status": status(done, false).as_u16(),
        "replayed": done.replayed,
        "done": told,
    });
    if let Some(token) = done.token() {
        outcome["consistency_token"] = json!(token.to_string());
    }
    Ok(outcome)
}

/// What a command that was carried out did, as a body. Written without a tree of JSON values in
/// between, which took a fifth of a command's whole work.
#[derive(Serialize)]
#[serde(bound = "")]
pub(crate) struct Told<'d, A: Aggregate> {
    events: Events<'d, A::Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<i64>,
    version: Version,
}

impl<'d, A: Aggregate> Told<'d, A> {
    pub(crate) fn of(done: &'d Done<A>) -> Self {
        Self { events: Events(&done.events), remaining: None, version: done.version }
    }
}

struct Events<'d, E>(&'d [Arc<Recorded<E>>]);

impl<E: DomainEvent> Serialize for Events<'_, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|recorded| EventView::of(recorded)))
    }
}

pub(crate) fn status<A: Aggregate>(done: &Done<A>, creates: bool) -> StatusCode {
    if creates && !done.events.is_empty() { StatusCode::CREATED } else { StatusCode::OK }
}

fn text(ascii: String) -> HeaderValue {
    HeaderValue::try_from(ascii).unwrap_or(HeaderValue::from_static(""))
}

/// The problem document of a command that was not carried out.
pub(crate) fn problem_of<R: Refusal>(fault: CommandFault<R>) -> Problem {
    match fault {
        CommandFault::Refused(refusal) => refused(&refusal),
        CommandFault::VersionMismatch { current } => Problem::precondition_failed(current.0),
        CommandFault::KeyReused => Problem::unprocessable(
            "idempotency_key_reused",
            "the Idempotency-Key was used for another request to this stream",
        ),
        CommandFault::Unencodable(fault) => {
            Problem::unprocessable("event_not_storable", "the command's event cannot be stored")
                .with("reason", fault.code())
        }
        CommandFault::Panicked => Problem::internal(), // told where it was caught
        CommandFault::Busy => Problem::unavailable("busy", "too many commands are waiting", 1),
        CommandFault::TooLate => {
            Problem::unavailable("too_late", "it was too late to decide the command", 1)
        }
        CommandFault::Unavailable(Fault::Transient { .. }) => Problem::unavailable(
            "log_unavailable",
            "the log is not available; nothing was written",
            1,
        ),
        CommandFault::Unavailable(fault) => {
            tracing::error!(error = %fault, "a command cannot be carried out");
            Problem::internal()
        }
        CommandFault::OutcomeUnknown(_) => Problem::unavailable(
            "outcome_unknown",
            "the command may or may not have been carried out; repeat it with the same key",
            1,
        ),
    }
}

fn refused<R: Refusal>(refusal: &R) -> Problem {
    let detail = refusal.to_string();
    let problem = match refusal.kind() {
        RefusalKind::Unknown => Problem::not_found(refusal.code(), detail),
        RefusalKind::Exists => Problem::conflict(refusal.code(), detail),
        RefusalKind::Rule => Problem::unprocessable(refusal.code(), detail),
    };
    refusal.details().into_iter().fold(problem, |problem, (name, value)| problem.with(name, value))
}

/// The problem document of a question that the log could not answer.
pub(crate) fn unreadable(fault: Fault) -> Problem {
    match fault {
        Fault::Transient { .. } => {
            tracing::warn!(error = %fault, "the log cannot be read now");
            Problem::unavailable("log_unavailable", "the log is not available", 1)
        }
        Fault::Poison { .. } | Fault::Fatal { .. } => {
            tracing::error!(error = %fault, "the log cannot be read");
            Problem::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::inventory::InventoryRefusal;

    use super::*;

    #[test]
    fn a_full_queue_is_503_with_retry_after() {
        let response = problem_of::<InventoryRefusal>(CommandFault::Busy).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn d12_a_lock_that_is_not_granted_is_503_with_retry_after() {
        let fault = Fault::transient("appending events", "canceling statement due to lock timeout");
        let fault = CommandFault::<InventoryRefusal>::Unavailable(fault);
        let response = problem_of(fault).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
