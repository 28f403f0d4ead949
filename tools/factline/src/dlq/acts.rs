//! `factline dlq retry` and `skip`: asks a projector for an act, through its database, and waits for
//! what becomes of it. The rows stay there and tell who did what and why.

use std::io::Write;
use std::time::{Duration, Instant};

use factline_projection::acts::{self, Act, NewAct, Outcome, Wish};
use factline_projection::inspect::{self, ParkedStream};
use serde::Serialize;

use crate::failure::Failure;
use crate::sources::{Projector, Sources};

/// How often the database is asked whether a projector has answered.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What may be said about a retry.
#[derive(Debug, clap::Args)]
pub(crate) struct Retry {
    /// The stream, or the fingerprint of its failure: then every stream that failed alike
    #[arg(value_name = "STREAM|FINGERPRINT")]
    stream: String,
    /// Do it; without this, say what it would do and change nothing
    #[arg(long)]
    yes: bool,
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What must be said about a skip.
#[derive(Debug, clap::Args)]
pub(crate) struct Skip {
    /// The stream
    #[arg(value_name = "STREAM")]
    stream: String,
    /// The position of its first parked event, as `dlq show` gives it
    #[arg(long)]
    position: i64,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, clap::Args)]
struct Asking {
    /// Only of this projection
    #[arg(long)]
    projection: Option<String>,
    /// Who asks, for the record
    #[arg(long, value_name = "WHO", env = "USER")]
    by: String,
    /// How long to wait for a projector's next answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait_seconds: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// A parked stream and where it stands.
type Found<'a> = (&'a Projector, ParkedStream);

/// What came of it, for a program.
#[derive(Debug, Serialize)]
struct Answer {
    dry_run: bool,
    streams: usize,
    events: i64,
    acts: Vec<Act>,
}

/// Retries, or says what a retry would do.
pub(super) async fn retry(verb: &Retry, sources: &Sources) -> Result<bool, Failure> {
    let found = find(&verb.stream, &verb.asking, sources).await?;
    let wish = if verb.yes { Wish::Retry } else { Wish::DryRun };
    act(&found, wish, verb.reason.as_deref(), &verb.asking).await
}

/// Skips the first parked event of one stream.
pub(super) async fn skip(verb: &Skip, sources: &Sources) -> Result<bool, Failure> {
    let mut found = find(&verb.stream, &verb.asking, sources).await?;
    found.retain(|(_, stream)| stream.stream_id == verb.stream);
    match found.as_slice() {
        [] => Err(Failure::new("a skip is of one stream, not of a fingerprint")),
        [_] => {
            let wish = Wish::Skip { position: verb.position };
            act(&found, wish, Some(&verb.reason), &verb.asking).await
        }
        several => {
            let names: Vec<_> = several.iter().map(|(_, one)| one.projection.as_str()).collect();
            let names = names.join(", ");
            Err(Failure::new(format!("it is parked in {names}: choose with --projection")))
        }
    }
}

async fn find<'a>(
    wanted: &str,
    asking: &Asking,
    sources: &'a Sources,
) -> Result<Vec<Found<'a>>, Failure> {
    let mut found = Vec::new();
    for projector in &sources.projectors {
        let streams = inspect::parked_streams(&projector.database).await?;
        let is_wanted =
            |stream: &ParkedStream| super::is_wanted(stream, wanted, asking.projection());
        let wanted = streams.into_iter().filter(is_wanted);
        found.extend(wanted.map(|stream| (projector, stream)));
    }
    if found.is_empty() {
        return Err(Failure::new(format!("nothing of {wanted:?} is parked")));
    }
    Ok(found)
}

impl Asking {
    fn projection(&self) -> Option<&str> {
        self.projection.as_deref()
    }
}

