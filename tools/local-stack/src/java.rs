//! Finding the newest Java on this machine.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::StackError;

/// Kafka 4 runs on this and newer.
const OLDEST: u32 = 17;

/// The registry's current line runs on this and newer; below it an older line is taken.
const OLDEST_FOR_CURRENT_REGISTRY: u32 = 21;

/// A Java that can run things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Java {
    pub program: PathBuf,
    pub major: u32,
}

impl Java {
    pub fn runs_current_registry(&self) -> bool {
        self.major >= OLDEST_FOR_CURRENT_REGISTRY
    }
}

/// The newest Java among JAVA_HOME, the PATH and the usual places of Linux and macOS.
pub(crate) fn newest() -> Result<Java, StackError> {
    let found = candidates().into_iter().filter_map(|program| {
        let major = version_of(&program)?;
        Some(Java { program, major })
    });
    choose(found.max_by_key(|java| java.major))
}

fn choose(newest: Option<Java>) -> Result<Java, StackError> {
    match newest {
        Some(java) if java.major >= OLDEST => Ok(java),
        Some(java) => Err(StackError::Java {
            found: format!(
                "the newest one here is Java {} ({})",
                java.major,
                java.program.display()
            ),
        }),
        None => Err(StackError::Java { found: "there is none here".to_owned() }),
    }
}

/// Every `java` there may be, each once even when several links lead to it.
fn candidates() -> BTreeSet<PathBuf> {
    const FOLDERS_OF_HOMES: [&str; 3] = ["/usr/lib/jvm", "/opt/java", "/opt/homebrew/opt"];
    let mut programs: Vec<PathBuf> = Vec::new();
    if let Some(home) = env::var_os("JAVA_HOME") {
        programs.push(Path::new(&home).join("bin/java"));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    programs.extend(env::split_paths(&path).map(|folder| folder.join("java")));
    for folder in FOLDERS_OF_HOMES {
        programs.extend(folders_in(Path::new(folder)).map(|home| home.join("bin/java")));
    }
    if let Some(home) = env::var_os("HOME") {
        let kept = Path::new(&home).join(".sdkman/candidates/java");
        programs.extend(folders_in(&kept).map(|home| home.join("bin/java")));
    }
    let macs = folders_in(Path::new("/Library/Java/JavaVirtualMachines"));
    programs.extend(macs.map(|machine| machine.join("Contents/Home/bin/java")));
    if let Ok(output) = Command::new("/usr/libexec/java_home").output() {
        let home = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        programs.push(Path::new(&home).join("bin/java"));
    }
    programs.into_iter().filter_map(|program| program.canonicalize().ok()).collect()
}

fn folders_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// From the home's `release` file, which costs nothing, or else from the program itself.
fn version_of(program: &Path) -> Option<u32> {
    let release = program.parent()?.parent()?.join("release");
    if let Some(major) = fs::read_to_string(release).ok().and_then(|text| parse_release(&text)) {
        return Some(major);
    }
    let output = Command::new(program).arg("-version").output().ok()?;
    parse_version_output(&String::from_utf8_lossy(&output.stderr))
}

/// `JAVA_VERSION="25.0.1"` on a line of its own.
fn parse_release(text: &str) -> Option<u32> {
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    parse_version(version.trim().trim_matches('"'))
}

/// `openjdk version "17.0.15" 2025-04-15` on the first line.
fn parse_version_output(text: &str) -> Option<u32> {
    parse_version(text.split('"').nth(1)?)
}

/// `25`, `17.0.15`, `21-ea`; until Java 8 it was `1.8.0_412`.
fn parse_version(version: &str) -> Option<u32> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_version_gives_its_major_number() {
        for (text, major) in
            [("25", 25), ("17.0.15", 17), ("21-ea", 21), ("1.8.0_412", 8), ("11.0.2+9", 11)]
        {
            assert_eq!(parse_version(text), Some(major), "{text}");
        }
        assert_eq!(parse_version("openjdk"), None);
    }

    #[test]
    fn the_release_file_and_the_programs_own_words_give_the_same() {
        let release = "IMPLEMENTOR=\"Debian\"\nJAVA_VERSION=\"17.0.15\"\n";
        let output = "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment\n";
        assert_eq!(parse_release(release), Some(17));
        assert_eq!(parse_version_output(output), Some(17));
    }

    #[test]
    fn a_java_that_is_too_old_is_named_in_the_error() {
        let old = Java { program: PathBuf::from("/opt/jdk11/bin/java"), major: 11 };
        let refused = choose(Some(old)).unwrap_err().to_string();
        assert!(refused.contains("Java 17 or newer"), "{refused}");
        assert!(refused.contains("Java 11 (/opt/jdk11/bin/java)"), "{refused}");
        assert!(choose(None).unwrap_err().to_string().contains("there is none here"));
    }

    #[test]
    fn java_17_runs_kafka_but_not_the_current_registry() {
        let java = choose(Some(Java { program: PathBuf::new(), major: 17 })).unwrap();
        assert!(!java.runs_current_registry());
    }
}
