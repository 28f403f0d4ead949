//! Where the checkout is.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the workspace's `Cargo.toml`: of the checkout that cargo runs, or else of the
/// one this program was built from.
pub(crate) fn root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    own.ancestors().nth(2).map_or_else(PathBuf::new, Path::to_owned)
}
