//! `factline saga retry`, `skip` and `compensate`: asks the service for an act, through its database, and
//! waits for what becomes of it. The rows stay there and tell who did what and why.

use std::io::Write;
use std::time::{Duration, Instant};

use factline_saga::acts::{self, Act, NewAct};
use sqlx::PgPool;

use crate::failure::Failure;
use crate::sources::Sources;

pub(super) use factline_saga::acts::Wish;

/// How often the database is asked whether the service has answered.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What must be said about an act.
#[derive(Debug, clap::Args)]
pub(crate) struct Asking {
    /// The stream that the instance is named after
    instance: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// Who asks, for the record
    #[arg(long, value_name = "WHO", env = "USER")]
    by: String,
    /// How long to wait for the service's answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait_seconds: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Whether it was done.
pub(super) async fn run(asking: &Asking, wish: Wish, sources: &Sources) -> Result<bool, Failure> {
    let (database, row) = super::find(&asking.instance, sources).await?;
    let new = NewAct {
        who: &asking.by,
        wish,
        saga: &row.saga,
        instance: &asking.instance,
        reason: &asking.reason,
    };
    let id = acts::ask(database, &new).await?;
    let act = answered(database, id, Duration::from_secs(asking.wait_seconds)).await?;
    let told = if asking.json { serde_json::to_string(&act)? } else { line(&act) };
    writeln!(std::io::stdout().lock(), "{told}")?;
    Ok(act.is_done())
}

/// The act once it is finished, or as it is when that takes too long.
async fn answered(database: &PgPool, id: i64, within: Duration) -> Result<Act, Failure> {
    let give_up_at = Instant::now() + within;
    loop {
        let act = acts::find(database, id).await?;
        if act.is_finished() || Instant::now() >= give_up_at {
            return Ok(act);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// An act for a person.
pub(super) fn line(act: &Act) -> String {
    let Act { id, asked_at, who, act: what, instance, reason, state, outcome, .. } = act;
    let outcome = match outcome {
        Some(outcome) => format!(": {outcome}"),
        None => "; it stays asked for and will be done when the service runs".to_owned(),
    };
    format!(
        "{asked_at}  {who}: {what} of {instance}, because {reason}: {state}{outcome} (act {id})"
    )
}
