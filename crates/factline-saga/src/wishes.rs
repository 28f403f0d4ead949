//! What an operator's wish does to an instance. Pure, as `machine.rs`.

use std::collections::VecDeque;

use factline_core::saga::Saga;

use crate::machine::{Arrived, Changes, Instance, Kept, Status};

/// What an operator wants for an instance that needs attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// What was refused is asked again; an input without an answer is given again.
    Retry,
    /// What was refused is taken as carried out; an input without an answer is passed over.
    Skip,
    /// Everything that was done is undone. Also of an instance that runs.
    Compensate,
}

/// What an act comes to.
#[derive(Debug, PartialEq)]
pub(crate) struct Acted {
    pub(crate) changes: Changes,
    /// A refused command that is to be carried out again.
    pub(crate) again: Option<String>,
    /// A refused command that is to be taken as carried out.
    pub(crate) skipped: Option<String>,
    /// For the record.
    pub(crate) told: String,
}

/// Carries out a wish for one open instance. `waiting`: its waiting inputs in order; all of them are
/// used up, and what has to wait again is in the changes.
///
/// # Errors
/// The wish cannot be carried out; says why.
pub(crate) fn act<S: Saga>(
    saga: &S,
    name: &str,
    instance: &mut Instance,
    mut waiting: VecDeque<Arrived>,
    wish: Wish,
) -> Result<Acted, String> {
    match instance.status {
        Status::Running if wish == Wish::Compensate => {}
        Status::NeedsAttention => {}
        Status::Running => return Err("it needs no attention".to_owned()),
        Status::Completed | Status::Compensated => return Err("it has ended".to_owned()),
    }
    let (mut again, mut skipped) = (None, None);
    match wish {
        Wish::Retry => {
            // What was refused is asked again; anything else is reacted to again.
            if let Some(Kept::Answer { step, refused: Some(_) }) =
                waiting.front().map(|one| &one.input)
            {
                again = Some(step.clone());
                waiting.pop_front();
            }
        }
        Wish::Skip => {
            if let Some(mut first) = waiting.pop_front()
                && let Kept::Answer { step, refused: Some(_) } = &first.input
            {
                skipped = Some(step.clone());
                first.input = Kept::Answer { step: step.clone(), refused: None };
                waiting.push_front(first);
            }
        }
        Wish::Compensate => waiting.push_front(Arrived {
            instance: name.to_owned(),
            input: Kept::Compensate,
            cause: instance.causation_id,
            begins: None,
        }),
    }
    instance.status = Status::Running;
    instance.attention = None;
    let mut changes = Changes::default();
    changes.moved.insert(name.to_owned());
    for one in waiting {
        changes.take(saga, instance, one);
    }
    let told = match &instance.attention {
        Some(why) => format!("it needs attention again: {why}"),
        None => "it goes on".to_owned(),
    };
    Ok(Acted { changes, again, skipped, told })
}
