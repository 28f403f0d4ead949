//! Which lines become orders: invoice lines flow in, customers, their orders and the lines that stay
//! on their own flow out.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::LinesBecome;
use super::invoices::InvoiceLine;

/// The most items of one order: the system's own limit.
const MAX_ITEMS: usize = 250;

/// What to ask of the system, once it knows the items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan<'a> {
    /// Who orders, as the file numbers its customers, each once.
    pub(crate) customers: Vec<&'a str>,
    /// What they order.
    pub(crate) orders: Vec<NewOrder<'a>>,
    /// Lines that are in no order.
    pub(crate) lines: Vec<&'a InvoiceLine>,
}

/// What a customer bought by one invoice, or the part of it that one order has room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewOrder<'a> {
    pub(crate) customer: &'a str,
    pub(crate) invoice: &'a str,
    /// 1 for the first order of the invoice.
    pub(crate) part: usize,
    /// Where the goods go, as far as the file says it; may be empty.
    pub(crate) country: &'a str,
    /// When the invoice was begun.
    pub(crate) occurred_at: DateTime<Utc>,
    /// Each item once.
    pub(crate) items: Vec<OrderedItem<'a>>,
}

/// All the units of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderedItem<'a> {
    pub(crate) sku: &'a str,
    pub(crate) quantity: i64,
    /// Lines of the file that say so.
    pub(crate) lines: u64,
}

/// A customer's invoice, not yet cut into orders.
struct Purchase<'a> {
    first: &'a InvoiceLine,
    items: Vec<OrderedItem<'a>>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Plan<'a> {
    /// Everything stays in the order of the file.
    pub(crate) fn of(lines: &'a [InvoiceLine], lines_become: LinesBecome) -> Plan<'a> {
        let mut plan = Plan::default();
        let mut purchases: Vec<Purchase> = Vec::new();
        let mut places: HashMap<(&str, &str), usize> = HashMap::new();
        for line in lines {
            if lines_become == LinesBecome::Sales
                || !line.is_valid_sale()
                || line.customer.is_empty()
            {
                plan.lines.push(line);
                continue;
            }
            let place = *places.entry((&line.customer, &line.invoice)).or_insert_with(|| {
                purchases.push(Purchase::begin(line));
                purchases.len() - 1
            });
            purchases[place].take(line);
        }
        let mut known = HashSet::new();
        let customers = purchases.iter().map(|purchase| purchase.first.customer.as_str());
        plan.customers = customers.filter(|customer| known.insert(*customer)).collect();
        plan.orders = purchases.iter().flat_map(Purchase::orders).collect();
        plan
    }

    /// How many requests that makes.
    pub(crate) fn requests(&self) -> usize {
        let given_up = self.orders.iter().filter(|order| order.is_given_up()).count();
        self.customers.len() + self.orders.len() + given_up + self.lines.len()
    }
}

impl NewOrder<'_> {
    /// Whether the customer thinks better of it as soon as it is confirmed: the file does not say, so
    /// every invoice whose number ends in 0 is taken for one.
    pub(crate) fn is_given_up(&self) -> bool {
        self.invoice.ends_with('0')
    }

    /// Lines of the file that it carries out.
    pub(crate) fn lines(&self) -> u64 {
        self.items.iter().map(|item| item.lines).sum()
    }
}

impl<'a> Purchase<'a> {
    fn begin(first: &'a InvoiceLine) -> Purchase<'a> {
        Purchase { first, items: Vec::new(), places: HashMap::new() }
    }

    fn take(&mut self, line: &'a InvoiceLine) {
        let place = *self.places.entry(&line.sku).or_insert_with(|| {
            self.items.push(OrderedItem { sku: &line.sku, quantity: 0, lines: 0 });
            self.items.len() - 1
        });
        let item = &mut self.items[place];
        item.quantity = item.quantity.saturating_add(line.quantity);
        item.lines += 1;
    }

    fn orders(&self) -> Vec<NewOrder<'a>> {
        let first = self.first;
        let order = |(part, items): (usize, &[OrderedItem<'a>])| NewOrder {
            customer: &first.customer,
            invoice: &first.invoice,
            part,
            country: &first.country,
            occurred_at: first.occurred_at,
            items: items.to_vec(),
        };
        (1..).zip(self.items.chunks(MAX_ITEMS)).map(order).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(invoice: &str, customer: &str, sku: &str, quantity: i64) -> InvoiceLine {
        InvoiceLine {
            number: 2,
            invoice: invoice.to_owned(),
            sku: sku.to_owned(),
            description: "LANTERN".to_owned(),
            quantity,
            unit_price_cents: 250,
            occurred_at: DateTime::UNIX_EPOCH,
            customer: customer.to_owned(),
            country: "France".to_owned(),
        }
    }

    #[test]
    fn an_invoice_becomes_its_customers_order_with_every_item_once() {
        let lines = [
            line("1", "17", "A", 2),
            line("1", "17", "B", 1),
            line("1", "17", "A", 3),
            line("2", "17", "A", 1),
            line("1", "9", "A", 4),
        ];
        let plan = Plan::of(&lines, LinesBecome::Orders);
        assert_eq!(plan.customers, ["17", "9"]);
        let orders: Vec<_> = plan
            .orders
            .iter()
            .map(|order| (order.invoice, order.customer, order.lines()))
            .collect();
        assert_eq!(orders, [("1", "17", 3), ("2", "17", 1), ("1", "9", 1)]);
        let items: Vec<_> =
            plan.orders[0].items.iter().map(|item| (item.sku, item.quantity)).collect();
        assert_eq!(items, [("A", 5), ("B", 1)]);
        assert_eq!((plan.lines.len(), plan.requests()), (0, 5));
    }

    #[test]
    fn lines_without_customer_returns_and_free_goods_stay_on_their_own() {
        let mut free = line("1", "17", "A", 1);
        free.unit_price_cents = 0;
        let lines = [line("1", "", "A", 1), line("C1", "17", "A", -1), free];
        let plan = Plan::of(&lines, LinesBecome::Orders);
        assert_eq!((plan.customers.len(), plan.orders.len(), plan.lines.len()), (0, 0, 3));
    }

    #[test]
    fn without_orders_every_line_stays_on_its_own() {
        let lines = [line("1", "17", "A", 1), line("1", "", "A", 1)];
        let plan = Plan::of(&lines, LinesBecome::Sales);
        assert_eq!((plan.orders.len(), plan.lines.len(), plan.requests()), (0, 2, 2));
    }

    #[test]
    fn an_invoice_of_more_items_than_an_order_may_have_becomes_several() {
        let lines: Vec<_> = (0..251).map(|sku| line("1", "17", &sku.to_string(), 1)).collect();
        let plan = Plan::of(&lines, LinesBecome::Orders);
        let parts: Vec<_> =
            plan.orders.iter().map(|order| (order.part, order.items.len())).collect();
        assert_eq!(parts, [(1, 250), (2, 1)]);
        assert_eq!(plan.customers, ["17"]);
    }
}
