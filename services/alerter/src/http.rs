//! The query over HTTP, what operators do about alerts, and the description of both.

use axum::{
    Router,
    extract::State,
    response::IntoResponse,
    routing::{delete, get, post},
};
use chrono::Utc;
use http::StatusCode;
use read_kit::{QueryAnswers, Reading, unanswered};
use serde::{Deserialize, Serialize};
use service_kit::{
    Problem, RequestContext,
    extract::{ConsistencyTokens, IdempotencyKey, Json, Path, Query},
    http::{Routes, ServerAnswers, openapi_routes},
};
use sqlx::PgPool;
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use crate::{
    alerts::{self, Alert, AlertQuery, AlertState, Page},
    silences::{self, NewSilence, Silence, SilencePage, SilenceQuery},
};

/// What routes answer from, and write to.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The view that stock is judged on, which this process or another one keeps.
    pub reading: Reading,
    /// Where silences and acknowledgements are written.
    pub acts: PgPool,
}

/// Every public route.
#[must_use]
pub fn routes(parts: Parts) -> Routes {
    let queries = Router::new()
        .route("/alerts", get(list_alerts))
        .route("/alerts/{id}/acknowledgement", post(acknowledge_alert))
        .route("/silences", get(list_silences).post(create_silence))
        .route("/silences/{id}", delete(end_silence))
        .with_state(parts);
    Routes::json(queries).with_other(openapi_routes(&Api::openapi()))
}

/// The document behind `openapi.json`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "alerter",
        description = "Alerts, and what people do about them. Every answer of the list says how \
            fresh it is; a query with a Consistency-Token has judged at least what the token's \
            command wrote."
    ),
    paths(list_alerts, acknowledge_alert, list_silences, create_silence, end_silence),
    modifiers(&QueryAnswers, &ServerAnswers)
)]
pub struct Api;

/// Lists alerts, the one opened last first, each with what was told of it.
#[utoipa::path(
    get,
    path = "/alerts",
    params(AlertQuery, ConsistencyTokens),
    responses(
        (status = 200, description = "a page of alerts", body = Page),
        (status = 400, description = "malformed_cursor, unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn list_alerts(
    State(Parts { reading, .. }): State<Parts>,
    Query(query): Query<AlertQuery>,
    tokens: ConsistencyTokens,
) -> Result<impl IntoResponse, Problem> {
    let fresh = reading.fresh(&tokens).await?;
    Ok((fresh, Json(alerts::page(&reading.pool, &query).await?)))
}

/// What else there is to say.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAcknowledgement {
    /// What is being done about it.
    #[serde(default)]
    #[schema(max_length = 500, pattern = "^[^\\u0000]*$")]
    note: Option<String>,
}

