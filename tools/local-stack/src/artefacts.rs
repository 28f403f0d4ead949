//! The programs of a stack: fetched by Maven once, unpacked once, used by every stack.

use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::error::Doing;
use crate::java::Java;
use crate::layout::{fingerprint, make_folder, remove_folder, write_whole};
use crate::lock::Lock;
use crate::progress::{Progress, Step};
use crate::{StackError, StackOptions, unpack};

/// Its presence says that the folder is whole; its text, what is in it.
const MARKER: &str = "complete";

/// Ends the name of a folder that is still being filled, or was when someone pulled the plug.
const PARTIAL: &str = "partial";

/// Gives the folder with `kafka/*.jar`, `registry/`, `postgres/`, `postgres.txz`,
/// `redis/redis-server` and `mail/*.jar`, fetching it first if this set of versions is not there yet.
///
/// Several programs may ask at once: one fetches, the others wait. A fetch that was cut off
/// leaves a `.partial` folder, which the next one removes.
pub(crate) fn ensure(
    options: &StackOptions,
    java: &Java,
    progress: &mut dyn Progress,
) -> Result<PathBuf, StackError> {
    let pom = options.workspace.join("deploy/local/pom.xml");
    let text = fs::read_to_string(&pom).doing(|| format!("read {}", pom.display()))?;
    let arguments = arguments(java)?;
    let contents = format!("{text}\n{}\n", arguments.join(" "));
    let home = options.artefacts.join(fingerprint(&contents));
    if home.join(MARKER).exists() {
        return Ok(home);
    }
    let _lock = Lock::wait(&options.artefacts.join("lock"))?;
    if home.join(MARKER).exists() {
        return Ok(home);
    }
    remove_leftovers(&options.artefacts)?;
    let partial = home.with_extension(PARTIAL);
    make_folder(&partial)?;
    fetch(&pom, &arguments, &partial, &options.artefacts.join("maven.log"), progress)?;
    finish(&partial, progress)?;
    write_whole(&partial.join(MARKER), contents.as_bytes())?;
    remove_folder(&home)?;
    fs::rename(&partial, &home).doing(|| format!("name the folder {}", home.display()))?;
    Ok(home)
}

/// What this machine and its Java change in the pom.
fn arguments(java: &Java) -> Result<Vec<String>, StackError> {
    let no_archive = StackError::Platform { os: OS, architecture: ARCH };
    let alpine = Path::new("/etc/alpine-release").exists();
    let (postgres, redis) = platforms(OS, ARCH, alpine).ok_or(no_archive)?;
    let mut arguments =
        vec![format!("-Dpostgres.platform={postgres}"), format!("-Dredis.platform={redis}")];
    if !java.runs_current_registry() {
        arguments.push("-Pjava17".to_owned());
    }
    Ok(arguments)
}

/// How the archives of PostgreSQL and of Redis call this machine.
fn platforms(os: &str, architecture: &str, alpine: bool) -> Option<(&'static str, &'static str)> {
    match (os, architecture, alpine) {
        ("linux", "x86_64", false) => Some(("linux-amd64", "linux-amd64")),
        ("linux", "x86_64", true) => Some(("linux-amd64-alpine", "linux-amd64")),
        ("linux", "aarch64", false) => Some(("linux-arm64v8", "linux-arm64")),
        ("linux", "aarch64", true) => Some(("linux-arm64v8-alpine", "linux-arm64")),
        ("macos", "x86_64", _) => Some(("darwin-amd64", "darwin-amd64")),
        ("macos", "aarch64", _) => Some(("darwin-arm64v8", "darwin-arm64")),
        _ => None,
    }
}

fn remove_leftovers(artefacts: &Path) -> Result<(), StackError> {
    let entries = fs::read_dir(artefacts).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == PARTIAL))
        .try_for_each(|path| remove_folder(&path))
}

