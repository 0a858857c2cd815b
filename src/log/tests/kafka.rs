//! The log on Kafka, on a real broker: the promises of every log, and those that only Kafka can break.
//!
//! In: a broker of the test's own. Out: a failed test with the story's name. Never here: a skip where there is no broker.

use super::stories::STORIES;
use super::*;
use crate::log::kafka::{Kafka, Settings};
use crate::log::{Commit, Output, Retry, Trouble};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

#[path = "../../../tests/broker/mod.rs"]
mod broker;

use broker::Broker;

const ONE: Place = Place::landing(1);

/// Offsets on Kafka have gaps, for a transaction ends with a mark; keys are compacted when the broker likes; and a session whose name is
/// taken over is at its end. The stories that hang on the opposite have their like below.
const ELSEWHERE: &[&str] = &[
    "records come in order, with one stamp an append",
    "a refused commit leaves nothing and waits for abort",
    "many records come in bounded batches, each once",
    "compaction leaves the newest of a key below the position",
    "a loser's tombstone removes it, whichever came first",
    "new sessions take all from the old ones",
    "quarantine forgets what a tombstone names, an audience shows it",
    "two sessions share the places",
    "an end is told once, and again after more",
    "what is erased goes by the beginning of its key, whatever came of it",
];

struct OnKafka {
    log: Option<Kafka>,
    settings: Settings,
    clock: VirtualClock,
    folder: tempfile::TempDir,
}

impl OnKafka {
    fn new(broker: &Broker, prefix: &str) -> OnKafka {
        let settings = settings(broker, prefix);
        let folder = tempfile::tempdir().expect("a folder");
        let mut made = OnKafka { log: None, settings, clock: VirtualClock::at(today()), folder };
        made.reopen();
        made
    }

    fn log(&self) -> &Kafka {
        self.log.as_ref().expect("the log is open")
    }
}

fn settings(broker: &Broker, prefix: &str) -> Settings {
    Settings {
        bootstrap: broker.address(),
        prefix: format!("{prefix}."),
        group: prefix.to_owned(),
        replication: 1,
        partitions: PARTITIONS,
        ..Settings::default()
    }
}

impl Subject for OnKafka {
    fn landing(&self) -> Box<dyn Landing> {
        Box::new(self.log().clone())
    }

    fn sessions(&self, count: usize) -> Vec<Box<dyn Log>> {
        let mut sessions: Vec<Box<dyn Log>> = Vec::new();
        for session in self.log().sessions(count).expect("sessions") {
            sessions.push(Box::new(session));
        }
        sessions
    }

    fn outputs(&self, topic: &OutTopic) -> Vec<Stored> {
        self.log().outputs(topic, 0, usize::MAX).expect("outputs").list
    }

    fn compact(&self) {}

    fn reopen(&mut self) {
        self.log = None;
        self.log = Some(Kafka::open(self.folder.path(), self.settings.clone(), self.clock.clock()).expect("the log opens"));
    }

    fn clock(&self) -> &VirtualClock {
        &self.clock
    }
}

/// A broker cleans up, by its own clock, what is stamped long ago.
fn today() -> Instant {
    Instant::from(jiff::Timestamp::now().round(jiff::Unit::Second).expect("an instant"))
}

/// Longer than a group takes to share out its places.
fn patient() {
    PATIENCE.set(Duration::from_secs(5));
}

fn one(subject: &OnKafka) -> Box<dyn Log> {
    subject.sessions(1).pop().expect("a session")
}

#[test]
fn the_log_on_kafka_keeps_the_promises_of_every_log() {
    patient();
    let broker = Broker::start();
    let mut told = 0;
    for (number, (name, story)) in STORIES.iter().enumerate().filter(|(_, (name, _))| !ELSEWHERE.contains(name)) {
        println!("{name}");
        story(&mut OnKafka::new(&broker, &format!("story{number}")));
        told += 1;
    }
    assert_eq!(told, STORIES.len() - ELSEWHERE.len());
}

