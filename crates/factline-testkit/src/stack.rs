//! Where the real Kafka, registry, Postgres and Redis of a test run are, and names in them that no
//! other test uses.

use std::{fs, path::PathBuf};

pub use local_stack::Addresses;
use serde::Deserialize;
use uuid::Uuid;

/// Names the file that describes the running stack.
const VARIABLE: &str = "FACTLINE_STACK";

#[derive(Deserialize)]
struct Description {
    addresses: Addresses,
}

/// The stack of this test run.
///
/// # Panics
/// There is none: the tests were not started through `cargo xtask test`.
#[must_use]
pub fn stack() -> Addresses {
    let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        panic!("{VARIABLE} is not set: run the tests through `cargo xtask test`");
    };
    let text = fs::read(&path).unwrap_or_else(|error| {
        panic!("read {}: {error}: run the tests through `cargo xtask test`", path.display())
    });
    let description: Description = serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{} describes no stack: {error}", path.display()));
    description.addresses
}

/// A prefix for topics and consumer groups that no other test and no other run uses: legal in
/// Kafka, at most 49 characters, and it shows which test it belongs to.
#[must_use]
pub fn unique_prefix(test_name: &str) -> String {
    unique(test_name, '-')
}

/// `test_name` in lower case with anything but letters and digits replaced, cut to 40 characters
/// (Postgres takes names of 63 bytes), and eight random hexadecimal digits.
pub(crate) fn unique(test_name: &str, separator: char) -> String {
    let short = test_name.rsplit("::").next().unwrap_or(test_name);
    let legal = short.chars().take(40).map(|letter| {
        if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { separator }
    });
    let random = &Uuid::new_v4().simple().to_string()[..8];
    format!("{}{separator}{random}", legal.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_legal_in_kafka_and_differs_every_time() {
        let first =
            unique_prefix("module::a parcel sent twice, is delivered once & never again, ever");
        assert!(first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{first}");
        assert!(first.starts_with("a-parcel-sent-twice"), "{first}");
        assert!(first.len() <= 49, "{first}");
        assert_ne!(first, unique_prefix("module::a parcel"));
    }
}
