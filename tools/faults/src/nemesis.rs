//! Carries the planned faults out, each at its time, and heals each after its time. Several are at
//! work at once; a fault whose victim is still being healed waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use factline_kafka::{Admin, KafkaSettings, Outgoing, Producer};
use local_stack::Component;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

use crate::failure::Failure;
use crate::load::Load;
use crate::place::KINDS;
use crate::schedule::{Kind, Planned};
use crate::system::{ALERTER, COMMAND_APIS, PROJECTORS, STATS, System, THIRD_LIST};

/// A broker that was just killed answers again within so long, or the fault has failed.
const KAFKA_WITHIN: Duration = Duration::from_secs(30);
/// A database that is down longer than so many attempts take is a failure of its own.
const POISON_ATTEMPTS: u64 = 20;
/// What a foreign record holds.
const FOREIGN: &[u8] = b"this is no event";

/// What the faults came to.
#[derive(Debug, Default)]
pub(crate) struct Fired {
    /// How often each kind was carried out and healed.
    pub(crate) counts: BTreeMap<Kind, u64>,
    /// When each was healed, after the load began.
    pub(crate) ends: Vec<Duration>,
    /// Why one was not carried out.
    pub(crate) problems: Vec<String>,
}

/// Carries the plan out; returns when everything is healed.
pub(crate) async fn run(
    system: &Arc<System>,
    load: &Arc<Load>,
    plan: &[Planned],
    began: Instant,
) -> Fired {
    let mut fired = Fired::default();
    let mut faults = JoinSet::new();
    for planned in plan.iter().copied() {
        sleep_until((began + planned.at).into()).await;
        let (system, load) = (Arc::clone(system), Arc::clone(load));
        faults.spawn(async move {
            let outcome = fire(&system, &load, planned).await;
            let at = planned.at.as_secs_f32();
            let healed = began.elapsed();
            match &outcome {
                Ok(true) => {
                    let healed = healed.as_secs_f32();
                    eprintln!("{at:6.1} s  {} until {healed:.1} s", planned.kind);
                }
                Ok(false) => eprintln!("{at:6.1} s  {} found nobody", planned.kind),
                Err(failure) => eprintln!("{at:6.1} s  {} FAILED: {failure}", planned.kind),
            }
            (planned.kind, outcome, healed)
        });
    }
    while let Some(joined) = faults.join_next().await {
        match joined {
            Ok((kind, Ok(true), healed)) => {
                *fired.counts.entry(kind).or_default() += 1;
                fired.ends.push(healed);
            }
            Ok((kind, Ok(false), _)) => fired.problems.push(format!("{kind} found nobody")),
            Ok((kind, Err(failure), _)) => fired.problems.push(format!("{kind}: {failure}")),
            Err(error) => fired.problems.push(format!("a fault's task failed: {error}")),
        }
    }
    fired
}

/// Does one fault and heals it; whether there was somebody to do it to.
async fn fire(system: &System, load: &Load, planned: Planned) -> Result<bool, Failure> {
    let Planned { kind, lasts, which, .. } = planned;
    let one_of = |all: &[usize]| {
        let index = usize::try_from(which % all.len() as u64).unwrap_or_default();
        all[index]
    };
    match kind {
        Kind::KillCommandApi => kill(system, one_of(&COMMAND_APIS), lasts).await,
        Kind::KillProjector => kill(system, one_of(&PROJECTORS), lasts).await,
        Kind::KillAlerter => kill(system, ALERTER, lasts).await,
        Kind::PauseCommandApi => pause(system, one_of(&COMMAND_APIS), lasts).await,
        Kind::PauseProjector => pause(system, one_of(&PROJECTORS), lasts).await,
        Kind::PauseAlerter => pause(system, ALERTER, lasts).await,
        Kind::KillKafka => down(system, Component::Kafka, lasts).await,
        Kind::KillPostgres => down(system, Component::Postgres, lasts).await,
        Kind::KillRegistry => down(system, Component::Registry, lasts).await,
        Kind::KillRedis => down(system, Component::Redis, lasts).await,
        Kind::PauseKafka => freeze(system, Component::Kafka, lasts).await,
        Kind::PausePostgres => freeze(system, Component::Postgres, lasts).await,
        Kind::Rebalance => rebalance(system, lasts).await,
        Kind::FlushRedis => flush_redis(system).await,
        Kind::CutTopic => cut_topic(system, lasts).await,
        Kind::ForeignRecord => foreign_record(system, which).await,
        Kind::PoisonStream => poison_stream(load, which).await,
    }
}

async fn kill(system: &System, index: usize, lasts: Duration) -> Result<bool, Failure> {
    let mut process = system.process(index).await;
    let killed = process.kill().await?;
    sleep(lasts).await;
    system.start(index, &mut process).await?;
    Ok(killed)
}

