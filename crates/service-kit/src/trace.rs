//! W3C trace context: out of a request, into what it causes (<https://www.w3.org/TR/trace-context>).

use std::fmt;

/// Where a piece of work stands in a trace. `Display` gives the `traceparent` header's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// "Sampled": whoever records traces should record this one.
const SAMPLED: u8 = 1;

impl TraceContext {
    /// A new trace with random ids.
    #[must_use]
    pub fn root() -> Self {
        // Zero is the invalid id; OR 1 costs one bit of 128 and 64 and never loops.
        let (trace_id, span_id) = (rand::random::<u128>() | 1, rand::random::<u64>() | 1);
        Self { trace_id, span_id, flags: SAMPLED }
    }

    /// Reads a `traceparent`. `None` when it is malformed: the specification then says to start a
    /// new trace.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let unexpected_rest = version == 0 && parts.next().is_some(); // later versions may add parts
        if version == 0xff || trace_id == 0 || span_id == 0 || unexpected_rest {
            return None;
        }
        Some(Self { trace_id, span_id, flags })
    }

    /// The same trace, one span further down.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: rand::random::<u64>() | 1, ..self }
    }

    /// The value of a `traceparent` header.
    #[must_use]
    pub fn to_header(self) -> String {
        self.to_string()
    }

    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let well_formed = text.len() == digits && text.bytes().all(lower_hex);
    well_formed.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_in_a_child_with_a_span_of_its_own() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = TraceContext::parse(header).unwrap();
        assert_eq!(parent.to_header(), header);
        let child = parent.child();
        assert_eq!(child.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(child.span_id(), parent.span_id());
        assert_eq!(TraceContext::parse(&child.to_header()), Some(child));
    }

    #[test]
    fn a_malformed_traceparent_is_no_trace() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad:?}");
        }
    }
}
