//! What the receiver of alerts saw, against the rows that tell what it should have: pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Findings;
use super::rows::Tables;
use crate::receiver::Delivery;

/// An alert has one id and one body for ever, and everything that is marked as delivered arrived.
pub(super) fn judge(tables: &Tables, deliveries: &[Delivery], found: &mut Findings) {
    let mut ids: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    let mut bodies: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for delivery in deliveries {
        ids.entry(delivery.alert()).or_default().insert(&delivery.webhook_id);
        bodies.entry(&delivery.webhook_id).or_default().insert(&delivery.body);
        if delivery.taken {
            taken.insert(delivery.webhook_id.as_str());
        }
    }
    for ((episode, kind), ids) in ids.iter().filter(|(_, ids)| ids.len() > 1) {
        let ids = ids.len();
        found.duplicated.push(format!("{kind} of the episode {episode} came under {ids} ids"));
    }
    for (id, bodies) in bodies.iter().filter(|(_, bodies)| bodies.len() > 1) {
        let bodies = bodies.len();
        found.duplicated.push(format!("the webhook {id} came with {bodies} different bodies"));
    }
    for (id, row) in &tables.deliveries {
        let is = |column: &str| row[column] != Value::Null;
        if is("delivered_at") && !taken.contains(id.as_str()) {
            found.lost.push(format!("the webhook {id} is marked as delivered and was not taken"));
        }
        if !is("delivered_at") && !is("withdrawn_at") {
            found.lost.push(format!("the webhook {id} was not delivered: {}", row["last_error"]));
        }
    }
    for id in taken.iter().filter(|id| !tables.deliveries.contains_key(**id)) {
        found.duplicated.push(format!("the webhook {id} came and is no delivery of ours"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checker::Rows;

    fn delivery(id: &str, episode: &str) -> Delivery {
        let body = json!({"type": "alert.opened", "data": {"episode_id": episode}}).to_string();
        Delivery { webhook_id: id.to_owned(), body, taken: true }
    }

    fn judged(rows: &[(&str, Value)], deliveries: &[Delivery]) -> Findings {
        let rows: Rows = rows.iter().map(|(id, row)| ((*id).to_owned(), row.clone())).collect();
        let tables = Tables { deliveries: rows, ..Tables::default() };
        let mut found = Findings::default();
        judge(&tables, deliveries, &mut found);
        found
    }

    #[test]
    fn a_repeat_under_the_same_id_is_fine_and_under_another_is_not() {
        let row = json!({"delivered_at": "now", "withdrawn_at": null});
        let rows = [("a", row.clone()), ("b", row)];
        let same = [delivery("a", "e"), delivery("a", "e"), delivery("b", "f")];
        assert!(judged(&rows, &same).is_clean());
        let other = [delivery("a", "e"), delivery("b", "e")];
        assert_eq!(judged(&rows, &other).duplicated.len(), 1);
    }

    #[test]
    fn an_alert_that_nobody_took_is_lost() {
        let delivered = json!({"delivered_at": "now", "withdrawn_at": null});
        let waiting = json!({"delivered_at": null, "withdrawn_at": null});
        assert_eq!(judged(&[("a", delivered)], &[]).lost.len(), 1);
        assert_eq!(judged(&[("a", waiting)], &[]).lost.len(), 1);
        let withdrawn = json!({"delivered_at": null, "withdrawn_at": "now"});
        assert!(judged(&[("a", withdrawn)], &[]).is_clean());
    }
}
