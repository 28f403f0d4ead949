//! Processes that no record knows any more: the record was removed while they ran, or their
//! parent was killed and they still wind down. Found on Linux only.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::process::{ProcessId, all_pids};
use crate::{Component, StackError};

/// SIGKILL works at once, except on a process in an uninterruptible write.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends every process of this component that works in one of its folders, and waits for it.
pub(crate) fn end(component: Component, folders: &[PathBuf]) -> Result<(), StackError> {
    let orphans = find(component, folders);
    for orphan in &orphans {
        orphan.signal(Signal::KILL)?;
    }
    match orphans.iter().find(|orphan| !orphan.wait_gone(PATIENCE)) {
        Some(orphan) => Err(StackError::Immortal { component, pid: orphan.pid }),
        None => Ok(()),
    }
}

/// The processes of this component that work in one of its folders.
pub(crate) fn find(component: Component, folders: &[PathBuf]) -> Vec<ProcessId> {
    let program = match component {
        Component::Kafka | Component::Registry | Component::Mail => "java",
        Component::Postgres => "postgres",
        Component::Redis => "redis-server",
    };
    let works_here = |pid: &u32| {
        let folder = link(*pid, "cwd");
        let runs = link(*pid, "exe");
        folders.iter().any(|ours| folder.starts_with(ours))
            && runs.file_name().is_some_and(|name| name.to_string_lossy().starts_with(program))
    };
    all_pids().into_iter().filter(works_here).filter_map(ProcessId::of).collect()
}

/// Where `/proc/<pid>/<name>` points, as it was before someone removed it.
fn link(pid: u32, name: &str) -> PathBuf {
    let target = fs::read_link(Path::new("/proc").join(pid.to_string()).join(name));
    let target = target.unwrap_or_default();
    let text = target.to_string_lossy();
    PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text))
}
