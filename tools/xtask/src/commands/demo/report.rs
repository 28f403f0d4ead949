//! Two sides of the same totals, and the one line that a program reads.

use std::collections::BTreeMap;

use serde::Serialize;

/// Totals of a file's import: the system's, or the file's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Lines below the header.
    pub(crate) lines: u64,
    /// Lines that were carried out.
    pub(crate) accepted: u64,
    /// Lines that were not, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Sales of a positive quantity at a positive price.
    pub(crate) valid_lines: u64,
    /// Different items.
    pub(crate) items: u64,
    /// Different items in valid lines.
    pub(crate) items_sold: u64,
    /// Units in valid lines.
    pub(crate) units_sold: i64,
    /// What they brought in.
    pub(crate) revenue_cents: i64,
    /// Lines by which goods came back.
    pub(crate) returns: u64,
    /// Revenue by the buyer's country.
    pub(crate) revenue_by_country: BTreeMap<String, i64>,
}

/// What `--check` prints as its last line; the order of the fields is the order in the line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    /// The file as it was named.
    pub(crate) file: String,
    /// The system's side.
    #[serde(flatten)]
    pub(crate) totals: Totals,
    /// The file's side.
    pub(crate) expected: Totals,
    /// Everything is as it must be.
    pub(crate) equal: bool,
    /// Events in the log.
    pub(crate) log_events: u64,
    /// Rows of `processed_events`, by projection.
    pub(crate) processed_events: BTreeMap<String, u64>,
    /// Events that stand parked.
    pub(crate) parked: u64,
    /// Events that the slowest projection has not seen.
    pub(crate) lag_events: u64,
    /// From the first request to the last answer.
    pub(crate) import_seconds: f64,
    /// Over that time.
    pub(crate) commands_per_second: f64,
}

/// Everything in which the two sides differ, each as a sentence.
pub(crate) fn differences(system: &Totals, file: &Totals) -> Vec<String> {
    let numbers = |totals: &Totals| {
        let count = |number: u64| i128::from(number);
        [
            ("lines", count(totals.lines)),
            ("accepted", count(totals.accepted)),
            ("valid_lines", count(totals.valid_lines)),
            ("items", count(totals.items)),
            ("items_sold", count(totals.items_sold)),
            ("units_sold", totals.units_sold.into()),
            ("revenue_cents", totals.revenue_cents.into()),
            ("returns", count(totals.returns)),
        ]
    };
    let pairs = numbers(system).into_iter().zip(numbers(file));
    let plain = pairs.map(|((name, system), (_, file))| (name.to_owned(), system, file));
    let refused = by_key("refused", &system.refused, &file.refused);
    let countries =
        by_key("revenue_by_country", &system.revenue_by_country, &file.revenue_by_country);
    plain
        .chain(refused)
        .chain(countries)
        .filter(|(_, system, file)| system != file)
        .map(|(name, system, file)| format!("{name}: the system has {system}, the file {file}"))
        .collect()
}

fn by_key<N: Copy + Into<i128>>(
    name: &str,
    system: &BTreeMap<String, N>,
    file: &BTreeMap<String, N>,
) -> Vec<(String, i128, i128)> {
    let mut keys: Vec<&String> = system.keys().chain(file.keys()).collect();
    keys.sort();
    keys.dedup();
    let of = |side: &BTreeMap<String, N>, key| side.get(key).map_or(0, |number| (*number).into());
    keys.into_iter()
        .map(|key| (format!("{name} of {key:?}"), of(system, key), of(file, key)))
        .collect()
}

/// Projections that did not process every event of what they read exactly once, parked ones left
/// out. Both by projection: the events that there are, and those that it processed.
pub(crate) fn unequal_projections(
    events: &BTreeMap<String, u64>,
    processed_events: &BTreeMap<String, u64>,
) -> Vec<String> {
    processed_events
        .iter()
        .map(|(name, processed)| (name, processed, events.get(name).copied().unwrap_or_default()))
        .filter(|(_, processed, events)| *processed != events)
        .map(|(name, processed, events)| format!("{name} processed {processed} of {events} events"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_difference_is_named_with_both_sides() {
        let mut system = Totals { lines: 3, units_sold: 7, ..Totals::default() };
        let mut file = system.clone();
        assert!(differences(&system, &file).is_empty());
        system.units_sold = 6;
        system.refused.insert("busy".to_owned(), 1);
        file.revenue_by_country.insert("France".to_owned(), 250);
        assert_eq!(
            differences(&system, &file),
            [
                "units_sold: the system has 6, the file 7",
                "refused of \"busy\": the system has 1, the file 0",
                "revenue_by_country of \"France\": the system has 0, the file 250",
            ]
        );
    }

    #[test]
    fn a_projection_that_missed_or_doubled_an_event_is_named() {
        let by_name = |numbers: [u64; 3]| {
            ["a", "b", "c"].map(str::to_owned).into_iter().zip(numbers).collect()
        };
        let (events, processed) = (by_name([5, 5, 7]), by_name([5, 4, 7]));
        assert_eq!(unequal_projections(&events, &processed), ["b processed 4 of 5 events"]);
    }

    #[test]
    fn a_projection_of_which_nobody_knows_what_it_reads_is_named() {
        let processed = [("a".to_owned(), 5)].into();
        let told = unequal_projections(&BTreeMap::new(), &processed);
        assert_eq!(told, ["a processed 5 of 0 events"]);
    }

    #[test]
    fn the_report_is_one_object_with_the_systems_totals_on_top() {
        let report = Report {
            file: "f.csv".to_owned(),
            totals: Totals { lines: 2, ..Totals::default() },
            expected: Totals { lines: 2, ..Totals::default() },
            equal: true,
            log_events: 4,
            processed_events: BTreeMap::new(),
            parked: 0,
            lag_events: 0,
            import_seconds: 0.5,
            commands_per_second: 8.0,
        };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["lines"], &json["expected"]["lines"]), (&json!(2), &json!(2)));
        assert_eq!(json.as_object().unwrap().len(), 19);
    }
}
