//! Where a stack keeps its files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::Doing;
use crate::{Component, StackError};

/// The folders and files below one stack's root.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub root: PathBuf,
}

impl Layout {
    pub fn of(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    /// Addresses, ports and processes; see [`crate::StackRecord`].
    pub fn record(&self) -> PathBuf {
        self.root.join("stack.json")
    }

    /// Held while the stack comes up, goes down or restarts a component.
    pub fn stack_lock(&self) -> PathBuf {
        self.root.join("stack.lock")
    }

    /// Held for one read-modify-write of the record.
    pub fn record_lock(&self) -> PathBuf {
        self.root.join("record.lock")
    }

    /// Held while ports are chosen: shared by all stacks beside this one.
    pub fn ports_lock(&self) -> PathBuf {
        self.root.parent().unwrap_or(&self.root).join("ports.lock")
    }

    pub fn data(&self, component: Component) -> PathBuf {
        self.root.join("data").join(component.name())
    }

    pub fn log(&self, component: Component) -> PathBuf {
        self.root.join("logs").join(format!("{component}.log"))
    }

    /// The log of the run before this one.
    pub fn previous_log(&self, component: Component) -> PathBuf {
        self.root.join("logs").join(format!("{component}.previous.log"))
    }
}

/// Makes the folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), StackError> {
    fs::create_dir_all(path).doing(|| format!("make the folder {}", path.display()))
}

/// Removes the folder with all that is in it; one that is not there is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StackError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("remove the folder {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes the file so that a reader sees the old content or the new one, and nothing between.
/// Only its owner may read it: it may hold the password of a database given from outside.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), StackError> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    fs::write(&draft, content)
        .and_then(|()| fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)))
        .and_then(|()| fs::rename(&draft, path))
        .doing(|| format!("write {}", path.display()))
}

/// Whether a user without any rights of his own gets to this folder: every folder from the
/// root down to it lets others pass.
pub(crate) fn open_to_others(path: &Path) -> bool {
    const OTHERS_PASS: u32 = 0o001;
    path.ancestors().filter(|folder| !folder.as_os_str().is_empty()).all(|folder| {
        fs::metadata(folder).is_ok_and(|data| data.permissions().mode() & OTHERS_PASS != 0)
    })
}

/// A short name for a text, the same on every run and machine (FNV-1a, 64 bits:
/// datatracker.ietf.org/doc/draft-eastlake-fnv).
pub(crate) fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_never_changes() {
        assert_eq!(fingerprint(""), "cbf29ce484222325");
        assert_eq!(fingerprint("a"), "af63dc4c8601ec8c");
    }

    #[test]
    fn a_folder_below_a_private_one_is_not_open_to_others() {
        let private =
            std::env::temp_dir().join(format!("local-stack-private-{}", std::process::id()));
        let below = private.join("below");
        make_folder(&below).unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&below, fs::Permissions::from_mode(0o755)).unwrap();
        let open_before = open_to_others(&below);
        fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
        let open_after = open_to_others(&below);
        remove_folder(&private).unwrap();
        assert_eq!((open_before, open_after), (open_to_others(&std::env::temp_dir()), false));
    }
}
