//! Server-sent events as a client reads them: text in, as it arrives; events out.

use std::collections::VecDeque;

/// One event; members that it does not have are empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ServerSent {
    /// What a client comes back with.
    pub id: String,
    /// The type.
    pub event: String,
    /// The lines of data.
    pub data: String,
}

/// Puts events together.
#[derive(Debug, Default)]
pub struct ServerSentReader {
    text: String,
    events: VecDeque<ServerSent>,
}

impl ServerSentReader {
    /// Takes what has arrived, which may end anywhere.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        while let Some((block, rest)) = self.text.split_once("\n\n") {
            let event = read(block);
            if event != ServerSent::default() {
                self.events.push_back(event);
            }
            self.text = rest.to_owned();
        }
    }

    /// The next event that is complete; comments are passed over.
    pub fn next_event(&mut self) -> Option<ServerSent> {
        self.events.pop_front()
    }
}

fn read(block: &str) -> ServerSent {
    let mut event = ServerSent::default();
    for line in block.lines() {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("id", id) => id.clone_into(&mut event.id),
            ("event", name) => name.clone_into(&mut event.event),
            ("data", data) => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(data);
            }
            _ => {} // a comment
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_arrive_in_pieces_are_read_once_they_are_complete() {
        let mut reader = ServerSentReader::default();
        reader.push(":\n\nid: 1\nevent: Sent\nda");
        assert_eq!(reader.next_event(), None);
        reader.push("ta: {}\n\n: still here\n\nid: 2\n\n");
        let all = [reader.next_event(), reader.next_event(), reader.next_event()];
        let first = ServerSent { id: "1".into(), event: "Sent".into(), data: "{}".into() };
        let second = ServerSent { id: "2".into(), ..ServerSent::default() };
        assert_eq!(all, [Some(first), Some(second), None]);
    }
}
