//! The summary of a run: one line of JSON, and the verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::checker::{Findings, Sagas};
use crate::history::Counts;
use crate::lag::percentile;
use crate::nemesis::Fired;
use crate::schedule::Kind;

/// From so long on, chance must have called on every defence.
const DEFENCES_FROM: Duration = Duration::from_secs(300);
/// From so long on, there is room for every kind of fault.
const KINDS_FROM: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) minutes: f64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) events: u64,
    pub(crate) lost: usize,
    pub(crate) duplicated: usize,
    pub(crate) order_breaks: usize,
    pub(crate) divergent_rows: usize,
    pub(crate) stuck_streams: usize,
    pub(crate) double_steps: usize,
    pub(crate) stuck_sagas: usize,
    pub(crate) sagas: Sagas,
    /// Store, topics and projections agree.
    pub(crate) equal: bool,
    pub(crate) repeats_on_topics: u64,
    pub(crate) alerts: usize,
    pub(crate) defences: BTreeMap<String, u64>,
    pub(crate) lag_seconds: Lags,
    pub(crate) recovery_seconds: Recoveries,
    /// Why it is not ok, beside the counts.
    pub(crate) problems: Vec<String>,
    pub(crate) ok: bool,
}

/// Of all looks at the lag.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Lags {
    p50: f64,
    p99: f64,
    max: f64,
}

/// Of all faults.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Recoveries {
    p95: f64,
    max: f64,
}

/// What a summary is made of.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) seed: u64,
    pub(crate) load: Duration,
    pub(crate) kinds: &'a [Kind],
    pub(crate) fired: &'a Fired,
    pub(crate) counts: Counts,
    pub(crate) found: &'a Findings,
    pub(crate) alerts: usize,
    pub(crate) defences: BTreeMap<String, u64>,
    pub(crate) lags: &'a [f64],
    pub(crate) recoveries: &'a [f64],
    pub(crate) problems: Vec<String>,
}

impl Report {
    /// Whether the checker found anything: a run that could not be carried out found nothing.
    pub(crate) fn found_something(&self) -> bool {
        let found = [
            self.lost,
            self.duplicated,
            self.order_breaks,
            self.divergent_rows,
            self.stuck_streams,
            self.double_steps,
            self.stuck_sagas,
        ];
        !self.equal || found.iter().any(|count| *count > 0)
    }

    /// Judges.
    pub(crate) fn of(parts: Parts<'_>) -> Report {
        let Parts { fired, counts, found, lags, recoveries, .. } = parts;
        let mut problems = parts.problems;
        problems.extend(fired.problems.iter().cloned());
        let count = |kind: &Kind| fired.counts.get(kind).copied().unwrap_or_default();
        if parts.load >= KINDS_FROM {
            let missing = parts.kinds.iter().filter(|kind| count(kind) == 0);
            problems.extend(missing.map(|kind| format!("{kind} was promised and never fired")));
        }
        if parts.load >= DEFENCES_FROM {
            let idle = parts.defences.iter().filter(|(_, seen)| **seen == 0);
            problems.extend(idle.map(|(name, _)| format!("no {name} was ever seen")));
        }
        if counts.acknowledged == 0 {
            problems.push("nothing was acknowledged".to_owned());
        }
        let tenths = |figure: f64| (figure * 10.0).round() / 10.0; // looks are 0.25 s apart
        Report {
            seed: parts.seed,
            minutes: parts.load.as_secs_f64() / 60.0,
            faults: parts.kinds.iter().map(|kind| (kind.name(), count(kind))).collect(),
            acknowledged: counts.acknowledged,
            failed: counts.failed,
            unknown: counts.unknown,
            events: found.events,
            lost: found.lost.len(),
            duplicated: found.duplicated.len(),
            order_breaks: found.order_breaks.len(),
            divergent_rows: found.divergent_rows.len(),
            stuck_streams: found.stuck_streams.len(),
            double_steps: found.double_steps.len(),
            stuck_sagas: found.stuck_sagas.len(),
            sagas: found.sagas,
            equal: found.differences.is_empty(),
            repeats_on_topics: found.repeats_on_topics,
            alerts: parts.alerts,
            defences: parts.defences,
            lag_seconds: Lags {
                p50: tenths(percentile(lags, 50)),
                p99: tenths(percentile(lags, 99)),
                max: tenths(percentile(lags, 100)),
            },
            recovery_seconds: Recoveries {
                p95: tenths(percentile(recoveries, 95)),
                max: tenths(percentile(recoveries, 100)),
            },
            ok: found.is_clean() && problems.is_empty(),
            problems,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(load: Duration, fired: &Fired, found: &Findings, seen: u64) -> Report {
        let defences = BTreeMap::from([("repeat skipped".to_owned(), seen)]);
        Report::of(Parts {
            seed: 1,
            load,
            kinds: &[Kind::KillKafka],
            fired,
            counts: Counts { acknowledged: 1, ..Counts::default() },
            found,
            alerts: 0,
            defences,
            lags: &[],
            recoveries: &[],
            problems: Vec::new(),
        })
    }

    #[test]
    fn a_promised_fault_that_never_fired_fails_a_run_of_two_minutes() {
        let (none, found) = (Fired::default(), Findings::default());
        let mut once = Fired::default();
        once.counts.insert(Kind::KillKafka, 1);
        assert!(report(Duration::from_secs(30), &none, &found, 0).ok);
        assert!(!report(Duration::from_secs(120), &none, &found, 0).ok);
        assert!(report(Duration::from_secs(120), &once, &found, 0).ok);
    }

    #[test]
    fn a_defence_that_was_never_seen_fails_a_run_of_five_minutes() {
        let mut once = Fired::default();
        once.counts.insert(Kind::KillKafka, 1);
        let found = Findings::default();
        assert!(!report(Duration::from_secs(300), &once, &found, 0).ok);
        assert!(report(Duration::from_secs(300), &once, &found, 1).ok);
    }

    #[test]
    fn anything_that_is_found_fails_a_run() {
        let found = Findings { divergent_rows: vec!["a row".to_owned()], ..Findings::default() };
        assert!(!report(Duration::from_secs(30), &Fired::default(), &found, 0).ok);
    }
}
