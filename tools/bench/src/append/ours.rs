//! Commands through the log's lanes, closed loop: each caller sends its next command when its last
//! one is answered.

use std::sync::Arc;
use std::time::Instant;

use bench_load::{Gauge, Notes, as_f64};
use chrono::{DateTime, Utc};
use factline_core::{Decide, Moment, StreamId, command_key};
use factline_log::{Command, Lanes};
use factline_testkit::parcels::{Parcel, ParcelEvent, ParcelRefusal, ParcelSent};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use uuid::Uuid;

use crate::failure::Failure;
use crate::log::CellLog;
use crate::postgres::{Wal, grown};
use crate::report::{Cell, Slot};
use crate::surroundings::Surroundings;
use crate::verify::{self, Acknowledged, Numbers};

/// An event's encoded data: a text of 58 bytes, its length, and a union without a value.
pub(crate) const DATUM_BYTES: usize = 60;
/// The same in every run; each caller adds its number.
const SEED: u64 = 0x5eed;

/// A closed loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Commands in flight.
    pub(super) callers: usize,
    /// Events of each command.
    pub(super) events: u64,
    /// Streams that they go to, at random.
    pub(super) streams: usize,
}

/// Sends pieces of a parcel; the number tells them from all others.
#[derive(Clone, Debug)]
struct SendPieces {
    number: u64,
    pieces: u64,
}

impl Decide<SendPieces> for Parcel {
    fn decide(&self, command: &SendPieces, _: Moment) -> Result<Vec<ParcelEvent>, ParcelRefusal> {
        if self.lost {
            return Err(ParcelRefusal::AlreadySent);
        }
        let to = address(command.number);
        let sent = ParcelEvent::ParcelSent(ParcelSent { to, carrier: None });
        Ok((0..command.pieces).map(|_| sent.clone()).collect())
    }
}

/// An address of 58 bytes that begins with a number.
pub(crate) fn address(number: u64) -> String {
    format!("{number:012} Storgata, 0155 Oslo, Norway; leave it at the ")
}

fn number_of(_: &str, data: &Value) -> Option<u64> {
    data.get("to")?.as_str()?.get(..12)?.parse().ok()
}

/// The streams of a cell.
pub(super) fn streams(count: usize) -> Result<Arc<[StreamId]>, Failure> {
    let ids = (0..count).map(|number| StreamId::parse(&format!("parcel-{number:06}")));
    ids.collect::<Result<_, _>>().map_err(|error| Failure::new(error.to_string()))
}

#[derive(Clone)]
struct Commands {
    streams: Arc<[StreamId]>,
    numbers: Numbers,
    events: u64,
    at: DateTime<Utc>,
}

impl Commands {
    fn to(&self, stream: usize) -> Command<Parcel> {
        let number = self.numbers.next();
        let stream_id = self.streams[stream].clone();
        let key = command_key(&stream_id, &number.to_string());
        let mut print = [0; 16];
        print[..8].copy_from_slice(&number.to_le_bytes());
        let body = SendPieces { number, pieces: self.events };
        let mut command = Command::new(stream_id, key, print, self.at, body);
        command.correlation_id = Uuid::new_v4();
        // As long as the one that the HTTP layer always gives.
        command.traceparent =
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
        command
    }
}

