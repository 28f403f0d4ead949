//! The schemas' folder as a whole: which version stands in which file, whether every version reads
//! what every other wrote, and whether what was released is still what was released.
//!
//! In: the texts below `schemas/`, from wherever they were read. Out: a sentence for each thing that
//! breaks a reader of stored events. Nothing here needs a registry, a database or git.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::Path,
    sync::Arc,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{WriterSchema, decode_to_json};

/// The record of what was released, in the schemas' folder: a line for each schema file and for each
/// golden datum, `<SHA-256 in hexadecimal>  <path>` or `…  <path>#<number of the datum, from 1>`.
/// Lines are only ever added.
pub const RELEASE_RECORD: &str = "released.sha256";

/// What adds the lines that are missing.
const RENEW: &str = "cargo run -p domain --example golden";
const GOLDEN: &str = "golden/";
const SCHEMA: &str = ".avsc";

/// The texts of a schemas' folder, by their path below it.
#[derive(Debug, Default)]
pub struct SchemaFolder(BTreeMap<String, String>);

/// One version of one event type.
#[derive(Debug, Clone)]
pub struct SchemaVersion {
    /// Below the folder: `parcel/parcel_sent.v1.avsc`.
    pub path: String,
    /// The aggregate kind: `parcel`.
    pub kind: String,
    /// The event type as files are named: `parcel_sent`.
    pub event: String,
    /// From 1.
    pub version: u32,
    /// What stands in the file.
    pub schema: Arc<WriterSchema>,
}

/// One datum of a golden file; what it means today is for the domain's tests to compare.
#[derive(Deserialize)]
struct Golden {
    datum: String,
}

impl<P: Into<String>, T: Into<String>> FromIterator<(P, T)> for SchemaFolder {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(files: I) -> Self {
        Self(files.into_iter().map(|(path, text)| (path.into(), text.into())).collect())
    }
}

impl SchemaFolder {
    /// Reads a folder.
    ///
    /// # Errors
    /// It cannot be read, or holds something else than text.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        read_below(folder, "", &mut files)?;
        Ok(Self(files))
    }

    /// Every version of every event type, by path and then by number.
    ///
    /// # Errors
    /// A sentence for each file that holds no admissible schema or is not named as it must be.
    pub fn versions(&self) -> Result<Vec<SchemaVersion>, Vec<String>> {
        let (versions, problems) = self.read_versions();
        if problems.is_empty() { Ok(versions) } else { Err(problems) }
    }

    /// A sentence for each thing that would break a reader of stored events, by path.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let (versions, mut findings) = self.read_versions();
        findings.extend(incompatible(&versions));
        let (digests, unread) = self.digests();
        findings.extend(unread);
        findings.extend(self.unlike_released(&digests));
        findings.extend(self.undecodable(&versions));
        findings
    }

    /// The record with a line for everything that has none yet. Lines that are there stay as they are,
    /// also those that are wrong by now.
    #[must_use]
    pub fn renewed_record(&self) -> String {
        let mut record = self.0.get(RELEASE_RECORD).cloned().unwrap_or_default();
        let known: BTreeSet<String> = released(&record).map(|(_, what)| what.to_owned()).collect();
        for (what, digest) in self.digests().0 {
            if !known.contains(&what) {
                let _ = writeln!(record, "{digest}  {what}"); // writing to a String cannot fail
            }
        }
        record
    }

    fn schema_files(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(|(path, _)| path.ends_with(SCHEMA) && !path.starts_with(GOLDEN))
    }

    fn golden_files(&self) -> impl Iterator<Item = (&str, Result<Vec<Golden>, String>)> {
        let files = self.0.iter().filter(|(path, _)| path.starts_with(GOLDEN));
        files.map(|(path, text)| {
            let data = serde_json::from_str(text);
            (path.as_str(), data.map_err(|error| format!("{path} is no golden data: {error}")))
        })
    }

    fn read_versions(&self) -> (Vec<SchemaVersion>, Vec<String>) {
        let (mut versions, mut problems) = (Vec::new(), Vec::new());
        for (path, text) in self.schema_files() {
            match version(path, text) {
                Ok(version) => versions.push(version),
                Err(problem) => problems.push(problem),
            }
        }
        versions
            .sort_by(|a, b| (&a.kind, &a.event, a.version).cmp(&(&b.kind, &b.event, b.version)));
        (versions, problems)
    }

    /// The digest of everything that is kept for ever, and what could not be read.
    fn digests(&self) -> (BTreeMap<String, String>, Vec<String>) {
        let schemas = self.schema_files().map(|(path, text)| (path.to_owned(), digest(text)));
        let mut digests: BTreeMap<String, String> = schemas.collect();
        let mut unread = Vec::new();
        for (path, data) in self.golden_files() {
            match data {
                Ok(data) => digests.extend(
                    (1..).zip(&data).map(|(n, one)| (format!("{path}#{n}"), digest(&one.datum))),
                ),
                Err(problem) => unread.push(problem),
            }
        }
        (digests, unread)
    }

    fn unlike_released(&self, digests: &BTreeMap<String, String>) -> Vec<String> {
        let record = self.0.get(RELEASE_RECORD).map(String::as_str).unwrap_or_default();
        let mut findings = Vec::new();
        let mut known = BTreeMap::new();
        for (released, what) in released(record) {
            if known.insert(what, released).is_some() {
                findings.push(format!("{RELEASE_RECORD} has two lines for {what}"));
            }
        }
        for (what, released) in &known {
            match digests.get(*what) {
                Some(now) if now == released => {}
                Some(_) if what.starts_with(GOLDEN) => findings.push(format!(
                    "{what} is another datum than the one that was released; data that was once \
                     written never changes"
                )),
                Some(_) => findings.push(format!(
                    "{what} differs from what was released; events were written with it, so make a \
                     new version beside it"
                )),
                None => {
                    findings.push(format!("{what} was released and is gone; old events need it"))
                }
            }
        }
        let new = digests.keys().filter(|what| !known.contains_key(what.as_str()));
        findings.extend(
            new.map(|what| format!("{what} is not in {RELEASE_RECORD}; `{RENEW}` adds it")),
        );
        findings
    }

    /// Golden data that its own schema does not read.
    fn undecodable(&self, versions: &[SchemaVersion]) -> Vec<String> {
        let mut findings = Vec::new();
        for (path, data) in self.golden_files() {
            let schema = path.strip_prefix(GOLDEN).and_then(|inner| inner.strip_suffix(".json"));
            let writer = versions.iter().find(|one| one.path.strip_suffix(SCHEMA) == schema);
            let Some(writer) = writer else {
                findings.push(format!("{path} belongs to no schema file"));
                continue;
            };
            for (n, one) in (1..).zip(data.unwrap_or_default()) {
                let read = bytes(&one.datum).map(|datum| decode_to_json(&writer.schema, &datum));
                match read {
                    Some(Ok(_)) => {}
                    Some(Err(fault)) => findings.push(format!("{path}#{n}: {fault}")),
                    None => findings.push(format!("{path}#{n} is not written in hexadecimal")),
                }
            }
        }
        findings
    }
}

