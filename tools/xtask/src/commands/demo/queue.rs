//! Work for many at once that keeps the order within each group: a thing is handed out when the one
//! before it of the same group is done, and meanwhile others are.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Things to do, in order.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    group_of: fn(&T) -> String,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Groups that someone is at work on, with what must wait for that.
    busy: HashMap<String, VecDeque<T>>,
}

impl<T> Queue<T> {
    /// All there is to do.
    pub(crate) fn new(things: Vec<T>, group_of: fn(&T) -> String) -> Queue<T> {
        let state = State { waiting: things.into(), busy: HashMap::new() };
        Queue { state: Mutex::new(state), group_of }
    }

    /// The next thing whose group is free; its group is busy from now on. None when whatever is
    /// left belongs to whoever is at work on its group.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.state();
        while let Some(thing) = state.waiting.pop_front() {
            let group = (self.group_of)(&thing);
            match state.busy.get_mut(&group) {
                Some(behind) => behind.push_back(thing),
                None => {
                    state.busy.insert(group, VecDeque::new());
                    return Some(thing);
                }
            }
        }
        None
    }

    /// What to do after a thing of this group is done: the group's next that waited for it, or
    /// anything else.
    pub(crate) fn after(&self, group: &str) -> Option<T> {
        let mut state = self.state();
        let next = state.busy.get_mut(group).and_then(VecDeque::pop_front);
        if next.is_some() {
            return next;
        }
        state.busy.remove(group);
        drop(state);
        self.take()
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue<&'static str> {
        let group_of = |thing: &&str| thing[..1].to_owned();
        Queue::new(vec!["a1", "a2", "b1", "a3", "c1"], group_of)
    }

    #[test]
    fn a_group_is_worked_on_by_one_at_a_time_and_the_others_go_on() {
        let queue = queue();
        assert_eq!(queue.take(), Some("a1"));
        assert_eq!(queue.take(), Some("b1"));
        assert_eq!(queue.after("b"), Some("c1"));
        assert_eq!(queue.after("c"), None);
        assert_eq!(queue.after("a"), Some("a2"));
        assert_eq!(queue.after("a"), Some("a3"));
        assert_eq!(queue.after("a"), None);
    }

    #[test]
    fn one_alone_does_everything_in_order_within_each_group() {
        let queue = queue();
        let mut next = queue.take();
        let mut done = Vec::new();
        while let Some(thing) = next {
            done.push(thing);
            next = queue.after(&thing[..1]);
        }
        assert_eq!(done, ["a1", "a2", "b1", "a3", "c1"]);
    }
}
