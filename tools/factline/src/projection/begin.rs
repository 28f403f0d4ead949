//! `factline projection begin-at`: lets a projection go on behind events that it shall not apply.

use std::io::Write;

use factline_projection::beginnings::{self, Begun, NewBeginning};
use factline_projection::inspect::{self, CheckpointRow};
use serde::Serialize;

use crate::failure::Failure;
use crate::sources::{Projector, Sources, Topic};

/// Where, and why.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["after", "end"]))]
pub(crate) struct BeginAt {
    /// The projection
    #[arg(value_name = "NAME")]
    name: String,
    /// The topic, as `factline verify` names it
    #[arg(long)]
    topic: String,
    /// Behind this position of one partition
    #[arg(long, value_name = "POSITION", requires = "partition")]
    after: Option<i64>,
    /// Behind everything that the log holds now
    #[arg(long)]
    end: bool,
    /// Which partition, from 0; with --end all of them unless one is named
    #[arg(long)]
    partition: Option<i32>,
    /// The service that has the projection, when it has no checkpoint yet
    #[arg(long)]
    service: Option<String>,
    /// Do it; without this, say what would be left out and change nothing
    #[arg(long)]
    yes: bool,
    /// Why, for the record
    #[arg(long)]
    reason: String,
    /// Who asks, for the record
    #[arg(long, value_name = "WHO", env = "USER")]
    by: String,
    /// One JSON object a partition
    #[arg(long)]
    json: bool,
}

/// What comes of it in one partition, for a program.
#[derive(Debug, Serialize)]
struct Answer {
    projection: String,
    topic: String,
    partition: i32,
    was: i64,
    after: i64,
    done: bool,
    refused: Option<String>,
}

/// Does it, or says what it would do; whether it could be done everywhere.
pub(super) async fn run(asked: &BeginAt, sources: &Sources) -> Result<bool, Failure> {
    let topics = sources.topics().await?;
    let topic = topics.iter().find(|topic| topic.name == asked.topic);
    let topic =
        topic.ok_or_else(|| Failure::new(format!("the log has no topic {}", asked.topic)))?;
    let projector = projector(asked, sources).await?;
    let checkpoints = inspect::checkpoints(&projector.database).await?;
    let mut output = std::io::stdout().lock();
    let mut all = true;
    for (partition, after) in places(asked, topic)? {
        let answer = one(asked, projector, &checkpoints, topic, partition, after).await?;
        all &= answer.refused.is_none();
        let line = if asked.json { serde_json::to_string(&answer)? } else { line(&answer) };
        writeln!(output, "{line}")?;
    }
    if !asked.yes && !asked.json {
        writeln!(output, "nothing was changed; with --yes it is done")?;
    }
    Ok(all)
}

async fn projector<'a>(asked: &BeginAt, sources: &'a Sources) -> Result<&'a Projector, Failure> {
    let Some(service) = &asked.service else { return super::find(&asked.name, sources).await };
    let known = sources.projectors.iter().find(|projector| projector.service == *service);
    known.ok_or_else(|| Failure::new(format!("there is no service {service:?} that projects")))
}

/// Partitions, each with the last position that is left out.
fn places(asked: &BeginAt, topic: &Topic) -> Result<Vec<(i32, i64)>, Failure> {
    let heads = (0..).zip(&topic.heads).map(|(partition, head)| (partition, *head));
    let wanted = |(partition, _): &(i32, i64)| asked.partition.is_none_or(|one| one == *partition);
    let mut places: Vec<_> = heads.filter(wanted).collect();
    if places.is_empty() {
        let partition = asked.partition.unwrap_or_default();
        return Err(Failure::new(format!("{} has no partition {partition}", topic.name)));
    }
    let Some(after) = asked.after else { return Ok(places) };
    for (partition, place) in &mut places {
        if !(0..=*place).contains(&after) {
            let name = &topic.name;
            return Err(Failure::new(format!("{name}/{partition} has positions up to {place}")));
        }
        *place = after;
    }
    Ok(places)
}

async fn one(
    asked: &BeginAt,
    projector: &Projector,
    checkpoints: &[CheckpointRow],
    topic: &Topic,
    partition: i32,
    after: i64,
) -> Result<Answer, Failure> {
    let begun = if asked.yes {
        let beginning = NewBeginning {
            who: &asked.by,
            reason: &asked.reason,
            projection: &asked.name,
            topic: &topic.name,
            partition,
            partitions: i32::try_from(topic.heads.len()).unwrap_or(i32::MAX),
            after,
        };
        beginnings::begin(&projector.database, &beginning).await?
    } else {
        let was = position(checkpoints, &asked.name, &topic.name, partition);
        if was > after { Begun::Passed { position: was } } else { Begun::From { was } }
    };
    let (was, refused) = match begun {
        Begun::From { was } => (was, None),
        Begun::Passed { position } => {
            (position, Some("it is further already; to apply events again, rebuild it".to_owned()))
        }
    };
    let done = asked.yes && refused.is_none();
    let (projection, topic) = (asked.name.clone(), topic.name.clone());
    Ok(Answer { projection, topic, partition, was, after, done, refused })
}

/// Where a projection is; 0 where it has never been.
fn position(rows: &[CheckpointRow], projection: &str, topic: &str, partition: i32) -> i64 {
    let here = rows.iter().find(|row| {
        row.projection == projection && row.topic == topic && row.partition == partition
    });
    here.map_or(0, |row| row.position)
}

fn line(answer: &Answer) -> String {
    let Answer { projection, topic, partition, was, after, done, refused } = answer;
    let place = format!("{projection}, {topic}/{partition}: at {was}");
    let events = after - was;
    match refused {
        Some(why) => format!("{place}; not to {after}: {why}"),
        None if *done => format!("{place}, goes on behind {after}; {events} events are left out"),
        None => format!("{place}, would go on behind {after}; {events} events would be left out"),
    }
}
