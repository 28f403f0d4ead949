//! Unpacking the one archive that Maven does not.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use lzma_rust2::XzReader;

use crate::StackError;
use crate::error::Doing;
use crate::layout::make_folder;

/// Unpacks a `.tar.xz` into a folder, with its links and permissions. A crash leaves a part of
/// it: unpack into a folder that only gets its name when all is there.
pub(crate) fn tar_xz(archive: &Path, into: &Path) -> Result<(), StackError> {
    let doing = || format!("unpack {}", archive.display());
    make_folder(into)?;
    let file = File::open(archive).doing(doing)?;
    let plain = XzReader::new(BufReader::new(file), true);
    let mut tar = tar::Archive::new(plain);
    tar.set_preserve_permissions(true);
    tar.unpack(into).doing(doing)
}
