//! A request becomes a command: path, headers and body are read once, here, and what is wrong with
//! them is told all at once.

use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    response::Response,
};
use chrono::{DateTime, SubsecRound, Utc};
use domain::command::{FieldError, FieldSpec, InvalidFields, ReadError, Shape, Stated};
use factline_core::{Decide, StreamId, command_key, derived_stream_id};
use factline_log::{Command, Done, Fingerprint, fingerprint};
use http::{Method, header, request::Parts};
use serde_json::{Map, Value};
use service_kit::{
    Problem, RequestContext,
    extract::{IdempotencyKey, IfMatch, Json, Path, escaped},
};
use uuid::Uuid;

use crate::{
    App,
    answer::{self, problem_of},
    kinds::{CommandRoute, Kind},
};

/// Runs the command of a route and answers what it caused.
pub(crate) async fn run<A: Kind>(
    route: &'static CommandRoute,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let headers = CommandHeaders::read(&mut parts).await?;
    let Path(path) = Path::<Map<String, Value>>::from_request_parts(&mut parts, &()).await?;
    let mut data = body_of(Request::from_parts(parts, body)).await?;
    refuse_what_the_path_says(&data, &path)?;
    let name = match route.or_with {
        Some((member, other)) if data.contains_key(member) => other,
        Some(_) | None => route.command,
    };
    data.extend(path);
    let done = execute::<A>(&app, name, data, headers).await?;
    Ok(answer::done(&done, route.creates))
}

/// What a command's request says beside its data.
#[derive(Clone)]
pub(crate) struct CommandHeaders {
    /// Tells this request's route from others in the fingerprint.
    pub(crate) route: String,
    pub(crate) key: Option<String>,
    pub(crate) if_match: Option<IfMatch>,
    pub(crate) context: RequestContext,
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
        Ok(Self { route, key: key.map(|key| key.0), if_match, context })
    }
}

/// The body as an object; a request without one (DELETE, or a command without fields) is an empty
/// object.
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

/// Reads the command `name` from `data`, which also names the stream, and carries it out.
///
/// # Errors
/// The data is invalid, or the command was not carried out.
pub(crate) async fn execute<A: Kind>(
    app: &App,
    name: &str,
    data: Map<String, Value>,
    headers: CommandHeaders,
) -> Result<Done<A>, Problem> {
    let command = prepare::<A>(app, name, data, headers).await?;
    A::store(app).lanes.execute(command).await.map_err(problem_of)
}

/// Reads a command and asks what its decision must know; a lane may have it then.
///
/// # Errors
/// The data is invalid, or nobody could be asked now.
pub(crate) async fn prepare<A: Kind>(
    app: &App,
    name: &str,
    data: Map<String, Value>,
    headers: CommandHeaders,
) -> Result<Command<A>, Problem> {
    let print = fingerprint_of(&headers.route, &data)?;
    let asked = read::<A>(name, data, headers.key.as_deref())?;
    let actor = headers.context.actor.as_deref();
    let informed = A::inform(app, &asked.stream_id, asked.command, actor).await?;
    let at = asked.occurred_at;
    Ok(headers.command(asked.stream_id, print, at, informed))
}

/// Of the data as it was read, so that spaces and the order of members make no difference.
///
/// # Errors
/// The data has no form in JSON, which no data that was read from JSON has.
pub(crate) fn fingerprint_of(
    route: &str,
    data: &Map<String, Value>,
) -> Result<Fingerprint, Problem> {
    let data = serde_json::to_vec(data).map_err(|error| {
        tracing::error!(%error, "a command's data does not become json");
        Problem::internal()
    })?;
    Ok(fingerprint(route, &data))
}

/// A command of a stream, as a caller stated it.
pub(crate) struct Asked<A: Kind> {
    pub(crate) stream_id: StreamId,
    pub(crate) command: A::Command,
    pub(crate) occurred_at: Option<DateTime<Utc>>,
}

/// Reads the command `name` from `data`, which also names the stream; `key` is the client's.
///
/// # Errors
/// 400 when there is a field that the command does not have, 422 with everything else that is wrong.
pub(crate) fn read<A: Kind>(
    name: &str,
    mut data: Map<String, Value>,
    key: Option<&str>,
) -> Result<Asked<A>, Problem> {
    refuse_unknown_fields::<A>(name, &data)?;
    let stated_id = data.remove(A::ID).filter(|id| !id.is_null()); // null is as good as nothing
    let stream_id = stream_id::<A>(name, stated_id, key);
    match (stream_id, A::read(name, Value::Object(data))) {
        (Ok(stream_id), Ok(stated)) => {
            let Stated { command, occurred_at } = stated;
            Ok(Asked { stream_id, command, occurred_at })
        }
        (Err(InvalidFields(mut errors)), Err(ReadError::Invalid(more))) => {
            errors.extend(more.0);
            Err(invalid(InvalidFields(errors)))
        }
        (Err(errors), Ok(_)) | (Ok(_), Err(ReadError::Invalid(errors))) => Err(invalid(errors)),
        (Ok(_) | Err(_), Err(ReadError::UnknownCommand)) => Err(unknown_command()),
    }
}

