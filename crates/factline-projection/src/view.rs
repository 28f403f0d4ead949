//! A view: one row per key, folded from events, kept in one table.
//!
//! A view says what its row is and how an event changes it; [`FoldedView`] does the rest: loads the
//! rows that a batch touches, folds every event into them, writes each changed row once.

use std::{
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use factline_core::{Fault, Fold, Recorded, StreamId};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;

use crate::{
    ApplyError, Change, Projection,
    fold::{fold_batch, fold_each, keys_of},
    projection::{Beside, NEXT},
    table::Table,
};

/// A [`Fold`] whose rows live in a table.
///
/// The row's members are the table's columns, exactly and by name; `KEY` is its primary key. Whole
/// numbers are `bigint`, times `timestamptz`, days `date`: they survive the way through JSON.
pub trait View: Fold<Key: Serialize, Row: Serialize + DeserializeOwned + Unpin> {
    /// The table, as in SQL.
    const TABLE: &'static str;
    /// The key's columns: one for a plain `Key`, several for a tuple, in its order.
    const KEY: &'static [&'static str];
    /// Whose events make a row. The default is right for every view; the others are faster where
    /// they are true.
    const ROWS: Rows = Rows::Shared;
}

/// Whose events make a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Events of several streams may touch one row, so two workers may want it at once: their
    /// transactions follow one another.
    Shared,
    /// All events of a row are of one stream, so of one partition and one worker. A batch that
    /// shows otherwise is refused.
    OfOneStream,
    /// A row is made by one event and stays as it is, so none is looked for before it is written. An
    /// event that would write a row again, or remove one, is poison.
    OfOneEvent,
}

/// The projection that keeps a [`View`].
pub struct FoldedView<V> {
    name: String,
    table: RwLock<Option<Arc<Table>>>,
    view: PhantomData<fn() -> V>,
}

impl<V: View> FoldedView<V> {
    /// Touches nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::on(V::TABLE.to_owned())
    }

    /// The view on another table than its own; that table has the same columns.
    fn on(name: String) -> Self {
        Self { name, table: RwLock::new(None), view: PhantomData }
    }

    fn table(&self) -> Result<Arc<Table>, Fault> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner).clone();
        table.ok_or_else(|| Fault::fatal("reading a view's table", "it was not prepared"))
    }
}

impl<V: View> Default for FoldedView<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl<V: View> Projection for FoldedView<V> {
    type Event = V::Event;

    fn name(&self) -> &'static str {
        V::NAME
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        let table = Table::read(connection, &self.name, V::KEY).await?;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(table));
        Ok(())
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Recorded<V::Event>],
    ) -> Result<(), ApplyError> {
        let table = self.table()?;
        match V::ROWS {
            Rows::Shared => table.lock(tx).await?,
            Rows::OfOneStream => check_owners::<V>(events)?,
            Rows::OfOneEvent => {
                let rows = fold_each::<V>(events).map_err(ApplyError::Poison)?;
                return table.insert(tx, &rows.iter().collect::<Vec<_>>()).await;
            }
        }
        let rows = load::<V>(&table, tx, events).await?;
        let outcome = fold_batch::<V>(&rows, events);
        if !outcome.poisoned.is_empty() {
            return Err(ApplyError::Poison(outcome.poisoned));
        }
        save::<V>(&table, tx, &rows, &outcome.changes).await
    }

    fn beside(&self) -> Option<Beside<V::Event>> {
        let next = Self::on(format!("{}{NEXT}", V::TABLE));
        Some(Beside { table: V::TABLE, key: V::KEY, projection: Box::new(next) })
    }
}

async fn load<V: View>(
    table: &Table,
    tx: &mut PgConnection,
    events: &[Recorded<V::Event>],
) -> Result<BTreeMap<V::Key, V::Row>, ApplyError> {
    let keys = keys_of::<V>(events);
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted = keys.iter().map(|key| table.key_json(key)).collect::<Result<Vec<_>, _>>()?;
    let found = table.load::<V::Row>(tx, &wanted).await?;
    let keyed = found.into_iter().filter_map(|(index, row)| Some((keys.get(index)?.clone(), row)));
    Ok(keyed.collect())
}

async fn save<V: View>(
    table: &Table,
    tx: &mut PgConnection,
    before: &BTreeMap<V::Key, V::Row>,
    changes: &BTreeMap<V::Key, Change<V::Row>>,
) -> Result<(), ApplyError> {
    let (mut new, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for (key, change) in changes {
        match change {
            Change::Put(row) if before.contains_key(key) => changed.push(row),
            Change::Put(row) => new.push(row),
            Change::Remove => removed.push(table.key_json(key)?),
        }
    }
    table.insert(tx, &new).await?;
    table.update(tx, &changed).await?;
    table.remove(tx, &removed).await
}

/// A view that claims one stream a row and is wrong would lose updates without an error.
fn check_owners<V: View>(events: &[Recorded<V::Event>]) -> Result<(), Fault> {
    let mut owners: BTreeMap<V::Key, &StreamId> = BTreeMap::new();
    let mut wrong: HashMap<&StreamId, &StreamId> = HashMap::new();
    for event in events {
        let owner = &event.envelope.stream_id;
        let key = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| V::key(event)));
        let Some(key) = key.ok().flatten() else { continue }; // a panic is the fold's to report
        let first = owners.entry(key).or_insert(owner);
        if *first != owner {
            wrong.insert(first, owner);
        }
    }
    match wrong.iter().next() {
        None => Ok(()),
        Some((one, other)) => {
            let why =
                format!("{} and {} share a row of {}: it is Rows::Shared", one, other, V::TABLE);
            Err(Fault::fatal("checking a view's rows", why))
        }
    }
}
