//! `factline projection`: which views there are, and rebuilding one beside itself. The program asks, in the
//! projector's database, and a process of the projector builds; the rows stay there and tell who did what.

mod begin;
mod show;

use std::io::Write;
use std::time::{Duration, Instant};

use factline_projection::rebuilds::{self, Begin, NewRebuild, Rebuild, Wish};

use crate::failure::Failure;
use crate::sources::{Projector, Sources};

/// How often the database is asked whether a projector has answered.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What can be asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Every projection: how far it is, what is parked, what is being rebuilt or kept
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Every rebuild there was: its state, progress, and what the comparison found
    Rebuilds {
        /// Only of this projection
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Build a view anew beside the live one, from the log; compare; switch when the rows are equal
    Rebuild(Begun),
    /// Catch a rebuild that is ready up, compare again, and switch
    Switch {
        #[command(flatten)]
        asking: Asking,
        /// Switch although the rows differ
        #[arg(long)]
        accept_difference: bool,
    },
    /// Leave nothing of a rebuild
    Cancel(Asking),
    /// Catch up the table that the last switch has kept, and switch back to it
    Rollback(Begun),
    /// Drop the table that the last switch has kept
    DropPrevious(Asking),
    /// Go on behind events that shall have no effect: past a gap that nothing can fill, or from now on
    /// only; a dry run without --yes
    BeginAt(begin::BeginAt),
}

/// What must be said about a rebuild.
#[derive(Debug, clap::Args)]
pub(crate) struct Begun {
    #[command(flatten)]
    asking: Asking,
    /// No faster than this, so that the live views keep their database
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(i32).range(1..))]
    events_per_second: Option<i32>,
    /// Switch also when the rows differ
    #[arg(long)]
    accept_difference: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Asking {
    /// The projection, as `projection list` gives it
    #[arg(value_name = "NAME")]
    name: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// Who asks, for the record
    #[arg(long, value_name = "WHO", env = "USER")]
    by: String,
    /// How long to wait for what comes of it; it goes on without us
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait_seconds: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Lists, or asks a projector for something.
pub(crate) async fn run(verb: &Verb, sources: &Sources) -> Result<bool, Failure> {
    match verb {
        Verb::List { json } => show::list(*json, sources).await,
        Verb::Rebuilds { name, json } => show::rebuilds(name.as_deref(), *json, sources).await,
        Verb::Rebuild(begun) => begin(begun, Begin::Nothing, sources).await,
        Verb::Rollback(begun) => begin(begun, Begin::Previous, sources).await,
        Verb::Switch { asking, accept_difference } => {
            say(asking, Wish::Switch { accept_difference: *accept_difference }, sources).await
        }
        Verb::Cancel(asking) => say(asking, Wish::Cancel, sources).await,
        Verb::DropPrevious(asking) => say(asking, Wish::DropPrevious, sources).await,
        Verb::BeginAt(asked) => begin::run(asked, sources).await,
    }
}

async fn begin(begun: &Begun, begin: Begin, sources: &Sources) -> Result<bool, Failure> {
    let asking = &begun.asking;
    let projector = find(&asking.name, sources).await?;
    let wanted = NewRebuild {
        who: &asking.by,
        reason: &asking.reason,
        projection: &asking.name,
        begin,
        events_per_second: begun.events_per_second,
        accept_difference: begun.accept_difference,
    };
    let id = rebuilds::ask(&projector.database, &wanted).await.map_err(|error| {
        match error.as_database_error() {
            Some(error) if error.is_unique_violation() => Failure::new(format!(
                "{} is being rebuilt already: see `factline projection rebuilds {0}`",
                asking.name
            )),
            _ => error.into(),
        }
    })?;
    let rebuild = answer(projector, id, asking).await?;
    tell(&rebuild, asking)?;
    Ok(rebuild.is_switched() || rebuild.state == "building")
}

async fn say(asking: &Asking, wish: Wish, sources: &Sources) -> Result<bool, Failure> {
    let projector = find(&asking.name, sources).await?;
    let (who, reason) = (&asking.by, Some(&*asking.reason));
    let said = rebuilds::say(&projector.database, &asking.name, wish, who, reason).await?;
    let id = said.ok_or_else(|| {
        let lacks = match wish {
            Wish::Switch { .. } => "no rebuild that is ready",
            Wish::Cancel => "no rebuild that could be cancelled",
            Wish::DropPrevious => "no rebuild whose previous table is kept",
        };
        Failure::new(format!("{} has {lacks}", asking.name))
    })?;
    let rebuild = answer(projector, id, asking).await?;
    tell(&rebuild, asking)?;
    Ok(rebuild.wish.is_none()
        && match wish {
            Wish::Switch { .. } => rebuild.is_switched() || rebuild.state == "building",
            Wish::Cancel => rebuild.state == "cancelled",
            Wish::DropPrevious => true,
        })
}

/// The projector whose database has checkpoints of this projection.
async fn find<'a>(name: &str, sources: &'a Sources) -> Result<&'a Projector, Failure> {
    let mut known = Vec::new();
    for projector in &sources.projectors {
        for (projection, _) in show::positions(projector).await? {
            if projection == name {
                return Ok(projector);
            }
            known.push(projection);
        }
    }
    Err(Failure::new(format!("no projection is called {name:?}; there are {}", known.join(", "))))
}

/// The rebuild, once it has come to something or time is up.
async fn answer(projector: &Projector, id: i64, asking: &Asking) -> Result<Rebuild, Failure> {
    let until = Instant::now() + Duration::from_secs(asking.wait_seconds);
    loop {
        let rebuild = rebuilds::find(&projector.database, id).await?;
        let under_way = matches!(&*rebuild.state, "asked" | "building") || rebuild.wish.is_some();
        if !under_way || Instant::now() >= until {
            return Ok(rebuild);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn tell(rebuild: &Rebuild, asking: &Asking) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    if asking.json {
        writeln!(output, "{}", serde_json::to_string(rebuild)?)?;
    } else {
        writeln!(output, "{}", show::paragraph(rebuild, None))?;
    }
    if rebuild.state == "asked" && !asking.json {
        let waited = asking.wait_seconds;
        writeln!(output, "no projector has taken it in {waited} s; it stays asked for")?;
    }
    Ok(())
}
