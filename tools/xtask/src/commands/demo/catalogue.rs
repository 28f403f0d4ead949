//! Which items a file needs and how much of each: invoice lines flow in, items with an opening
//! stock flow out. It is the same stock whether valid lines become sales or orders: whatever will
//! reserve the orders' goods finds them.

use std::collections::HashMap;

use super::invoices::InvoiceLine;

/// An item before its first sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewItem {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) quantity: i64,
    pub(crate) unit_price_cents: i64,
}

/// Names are cut here: the system's own limit, in characters.
const MAX_NAME: usize = 200;

/// Every item of the file, in the order of its first line. An item's name is its first description,
/// its price its first positive one, and its stock what the file will sell and a margin.
pub(crate) fn of(lines: &[InvoiceLine]) -> Vec<NewItem> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut items: Vec<NewItem> = Vec::new();
    for line in lines {
        let place = *places.entry(&line.sku).or_insert_with(|| {
            items.push(NewItem {
                sku: line.sku.clone(),
                name: String::new(),
                quantity: margin(&line.sku),
                unit_price_cents: 0,
            });
            items.len() - 1
        });
        let item = &mut items[place];
        if item.name.is_empty() {
            item.name = name(&line.description);
        }
        if item.unit_price_cents == 0 {
            item.unit_price_cents = line.unit_price_cents.max(0);
        }
        if line.is_valid_sale() {
            item.quantity = item.quantity.saturating_add(line.quantity);
        }
    }
    for item in items.iter_mut().filter(|item| item.name.is_empty()) {
        item.name.clone_from(&item.sku);
    }
    items
}

fn name(description: &str) -> String {
    let plain: String = description.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    plain.trim().to_owned()
}

/// What is left of an item when all is sold: at or below the usual reorder point of 5 for one item
/// in 16, so that a demo shows alerts by the hundred and not by the thousand; 6 to 20 for the rest.
/// Always the same for the same SKU.
fn margin(sku: &str) -> i64 {
    // FNV-1a, 64 bits (datatracker.ietf.org/doc/draft-eastlake-fnv); its low bits spread best.
    let hash = sku.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    match i64::try_from(hash % 16) {
        Ok(0) | Err(_) => 3,
        Ok(spread) => 5 + spread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, description: &str, quantity: i64, unit_price_cents: i64) -> InvoiceLine {
        InvoiceLine {
            number: 2,
            invoice: "536365".to_owned(),
            sku: sku.to_owned(),
            description: description.to_owned(),
            quantity,
            unit_price_cents,
            occurred_at: chrono::DateTime::UNIX_EPOCH,
            customer: String::new(),
            country: "France".to_owned(),
        }
    }

    #[test]
    fn an_item_has_its_first_name_and_price_and_enough_stock_for_every_sale() {
        let lines = [
            line("A", "", -2, 0),
            line("A", "LANTERN", 3, 250),
            line("A", "lantern, metal", 4, 199),
            line("A", "free", 9, 0),
            line("B", "", 1, 0),
        ];
        let items = of(&lines);
        assert_eq!(items.len(), 2);
        assert_eq!((items[0].name.as_str(), items[0].unit_price_cents), ("LANTERN", 250));
        assert_eq!(items[0].quantity, 7 + margin("A"));
        assert_eq!((items[1].name.as_str(), items[1].unit_price_cents), ("B", 0));
    }

    #[test]
    fn some_items_end_at_their_reorder_point_and_most_do_not() {
        let margins: Vec<i64> = (0..1_000).map(|n| margin(&format!("{n}"))).collect();
        let low = margins.iter().filter(|margin| **margin <= 5).count();
        assert!((20..200).contains(&low), "{low}");
        assert!(margins.iter().all(|margin| (3..=20).contains(margin)));
    }
}
