//! The machinery knows no business: nothing in `crates/factline-*`, `crates/service-kit` and
//! `crates/read-kit` names a noun of it.

use super::Problem;
use super::tree::Tree;

/// The business's nouns and verbs, in lower case. "Order" is missing: in this code it nearly
/// always means a sequence; [`names_an_order`] finds the other one.
const NOUNS: [&str; 25] = [
    "sku",
    "skus",
    "customer",
    "customers",
    "inventory",
    "inventories",
    "stock",
    "stocks",
    "warehouse",
    "invoice",
    "invoices",
    "sale",
    "sales",
    "sell",
    "sold",
    "price",
    "prices",
    "revenue",
    "reservation",
    "reservations",
    "payment",
    "payments",
    "refund",
    "refunds",
    "retail",
];

/// Every line of the machinery that names a noun of the business.
pub(crate) fn problems(tree: &Tree) -> Vec<Problem> {
    let machinery = |path: &str| {
        ["crates/factline-", "crates/service-kit/", "crates/read-kit/"]
            .iter()
            .any(|folder| path.starts_with(folder))
    };
    let files = tree.files().filter(|(path, _)| machinery(path));
    files.flat_map(|(path, text)| in_file(path, text)).collect()
}

fn in_file(path: &str, text: &str) -> Vec<Problem> {
    let lines = (1..).zip(text.lines());
    lines
        .filter_map(|(number, line)| {
            let noun = names(line).find_map(noun_of)?;
            Some(format!("{path}:{number}: names {noun:?}, a noun of the business"))
        })
        .collect()
}

/// The names in a line: letters, digits and underscores, without a lone underscore around.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .map(|name| name.trim_matches('_'))
        .filter(|name| !name.is_empty())
}

fn noun_of(name: &str) -> Option<String> {
    let words = words(name);
    let plain = words.iter().find(|word| NOUNS.contains(&word.as_str()));
    plain.cloned().or_else(|| {
        let found = names_an_order(&words) || names_an_item(&words);
        found.then(|| name.to_owned())
    })
}

/// `order_id`, `OrderCreated`; not `order`, `in order`, `ordered`, `order by`.
fn names_an_order(words: &[String]) -> bool {
    const BUSINESS: [&str; 13] = [
        "id",
        "ids",
        "item",
        "items",
        "list",
        "funnel",
        "created",
        "confirmed",
        "paid",
        "shipped",
        "delivered",
        "cancelled",
        "allocated",
    ];
    let found = |pair: &[String]| pair[0] == "order" && BUSINESS.contains(&pair[1].as_str());
    words.windows(2).any(found)
}

/// `item_id`, `ItemSold`; not Rust's `Item` of an iterator, nor the items of an array's schema.
fn names_an_item(words: &[String]) -> bool {
    const BUSINESS: [&str; 10] = [
        "id",
        "ids",
        "name",
        "list",
        "added",
        "sold",
        "returned",
        "renamed",
        "discontinued",
        "row",
    ];
    let found = |pair: &[String]| pair[0] == "item" && BUSINESS.contains(&pair[1].as_str());
    words.windows(2).any(found)
}

/// The words of a name in either spelling, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = c.is_lowercase() || c.is_numeric();
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> bool {
        let tree = Tree::from([("crates/factline-log/src/lib.rs", line)]);
        !problems(&tree).is_empty()
    }

    #[test]
    fn a_noun_of_the_business_is_found_in_either_spelling() {
        for line in ["struct ItemSold;", "let unit_price = 1;", "// the customer", "order_id: u8"] {
            assert!(found(line), "{line}");
        }
    }

    #[test]
    fn sequences_and_iterators_are_no_business() {
        for line in [
            "// in order, by position",
            "order by partition",
            "Ordering::Acquire",
            "impl Iterator<Item = u8>",
            "fn order(&self)",
            "check_items(schema)",
        ] {
            assert!(!found(line), "{line}");
        }
    }

    #[test]
    fn the_business_may_name_its_nouns() {
        let tree = Tree::from([("crates/domain/src/lib.rs", "struct ItemSold;")]);
        assert!(problems(&tree).is_empty());
    }
}
