//! `stack.json`: what every other program knows about a stack.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Doing;
use crate::layout::{Layout, write_whole};
use crate::lock::Lock;
use crate::ports::ChosenPorts;
use crate::process::ProcessState;
use crate::{Addresses, Component, ProcessId, StackError};

/// A stack as its last change left it. The processes may have ended since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackRecord {
    /// The stack's name.
    pub name: String,
    /// The checkout it belongs to.
    pub workspace: PathBuf,
    /// The folder that holds this record, the data and the logs.
    pub root: PathBuf,
    /// Where clients reach the components.
    pub addresses: Addresses,
    /// Our processes as they were last started; see [`StackRecord::process`].
    pub processes: BTreeMap<Component, ProcessId>,
    /// The components that are given from outside.
    pub external: Vec<Component>,
    /// The unpacked archives that the processes run from.
    pub artefacts: PathBuf,
    /// The Java that runs Kafka and the registry.
    pub java: PathBuf,
    /// The database's files: below the root, unless its user cannot get there.
    pub postgres_home: PathBuf,
    pub(crate) ports: ChosenPorts,
}

impl StackRecord {
    /// Reads the record of the stack in this folder; none when there never was a stack.
    pub fn read(root: &Path) -> Result<Option<StackRecord>, StackError> {
        let path = Layout::of(root).record();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing(|| format!("read {}", path.display())),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| StackError::Record { path, source })
    }

    /// The component's process, if it still is one.
    #[must_use]
    pub fn process(&self, component: Component) -> Option<&ProcessId> {
        self.processes.get(&component).filter(|process| process.state() != ProcessState::Gone)
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::of(&self.root)
    }

    pub(crate) fn write(&self) -> Result<(), StackError> {
        let path = self.layout().record();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| StackError::Record { path: path.clone(), source })?;
        write_whole(&path, &text)
    }

    /// Changes the record in its file, whoever else changes another part of it.
    pub(crate) fn update(
        root: &Path,
        change: impl FnOnce(&mut StackRecord),
    ) -> Result<(), StackError> {
        let _lock = Lock::wait(&Layout::of(root).record_lock())?;
        let Some(mut record) = StackRecord::read(root)? else { return Ok(()) };
        change(&mut record);
        record.write()
    }
}
