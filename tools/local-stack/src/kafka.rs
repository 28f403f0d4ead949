//! Apache Kafka: one node that is broker and controller (KRaft, without ZooKeeper).

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use crate::error::Doing;
use crate::launch::last_words;
use crate::layout::{make_folder, remove_folder, write_whole};
use crate::{Component, StackError, StackRecord, process};

/// What a bench on two cores fills at most is below 400 MB; a heap of 256 MB serves as well,
/// at the price of more collections.
const HEAP: &str = "-Xmx512m";

/// Writes the settings and, the first time, formats the storage. A format that was cut off is
/// begun anew: the file that says it is done is the last that the tool writes.
pub(crate) fn prepare(record: &StackRecord, note: &mut dyn FnMut(&str)) -> Result<(), StackError> {
    let folder = record.layout().data(Component::Kafka);
    make_folder(&folder)?;
    write_whole(&settings_file(record), settings(record).as_bytes())?;
    if log_folder(record).join("meta.properties").exists() {
        return Ok(());
    }
    note("formatting its storage");
    remove_folder(&log_folder(record))?;
    let mut format = java(record);
    // A tool that runs for a second is done before the optimising compiler pays for itself.
    format.args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "--standalone"]);
    format.arg("--cluster-id").arg(new_cluster_id()?).arg("--config").arg(settings_file(record));
    let log = record.layout().log(Component::Kafka);
    if process::run(format, None, &log)? {
        return Ok(());
    }
    Err(StackError::Died { component: Component::Kafka, reason: last_words(&log), log })
}

/// The broker itself.
pub(crate) fn command(record: &StackRecord) -> Command {
    let mut command = java(record);
    command.args([HEAP, "kafka.Kafka"]).arg(settings_file(record));
    command.current_dir(record.layout().data(Component::Kafka));
    command
}

fn java(record: &StackRecord) -> Command {
    let mut command = Command::new(&record.java);
    command.arg("-cp").arg(record.artefacts.join("kafka").join("*"));
    command.args([
        // The cheapest collector for a small heap on few cores.
        "-XX:+UseSerialGC",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.logFile=System.out",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
    ]);
    command
}

fn settings_file(record: &StackRecord) -> PathBuf {
    record.layout().data(Component::Kafka).join("server.properties")
}

fn log_folder(record: &StackRecord) -> PathBuf {
    record.layout().data(Component::Kafka).join("log")
}

fn settings(record: &StackRecord) -> String {
    let (port, controller) = (record.ports.kafka, record.ports.kafka_controller);
    format!(
        "\
# Written at every start; edits are lost.
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={logs}

# One broker holds every replica there is.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Few groups and transactions: fewer files to open at every start.
offsets.topic.num.partitions=10
transaction.state.log.num.partitions=5

# A misspelt topic is an error, as in production.
auto.create.topics.enable=false
# A group starts at once, and tests of dead members need not wait for six seconds.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# The default of 128 MB is what makes a small heap tight.
log.cleaner.dedupe.buffer.size=16777216
# A killed broker may come back only when its old session has run out: with the default of 9 s
# a restart takes three times as long. The heartbeat's interval is also the retry's.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
",
        logs = log_folder(record).display()
    )
}

/// 22 characters, as Kafka's own generator makes them: 16 bytes in URL-safe base64. Clients
/// that knew another cluster under this address notice the difference.
fn new_cluster_id() -> Result<String, StackError> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = [0_u8; 21];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .doing(|| "read /dev/urandom".to_owned())?;
    let letters = random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    // The last character holds two bits and four zeros.
    Ok(letters.chain(['A']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::record;

    #[test]
    fn the_settings_name_the_stacks_own_ports_and_folder() {
        let mut record = record("/stacks/demo");
        record.ports.kafka = 19_092;
        record.ports.kafka_controller = 19_093;
        let settings = settings(&record);
        assert!(
            settings
                .contains("\nlisteners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093\n")
        );
        assert!(settings.contains("\nlog.dirs=/stacks/demo/data/kafka/log\n"));
        assert!(settings.contains("\nauto.create.topics.enable=false\n"));
    }

    #[test]
    fn two_clusters_never_share_an_id() {
        let (one, two) = (new_cluster_id().unwrap(), new_cluster_id().unwrap());
        assert_eq!(one.len(), 22);
        assert_ne!(one, two);
    }
}
