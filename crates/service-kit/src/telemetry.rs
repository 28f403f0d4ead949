//! Logs: in flow tracing's events and spans, out flow lines of JSON or text on standard output. A
//! field's value can neither start a new line nor command a terminal.

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal, Write},
};

use serde::Deserialize;
use tracing::{Subscriber, field::Field};
use tracing_subscriber::{
    EnvFilter, Registry,
    field::MakeExt,
    fmt::{MakeWriter, format},
    layer::SubscriberExt,
};

use crate::{
    ServiceError,
    settings::{SettingsProblem, Validate},
};

/// `[telemetry]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// What a line looks like.
    pub format: LogFormat,
    /// What is logged, in tracing's directives: `info,service_kit=debug`.
    pub filter: String,
}

/// What a line of log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object per line.
    Json,
    /// Text.
    Human,
}

impl Validate for TelemetrySettings {
    fn validate(&self) -> Vec<SettingsProblem> {
        match EnvFilter::try_new(&self.filter) {
            Ok(_) => Vec::new(),
            Err(error) => vec![SettingsProblem::new("filter", error.to_string())],
        }
    }
}

/// Makes these settings the process's logging, and logs panics as errors. Once per process.
///
/// # Errors
/// When logging was already set up, or the filter cannot be read.
pub fn init(settings: &TelemetrySettings) -> Result<(), ServiceError> {
    let terminal = io::stdout().is_terminal();
    let human =
        settings.format == LogFormat::Human || (settings.format == LogFormat::Auto && terminal);
    let format = if human { LogFormat::Human } else { LogFormat::Json };
    let subscriber = subscriber(format, &settings.filter, terminal, io::stdout)?;
    tracing::subscriber::set_global_default(subscriber)?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a panic without a text");
        tracing::error!(panic.location = location, panic.message = message, "panicked");
    }));
    Ok(())
}

/// The subscriber behind [`init`], for a writer of one's own; `Auto` is JSON here.
///
/// # Errors
/// When the filter cannot be read.
pub fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, ServiceError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let registry = Registry::default().with(EnvFilter::try_new(filter)?);
    let layer = tracing_subscriber::fmt::layer().with_writer(EscapingWriter(writer));
    Ok(match format {
        LogFormat::Json | LogFormat::Auto => {
            Box::new(registry.with(
                layer.json().flatten_event(true).with_current_span(false).with_span_list(true),
            ))
        }
        LogFormat::Human => Box::new(registry.with(
            layer.with_ansi(colours).fmt_fields(format::debug_fn(human_field).delimited(" ")),
        )),
    })
}

fn human_field(
    writer: &mut format::Writer<'_>,
    field: &Field,
    value: &dyn fmt::Debug,
) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    let text = format!("{value:?}");
    text.chars().try_for_each(|character| match character {
        '\n' | '\r' | '\t' => write!(writer, "{}", character.escape_default()),
        _ if is_control(character) => write!(writer, "\\u{{{:x}}}", u32::from(character)),
        _ => writer.write_char(character),
    })
}

/// Control characters, and those that reorder the text around them (the bidirectional controls of
/// Unicode UAX 9).
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON escapes the ASCII controls below 0x20 only; this escapes DEL and the C1 controls too, which
/// 8-bit terminals obey. The colours of a human line are ESC sequences and stay.
struct EscapingWriter<W>(W);

struct EscapingLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for EscapingWriter<W> {
    type Writer = EscapingLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        EscapingLine(self.0.make_writer())
    }
}

impl<W: Write> Write for EscapingLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let suspicious = |byte: &u8| *byte == 0x7f || *byte == 0xc2; // DEL, a C1's first UTF-8 byte
        if !line.iter().any(suspicious) {
            self.0.write_all(line)?;
            return Ok(line.len());
        }
        let mut escaped = String::with_capacity(line.len() + 16);
        for character in String::from_utf8_lossy(line).chars() {
            if matches!(character, '\u{7f}'..='\u{9f}') {
                let _infallible = write!(escaped, "\\u{:04x}", u32::from(character));
            } else {
                escaped.push(character);
            }
        }
        self.0.write_all(escaped.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
