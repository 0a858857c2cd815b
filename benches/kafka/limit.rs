//! The limit: what Kafka work alone costs, in a process of its own. Reads landing, parses each resource whole, writes one record of a
//! thousand and a changelog of one in nine, commits them with its offsets every 100 ms, and knows nothing of audiences.
//!
//! In: a filled landing. Out: what it took, and where landing ends. Never here: Footbridge.

use super::program::Home;
use super::{memory, process, until};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use sonic_rs::{JsonValueTrait, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_secs(60);
const COMMIT: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(1);

/// Between the first commit and the last.
pub struct Took {
    pub records: usize,
    pub time: Duration,
    pub cpu: Duration,
    pub memory: f64,
    /// Of each partition of landing, the offset after the last record.
    pub ends: Vec<i64>,
}

pub fn run(home: &Home) -> Took {
    let mut command = Command::new(std::env::current_exe().expect("this bench"));
    command.args(["limit", &home.at, &home.topic("landing"), &home.partitions.to_string()]).stdout(Stdio::piped());
    let output = command.spawn().expect("this bench starts").wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<i64> = said.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    assert!(output.status.success() && numbers.len() == 4 + usize::from(home.partitions), "the limit said: {said}");
    let micros = |place: usize| Duration::from_micros(numbers[place].unsigned_abs());
    Took { records: numbers[0] as usize, time: micros(1), cpu: micros(2), memory: numbers[3] as f64 / 1024.0, ends: numbers[4..].to_vec() }
}

fn client(at: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", at);
    config
}

fn consumer(at: &str, topic: &str) -> BaseConsumer {
    let mut config = client(at);
    config.set("group.id", format!("limit-{topic}")).set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false").set("isolation.level", "read_committed");
    config.set("fetch.queue.backoff.ms", "5").set("queued.max.messages.kbytes", "16384");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    consumer.subscribe(&[topic]).expect("a topic");
    consumer
}

fn producer(at: &str, topic: &str) -> BaseProducer {
    let mut config = client(at);
    config.set("enable.idempotence", "true").set("transactional.id", format!("limit-{topic}")).set("linger.ms", "0");
    config.set("retry.backoff.ms", "2").set("partitioner", "murmur2_random");
    let producer: BaseProducer = config.create().expect("a producer");
    producer.init_transactions(LONGEST).expect("transactions");
    producer
}

/// AT TOPIC PARTITIONS; prints records, time, CPU, memory, ends.
pub fn child(args: &[String]) {
    let [at, topic, partitions] = args else { panic!("limit AT TOPIC PARTITIONS") };
    let partitions: usize = partitions.parse().expect("a number");
    let (out, changes) = (format!("{topic}.limit-out"), format!("{topic}.limit-changes"));
    let consumer = consumer(at, topic);
    let producer = producer(at, topic);
    // Asking for a topic makes it, before the clock runs.
    for name in [&out, &changes] {
        until("a topic of the limit's own", LONGEST, COMMIT, String::new, || {
            let known = producer.client().fetch_metadata(Some(name), LONGEST).ok()?;
            known.topics().iter().any(|topic| !topic.partitions().is_empty()).then_some(())
        });
    }
    let (mut next, mut ends, mut drained) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let (mut count, mut open, mut first) = (0_usize, None::<Instant>, None);
    let began = Instant::now();
    while drained.len() < partitions {
        assert!(began.elapsed() < LONGEST, "the limit was not through within {LONGEST:?}");
        match consumer.poll(Duration::from_millis(10)) {
            Some(Ok(message)) => {
                open = open.or_else(|| {
                    producer.begin_transaction().expect("a transaction");
                    Some(Instant::now())
                });
                count += 1;
                take(&producer, message.payload().unwrap_or_default(), count, &out, &changes);
                next.insert(message.partition(), message.offset() + 1);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = drained.insert(partition),
            Some(Err(e)) => panic!("{e}"),
            None => {}
        }
        if count.is_multiple_of(1000) {
            producer.poll(Duration::ZERO);
        }
        if open.is_some_and(|since| since.elapsed() >= COMMIT || drained.len() == partitions) {
            commit(&producer, &consumer, topic, &next);
            ends.append(&mut next);
            open = None;
            first = first.or_else(|| Some((Instant::now(), process::cpu("self"), count)));
        }
    }
    let (since, cpu, before) = first.expect("something to read");
    let memory = memory::memory("VmHWM:").expect("a system that says");
    let (time, cpu) = (since.elapsed().as_micros(), process::cpu("self").saturating_sub(cpu).as_micros());
    println!("{} {time} {cpu} {memory} {}", count - before, ends.values().map(i64::to_string).collect::<Vec<_>>().join(" "));
}

fn take(producer: &BaseProducer, value: &[u8], count: usize, out: &str, changes: &str) {
    // Before the resource stands what landing knows of it.
    let Some(begin) = value.iter().position(|b| *b == b'{') else { return };
    let resource: Value = sonic_rs::from_slice(&value[begin..]).expect("JSON");
    let id = resource["id"].as_str().expect("an id");
    if count.is_multiple_of(1000) {
        send(producer, out, id, &[b'x'; 60]);
    }
    if matches!(resource["resourceType"].as_str(), Some("Patient" | "Consent" | "Procedure")) {
        send(producer, changes, id, &[b'x'; 60]);
    }
}

fn send(producer: &BaseProducer, topic: &str, key: &str, value: &[u8]) {
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
            Err((e, _)) => panic!("{e}"),
        }
        producer.poll(POLL);
    }
}

fn commit(producer: &BaseProducer, consumer: &BaseConsumer, topic: &str, next: &BTreeMap<i32, i64>) {
    let mut offsets = TopicPartitionList::new();
    for (partition, next) in next {
        offsets.add_partition_offset(topic, *partition, Offset::Offset(*next)).expect("an offset");
    }
    let group = consumer.group_metadata().expect("a member");
    producer.send_offsets_to_transaction(&offsets, &group, LONGEST).expect("offsets");
    let began = Instant::now();
    // The client's own flush waits a tenth of a second.
    while producer.in_flight_count() > 0 {
        assert!(began.elapsed() < LONGEST, "the broker does not take what the limit sent");
        producer.poll(POLL);
    }
    producer.commit_transaction(LONGEST).expect("a commit");
}
