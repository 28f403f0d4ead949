//! `cargo xtask logs kafka -f`: a component's output.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use local_stack::{Component, StackOptions, StackRecord};

use crate::failure::Failure;
use crate::stack_args::StackName;
use crate::workspace;

/// Arguments of `logs`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// kafka, registry, postgres or redis
    component: Component,
    #[command(flatten)]
    stack: StackName,
    /// Go on showing what is added, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to show first
    #[arg(short = 'n', long, default_value_t = 100, value_name = "LINES")]
    lines: usize,
}

/// Shows the end of the log, and what comes after it with `--follow`.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let name = &args.stack.name;
    let root = StackOptions::new(&workspace::root(), name).root;
    if StackRecord::read(&root)?.is_none() {
        return Err(Failure::new(format!(
            "there is no stack named {name:?}: see `cargo xtask status`"
        )));
    }
    let path = root.join("logs").join(format!("{}.log", args.component));
    let mut file = File::open(&path).map_err(|error| {
        Failure::new(format!(
            "{} of {name:?} has no log at {}: {error}",
            args.component,
            path.display()
        ))
    })?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let shown = io::stdout().write_all(last_lines(&bytes, args.lines));
    let followed = if args.follow { shown.and_then(|()| follow(&path, file)) } else { shown };
    match followed {
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Failure::from),
    }
}

fn last_lines(bytes: &[u8], lines: usize) -> &[u8] {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let starts = whole.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    match (lines, starts.map(|(at, _)| at + 1).nth(lines.saturating_sub(1))) {
        (0, _) => &[],
        (_, Some(start)) => &bytes[start..],
        (_, None) => bytes,
    }
}

/// Copies what is added; a restart of the component begins a new file under the same name.
fn follow(path: &Path, mut file: File) -> io::Result<()> {
    // Seems immediate to a reader.
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    loop {
        io::copy(&mut file, &mut io::stdout())?;
        io::stdout().flush()?;
        thread::sleep(LOOK_EVERY);
        if let Ok(current) = File::open(path) {
            let (now, then) = (current.metadata()?, file.metadata()?);
            let renewed = now.ino() != then.ino();
            if renewed || now.len() < file.stream_position()? {
                file = current;
                file.seek(SeekFrom::Start(0))?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole_lines() {
        let log = b"one\ntwo\nthree\n";
        assert_eq!(last_lines(log, 2), b"two\nthree\n");
        assert_eq!(last_lines(log, 9), log);
        assert_eq!(last_lines(log, 0), b"");
        assert_eq!(last_lines(b"one\ntwo", 1), b"two");
    }
}
