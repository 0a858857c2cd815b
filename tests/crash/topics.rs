//! Topics of the EHR as a source, on a real broker: each record is in landing exactly once, whatever is killed.
//!
//! In: invented patients on a topic, packed in each way; poison; kills. Out: nothing.
//! `FOOTBRIDGE_KAFKA_KILLS=100 FOOTBRIDGE_SEED=7` asks for more, and for other moments.

use super::broker::Broker;
use super::several::{same_secrets, signal};
use super::{Bridge, judge, number, start};
use footbridge::demo::population::{self, Arrival};
use footbridge::log::faulty::Chance;
use footbridge::source::landing;
use footbridge_core::time::{Instant, Span};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use sonic_rs::JsonValueTrait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const TOPIC: &str = "ehr.fhir";
const PARTITIONS: i32 = 3;
const LONG: Duration = Duration::from_secs(60);

fn configured(broker: &Broker) -> tempfile::TempDir {
    configured_as(broker, "footbridge-1")
}

fn configured_as(broker: &Broker, instance: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        "kafka: {{ bootstrap: \"{}\", prefix: \"bridge.\", replication: 1, instance: {instance} }}\nsources: {{ ehr: {{ kind: kafka, topics: [{TOPIC}] }} }}\n",
        broker.address()
    );
    std::fs::write(folder.path().join("footbridge.yaml"), config).expect("a file");
    folder
}

fn make_topic(broker: &Broker) {
    let admin: AdminClient<DefaultClientContext> = client(broker).create().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let made = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    config
}

fn producer(broker: &Broker, properties: &[(&str, &str)]) -> BaseProducer {
    let mut config = client(broker);
    config.set("linger.ms", "20");
    for (key, value) in properties {
        config.set(*key, *value);
    }
    config.create().expect("a producer")
}

/// Each value to the next partition; `None`: a tombstone.
fn send(producer: &BaseProducer, values: &[Option<&[u8]>]) {
    for (number, value) in values.iter().enumerate() {
        send_to(producer, number, *value);
    }
    producer.flush(LONG).expect("taken");
}

fn send_to(producer: &BaseProducer, number: usize, value: Option<&[u8]>) {
    let mut record = BaseRecord::<str, [u8]>::to(TOPIC).partition(i32::try_from(number).expect("few") % PARTITIONS).key("k");
    record.payload = value;
    producer.send(record).map_err(|(e, _)| e).expect("room in the queue");
}

/// As an interface engine does it: what it says of one patient stays in order.
fn number_of_patient(json: &str) -> usize {
    let begin = if json.contains("\"resourceType\":\"Patient\"") { "\"id\":\"" } else { "\"Patient/" };
    let patient = json.split_once(begin).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
    patient.bytes().map(usize::from).sum()
}

fn patient(id: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","meta":{{"lastUpdated":"2026-01-01T00:00:00Z"}},"birthDate":"1950-01-01"}}"#)
}

/// Hears of a message: its place, key and value.
type Each<'a> = &'a mut dyn FnMut(String, &[u8], &[u8]);

