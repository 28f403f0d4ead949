//! `docs/benchmarks.md`: everything between a bench's two markers is its last report; the rest is
//! written by people.

use std::fs;

use crate::failure::Failure;
use crate::report::Report;
use crate::surroundings::workspace;
use crate::table;

/// Replaces the report's part.
///
/// # Errors
/// The document lacks the markers, or cannot be written.
pub(crate) fn write(report: &Report) -> Result<(), Failure> {
    let path = workspace().join("docs/benchmarks.md");
    let document = fs::read_to_string(&path)?;
    let told = || {
        let bench = &report.bench;
        Failure::new(format!("{} has no part between the markers of {bench}", path.display()))
    };
    let replaced = replace(&document, &report.bench, &table::text(report)).ok_or_else(told)?;
    Ok(fs::write(&path, replaced)?)
}

fn replace(document: &str, bench: &str, part: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {bench}: begin -->\n"), format!("<!-- {bench}: end -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{part}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_markers_is_replaced() {
        let document = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        let replaced = replace(document, "x", "new\n").unwrap();
        assert_eq!(replaced, "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n");
        assert_eq!(replace(document, "y", "new"), None);
    }
}
