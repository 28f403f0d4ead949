//! `factline relay`: puts a cursor right that `factline verify` has found to be wrong.

use factline_core::Position;
use factline_log::RelayCursors;

use crate::failure::Failure;
use crate::sources::{Sources, Topic};

/// What can be asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Let the relay go on after another position of a partition; a dry run without --yes
    Reset(Reset),
}

/// Arguments of `relay reset`.
#[derive(Debug, clap::Args)]
pub(crate) struct Reset {
    /// The topic, as `factline verify` names it
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// The partition, from 0
    #[arg(long)]
    partition: i32,
    /// The last position that counts as sent: what follows is sent, once more if need be
    #[arg(long, value_name = "POSITION")]
    to: i64,
    /// Do it
    #[arg(long)]
    yes: bool,
}

/// Carries it out; whether the cursor is where it was wanted.
pub(crate) async fn run(verb: &Verb, sources: &Sources) -> Result<bool, Failure> {
    let Verb::Reset(reset) = verb;
    let topics = sources.topics().await?;
    let (before, Reset { topic, partition, to, yes }) = (find(reset, &topics)?, reset);
    let cursors = RelayCursors::new(&sources.reader);
    let Some(lease) = cursors.try_lease(topic).await? else {
        return Err(Failure::new(format!(
            "a relay of {topic} is at work and would save its own cursor over this one: stop it first"
        )));
    };
    let what = format!("the cursor of {topic}/{partition} from {before} to {to}");
    if *yes {
        cursors.reset(&lease, topic, *partition, Position(*to)).await?;
        println!("put {what}");
    } else {
        println!("would put {what}; nothing was changed, --yes does it");
    }
    lease.release().await?;
    Ok(true)
}

/// Where the cursor is; a position that the store does not have is refused.
fn find(reset: &Reset, topics: &[Topic]) -> Result<i64, Failure> {
    let Reset { topic, partition, to, .. } = reset;
    let known = topics.iter().find(|known| known.name == *topic);
    let known = known.ok_or_else(|| Failure::new(format!("the log has no topic {topic}")))?;
    let index = usize::try_from(*partition).ok();
    let cursor = index.and_then(|index| known.relayed.get(index)).copied();
    let cursor =
        cursor.ok_or_else(|| Failure::new(format!("{topic} has no partition {partition}")))?;
    let head = known.head(*partition);
    if !(0..=head).contains(to) {
        return Err(Failure::new(format!("{topic}/{partition} has positions up to {head}")));
    }
    Ok(cursor)
}
