//! `bench append`: commands through the log's lanes, beside bare inserts into the same tables.
//!
//! Every cell has a database of its own with the product's migrations, begins right after a
//! checkpoint, and uses the same number of streams and bytes of payload. Cells of ours and of the
//! raw limits take turns.

pub(crate) mod ours;
mod raw;
mod rows;

use crate::Args;
use crate::failure::Failure;
use crate::postgres::SerialCommits;
use crate::report::{Aim, Report, Round, Slot};
use crate::surroundings::Surroundings;

/// Streams of a cell. Enough that callers seldom meet at one; few enough that a cell's streams grow
/// beyond a snapshot (every 100 events), whose cost is thus in the figures.
const STREAMS: usize = 1_000;

/// What a cell does.
enum Work {
    Ours(ours::Load),
    Raw(raw::Load),
}

/// Every cell, in the order of a round: raw limits between ours.
fn cells() -> Vec<(String, Work)> {
    let ours = |callers, events, streams| Work::Ours(ours::Load { callers, events, streams });
    let unnest = |connections, rows| {
        Work::Raw(raw::Load { connections, rows, way: raw::Way::Unnest { with_keys: false } })
    };
    let keyed = |connections, rows| {
        Work::Raw(raw::Load { connections, rows, way: raw::Way::Unnest { with_keys: true } })
    };
    let copy = |connections| Work::Raw(raw::Load { connections, rows: 2_000, way: raw::Way::Copy });
    let cells = [
        ("ours 1 event, 1 caller", ours(1, 1, STREAMS)),
        ("bare unnest 64 rows x 1", unnest(1, 64)),
        ("ours 1 event, 16 callers", ours(16, 1, STREAMS)),
        ("bare unnest 64 rows x 2", unnest(2, 64)),
        ("ours 1 event, 64 callers", ours(64, 1, STREAMS)),
        ("bare unnest 512 rows x 1", unnest(1, 512)),
        ("ours 1 event, 256 callers", ours(256, 1, STREAMS)),
        ("bare unnest 512 rows x 2", unnest(2, 512)),
        ("ours 1 event, 1024 callers", ours(1024, 1, STREAMS)),
        ("bare unnest 512 rows x 4", unnest(4, 512)),
        ("ours 1 event, 2048 callers", ours(2048, 1, STREAMS)),
        ("with keys unnest 512 rows x 2", keyed(2, 512)),
        ("ours 10 events, 1 caller", ours(1, 10, STREAMS)),
        ("with keys unnest 512 rows x 4", keyed(4, 512)),
        ("ours 10 events, 16 callers", ours(16, 10, STREAMS)),
        ("copy 2000 rows x 1", copy(1)),
        ("ours 10 events, 64 callers", ours(64, 10, STREAMS)),
        ("copy 2000 rows x 2", copy(2)),
        ("ours 10 events, 256 callers", ours(256, 10, STREAMS)),
        ("hot aggregate, 1 caller", ours(1, 1, 1)),
        ("hot aggregate, 64 callers", ours(64, 1, 1)),
        ("hot aggregate, 256 callers", ours(256, 1, 1)),
    ];
    cells.into_iter().map(|(name, work)| (name.to_owned(), work)).collect()
}

/// Measures everything.
///
/// # Errors
/// A cell cannot be measured; one whose invariant does not hold is in the report.
pub(crate) async fn run(args: &Args, surroundings: &Surroundings) -> Result<Report, Failure> {
    let mut report = Report::begin("append", args.rounds);
    report.conditions = conditions()?;
    let mut serial = SerialCommits::prepare().await?;
    for round in 1..=args.rounds {
        for (name, work) in cells() {
            if !args.wants(&name) {
                continue;
            }
            let commits = serial.measure().await?;
            let slot = Slot { name: &name, round, pace: args.pace(), serial: &commits };
            report.push(match work {
                Work::Ours(load) => ours::measure(load, &slot, surroundings).await?,
                Work::Raw(load) => raw::measure(load, &slot, surroundings).await?,
            });
        }
    }
    ratios(&mut report);
    Ok(report.end())
}

