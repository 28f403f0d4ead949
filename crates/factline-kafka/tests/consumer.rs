//! The consumer against librdkafka's own mock cluster, which serves groups in this process: what it
//! proves is our side of the protocol. The real broker is met by the projection's tests.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use factline_kafka::{
    Backlog, Consumer, ConsumerEvent, ConsumerSpec, KafkaSettings, Outgoing, PartitionId, Producer,
    Progress, Record, StartAt, next_offset,
};
use factline_testkit::{Meters, eventually};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tokio::time::timeout;

const TOPIC: &str = "factline.parcel.v1";
/// Generous: the machine may be busy with other tests.
const SOON: Duration = Duration::from_secs(60);

fn cluster(partitions: i32) -> (MockCluster<'static, DefaultProducerContext>, KafkaSettings) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, partitions, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    (cluster, KafkaSettings { brokers, session_timeout_ms: 6_000, ..KafkaSettings::default() })
}

fn spec(backlog_records: usize) -> ConsumerSpec {
    ConsumerSpec {
        group: "factline.parcels".into(),
        topics: vec![Arc::from(TOPIC)],
        backlog_records,
        stall_after: Duration::from_secs(30),
        close_within: Duration::from_secs(20),
    }
}

async fn send(settings: &KafkaSettings, partition: i32, count: usize) {
    let record = |n: usize| Outgoing {
        topic: TOPIC.into(),
        partition: Some(partition),
        key: Some(Bytes::from(format!("parcel-{n}"))),
        value: Some(Bytes::from(n.to_string())),
        headers: vec![("nth".into(), Some(Bytes::from(n.to_string()))), ("nil".into(), None)],
    };
    let producer = Producer::new(settings).unwrap();
    producer.send_all((0..count).map(record).collect()).await.unwrap();
}

/// A runtime in miniature: it begins where it is told and keeps what it gets.
struct Member {
    consumer: Consumer,
    start: StartAt,
    held: BTreeMap<PartitionId, (u64, Arc<Backlog>)>,
    records: Vec<Record>,
    /// What it says on revocation.
    progress: BTreeMap<PartitionId, i64>,
    revoked: usize,
}

impl Member {
    fn join(settings: &KafkaSettings, backlog_records: usize, start: StartAt) -> Self {
        Self::of(Consumer::start(settings, spec(backlog_records)).unwrap(), start)
    }

    fn of(consumer: Consumer, start: StartAt) -> Self {
        let (held, progress) = (BTreeMap::new(), BTreeMap::new());
        Self { consumer, start, held, records: Vec::new(), progress, revoked: 0 }
    }

    /// Handles events until `enough` holds.
    async fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool) {
        let handling = async {
            while !enough(self) {
                let event = self.consumer.next().await.expect("the thread is there");
                self.handle(event);
            }
        };
        assert!(timeout(SOON, handling).await.is_ok(), "not in time: {what}");
    }

    fn handle(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Assigned { epoch, partitions, reply } => {
                let starts = partitions.iter().map(|one| (one.id.clone(), self.start)).collect();
                for one in partitions {
                    self.held.insert(one.id, (epoch, one.backlog));
                }
                reply.send(starts);
            }
            ConsumerEvent::Records(delivery) => self.records.extend(delivery.records),
            ConsumerEvent::Revoked { partitions, reply, .. } => {
                self.revoked += 1;
                let mut back = Vec::new();
                for id in partitions {
                    let Some((epoch, _)) = self.held.remove(&id) else { continue };
                    if let Some(next_offset) = self.progress.remove(&id) {
                        back.push(Progress { id, epoch, next_offset });
                    }
                }
                reply.send(back);
            }
            ConsumerEvent::Trouble(_) | ConsumerEvent::Recovered => {}
            ended @ (ConsumerEvent::OffsetLost { .. }
            | ConsumerEvent::Failed(_)
            | ConsumerEvent::Closed { .. }) => panic!("{ended:?}"),
        }
    }

    async fn leave(mut self) {
        self.consumer.close();
        let leaving = async {
            loop {
                match self.consumer.next().await.expect("the last event says how it ended") {
                    ConsumerEvent::Closed { clean } => return clean,
                    event => self.handle(event),
                }
            }
        };
        assert!(timeout(SOON, leaving).await.expect("it closes in time"), "it left in order");
    }
}

