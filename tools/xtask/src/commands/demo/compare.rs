//! Puts what the system came to beside what the file says: figures of both flow in, the report flows
//! out.

use super::import::Imported;
use super::invoices::Invoices;
use super::operator::{Status, Verified};
use super::report::{Orders, Report, Totals, differences, unequal_projections};
use super::system::ReadModels;

/// What the system has: the read models' figures, its own answers line by line, and the orders of
/// the event log.
pub(crate) fn system_side(
    invoices: &Invoices,
    imported: &Imported,
    models: &ReadModels,
    orders: Option<Orders>,
) -> Totals {
    let mut refused = imported.refused.clone();
    for reason in &invoices.unusable {
        *refused.entry((*reason).to_owned()).or_default() += 1;
    }
    Totals {
        lines: invoices.count,
        accepted: imported.accepted,
        refused,
        valid_lines: models.stats.total_sales,
        items: models.listed.len() as u64,
        items_sold: models.stats.items_sold,
        units_sold: models.stats.units_sold,
        revenue_cents: models.stats.revenue_cents,
        returns: models.stats.returns,
        revenue_by_country: models.revenue_by_country(),
        orders,
    }
}

/// Both sides, and whether they are equal; every difference is told.
pub(crate) fn report(
    file: String,
    totals: Totals,
    expected: Totals,
    imported: &Imported,
    status: Status,
    verified: Verified,
) -> Report {
    let mut different = differences(&totals, &expected);
    let events = status.events_by_projection();
    different.extend(unequal_projections(&events, &verified.processed_events));
    for (what, refusals) in
        [("items", &imported.items_refused), ("customers", &imported.customers_refused)]
    {
        different.extend(refusals.iter().map(|(code, count)| format!("{count} {what}: {code}")));
    }
    if status.parked > 0 {
        different.push(format!("{} events are parked", status.parked));
    }
    different.iter().for_each(|difference| eprintln!("differs: {difference}"));
    let seconds = imported.took.as_secs_f64();
    Report {
        file,
        totals,
        expected,
        equal: different.is_empty() && verified.equal,
        log_events: status.log_events,
        processed_events: verified.processed_events,
        parked: status.parked,
        lag_events: status.lag_events,
        import_seconds: rounded(seconds),
        commands_per_second: rounded(per_second(imported.commands, seconds)),
    }
}

/// A rate for people; it has no more than 15 digits.
#[allow(clippy::cast_precision_loss)]
fn per_second(commands: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { commands as f64 / seconds } else { 0.0 }
}

/// To hundredths: more would pretend to be exact.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(orders: Orders) -> Totals {
        Totals { lines: 3, orders: Some(orders), ..Totals::default() }
    }

    fn compared(system: Totals, file: Totals) -> Report {
        let (imported, status) = (Imported::default(), Status::default());
        let verified = Verified { equal: true, ..Verified::default() };
        report("f.csv".to_owned(), system, file, &imported, status, verified)
    }

    #[test]
    fn a_check_succeeds_only_when_every_figure_of_the_orders_is_the_files() {
        let file = Orders {
            customers: 2,
            placed: 3,
            items: 4,
            total_cents: 1_300,
            total_by_customer_sha256: "aa".to_owned(),
            ..Orders::default()
        };
        let same = compared(with(file.clone()), with(file.clone()));
        assert!(same.equal && same.verdict().is_ok());
        for system in [
            Orders { customers: 3, ..file.clone() },
            Orders { placed: 4, ..file.clone() },
            Orders { refused: [("unknown_item".to_owned(), 1)].into(), ..file.clone() },
            Orders { items: 5, ..file.clone() },
            Orders { total_cents: 1_301, ..file.clone() },
            Orders { total_by_customer_sha256: "bb".to_owned(), ..file.clone() },
        ] {
            let report = compared(with(system), with(file.clone()));
            assert!(!report.equal && report.verdict().is_err(), "{:?}", report.totals.orders);
        }
    }

    #[test]
    fn a_check_fails_when_one_side_has_no_orders() {
        let orders = Orders { placed: 1, ..Orders::default() };
        assert!(compared(Totals::default(), with(orders.clone())).verdict().is_err());
        assert!(compared(with(orders), Totals::default()).verdict().is_err());
    }

    #[test]
    fn a_check_fails_when_store_topic_and_projections_do_not_agree() {
        let (imported, status) = (Imported::default(), Status::default());
        let (totals, verified) = (Totals::default(), Verified::default());
        let report =
            report("f.csv".to_owned(), totals.clone(), totals, &imported, status, verified);
        assert!(report.verdict().is_err());
    }
}