#[test]
fn what_only_kafka_can_break_holds() {
    patient();
    let broker = Broker::start();
    for (name, story) in [
        ("appends come in order, each with its stamp", in_order as fn(&mut OnKafka)),
        ("an end is told once, also after its last record, and again after more", ends),
        ("what a commit refuses leaves nothing, and the session goes on after abort", refused),
        ("a state that is lost here is read again from the changelog", lost_copy),
        ("who is taken over cannot commit any more, and the new one goes on where it was", fenced),
        ("who stood still until the brokers gave its transaction up reads again and goes on", given_up),
        ("what is erased has a tombstone in landing, and nothing else has one", erased),
        ("quarantine and events are read back from their topics", outputs),
    ] {
        println!("{name}");
        story(&mut OnKafka::new(&broker, &format!("only-{}", name.len())));
    }
    wrong_topic(&broker);
}

fn commit_to(place: Place, next: u64) -> Commit {
    Commit { positions: vec![(place, next)], ..Commit::default() }
}

/// Without offsets.
fn said(batch: &Batch) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    batch.records.iter().map(|record| format!("{} {}={}", record.place, text(record.key()), text(record.value()))).collect()
}

fn in_order(subject: &mut OnKafka) {
    let (landing, mut session) = (subject.landing(), one(subject));
    let first = append(&*landing, vec![entry(ONE, "a", "1"), entry(ONE, "c", "1")]).expect("taken");
    subject.clock().advance(footbridge_core::time::Span::seconds(1));
    let second = append(&*landing, vec![entry(ONE, "a", "2")]).expect("taken");
    let batch = drain(&mut *session);
    assert_eq!(said(&batch), ["landing/1 a=1", "landing/1 c=1", "landing/1 a=2"]);
    assert_eq!(batch.records.iter().map(|record| record.stamp).collect::<Vec<_>>(), [first.at, first.at, second.at]);
    assert_eq!(batch.records[0].headers(), entry(ONE, "a", "1").headers);
    assert_eq!(batch.assigned.len(), 2 * usize::from(PARTITIONS));
    // From the middle, as a preparation reads it.
    let next = batch.records[2].offset + 1;
    session.commit(commit_to(ONE, next)).expect("committed");
    let again: Vec<u64> = replayed(&*session, ONE).iter().map(|record| record.offset).collect();
    assert_eq!(again, batch.records.iter().map(|record| record.offset).collect::<Vec<_>>());
}

fn ends(subject: &mut OnKafka) {
    let (landing, mut session) = (subject.landing(), one(subject));
    assert_eq!(drain(&mut *session).drained.len(), 2 * usize::from(PARTITIONS));
    assert_eq!(drain(&mut *session).drained, []);
    append(&*landing, (0..20).map(|n| entry(ONE, &format!("k{n}"), "v")).collect()).expect("taken");
    let batch = drain(&mut *session);
    assert_eq!((batch.records.len(), &batch.drained[..]), (20, &[ONE][..]));
    session.abort().expect("aborted");
    assert_eq!(drain(&mut *session).drained.len(), 2 * usize::from(PARTITIONS));
}

fn refused(subject: &mut OnKafka) {
    let (landing, mut session) = (subject.landing(), one(subject));
    append(&*landing, vec![entry(ONE, "a", "1")]).expect("taken");
    let offset = drain(&mut *session).records[0].offset;
    let state = vec![(ONE, b"a".to_vec(), Some(b"state".to_vec()))];
    let wrong = Commit { state: state.clone(), appends: vec![entry(Place::owners(PARTITIONS), "x", "")], ..commit_to(ONE, offset + 1) };
    assert_eq!(session.commit(wrong).expect_err("no such partition").trouble, Trouble::Refused);
    assert!(session.poll(Duration::ZERO, &mut Batch::default()).is_err(), "no poll before abort");
    session.abort().expect("aborted");
    assert_eq!(said(&drain(&mut *session)), ["landing/1 a=1"]);
    assert_eq!(session.get(ONE, b"a").expect("state"), None);
    session.commit(Commit { state, ..commit_to(ONE, offset + 1) }).expect("committed");
    assert_eq!(session.get(ONE, b"a").expect("state").as_deref(), Some(&b"state"[..]));
}