fn committed(settings: &KafkaSettings, partition: i32) -> Offset {
    let client: BaseConsumer = settings.consumer_config("factline.parcels").create().unwrap();
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(TOPIC, partition);
    let found = client.committed_offsets(wanted, Duration::from_secs(10)).unwrap();
    found.elements()[0].offset()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_where_the_runtime_says_and_commits_what_the_runtime_says() {
    let (_cluster, settings) = cluster(1);
    send(&settings, 0, 10).await;
    let mut member = Member::join(&settings, 1_000, StartAt::Offset(4));
    member.until("six records", |member| member.records.len() == 6).await;
    let first = &member.records[0];
    assert_eq!((first.offset, first.key.as_deref()), (4, Some(&b"parcel-4"[..])));
    assert_eq!(first.headers[1], ("nil".into(), None));
    let last = next_offset(&member.records[5]);
    let id = PartitionId { topic: TOPIC.into(), partition: 0 };
    member.progress.insert(id, last);
    member.leave().await;
    assert_eq!(committed(&settings, 0), Offset::Offset(10), "after record 9 comes 10");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backlog_holds_its_partition_back_and_no_other() {
    let (_cluster, settings) = cluster(2);
    send(&settings, 0, 5_000).await;
    let mut member = Member::join(&settings, 600, StartAt::Beginning);
    let of = |member: &Member, partition: i32| {
        member.records.iter().filter(|record| record.partition == partition).count()
    };
    member.until("a full backlog", |member| of(member, 0) >= 600).await;
    send(&settings, 1, 50).await;
    let all_of_the_other = |member: &Member| of(member, 1) == 50;
    member.until("the other partition flows", all_of_the_other).await;
    let held_back = of(&member, 0);
    assert!(held_back < 2_000, "{held_back} records were delivered to somebody who takes none");

    // Whoever takes them again gets the rest, none missing and none twice.
    let takes = |member: &Member| {
        for (_, backlog) in member.held.values() {
            backlog.taken(backlog.waiting());
        }
        of(member, 0) == 5_000
    };
    member.until("the rest", takes).await;
    let mut offsets: Vec<_> =
        member.records.iter().filter(|record| record.partition == 0).map(|r| r.offset).collect();
    offsets.dedup();
    assert_eq!(offsets, (0..5_000).collect::<Vec<i64>>());
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_cannot_say_where_to_begin_is_asked_again() {
    let (_cluster, settings) = cluster(1);
    send(&settings, 0, 3).await;
    let mut consumer = Consumer::start(&settings, spec(1_000)).unwrap();
    let mut unanswered = 0;
    while unanswered < 1 {
        let event = timeout(SOON, consumer.next()).await.expect("an assignment").unwrap();
        if let ConsumerEvent::Assigned { reply, .. } = event {
            drop(reply); // the database is away
            unanswered += 1;
        }
    }
    let mut member = Member::of(consumer, StartAt::Beginning);
    member.until("three records", |member| member.records.len() == 3).await;
    assert_eq!(member.records[0].offset, 0, "nothing was read before the answer");
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_commit_of_an_assignment_that_ended_is_dropped() {
    let (_cluster, settings) = cluster(1);
    send(&settings, 0, 5).await;
    let mut member = Member::join(&settings, 1_000, StartAt::Beginning);
    member.until("records", |member| member.records.len() == 5).await;
    let id = PartitionId { topic: TOPIC.into(), partition: 0 };
    let (epoch, _) = member.held[&id];
    let commit = |epoch, next_offset| {
        member.consumer.handle().commit(vec![Progress { id: id.clone(), epoch, next_offset }]);
    };
    commit(epoch, 5);
    commit(epoch + 1, 2);
    commit(epoch.wrapping_sub(1), 1);
    let told = settings.clone();
    eventually(SOON, "the live commit arrives", async move || {
        committed(&told, 0) == Offset::Offset(5)
    })
    .await;
    member.leave().await;
    assert_eq!(committed(&settings, 0), Offset::Offset(5));
}

/// A broker that answers each request of a kind with an error that the client gets over in silence, for as
/// long as it is told so: another client takes over, and once the broker answers, has every record.
async fn is_replaced_while(kind: RDKafkaApiKey, error: RDKafkaRespErr) {
    let meters = Meters::install();
    let (cluster, mut settings) = cluster(1);
    settings.max_poll_interval_ms = settings.session_timeout_ms; // the shortest wait of a group
    send(&settings, 0, 3).await;
    cluster.request_errors(kind, &[error; 10_000]);
    let group = format!("factline.{kind:?}"); // of its own: it tells the counter from other tests'
    let spec =
        ConsumerSpec { group: group.clone(), stall_after: Duration::from_secs(1), ..spec(1_000) };
    let mut member = Member::of(Consumer::start(&settings, spec).unwrap(), StartAt::Beginning);
    let replaced = async || {
        meters.counter("factline_kafka_consumer_replacements_total", &[("group", &group)]) > 0
    };
    tokio::select! {
        () = eventually(SOON, "another client takes over", replaced) => {}
        () = member.until("its events are handled meanwhile", |_| false) => {}
    }
    assert_eq!(member.records.len(), 0, "the fault was there");

    cluster.clear_request_errors(kind);
    member.until("three records", |member| member.records.len() == 3).await;
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_group_never_says_what_it_is_to_have_is_replaced() {
    let join_anew = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    is_replaced_while(RDKafkaApiKey::JoinGroup, join_anew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_yields_nothing_of_what_its_partition_has_is_replaced() {
    let ask_elsewhere = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    is_replaced_while(RDKafkaApiKey::Fetch, ask_elsewhere).await;
}