/// Every message that a reader of what was committed sees: topic and offset, value.
fn all_of(broker: &Broker, topic: &str, partitions: i32, each: Each<'_>) {
    let mut config = client(broker);
    config.set("group.id", "judge").set("enable.partition.eof", "true").set("isolation.level", "read_committed");
    let reader: BaseConsumer = config.set("enable.auto.commit", "false").create().expect("a client");
    for partition in 0..partitions {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a place");
        reader.assign(&list).expect("assigned");
        loop {
            match reader.poll(LONG).expect("an answer in time") {
                Ok(message) => {
                    let at = format!("{topic}/{partition}/{}", message.offset());
                    each(at, message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                }
                Err(KafkaError::PartitionEOF(_)) => break,
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// How often landing has what came from a place: by the place, then by key and partition.
fn landed(broker: &Broker) -> BTreeMap<String, BTreeMap<(String, Vec<u8>), usize>> {
    let mut landed: BTreeMap<String, BTreeMap<(String, Vec<u8>), usize>> = BTreeMap::new();
    all_of(broker, "bridge.landing", 8, &mut |at, key, value| {
        let origin = landing::envelope_of(value).ok().and_then(|envelope| envelope.origin.map(str::to_owned));
        if let Some(origin) = origin.filter(|origin| origin.starts_with(TOPIC)) {
            let partition = at.rsplit_once('/').expect("a place").0.to_owned();
            *landed.entry(origin).or_default().entry((partition, key.to_vec())).or_default() += 1;
        }
    });
    landed
}

/// Each place of the topic that is to be in landing is, and nothing is twice.
fn each_once(broker: &Broker, is_landed: impl Fn(&[u8]) -> bool) -> usize {
    let mut expected = BTreeSet::new();
    all_of(broker, TOPIC, PARTITIONS, &mut |at, _, value| {
        if is_landed(value) {
            expected.insert(at);
        }
    });
    let landed = landed(broker);
    let missing: Vec<&String> = expected.iter().filter(|at| !landed.contains_key(*at)).collect();
    assert!(missing.is_empty(), "{} are missing, {missing:?}", missing.len());
    let twice: Vec<&String> = landed.iter().filter(|(_, keys)| keys.values().any(|times| *times > 1)).map(|(at, _)| at).collect();
    assert!(twice.is_empty(), "{} are there twice, {twice:?}", twice.len());
    expected.len()
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..900 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited too long until {what}");
}

fn until_landed(broker: &Broker, count: usize) {
    until("all is landed", || landed(broker).len() >= count);
}

fn ready(bridge: &Bridge) -> Result<(), String> {
    bridge.client.get("/readyz").map(drop).map_err(|why| why.to_string())
}

/// Where each record of quarantine came from.
fn quarantined(bridge: &Bridge) -> BTreeSet<String> {
    let mut origins = BTreeSet::new();
    let each = &mut |line: &[u8]| {
        let line: sonic_rs::Value = sonic_rs::from_slice(line).expect("JSON");
        origins.extend(line["headers"]["origin"].as_str().map(str::to_owned));
        Ok(())
    };
    bridge.client.each_line("/quarantine", each).expect("quarantine");
    origins
}

fn kill(mut bridge: Bridge) {
    bridge.process.kill().expect("still there");
    bridge.process.wait().expect("gone");
}

#[test]
fn a_topic_on_kafka_is_read_whole_however_it_is_packed_and_poison_harms_no_other() {
    let mut broker = Broker::start();
    let folder = configured(&broker);
    // The topic comes later than the bridge: it waits.
    let bridge = start(folder.path());
    until("it says what is missing", || ready(&bridge).is_err_and(|why| why.contains("source `ehr`: ehr.fhir: there is no such topic")));
    make_topic(&broker);
    until("it has found the topic", || ready(&bridge).is_err_and(|why| !why.contains("source `ehr`: ")));
    let mut sent = 0;
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let patients: Vec<String> = (0..60).map(|n| patient(&format!("{codec}{n}"))).collect();
        send(&producer(&broker, &[("compression.codec", codec)]), &patients.iter().map(|text| Some(text.as_bytes())).collect::<Vec<_>>());
        sent += patients.len();
    }
    let [ann, bea, cleo] = ["ann", "bea", "cleo"].map(patient);
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{ann}}},{{"resource":{bea}}}]}}"#);
    // In one partition, between others.
    let plain = producer(&broker, &[]);
    let poison: [Option<&[u8]>; 5] =
        [None, Some(b"\xff\xfe{}"), Some(b"{\"resourceType\":\"Patient\",\"id\":\"cut"), Some(b"{\"no\":\"resource\"}"), Some(b"")];
    for value in poison.into_iter().chain([None, Some(bundle.as_bytes())]) {
        send(&plain, &[value]);
        sent += 1;
    }
    // What the EHR takes back was never said.
    let transactional = producer(&broker, &[("transactional.id", "ehr")]);
    transactional.init_transactions(LONG).expect("begun");
    transactional.begin_transaction().expect("begun");
    send(&transactional, &[Some(patient("aborted").as_bytes())]);
    transactional.abort_transaction(LONG).expect("aborted");
    transactional.begin_transaction().expect("begun");
    send(&transactional, &[Some(cleo.as_bytes())]);
    transactional.commit_transaction(LONG).expect("committed");
    sent += 1;

    until_landed(&broker, sent);
    assert_eq!(each_once(&broker, |_| true), sent);
    judge::until_worked_off(&[&bridge.client]);
    let landed_so_far = landed(&broker);
    assert_eq!(landed_so_far.values().filter(|keys| keys.len() == 2).count(), 1, "the Bundle's two");
    // All six of them lie one behind the other in partition 0, after what was packed.
    let first = 4 * 20;
    let expected: BTreeSet<String> = (first..first + 6).map(|offset| format!("{TOPIC}/0/{offset}")).collect();
    assert_eq!(quarantined(&bridge), expected);

    // Without brokers it waits and says so; then it goes on by itself.
    broker.kill();
    until("it says that they are away", || ready(&bridge).is_err_and(|why| why.contains("source `ehr`: ")));
    broker.again();
    send(&producer(&broker, &[]), &[Some(patient("dora").as_bytes())]);
    until_landed(&broker, sent + 1);
    until("it says that all is well again", || ready(&bridge).is_err_and(|why| !why.contains("source `ehr`: ")));
    kill(bridge);
    send(&producer(&broker, &[]), &[Some(patient("ella").as_bytes())]);
    let bridge = start(folder.path());
    until_landed(&broker, sent + 2);
    assert_eq!(each_once(&broker, |_| true), sent + 2);
    kill(bridge);
}

