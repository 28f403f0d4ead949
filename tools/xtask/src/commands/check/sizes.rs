//! No file is too long to be read in one go.

use super::Problem;
use super::tree::Tree;

/// The aim for a Rust file: what a reader takes in at one sitting.
const AIM_LINES: usize = 300;
/// Beyond this a file surely holds two things.
const LIMIT_LINES: usize = 500;

/// What the sizes say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Files over the limit.
    pub(crate) problems: Vec<Problem>,
    /// Files over the aim.
    pub(crate) long: Vec<String>,
}

/// Measures every Rust file.
pub(crate) fn of(tree: &Tree) -> Sizes {
    let mut sizes = Sizes::default();
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with(".rs")) {
        let lines = text.lines().count();
        if lines > LIMIT_LINES {
            sizes.problems.push(format!("{path}: {lines} lines, and {LIMIT_LINES} are the limit"));
        } else if lines > AIM_LINES {
            sizes.long.push(format!("{path}: {lines} lines"));
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_file_over_the_limit_is_a_problem_and_one_over_the_aim_is_listed() {
        let (long, short, endless) = ("x\n".repeat(301), "x\n".repeat(300), "x\n".repeat(501));
        let tree = Tree::from([
            ("a.rs", &*long),
            ("b.rs", &*short),
            ("c.rs", &*endless),
            ("d.md", &*endless),
        ]);
        let sizes = of(&tree);
        assert_eq!(sizes.problems, ["c.rs: 501 lines, and 500 are the limit"]);
        assert_eq!(sizes.long, ["a.rs: 301 lines"]);
    }
}
