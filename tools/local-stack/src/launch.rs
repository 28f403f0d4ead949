//! Starting and ending one component, whichever it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::error::Doing;
use crate::layout::make_folder;
use crate::process::{LOOK_EVERY, ProcessState, User};
use crate::{
    Component, ProcessId, StackError, StackRecord, kafka, mail, orphans, ports, postgres, probe,
    process, redis, registry,
};

/// The slowest start seen on two busy cores took 20 s; whoever needs longer than this hangs.
const TIME_TO_START: Duration = Duration::from_secs(120);

/// How long a component may take to end in good order before it is killed. The longest seen
/// is Kafka with 1.5 s.
const TIME_TO_END: Duration = Duration::from_secs(10);

/// How long a process may take to vanish after SIGKILL.
const TIME_TO_DIE: Duration = Duration::from_secs(10);

/// Starts a component that does not run and waits until it answers. Its process is in the
/// record before it answers, so a crash of ours leaves nothing unknown.
pub(crate) fn start(
    record: &StackRecord,
    component: Component,
    note: &mut dyn FnMut(&str),
) -> Result<(), StackError> {
    let layout = record.layout();
    make_folder(&layout.root.join("logs"))?;
    orphans::end(component, &folders(record, component))?;
    refuse_taken_ports(record, component)?;
    keep_previous_log(record, component)?;
    prepare(record, component, note)?;
    let log = layout.log(component);
    let process = process::spawn(command(record, component)?, user(component), &log)?;
    StackRecord::update(&record.root, |record| {
        record.processes.insert(component, process.clone());
    })?;
    note("waiting for its first answer");
    match wait_until_it_answers(record, component, &process) {
        // It may have lost its port to someone who was faster.
        Err(error @ StackError::Died { .. }) => {
            refuse_taken_ports(record, component).and(Err(error))
        }
        answer => answer,
    }
}

/// Waits for the first answer of a component whose process was started.
pub(crate) fn wait_until_it_answers(
    record: &StackRecord,
    component: Component,
    process: &ProcessId,
) -> Result<(), StackError> {
    let log = record.layout().log(component);
    let deadline = Instant::now() + TIME_TO_START;
    loop {
        // Asked in this order: an answer counts only while the process is ours.
        let answers = answers(record, component);
        if process.is_gone() {
            return Err(StackError::Died { component, reason: last_words(&log), log });
        }
        if answers {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(StackError::Silent { component, seconds: TIME_TO_START.as_secs(), log });
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Asks a component in good order to end and waits for it; kills it when it does not.
pub(crate) fn stop(component: Component, process: &ProcessId) -> Result<(), StackError> {
    let signal = match component {
        // Ends the sessions of its clients, where SIGTERM would wait for them.
        Component::Postgres => Signal::INT,
        Component::Kafka | Component::Registry | Component::Redis | Component::Mail => Signal::TERM,
    };
    process.signal(signal)?;
    // A paused process takes no other signal until it goes on.
    resume(process)?;
    if process.wait_gone(TIME_TO_END) {
        return Ok(());
    }
    kill(component, process)
}

/// Kills a component with all its processes and waits until they are gone.
pub(crate) fn kill(component: Component, process: &ProcessId) -> Result<(), StackError> {
    let family = process.family();
    for member in &family {
        member.signal(Signal::KILL)?;
    }
    match family.iter().find(|member| !member.wait_gone(TIME_TO_DIE)) {
        Some(member) => Err(StackError::Immortal { component, pid: member.pid }),
        None => Ok(()),
    }
}

/// Stops a component in its tracks: connections stay open and nothing answers.
pub(crate) fn pause(process: &ProcessId) -> Result<(), StackError> {
    // The parent first, so that it starts no further children.
    process.signal(Signal::STOP)?;
    process.family().iter().try_for_each(|member| member.signal(Signal::STOP))
}

/// Lets a paused component go on.
pub(crate) fn resume(process: &ProcessId) -> Result<(), StackError> {
    process
        .family()
        .iter()
        .filter(|member| member.state() == ProcessState::Paused)
        .try_for_each(|member| member.signal(Signal::CONT))
}

/// Whether a component of our own answers now.
pub(crate) fn answers(record: &StackRecord, component: Component) -> bool {
    match component {
        Component::Kafka => probe::kafka_lists_a_broker(record.ports.kafka),
        Component::Registry => probe::http_says_ok(record.ports.registry, registry::READY_PATH),
        Component::Postgres => probe::postgres_lets_in(record.ports.postgres),
        Component::Redis => probe::redis_answers(record.ports.redis),
        Component::Mail => probe::http_says_ok(record.ports.mail_api, mail::READY_PATH),
    }
}

/// The folders in which a component's processes work.
pub(crate) fn folders(record: &StackRecord, component: Component) -> Vec<PathBuf> {
    let mut folders = vec![record.layout().data(component)];
    if component == Component::Postgres {
        folders.push(record.postgres_home.clone());
    }
    folders
}

/// The line of a log that most likely says why its program ended.
pub(crate) fn last_words(log: &Path) -> String {
    const TELLING: [&str; 4] = ["FATAL", "ERROR", "Exception", "error:"];
    const LONGEST: usize = 300;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = || text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines().find(|line| TELLING.iter().any(|word| line.contains(word)));
    let line = telling.or_else(|| lines().next()).unwrap_or("it said nothing");
    line.chars().take(LONGEST).collect()
}

fn prepare(
    record: &StackRecord,
    component: Component,
    note: &mut dyn FnMut(&str),
) -> Result<(), StackError> {
    match component {
        Component::Kafka => kafka::prepare(record, note),
        Component::Registry => registry::prepare(record),
        Component::Postgres => postgres::prepare(record, note),
        Component::Redis => redis::prepare(record),
        Component::Mail => mail::prepare(record),
    }
}

fn command(record: &StackRecord, component: Component) -> Result<Command, StackError> {
    match component {
        Component::Kafka => Ok(kafka::command(record)),
        Component::Registry => registry::command(record),
        Component::Postgres => Ok(postgres::command(record)),
        Component::Redis => Ok(redis::command(record)),
        Component::Mail => mail::command(record),
    }
}

fn user(component: Component) -> Option<User> {
    (component == Component::Postgres).then(postgres::user).flatten()
}

fn refuse_taken_ports(record: &StackRecord, component: Component) -> Result<(), StackError> {
    match record.ports.of(component).into_iter().find(|port| !ports::is_free(*port)) {
        Some(port) => Err(StackError::PortTaken { component, port }),
        None => Ok(()),
    }
}

fn keep_previous_log(record: &StackRecord, component: Component) -> Result<(), StackError> {
    let log = record.layout().log(component);
    if !log.exists() {
        return Ok(());
    }
    fs::rename(&log, record.layout().previous_log(component))
        .doing(|| format!("keep the previous log {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_last_line_that_names_an_error() {
        let log = std::env::temp_dir().join(format!("local-stack-words-{}", std::process::id()));
        fs::write(&log, "starting\nFATAL: no space left\nshutting down\n\n").unwrap();
        let telling = last_words(&log);
        fs::write(&log, "starting\nshutting down\n\n").unwrap();
        let plain = last_words(&log);
        fs::remove_file(&log).unwrap();
        assert_eq!(telling, "FATAL: no space left");
        assert_eq!(plain, "shutting down");
        assert_eq!(last_words(&log), "it said nothing");
    }
}