async fn act(
    found: &[Found<'_>],
    wish: Wish,
    reason: Option<&str>,
    asking: &Asking,
) -> Result<bool, Failure> {
    let mut output = std::io::stdout().lock();
    let events = found.iter().map(|(_, stream)| stream.events).sum();
    if !asking.json {
        writeln!(output, "{} streams with {events} parked events", found.len())?;
    }
    let mut asked = Vec::with_capacity(found.len());
    for (projector, ParkedStream { projection, topic, stream_id, .. }) in found {
        let who = asking.by.as_str();
        let act = NewAct { who, wish, projection, topic, stream_id, reason };
        asked.push((*projector, acts::ask(&projector.database, &act).await?));
    }
    let acts = answers(&asked, Duration::from_secs(asking.wait_seconds)).await?;
    let all_done = acts.iter().all(Act::is_done);
    if asking.json {
        let answer = Answer { dry_run: wish == Wish::DryRun, streams: found.len(), events, acts };
        writeln!(output, "{}", serde_json::to_string(&answer)?)?;
        return Ok(all_done);
    }
    for act in &acts {
        writeln!(output, "{}", line(act, asking.wait_seconds))?;
    }
    if wish == Wish::DryRun {
        writeln!(output, "nothing was changed; with --yes it is done")?;
    }
    Ok(all_done)
}

/// The acts, each finished, unless no projector has answered for so long.
async fn answers(asked: &[(&Projector, i64)], patience: Duration) -> Result<Vec<Act>, Failure> {
    let mut answers = Vec::with_capacity(asked.len());
    let mut since = Instant::now();
    for (projector, id) in asked {
        let mut act = acts::find(&projector.database, *id).await?;
        while !act.is_finished() && since.elapsed() < patience {
            tokio::time::sleep(LOOK_EVERY).await;
            act = acts::find(&projector.database, *id).await?;
        }
        if act.is_finished() {
            since = Instant::now();
        }
        answers.push(act);
    }
    Ok(answers)
}

fn line(act: &Act, waited_seconds: u64) -> String {
    let nothing = Outcome::default();
    let outcome = act.outcome.as_ref().map_or(&nothing, |outcome| &outcome.0);
    let told =
        if act.is_finished() { told(act, outcome) } else { open(act, outcome, waited_seconds) };
    format!("{}: {}: {told} (act {})", act.projection, act.stream_id, act.id)
}

fn told(act: &Act, outcome: &Outcome) -> String {
    let Outcome { applied, known, still_parked, failed, skipped, refused, .. } = outcome;
    if let Some(event) = failed {
        let (at, code, detail) = (event.position, &event.code, &event.detail);
        let (version, event_type) = (event.version, &event.event_type);
        let already =
            if *applied > 0 { format!("{applied} applied, then ") } else { String::new() };
        return format!(
            "{already}version {version} at position {at} ({event_type}) cannot be applied: \
             {code}: {detail}; {still_parked} events stay parked"
        );
    }
    if let Some(why) = refused {
        return format!("refused: {why}");
    }
    if let Some(event) = skipped {
        let (version, at) = (event.version, event.position);
        let rest = match still_parked {
            0 => "the stream is live again".to_owned(),
            more => format!("{more} events wait for a retry"),
        };
        return format!("version {version} at position {at} was skipped; {rest}");
    }
    let before = if *known > 0 { format!(", {known} were known") } else { String::new() };
    match act.wish() {
        Wish::DryRun => format!("a retry would apply {applied} events{before}"),
        Wish::Retry | Wish::Skip { .. } => {
            format!("{applied} events applied{before}; the stream is live again")
        }
    }
}

fn open(act: &Act, outcome: &Outcome, waited_seconds: u64) -> String {
    let will = if act.dry_run { "tried" } else { "done" };
    match &outcome.waiting {
        Some(why) => format!("the projector waits: {why}; it stays asked for and will be {will}"),
        None => format!(
            "no projector has answered in {waited_seconds} s; it stays asked for and will be {will} \
             when one runs"
        ),
    }
}
