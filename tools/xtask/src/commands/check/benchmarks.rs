//! The benchmarks' document has a place for every bench, which `cargo xtask bench` fills.

use clap::ValueEnum;

use super::Problem;
use super::tree::Tree;
use crate::commands::bench::Name;

const DOCUMENT: &str = "docs/benchmarks.md";

/// Every bench whose markers are missing.
pub(crate) fn problems(tree: &Tree) -> Vec<Problem> {
    let text = tree.text(DOCUMENT).unwrap_or_default();
    let benches = Name::value_variants().iter().map(|name| name.text());
    let missing = benches.filter(|bench| !has_part(text, bench));
    missing.map(|bench| format!("{DOCUMENT}: has no part for the bench {bench}")).collect()
}

fn has_part(text: &str, bench: &str) -> bool {
    let begin = text.find(&format!("<!-- {bench}: begin -->"));
    let end = text.find(&format!("<!-- {bench}: end -->"));
    matches!((begin, end), (Some(begin), Some(end)) if begin < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_without_its_place_in_the_document_is_found() {
        let both =
            "<!-- append: begin --><!-- append: end --><!-- http: end --><!-- http: begin -->";
        let found = problems(&Tree::from([("docs/benchmarks.md", both)]));
        assert_eq!(found.len(), Name::value_variants().len() - 1);
        assert!(found.contains(&format!("{DOCUMENT}: has no part for the bench http")));
    }
}
