//! Making a whole stack answer, all components at once.

use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Component, Progress, StackError, StackRecord, Step, launch};

enum Message {
    Begin,
    Note(String),
    Ended(Duration, Result<(), StackError>),
}

/// Starts everything side by side; the first error is returned when all have ended.
pub(crate) fn start_missing(
    record: &StackRecord,
    own: &[Component],
    progress: &mut dyn Progress,
) -> Result<(), StackError> {
    let (tell, hear) = mpsc::channel();
    thread::scope(|scope| {
        for component in own.iter().copied() {
            let tell = tell.clone();
            scope.spawn(move || report_start(record, component, &tell));
        }
        drop(tell);
        let mut outcome = Ok(());
        for (component, message) in hear {
            let step = Step::Start(component);
            match message {
                Message::Begin => progress.begin(step),
                Message::Note(text) => progress.note(step, &text),
                Message::Ended(took, Ok(())) => progress.done(step, took),
                Message::Ended(_, Err(error)) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    })
}

fn report_start(record: &StackRecord, component: Component, tell: &Sender<(Component, Message)>) {
    let began = Instant::now();
    // The receiver lives until every sender is gone.
    let send = |message| {
        let _heard = tell.send((component, message));
    };
    let mut shown = false;
    let outcome = bring_up(
        record,
        component,
        &mut || {
            shown = true;
            send(Message::Begin);
        },
        &mut |text| send(Message::Note(text.to_owned())),
    );
    if shown || outcome.is_err() {
        send(Message::Ended(began.elapsed(), outcome));
    }
}

/// Makes one component answer, whatever state it is in. `begin` is called only if there is
/// something to do.
pub(crate) fn bring_up(
    record: &StackRecord,
    component: Component,
    begin: &mut dyn FnMut(),
    note: &mut dyn FnMut(&str),
) -> Result<(), StackError> {
    let Some(process) = record.process(component) else {
        begin();
        return launch::start(record, component, note);
    };
    launch::resume(process)?;
    if launch::answers(record, component) {
        return Ok(());
    }
    begin();
    match launch::wait_until_it_answers(record, component, process) {
        // It was about to end, killed a moment ago.
        Err(StackError::Died { .. }) => launch::start(record, component, note),
        outcome => outcome,
    }
}