fn lost_copy(subject: &mut OnKafka) {
    let (landing, mut session) = (subject.landing(), one(subject));
    append(&*landing, vec![entry(ONE, "a", "1"), entry(ONE, "b", "1")]).expect("taken");
    let batch = drain(&mut *session);
    let change = |key: &str, value: Option<&str>| (ONE, key.as_bytes().to_vec(), value.map(|value| value.as_bytes().to_vec()));
    let state = vec![change("k1", Some("old")), change("k2", Some("x"))];
    session.commit(Commit { state, ..commit_to(ONE, batch.records[0].offset + 1) }).expect("committed");
    let state = vec![change("k1", Some("new")), change("k2", None)];
    session.commit(Commit { state, ..Commit::default() }).expect("committed");
    drop((session, landing));
    subject.log = None;
    subject.folder = tempfile::tempdir().expect("another machine");
    subject.reopen();
    let mut session = one(subject);
    let batch = drain(&mut *session);
    assert_eq!(said(&batch), ["landing/1 b=1"]);
    let mut found = Vec::new();
    session.scan(ONE, b"", &mut |key, value| found.push((key.to_vec(), value.to_vec()))).expect("a scan");
    assert_eq!(found, [(b"k1".to_vec(), b"new".to_vec())]);
}

fn fenced(subject: &mut OnKafka) {
    let (landing, mut old) = (subject.landing(), one(subject));
    append(&*landing, vec![entry(ONE, "a", "1"), entry(ONE, "b", "1")]).expect("taken");
    let records = drain(&mut *old).records;
    old.commit(commit_to(ONE, records[0].offset + 1)).expect("committed");
    let mut new = one(subject);
    let act = Commit { state: vec![(ONE, b"a".to_vec(), Some(vec![1]))], ..commit_to(ONE, records[1].offset + 1) };
    let error = old.commit(act).expect_err("another has its name");
    assert_eq!((error.trouble, error.retry), (Trouble::Lost, Retry::Never), "{error}");
    assert!(old.abort().is_err(), "it is at its end");
    drop(old);
    let batch = drain(&mut *new);
    assert_eq!(said(&batch), ["landing/1 b=1"]);
    assert_eq!(new.get(ONE, b"a").expect("state"), None);
    new.commit(commit_to(ONE, records[1].offset + 1)).expect("committed");
}

/// The brokers give a transaction up as another writer of the same name would: with a newer epoch. No other process has joined.
fn given_up(subject: &mut OnKafka) {
    let (landing, mut session) = (subject.landing(), one(subject));
    append(&*landing, vec![entry(ONE, "a", "1"), entry(ONE, "b", "1")]).expect("taken");
    let records = drain(&mut *session).records;
    session.commit(commit_to(ONE, records[0].offset + 1)).expect("committed");
    for role in ["worker-0", "landing"] {
        let settings = &subject.settings;
        let name = format!("{}-{}-{role}", settings.group, settings.instance);
        let mut config = rdkafka::ClientConfig::new();
        config.set("bootstrap.servers", &settings.bootstrap).set("transactional.id", name);
        let newer: rdkafka::producer::BaseProducer = config.create().expect("a producer");
        rdkafka::producer::Producer::init_transactions(&newer, settings.answer_within).expect("a newer epoch");
    }
    let error = session.commit(commit_to(ONE, records[1].offset + 1)).expect_err("its transaction is gone");
    assert_eq!(error.retry, Retry::Later, "{error}");
    session.abort().expect("joined again");
    let batch = drain(&mut *session);
    assert_eq!(said(&batch), ["landing/1 b=1"]);
    session.commit(commit_to(ONE, records[1].offset + 1)).expect("committed");
    let refused = append(&*landing, vec![entry(ONE, "c", "1")]).expect_err("it rests");
    assert_eq!(refused.retry, Retry::Later, "{refused}");
    let taken = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        append(&*landing, vec![entry(ONE, "c", "1")]).is_ok()
    });
    assert!(taken, "landing goes on by itself");
    assert_eq!(said(&drain(&mut *session)), ["landing/1 c=1"]);
}

