//! Judges figures by a rule: what services tell and what is remembered go in, a verdict for each
//! subject comes out, or why there can be none.
//!
//! Nothing here can fail in another way or take long: figures are compared with a limit, added, and
//! subtracted; what is not a finite number, lacks a label or is too much is an error of the rule.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Absent, Figure, Rule};

/// Subjects of one rule; a label with more values than this is not meant to be alerted on.
pub const MOST_SUBJECTS: usize = 1_000;
/// What is remembered of one series: a window of a day, looked at every fifteen seconds, is 5,760.
const MOST_READINGS: usize = 6_000;

/// One figure, as a process told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The service's name; several processes may have one.
    pub service: String,
    /// Which process, by its address.
    pub process: String,
    /// What it measures.
    pub metric: String,
    /// Of what.
    pub labels: BTreeMap<String, String>,
    /// Perhaps no number.
    pub value: f64,
}

/// What a rule says of a subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It fires.
    Firing(f64),
    /// It is above the limit, not yet for long enough.
    Pending(f64),
    /// It is not above it.
    Fine(f64),
}

/// Why a rule cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Nobody tells the figure.
    #[error("no service tells {0}")]
    Absent(String),
    /// The figure is no number.
    #[error("{metric} of {subject} is not a finite number")]
    NotANumber {
        /// What.
        metric: String,
        /// Of what.
        subject: String,
    },
    /// What the rule tells subjects apart by is not there.
    #[error("{metric} of {service} has no label {label:?}")]
    NoLabel {
        /// What.
        metric: String,
        /// Who told it.
        service: String,
        /// What is missing.
        label: String,
    },
    /// It would be an alert about everything.
    #[error("{0} has more than {MOST_SUBJECTS} subjects")]
    TooMany(String),
}

/// What is remembered of a rule from one look to the next.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    above_since: BTreeMap<String, DateTime<Utc>>,
    /// By process and labels, the readings within the window, oldest first.
    readings: BTreeMap<Series, Vec<(DateTime<Utc>, f64)>>,
}

type Series = (String, BTreeMap<String, String>);

/// Judges every subject that the samples tell of.
///
/// # Errors
/// See [`RuleError`]; what is remembered stays as it was.
pub fn judge(
    rule: &Rule,
    samples: &[Sample],
    memory: &mut Memory,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, Verdict>, RuleError> {
    let subjects = by_subject(rule, samples)?;
    let limit = rule.above.unwrap_or(f64::MAX); // checked when the settings were read
    match rule.figure {
        Figure::Value => Ok(judge_values(rule, limit, &subjects, memory, now)),
        Figure::Rise => Ok(judge_rises(rule, limit, &subjects, memory, now)),
    }
}

fn by_subject<'s>(
    rule: &Rule,
    samples: &'s [Sample],
) -> Result<BTreeMap<String, Vec<&'s Sample>>, RuleError> {
    let mut subjects: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.metric == rule.metric) {
        let subject = subject(rule, sample)?;
        if !sample.value.is_finite() {
            return Err(RuleError::NotANumber { metric: rule.metric.clone(), subject });
        }
        subjects.entry(subject).or_default().push(sample);
        if subjects.len() > MOST_SUBJECTS {
            return Err(RuleError::TooMany(rule.metric.clone()));
        }
    }
    if subjects.is_empty() && rule.absent == Absent::Error {
        return Err(RuleError::Absent(rule.metric.clone()));
    }
    Ok(subjects)
}

/// `projector-list/inventory_list`: the service, then the rule's labels.
fn subject(rule: &Rule, sample: &Sample) -> Result<String, RuleError> {
    let mut subject = sample.service.clone();
    for label in &rule.labels {
        let value = sample.labels.get(label).ok_or_else(|| RuleError::NoLabel {
            metric: rule.metric.clone(),
            service: sample.service.clone(),
            label: label.clone(),
        })?;
        subject.push('/');
        subject.push_str(value);
    }
    Ok(subject)
}

