//! Ending a whole stack so that no process of it is left.

use std::path::Path;
use std::thread;

use crate::layout::{Layout, remove_folder};
use crate::{Component, ProcessId, StackError, StackRecord, launch, orphans, postgres};

/// Ends what the record knows, in good order and all at once, then whatever else is left.
pub(crate) fn end_all(root: &Path) -> Result<Vec<Component>, StackError> {
    let record = StackRecord::read(root)?;
    let known = Component::ALL.into_iter().filter_map(|component| {
        let process = record.as_ref()?.process(component)?.clone();
        Some((component, process))
    });
    let known: Vec<(Component, ProcessId)> = known.collect();
    thread::scope(|scope| {
        let stops: Vec<_> = known
            .iter()
            .map(|(component, process)| scope.spawn(|| launch::stop(*component, process)))
            .collect();
        stops.into_iter().try_for_each(|stop| stop.join().unwrap_or(Ok(())))
    })?;
    let mut ended: Vec<Component> = known.into_iter().map(|(component, _)| component).collect();
    for component in end_orphans(root, &Component::ALL)? {
        if !ended.contains(&component) {
            ended.push(component);
        }
    }
    Ok(ended)
}

/// Ends the processes of components that, to the record's knowledge, do not run.
pub(crate) fn end_unknown(root: &Path, components: &[Component]) -> Result<(), StackError> {
    let record = StackRecord::read(root)?;
    let runs =
        |component| record.as_ref().is_some_and(|record| record.process(component).is_some());
    let unknown = components.iter().copied().filter(|component| !runs(*component));
    end_orphans(root, &unknown.collect::<Vec<_>>()).map(|_ended| ())
}

/// Kills the processes that work in the stack's folders, whatever the record knows.
pub(crate) fn end_orphans(
    root: &Path,
    components: &[Component],
) -> Result<Vec<Component>, StackError> {
    let mut ended = Vec::new();
    for component in components.iter().copied() {
        let mut folders = vec![Layout::of(root).data(component)];
        if component == Component::Postgres {
            folders.push(postgres::away_home(root));
        }
        if !orphans::find(component, &folders).is_empty() {
            orphans::end(component, &folders)?;
            ended.push(component);
        }
    }
    Ok(ended)
}

/// Leaves the folder as it was before the first run, but for the locks and the record.
pub(crate) fn remove_everything(root: &Path) -> Result<(), StackError> {
    end_all(root)?;
    remove_folder(&root.join("data"))?;
    remove_folder(&root.join("logs"))?;
    remove_folder(&postgres::away_home(root))
}
