//! `bench project`: a backlog from Kafka into views, beside consuming alone and bare upserts.
//!
//! Each round has a topic of its own that the relay has filled; each cell a database of its own.

pub(crate) mod ours;
mod raw;
pub(crate) mod views;

use std::sync::Arc;

use factline_testkit::TestDatabase;
use sqlx::{Connection, Executor, PgConnection};

use self::views::{Pieces, Sendings, TABLES};
use crate::Args;
use crate::backlog::Backlog;
use crate::drain;
use crate::failure::Failure;
use crate::kafka;
use crate::postgres::SerialCommits;
use crate::report::{Aim, Cell, Report, Slot};
use crate::surroundings::Surroundings;

const CONSUME: &str = "consume and discard";
const UPSERT: &str = "bare upsert, a row an event";
const FOLDED: &str = "view, 1,000 rows";
const ROWS: &str = "view, a row an event";

/// Measures everything.
///
/// # Errors
/// A cell cannot be measured; one whose invariant does not hold is in the report.
pub(crate) async fn run(args: &Args, surroundings: &Surroundings) -> Result<Report, Failure> {
    let mut report = Report::begin("project", args.rounds);
    report.conditions = conditions(args);
    let mut serial = SerialCommits::prepare().await?;
    for round in 1..=args.rounds {
        let backlog = Arc::new(Backlog::fill(args.events, surroundings).await?);
        backlog.relay().await?;
        for name in [CONSUME, FOLDED, UPSERT, ROWS] {
            if !args.wants(name) {
                continue;
            }
            let commits = serial.measure().await?;
            let slot = Slot { name, round, pace: args.pace(), serial: &commits };
            report.push(measure(&backlog, &slot, surroundings).await?);
        }
    }
    ratios(&mut report);
    Ok(report.end())
}

fn ratios(report: &mut Report) {
    report.ratio(
        "G4",
        "a view of 1,000 rows, processed_events on / consume and discard",
        Aim::AtLeast { floor: 0.08, goal: 0.13 },
        |round| Some(round.rate(FOLDED)? / round.rate(CONSUME)?),
    );
    report.ratio(
        "G5",
        "a view with a row an event / the slower of consume and bare upsert",
        Aim::AtLeast { floor: 0.5, goal: 0.7 },
        |round| {
            let slower = round.rate(CONSUME)?.min(round.rate(UPSERT)?);
            Some(round.rate(ROWS)? / slower)
        },
    );
}

fn conditions(args: &Args) -> Vec<String> {
    vec![
        format!(
            "a backlog of {} events of {} bytes over 1,000 streams and 8 partitions, on a new topic \
             for every round; the projections have their committed defaults ({} workers, at most {} \
             records a transaction) and run in `bench`, each into a new database",
            args.events,
            crate::append::ours::DATUM_BYTES,
            factline_projection::ProjectionSettings::default().workers,
            factline_projection::ProjectionSettings::default().batch_records,
        ),
        "a projection's time begins with its first commit, without what that commit brought, so \
         that joining the group is not in it, and ends with its last; every event's id goes into \
         `processed_events`"
            .to_owned(),
        "`consume and discard` reads every record by the bare client with the projections' consumer \
         settings, and looks at nothing; `bare upsert` writes the rows of the second view, known in \
         advance, by UNNEST with 2,000 a transaction on two connections, without processed_events"
            .to_owned(),
        "afterwards: every event's id once, every checkpoint at its partition's head, and the sum of \
         the view's rows"
            .to_owned(),
    ]
}

async fn measure(
    backlog: &Arc<Backlog>,
    slot: &Slot<'_>,
    surroundings: &Surroundings,
) -> Result<Cell, Failure> {
    let meter = surroundings.meter_with_kafka();
    let database = TestDatabase::create("bench_project").await;
    let mut owner = PgConnection::connect(&database.url()).await?;
    owner.execute(TABLES).await?;
    let (measured, held) = match slot.name {
        CONSUME => {
            let of = Arc::clone(backlog);
            let work = move || kafka::consume(&of.kafka, &of.log.topic, of.events, |_| ());
            let read = drain::measure(&meter, kafka::aside(work)).await?;
            (read, Ok(format!("{} records", backlog.events)))
        }
        UPSERT => {
            let url = database.url();
            let work = raw::upsert(&url, backlog.events);
            (drain::measure(&meter, work).await?, raw::check(&mut owner, backlog.events).await?)
        }
        FOLDED => ours::measure::<Pieces>(backlog, &database, &meter).await?,
        _ => ours::measure::<Sendings>(backlog, &database, &meter).await?,
    };
    let mut cell = Cell::of(slot, "event", &measured);
    cell.invariant = held;
    Ok(cell)
}
