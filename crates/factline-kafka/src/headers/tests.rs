use chrono::TimeZone;

use super::*;

fn envelope() -> Envelope {
    Envelope {
        topic: "factline.parcel.v1".into(),
        partition: 3,
        position: Position(1_042),
        stream_id: StreamId::parse("käse-85123A").unwrap(),
        version: Version(7),
        event_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
        event_type: "factline.parcel.ParcelSent".into(),
        correlation_id: Uuid::from_u128(2),
        causation_id: Uuid::from_u128(3),
        actor: Some("clerk \"seven\"".into()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        occurred_at: Utc.with_ymd_and_hms(2010, 12, 1, 8, 26, 0).unwrap(),
        recorded_at: Utc.timestamp_opt(1_700_000_000, 123_456_000).unwrap(),
    }
}

fn record(envelope: &Envelope) -> Record {
    Record {
        topic: envelope.topic.clone(),
        partition: envelope.partition,
        offset: 99,
        key: Some(Bytes::from(envelope.stream_id.as_str().to_owned())),
        value: Some(Bytes::from_static(b"\0\0\0\0\x05datum")),
        headers: envelope_headers(envelope, 5, "http://registry/"),
        timestamp_ms: Some(0),
    }
}

fn set(record: &mut Record, name: &str, value: Option<&'static [u8]>) {
    let slot = record.headers.iter_mut().find(|(known, _)| known == name).unwrap();
    slot.1 = value.map(Bytes::from_static);
}

#[test]
fn every_field_of_an_envelope_survives_the_headers() {
    let full = envelope();
    assert_eq!(read_envelope(&record(&full)), Ok(full.clone()));
    let bare = Envelope { actor: None, traceparent: None, ..full };
    assert_eq!(read_envelope(&record(&bare)), Ok(bare));
}

#[test]
fn the_headers_are_cloudevents_in_binary_mode() {
    let headers = envelope_headers(&envelope(), 5, "http://registry/");
    let golden = [
        ("ce_specversion", "1.0"),
        ("ce_id", "01900000-0000-7000-8000-000000000001"),
        ("ce_source", "/factline.parcel.v1/3"),
        ("ce_type", "factline.parcel.ParcelSent"),
        ("ce_time", "2010-12-01T08:26:00Z"),
        ("ce_subject", "käse-85123A"),
        ("ce_dataschema", "http://registry/schemas/ids/5"),
        ("content-type", "application/vnd.confluent.avro"),
        ("ce_sequence", "1042"),
        ("ce_streamversion", "7"),
        ("ce_correlationid", "00000000-0000-0000-0000-000000000002"),
        ("ce_causationid", "00000000-0000-0000-0000-000000000003"),
        ("ce_recordedat", "2023-11-14T22:13:20.123456Z"),
        ("ce_actor", "clerk \"seven\""),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let written: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (&**name, std::str::from_utf8(value.as_ref().unwrap()).unwrap()))
        .collect();
    assert_eq!(written, golden);
}

#[test]
fn k1_a_record_without_a_key_is_refused() {
    let keyless = Record { key: None, ..record(&envelope()) };
    assert_eq!(read_envelope(&keyless).unwrap_err().code(), "key_missing");
}

#[test]
fn k2_a_key_that_is_not_the_subject_is_refused() {
    let other = Record { key: Some(Bytes::from_static(b"other")), ..record(&envelope()) };
    assert_eq!(read_envelope(&other).unwrap_err().code(), "key_mismatch");
    let binary = Record { key: Some(Bytes::from_static(b"\xff")), ..record(&envelope()) };
    assert_eq!(read_envelope(&binary).unwrap_err().code(), "key_malformed");
    let empty = Record { key: Some(Bytes::new()), ..record(&envelope()) };
    assert_eq!(read_envelope(&empty).unwrap_err().code(), "key_malformed");
}

#[test]
fn k5_each_required_header_is_missed_by_name() {
    for name in [
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_time",
        "ce_subject",
        "ce_sequence",
        "ce_streamversion",
        "ce_correlationid",
        "ce_causationid",
        "ce_recordedat",
    ] {
        let mut absent = record(&envelope());
        absent.headers.retain(|(known, _)| known != name);
        assert_eq!(read_envelope(&absent), Err(HeaderFault::HeaderMissing(name)));
        let mut null = record(&envelope());
        set(&mut null, name, None);
        assert_eq!(read_envelope(&null), Err(HeaderFault::HeaderMissing(name)));
    }
}

#[test]
fn k6_a_value_that_does_not_read_is_refused_by_name() {
    for (name, value) in [
        ("ce_specversion", b"2.0".as_slice()),
        ("ce_id", b"not-a-uuid"),
        ("ce_type", b""),
        ("ce_time", b"yesterday"),
        ("ce_sequence", b"0"),
        ("ce_sequence", b"99999999999999999999"),
        ("ce_streamversion", b"-1"),
        ("ce_correlationid", b"\xff\xfe"),
        ("ce_actor", b"\xff"),
        ("traceparent", b"\xc3\x28"),
    ] {
        let mut bad = record(&envelope());
        set(&mut bad, name, Some(value));
        let fault = read_envelope(&bad).unwrap_err();
        assert_eq!(fault.code(), "header_malformed", "{name}: {fault}");
        assert!(fault.to_string().contains(name), "{fault}");
    }
}

#[test]
fn k6_of_duplicate_headers_the_first_wins() {
    let mut doubled = record(&envelope());
    doubled.headers.push(("ce_sequence".into(), Some(Bytes::from_static(b"9"))));
    assert_eq!(read_envelope(&doubled).unwrap().position, Position(1_042));
}

#[test]
fn k6_headers_over_budget_are_refused_unread() {
    let mut many = record(&envelope());
    many.headers.extend((0..MAX_HEADERS).map(|i| (format!("x{i}").into(), None)));
    assert_eq!(read_envelope(&many).unwrap_err().code(), "headers_over_budget");
    let mut large = record(&envelope());
    large.headers.push(("x".into(), Some(Bytes::from(vec![0; MAX_HEADER_BYTES]))));
    assert_eq!(read_envelope(&large).unwrap_err().code(), "headers_over_budget");
}

#[test]
fn headers_that_nobody_knows_are_ignored() {
    let mut extended = record(&envelope());
    extended.headers.push(("x-other".into(), Some(Bytes::from_static(b"\xff"))));
    assert_eq!(read_envelope(&extended), Ok(envelope()));
}

#[test]
fn every_name_of_the_envelope_is_known_and_no_other_is_taken_for_one() {
    for (at, (name, _)) in envelope_headers(&envelope(), 7, "http://registry").iter().enumerate() {
        for at in [at, 0, NAMES.len()] {
            assert!(matches!(known_name(name, at), HeaderName::Borrowed(_)), "{name} at {at}");
        }
    }
    assert_eq!(known_name("x-other", 0), HeaderName::Owned("x-other".to_owned()));
}
