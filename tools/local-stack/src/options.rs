//! What a caller says about the stack it wants.

use std::env;
use std::path::{Path, PathBuf};

use crate::layout::fingerprint;
use crate::ports::Ports;

/// The stack to bring up.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// Any name that is a folder's name; `demo` is the one that people meet first.
    pub name: String,
    /// Data, logs and `stack.json` of this stack. [`StackOptions::new`] gives the usual place.
    pub root: PathBuf,
    /// The checkout, which holds `deploy/local/pom.xml`.
    pub workspace: PathBuf,
    /// Unpacked archives, shared by all stacks.
    pub artefacts: PathBuf,
    /// The wishes for ports.
    pub ports: Ports,
    /// Throw away what an earlier run of this stack left: its processes, data and logs.
    pub fresh: bool,
}

impl StackOptions {
    /// The stack of this name in its usual place: `<target>/stack/<name>`, with the archives in
    /// `<target>/stack/artefacts`, where `<target>` is `CARGO_TARGET_DIR` or the workspace's
    /// `target`. In a target directory outside the workspace, which several checkouts may
    /// share, the stack stands in a folder of its checkout.
    ///
    /// The stack named `demo` asks for [`Ports::DEMO`], every other for [`Ports::FREE`].
    #[must_use]
    pub fn new(workspace: &Path, name: &str) -> StackOptions {
        let target = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
        StackOptions {
            name: name.to_owned(),
            root: stacks_folder(workspace, target.as_ref().map(Path::new)).join(name),
            workspace: workspace.to_owned(),
            artefacts: target_folder(workspace, target.as_ref().map(Path::new))
                .join("stack/artefacts"),
            ports: if name == "demo" { Ports::DEMO } else { Ports::FREE },
            fresh: false,
        }
    }

    /// The folder that holds every stack of this checkout, one folder each.
    #[must_use]
    pub fn stacks_folder(workspace: &Path) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
        stacks_folder(workspace, target.as_ref().map(Path::new))
    }
}

fn target_folder(workspace: &Path, target: Option<&Path>) -> PathBuf {
    // `join` of an absolute path is that path.
    workspace.join(target.unwrap_or(Path::new("target")))
}

fn stacks_folder(workspace: &Path, target: Option<&Path>) -> PathBuf {
    let stacks = target_folder(workspace, target).join("stack");
    if stacks.starts_with(workspace) {
        return stacks;
    }
    let checkout = workspace.file_name().unwrap_or_default().to_string_lossy();
    let path = fingerprint(&workspace.to_string_lossy());
    stacks.join(format!("{checkout}-{}", &path[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_stand_in_the_workspaces_own_target_directory() {
        let own = stacks_folder(Path::new("/work/shop"), None);
        assert_eq!(own, Path::new("/work/shop/target/stack"));
    }

    #[test]
    fn two_checkouts_that_share_a_target_directory_do_not_share_stacks() {
        let shared = Some(Path::new("/var/target"));
        let one = stacks_folder(Path::new("/one/shop"), shared);
        let two = stacks_folder(Path::new("/two/shop"), shared);
        assert!(one.starts_with("/var/target/stack"));
        assert_ne!(one, two);
        assert_eq!(target_folder(Path::new("/one/shop"), shared), Path::new("/var/target"));
    }
}