impl CommandHeaders {
    /// A command with what its request said beside its data.
    pub(crate) fn command<A, I>(
        self,
        stream_id: StreamId,
        print: Fingerprint,
        occurred_at: Option<DateTime<Utc>>,
        informed: I,
    ) -> Command<A>
    where
        A: Kind + Decide<I>,
        I: Send + Sync + 'static,
    {
        // Without a client's key the command is its own: a retry of it is another command.
        let key = self.key.map_or_else(Uuid::now_v7, |key| command_key(&stream_id, &key));
        let at = occurred_at.unwrap_or_else(|| Utc::now().trunc_subsecs(6));
        let mut command = Command::new(stream_id, key, print, at, informed);
        command.expected = self.if_match.map(|if_match| if_match.0);
        command.correlation_id = self.context.correlation_id;
        command.actor = self.context.actor;
        command.traceparent = Some(self.context.trace.child().to_header());
        command
    }
}

/// The stream that the caller names, or that the key of a creating command stands for.
fn stream_id<A: Kind>(
    name: &str,
    stated: Option<Value>,
    key: Option<&str>,
) -> Result<StreamId, InvalidFields> {
    match (stated, key) {
        (None, Some(key)) if A::CREATING.contains(&name) => Ok(derived_stream_id(A::KIND, key)),
        (None, _) => Err(InvalidFields::whole("must be given").under(A::ID)),
        (Some(stated), _) => A::stream_id(&stated).map_err(|errors| errors.under(A::ID)),
    }
}

/// What stands in the path stands there alone: a body that says it again could say otherwise.
fn refuse_what_the_path_says(
    data: &Map<String, Value>,
    path: &Map<String, Value>,
) -> Result<(), Problem> {
    let mut twice = data.keys().filter(|field| path.contains_key(*field)).peekable();
    if twice.peek().is_none() {
        return Ok(());
    }
    let problem = Problem::bad_request("unknown_field", "the path says it; the body must not");
    Err(twice.fold(problem, |problem, field| {
        problem.error(format!("/{}", escaped(field)), "stands in the path")
    }))
}

/// A field that no command has is a caller's misunderstanding, told apart from a wrong value.
fn refuse_unknown_fields<A: Kind>(name: &str, data: &Map<String, Value>) -> Result<(), Problem> {
    let spec = A::SPECS.iter().find(|spec| spec.name == name).ok_or_else(unknown_command)?;
    let mut unknown = unknown_fields(spec.fields, data);
    unknown.retain(|pointer| *pointer != format!("/{}", A::ID) && pointer != "/occurred_at");
    if unknown.is_empty() {
        return Ok(());
    }
    let problem = Problem::bad_request("unknown_field", "the command does not have such a field");
    Err(unknown
        .into_iter()
        .fold(problem, |problem, pointer| problem.error(pointer, "is not a field of this command")))
}

/// Pointers to the members of an object that `fields` does not have, at any depth.
fn unknown_fields(fields: &[FieldSpec], data: &Map<String, Value>) -> Vec<String> {
    let of_member = |(name, value): (&String, &Value)| {
        let known = fields.iter().find(|field| field.name == name);
        let unknown = known.map_or_else(
            || vec![String::new()], // the member itself
            |field| unknown_within(field.shape, value),
        );
        under(|| escaped(name), unknown)
    };
    data.iter().flat_map(of_member).collect()
}

fn unknown_within(shape: Shape, value: &Value) -> Vec<String> {
    match shape {
        Shape::Object { fields } => {
            value.as_object().map(|data| unknown_fields(fields, data)).unwrap_or_default()
        }
        Shape::List { of, .. } => {
            let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let of_value = |(index, value): (usize, &Value)| {
                under(|| index.to_string(), unknown_within(*of, value))
            };
            values.iter().enumerate().flat_map(of_value).collect()
        }
        Shape::Integer { .. }
        | Shape::Text { .. }
        | Shape::Timestamp
        | Shape::Date
        | Shape::Uuid
        | Shape::Choice { .. } => Vec::new(),
    }
}

/// The pointers, seen from the object or the list that holds what they point into.
fn under(token: impl Fn() -> String, pointers: Vec<String>) -> Vec<String> {
    pointers.into_iter().map(|pointer| format!("/{}{pointer}", token())).collect()
}

pub(crate) fn unknown_command() -> Problem {
    Problem::unprocessable("unknown_command", "there is no such command")
}

fn invalid(errors: InvalidFields) -> Problem {
    let problem = Problem::unprocessable("invalid_fields", "some fields are not valid");
    errors
        .0
        .into_iter()
        .fold(problem, |problem, FieldError { pointer, detail }| problem.error(pointer, detail))
}