fn fetch(
    pom: &Path,
    arguments: &[String],
    into: &Path,
    log: &Path,
    progress: &mut dyn Progress,
) -> Result<(), StackError> {
    let began = Instant::now();
    let writing = || format!("write {}", log.display());
    let mut output = File::create(log).doing(writing)?;
    let mut command = Command::new("mvn");
    command.args(["--batch-mode", "--file"]).arg(pom).arg("package").args(arguments);
    command.arg(format!("-Dstack.into={}", into.display()));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(output.try_clone().doing(writing)?);
    let mut maven = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => StackError::NoMaven,
        _ => StackError::Io { doing: "run mvn".to_owned(), source: error },
    })?;
    progress.begin(Step::Download);
    let mut reason = None;
    let mut files = 0_u32;
    for line in maven.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.doing(|| "read the output of mvn".to_owned())?;
        writeln!(output, "{line}").doing(writing)?;
        if let Some(file) = file_of(&line) {
            files += 1;
            progress.note(Step::Download, &format!("{file} ({files} files so far)"));
        }
        reason = reason.or_else(|| error_of(&line));
    }
    if !maven.wait().doing(|| "wait for mvn".to_owned())?.success() {
        let reason = reason.unwrap_or_else(|| "it gave no reason".to_owned());
        return Err(StackError::Maven { reason, log: log.to_owned() });
    }
    progress.done(Step::Download, began.elapsed());
    Ok(())
}

/// What Maven complains about on this line; some of its complaints begin with an empty one.
fn error_of(line: &str) -> Option<String> {
    // Colours that were switched off still leave a code in front.
    let (_, complaint) = line.split_once("[ERROR]")?;
    let complaint = complaint.split(" -> [Help").next().unwrap_or_default().trim();
    (!complaint.is_empty()).then(|| complaint.to_owned())
}

/// The file's name in Maven's `Downloading from <repository>: <address>`.
fn file_of(line: &str) -> Option<&str> {
    let (_, address) = line.strip_prefix("[INFO] Downloading from ")?.split_once(": ")?;
    address.rsplit('/').next()
}

/// Unpacks what Maven leaves packed and gives the programs fixed names.
fn finish(folder: &Path, progress: &mut dyn Progress) -> Result<(), StackError> {
    let began = Instant::now();
    progress.begin(Step::Unpack);
    let archives = folder.join("postgres-archive");
    let archive = only_file(&archives, |name| name.ends_with(".txz"))?;
    let kept = folder.join("postgres.txz");
    fs::rename(&archive, &kept).doing(|| format!("move {}", archive.display()))?;
    remove_folder(&archives)?;
    unpack::tar_xz(&kept, &folder.join("postgres"))?;
    let server = only_file(&folder.join("redis"), |name| name.starts_with("redis-server"))?;
    let named = folder.join("redis/redis-server");
    fs::rename(&server, &named)
        .and_then(|()| fs::set_permissions(&named, fs::Permissions::from_mode(0o755)))
        .doing(|| format!("prepare {}", named.display()))?;
    progress.done(Step::Unpack, began.elapsed());
    Ok(())
}

/// The first file of a folder whose name fits.
pub(crate) fn only_file(folder: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf, StackError> {
    let entries = fs::read_dir(folder).doing(|| format!("read {}", folder.display()))?;
    entries
        .flatten()
        .find(|entry| fits(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .ok_or_else(|| std::io::Error::from(ErrorKind::NotFound))
        .doing(|| format!("find the program in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_shown_by_its_files_name_alone() {
        let line = "[INFO] Downloading from central: https://host/a/b/kafka_2.13-4.3.1.jar";
        assert_eq!(file_of(line), Some("kafka_2.13-4.3.1.jar"));
        assert_eq!(file_of("[INFO] BUILD SUCCESS"), None);
    }

    #[test]
    fn the_reason_of_a_failure_is_the_first_complaint_that_says_something() {
        let output = [
            "[INFO] Scanning",
            "[ERROR] ",
            "[ERROR] no space left -> [Help 1]",
            "[ERROR] see above",
        ];
        let reason = output.into_iter().find_map(error_of);
        assert_eq!(reason.as_deref(), Some("no space left"));
    }

    #[test]
    fn every_supported_machine_has_both_archives() {
        assert_eq!(platforms("linux", "aarch64", false), Some(("linux-arm64v8", "linux-arm64")));
        assert_eq!(platforms("macos", "aarch64", false), Some(("darwin-arm64v8", "darwin-arm64")));
        assert_eq!(platforms("linux", "riscv64", false), None);
    }

    #[test]
    fn java_17_takes_the_older_registry_from_the_pom() {
        let profile = |major| {
            let java = Java { program: PathBuf::from("java"), major };
            arguments(&java).unwrap().contains(&"-Pjava17".to_owned())
        };
        assert!(profile(17));
        assert!(!profile(21));
    }
}
