//! Counting tests: the harness's output flows in line by line, sums flow out.

use std::fmt;
use std::ops::AddAssign;

/// What some tests came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    failures: Vec<String>,
    /// The harness has summed up so many times.
    results: u32,
}

impl Tally {
    /// Takes in one line of a harness's output; `origin` is what it tests.
    pub(crate) fn read(&mut self, origin: &str, line: &str) {
        if let Some(name) = failed_test(line) {
            self.failures.push(format!("{origin}: {name}"));
        }
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        // "ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s"
        let (_, counts) = result.split_once(". ").unwrap_or_default();
        for count in counts.split("; ") {
            match count.split_once(' ').map(|(number, what)| (number.parse::<u64>(), what)) {
                Some((Ok(number), "passed")) => self.passed += number,
                Some((Ok(number), "failed")) => self.failed += number,
                Some((Ok(number), "ignored")) => self.skipped += number,
                _ => {}
            }
        }
        self.results += 1;
    }

    /// The harness of `origin` has ended. One that failed without counting a failure, or died
    /// before it summed up, is a failure itself.
    pub(crate) fn ended(&mut self, origin: &str, success: bool) {
        if self.results == 0 && !success {
            self.failed += 1;
            self.failures.push(format!("{origin}: ended before it could sum up"));
        } else if !success && self.failed == 0 {
            self.failed += 1;
            self.failures.push(format!("{origin}: failed"));
        }
    }

    /// The tests that failed, each with what it tests.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Tests ran and none failed.
    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

/// The name in `test module::name ... FAILED`.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.results += other.results;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed_and_failures_named() {
        let mut tally = Tally::default();
        for line in [
            "running 4 tests",
            "test a::one ... ok",
            "test a::two ... FAILED",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            tally.read("domain", line);
        }
        tally.ended("domain", false);
        let mut other = Tally::default();
        other.read(
            "x",
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out",
        );
        other.ended("x", true);
        tally += other;
        assert_eq!(tally.to_string(), "7 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures(), ["domain: a::two"]);
        assert!(!tally.is_good());
    }

    #[test]
    fn a_harness_that_dies_is_a_failure() {
        let mut tally = Tally::default();
        tally.read("e2e", "running 4 tests");
        tally.ended("e2e", false);
        assert_eq!(tally.to_string(), "0 passed, 1 failed");
        assert_eq!(tally.failures(), ["e2e: ended before it could sum up"]);
    }

    #[test]
    fn a_run_without_any_test_is_not_good() {
        assert!(!Tally::default().is_good());
    }
}
