//! Where a record stands: one integer comparison.

use factline_core::Position;
use factline_failpoints::is_broken;

use crate::broken;

/// A record's place relative to what its partition has had applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Applied before. Its event id must be known; an unknown one is a fork.
    Repeat,
    /// The one that must follow.
    Next,
    /// So many positions are missing before it.
    Jump {
        /// At least 1.
        missing: i64,
    },
}

/// Places a record at `position` behind `applied`, the last position that had its effect.
#[must_use]
pub fn place(applied: Position, position: Position) -> Place {
    if position <= applied {
        Place::Repeat
    } else if position == applied.next() || is_broken(broken::RESET_TO_LATEST) {
        Place::Next
    } else {
        Place::Jump { missing: position.0 - applied.next().0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_of_a_partition_is_next() {
        assert_eq!(place(Position::ZERO, Position(1)), Place::Next);
    }

    #[test]
    fn what_the_checkpoint_has_passed_is_a_repeat() {
        assert_eq!(place(Position(7), Position(7)), Place::Repeat);
        assert_eq!(place(Position(7), Position(1)), Place::Repeat);
    }

    #[test]
    fn a_jump_knows_how_much_is_missing() {
        assert_eq!(place(Position(7), Position(9)), Place::Jump { missing: 1 });
        assert_eq!(place(Position::ZERO, Position(1_000)), Place::Jump { missing: 999 });
    }
}
