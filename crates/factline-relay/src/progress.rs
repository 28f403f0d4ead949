//! How far a relay has come in each partition; pure.
//!
//! Three positions a partition, each at or behind the one before: handed over to the producer,
//! acknowledged by Kafka, stored as the cursor. A failure throws the first two away.

use std::collections::BTreeMap;

use factline_core::Position;

/// Positions by partition.
pub(crate) type Ends = BTreeMap<i32, Position>;

/// The bookkeeping of one topic.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    stored: Ends,
    acknowledged: Ends,
    handed_over: Ends,
}

/// The store gave a page that does not continue where the last one ended. Positions are gapless by
/// construction, so the store is not what it was; nothing may be sent over the hole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("partition {partition} goes from position {after} to {found}")]
pub(crate) struct Hole {
    pub(crate) partition: i32,
    pub(crate) after: Position,
    pub(crate) found: Position,
}

impl Progress {
    /// Starts from the stored cursors, before the first page and after every failure. Returns how
    /// many events an earlier attempt handed over that will now be sent again.
    pub(crate) fn rewind(&mut self, stored: Vec<(i32, Position)>) -> u64 {
        let stored: Ends = stored.into_iter().collect();
        let again = |(partition, handed_over): (&i32, &Position)| {
            let from = stored.get(partition).copied().unwrap_or_default();
            u64::try_from(handed_over.0 - from.0).unwrap_or(0)
        };
        let resends = self.handed_over.iter().map(again).sum();
        *self = Self { handed_over: stored.clone(), acknowledged: stored.clone(), stored };
        resends
    }

    /// Where each partition's next page is read after.
    pub(crate) fn read_after(&self) -> Vec<(i32, Position)> {
        pairs(&self.handed_over)
    }

    /// How many partitions the cursors know.
    pub(crate) fn partitions(&self) -> usize {
        self.stored.len()
    }

    /// Takes note that a page is being sent: `(partition, position)` of its events in their order.
    /// On an error nothing has changed.
    pub(crate) fn hand_over(
        &mut self,
        page: impl IntoIterator<Item = (i32, Position)>,
    ) -> Result<(), Hole> {
        let mut ends = self.handed_over.clone();
        for (partition, found) in page {
            let end = ends.entry(partition).or_default();
            if found != end.next() {
                return Err(Hole { partition, after: *end, found });
            }
            *end = found;
        }
        self.handed_over = ends;
        Ok(())
    }

    /// Kafka has acknowledged everything that was handed over.
    pub(crate) fn acknowledge(&mut self) {
        self.acknowledged.clone_from(&self.handed_over);
    }

    /// Cursors to be stored.
    pub(crate) fn unsaved(&self) -> Vec<(i32, Position)> {
        let stored = |partition| self.stored.get(partition).copied().unwrap_or_default();
        let moved = self.acknowledged.iter().filter(|(partition, end)| **end > stored(partition));
        moved.map(|(partition, end)| (*partition, *end)).collect()
    }

    /// These cursors are stored now.
    pub(crate) fn saved(&mut self, cursors: &[(i32, Position)]) {
        self.stored.extend(cursors.iter().copied());
    }

    /// How far Kafka has acknowledged.
    pub(crate) fn acknowledged(&self) -> &Ends {
        &self.acknowledged
    }
}

fn pairs(ends: &Ends) -> Vec<(i32, Position)> {
    ends.iter().map(|(partition, end)| (*partition, *end)).collect()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
