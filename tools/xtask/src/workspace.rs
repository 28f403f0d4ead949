//! Where the checkout is.

use std::env;
use std::path::{Path, PathBuf};

use local_stack::StackOptions;

/// The folder of the workspace's `Cargo.toml`: of the checkout that cargo runs, or else of the
/// one this program was built from.
pub(crate) fn root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    own.ancestors().nth(2).map_or_else(PathBuf::new, Path::to_owned)
}

/// The folder that is built into; the stacks' unpacked archives are in `<target>/stack/artefacts`.
pub(crate) fn target(options: &StackOptions) -> PathBuf {
    options.artefacts.ancestors().nth(2).unwrap_or(&options.root).to_owned()
}
