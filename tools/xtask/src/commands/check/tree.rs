//! The checkout's files, as the checks see them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;

/// Every text file that is committed or could be, by its path from the root.
#[derive(Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads what git lists: committed files and new ones that are not ignored.
    ///
    /// # Errors
    /// Git is not there, or this is no checkout of it.
    pub(crate) fn of(root: &Path) -> Result<Tree, Failure> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = git(root, &arguments)?;
        let paths = listed.split('\0').filter(|path| !path.is_empty());
        // Binary files and files that were deleted have nothing to check.
        let read = |path: &str| {
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some((path.to_owned(), text))
        };
        Ok(Tree(paths.filter_map(read).collect()))
    }

    /// Path and text of every file, by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// A file's text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Tree {
        Tree::from_iter(files.map(|(path, text)| (path.to_owned(), text.to_owned())))
    }
}

impl FromIterator<(String, String)> for Tree {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(files: I) -> Tree {
        Tree(files.into_iter().collect())
    }
}

/// What git prints.
///
/// # Errors
/// It fails; its last line says why.
pub(crate) fn git(root: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("git");
    // A container's root looks at a checkout of another user without being asked to trust it.
    command.args(["-c", "safe.directory=*"]).args(arguments).current_dir(root);
    let output = command.output().map_err(|error| Failure::new(format!("run git: {error}")))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::new(format!("git {}: {told}", arguments.join(" "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
