//! The answer for a person.

use std::fmt::Write;

use super::Status;

/// Services, topics and projections, a line each, and one that sums up.
pub(super) fn text(status: &Status) -> String {
    let mut text = String::from("services\n");
    for service in &status.services {
        let (name, state, address) = (&service.name, &service.status, &service.address);
        let _string_takes_all =
            writeln!(text, "  {name:<18} {state:<10} {address}  {}", service.detail);
    }
    text.push_str("topics\n");
    for topic in &status.topics {
        let (name, events, relayed) = (&topic.topic, topic.events, topic.relayed);
        let _string_takes_all = writeln!(
            text,
            "  {name:<28} {events:>9} events, {relayed} on kafka, {} partitions",
            topic.partitions.len()
        );
    }
    text.push_str("projections\n");
    for one in &status.projections {
        let _string_takes_all = writeln!(
            text,
            "  {:<28} {:>9} seen, lag {} events ({:.1} s){}, {} parked in {} streams, {} foreign",
            one.projection,
            one.position,
            one.lag_events,
            one.lag_seconds,
            one.age_seconds.map(|age| format!(", newest {age:.1} s old")).unwrap_or_default(),
            one.parked_events,
            one.parked_streams,
            one.foreign_records,
        );
        for partition in one.partitions.iter().filter(|partition| partition.lag_events > 0) {
            let _string_takes_all = writeln!(
                text,
                "    partition {}: at {} of {}",
                partition.partition, partition.position, partition.head
            );
        }
    }
    let _string_takes_all = write!(
        text,
        "{} events, lag {} events ({:.1} s), {} parked",
        status.log_events, status.lag_events, status.lag_seconds, status.parked
    );
    if let Some(age) = status.heartbeat_age_seconds {
        let _string_takes_all = write!(text, ", newest heartbeat {age:.1} s old");
    }
    for problem in &status.problems {
        let _string_takes_all = write!(text, "\nproblem: {problem}");
    }
    text
}