fn conditions() -> Result<Vec<String>, Failure> {
    let log = Surroundings::log_settings("postgres://postgres@127.0.0.1/none")?;
    Ok(vec![
        format!(
            "one process: the callers, the lanes and the raw limits' clients all run in `bench`; \
             {STREAMS} streams, events of {} bytes, chosen by fixed seeds; a new database for every \
             cell",
            ours::DATUM_BYTES
        ),
        format!(
            "the log's settings are command-api's defaults: {} partitions, {} lanes, at most {} \
             commands a batch, a snapshot every {} events",
            log.partitions, log.lanes, log.batch_commands, log.snapshot_every
        ),
        "PostgreSQL with `fsync=on`, `synchronous_commit=on`, `shared_buffers=256MB`; nothing else \
         is set for a cell; every cell begins after a checkpoint"
            .to_owned(),
        "`bare` rows have no command key, so that the keys' index stays empty; rows `with keys` are \
         exactly those that ours writes; `copy` is binary and over the Unix socket"
            .to_owned(),
        "WAL is counted while a cell is measured (`pg_current_wal_lsn`), flushes over the whole \
         cell with its warming (`pg_stat_io`, object `wal`, all backends)"
            .to_owned(),
    ])
}

fn ratios(report: &mut Report) {
    const OURS: &str = "ours 1 event,";
    const BARE: &str = "bare unnest";
    let rate = |round: &Round, ours: &str, raw: &str| {
        Some(round.best(ours)?.per_second / round.best(raw)?.per_second)
    };
    let wal = |round: &Round, raw: &str| {
        let ours = round.best(OURS)?.wal_bytes_per_unit?;
        Some(ours / round.best(raw)?.wal_bytes_per_unit?)
    };
    report.ratio(
        "G2",
        "commands appended / bare UNNEST rows, same DDL, best cell each",
        Aim::AtLeast { floor: 0.45, goal: 0.60 },
        |round| rate(round, OURS, BARE),
    );
    report.ratio(
        "G2 with keys",
        "the same, the bare rows with the keys that ours has",
        Aim::None,
        |round| rate(round, OURS, "with keys unnest"),
    );
    report.ratio("G2 copy", "commands appended / COPY rows, best cell each", Aim::None, |round| {
        rate(round, OURS, "copy")
    });
    report.ratio(
        "G14",
        "WAL bytes per command / bare event insert, best cells",
        Aim::AtMost { floor: 1.6, goal: 1.3 },
        |round| wal(round, BARE),
    );
    report.ratio(
        "G14 with keys",
        "the same, the bare rows with the keys that ours has",
        Aim::None,
        |round| wal(round, "with keys unnest"),
    );
    report.ratio(
        "G15",
        "flushes per command at saturation (2,048 callers)",
        Aim::AtMost { floor: 0.1, goal: 0.02 },
        |round| round.cell("ours 1 event, 2048 callers")?.flushes_per_unit,
    );
    report.ratio("G15 256", "flushes per command at 256 callers", Aim::None, |round| {
        round.cell("ours 1 event, 256 callers")?.flushes_per_unit
    });
    report.ratio(
        "hot",
        "one aggregate at 256 callers / 1,000 aggregates at 256 callers",
        Aim::None,
        |round| {
            let hot = round.rate("hot aggregate, 256 callers")?;
            Some(hot / round.rate("ours 1 event, 256 callers")?)
        },
    );
    report.ratio("idle", "p50 of one command at a time / p50 of one commit", Aim::None, |round| {
        let cell = round.cell("ours 1 event, 1 caller")?;
        let us = bench_load::as_f64;
        Some(us(cell.latency.p50_us) / us(cell.serial_commit_p50_us))
    });
}