fn read_below(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_below(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

fn version(path: &str, text: &str) -> Result<SchemaVersion, String> {
    let named = path.strip_suffix(SCHEMA).and_then(|inner| {
        let (kind, file) = inner.split_once('/').filter(|(_, file)| !file.contains('/'))?;
        let (event, version) = file.rsplit_once(".v")?;
        let version = version.parse().ok().filter(|version| *version > 0)?;
        Some((kind.to_owned(), event.to_owned(), version))
    });
    let (kind, event, version) =
        named.ok_or_else(|| format!("{path} is not named <kind>/<event_type>.v<N>.avsc"))?;
    let schema = WriterSchema::admit(text).map_err(|fault| format!("{path}: {fault}"))?;
    Ok(SchemaVersion { path: path.to_owned(), kind, event, version, schema })
}

/// What FULL_TRANSITIVE asks of all versions of one event type, told in both directions.
fn incompatible(versions: &[SchemaVersion]) -> Vec<String> {
    let mut findings = Vec::new();
    let of_one = |a: &SchemaVersion, b: &SchemaVersion| a.kind == b.kind && a.event == b.event;
    for family in versions.chunk_by(of_one) {
        for (index, newer) in family.iter().enumerate() {
            for older in &family[..index] {
                findings.extend(between(older, newer));
            }
        }
    }
    findings
}

fn between(older: &SchemaVersion, newer: &SchemaVersion) -> Vec<String> {
    let name = |one: &SchemaVersion| one.schema.full_name().clone();
    if name(older) != name(newer) {
        return vec![format!(
            "{} holds the record {}, and {} holds {}: all versions of an event type have one name",
            newer.path,
            name(newer),
            older.path,
            name(older),
        )];
    }
    let told = |reader: &SchemaVersion, writer: &SchemaVersion| {
        let fault = reader.schema.check_reads(&writer.schema).err()?;
        Some(format!("{} cannot read all that {} wrote: {fault}", reader.path, writer.path))
    };
    [told(newer, older), told(older, newer)].into_iter().flatten().collect()
}

/// Digest and path of each line that is no comment.
fn released(record: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = record.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once("  "))
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let whole = digits.len().is_multiple_of(2);
    whole.then(|| digits.chunks_exact(2).map(byte).collect::<Option<Vec<u8>>>()).flatten()
}
