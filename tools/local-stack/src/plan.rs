//! Deciding where a stack's components will run, and writing it down before any of them starts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::external::External;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::{Addresses, Component, StackError, StackOptions, StackRecord, postgres};

/// Writes the record for the next run: what runs keeps its place, everything else gets one.
///
/// Ports are chosen under a lock that all stacks beside this one share, and never one that is
/// in another stack's record, so stacks that come up at the same moment do not collide.
pub(crate) fn plan(
    options: &StackOptions,
    root: &Path,
    programs: Programs,
    external: &External,
) -> Result<StackRecord, StackError> {
    let layout = Layout::of(root);
    let _lock = Lock::wait(&layout.ports_lock())?;
    let before = StackRecord::read(root)?;
    let running = |component| before.as_ref().and_then(|record| record.process(component)).cloned();
    let mut ports = before.as_ref().map(|record| record.ports).unwrap_or_default();
    let taken = claimed_by_others(root);
    let mut processes = BTreeMap::new();
    for component in Component::ALL {
        match running(component) {
            Some(process) => {
                processes.insert(component, process);
            }
            None if external.gives(component) => {}
            None => ports.choose(component, options.ports.of(component), &taken)?,
        }
    }
    let postgres_home = match before {
        Some(record) if running(Component::Postgres).is_some() => record.postgres_home,
        Some(_) | None => postgres::choose_home(root, &options.artefacts)?,
    };
    let mut addresses = Addresses::local(&ports, postgres::socket_folder(&postgres_home));
    external.apply(&mut addresses)?;
    let record = StackRecord {
        name: options.name.clone(),
        workspace: options.workspace.clone(),
        root: root.to_owned(),
        addresses,
        processes,
        external: external.components(),
        artefacts: programs.artefacts,
        java: programs.java,
        postgres_home,
        ports,
    };
    record.write()?;
    Ok(record)
}

/// What the components run from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs {
    pub artefacts: PathBuf,
    pub java: PathBuf,
}

/// The ports in the records of the stacks beside this one, whether they run or not.
fn claimed_by_others(root: &Path) -> Vec<u16> {
    let stacks = root.parent().and_then(|folder| fs::read_dir(folder).ok());
    let others = stacks.into_iter().flatten().flatten().map(|entry| entry.path());
    others
        .filter(|other| other != root)
        // A record that cannot be read is its own stack's trouble, not ours.
        .filter_map(|other| StackRecord::read(&other).ok().flatten())
        .flat_map(|record| record.ports.all())
        .collect()
}
