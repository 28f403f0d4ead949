//! `factline saga`: the instances of processes over several aggregates, where they stand, and what an
//! operator does about one.

mod acts;

use std::io::Write;

use factline_saga::{
    acts::of,
    inspect::{self, CommandRow, Filter, InstanceRow, WaitingRow},
};
use serde_json::json;
use sqlx::PgPool;

use crate::failure::Failure;
use crate::sources::Sources;

/// What can be asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Instances that are open, the one that moved longest ago first
    List(List),
    /// One instance: its state, its steps, what waits, and what operators did
    Show {
        /// The stream that it is named after
        instance: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Try again what an instance has no answer to: a refused command is asked again
    Retry(acts::Asking),
    /// Go on without: a refused command is taken as carried out, another input passed over
    Skip(acts::Asking),
    /// Undo everything that an instance has done, as far as it can be undone
    Compensate(acts::Asking),
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only with this status: running, needs_attention, completed or compensated
    #[arg(long)]
    status: Option<String>,
    /// Only those that have not moved for too long and wait for nobody outside
    #[arg(long)]
    stuck: bool,
    /// How long is too long: as the service's saga.stuck_after_ms
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0)]
    stuck_after_seconds: f64,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: i64,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// As the service's default.
const STUCK_AFTER_SECONDS: f64 = 300.0;

/// Lists, shows, or asks for an act.
pub(crate) async fn run(verb: &Verb, sources: &Sources) -> Result<bool, Failure> {
    match verb {
        Verb::List(args) => list(args, sources).await,
        Verb::Show { instance, json } => show(instance, *json, sources).await,
        Verb::Retry(asking) => acts::run(asking, acts::Wish::Retry, sources).await,
        Verb::Skip(asking) => acts::run(asking, acts::Wish::Skip, sources).await,
        Verb::Compensate(asking) => acts::run(asking, acts::Wish::Compensate, sources).await,
    }
}

/// The databases that hold sagas.
async fn databases(sources: &Sources) -> Result<Vec<&PgPool>, Failure> {
    let mut databases = Vec::new();
    for projector in &sources.projectors {
        if inspect::has_sagas(&projector.database).await? {
            databases.push(&projector.database);
        }
    }
    Ok(databases)
}

/// An instance and its database.
async fn find<'a>(
    instance: &str,
    sources: &'a Sources,
) -> Result<(&'a PgPool, InstanceRow), Failure> {
    let filter = Filter { instance: Some(instance), ..Filter::default() };
    for database in databases(sources).await? {
        let found = inspect::instances(database, filter, STUCK_AFTER_SECONDS, 1).await?;
        if let Some(row) = found.into_iter().next() {
            return Ok((database, row));
        }
    }
    Err(Failure::new(format!("there is no instance {instance:?}")))
}

async fn list(args: &List, sources: &Sources) -> Result<bool, Failure> {
    let mut output = std::io::stdout().lock();
    let filter = Filter { status: args.status.as_deref(), stuck: args.stuck, instance: None };
    let mut empty = true;
    for database in databases(sources).await? {
        let rows = inspect::instances(database, filter, args.stuck_after_seconds, args.limit);
        for row in rows.await? {
            empty = false;
            let line = if args.json { serde_json::to_string(&row)? } else { line(&row) };
            writeln!(output, "{line}")?;
        }
    }
    if empty && !args.json {
        writeln!(output, "no instance is like that")?;
    }
    Ok(true)
}

fn line(row: &InstanceRow) -> String {
    let InstanceRow { saga, instance, definition, status, age_seconds, due_commands, .. } = row;
    let stuck = if row.stuck { ", stuck" } else { "" };
    let timer = row.next_timer_at.map(|at| format!(", timer at {at}")).unwrap_or_default();
    let why = row.attention.as_ref().map(|why| format!("\n    {why}")).unwrap_or_default();
    format!(
        "{instance}  {saga} v{definition}: {status}{stuck}, moved {age_seconds} s ago, \
         {due_commands} commands due{timer}{why}"
    )
}

async fn show(instance: &str, json: bool, sources: &Sources) -> Result<bool, Failure> {
    let (database, row) = find(instance, sources).await?;
    let commands = inspect::commands(database, &row.saga, instance).await?;
    let waiting = inspect::waiting(database, &row.saga, instance).await?;
    let acts = of(database, &row.saga, instance).await?;
    let mut output = std::io::stdout().lock();
    if json {
        let all = json!({"instance": row, "commands": commands, "waiting": waiting, "acts": acts});
        writeln!(output, "{all}")?;
        return Ok(true);
    }
    writeln!(output, "{}\n  state {}", line(&row), row.state)?;
    for CommandRow { step, state, attempts, created_at, code, detail, .. } in commands {
        let why = code.or(detail).map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(output, "  {created_at}  {step}  {state} after {attempts} attempts{why}")?;
    }
    for WaitingRow { input, arrived_at, .. } in waiting {
        writeln!(output, "  waits since {arrived_at}: {input}")?;
    }
    for act in acts {
        writeln!(output, "  {}", acts::line(&act))?;
    }
    Ok(true)
}