/// Nothing is skipped in silence, and nothing is read from the beginning again because an offset is gone.
#[test]
fn what_a_topic_on_kafka_lost_before_it_was_read_stops_its_source_until_somebody_decides() {
    let broker = Broker::start();
    let folder = configured(&broker);
    make_topic(&broker);
    let plain = producer(&broker, &[]);
    let three = |name: &str| {
        let patients: Vec<String> = (0..PARTITIONS).map(|n| patient(&format!("{name}{n}"))).collect();
        send(&plain, &patients.iter().map(|text| Some(text.as_bytes())).collect::<Vec<_>>());
    };
    three("first");
    let bridge = start(folder.path());
    until_landed(&broker, 3);
    kill(bridge);

    let admin: AdminClient<DefaultClientContext> = client(&broker).create().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    three("second");
    three("third");
    let mut gone = TopicPartitionList::new();
    gone.add_partition_offset(TOPIC, 0, Offset::Offset(2)).expect("a place");
    runtime.block_on(admin.delete_records(&gone, &AdminOptions::new())).expect("deleted");
    let bridge = start(folder.path());
    let said = |why: &str| why.contains("source `ehr`: ehr.fhir: the topic no longer has what comes next");
    until("it says that something is missing", || ready(&bridge).is_err_and(|why| said(&why)));
    assert!(!landed(&broker).contains_key("ehr.fhir/0/2"), "what comes after the gap is not read");
    kill(bridge);

    // Those who died are in the group until their session is over.
    until("the group is deleted", || {
        let deleted = runtime.block_on(admin.delete_groups(&["footbridge.source.ehr"], &AdminOptions::new()));
        deleted.is_ok_and(|groups| groups.iter().all(Result::is_ok))
    });
    let bridge = start(folder.path());
    until("it says that the group knows nothing", || {
        ready(&bridge).is_err_and(|why| why.contains("the group has forgotten how far it was read"))
    });
    each_once(&broker, |_| false);
    kill(bridge);
}

