//! The rule that watches levels: two levels of one item go in, what happened to its alert episode
//! comes out.

use super::StockLevel;

/// What a change of level means for the item's episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The item is low from now on.
    Opened,
    /// The item is no longer low, or no longer of interest.
    Resolved,
    /// Low as before, or fine as before.
    Unchanged,
}

/// Judges a change of level; `before` is `None` when the item was added just now, so an item that
/// starts low opens an episode at once.
#[must_use]
pub fn judge(before: Option<StockLevel>, after: StockLevel) -> Verdict {
    let was_low = before.is_some_and(|level| level.is_low());
    match (was_low, after.is_low()) {
        (false, true) => Verdict::Opened,
        (true, false) => Verdict::Resolved,
        (true, true) | (false, false) => Verdict::Unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(on_hand: i64, reserved: i64) -> StockLevel {
        StockLevel { on_hand, reserved, reorder_point: 5, discontinued: false }
    }

    #[test]
    fn an_episode_opens_when_the_available_units_reach_the_reorder_point() {
        assert_eq!(judge(Some(level(6, 0)), level(5, 0)), Verdict::Opened);
        assert_eq!(judge(Some(level(7, 0)), level(6, 0)), Verdict::Unchanged);
    }

    #[test]
    fn reserved_units_do_not_count_as_available() {
        assert_eq!(judge(Some(level(9, 0)), level(9, 4)), Verdict::Opened);
    }

    #[test]
    fn an_open_episode_is_not_opened_again() {
        assert_eq!(judge(Some(level(5, 0)), level(0, 0)), Verdict::Unchanged);
    }

    #[test]
    fn an_episode_resolves_when_the_available_units_rise_above_the_reorder_point() {
        assert_eq!(judge(Some(level(5, 0)), level(6, 0)), Verdict::Resolved);
    }

    #[test]
    fn an_item_that_is_added_low_opens_an_episode_at_once() {
        assert_eq!(judge(None, level(5, 0)), Verdict::Opened);
        assert_eq!(judge(None, level(6, 0)), Verdict::Unchanged);
    }

    #[test]
    fn discontinuing_an_item_resolves_its_episode_and_opens_none() {
        let gone = StockLevel { discontinued: true, ..level(0, 0) };
        assert_eq!(judge(Some(level(0, 0)), gone), Verdict::Resolved);
        assert_eq!(judge(Some(level(9, 0)), gone), Verdict::Unchanged);
    }

    #[test]
    fn a_changed_reorder_point_opens_and_resolves_like_a_changed_level() {
        let raised = StockLevel { reorder_point: 20, ..level(10, 0) };
        assert_eq!(judge(Some(level(10, 0)), raised), Verdict::Opened);
        assert_eq!(judge(Some(raised), level(10, 0)), Verdict::Resolved);
    }
}
