//! `stock_watch`: what the low-stock rule judges by. An item's events flow in, in order; rows, and
//! with them in the same transaction the openings and resolutions of alert episodes, flow out.
//!
//! An episode opens or resolves exactly where the rule says so on this view's own order of events,
//! so no alert can be missed or doubled by racing another projection.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use domain::inventory::{
    InventoryEvent, StockLevel,
    low_stock::{Verdict, judge},
};
use factline_core::{Envelope, Fold, Folded, Recorded};
use factline_projection::{ApplyError, Poisoned, Projection};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    episodes::{self, Change, Kind, Terms},
    rules::LOW_STOCK,
};

/// The view.
pub struct StockWatch;

/// One item as the rule sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedItem {
    /// The item's key.
    pub sku: String,
    /// What people call it.
    pub name: String,
    /// How much of it there is.
    #[serde(flatten)]
    pub level: StockLevel,
    /// The episode that is open.
    pub episode_id: Option<Uuid>,
}

/// The id of the episode that an event opens; the same however often the event is seen.
#[must_use]
pub fn episode_id(opening_event_id: Uuid) -> Uuid {
    Uuid::new_v5(&opening_event_id, LOW_STOCK.as_bytes())
}

impl Fold for StockWatch {
    const NAME: &'static str = "stock_watch";
    type Event = InventoryEvent;
    type Key = String;
    type Row = WatchedItem;

    fn key(event: &Recorded<InventoryEvent>) -> Option<String> {
        Some(event.envelope.stream_id.to_string())
    }

    fn fold(
        row: Option<WatchedItem>,
        Recorded { envelope, event }: &Recorded<InventoryEvent>,
    ) -> Folded<WatchedItem> {
        let before = row.as_ref().map(|row| row.level);
        let Some(level) = StockLevel::after(before, event) else {
            return Folded::Impossible("the event does not fit the item's units");
        };
        let (name, open) = match (row, event) {
            (_, InventoryEvent::ItemAdded(added)) => (added.name.clone(), None),
            (Some(row), InventoryEvent::ItemRenamed(renamed)) => {
                (renamed.name.clone(), row.episode_id)
            }
            (Some(row), _) => (row.name, row.episode_id),
            (None, _) => return Folded::Impossible("the item was never added"),
        };
        let episode_id = match judge(before, level) {
            Verdict::Opened => Some(episode_id(envelope.event_id)),
            Verdict::Resolved => None,
            Verdict::Unchanged => open,
        };
        Folded::Put(WatchedItem { sku: envelope.stream_id.to_string(), name, level, episode_id })
    }
}

/// Keeps the view and its episodes.
pub struct Watch {
    /// How its episodes are told.
    pub terms: Terms,
}

#[async_trait]
impl Projection for Watch {
    type Event = InventoryEvent;

    fn name(&self) -> &'static str {
        StockWatch::NAME
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        // Fails where a table or a column is missing, before anything is consumed.
        sqlx::query("select from stock_watch, alert_episodes, deliveries limit 0")
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Rows are of one stream each, so of one partition and one worker: none needs a lock.
    async fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<InventoryEvent>],
    ) -> Result<(), ApplyError> {
        let mut rows = load(tx, events).await?;
        let changes = watch(&mut rows, events)?;
        save(tx, &rows).await?;
        for change in &changes {
            episodes::write(tx, change, &self.terms).await?;
        }
        Ok(())
    }
}

/// Takes events into rows, and gives what they did to episodes, in order.
fn watch(
    rows: &mut BTreeMap<String, WatchedItem>,
    events: &[Recorded<InventoryEvent>],
) -> Result<Vec<Change>, ApplyError> {
    let (mut changes, mut poisoned) = (Vec::new(), Vec::new());
    let mut standing = HashSet::new();
    for (index, event) in events.iter().enumerate() {
        let sku = event.envelope.stream_id.as_str();
        if standing.contains(sku) {
            continue; // what follows a poisoned event stands behind it
        }
        let before = rows.get(sku).cloned();
        match StockWatch::fold(before.clone(), event) {
            Folded::Put(after) => {
                changes.extend(change(before.as_ref(), &after, &event.envelope));
                rows.insert(sku.to_owned(), after);
            }
            Folded::Remove | Folded::Unchanged => {} // this fold puts or refuses
            Folded::Impossible(reason) => {
                standing.insert(sku);
                poisoned.push(Poisoned { index, code: "impossible", detail: reason.to_owned() });
            }
        }
    }
    if poisoned.is_empty() { Ok(changes) } else { Err(ApplyError::Poison(poisoned)) }
}

/// What happened between two states of an item, if its episode changed.
fn change(
    before: Option<&WatchedItem>,
    after: &WatchedItem,
    envelope: &Envelope,
) -> Option<Change> {
    let open_before = before.and_then(|item| item.episode_id);
    let (kind, episode_id) = match (open_before, after.episode_id) {
        (None, Some(opened)) => (Kind::Opened, opened),
        (Some(resolved), None) => (Kind::Resolved, resolved),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let (available, reorder_point) = (after.level.available(), after.level.reorder_point);
    Some(Change {
        kind,
        episode_id,
        subject: after.sku.clone(),
        name: after.name.clone(),
        figures: json!({"available": available, "reorder_point": reorder_point}),
        event_id: Some(envelope.event_id),
        at: envelope.recorded_at,
    })
}

async fn load(
    tx: &mut PgConnection,
    events: &[Recorded<InventoryEvent>],
) -> Result<BTreeMap<String, WatchedItem>, sqlx::Error> {
    let mut skus: Vec<&str> = events.iter().map(|one| one.envelope.stream_id.as_str()).collect();
    skus.sort_unstable();
    skus.dedup();
    let rows: Vec<Json<WatchedItem>> =
        sqlx::query_scalar("select to_jsonb(t) from stock_watch t where sku = any($1)")
            .bind(skus)
            .fetch_all(tx)
            .await?;
    Ok(rows.into_iter().map(|Json(row)| (row.sku.clone(), row)).collect())
}

async fn save(
    tx: &mut PgConnection,
    rows: &BTreeMap<String, WatchedItem>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into stock_watch select * from jsonb_populate_recordset(null::stock_watch, $1)
         on conflict (sku) do update set
             name = excluded.name, on_hand = excluded.on_hand, reserved = excluded.reserved,
             reorder_point = excluded.reorder_point, discontinued = excluded.discontinued,
             episode_id = excluded.episode_id",
    )
    .bind(Json(rows.values().collect::<Vec<_>>()))
    .execute(tx)
    .await?;
    Ok(())
}
