//! The request's trace, carried on: from an envelope's `traceparent` into the projector's spans.

use factline_core::Envelope;
use tracing::Span;

/// A span for one event. At debug: a line for every event is for whoever asks for it.
pub(crate) fn event_span(envelope: &Envelope) -> Span {
    tracing::debug_span!(
        "projection.event",
        topic = %envelope.topic,
        partition = envelope.partition,
        position = envelope.position.0,
        stream_id = %envelope.stream_id,
        trace_id = trace_id(envelope).unwrap_or_default(),
    )
}

/// The trace id in a W3C `traceparent`: `00-<32 hex digits>-<16>-<2>`.
pub(crate) fn trace_id(envelope: &Envelope) -> Option<&str> {
    let parent = envelope.traceparent.as_deref()?;
    let id = parent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parcels;

    #[test]
    fn the_trace_id_is_read_from_the_traceparent() {
        let mut envelope = parcels(&[("a", "x", 1)]).remove(0).envelope;
        assert_eq!(trace_id(&envelope), None);
        envelope.traceparent =
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
        assert_eq!(trace_id(&envelope), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        envelope.traceparent = Some("00-nonsense".into());
        assert_eq!(trace_id(&envelope), None);
    }
}