/// What came again has none: the newer record takes the older ones along when the broker compacts.
fn erased(subject: &mut OnKafka) {
    let (landing, mut session) = (subject.landing(), one(subject));
    let records = ["p/1", "p/2", "q/1", "p/1", "p/erase", "p/1", "p/3"];
    append(&*landing, records.iter().map(|key| entry(ONE, key, "x")).collect()).expect("taken");
    let batch = drain(&mut *session);
    let (erase, next) = (batch.records[4].offset, batch.records[5].offset + 1);
    session.commit(Commit { landing_erased: vec![(ONE, b"p/".to_vec(), erase)], ..commit_to(ONE, next) }).expect("committed");
    let consumer: BaseConsumer = subject.settings.onlooker().create().expect("a client");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&subject.settings.topic("landing"), 1, Offset::Beginning).expect("a place");
    consumer.assign(&list).expect("assigned");
    let mut gone = Vec::new();
    loop {
        match consumer.poll(Duration::from_secs(30)).expect("an answer in time") {
            Ok(message) if message.payload().is_none() => gone.push(message.key().expect("a key").to_vec()),
            Ok(_) => {}
            Err(KafkaError::PartitionEOF(_)) => break,
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!(gone, [b"p/2"]);
    // They are nothing to be worked off.
    session.abort().expect("aborted");
    let batch = drain(&mut *session);
    assert_eq!(said(&batch), ["landing/1 p/3=x"]);
    session.commit(commit_to(ONE, batch.records[0].offset + 1)).expect("committed");
    assert_eq!(subject.log().behind(), 0, "tombstones at the end of landing are no backlog");
}

fn outputs(subject: &mut OnKafka) {
    let mut session = one(subject);
    drain(&mut *session);
    let output = |topic: OutTopic, key: &str, value: Option<&str>| Output {
        topic,
        key: key.into(),
        headers: vec![("ce_type", "entered".into())],
        value: value.map(Into::into),
    };
    let (q, a) = (OutTopic::Quarantine, OutTopic::Audience("mammogram-due".into()));
    let act = |outputs| Commit { outputs, ..Commit::default() };
    session.commit(act(vec![output(q.clone(), "p1", Some("why")), output(q.clone(), "p2", Some("why"))])).expect("committed");
    session
        .commit(act(vec![output(q.clone(), "p1", None), output(a.clone(), "m", Some("1")), output(a.clone(), "m", None)]))
        .expect("committed");
    let keys = |topic: &OutTopic| -> Vec<String> {
        subject.outputs(topic).iter().map(|stored| String::from_utf8_lossy(&stored.key).into_owned()).collect()
    };
    assert_eq!(keys(&q), ["p2"]);
    subject.log().remove_quarantined(b"p2").expect("removed");
    assert_eq!((keys(&q), keys(&a)), (vec![], vec!["m".to_owned(), "m".to_owned()]));
    assert_eq!(keys(&OutTopic::Audience("nobody-yet".into())), Vec::<String>::new());
    let first = &subject.outputs(&a)[0];
    assert_eq!((first.stamp, first.headers[0].1.as_str(), first.value.as_deref()), (subject.clock().now(), "entered", Some(&b"1"[..])));
    subject.log().define(b"hash", Some(b"content".to_vec())).expect("defined");
    drop(session);
    subject.reopen();
    assert_eq!(subject.log().definition(b"hash").as_deref(), Some(&b"content"[..]));
}

/// A topic that somebody made otherwise is told, with what to do.
fn wrong_topic(broker: &Broker) {
    let settings = settings(broker, "wrong");
    let admin: AdminClient<DefaultClientContext> = settings.client().create().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let cleanup = [("wrong.landing", 4, "delete", "`cleanup.policy` is `delete`"), ("wrong.owners", 3, "delete", "has 3 partitions")];
    for (name, partitions, policy, expected) in cleanup {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("cleanup.policy", policy);
        runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("made");
        let folder = tempfile::tempdir().expect("a folder");
        let error = Kafka::open(folder.path(), settings.clone(), VirtualClock::at(today()).clock()).err().expect("refused");
        assert!(error.trouble == Trouble::Format && error.what.contains(expected), "{error}");
        runtime.block_on(admin.delete_topics(&[name], &AdminOptions::new())).expect("gone");
        std::thread::sleep(Duration::from_secs(1));
    }
}
