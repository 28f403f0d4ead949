//! Logs: one event is one line, whatever its values hold (hazards 6.1, H20).

use std::{
    io,
    sync::{Arc, Mutex},
};

use service_kit::telemetry::{LogFormat, subscriber};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const EVIL: &str = "a\r\n2026-01-01 ERROR forged\u{1b}[2J\u{9b}2J\u{7f}z";

fn logged(format: LogFormat) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = subscriber(format, "info", false, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("request", trace_id = "4bf9", correlation_id = %EVIL);
        let _entered = span.enter();
        tracing::info!(parcel.address = EVIL, shown = %EVIL, debugged = ?EVIL, "sent {EVIL}");
        tracing::debug!("not at this level");
    });
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn h20_no_value_can_start_a_line_or_command_a_terminal() {
    for format in [LogFormat::Json, LogFormat::Human] {
        let text = logged(format);
        assert_eq!(text.lines().count(), 1, "{format:?}: {text}");
        let controls: Vec<_> = text.trim_end().chars().filter(|c| c.is_control()).collect();
        assert!(controls.is_empty(), "{format:?}: {controls:?} in {text:?}");
        assert!(text.contains("forged") && text.contains("4bf9"), "{format:?}: {text}");
    }
}

#[test]
fn h20_a_json_line_gives_the_value_back_as_it_was() {
    let line: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json)).unwrap();
    assert_eq!(line["parcel.address"], EVIL);
    assert_eq!(line["shown"], EVIL);
    assert_eq!(line["message"], format!("sent {EVIL}"));
    assert_eq!(line["spans"][0]["correlation_id"], EVIL);
    assert_eq!(line["spans"][0]["trace_id"], "4bf9");
}
