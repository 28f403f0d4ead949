//! `POST /commands`: any command by its name, or many at once, each with its own outcome; with
//! `?atomic=true` all of them or none, within one stream.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    response::{IntoResponse, Response},
};
use domain::{customer::Customer, inventory::Item, order::Order};
use factline_core::{Aggregate, Decide, Moment};
use factline_log::{CommandFault, fingerprint};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use service_kit::{
    Problem,
    extract::{Json, Query, fitting},
};

use crate::{
    App,
    answer::{self, problem_of},
    commands::{CommandHeaders, execute, object, read, unknown_command},
    kinds::Kind,
};

/// Commands of one request at most: they run one after the other while the caller waits.
const MAX_COMMANDS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    atomic: bool,
}

/// A command by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    command: String,
    stream_id: Option<Value>,
    #[serde(default)]
    data: Map<String, Value>,
}

/// A command that was carried out, as it is told in a list and alone.
struct CarriedOut {
    outcome: Value,
    answer: Response,
}

/// `POST /commands`.
pub(crate) async fn run(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let headers = CommandHeaders::read(&mut parts).await?;
    let Query(Options { atomic }) = Query::<Options>::from_request_parts(&mut parts, &()).await?;
    let Json(body) = Json::<Value>::from_request(Request::from_parts(parts, body), &()).await?;
    match body {
        Value::Array(commands) if atomic => all_or_none(&app, commands, headers).await,
        Value::Array(commands) => each(&app, commands, headers).await,
        one => by_name(&app, one, headers).await.map(|carried_out| carried_out.answer),
    }
}

/// Runs commands one after the other; each has an outcome of its own and, as its key, the request's
/// with its place in the list behind it.
async fn each(
    app: &App,
    commands: Vec<Value>,
    headers: CommandHeaders,
) -> Result<Response, Problem> {
    check_count(commands.len())?;
    if headers.if_match.is_some() {
        let words = "If-Match speaks of one stream: send one command, or ?atomic=true";
        return Err(Problem::bad_request("contradicting_headers", words));
    }
    let mut outcomes = Vec::with_capacity(commands.len());
    for (index, command) in commands.into_iter().enumerate() {
        let key = headers.key.as_ref().map(|key| format!("{key}/{index}"));
        let headers = CommandHeaders { key, ..headers.clone() };
        outcomes.push(match by_name(app, command, headers).await {
            Ok(carried_out) => carried_out.outcome,
            Err(problem) => {
                json!({ "status": problem.status().as_u16(), "problem": problem.document() })
            }
        });
    }
    Ok(Json(json!({ "outcomes": outcomes })).into_response())
}

/// Carries out one command that is given by its name.
async fn by_name(
    app: &App,
    command: Value,
    headers: CommandHeaders,
) -> Result<CarriedOut, Problem> {
    let named = named(command)?;
    match kind(&named.command) {
        Some(<Item as Aggregate>::KIND) => one::<Item>(app, named, headers).await,
        Some(<Order as Aggregate>::KIND) => one::<Order>(app, named, headers).await,
        Some(<Customer as Aggregate>::KIND) => one::<Customer>(app, named, headers).await,
        Some(_) | None => Err(unknown_command()),
    }
}

async fn one<A: Kind>(
    app: &App,
    named: Named,
    headers: CommandHeaders,
) -> Result<CarriedOut, Problem> {
    let done =
        execute::<A>(app, &named.command, data_of::<A>(named.stream_id, named.data), headers);
    let done = done.await?;
    Ok(CarriedOut { outcome: answer::outcome(&done)?, answer: answer::done(&done, false) })
}

fn named(command: Value) -> Result<Named, Problem> {
    fitting(Value::Object(object(command)?))
}

/// `inventory` of `inventory.sell_item`.
fn kind(command: &str) -> Option<&str> {
    command.split_once('.').map(|(kind, _)| kind)
}

fn data_of<A: Kind>(stream_id: Option<Value>, mut data: Map<String, Value>) -> Map<String, Value> {
    data.extend(stream_id.map(|id| (A::ID.to_owned(), id)));
    data
}

