//! Two sides of the same totals, and the one line that a program reads.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::failure::Failure;

/// Totals of a file's import: the system's, or the file's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Lines below the header.
    pub(crate) lines: u64,
    /// Lines that were carried out.
    pub(crate) accepted: u64,
    /// Lines that were not, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Sales of a positive quantity at a positive price; from here to `revenue_by_country`, whatever
    /// is in an order counts there alone.
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
    /// The orders, when lines were to become some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) orders: Option<Orders>,
}

/// What registered customers ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Orders {
    /// Customers that were registered.
    pub(crate) customers: u64,
    /// Orders that were confirmed.
    pub(crate) placed: u64,
    /// Orders that were not, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Lines of all orders: different items of each.
    pub(crate) items: u64,
    /// What all orders come to.
    pub(crate) total_cents: i64,
    /// SHA-256, in hexadecimal, of the lines `customer,total_cents` of all who ordered: the customer
    /// as the file numbers it, sorted by that text, each line with its line feed.
    pub(crate) total_by_customer_sha256: String,
    /// Orders by where they ended.
    pub(crate) settled: BTreeMap<String, u64>,
    /// What left the shelf is what was ordered and not given up.
    pub(crate) stock_conserved: bool,
    /// What was paid is what delivered orders come to.
    pub(crate) money_conserved: bool,
    /// Processes that have not ended.
    pub(crate) sagas_open: u64,
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

impl Report {
    /// The JSON object.
    ///
    /// # Errors
    /// It does not become JSON, which every report does.
    pub(crate) fn line(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::new(error.to_string()))
    }

    /// What a check ends with.
    ///
    /// # Errors
    /// Something is not as it must be; what, was told.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        if self.equal { Ok(()) } else { Err(Failure::new("the totals differ: see above")) }
    }
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
    let numbers = plain.chain(refused).chain(countries);
    let mut different = unequal(numbers);
    let orders = |totals: &Totals| totals.orders.clone().unwrap_or_default();
    different.extend(different_orders(&orders(system), &orders(file)));
    different
}

fn different_orders(system: &Orders, file: &Orders) -> Vec<String> {
    let numbers = |orders: &Orders| {
        [
            ("customers", i128::from(orders.customers)),
            ("placed", orders.placed.into()),
            ("items", orders.items.into()),
            ("total_cents", orders.total_cents.into()),
            ("stock_conserved", orders.stock_conserved.into()),
            ("money_conserved", orders.money_conserved.into()),
            ("sagas_open", orders.sagas_open.into()),
        ]
    };
    let pairs = numbers(system).into_iter().zip(numbers(file));
    let plain = pairs.map(|((name, system), (_, file))| (format!("orders.{name}"), system, file));
    let refused = by_key("orders.refused", &system.refused, &file.refused);
    let settled = by_key("orders.settled", &system.settled, &file.settled);
    let mut different = unequal(plain.chain(refused).chain(settled));
    let [system, file] = [system, file].map(|orders| &orders.total_by_customer_sha256);
    if system != file {
        let name = "orders.total_by_customer_sha256";
        different.push(format!("{name}: the system has {system:?}, the file {file:?}"));
    }
    different
}

fn unequal(numbers: impl Iterator<Item = (String, i128, i128)>) -> Vec<String> {
    numbers
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
    fn orders_that_differ_are_named_with_both_sides() {
        let orders =
            Orders { placed: 2, total_by_customer_sha256: "aa".to_owned(), ..Orders::default() };
        let mut system = Totals { orders: Some(orders), ..Totals::default() };
        let file = system.clone();
        assert!(differences(&system, &file).is_empty());
        system.orders = Some(Orders {
            placed: 1,
            refused: [("unknown_item".to_owned(), 1)].into(),
            total_by_customer_sha256: "bb".to_owned(),
            ..Orders::default()
        });
        assert_eq!(
            differences(&system, &file),
            [
                "orders.placed: the system has 1, the file 2",
                "orders.refused of \"unknown_item\": the system has 1, the file 0",
                "orders.total_by_customer_sha256: the system has \"bb\", the file \"aa\"",
            ]
        );
    }

    #[test]
    fn the_report_is_one_object_with_the_systems_totals_on_top() {
        let mut report = Report {
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
        assert_eq!(json.as_object().unwrap().len(), 19, "no orders where none were asked for");
        report.totals.orders = Some(Orders { placed: 3, ..Orders::default() });
        report.expected.orders = Some(Orders { placed: 4, ..Orders::default() });
        let json = serde_json::to_value(&report).unwrap();
        let placed = (&json["orders"]["placed"], &json["expected"]["orders"]["placed"]);
        assert_eq!(placed, (&json!(3), &json!(4)));
    }
}
