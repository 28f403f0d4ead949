//! What a bench found: cells in, ratios of cells of the same round out, one JSON file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bench_load::{Latency, Measured, Pace};
use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::figures::Range;
use crate::machine;
use crate::postgres::Serial;

/// One thing measured once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) name: String,
    /// From 1. Only cells of one round are compared.
    pub(crate) round: u16,
    /// What was done: `command`, `row`, `request`.
    pub(crate) unit: String,
    pub(crate) per_second: f64,
    /// Of one call, which may do several units.
    pub(crate) latency: Latency,
    /// User and system time of each process for one unit.
    pub(crate) cpu_us_per_unit: BTreeMap<String, f64>,
    /// Right before this cell, on the same disk.
    pub(crate) serial_commits_per_second: f64,
    pub(crate) serial_commit_p50_us: u64,
    /// What PostgreSQL wrote to its log.
    pub(crate) wal_bytes_per_unit: Option<f64>,
    /// How often it flushed it.
    pub(crate) flushes_per_unit: Option<f64>,
    /// What was found right afterwards, or what was not.
    pub(crate) invariant: Result<String, String>,
}

/// Where in a report a cell belongs, and what was found right before it.
pub(crate) struct Slot<'a> {
    pub(crate) name: &'a str,
    pub(crate) round: u16,
    pub(crate) pace: Pace,
    pub(crate) serial: &'a Serial,
}

impl Cell {
    /// A cell with what every cell has; its invariant is still to be checked.
    pub(crate) fn of(slot: &Slot<'_>, unit: &str, measured: &Measured) -> Cell {
        let serial = slot.serial;
        Cell {
            name: slot.name.to_owned(),
            round: slot.round,
            unit: unit.to_owned(),
            per_second: measured.per_second(),
            latency: measured.latency.clone(),
            cpu_us_per_unit: measured.cpu_us_per_unit().into_iter().collect(),
            serial_commits_per_second: serial.per_second,
            serial_commit_p50_us: serial.latency.p50_us,
            wal_bytes_per_unit: None,
            flushes_per_unit: None,
            invariant: Err("not checked".to_owned()),
        }
    }
}

/// What a ratio should come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    /// The higher the better.
    AtLeast { floor: f64, goal: f64 },
    /// The lower the better.
    AtMost { floor: f64, goal: f64 },
    /// Beside the others, for orientation.
    None,
}

impl Aim {
    /// How far a median got.
    pub(crate) fn verdict(self, median: f64) -> &'static str {
        let (floor, goal) = match self {
            Aim::AtLeast { floor, goal } => (median >= floor, median >= goal),
            Aim::AtMost { floor, goal } => (median <= floor, median <= goal),
            Aim::None => return "",
        };
        match (floor, goal) {
            (_, true) => "goal met",
            (true, false) => "floor met",
            (false, false) => "missed",
        }
    }
}

/// A ratio of cells of the same round, over all rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ratio {
    #[serde(flatten)]
    pub(crate) range: Range,
    /// What is divided by what.
    pub(crate) what: String,
    pub(crate) aim: Aim,
}

/// The result of one bench.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) bench: String,
    pub(crate) commit: String,
    pub(crate) machine: String,
    pub(crate) measured_at: String,
    pub(crate) rounds: u16,
    /// One, five and fifteen minutes before the first and after the last cell: whether the machine
    /// was quiet.
    pub(crate) load_before: String,
    pub(crate) load_after: String,
    /// What was measured, and every setting that is not the product's default.
    pub(crate) conditions: Vec<String>,
    pub(crate) serial_commits_per_second: f64,
    pub(crate) ratios: BTreeMap<String, Ratio>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) invariants_held: bool,
}

impl Report {
    /// An empty report; the machine is described as it is now.
    pub(crate) fn begin(bench: &str, rounds: u16) -> Report {
        Report {
            bench: bench.to_owned(),
            commit: machine::commit(),
            machine: machine::description(),
            measured_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            rounds,
            load_before: machine::load_average(),
            load_after: String::new(),
            conditions: Vec::new(),
            serial_commits_per_second: 0.0,
            ratios: BTreeMap::new(),
            cells: Vec::new(),
            invariants_held: false,
        }
    }

    /// Adds a cell and says so: a bench takes minutes.
    pub(crate) fn push(&mut self, cell: Cell) {
        let held = if cell.invariant.is_ok() { "" } else { "  VOID" };
        eprintln!(
            "round {}  {:<32} {:>9.0} {}s/s  p50 {} us{held}",
            cell.round, cell.name, cell.per_second, cell.unit, cell.latency.p50_us
        );
        if let Err(told) = &cell.invariant {
            eprintln!("  {told}");
        }
        self.cells.push(cell);
    }

    /// Computes a ratio within every round. A round that lacks a cell, or has a void one, is left
    /// out.
    pub(crate) fn ratio(
        &mut self,
        name: &str,
        what: &str,
        aim: Aim,
        of: impl Fn(&Round) -> Option<f64>,
    ) {
        let rounds = (1..=self.rounds).filter_map(|round| of(&Round::of(&self.cells, round)));
        let rounds: Vec<f64> = rounds.filter(|ratio| ratio.is_finite()).collect();
        if !rounds.is_empty() {
            let ratio = Ratio { range: Range::of(rounds), what: what.to_owned(), aim };
            self.ratios.insert(name.to_owned(), ratio);
        }
    }

    /// Nothing follows.
    pub(crate) fn end(mut self) -> Report {
        self.load_after = machine::load_average();
        let serial = self.cells.iter().map(|cell| cell.serial_commits_per_second);
        self.serial_commits_per_second = Range::of(serial).median;
        self.invariants_held =
            !self.cells.is_empty() && self.cells.iter().all(|cell| cell.invariant.is_ok());
        self
    }

    /// Writes `<folder>/<bench>.json`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf, Failure> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.bench));
        let text =
            serde_json::to_vec_pretty(self).map_err(|error| Failure::new(error.to_string()))?;
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// The cells of one round that are not void.
pub(crate) struct Round<'a>(Vec<&'a Cell>);

impl<'a> Round<'a> {
    fn of(cells: &'a [Cell], round: u16) -> Round<'a> {
        let ours = cells.iter().filter(|cell| cell.round == round && cell.invariant.is_ok());
        Round(ours.collect())
    }

    /// The cell of this name.
    pub(crate) fn cell(&self, name: &str) -> Option<&'a Cell> {
        self.0.iter().find(|cell| cell.name == name).copied()
    }

    /// How many units a second the cell of this name did.
    pub(crate) fn rate(&self, name: &str) -> Option<f64> {
        Some(self.cell(name)?.per_second)
    }

    /// The fastest cell of those whose name begins like this.
    pub(crate) fn best(&self, prefix: &str) -> Option<&'a Cell> {
        let ours = self.0.iter().filter(|cell| cell.name.starts_with(prefix));
        ours.max_by(|a, b| a.per_second.total_cmp(&b.per_second)).copied()
    }
}