async fn pause(system: &System, index: usize, lasts: Duration) -> Result<bool, Failure> {
    let mut process = system.process(index).await;
    let paused = process.signal(Signal::STOP);
    sleep(lasts).await;
    process.signal(Signal::CONT);
    Ok(paused)
}

/// A stack starts one component after the other, so one that is slow to start keeps others down.
async fn down(system: &System, component: Component, lasts: Duration) -> Result<bool, Failure> {
    let _alone = system.component(component).await;
    system.stack(move |stack| stack.kill(component)).await?;
    sleep(lasts).await;
    system.stack(move |stack| stack.start(component)).await?;
    Ok(true)
}

async fn freeze(system: &System, component: Component, lasts: Duration) -> Result<bool, Failure> {
    let _alone = system.component(component).await;
    system.stack(move |stack| stack.pause(component)).await?;
    sleep(lasts).await;
    system.stack(move |stack| stack.resume(component)).await?;
    Ok(true)
}

async fn rebalance(system: &System, lasts: Duration) -> Result<bool, Failure> {
    let mut process = system.process(THIRD_LIST).await;
    system.start(THIRD_LIST, &mut process).await?;
    sleep(lasts).await;
    let ran = process.runs();
    process.end().await?;
    Ok(ran)
}

/// Redis speaks plain lines as well as its own protocol (redis.io/docs: inline commands).
async fn flush_redis(system: &System) -> Result<bool, Failure> {
    let _alone = system.component(Component::Redis).await;
    let address = system.place.stack.redis_url.trim_start_matches("redis://").to_owned();
    let mut connection = TcpStream::connect(address.trim_end_matches('/')).await?;
    connection.write_all(b"FLUSHALL\r\n").await?;
    let mut answer = [0; 5];
    connection.read_exact(&mut answer).await?;
    Ok(&answer == b"+OK\r\n")
}

/// The statistics' only process is dead meanwhile, so that something is cut that it has not read.
async fn cut_topic(system: &System, lasts: Duration) -> Result<bool, Failure> {
    let mut process = system.process(STATS).await;
    process.kill().await?;
    sleep(lasts).await;
    let cut = cut(system).await;
    system.start(STATS, &mut process).await?;
    cut.map(|cut| cut > 0)
}

/// How many offsets were cut. A broker that has just come back is asked again.
async fn cut(system: &System) -> Result<i64, Failure> {
    let _alone = system.component(Component::Kafka).await;
    let topic = system.place.topic(KINDS[0]);
    let deadline = Instant::now() + KAFKA_WITHIN;
    loop {
        let admin = Admin::new(&kafka(system));
        let admin = admin.map_err(|fault| Failure::told(fault.to_string()))?;
        match timeout(KAFKA_WITHIN, admin.cut(&topic)).await {
            Ok(Ok(cut)) => return Ok(cut),
            Ok(Err(fault)) if Instant::now() >= deadline => {
                return Err(Failure::told(fault.to_string()));
            }
            Ok(Err(_)) => sleep(Duration::from_millis(500)).await,
            Err(_) => return Err(Failure::told("kafka did not cut a topic in time")),
        }
    }
}

/// While the database is down nothing is stored, spoiled or not: then with another stream.
async fn poison_stream(load: &Load, which: u64) -> Result<bool, Failure> {
    for attempt in 0..POISON_ATTEMPTS {
        if load.poison(which.wrapping_add(attempt)).await? {
            return Ok(true);
        }
        sleep(Duration::from_secs(2)).await;
    }
    Ok(false)
}

async fn foreign_record(system: &System, which: u64) -> Result<bool, Failure> {
    let _alone = system.component(Component::Kafka).await;
    let kind = KINDS[usize::try_from(which % KINDS.len() as u64).unwrap_or_default()];
    let told = |error: &dyn std::fmt::Display| Failure::told(error.to_string());
    let producer = Producer::new(&kafka(system)).map_err(|fault| told(&fault))?;
    let record = Outgoing {
        topic: system.place.topic(kind).into(),
        partition: Some(0),
        key: Some(Bytes::from_static(FOREIGN)),
        value: Some(Bytes::from_static(FOREIGN)),
        headers: Vec::new(),
    };
    let sent = timeout(KAFKA_WITHIN, producer.send_all(vec![record])).await;
    let sent = sent.map_err(|_| Failure::told("kafka did not take a foreign record in time"))?;
    sent.map_err(|failure| told(&failure))?;
    Ok(true)
}

fn kafka(system: &System) -> KafkaSettings {
    KafkaSettings {
        brokers: system.place.stack.kafka.clone(),
        client_id: "faults".to_owned(),
        ..KafkaSettings::default()
    }
}