#[test]
fn killed_at_any_moment_a_topic_on_kafka_is_landed_exactly_once() {
    let broker = Broker::start();
    let folder = configured(&broker);
    make_topic(&broker);
    let (kills, seed) = (number("FOOTBRIDGE_KAFKA_KILLS").unwrap_or(6), number("FOOTBRIDGE_SEED").unwrap_or(1));
    let now: Instant = jiff::Timestamp::now().into();
    let arrivals = population::invent(seed, 150, now.minus(Span::days(400)), now.minus(Span::days(1)));
    let mut chance = Chance::new(seed);
    let mut bridge = start(folder.path());
    bridge.client.post("/sources/ehr/baseline", "application/json", b"").expect("a baseline");
    let plain = producer(&broker, &[("compression.codec", "lz4")]);
    let killing = AtomicBool::new(true);
    // The EHR goes on writing, a little at a time, while the bridge is killed and comes back; what is left comes at once.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for part in arrivals.chunks(10) {
                for Arrival { json, .. } in part {
                    send_to(&plain, number_of_patient(json), Some(json.as_bytes()));
                }
                send(&plain, &[Some(b"{ poison".as_slice()), None]);
                if killing.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(60));
                }
            }
        });
        for _ in 0..kills {
            std::thread::sleep(Duration::from_micros(chance.below(4_000_000) as u64));
            bridge.process.kill().expect("still there");
            bridge.process.wait().expect("gone");
            bridge = start(folder.path());
        }
        killing.store(false, Ordering::Relaxed);
    });
    // The last of each partition, whose keys no other has.
    let last = patient("last");
    send(&plain, &[Some(last.as_bytes()); 3]);
    let ends: Vec<String> = ends(&broker);
    until("each partition is read to its end", || {
        let landed = landed(&broker);
        ends.iter().all(|end| landed.contains_key(end))
    });
    judge::until_worked_off(&[&bridge.client]);
    // Of the types that always have an entry of their own.
    let count = each_once(&broker, |value| {
        let text = String::from_utf8_lossy(value);
        text.contains("\"resourceType\":\"Patient\"") || text.contains("poison") || text.is_empty()
    });
    println!("{} records, {count} of them looked at, {kills} kills", arrivals.len());
    judge::all_is_right(&bridge.client, folder.path(), &arrivals, now);
    kill(bridge);
}

/// The group shares the partitions out anew each time that somebody comes, sleeps for too long, wakes up, or dies.
#[test]
fn two_that_share_a_topic_on_kafka_land_each_record_exactly_once() {
    let broker = Broker::start();
    make_topic(&broker);
    let folders = ["footbridge-1", "footbridge-2"].map(|instance| configured_as(&broker, instance));
    let mut first = start(folders[0].path());
    same_secrets(folders[0].path(), folders[1].path());
    let plain = producer(&broker, &[]);
    let (writing, sent) = (AtomicBool::new(true), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while writing.load(Ordering::Relaxed) {
                let patients: Vec<String> = (0..10).map(|_| patient(&format!("p{}", sent.fetch_add(1, Ordering::Relaxed)))).collect();
                send(&plain, &patients.iter().map(|text| Some(text.as_bytes())).collect::<Vec<_>>());
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let wait = |seconds| std::thread::sleep(Duration::from_secs(seconds));
        wait(4);
        let second = start(folders[1].path());
        wait(8);
        // Longer than its session: it wakes up in the belief that nothing has changed.
        signal(&second, "-STOP");
        wait(13);
        signal(&second, "-CONT");
        wait(8);
        signal(&first, "-STOP");
        wait(13);
        signal(&first, "-CONT");
        wait(5);
        kill(second);
        wait(5);
        writing.store(false, Ordering::Relaxed);
    });
    // Who sleeps in the middle of a transaction for longer than that may last is fenced, and may have ended.
    kill(first);
    first = start(folders[0].path());
    // What the dead one held is given to the other once its session is over.
    until_landed(&broker, sent.load(Ordering::Relaxed));
    println!("{} records", each_once(&broker, |_| true));
    kill(first);
}

/// The place of the last record of each partition.
fn ends(broker: &Broker) -> Vec<String> {
    let mut last = BTreeMap::new();
    all_of(broker, TOPIC, PARTITIONS, &mut |at, _, _| _ = last.insert(at.rsplit_once('/').expect("a place").0.to_owned(), at));
    last.into_values().collect()
}
