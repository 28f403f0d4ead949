//! A report as a table: for the terminal and, the same, for a document.

use std::fmt::Write as _;

use crate::figures::Range;
use crate::report::{Aim, Cell, Ratio, Report};

/// The whole report, as Markdown that also reads well as it stands.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        let _string_takes_all = writeln!(text, "{line}");
    };
    line(&format!(
        "Measured {} at commit {}, on {}; {} rounds; load average {} before, {} after; {:.0} serial \
         commits/s; invariants {}.",
        report.measured_at,
        report.commit,
        report.machine,
        report.rounds,
        report.load_before,
        report.load_after,
        report.serial_commits_per_second,
        if report.invariants_held { "held after every cell" } else { "did NOT hold" },
    ));
    line("");
    report.conditions.iter().for_each(|condition| line(&format!("- {condition}")));
    line("");
    aligned(&ratios(report)).iter().for_each(|row| line(row));
    line("");
    aligned(&cells(report)).iter().for_each(|row| line(row));
    text
}

fn ratios(report: &Report) -> Vec<Vec<String>> {
    let head = ["ratio", "what", "median", "range", "floor / goal", "verdict"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (name, Ratio { range, what, aim }) in &report.ratios {
        let aims = match aim {
            Aim::AtLeast { floor, goal } => format!("≥ {floor} / {goal}"),
            Aim::AtMost { floor, goal } => format!("≤ {floor} / {goal}"),
            Aim::None => String::new(),
        };
        rows.push(vec![
            name.clone(),
            what.clone(),
            short(range.median),
            format!("{} to {}", short(range.min), short(range.max)),
            aims,
            aim.verdict(range.median).to_owned(),
        ]);
    }
    rows
}

fn cells(report: &Report) -> Vec<Vec<String>> {
    let processes = processes(report);
    let mut head =
        ["cell", "unit", "per second", "range", "p50 µs", "p99 µs"].map(str::to_owned).to_vec();
    head.extend(processes.iter().map(|process| format!("CPU µs/unit {process}")));
    head.extend(["WAL B/unit", "flushes/unit", "serial commits/s", "invariant"].map(str::to_owned));
    let mut rows = vec![head];
    for name in names(report) {
        let cells: Vec<&Cell> = report.cells.iter().filter(|cell| cell.name == name).collect();
        let Some(first) = cells.first() else { continue };
        let of = |value: &dyn Fn(&Cell) -> f64| Range::of(cells.iter().map(|cell| value(cell)));
        let rate = of(&|cell| cell.per_second);
        let optional = |value: &dyn Fn(&Cell) -> Option<f64>| {
            let values: Vec<f64> = cells.iter().filter_map(|cell| value(cell)).collect();
            if values.is_empty() { String::new() } else { short(Range::of(values).median) }
        };
        let whole = |value: u64| bench_load::as_f64(value);
        let mut row = vec![
            name.to_owned(),
            first.unit.clone(),
            short(rate.median),
            format!("{} to {}", short(rate.min), short(rate.max)),
            short(of(&|cell| whole(cell.latency.p50_us)).median),
            short(of(&|cell| whole(cell.latency.p99_us)).median),
        ];
        for process in &processes {
            row.push(optional(&|cell| cell.cpu_us_per_unit.get(process).copied()));
        }
        row.push(optional(&|cell| cell.wal_bytes_per_unit));
        row.push(optional(&|cell| cell.flushes_per_unit));
        row.push(short(of(&|cell| cell.serial_commits_per_second).median));
        let held = cells.iter().all(|cell| cell.invariant.is_ok());
        row.push(if held { "held" } else { "VOID" }.to_owned());
        rows.push(row);
    }
    rows
}

/// In the order in which they were first measured.
fn names(report: &Report) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for cell in &report.cells {
        if !names.contains(&cell.name.as_str()) {
            names.push(&cell.name);
        }
    }
    names
}

fn processes(report: &Report) -> Vec<String> {
    let all = report.cells.iter().flat_map(|cell| cell.cpu_us_per_unit.keys().cloned());
    let all: std::collections::BTreeSet<String> = all.collect();
    all.into_iter().collect()
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} "));
            format!("|{}|", cells.collect::<Vec<_>>().join("|"))
        })
        .collect();
    let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|");
    lines.insert(lines.len().min(1), format!("|{rule}|"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_below_a_rule() {
        let rows = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), ["| a   | bb |", "|-----|----|", "| ccc | d  |"]);
    }

    #[test]
    fn a_figure_shows_what_is_known_of_it() {
        assert_eq!([12_345.6, 45.67, 0.4567, 0.0].map(short), ["12346", "45.7", "0.457", "0"]);
    }
}
