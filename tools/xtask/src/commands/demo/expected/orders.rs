//! What the file's customers order: their lines flow in, the orders' figures flow out. As all of the
//! expectation it shares nothing with what places the orders.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::commands::demo::report::Orders;

/// An invoice of more items than this is several orders.
const ITEMS_OF_AN_ORDER: usize = 250;

/// What was bought, and what it costs.
#[derive(Default)]
pub(super) struct Purchases {
    first_prices: BTreeMap<String, i64>,
    /// Units by SKU, of every customer's every invoice.
    invoices: BTreeMap<(String, String), BTreeMap<String, i64>>,
}

impl Purchases {
    /// Of every line, bought or not: an item costs what it costs where it first costs something.
    pub(super) fn see_price(&mut self, sku: &str, pence: i64) {
        if pence > 0 {
            self.first_prices.entry(sku.to_owned()).or_insert(pence);
        }
    }

    /// A line that belongs into an order.
    pub(super) fn take(&mut self, customer: &str, invoice: &str, sku: &str, quantity: i64) {
        let key = (customer.trim().to_owned(), invoice.trim().to_owned());
        *self.invoices.entry(key).or_default().entry(sku.to_owned()).or_default() += quantity;
    }

    /// The figures, once every line is taken.
    pub(super) fn figures(&self) -> Orders {
        let mut orders =
            Orders { stock_conserved: true, money_conserved: true, ..Orders::default() };
        let mut cents_by_customer: BTreeMap<&str, i64> = BTreeMap::new();
        for ((customer, invoice), units) in &self.invoices {
            let placed = units.len().div_ceil(ITEMS_OF_AN_ORDER) as u64;
            orders.placed += placed;
            let becomes = if invoice.ends_with('0') { "cancelled" } else { "delivered" };
            *orders.settled.entry(becomes.to_owned()).or_default() += placed;
            orders.items += units.len() as u64;
            let price = |sku: &String| self.first_prices.get(sku).copied().unwrap_or_default();
            let cents: i64 = units.iter().map(|(sku, units)| units * price(sku)).sum();
            orders.total_cents += cents;
            *cents_by_customer.entry(customer).or_default() += cents;
        }
        orders.customers = cents_by_customer.len() as u64;
        let mut hash = Sha256::new();
        for (customer, cents) in cents_by_customer {
            hash.update(customer);
            hash.update(format!(",{cents}\n"));
        }
        let bytes = hash.finalize();
        orders.total_by_customer_sha256 = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        orders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_an_invoice_names_twice_is_one_line_of_both_quantities() {
        let mut purchases = Purchases::default();
        purchases.see_price("A", 200);
        purchases.take("17", "1", "A", 2);
        purchases.take(" 17", "1 ", "A", 3);
        let orders = purchases.figures();
        assert_eq!((orders.placed, orders.items, orders.total_cents), (1, 1, 1_000));
    }

    #[test]
    fn an_item_costs_its_first_positive_price() {
        let mut purchases = Purchases::default();
        for pence in [0, -5, 210, 190] {
            purchases.see_price("A", pence);
        }
        purchases.take("17", "1", "A", 1);
        assert_eq!(purchases.figures().total_cents, 210);
    }

    #[test]
    fn an_invoice_of_more_items_than_an_order_may_have_is_several_orders() {
        let mut purchases = Purchases::default();
        for sku in 0..250 {
            purchases.take("17", "1", &sku.to_string(), 1);
        }
        assert_eq!(purchases.figures().placed, 1);
        purchases.take("17", "1", "one more", 1);
        let orders = purchases.figures();
        assert_eq!((orders.customers, orders.placed, orders.items), (1, 2, 251));
    }

    #[test]
    fn every_order_is_delivered_but_those_whose_invoice_ends_in_0() {
        let mut purchases = Purchases::default();
        for invoice in ["536360", "536361", "536370 ", "10"] {
            purchases.take("17", invoice, "A", 1);
        }
        let settled = [("cancelled".to_owned(), 3), ("delivered".to_owned(), 1)];
        assert_eq!(purchases.figures().settled, settled.into());
    }

    #[test]
    fn the_digest_is_over_the_customers_sorted_as_texts_whoever_came_first() {
        let mut purchases = Purchases::default();
        purchases.see_price("A", 100);
        purchases.take("9", "2", "A", 2);
        purchases.take("17", "1", "A", 5);
        purchases.take("17", "3", "A", 6);
        let orders = purchases.figures();
        assert_eq!((orders.customers, orders.placed), (2, 3));
        // printf '17,1100\n9,200\n' | sha256sum
        let digest = "7f6dc2dd137c4c4990c4ea59112fd1f5728134af514b3ba15d5912682117ebff";
        assert_eq!(orders.total_by_customer_sha256, digest);
    }
}
