//! What a process tells of itself, as samples: Prometheus' text exposition format 0.0.4, and the
//! readiness of its parts. Lines that are none are passed over: figures that somebody needs and that
//! are missing are the rule's to notice.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::settings::Service;
use crate::rules::judging::Sample;

/// 1 for a part that does not work, 0 for one that does, by its `component`.
pub(super) const NOT_READY: &str = "component_not_ready";

/// The samples of these metrics.
pub(super) fn metrics(service: &Service, text: &str, wanted: &BTreeSet<String>) -> Vec<Sample> {
    let lines = text.lines().filter_map(|line| {
        let name_ends = line.find(|c: char| c == '{' || c.is_whitespace())?;
        let (name, rest) = line.split_at(name_ends);
        if !wanted.contains(name) {
            return None; // most lines, and every comment
        }
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (BTreeMap::new(), rest),
        };
        let value = rest.split_whitespace().next()?.parse().ok()?; // a timestamp may follow
        Some(sample(service, name, labels, value))
    });
    lines.collect()
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.insert(name.trim().to_owned(), value);
        rest = quoted.get(end + 1..)?;
    }
}

#[derive(Deserialize)]
struct Readiness {
    components: BTreeMap<String, Part>,
}

#[derive(Deserialize)]
struct Part {
    status: String,
}

/// A sample for each part of the process.
pub(super) fn readiness(service: &Service, text: &str) -> Result<Vec<Sample>, String> {
    let readiness: Readiness =
        serde_json::from_str(text).map_err(|error| format!("no readiness: {error}"))?;
    let parts = readiness.components.into_iter().map(|(component, part)| {
        let labels = BTreeMap::from([("component".to_owned(), component)]);
        let value = if part.status == "not_ready" { 1.0 } else { 0.0 };
        sample(service, NOT_READY, labels, value)
    });
    Ok(parts.collect())
}

fn sample(service: &Service, metric: &str, labels: BTreeMap<String, String>, value: f64) -> Sample {
    let (process, service) = (service.url.clone(), service.name.clone());
    Sample { service, process, metric: metric.to_owned(), labels, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        Service { name: "shop".to_owned(), url: "http://shop:9080".to_owned() }
    }

    fn told(text: &str) -> Vec<(Vec<(String, String)>, f64)> {
        let wanted = BTreeSet::from(["parcels".to_owned()]);
        let samples = metrics(&service(), text, &wanted);
        samples.into_iter().map(|one| (one.labels.into_iter().collect(), one.value)).collect()
    }

    fn label(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP parcels how many\n# TYPE parcels gauge\nparcels 3\nparcels_total 9\n\
                    parcels{to=\"a \\\"b\\\" \\\\ c\\nd\",from=\"x\",} 4.5 1700000000\n";
        let labels = vec![label("from", "x"), label("to", "a \"b\" \\ c\nd")];
        assert_eq!(told(text), [(vec![], 3.0), (labels, 4.5)]);
    }

    #[test]
    fn w11_numbers_that_are_none_are_told_as_such_and_lines_that_are_none_are_passed_over() {
        let told =
            told("parcels NaN\nparcels +Inf\nparcels\nparcels x\nparcels{a=\"b 1\nparcels{a} 1\n");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].1.is_nan() && told[1].1.is_infinite());
    }

    #[test]
    fn w11_whatever_a_service_says_is_read_without_a_panic() {
        const LETTERS: &[u8] = b"parcels{}=\"\\,\n 1e\xc3\xa4";
        for _ in 0..20_000 {
            let length = rand::random_range(0..60);
            let letter = || LETTERS[rand::random_range(0..LETTERS.len())];
            let bytes: Vec<u8> = std::iter::repeat_with(letter).take(length).collect();
            let text = format!("parcels{}", String::from_utf8_lossy(&bytes));
            let _read = told(&text);
            let _refused = readiness(&service(), &text);
        }
    }

    #[test]
    fn a_part_that_does_not_work_is_one_and_the_others_are_zero() {
        let text = r#"{"status":"not_ready","components":{
            "a":{"status":"ready"},"b":{"status":"degraded","reason":"x"},
            "c":{"status":"not_ready","reason":"y"}}}"#;
        let values: Vec<f64> =
            readiness(&service(), text).unwrap().iter().map(|one| one.value).collect();
        assert_eq!(values, [0.0, 0.0, 1.0]);
    }
}
