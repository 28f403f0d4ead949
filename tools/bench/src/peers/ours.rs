//! Our side of the comparison: the same stock, in the words of factline-core.

use std::sync::Arc;
use std::time::Instant;

use bench_load::{Gauge, Notes};
use chrono::Utc;
use factline_core::{
    Aggregate, Decide, DomainEvent, EventSchema, Moment, ReadData, Refusal, RefusalKind, StreamId,
    WriteData, command_key,
};
use factline_log::{Command, Lanes};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::log::CellLog;
use crate::postgres::checkpoint;
use crate::report::{Cell, Slot};
use crate::surroundings::Surroundings;
use crate::verify::{self, Acknowledged, Numbers};

/// Units that every stock begins with: never used up.
const OPENING: i64 = 1_000_000_000;
/// As in the program `peers`.
const SEED: u64 = 0x5eed;

/// What can happen to a stock.
#[derive(Clone, Debug, PartialEq)]
enum StockEvent {
    Received(Received),
    UnitsSold(UnitsSold),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Received {
    units: i64,
}

/// The number tells the command from all others; the others' events carry the stock's id instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct UnitsSold {
    units: i64,
    number: i64,
}

impl DomainEvent for StockEvent {
    const KIND: &'static str = "stock";
    const SCHEMAS: &'static [EventSchema] = &[
        EventSchema {
            name: "Received",
            file: "stock/received.v1",
            json: r#"{"type": "record", "name": "Received", "namespace": "factline.stock", "fields": [
                {"name": "units", "type": "long"}
            ]}"#,
        },
        EventSchema {
            name: "UnitsSold",
            file: "stock/units_sold.v1",
            json: r#"{"type": "record", "name": "UnitsSold", "namespace": "factline.stock", "fields": [
                {"name": "units", "type": "long"},
                {"name": "number", "type": "long"}
            ]}"#,
        },
    ];

    fn schema_index(&self) -> usize {
        match self {
            StockEvent::Received(_) => 0,
            StockEvent::UnitsSold(_) => 1,
        }
    }

    fn write<W: WriteData>(&self, writer: W) -> Result<W::Ok, W::Error> {
        match self {
            StockEvent::Received(data) => writer.write(data),
            StockEvent::UnitsSold(data) => writer.write(data),
        }
    }

    fn read<R: ReadData>(schema_index: usize, reader: R) -> Result<Self, R::Error> {
        match schema_index {
            0 => reader.read().map(StockEvent::Received),
            1 => reader.read().map(StockEvent::UnitsSold),
            _ => Err(reader.unknown()),
        }
    }

    fn samples() -> Vec<Self> {
        let sold = StockEvent::UnitsSold(UnitsSold { units: 1, number: 1 });
        vec![StockEvent::Received(Received { units: 1 }), sold]
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stock {
    units: i64,
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("there are not so many")]
struct NotEnough;

impl Refusal for NotEnough {
    fn code(&self) -> &'static str {
        "not_enough"
    }

    fn kind(&self) -> RefusalKind {
        RefusalKind::Rule
    }
}

impl Aggregate for Stock {
    const STATE_VERSION: i32 = 1;
    type Event = StockEvent;
    type Refusal = NotEnough;

    fn evolve(&mut self, event: &StockEvent) {
        match event {
            StockEvent::Received(received) => self.units += received.units,
            StockEvent::UnitsSold(sold) => self.units -= sold.units,
        }
    }
}

struct Receive;

impl Decide<Receive> for Stock {
    fn decide(&self, _: &Receive, _: Moment) -> Result<Vec<StockEvent>, NotEnough> {
        Ok(vec![StockEvent::Received(Received { units: OPENING })])
    }
}

struct Sell {
    number: i64,
}

impl Decide<Sell> for Stock {
    fn decide(&self, sell: &Sell, _: Moment) -> Result<Vec<StockEvent>, NotEnough> {
        if self.units < 1 {
            return Err(NotEnough);
        }
        Ok(vec![StockEvent::UnitsSold(UnitsSold { units: 1, number: sell.number })])
    }
}

/// Measures one cell and checks what it left.
pub(super) async fn measure(
    callers: usize,
    stocks: usize,
    slot: &Slot<'_>,
    surroundings: &Surroundings,
) -> Result<Cell, Failure> {
    let log = CellLog::create("stock").await?;
    checkpoint(&log.settings.owner_url).await?;
    let (lanes, parts) = Lanes::<Stock>::start(&log.settings, &log.topic)?;
    let ids = (0..stocks).map(|number| StreamId::parse(&format!("stock-{number:06}")));
    let ids: Result<Arc<[StreamId]>, _> = ids.collect();
    let ids = ids.map_err(|error| Failure::new(error.to_string()))?;
    for id in ids.iter() {
        let key = command_key(id, "open");
        let done = lanes.execute(Command::new(id.clone(), key, [0; 16], Utc::now(), Receive)).await;
        done.map_err(|fault| Failure::new(format!("a stock was not opened: {fault}")))?;
    }
    let (gauge, numbers) = (Gauge::new(), Numbers::default());
    let callers = (0_u64..).take(callers);
    let callers =
        callers.map(|seed| sell(lanes.clone(), ids.clone(), numbers.clone(), gauge.notes(), seed));
    let meter = surroundings.meter();
    let measured = bench_load::measure(&gauge, slot.pace, &meter, callers, async || {}).await?;
    drop(lanes);
    for lane in parts.tasks {
        lane.await.map_err(|error| Failure::new(format!("a lane ended: {error}")))?;
    }
    let acknowledged = Acknowledged { commands: numbers.given(), events_each: 1 };
    let held = verify::log(&log.settings, &log.topic, acknowledged, number_of).await?;
    let mut cell = Cell::of(slot, "command", &measured);
    cell.invariant = held.map(|events| format!("{events} events, dense, each once"));
    Ok(cell)
}

async fn sell(
    lanes: Lanes<Stock>,
    ids: Arc<[StreamId]>,
    numbers: Numbers,
    notes: Notes,
    seed: u64,
) -> Result<(), Failure> {
    let mut random = StdRng::seed_from_u64(SEED + seed);
    while !notes.is_over() {
        let id = &ids[random.random_range(0..ids.len())];
        let began = Instant::now();
        let number = numbers.next();
        let key = command_key(id, &number.to_string());
        let body = Sell { number: i64::try_from(number).unwrap_or_default() };
        let mut print = [0; 16];
        print[..8].copy_from_slice(&number.to_le_bytes());
        let done = lanes.execute(Command::new(id.clone(), key, print, Utc::now(), body)).await;
        done.map_err(|fault| Failure::new(format!("a sale was not carried out: {fault}")))?;
        notes.note(1, began.elapsed());
    }
    Ok(())
}

fn number_of(_: &str, data: &Value) -> Option<u64> {
    data.get("number")?.as_u64()
}
