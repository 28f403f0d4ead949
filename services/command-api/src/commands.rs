//! A request becomes a command: path, headers and body are read once, here, and what is wrong with
//! them is told all at once.

use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    response::Response,
};
use chrono::{SubsecRound, Utc};
use domain::{
    command::{Fields, InvalidFields, ReadError, Stated},
    inventory::{InventoryCommand, Item},
};
use factline_core::{StreamId, command_key};
use factline_log::{Command, Done, fingerprint};
use http::{Method, header, request::Parts};
use serde_json::{Map, Value};
use service_kit::{
    Problem, RequestContext,
    extract::{IdempotencyKey, IfMatch, Json, Path},
};
use uuid::Uuid;

use crate::{
    App,
    answer::{self, problem_of},
    routes::CommandRoute,
};

/// Runs the command of a route and answers what it caused.
pub(crate) async fn run(
    route: &'static CommandRoute,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let headers = CommandHeaders::read(&mut parts).await?;
    let Path(path) = Path::<Map<String, Value>>::from_request_parts(&mut parts, &()).await?;
    let mut data = body_of(Request::from_parts(parts, body)).await?;
    data.extend(path);
    let done = execute(&app, route.command, data, headers).await?;
    answer::done(&done, route.creates)
}

/// What a command's request says beside its data.
pub(crate) struct CommandHeaders {
    /// Tells this request's route from others in the fingerprint.
    route: String,
    key: Option<IdempotencyKey>,
    if_match: Option<IfMatch>,
    context: RequestContext,
}

impl CommandHeaders {
    /// # Errors
    /// 400 when a header is malformed, or a POST has no `Idempotency-Key`.
    pub(crate) async fn read(parts: &mut Parts) -> Result<Self, Problem> {
        let key = if parts.method == Method::POST {
            let required = <IdempotencyKey as FromRequestParts<()>>::from_request_parts;
            Some(required(parts, &()).await?)
        } else {
            Option::<IdempotencyKey>::from_request_parts(parts, &()).await?
        };
        let if_match = Option::<IfMatch>::from_request_parts(parts, &()).await?;
        let context = RequestContext::current().unwrap_or_else(RequestContext::fresh);
        let route = format!("{} {}", parts.method, parts.uri.path());
        Ok(Self { route, key, if_match, context })
    }
}

/// The body as an object; a request without one (DELETE) is an empty object.
async fn body_of(request: Request) -> Result<Map<String, Value>, Problem> {
    let has_body = request.headers().contains_key(header::CONTENT_TYPE)
        || request.headers().contains_key(header::TRANSFER_ENCODING)
        || request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if request.method() == Method::DELETE && !has_body {
        return Ok(Map::new());
    }
    let Json(body) = Json::<Value>::from_request(request, &()).await?;
    object(body)
}

/// # Errors
/// 422 when a body is JSON but no object.
pub(crate) fn object(body: Value) -> Result<Map<String, Value>, Problem> {
    match body {
        Value::Object(data) => Ok(data),
        _ => Err(Problem::invalid_field("", "must be an object")),
    }
}

/// Reads the command `name` of an item from `data`, which also names the item, and carries it out.
///
/// # Errors
/// The data is invalid, or the command was not carried out.
pub(crate) async fn execute(
    app: &App,
    name: &'static str,
    data: Map<String, Value>,
    headers: CommandHeaders,
) -> Result<Done<Item>, Problem> {
    refuse_unknown_fields(name, &data)?;
    let print = fingerprint(&headers.route, Value::Object(data.clone()).to_string().as_bytes());
    let (sku, stated) = read(name, data)?;
    let command = command(sku, stated, print, headers);
    app.items.execute(command).await.map_err(problem_of)
}

/// A field that no command has is a caller's misunderstanding, told apart from a wrong value.
fn refuse_unknown_fields(name: &str, data: &Map<String, Value>) -> Result<(), Problem> {
    let spec = InventoryCommand::SPECS.iter().find(|spec| spec.name == name);
    let known = |field: &str| {
        field == "sku"
            || field == "occurred_at"
            || spec.is_some_and(|spec| spec.fields.iter().any(|known| known.name == field))
    };
    let mut unknown = data.keys().filter(|field| !known(field)).peekable();
    if unknown.peek().is_none() {
        return Ok(());
    }
    let problem = Problem::bad_request("unknown_field", "the command does not have such a field");
    Err(unknown.fold(problem, |problem, field| {
        problem.error(format!("/{field}"), "is not a field of this command")
    }))
}

fn read(
    name: &str,
    mut data: Map<String, Value>,
) -> Result<(StreamId, Stated<InventoryCommand>), Problem> {
    let sku = Map::from_iter([("sku".to_owned(), data.remove("sku").unwrap_or_default())]);
    let mut sku_field = Fields::of(Value::Object(sku)).map_err(invalid)?;
    let sku = sku_field.take::<StreamId>("sku");
    let sku = sku_field.finish(sku);
    match (sku, InventoryCommand::read(name, Value::Object(data))) {
        (Ok(sku), Ok(command)) => Ok((sku, command)),
        (Err(InvalidFields(mut errors)), Err(ReadError::Invalid(more))) => {
            errors.extend(more.0);
            Err(invalid(InvalidFields(errors)))
        }
        (Err(errors), Ok(_)) | (Ok(_), Err(ReadError::Invalid(errors))) => Err(invalid(errors)),
        (Ok(_) | Err(_), Err(ReadError::UnknownCommand)) => {
            Err(Problem::unprocessable("unknown_command", "there is no such command"))
        }
    }
}

fn invalid(errors: InvalidFields) -> Problem {
    let problem = Problem::unprocessable("invalid_fields", "some fields are not valid");
    errors.0.into_iter().fold(problem, |problem, error| problem.error(error.pointer, error.detail))
}

fn command(
    sku: StreamId,
    stated: Stated<InventoryCommand>,
    print: factline_log::Fingerprint,
    headers: CommandHeaders,
) -> Command<Item> {
    let CommandHeaders { key, if_match, context, .. } = headers;
    // Without a client's key the command is its own: a retry of it is another command.
    let key = key.map_or_else(Uuid::now_v7, |key| command_key(&sku, &key.0));
    let at = stated.occurred_at.unwrap_or_else(|| Utc::now().trunc_subsecs(6));
    let mut command = Command::new(sku, key, print, at, stated.command);
    command.expected = if_match.map(|if_match| if_match.0);
    command.correlation_id = context.correlation_id;
    command.actor = context.actor;
    command.traceparent = Some(context.trace.child().to_header());
    command
}
