use super::*;

fn at(cursors: &[(i32, i64)]) -> Vec<(i32, Position)> {
    cursors.iter().map(|(partition, position)| (*partition, Position(*position))).collect()
}

fn started(cursors: &[(i32, i64)]) -> Progress {
    let mut progress = Progress::default();
    assert_eq!(progress.rewind(at(cursors)), 0, "nothing was ever handed over");
    progress
}

#[test]
fn a_page_moves_the_reading_place_at_once_and_the_cursor_only_when_acknowledged() {
    let mut progress = started(&[(0, 4), (1, 0)]);
    progress.hand_over(at(&[(0, 5), (0, 6), (1, 1)])).unwrap();
    assert_eq!(progress.read_after(), at(&[(0, 6), (1, 1)]));
    assert_eq!(progress.unsaved(), []);
    progress.acknowledge();
    assert_eq!(progress.unsaved(), at(&[(0, 6), (1, 1)]));
    progress.saved(&at(&[(0, 6), (1, 1)]));
    assert_eq!(progress.unsaved(), []);
}

#[test]
fn a_partition_that_did_not_move_is_not_saved_again() {
    let mut progress = started(&[(0, 4), (1, 9)]);
    progress.hand_over(at(&[(0, 5)])).unwrap();
    progress.acknowledge();
    assert_eq!(progress.unsaved(), at(&[(0, 5)]));
}

#[test]
fn after_a_failure_everything_from_the_stored_cursor_is_sent_again() {
    let mut progress = started(&[(0, 0)]);
    progress.hand_over(at(&[(0, 1), (0, 2)])).unwrap();
    progress.acknowledge();
    progress.saved(&at(&[(0, 2)]));
    progress.hand_over(at(&[(0, 3), (0, 4)])).unwrap();
    progress.acknowledge(); // but the save was lost
    progress.hand_over(at(&[(0, 5)])).unwrap();
    assert_eq!(progress.rewind(at(&[(0, 2)])), 3, "3, 4 and 5 go out again");
    assert_eq!(progress.read_after(), at(&[(0, 2)]));
}

#[test]
fn a_cursor_that_another_relay_moved_on_leaves_less_to_send() {
    let mut progress = started(&[(0, 0)]);
    progress.hand_over(at(&[(0, 1), (0, 2)])).unwrap();
    assert_eq!(progress.rewind(at(&[(0, 10)])), 0);
    assert_eq!(progress.read_after(), at(&[(0, 10)]));
}

#[test]
fn a_page_with_a_hole_is_refused_and_changes_nothing() {
    let mut progress = started(&[(0, 4), (1, 0)]);
    let refused = progress.hand_over(at(&[(1, 1), (0, 6)]));
    assert_eq!(
        refused,
        Err(Hole { partition: 0, after: Position(4), found: Position(6) }),
        "5 is missing"
    );
    assert_eq!(progress.read_after(), at(&[(0, 4), (1, 0)]));
    let inside = progress.hand_over(at(&[(0, 5), (0, 7)]));
    assert_eq!(inside.unwrap_err().to_string(), "partition 0 goes from position 5 to 7");
    let backwards = progress.hand_over(at(&[(0, 5), (0, 5)]));
    assert!(backwards.is_err(), "a position twice is no order either");
}

#[test]
fn a_partition_without_a_cursor_starts_at_the_first_event() {
    let mut progress = started(&[]);
    progress.hand_over(at(&[(3, 1), (3, 2)])).unwrap();
    progress.acknowledge();
    assert_eq!(progress.unsaved(), at(&[(3, 2)]));
}
