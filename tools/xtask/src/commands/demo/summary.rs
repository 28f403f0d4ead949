//! What a person sees when the import is done.

use std::fmt::Write;

use super::http::segment;
use super::import::Imported;
use super::report::Orders;
use super::services::{Place, SERVICES, Services};
use super::system::{Alerts, ReadModels, Sales};
use crate::failure::Failure;

/// The import in two or three lines.
pub(crate) fn imported(imported: &Imported, lines: u64) -> String {
    let mut text = format!(
        "{lines} lines in {:.1} s: {} accepted, {} of them returns",
        imported.took.as_secs_f64(),
        imported.accepted,
        imported.returns,
    );
    for (reason, count) in &imported.refused {
        let _string_takes_all = write!(text, "\n  {count} refused: {reason}");
    }
    for (reason, count) in &imported.items_refused {
        let _string_takes_all = write!(text, "\n  {count} items not added: {reason}");
    }
    for (reason, count) in &imported.customers_refused {
        let _string_takes_all = write!(text, "\n  {count} customers not registered: {reason}");
    }
    if imported.replayed > 0 {
        let replayed = imported.replayed;
        let _string_takes_all = write!(
            text,
            "\n  {replayed} requests were repeats of an earlier run and changed nothing"
        );
    }
    text
}

/// The orders in a line, and one for each reason why some were refused.
pub(crate) fn orders(orders: &Orders) -> String {
    let mut text = format!(
        "{} orders of {} customers: {} items, {} at the catalogue's prices",
        orders.placed,
        orders.customers,
        orders.items,
        pounds(orders.total_cents),
    );
    for (reason, count) in &orders.refused {
        let _string_takes_all = write!(text, "\n  {count} orders refused: {reason}");
    }
    for (status, count) in &orders.settled {
        let _string_takes_all = write!(text, "\n  {count} {status}");
    }
    let conserved = |conserved| if conserved { "conserved" } else { "NOT conserved" };
    let _string_takes_all = write!(
        text,
        "\n  stock {}, money {}, {} processes open",
        conserved(orders.stock_conserved),
        conserved(orders.money_conserved),
        orders.sagas_open,
    );
    text
}

/// The read models and the alerts.
pub(crate) fn read_models(models: &ReadModels, alerts: Alerts, delivered_now: usize) -> String {
    let stats = &models.stats;
    let mut text = format!(
        "{} items, {} of them sold: {} sales, {} units, {}; {} returns\n",
        stats.items,
        stats.items_sold,
        stats.total_sales,
        stats.units_sold,
        pounds(stats.revenue_cents),
        stats.returns,
    );
    let named = |row: &Sales| format!("{:<12} {}", row.key, row.name);
    table(&mut text, "top items", &stats.top_items, named);
    table(&mut text, "revenue by day", &models.days, |row| row.key.clone());
    table(&mut text, "revenue by country", &models.countries, |row| row.key.clone());
    let _string_takes_all = write!(
        text,
        "\nlow-stock alerts: {} opened, {} delivered (this demo's receiver got {delivered_now} messages); \
         {} items are low now",
        alerts.opened, alerts.delivered, stats.low_stock_count,
    );
    text
}

fn table(text: &mut String, title: &str, rows: &[Sales], label: impl Fn(&Sales) -> String) {
    let _string_takes_all = writeln!(text, "\n{title}");
    for row in rows.iter().take(10) {
        let revenue = pounds(row.revenue_cents);
        let _string_takes_all =
            writeln!(text, "  {:<50} {:>8} units {revenue:>14}", label(row), row.units_sold);
    }
    if rows.len() > 10 {
        let _string_takes_all = writeln!(text, "  and {} more", rows.len() - 10);
    }
}

/// `£240,258.29`.
fn pounds(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let (whole, part) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}£{grouped}.{part:02}")
}

/// Where everything is, and three lines to try with this item.
///
/// # Errors
/// A service does not run.
pub(crate) fn addresses(services: &Services, sku: &str) -> Result<String, Failure> {
    let mut text = String::new();
    for (service, _, _) in SERVICES {
        let Place { url, admin_url } = services.place(service)?;
        let _string_takes_all =
            writeln!(text, "  {service:<16} {url}  (health and metrics: {admin_url})");
    }
    let (api, list) = (&services.place("command-api")?.url, &services.place("projector-list")?.url);
    let sku = segment(sku);
    let _string_takes_all = write!(
        text,
        "  logs             {}\n\n\
         try\n  \
         curl -i -X POST {api}/inventory/{sku}/sales -H 'content-type: application/json' \
         -H 'idempotency-key: try-1' -d '{{\"quantity\": 1}}'\n  \
         curl '{list}/inventory?limit=5'\n  \
         curl {api}/inventory/{sku}/history\n\n\
         Ctrl-C ends everything; the data stays for the next run (--fresh starts from nothing)",
        services.logs().display(),
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_with_groups_of_three() {
        assert_eq!(pounds(24_025_829), "£240,258.29");
        assert_eq!(pounds(5), "£0.05");
        assert_eq!(pounds(-123_456_700), "-£1,234,567.00");
    }

    #[test]
    fn orders_are_told_in_a_line_and_their_refusals_below() {
        let mut placed = Orders { placed: 2, items: 3, total_cents: 1_300, ..Orders::default() };
        placed.stock_conserved = true;
        let line = "2 orders of 0 customers: 3 items, £13.00 at the catalogue's prices";
        let end = "\n  stock conserved, money NOT conserved, 0 processes open";
        assert_eq!(orders(&placed), format!("{line}{end}"));
        placed.refused.insert("unknown_item".to_owned(), 1);
        placed.settled.insert("delivered".to_owned(), 2);
        let more = "\n  1 orders refused: unknown_item\n  2 delivered";
        assert_eq!(orders(&placed), format!("{line}{more}{end}"));
    }

    #[test]
    fn refusals_and_repeats_are_told() {
        let mut done = Imported { accepted: 3, returns: 1, replayed: 2, ..Imported::default() };
        done.refused.insert("invalid_price".to_owned(), 22);
        let text = imported(&done, 25);
        assert!(text.starts_with("25 lines in 0.0 s: 3 accepted, 1 of them returns"), "{text}");
        assert!(text.contains("22 refused: invalid_price"), "{text}");
        assert!(text.contains("2 requests were repeats"), "{text}");
    }
}
