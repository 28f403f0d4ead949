//! Schemas are for ever: a file's path is its record's name, and a committed file never changes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Problem;
use super::tree::{Tree, git};
use crate::failure::Failure;
use crate::workspace;

const FOLDER: &str = "schemas/";
const ENDING: &str = ".avsc";

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    namespace: String,
}

/// The schema files of the last commit, by path; none when nothing was committed yet.
///
/// # Errors
/// Git fails.
pub(crate) fn committed() -> Result<BTreeMap<String, String>, Failure> {
    let root = workspace::root();
    if git(&root, &["rev-parse", "--verify", "--quiet", "HEAD"]).is_err() {
        return Ok(BTreeMap::new());
    }
    let listed = git(&root, &["ls-tree", "-r", "--name-only", "HEAD", FOLDER])?;
    let paths = listed.lines().filter(|path| path.ends_with(ENDING));
    let shown = |path: &str| {
        git(&root, &["show", &format!("HEAD:{path}")]).map(|text| (path.to_owned(), text))
    };
    paths.map(shown).collect()
}

/// Every schema file that is not what its path says, or not what was committed.
pub(crate) fn problems(tree: &Tree, committed: &BTreeMap<String, String>) -> Vec<Problem> {
    let files = tree.files().filter(|(path, _)| path.starts_with(FOLDER) && path.ends_with(ENDING));
    let misnamed = files.filter_map(|(path, text)| {
        let detail = misnamed(path, text)?;
        Some(format!("{path}: {detail}"))
    });
    let changed = committed.iter().filter_map(|(path, before)| match tree.text(path) {
        Some(now) if now == before => None,
        Some(_) => Some(format!(
            "{path}: differs from the commit; events were written with it, so make a new version"
        )),
        None => Some(format!("{path}: was committed and is gone; old events need it")),
    });
    misnamed.chain(changed).collect()
}

/// What is wrong between a path and its record, if anything.
fn misnamed(path: &str, text: &str) -> Option<String> {
    let record: Record = match serde_json::from_str(text) {
        Ok(record) => record,
        Err(error) => return Some(format!("is no Avro record: {error}")),
    };
    if record.kind != "record" {
        return Some(format!("is of type {:?}, not a record", record.kind));
    }
    let inner = path.strip_prefix(FOLDER)?.strip_suffix(ENDING)?;
    let full = format!("{}.{}", record.namespace, record.name);
    let expected = inner.split_once('/').and_then(|(kind, file)| {
        let (name, version) = file.rsplit_once(".v")?;
        let numbered = version.parse::<u32>().is_ok_and(|version| version > 0);
        numbered.then(|| format!("factline.{kind}.{}", pascal(name)))
    });
    match expected {
        None => Some("is not named schemas/<kind>/<record_name>.v<version>.avsc".to_owned()),
        Some(expected) if expected == full => None,
        Some(expected) => Some(format!("holds the record {full}, and its path says {expected}")),
    }
}

fn pascal(snake: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
    };
    snake.split('_').filter_map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "schemas/parcel/parcel_sent.v1.avsc";
    const SENT: &str =
        r#"{"type":"record","name":"ParcelSent","namespace":"factline.parcel","fields":[]}"#;

    #[test]
    fn a_files_path_is_its_records_name() {
        assert!(problems(&Tree::from([(PATH, SENT)]), &BTreeMap::new()).is_empty());
        for (path, text) in [
            ("schemas/parcel/parcel_lost.v1.avsc", SENT),
            ("schemas/parcel/parcel_sent.avsc", SENT),
            (PATH, "{"),
            (PATH, r#"{"type":"enum","name":"ParcelSent","namespace":"factline.parcel"}"#),
        ] {
            assert_eq!(problems(&Tree::from([(path, text)]), &BTreeMap::new()).len(), 1, "{path}");
        }
    }

    #[test]
    fn a_committed_file_neither_changes_nor_goes() {
        let committed = BTreeMap::from([(PATH.to_owned(), SENT.to_owned())]);
        assert!(problems(&Tree::from([(PATH, SENT)]), &committed).is_empty());
        let changed = SENT.replace("[]", r#"[{"name":"note","type":"string"}]"#);
        assert_eq!(problems(&Tree::from([(PATH, &*changed)]), &committed).len(), 1);
        assert_eq!(problems(&Tree::default(), &committed).len(), 1);
    }
}
