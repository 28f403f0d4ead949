//! A partition's file on the stack's broker, for a test that spoils what lies on its disk.

use std::{fs, path::PathBuf};

use serde::Deserialize;

/// The first segment of a partition of the test's own topic.
pub struct Segment(PathBuf);

impl Segment {
    pub fn of(topic: &str, partition: i32) -> Self {
        #[derive(Deserialize)]
        struct Stack {
            root: PathBuf,
        }
        let described = std::env::var_os("FACTLINE_STACK").unwrap();
        let stack: Stack = serde_json::from_slice(&fs::read(described).unwrap()).unwrap();
        let partition = format!("data/kafka/log/{topic}-{partition}");
        Self(stack.root.join(partition).join("00000000000000000000.log"))
    }

    /// Turns over every bit of one byte of the only place where this text is; once more, and it is
    /// as it was.
    pub fn flip_behind(&self, text: &str) {
        let mut bytes = fs::read(&self.0).unwrap();
        let found = bytes.windows(text.len()).position(|window| window == text.as_bytes());
        let at = found.unwrap_or_else(|| panic!("{} has no {text}", self.0.display())) + text.len();
        bytes[at] = !bytes[at];
        // In place: the broker has the file open.
        use std::os::unix::fs::FileExt as _;
        let file = fs::OpenOptions::new().write(true).open(&self.0).unwrap();
        file.write_all_at(&bytes[at..=at], at as u64).unwrap();
    }
}