/// Says that somebody takes care of an alert: nobody is reminded of it any more. Who said so first
/// stays.
#[utoipa::path(
    post,
    path = "/alerts/{id}/acknowledgement",
    params(
        ("id" = Uuid, Path, description = "the alert's id"),
        ("X-Actor" = String, Header, description = "who does it",
            pattern = "^[!-~]([ -~]{0,126}[!-~])?$"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters",
            pattern = r"^[!#-\[\]-~]{1,255}$"),
    ),
    request_body = NewAcknowledgement,
    responses(
        (status = 200, description = "the alert", body = Alert),
        (status = 400, description = "malformed_body, malformed_header, missing_idempotency_key, \
            missing_actor, malformed_actor", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "unknown_alert", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "already_resolved", body = Problem,
            content_type = "application/problem+json"),
        (status = 415, description = "unsupported_media_type", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "database_unavailable; with Retry-After", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn acknowledge_alert(
    State(Parts { acts, .. }): State<Parts>,
    Path(id): Path<Uuid>,
    context: RequestContext,
    _key: IdempotencyKey, // a repeat changes nothing, whatever its key
    Json(NewAcknowledgement { note }): Json<NewAcknowledgement>,
) -> Result<Json<Alert>, Problem> {
    let by = actor(context)?;
    if note.as_deref().is_some_and(|note| note.contains('\0') || note.chars().count() > 500) {
        return Err(Problem::invalid_field(
            "/note",
            "has at most 500 characters, none of them NUL",
        ));
    }
    let acknowledged = async {
        alerts::acknowledge(&acts, id, &by, note.as_deref()).await?;
        alerts::find(&acts, id).await
    };
    let alert = acknowledged.await.map_err(|error| unanswered(&error))?;
    let alert =
        alert.ok_or_else(|| Problem::not_found("unknown_alert", "there is no alert of this id"))?;
    if alert.state == AlertState::Resolved && alert.acknowledgement.is_none() {
        let detail = "the alert resolved before anybody acknowledged it";
        return Err(Problem::conflict("already_resolved", detail));
    }
    Ok(Json(alert))
}

/// Lists silences, the one made last first.
#[utoipa::path(
    get,
    path = "/silences",
    params(SilenceQuery),
    responses(
        (status = 200, description = "a page of silences", body = SilencePage),
        (status = 400, description = "malformed_cursor, unknown_parameter", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "database_unavailable; with Retry-After", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn list_silences(
    State(Parts { reading, .. }): State<Parts>,
    Query(query): Query<SilenceQuery>,
) -> Result<Json<SilencePage>, Problem> {
    Ok(Json(silences::page(&reading.pool, &query).await?))
}

/// Makes a silence: until its end nothing is told of what it matches. Alerts open and resolve all the
/// same, and one that is still open at the end is told then.
#[utoipa::path(
    post,
    path = "/silences",
    params(
        ("X-Actor" = String, Header, description = "who does it",
            pattern = "^[!-~]([ -~]{0,126}[!-~])?$"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters; \
            the same one makes the same silence", pattern = r"^[!#-\[\]-~]{1,255}$"),
    ),
    request_body = NewSilence,
    responses(
        (status = 201, description = "the silence", body = Silence),
        (status = 400, description = "malformed_body, malformed_header, missing_idempotency_key, \
            missing_actor, malformed_actor", body = Problem,
            content_type = "application/problem+json"),
        (status = 415, description = "unsupported_media_type", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field, unusable_silence, idempotency_key_reused", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "database_unavailable; with Retry-After", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn create_silence(
    State(Parts { acts, .. }): State<Parts>,
    context: RequestContext,
    IdempotencyKey(key): IdempotencyKey,
    Json(new): Json<NewSilence>,
) -> Result<impl IntoResponse, Problem> {
    let by = actor(context)?;
    // The same key of another caller is another silence.
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("silence {by} {key}").as_bytes());
    new.check(Utc::now())?;
    let silence =
        silences::create(&acts, id, &new, &by).await.map_err(|error| unanswered(&error))?;
    let silence = silence.ok_or_else(|| {
        let detail = "the Idempotency-Key was used for another silence";
        Problem::unprocessable("idempotency_key_reused", detail)
    })?;
    Ok((StatusCode::CREATED, Json(silence)))
}

/// Ends a silence now. It stays in the list, with who ended it.
#[utoipa::path(
    delete,
    path = "/silences/{id}",
    params(
        ("id" = Uuid, Path, description = "the silence's id"),
        ("X-Actor" = String, Header, description = "who does it",
            pattern = "^[!-~]([ -~]{0,126}[!-~])?$"),
    ),
    responses(
        (status = 200, description = "the silence, which is over", body = Silence),
        (status = 400, description = "missing_actor, malformed_actor", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "unknown_silence", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "invalid_field", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "database_unavailable; with Retry-After", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn end_silence(
    State(Parts { acts, .. }): State<Parts>,
    Path(id): Path<Uuid>,
    context: RequestContext,
) -> Result<Json<Silence>, Problem> {
    let by = actor(context)?;
    let silence = silences::end(&acts, id, &by).await.map_err(|error| unanswered(&error))?;
    let unknown = || Problem::not_found("unknown_silence", "there is no silence of this id");
    silence.map(Json).ok_or_else(unknown)
}

/// What people do is kept with who did it.
fn actor(context: RequestContext) -> Result<String, Problem> {
    context.actor.ok_or_else(|| {
        let detail = "this request needs an X-Actor header: who does it";
        Problem::bad_request("missing_actor", detail).error("X-Actor", "is required")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_description_is_the_codes_own() {
        let built = Api::openapi().to_pretty_json().unwrap();
        let checked_in = include_str!("../openapi.json");
        assert!(
            built.trim() == checked_in.trim(),
            "openapi.json is out of date: run `alerter openapi > services/alerter/openapi.json`"
        );
    }
}
