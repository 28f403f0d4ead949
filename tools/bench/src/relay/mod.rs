//! `bench relay`: a backlog from the log to Kafka, beside reading the log alone and producing alone.
//!
//! Each round has a log and a topic of its own. The same records are produced once more by the bare
//! client; the same rows are read once more by a bare cursor.

mod raw;

use std::sync::Arc;

use crate::Args;
use crate::backlog::Backlog;
use crate::drain;
use crate::failure::Failure;
use crate::kafka;
use crate::postgres::SerialCommits;
use crate::report::{Aim, Cell, Report, Slot};
use crate::surroundings::Surroundings;

const SCAN: &str = "cursor scan";
const PRODUCE: &str = "produce alone";
const OURS: &str = "relay";
/// How many of a topic's records the bare producer repeats.
const SAMPLES: u64 = 10_000;

/// Measures everything.
///
/// # Errors
/// A cell cannot be measured; one whose invariant does not hold is in the report.
pub(crate) async fn run(args: &Args, surroundings: &Surroundings) -> Result<Report, Failure> {
    let mut report = Report::begin("relay", args.rounds);
    report.conditions = conditions(args);
    let mut serial = SerialCommits::prepare().await?;
    for round in 1..=args.rounds {
        let backlog = Arc::new(Backlog::fill(args.events, surroundings).await?);
        for name in [SCAN, OURS, PRODUCE] {
            if !args.wants(name) {
                continue;
            }
            let commits = serial.measure().await?;
            let slot = Slot { name, round, pace: args.pace(), serial: &commits };
            report.push(measure(&backlog, &slot, surroundings).await?);
        }
    }
    report.ratio(
        "G7",
        "relay drain / the slower of cursor scan and produce alone",
        Aim::AtLeast { floor: 0.3, goal: 0.5 },
        |round| {
            let slower = round.rate(SCAN)?.min(round.rate(PRODUCE)?);
            Some(round.rate(OURS)? / slower)
        },
    );
    report.ratio("G7 scan", "relay drain / cursor scan", Aim::None, |round| {
        Some(round.rate(OURS)? / round.rate(SCAN)?)
    });
    report.ratio("G7 produce", "relay drain / produce alone", Aim::None, |round| {
        Some(round.rate(OURS)? / round.rate(PRODUCE)?)
    });
    Ok(report.end())
}

fn conditions(args: &Args) -> Vec<String> {
    vec![
        format!(
            "a backlog of {} events of {} bytes over 1,000 streams and 8 partitions, in a new log for \
             every round; the relay has its committed defaults and runs in `bench`",
            args.events,
            crate::append::ours::DATUM_BYTES
        ),
        "`cursor scan` reads the same rows by `position > cursor order by position limit 2000` on \
         one connection, all columns, and looks at none; `produce alone` sends the same records \
         (key, value, 13 headers) by the bare client with the relay's producer settings"
            .to_owned(),
        "the relay's time begins with its first look, lease and topic included, and ends when the \
         cursor of the last event is stored; afterwards the topic is read: every position once, in \
         order"
            .to_owned(),
    ]
}

async fn measure(
    backlog: &Arc<Backlog>,
    slot: &Slot<'_>,
    surroundings: &Surroundings,
) -> Result<Cell, Failure> {
    let meter = surroundings.meter_with_kafka();
    let of = Arc::clone(backlog);
    let (measured, held) = match slot.name {
        SCAN => {
            let read = drain::measure(&meter, raw::scan(&backlog.log)).await?;
            let told = format!("{} rows of {}", read.units, backlog.events);
            let held = if read.units == backlog.events { Ok(told) } else { Err(told) };
            (read, held)
        }
        PRODUCE => {
            let (kafka, from) = (of.kafka.clone(), of.log.topic.clone());
            let samples = kafka::aside(move || kafka::samples(&kafka, &from, SAMPLES)).await?;
            let topic = raw::empty_topic(backlog).await?;
            let work = kafka::aside(move || kafka::produce(&of.kafka, &topic, &samples, of.events));
            (drain::measure(&meter, work).await?, Ok("every record was acknowledged".to_owned()))
        }
        _ => {
            let sent = drain::measure(&meter, backlog.relay()).await?;
            let held = kafka::aside(move || kafka::dense(&of.kafka, &of.log.topic, of.events));
            (sent, held.await?)
        }
    };
    let mut cell = Cell::of(slot, "event", &measured);
    cell.invariant = held;
    Ok(cell)
}