fn check_count(commands: usize) -> Result<(), Problem> {
    if (1..=MAX_COMMANDS).contains(&commands) {
        return Ok(());
    }
    Err(Problem::invalid_field("", format!("must be 1 to {MAX_COMMANDS} commands")))
}

/// All commands of the list as one: one key, one append, one version that the caller may insist on.
async fn all_or_none(
    app: &App,
    commands: Vec<Value>,
    headers: CommandHeaders,
) -> Result<Response, Problem> {
    check_count(commands.len())?;
    let commands: Vec<Named> = commands.into_iter().map(named).collect::<Result<_, _>>()?;
    let first = commands.first().and_then(|named| kind(&named.command)).map(str::to_owned);
    match first.as_deref() {
        Some(<Item as Aggregate>::KIND) => together::<Item>(app, commands, headers).await,
        Some(<Order as Aggregate>::KIND) => together::<Order>(app, commands, headers).await,
        Some(<Customer as Aggregate>::KIND) => together::<Customer>(app, commands, headers).await,
        Some(_) | None => Err(unknown_command()),
    }
}

async fn together<A>(
    app: &App,
    commands: Vec<Named>,
    headers: CommandHeaders,
) -> Result<Response, Problem>
where
    A: Kind + Decide<Sequence<A>>,
{
    let told: Vec<Value> =
        commands.iter().map(|named| json!([named.command, named.stream_id, named.data])).collect();
    let print = fingerprint(&headers.route, Value::Array(told).to_string().as_bytes());
    let (mut stream, mut occurred_at, mut steps) = (None, None, Vec::with_capacity(commands.len()));
    for (index, Named { command, stream_id, data }) in commands.into_iter().enumerate() {
        let at_index = |problem: Problem| problem.with("index", index);
        let asked = read::<A>(&command, data_of::<A>(stream_id, data), headers.key.as_deref());
        let asked = asked.map_err(at_index)?;
        let stream = stream.get_or_insert_with(|| asked.stream_id.clone());
        if *stream != asked.stream_id {
            let words = "all commands of an atomic list must be for one stream";
            return Err(at_index(Problem::unprocessable("several_streams", words)));
        }
        occurred_at = occurred_at.or(asked.occurred_at);
        let actor = headers.context.actor.as_deref();
        steps.push(A::inform(app, stream, asked.command, actor).await.map_err(at_index)?);
    }
    let stream = stream.ok_or_else(unknown_command)?;
    let refused_at = Arc::<AtomicUsize>::default();
    let sequence = Sequence { steps, refused_at: refused_at.clone() };
    let command = headers.command(stream, print, occurred_at, sequence);
    match A::store(app).lanes.execute(command).await {
        Ok(done) => Ok(answer::done(&done, false)),
        Err(CommandFault::Refused(refusal)) => {
            let index = refused_at.load(Ordering::Relaxed);
            Err(problem_of(CommandFault::Refused(refusal)).with("index", index))
        }
        Err(fault) => Err(problem_of(fault)),
    }
}

/// Commands of one stream that are carried out together or not at all.
struct Sequence<A: Kind> {
    steps: Vec<A::Informed>,
    /// The place of the command that was refused last.
    refused_at: Arc<AtomicUsize>,
}

impl<A: Kind> Sequence<A> {
    /// Decides each command on what those before it have made of the state.
    fn decide(&self, state: &A, at: Moment) -> Result<Vec<A::Event>, A::Refusal> {
        let (mut state, mut events) = (state.clone(), Vec::new());
        for (index, step) in self.steps.iter().enumerate() {
            let next = state.decide(step, at).inspect_err(|_| {
                self.refused_at.store(index, Ordering::Relaxed);
            })?;
            next.iter().for_each(|event| state.evolve(event));
            events.extend(next);
        }
        Ok(events)
    }
}

macro_rules! decides_sequences {
    ($($kind:ident),+) => {$(
        impl Decide<Sequence<$kind>> for $kind {
            fn decide(
                &self,
                sequence: &Sequence<$kind>,
                at: Moment,
            ) -> Result<Vec<Self::Event>, Self::Refusal> {
                sequence.decide(self, at)
            }
        }
    )+};
}
decides_sequences!(Item, Order, Customer);
