//! `factline verify` and `factline relay reset` on a log, a topic and what somebody does to them.

#![allow(clippy::unwrap_used)] // plain functions beside the tests use it too

use std::process::{Command, Output};

use chrono::Utc;
use factline_codec::frame;
use factline_core::{Position, StreamId, command_key, topic_name};
use factline_kafka::{Admin, KafkaSettings, Outgoing, Producer, envelope_headers};
use factline_log::{Command as LogCommand, Lanes, LogReader, LogSettings, RelayCursors};
use factline_projection::MIGRATOR;
use factline_testkit::{
    Addresses, TestDatabase,
    parcels::{PackParcel, Parcel},
    stack, unique_prefix,
};
use sqlx::{AssertSqlSafe, PgPool};

/// One partition: positions are the order of writing.
const PARTITIONS: i32 = 1;
/// No schema is looked up by it here.
const SCHEMA_ID: u32 = 1;

/// A log whose events are on their topic, and no projection of them.
struct World {
    stack: Addresses,
    log: TestDatabase,
    empty: TestDatabase,
    pool: PgPool,
    topic: String,
}

impl World {
    async fn create(test: &str) -> Self {
        let (stack, log) = (stack(), TestDatabase::create(test).await);
        let empty = TestDatabase::create(&format!("{test}_empty")).await;
        MIGRATOR.run(&empty.pool().await).await.unwrap();
        let topic_prefix = unique_prefix(test);
        let topic = topic_name(&topic_prefix, "parcel");
        let mut owner = factline_log::migrate(&log.url()).await.unwrap();
        factline_log::ensure_topic(&mut owner, &topic, PARTITIONS).await.unwrap();
        let world = Self { pool: log.pool().await, stack, log, empty, topic };
        world.pack(3).await;
        world.send(topic_prefix).await;
        world
    }

    async fn pack(&self, times: i64) {
        let settings = LogSettings {
            url: self.log.url(),
            owner_url: self.log.url(),
            partitions: PARTITIONS,
            lanes: 1,
            lane_queue: 10,
            batch_commands: 10,
            cached_streams: 10,
            cached_bytes: 1 << 20,
            recent_commands: 1,
            snapshot_every: 1_000,
            snapshot_after_load_ms: 10_000,
            lock_timeout_ms: 10_000,
            allow_unsafe_database: true, // as the owner, who also spoils tables here
            read_connections: 1,
        };
        let (lanes, _parts) = Lanes::<Parcel>::start(&settings, &self.topic).unwrap();
        for weight_grams in 1..=times {
            let stream_id = StreamId::parse("a").unwrap();
            let key = command_key(&stream_id, &weight_grams.to_string());
            let body = PackParcel { weight_grams };
            lanes
                .execute(LogCommand::new(stream_id, key, [0; 16], Utc::now(), body))
                .await
                .unwrap();
        }
    }

    /// As the relay does.
    async fn send(&self, topic_prefix: String) {
        let kafka = KafkaSettings {
            brokers: self.stack.kafka.clone(),
            topic_prefix,
            create_topics: true,
            replication_factor: 1,
            min_insync_replicas: 1,
            ..KafkaSettings::default()
        };
        let admin = Admin::new(&kafka).unwrap();
        admin.ensure_topic(&self.topic, PARTITIONS, &kafka.topic_config()).await.unwrap();
        let reader = self.reader();
        let events = reader.read(&self.topic, 0, Position::ZERO, 100).await.unwrap();
        let records = events.iter().map(|event| Outgoing {
            topic: self.topic.as_str().into(),
            partition: Some(0),
            key: Some(event.envelope.stream_id.to_string().into()),
            value: Some(frame(SCHEMA_ID, &event.datum).into()),
            headers: envelope_headers(&event.envelope, SCHEMA_ID, ""),
        });
        Producer::new(&kafka).unwrap().send_all(records.collect()).await.unwrap();
        let sent = Position(i64::try_from(events.len()).unwrap());
        RelayCursors::new(&reader).advance(&self.topic, &[(0, sent)]).await.unwrap();
    }

    fn reader(&self) -> LogReader {
        LogReader::new(&self.log.url(), 2).unwrap()
    }

