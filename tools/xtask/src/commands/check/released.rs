//! What was released stays as it was: schema files, golden data, and the record that proves it.
//!
//! In: the files below `schemas/`, and every line that the record ever had, as git knows it. The
//! sentences are those of `factline schemas check`.

use factline_codec::{RELEASE_RECORD, SchemaFolder};

use super::Problem;
use super::tree::{Tree, git};
use crate::failure::Failure;
use crate::workspace;

const FOLDER: &str = "schemas/";

/// Every line that was ever added to the record, in any commit that this clone has.
///
/// # Errors
/// Git fails.
pub(crate) fn ever_recorded() -> Result<Vec<String>, Failure> {
    let root = workspace::root();
    if git(&root, &["rev-parse", "--verify", "--quiet", "HEAD"]).is_err() {
        return Ok(Vec::new());
    }
    let record = format!("{FOLDER}{RELEASE_RECORD}");
    let history = git(&root, &["log", "--format=", "--patch", "--unified=0", "--", &record])?;
    Ok(added(&history))
}

/// The lines of a digest among those that a patch adds.
fn added(patch: &str) -> Vec<String> {
    let lines = patch.lines().filter_map(|line| line.strip_prefix('+'));
    lines.filter(|line| line.contains("  ") && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Everything that would break a reader of stored events, and every line that the record has lost.
pub(crate) fn problems(tree: &Tree, ever_recorded: &[String]) -> Vec<Problem> {
    let inner = tree.files().filter_map(|(path, text)| Some((path.strip_prefix(FOLDER)?, text)));
    let findings = SchemaFolder::from_iter(inner).findings();
    let mut problems: Vec<Problem> =
        findings.into_iter().map(|finding| format!("{FOLDER}{finding}")).collect();
    let record = format!("{FOLDER}{RELEASE_RECORD}");
    let now = tree.text(&record).unwrap_or_default();
    for line in ever_recorded {
        if !now.lines().any(|kept| kept == line) {
            problems.push(format!(
                "{record}: the line \"{line}\" was committed and is gone; what was released stays"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> Vec<(String, String)> {
        let tree = Tree::of(&workspace::root()).unwrap();
        let schemas = tree.files().filter(|(path, _)| path.starts_with(FOLDER));
        schemas.map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
    }

    /// What the check says when one byte of one file of this checkout is another.
    fn with_one_byte_changed(path: &str, before: &str, after: &str) -> Vec<Problem> {
        assert_eq!(before.len(), after.len());
        let mut files = checkout();
        let (_, text) = files.iter_mut().find(|(known, _)| known == path).unwrap();
        *text = text.replacen(before, after, 1);
        problems(&Tree::from_iter(files), &[])
    }

    #[test]
    fn the_checkout_itself_has_no_problem() {
        assert_eq!(problems(&Tree::from_iter(checkout()), &[]), Vec::<Problem>::new());
    }

    #[test]
    fn a_golden_datum_with_one_byte_changed_fails_the_check() {
        let path = "schemas/golden/order/order_created.v1.json";
        let problems = with_one_byte_changed(path, "48303138", "48303139");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("{path}#1 is another datum")), "{problems:?}");
    }

    #[test]
    fn a_released_schema_file_with_one_byte_changed_fails_the_check() {
        let path = "schemas/order/order_created.v1.avsc";
        let problems = with_one_byte_changed(path, ".\"", "!\"");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("{path} differs")), "{problems:?}");
    }

    #[test]
    fn a_record_that_was_rewritten_with_its_file_fails_the_check() {
        let patch = "diff --git a/x b/x\n+++ b/schemas/released.sha256\n@@ -0,0 +1 @@\n\
            +# comment  here\n+00ff  parcel/parcel_sent.v1.avsc\n";
        let ever = added(patch);
        assert_eq!(ever, ["00ff  parcel/parcel_sent.v1.avsc"]);
        let problems = problems(&Tree::from_iter(checkout()), &ever);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("was committed and is gone"));
    }
}
