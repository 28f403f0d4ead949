//! Mail: a letter goes in and is handed to an SMTP server once; what came of it comes out.
//!
//! A letter has one Message-ID for ever, so that whoever gets it twice can tell.

mod letter;
mod settings;
mod smtp;

pub use self::{
    letter::{Letter, Sender, one_line},
    settings::{EmailSettings, Security},
    smtp::Smtp,
};