    async fn does(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// Runs the program: its exit code, and what it said.
    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut factline = Command::new(env!("CARGO_BIN_EXE_factline"));
        factline.env_clear().args(arguments).current_dir(std::env::temp_dir());
        for (key, value) in [
            ("log.url", self.log.url()),
            ("kafka.brokers", self.stack.kafka.clone()),
            ("databases.projector_list", self.empty.url()),
            ("databases.projector_stats", self.empty.url()),
            ("databases.alerter", self.empty.url()),
            ("databases.command_api", self.empty.url()),
        ] {
            factline.args(["--set", &format!("{key}={value}")]);
        }
        let output = tokio::task::spawn_blocking(move || factline.output()).await.unwrap();
        let Output { status, stdout, stderr } = output.unwrap();
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    async fn assert_equal(&self) {
        let (code, told) = self.run(&["verify"]).await;
        assert_eq!(code, Some(0), "{told}");
    }

    async fn assert_differs(&self, difference: &str) {
        let (code, told) = self.run(&["verify", "--wait", "0"]).await;
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(&difference.replace("TOPIC", &self.topic)), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d01_an_event_row_that_a_hand_has_changed_is_found() {
    let world = World::create("cli_edited").await;
    world.assert_equal().await;
    for change in [
        "payload = '\\x0c'", // 6 grams instead of 2: it decodes as well as before
        "actor = 'nobody'",
        "stream_id = 'b', version = 1",
        "occurred_at = occurred_at - interval '1 day'",
    ] {
        world.does("create table kept as select * from log.events where position = 2").await;
        world.does(&format!("update log.events set {change} where position = 2")).await;
        world.assert_differs("position 2 of TOPIC/0 says something else than the store").await;
        world
            .does(
                "delete from log.events where position = 2;
                 insert into log.events select * from kept; drop table kept",
            )
            .await;
        world.assert_equal().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d03_a_cursor_ahead_or_behind_is_found_and_an_operator_puts_it_right() {
    let world = World::create("cli_cursor").await;
    world.does("update log.relay_cursors set position = 9").await;
    world.assert_differs("relay: its cursor 9 of TOPIC/0 is ahead of the store").await;
    world.does("update log.relay_cursors set position = 1").await;
    world.assert_differs("relay: its cursor 1 of TOPIC/0 is behind the topic, which has 3").await;

    let reset = ["relay", "reset", &world.topic, "--partition", "0", "--to"];
    let (code, told) = world.run(&[&reset[..], &["3"]].concat()).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("from 1 to 3; nothing was changed"), "{told}");
    world.assert_differs("is behind the topic").await;

    let lease = RelayCursors::new(&world.reader()).try_lease(&world.topic).await.unwrap().unwrap();
    let (code, told) = world.run(&[&reset[..], &["3", "--yes"]].concat()).await;
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("is at work"), "{told}");
    lease.release().await.unwrap();

    let (code, told) = world.run(&[&reset[..], &["4", "--yes"]].concat()).await;
    assert_eq!(code, Some(2), "the store has no such position: {told}");
    let (code, told) = world.run(&[&reset[..], &["3", "--yes"]].concat()).await;
    assert_eq!(code, Some(0), "{told}");
    world.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_begins_where_it_is_told_and_what_was_left_out_is_no_difference() {
    let world = World::create("cli_begin").await;
    let begin = async |place: &[&str]| {
        let asked = ["projection", "begin-at", "parcels", "--topic", &world.topic];
        let why = ["--service", "alerter", "--by", "ada", "--reason", "the past is told already"];
        world.run(&[&asked[..], place, &why].concat()).await
    };
    let (code, told) = begin(&["--partition", "0", "--after", "2"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("2 events would be left out") && told.contains("nothing was"), "{told}");
    world.assert_equal().await; // no projection has a checkpoint here, so none is missed

    let (code, told) = begin(&["--partition", "0", "--after", "4", "--yes"]).await;
    assert_eq!(code, Some(2), "the log has no such position: {told}");
    let (code, told) = begin(&["--end", "--yes"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("goes on behind 3; 3 events are left out"), "{told}");
    let (code, told) = world.run(&["verify"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("0 events processed, 0 parked, 3 left out"), "{told}");

    let (code, told) = begin(&["--partition", "0", "--after", "1", "--yes"]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("rebuild"), "{told}");
}
