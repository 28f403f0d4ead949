//! `bench rebuild`: a view built anew beside the live one, from the log's first event to the switch,
//! beside COPY of as many rows.

mod ours;
mod raw;

use std::sync::Arc;

use factline_testkit::TestDatabase;
use sqlx::{Connection, Executor, PgConnection};

use self::ours::Past;
use crate::Args;
use crate::backlog::Backlog;
use crate::drain;
use crate::failure::Failure;
use crate::postgres::SerialCommits;
use crate::project::views::{Pieces, Sendings, TABLES};
use crate::report::{Aim, Cell, Report, Slot};
use crate::surroundings::Surroundings;

const COPY: &str = "COPY, a row an event";
const FOLDED: &str = "rebuild, 1,000 rows";
const ROWS: &str = "rebuild, a row an event";
const FROM_TOPIC: &str = "rebuild from the topic, a row an event";

/// Measures everything.
///
/// # Errors
/// A cell cannot be measured; one whose invariant does not hold is in the report.
pub(crate) async fn run(args: &Args, surroundings: &Surroundings) -> Result<Report, Failure> {
    let mut report = Report::begin("rebuild", args.rounds);
    report.conditions = conditions(args);
    let mut serial = SerialCommits::prepare().await?;
    for round in 1..=args.rounds {
        let backlog = Arc::new(Backlog::fill(args.events, surroundings).await?);
        backlog.relay().await?;
        for name in [COPY, FOLDED, ROWS, FROM_TOPIC] {
            if !args.wants(name) {
                continue;
            }
            let commits = serial.measure().await?;
            let slot = Slot { name, round, pace: args.pace(), serial: &commits };
            report.push(measure(&backlog, &slot, surroundings).await?);
        }
    }
    let ratios =
        [("rebuild rows", ROWS), ("rebuild folded", FOLDED), ("rebuild topic", FROM_TOPIC)];
    for (name, cell) in ratios {
        report.ratio(name, &format!("{cell} / {COPY}"), Aim::None, |round| {
            Some(round.rate(cell)? / round.rate(COPY)?)
        });
    }
    Ok(report.end())
}

fn conditions(args: &Args) -> Vec<String> {
    vec![
        format!(
            "a log of {} events of {} bytes over 1,000 streams and 8 partitions; the live view has all \
             of them before a rebuild is asked for, without a limit of events a second",
            args.events,
            crate::append::ours::DATUM_BYTES,
        ),
        "a rebuild's time goes from the moment that it is asked for to the switch: reading the log or \
         the topic, the table with its indexes, the comparison of every row with the live one"
            .to_owned(),
        "`COPY` writes the rows of the second view, known in advance, into a table with its primary \
         key, 2,000 a statement on one connection"
            .to_owned(),
        "afterwards: the sum of the view's rows, and that the comparison found no difference".to_owned(),
    ]
}

async fn measure(
    backlog: &Arc<Backlog>,
    slot: &Slot<'_>,
    surroundings: &Surroundings,
) -> Result<Cell, Failure> {
    let meter = surroundings.meter();
    let database = TestDatabase::create("bench_rebuild").await;
    let mut owner = PgConnection::connect(&database.url()).await?;
    owner.execute(TABLES).await?;
    let (measured, held) = match slot.name {
        COPY => {
            let copied = drain::measure(&meter, raw::copy(&mut owner, backlog.events)).await?;
            (copied, raw::check(&mut owner, backlog.events).await?)
        }
        FOLDED => ours::measure::<Pieces>(backlog, &database, &meter, Past::Log).await?,
        ROWS => ours::measure::<Sendings>(backlog, &database, &meter, Past::Log).await?,
        _ => ours::measure::<Sendings>(backlog, &database, &meter, Past::Topic).await?,
    };
    let mut cell = Cell::of(slot, "event", &measured);
    cell.invariant = held;
    Ok(cell)
}