fn judge_values(
    rule: &Rule,
    limit: f64,
    subjects: &BTreeMap<String, Vec<&Sample>>,
    memory: &mut Memory,
    now: DateTime<Utc>,
) -> BTreeMap<String, Verdict> {
    let window = window(rule);
    let values = subjects.iter().map(|(subject, samples)| {
        let value = samples.iter().map(|sample| sample.value).fold(f64::MIN, f64::max);
        (subject.clone(), value)
    });
    let values: BTreeMap<String, f64> = values.collect();
    let is_above = |subject: &str| values.get(subject).is_some_and(|value| *value > limit);
    memory.above_since.retain(|subject, _| is_above(subject));
    let verdict = |(subject, value): (String, f64)| {
        if value <= limit {
            return (subject, Verdict::Fine(value));
        }
        let since = *memory.above_since.entry(subject.clone()).or_insert(now);
        let held = now.signed_duration_since(since) >= window;
        (subject, if held { Verdict::Firing(value) } else { Verdict::Pending(value) })
    };
    values.into_iter().map(verdict).collect()
}

fn judge_rises(
    rule: &Rule,
    limit: f64,
    subjects: &BTreeMap<String, Vec<&Sample>>,
    memory: &mut Memory,
    now: DateTime<Utc>,
) -> BTreeMap<String, Verdict> {
    let since = now.checked_sub_signed(window(rule)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let verdict = |(subject, samples): (&String, &Vec<&Sample>)| {
        let rises = samples.iter().map(|sample| {
            let series = (sample.process.clone(), sample.labels.clone());
            let readings = memory.readings.entry(series).or_default();
            readings.push((now, sample.value));
            readings.retain(|(at, _)| *at >= since);
            let most = readings.len().saturating_sub(MOST_READINGS);
            readings.drain(..most);
            rise(readings)
        });
        let rise: f64 = rises.sum();
        (subject.clone(), if rise > limit { Verdict::Firing(rise) } else { Verdict::Fine(rise) })
    };
    let verdicts = subjects.iter().map(verdict).collect();
    memory.readings.retain(|_, readings| readings.last().is_some_and(|(at, _)| *at >= since));
    verdicts
}

/// By how much a counter rose; one that is smaller than before began anew.
fn rise(readings: &[(DateTime<Utc>, f64)]) -> f64 {
    let steps = readings.windows(2).map(|pair| {
        let (before, after) = (pair[0].1, pair[1].1);
        if after >= before { after - before } else { after }
    });
    steps.sum()
}

fn window(rule: &Rule) -> TimeDelta {
    TimeDelta::from_std(rule.window()).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    /// Fires above 3, at once unless a test says otherwise.
    fn rule() -> Rule {
        let rules = crate::settings::defaults().rules;
        let rule = rules.named("dead_letters").unwrap().clone();
        Rule { metric: "parcels".to_owned(), above: Some(3.0), ..rule }
    }

    fn labels(projection: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("projection".to_owned(), projection.to_owned())])
    }

    fn sample(projection: &str, value: f64) -> Sample {
        let (service, process) = ("shop".to_owned(), "one".to_owned());
        Sample { service, process, metric: "parcels".to_owned(), labels: labels(projection), value }
    }

    fn firing(verdicts: &BTreeMap<String, Verdict>) -> Vec<&str> {
        let fires = |(_, verdict): &(_, &Verdict)| matches!(verdict, Verdict::Firing(_));
        verdicts.iter().filter(fires).map(|(subject, _)| subject.as_str()).collect()
    }

    #[test]
    fn a_rule_fires_for_each_subject_that_is_above_its_limit() {
        let samples = [sample("a", 4.0), sample("b", 3.0), sample("c", f64::from(i32::MAX))];
        let verdicts = judge(&rule(), &samples, &mut Memory::default(), at(0)).unwrap();
        assert_eq!(firing(&verdicts), ["shop/a", "shop/c"]);
    }

    #[test]
    fn of_several_processes_the_largest_value_counts() {
        let other = Sample { process: "two".to_owned(), ..sample("a", 0.0) };
        let samples = [sample("a", 4.0), other];
        let verdicts = judge(&rule(), &samples, &mut Memory::default(), at(0)).unwrap();
        assert_eq!(firing(&verdicts), ["shop/a"]);
    }

    #[test]
    fn a_value_must_be_above_the_limit_for_the_whole_window() {
        let (rule, mut memory) = (Rule { window_ms: 60_000, ..rule() }, Memory::default());
        let mut look = |value, seconds| {
            let verdicts = judge(&rule, &[sample("a", value)], &mut memory, at(seconds)).unwrap();
            verdicts["shop/a"]
        };
        assert_eq!(look(4.0, 0), Verdict::Pending(4.0));
        assert_eq!(look(5.0, 59), Verdict::Pending(5.0));
        assert_eq!(look(5.0, 60), Verdict::Firing(5.0));
        assert_eq!(look(3.0, 61), Verdict::Fine(3.0));
        assert_eq!(look(4.0, 62), Verdict::Pending(4.0), "and the window begins anew");
        assert_eq!(look(4.0, 10), Verdict::Pending(4.0), "a clock that goes back");
    }

    #[test]
    fn a_counter_fires_when_it_rises_by_more_than_the_limit_within_the_window() {
        let rise = Rule { figure: Figure::Rise, window_ms: 60_000, ..rule() };
        let mut memory = Memory::default();
        let mut look = |value, seconds| {
            let verdicts = judge(&rise, &[sample("a", value)], &mut memory, at(seconds)).unwrap();
            verdicts["shop/a"]
        };
        assert_eq!(look(100.0, 0), Verdict::Fine(0.0), "what was before is nobody's news");
        assert_eq!(look(102.0, 15), Verdict::Fine(2.0));
        assert_eq!(look(2.0, 30), Verdict::Firing(4.0), "a process that began anew");
        assert_eq!(look(2.0, 74), Verdict::Fine(2.0), "what is older than the window is over");
    }

    #[test]
    fn w11_what_is_no_number_is_an_error_of_the_rule() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let samples = [sample("a", 4.0), sample("b", bad)];
            let error = judge(&rule(), &samples, &mut Memory::default(), at(0)).unwrap_err();
            assert_eq!(error.to_string(), "parcels of shop/b is not a finite number");
        }
    }

    #[test]
    fn w11_a_figure_or_a_label_that_is_missing_is_an_error_of_the_rule() {
        let judged = |rule: &Rule, samples: &[Sample]| {
            judge(rule, samples, &mut Memory::default(), at(0)).map_err(|error| error.to_string())
        };
        assert_eq!(judged(&rule(), &[]).unwrap_err(), "no service tells parcels");
        let may_be_absent = Rule { absent: Absent::Fine, ..rule() };
        assert_eq!(judged(&may_be_absent, &[]), Ok(BTreeMap::new()));
        let bare = Sample { labels: BTreeMap::new(), ..sample("a", 4.0) };
        let missing = "parcels of shop has no label \"projection\"";
        assert_eq!(judged(&rule(), &[bare]).unwrap_err(), missing);
    }

    #[test]
    fn w11_more_subjects_than_anybody_reads_are_an_error_and_take_no_time() {
        let samples: Vec<Sample> =
            (0..200_000).map(|number| sample(&number.to_string(), 4.0)).collect();
        let began = std::time::Instant::now();
        let error = judge(&rule(), &samples, &mut Memory::default(), at(0)).unwrap_err();
        assert_eq!(error, RuleError::TooMany("parcels".to_owned()));
        let most = &samples[..MOST_SUBJECTS];
        assert_eq!(judge(&rule(), most, &mut Memory::default(), at(0)).unwrap().len(), 1_000);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }
}
