//! Who may depend on what: each outside system is known to one crate, the domain to services,
//! services not to each other, and what only measures or tests to nothing that ships.

use std::path::Path;

use serde::Deserialize;

use super::Problem;
use crate::building::cargo;
use crate::failure::Failure;

/// A package of the workspace and what it is built from; its tests may use more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    name: String,
    /// `crates`, `services` or `tools`; anything else for a package beside them.
    group: String,
    dependencies: Vec<String>,
}

/// What only these packages, or groups of packages, may know.
const RESERVED: [(&str, &str); 6] = [
    ("rdkafka", "factline-kafka"),
    ("apache-avro", "factline-codec"),
    ("schema_registry_converter", "factline-codec"),
    ("redis", "read-kit"),
    ("redis", "services"),
    ("domain", "services"),
];

/// What a pure domain cannot need.
const EFFECTS: [&str; 7] = ["tokio", "futures", "sqlx", "axum", "reqwest", "rdkafka", "redis"];

/// What only measures or tests: nothing that ships may be built from it.
const NOT_SHIPPED: [&str; 3] = ["factline-testkit", "bench-load", "hdrhistogram"];

/// The groups that ship.
const SHIPPED: [&str; 2] = ["crates", "services"];

/// The packages that may reach into any outside system: the end-to-end tests, and the benches, which
/// measure the clients alone.
const ANYWHERE: [&str; 2] = ["e2e", "bench"];

/// The workspace's packages, from cargo.
///
/// # Errors
/// Cargo cannot read the manifests.
pub(crate) fn read() -> Result<Vec<Package>, Failure> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = command.as_std_mut().output()?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|error| {
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Failure::new(format!("cargo metadata: {error}: {told}"))
    })?;
    Ok(metadata.packages.into_iter().map(Package::from).collect())
}

/// Every dependency that should not be.
pub(crate) fn problems(packages: &[Package]) -> Vec<Problem> {
    let services: Vec<&str> = packages
        .iter()
        .filter(|package| package.group == "services")
        .map(|package| package.name.as_str())
        .collect();
    let built = packages.iter().filter(|package| !ANYWHERE.contains(&package.name.as_str()));
    built.flat_map(|package| of_package(package, &services)).collect()
}

fn of_package(package: &Package, services: &[&str]) -> Vec<Problem> {
    let name = &package.name;
    let mut problems = Vec::new();
    for dependency in package.dependencies.iter().map(String::as_str) {
        let owners = RESERVED.iter().filter(|(reserved, _)| *reserved == dependency);
        let owners: Vec<&str> = owners.map(|(_, owner)| *owner).collect();
        let owns = |owner: &&str| name == owner || package.group == *owner;
        if !owners.is_empty() && !owners.iter().any(owns) {
            let owners = owners.join(" and ");
            problems.push(format!("{name} depends on {dependency}, which is for {owners} alone"));
        }
        if services.contains(&dependency) {
            problems.push(format!("{name} depends on {dependency}, and nothing may on a service"));
        }
        if NOT_SHIPPED.contains(&dependency) && SHIPPED.contains(&package.group.as_str()) {
            problems.push(format!("{name} depends on {dependency}, which only measures or tests"));
        }
        if name == "domain" && EFFECTS.contains(&dependency) {
            problems.push(format!("domain depends on {dependency}, and is to stay pure"));
        }
    }
    problems
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `null` for what the package itself is built from.
    kind: Option<String>,
}

impl From<Described> for Package {
    fn from(described: Described) -> Package {
        let folders = Path::new(&described.manifest_path).ancestors();
        let group = folders.map(Path::file_name).nth(2).flatten().unwrap_or_default();
        let own = described.dependencies.into_iter().filter(|dependency| dependency.kind.is_none());
        Package {
            name: described.name,
            group: group.to_string_lossy().into_owned(),
            dependencies: own.map(|dependency| dependency.name).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(group: &str, name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        Package { name: name.to_owned(), group: group.to_owned(), dependencies }
    }

    #[test]
    fn an_outside_system_is_known_to_its_owner_alone() {
        let packages = [
            package("crates", "factline-kafka", &["rdkafka"]),
            package("services", "alerter", &["redis", "apache-avro"]),
            package("crates", "factline-log", &["rdkafka", "redis"]),
            package("crates", "read-kit", &["domain", "redis"]),
            package("", "e2e", &["rdkafka"]),
        ];
        assert_eq!(
            problems(&packages),
            [
                "alerter depends on apache-avro, which is for factline-codec alone",
                "factline-log depends on rdkafka, which is for factline-kafka alone",
                "factline-log depends on redis, which is for read-kit and services alone",
                "read-kit depends on domain, which is for services alone",
            ]
        );
    }

    #[test]
    fn what_measures_or_tests_does_not_ship() {
        let packages = [
            package("tools", "bench", &["factline-testkit", "bench-load", "factline-log"]),
            package("tools", "bench-load", &["hdrhistogram"]),
            package("services", "alerter", &["factline-testkit"]),
        ];
        assert_eq!(
            problems(&packages),
            ["alerter depends on factline-testkit, which only measures or tests"]
        );
    }

    #[test]
    fn nothing_depends_on_a_service_and_the_domain_on_no_effect() {
        let packages = [
            package("services", "alerter", &["command-api"]),
            package("services", "command-api", &["domain"]),
            package("crates", "domain", &["tokio"]),
        ];
        assert_eq!(
            problems(&packages),
            [
                "alerter depends on command-api, and nothing may on a service",
                "domain depends on tokio, and is to stay pure",
            ]
        );
    }
}