/// Measures one cell and checks what it left.
pub(super) async fn measure(
    load: Load,
    slot: &Slot<'_>,
    surroundings: &Surroundings,
) -> Result<Cell, Failure> {
    let log = CellLog::create("parcel").await?;
    let mut wal = Wal::watch(&log.settings.owner_url).await?;
    let (lanes, parts) = Lanes::<Parcel>::start(&log.settings, &log.topic)?;
    let commands = Commands {
        streams: streams(load.streams)?,
        numbers: Numbers::default(),
        events: load.events,
        at: Utc::now(),
    };
    touch_every_stream(&lanes, &commands).await?;
    let gauge = Gauge::new();
    let callers = (0..load.callers)
        .map(|caller| call(lanes.clone(), commands.clone(), gauge.notes(), as_seed(caller)));
    let mut written = Vec::new();
    let around = async || written.push(wal.bytes().await.unwrap_or_default());
    let measured =
        bench_load::measure(&gauge, slot.pace, &surroundings.meter(), callers, around).await?;
    drop(lanes);
    for lane in parts.tasks {
        lane.await.map_err(|error| Failure::new(format!("a lane ended: {error}")))?;
    }

    let given = commands.numbers.given();
    let flushes = wal.flushes().await?;
    let acknowledged = Acknowledged { commands: given, events_each: load.events };
    let held = verify::log(&log.settings, &log.topic, acknowledged, number_of).await?;
    let mut cell = Cell::of(slot, "command", &measured);
    cell.wal_bytes_per_unit = grown(&written, measured.units);
    cell.flushes_per_unit = Some(as_f64(flushes) / as_f64(given.max(1)));
    cell.invariant = held.map(|events| format!("{events} events, dense, each once"));
    Ok(cell)
}

/// Appends so many events to a log, ten a command, as fast as it takes them.
pub(crate) async fn fill(log: &CellLog, events: u64) -> Result<(), Failure> {
    /// Enough that batches are full, well below the lanes' queues.
    const CALLERS: usize = 512;
    const EACH: u64 = 10;
    let (lanes, parts) = Lanes::<Parcel>::start(&log.settings, &log.topic)?;
    let streams = streams(super::STREAMS)?;
    let commands = Commands { streams, numbers: Numbers::default(), events: EACH, at: Utc::now() };
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (lanes, commands) = (lanes.clone(), commands.clone());
        callers.spawn(async move {
            let mut random = StdRng::seed_from_u64(SEED + as_seed(caller));
            while commands.numbers.given() * EACH < events {
                let stream = random.random_range(0..commands.streams.len());
                let done = lanes.execute(commands.to(stream)).await;
                done.map_err(|fault| Failure::new(format!("filling the log: {fault}")))?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.map_err(|error| Failure::new(error.to_string()))??;
    }
    drop(lanes);
    for lane in parts.tasks {
        lane.await.map_err(|error| Failure::new(format!("a lane ended: {error}")))?;
    }
    Ok(())
}

/// A stream's first command loads it; that is no part of what is measured.
async fn touch_every_stream(lanes: &Lanes<Parcel>, commands: &Commands) -> Result<(), Failure> {
    /// Well below a lane's queue.
    const AT_ONCE: usize = 500;
    let places: Vec<usize> = (0..commands.streams.len()).collect();
    for places in places.chunks(AT_ONCE) {
        let mut touching = tokio::task::JoinSet::new();
        for place in places {
            let (lanes, command) = (lanes.clone(), commands.to(*place));
            touching.spawn(async move { lanes.execute(command).await.map(drop) });
        }
        while let Some(touched) = touching.join_next().await {
            let touched = touched.map_err(|error| Failure::new(error.to_string()))?;
            touched.map_err(|error| Failure::new(error.to_string()))?;
        }
    }
    Ok(())
}

async fn call(
    lanes: Lanes<Parcel>,
    commands: Commands,
    notes: Notes,
    seed: u64,
) -> Result<(), Failure> {
    let mut random = StdRng::seed_from_u64(SEED + seed);
    while !notes.is_over() {
        let stream = random.random_range(0..commands.streams.len());
        let began = Instant::now();
        let done = lanes.execute(commands.to(stream)).await;
        done.map_err(|fault| Failure::new(format!("a command was not carried out: {fault}")))?;
        notes.note(1, began.elapsed());
    }
    Ok(())
}

fn as_seed(caller: usize) -> u64 {
    u64::try_from(caller).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use factline_codec::Codec;

    use super::*;

    #[test]
    fn an_event_is_as_large_as_is_said_and_tells_its_number() {
        let event = ParcelEvent::ParcelSent(ParcelSent { to: address(77), carrier: None });
        let datum = Codec::new().unwrap().encode(&event).unwrap().datum;
        assert_eq!(datum.len(), DATUM_BYTES);
        let data = factline_codec::event_to_json(&event).unwrap();
        assert_eq!(number_of("factline.parcel.ParcelSent", &data), Some(77));
    }
}
