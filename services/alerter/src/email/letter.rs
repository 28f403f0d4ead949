//! A letter, and the message that it becomes on the wire (RFC 5322, multipart/alternative).

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    message::{Mailbox, MultiPart},
};
use uuid::Uuid;

/// Whom mail is from: `orders@shop.example`, or with a name before it.
pub type Sender = Mailbox;

/// What somebody gets to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Stands in the Message-ID.
    pub id: Uuid,
    /// What the recipient is called; may be empty.
    pub to_name: String,
    /// Where mail reaches the recipient.
    pub to_address: String,
    /// One line; whatever else is in it becomes blanks.
    pub subject: String,
    /// For readers of plain text.
    pub text: String,
    /// For the others: a whole document, escaped already.
    pub html: String,
    /// When what it tells of happened.
    pub at: DateTime<Utc>,
}

impl Letter {
    /// The message. Names and subject reach the headers as one encoded line each, so nobody's name can
    /// add a header.
    ///
    /// # Errors
    /// The recipient's address cannot be written in a header; it never will be.
    pub fn message(&self, from: &Sender) -> Result<Message, String> {
        let address: Address =
            self.to_address.parse().map_err(|error| format!("the recipient's address: {error}"))?;
        let name = one_line(&self.to_name);
        let to = Mailbox::new((!name.is_empty()).then_some(name), address);
        Message::builder()
            .message_id(Some(format!("<{}@{}>", self.id, from.email.domain())))
            .date(SystemTime::from(self.at))
            .from(from.clone())
            .to(to)
            .subject(one_line(&self.subject))
            .multipart(MultiPart::alternative_plain_html(self.text.clone(), self.html.clone()))
            .map_err(|error| error.to_string())
    }
}

/// A text as one line: line ends and other control characters become blanks.
#[must_use]
pub fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            id: Uuid::from_u128(7),
            to_name: "Ada Lovelace".to_owned(),
            to_address: "ada@example.com".to_owned(),
            subject: "Your order".to_owned(),
            text: "Thank you.".to_owned(),
            html: "<p>Thank you.</p>".to_owned(),
            at: "2026-01-05T09:00:00Z".parse().unwrap(),
        }
    }

    fn written(letter: &Letter) -> String {
        let from = "Shop <orders@shop.example>".parse().unwrap();
        String::from_utf8(letter.message(&from).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_letter_has_one_message_id_and_one_date_for_ever() {
        for text in [written(&letter()), written(&letter())] {
            let id = "\r\nMessage-ID: <00000000-0000-0000-0000-000000000007@shop.example>\r\n";
            assert!(format!("\r\n{text}").contains(id), "{text}");
            assert!(text.contains("\r\nDate: Mon, 05 Jan 2026 09:00:00 +0000\r\n"), "{text}");
        }
    }

    #[test]
    fn w12_line_ends_in_a_subject_or_a_name_add_no_header() {
        let evil = "x\r\nBcc: eve@example.com\r\n\r\n<script>\u{0}\u{1b}[31m\u{85}";
        let text =
            written(&Letter { to_name: evil.to_owned(), subject: evil.to_owned(), ..letter() });
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = head
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split_once(':').unwrap().0)
            .collect();
        let expected = ["Message-ID", "Date", "From", "To", "Subject", "MIME-Version"];
        assert_eq!(names[..expected.len()], expected, "{head}");
        assert_eq!(names[expected.len()..], ["Content-Type"], "{head}");
        let smuggled = head.lines().any(|line| line.trim_start().starts_with("Bcc"));
        assert!(!smuggled, "{head}");
    }

    #[test]
    fn an_address_that_no_header_can_hold_is_refused() {
        let bad = Letter { to_address: "a b@example.com\r\nBcc: eve@x".to_owned(), ..letter() };
        assert!(bad.message(&"orders@shop.example".parse().unwrap()).is_err());
    }
}
