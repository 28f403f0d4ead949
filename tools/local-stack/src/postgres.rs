//! PostgreSQL: one cluster per stack, as strict about its data as a production server.
//!
//! It refuses to run as root. Then it runs as `nobody`, which must be able to reach the
//! programs and the data: below a private folder such as /root it cannot, so both go to
//! /var/tmp.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Doing;
use crate::launch::last_words;
use crate::layout::{Layout, fingerprint, make_folder, open_to_others, remove_folder};
use crate::process::User;
use crate::{Component, StackError, StackRecord, process, unpack};

/// The longest path of a Unix socket that every system takes (macOS: 103 bytes).
const LONGEST_SOCKET_PATH: usize = 103;

/// The user the server runs as: none means our own.
pub(crate) fn user() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    // The ids of nobody on every Linux that does not say otherwise.
    Some(nobody_in(&known).unwrap_or(User { uid: 65_534, gid: 65_534 }))
}

/// The ids in `nobody:x:65534:65534:…`; macOS writes them as -2.
fn nobody_in(passwd: &str) -> Option<User> {
    let line = passwd.lines().find(|line| line.starts_with("nobody:"))?;
    let mut ids = line.split(':').skip(2).map(|id| {
        id.parse::<u32>().ok().or_else(|| id.parse::<i32>().ok().map(i32::cast_unsigned))
    });
    Some(User { uid: ids.next()??, gid: ids.next()?? })
}

/// Where a stack's server keeps its files: below the stack's root, or in /var/tmp when its
/// user cannot get there.
pub(crate) fn choose_home(root: &Path, artefacts: &Path) -> Result<PathBuf, StackError> {
    let home = Layout::of(root).data(Component::Postgres);
    make_folder(&home)?;
    if user().is_none() || (open_to_others(&home) && open_to_others(artefacts)) {
        return Ok(home);
    }
    Ok(away_home(root))
}

/// Where the files go when they cannot be below the stack's root.
pub(crate) fn away_home(root: &Path) -> PathBuf {
    Path::new("/var/tmp").join(format!("factline-{}", fingerprint(&root.to_string_lossy())))
}

/// The folder of the Unix socket, unless its path would be too long for one.
pub(crate) fn socket_folder(home: &Path) -> Option<PathBuf> {
    let folder = home.join("socket");
    let longest = folder.join(".s.PGSQL.65535");
    (longest.as_os_str().len() <= LONGEST_SOCKET_PATH).then_some(folder)
}

/// Makes the cluster the first time, and clears away what a killed server leaves. Called only
/// when none of this stack's servers run. A cluster that was cut off while it was made has no
/// name yet and is begun anew.
pub(crate) fn prepare(record: &StackRecord, note: &mut dyn FnMut(&str)) -> Result<(), StackError> {
    let home = &record.postgres_home;
    make_folder(home)?;
    refuse_a_strangers_folder(home)?;
    if lives_away(record) && !home.join("install").exists() {
        note("unpacking it where its user can reach it");
        install_away(record)?;
    }
    make_socket_folder(home)?;
    let cluster = home.join("cluster");
    if !cluster.join("PG_VERSION").exists() {
        note("making its cluster");
        make_cluster(record, &cluster)?;
    }
    // A later process may have the number that this file holds; then the server would not start.
    match fs::remove_file(cluster.join("postmaster.pid")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(|| "remove a stale postmaster.pid".to_owned())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Anew each time: the lock beside a socket names its server's pid, which may be another
/// process by now.
fn make_socket_folder(home: &Path) -> Result<(), StackError> {
    let Some(socket) = socket_folder(home) else { return Ok(()) };
    remove_folder(&socket)?;
    make_folder(&socket)?;
    give_to_user(&socket)
}

fn make_cluster(record: &StackRecord, cluster: &Path) -> Result<(), StackError> {
    let draft = cluster.with_extension("partial");
    remove_folder(&draft)?;
    make_folder(&draft)?;
    give_to_user(&draft)?;
    let mut initdb = Command::new(program(record, "initdb"));
    initdb.arg("--pgdata").arg(&draft).current_dir(&draft);
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    // Not flushing here saves a second; what the server writes later it does flush.
    initdb.args(["--data-checksums", "--no-sync", "--no-instructions"]);
    let log = record.layout().log(Component::Postgres);
    if !process::run(initdb, user(), &log)? {
        let reason = last_words(&log);
        return Err(StackError::Died { component: Component::Postgres, reason, log });
    }
    fs::rename(&draft, cluster).doing(|| format!("name the folder {}", cluster.display()))
}

/// The server itself.
pub(crate) fn command(record: &StackRecord) -> Command {
    let cluster = record.postgres_home.join("cluster");
    let mut command = Command::new(program(record, "postgres"));
    command.arg("-D").arg(&cluster).arg("-p").arg(record.ports.postgres.to_string());
    let socket = socket_folder(&record.postgres_home).unwrap_or_default();
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={}", socket.display()),
    ];
    settings.extend(SETTINGS.map(str::to_owned));
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    command.current_dir(cluster);
    command
}

/// What differs from the server's defaults, or must not differ from them.
const SETTINGS: [&str; 6] = [
    "fsync=on",
    "synchronous_commit=on",
    // Four services with several instances each, and the tests' own pools.
    "max_connections=200",
    "shared_buffers=256MB",
    "timezone=UTC",
    "log_timezone=UTC",
];

fn program(record: &StackRecord, name: &str) -> PathBuf {
    let install = if lives_away(record) {
        record.postgres_home.join("install")
    } else {
        record.artefacts.join("postgres")
    };
    install.join("bin").join(name)
}

pub(crate) fn lives_away(record: &StackRecord) -> bool {
    !record.postgres_home.starts_with(&record.root)
}

fn install_away(record: &StackRecord) -> Result<(), StackError> {
    let draft = record.postgres_home.join("install.partial");
    remove_folder(&draft)?;
    unpack::tar_xz(&record.artefacts.join("postgres.txz"), &draft)?;
    let install = record.postgres_home.join("install");
    fs::rename(&draft, &install).doing(|| format!("name the folder {}", install.display()))
}

/// In /var/tmp everybody may make a folder of our name before us.
fn refuse_a_strangers_folder(home: &Path) -> Result<(), StackError> {
    let doing = || format!("use the folder {}", home.display());
    let found = fs::symlink_metadata(home).doing(doing)?;
    let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    if ours {
        return Ok(());
    }
    Err(std::io::Error::other("it belongs to another user")).doing(doing)
}

fn give_to_user(folder: &Path) -> Result<(), StackError> {
    let Some(user) = user() else { return Ok(()) };
    chown(folder, Some(user.uid), Some(user.gid))
        .doing(|| format!("give {} to the database's user", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_found_under_whatever_ids_it_has() {
        let linux = "root:x:0:0:root:/root:/bin/sh\nnobody:x:99:98:nobody:/:/bin/false\n";
        assert_eq!(nobody_in(linux), Some(User { uid: 99, gid: 98 }));
        let macos = "nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n";
        assert_eq!(nobody_in(macos), Some(User { uid: u32::MAX - 1, gid: u32::MAX - 1 }));
        assert_eq!(nobody_in("root:x:0:0::/:/bin/sh"), None);
    }

    #[test]
    fn a_socket_whose_path_would_be_too_long_is_left_out() {
        assert!(socket_folder(Path::new("/stacks/demo/data/postgres")).is_some());
        assert!(socket_folder(&Path::new("/").join("x".repeat(90))).is_none());
    }
}
