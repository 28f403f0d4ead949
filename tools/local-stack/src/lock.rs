//! Locks between processes.

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::StackError;
use crate::error::Doing;
use crate::layout::make_folder;

/// Held while it lives. The operating system lets go of it when the holder dies, so a crash
/// leaves nothing locked; the file itself stays.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else holds the lock on this file. The file is made if missing.
    pub fn wait(path: &Path) -> Result<Lock, StackError> {
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let doing = || format!("lock {}", path.display());
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(path).doing(doing)?;
        file.lock().doing(doing)?;
        Ok(Lock { _file: file })
    }
}
