//! An event that its schema has no place for: the code knows a colour that the schema does not.

use crate::support::TestLog;
use factline_core::{
    Aggregate, Decide, DomainEvent, EventSchema, Moment, ReadData, StreamId, WriteData, topic_name,
};
use factline_log::{Command, CommandFault, Lanes, ensure_topic, migrate};
use factline_testkit::parcels::ParcelRefusal;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Colour {
    Red,
    Blue,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LabelPainted {
    colour: Colour,
}

impl DomainEvent for LabelPainted {
    const KIND: &'static str = "label";
    const SCHEMAS: &'static [EventSchema] = &[EventSchema {
        name: "LabelPainted",
        file: "label/label_painted.v1",
        json: r#"{"type": "record", "name": "LabelPainted", "namespace": "factline.label", "fields": [
            {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["Red"]}}
        ]}"#,
    }];

    fn schema_index(&self) -> usize {
        0
    }

    fn write<W: WriteData>(&self, writer: W) -> Result<W::Ok, W::Error> {
        writer.write(self)
    }

    fn read<R: ReadData>(_schema_index: usize, reader: R) -> Result<Self, R::Error> {
        reader.read()
    }

    fn samples() -> Vec<Self> {
        vec![Self { colour: Colour::Red }]
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Label {
    coats: i64,
}

impl Aggregate for Label {
    const STATE_VERSION: i32 = 1;
    type Event = LabelPainted;
    type Refusal = ParcelRefusal;

    fn evolve(&mut self, _event: &LabelPainted) {
        self.coats += 1;
    }
}

/// Paints coats, one event each.
struct Paint(&'static [Colour]);

impl Decide<Paint> for Label {
    fn decide(
        &self,
        Paint(coats): &Paint,
        _at: Moment,
    ) -> Result<Vec<LabelPainted>, ParcelRefusal> {
        Ok(coats.iter().map(|colour| LabelPainted { colour: *colour }).collect())
    }
}

fn paint(stream: &str, coats: &'static [Colour]) -> Command<Label> {
    let (stream_id, key) = (StreamId::parse(stream).unwrap(), Uuid::now_v7());
    Command::new(stream_id, key, [0; 16], crate::support::noon(), Paint(coats))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_does_not_fit_its_schema_is_refused_before_its_batch_and_its_neighbours_are_not()
 {
    let log = TestLog::create("misfits").await;
    let topic = topic_name("test", "label");
    let mut owner = migrate(&log.database.url()).await.unwrap();
    ensure_topic(&mut owner, &topic, crate::support::PARTITIONS).await.unwrap();
    let (lanes, _parts) = Lanes::<Label>::start(&log.settings(), &topic).unwrap();
    let red: &[Colour] = &[Colour::Red];
    let commands = ["p", "q", "p", "q"].into_iter().enumerate().flat_map(|(round, stream)| {
        let misfit: &[Colour] =
            if round < 2 { &[Colour::Blue] } else { &[Colour::Red, Colour::Blue] };
        [paint(stream, red), paint(stream, misfit), paint(stream, red)]
    });
    let outcomes = join_all(commands.map(|command| lanes.execute(command))).await;
    for (place, outcome) in outcomes.iter().enumerate() {
        match (place % 3, outcome) {
            (1, Err(CommandFault::Unencodable(fault))) => {
                assert_eq!(fault.code(), "data_mismatch", "{fault}");
            }
            (0 | 2, Ok(done)) => assert_eq!(done.events.len(), 1),
            (_, other) => panic!("command {place}: {other:?}"),
        }
    }
    let (p, q) = tokio::join!(lanes.execute(paint("p", red)), lanes.execute(paint("q", red)));
    assert_eq!((p.unwrap().state.coats, q.unwrap().state.coats), (5, 5));
    assert_eq!(log.assert_dense().await, 10, "nothing of a refused command");
}
