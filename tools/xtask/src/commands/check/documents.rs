//! The documents say what is true: every test that they name exists, and a newcomer finds the two
//! commands.

use super::Problem;
use super::tree::Tree;

/// The documents that name tests as `path/to/file.rs::name_of_the_test`, in backticks.
const WITH_TESTS: [&str; 2] = ["docs/coverage.md", "docs/guarantees.md"];
const README: &str = "README.md";
const COMMANDS: [&str; 2] = ["cargo xtask demo", "cargo xtask test"];

/// Every promise of the documents that is not kept.
pub(crate) fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for document in WITH_TESTS {
        match tree.text(document) {
            Some(text) => problems.extend(missing_tests(tree, document, text)),
            None => problems.push(format!("{document}: is missing")),
        }
    }
    let readme = tree.text(README).unwrap_or_default();
    let unnamed = COMMANDS.iter().filter(|command| !readme.contains(**command));
    problems.extend(unnamed.map(|command| format!("{README}: does not name `{command}`")));
    problems
}

fn missing_tests(tree: &Tree, document: &str, text: &str) -> Vec<Problem> {
    let lines = (1..).zip(text.lines());
    let named = lines.flat_map(|(number, line)| {
        // Every second piece stands between backticks.
        line.split('`').skip(1).step_by(2).filter_map(test_name).map(move |test| (number, test))
    });
    named
        .filter(|(_, (path, name))| !has_test(tree, path, name))
        .map(|(number, (path, name))| {
            format!("{document}:{number}: names the test {path}::{name}, which does not exist")
        })
        .collect()
}

/// `path/to/file.rs::module::name` as its path and its last part.
fn test_name(code: &str) -> Option<(&str, &str)> {
    let (path, name) = code.split_once(".rs::")?;
    let path = code.get(..path.len() + ".rs".len())?;
    Some((path, name.rsplit("::").next().unwrap_or(name)))
}

fn has_test(tree: &Tree, path: &str, name: &str) -> bool {
    let text = tree.text(path).unwrap_or_default();
    text.contains(&format!("fn {name}("))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "run `cargo xtask demo`, then `cargo xtask test`";

    #[test]
    fn a_document_names_only_tests_that_exist() {
        let coverage =
            "| it works | `crates/a/tests/b.rs::it_works` |\n`crates/a/tests/b.rs::gone`";
        let tree = Tree::from([
            ("docs/coverage.md", coverage),
            ("docs/guarantees.md", "see `Stack::up` and `crates/a/tests/b.rs`"),
            ("crates/a/tests/b.rs", "#[test]\nfn it_works() {}"),
            ("README.md", BOTH),
        ]);
        assert_eq!(
            problems(&tree),
            ["docs/coverage.md:2: names the test crates/a/tests/b.rs::gone, which does not exist"]
        );
    }

    #[test]
    fn a_missing_document_and_an_unnamed_command_are_problems() {
        let tree = Tree::from([("README.md", "cargo xtask demo")]);
        assert_eq!(
            problems(&tree),
            [
                "docs/coverage.md: is missing",
                "docs/guarantees.md: is missing",
                "README.md: does not name `cargo xtask test`",
            ]
        );
    }
}
