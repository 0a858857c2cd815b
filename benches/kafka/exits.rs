//! From a revocation in landing to the exit that a consumer of the audience's topic reads, once it is committed.
//!
//! In: invented members, the shared data as load. Out: p50 and p99, idle and under half load.
//! Never here: a time that ends before the event was read.

use super::live::{Live, bundle, send};
use super::load::push;
use super::program::{Home, is_worked_off};
use super::{people, table, until};
use footbridge::console::client::Client;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use sonic_rs::{JsonValueTrait, Value};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const AUDIENCE: &str = "audience.annual-wellness-visit-due";
/// Revoked before any is counted: a broker just started compiles itself.
const WARM: usize = 100;
const IDLE: usize = 500;
const LOADED: usize = 500;
const BUNDLE: usize = 100;
/// 50 a second.
const GAP: Duration = Duration::from_millis(20);
/// How long the most that it works off is looked for, and how long half of that is kept up.
const FULL: Duration = Duration::from_secs(6);
const HALF: Duration = Duration::from_secs(25);
const LONGEST: Duration = Duration::from_secs(120);

/// When an exit was read, by member.
type Seen = Mutex<BTreeMap<String, Instant>>;

struct Revoked {
    member: String,
    sent: Instant,
    /// When the bridge had answered that landing has it.
    landed: Instant,
}

pub fn run(at: &str, records: &[Vec<u8>], partitions: u16) {
    let home = Home::new(at, "exits", partitions, 0);
    let mut program = home.start();
    let address = program.address();
    let client = Client::new(&address, None);
    let settle = |what: &str| until(what, LONGEST, Duration::from_millis(20), || home.tail(), || is_worked_off(&client).then_some(()));
    client.post("/sources/push/baseline", "application/json", b"").expect("a baseline");
    let mut resources = Vec::new();
    (0..WARM + IDLE + LOADED).for_each(|number| people::person(number, &mut resources));
    for part in resources.chunks(BUNDLE) {
        send(&client, &bundle(part.iter().map(String::as_bytes)));
    }
    settle("the members to be in");
    let bundles: Vec<Vec<u8>> = records.chunks(BUNDLE).map(|part| bundle(part.iter().map(Vec::as_slice))).collect();
    let next = AtomicUsize::new(0);
    let (seen, reads, stop) = (Seen::default(), AtomicBool::new(false), AtomicBool::new(false));
    let (address, bundles, next) = (address.as_str(), &bundles[..], &next);
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| follow(at, &home.topic(AUDIENCE), &seen, &reads, &stop));
        // Whatever fails below, the follower ends.
        let _end = End(&stop);
        // Its own start takes half a second, and is none of the bridge's.
        let reading = || reads.load(Ordering::Relaxed).then_some(());
        until("a consumer to read the audience", LONGEST, GAP, || home.tail(), reading);
        (0..WARM).for_each(|number| drop(revoke(&client, number, GAP)));
        let before = commits(&client);
        let idle = (WARM..WARM + IDLE).map(|number| revoke(&client, number, GAP)).collect();
        told("idle", idle, &seen, &home, (6.0, 25.0));
        let after = commits(&client);
        let (took, count) = (after.0 - before.0, after.1 - before.1);
        table::plain(&format!("idle: a commit of the worker, mean of {count:.0}"), &format!("{:.1} ms", took * 1e3 / count));

        let began = Instant::now();
        let full = push(address, bundles, next, || began.elapsed() < FULL);
        settle("the full load to be worked off");
        let most = full as f64 / began.elapsed().as_secs_f64();
        table::plain("the most that is worked off, Bundles of 100", &format!("{:.0} resources/s", most * BUNDLE as f64));
        let began = Instant::now();
        let load = scope.spawn(move || {
            let sent = AtomicUsize::new(0);
            push(address, bundles, next, || {
                // Each Bundle has its moment; who is late does not wait.
                let due = Duration::from_secs_f64(sent.fetch_add(1, Ordering::Relaxed) as f64 / (most / 2.0));
                std::thread::sleep(due.saturating_sub(began.elapsed()));
                began.elapsed() < HALF
            })
        });
        let gap = HALF / LOADED as u32;
        let loaded =
            (WARM + IDLE..WARM + IDLE + LOADED).take_while(|_| began.elapsed() < HALF).map(|number| revoke(&client, number, gap)).collect();
        let held = load.join().expect("a sender");
        table::plain("half load that was kept up", &format!("{:.0} resources/s", (held * BUNDLE) as f64 / began.elapsed().as_secs_f64()));
        settle("half the load to be worked off");
        told("under half load", loaded, &seen, &home, (f64::INFINITY, 250.0));
        stop.store(true, Ordering::Relaxed);
        follower.join().expect("a follower");
    });
}

/// Seconds of all the worker's commits so far, and how many they were.
fn commits(client: &Client) -> (f64, f64) {
    let said = String::from_utf8(client.get("/metrics").expect("metrics").body).expect("text");
    let number = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).expect("a metric");
    (number("footbridge_commit_seconds_sum"), number("footbridge_commit_seconds_count"))
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends the denial, waits until landing has it, then rests.
fn revoke(client: &Client, number: usize, rest: Duration) -> Revoked {
    let sent = Instant::now();
    client.post("/fhir", "application/fhir+json", people::denial(number).as_bytes()).expect("it is taken");
    let landed = Instant::now();
    std::thread::sleep(rest.saturating_sub(sent.elapsed()));
    Revoked { member: Live::member(&people::id(number)), sent, landed }
}

/// Reads the audience as its recipient does: only what was committed.
fn follow(at: &str, topic: &str, seen: &Seen, reads: &AtomicBool, stop: &AtomicBool) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", at).set("group.id", "recipient").set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("a partition");
    consumer.assign(&list).expect("assigned");
    while !stop.load(Ordering::Relaxed) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let now = Instant::now();
        let message = message.expect("an event");
        reads.store(true, Ordering::Relaxed);
        let (Some(key), Some(value)) = (message.key(), message.payload()) else { continue };
        let event: Value = sonic_rs::from_slice(value).expect("JSON");
        if event["status"].as_str() == Some("exited") {
            seen.lock().expect("whole").entry(String::from_utf8_lossy(key).into_owned()).or_insert(now);
        }
    }
}

fn told(when: &str, revoked: Vec<Revoked>, seen: &Seen, home: &Home, (middle, late): (f64, f64)) {
    // The last may still be on its way.
    until(
        "every exit",
        LONGEST,
        Duration::from_millis(50),
        || home.tail(),
        || {
            let seen = seen.lock().expect("whole");
            revoked.iter().all(|one| seen.contains_key(&one.member)).then_some(())
        },
    );
    let seen = seen.lock().expect("whole");
    // Read by a consumer before the answer of landing was: no time at all.
    let since = |from: fn(&Revoked) -> Instant| -> Vec<Duration> {
        revoked.iter().map(|one| seen[&one.member].saturating_duration_since(from(one))).collect()
    };
    let mut times = since(|one| one.landed);
    let (p50, p99, longest) = table::spread(&mut times);
    let what = format!("{when}, {} revocations, landed to read: p50", times.len());
    match middle.is_finite() {
        true => table::most(&what, p50, "ms", middle),
        false => table::plain(&what, &format!("{p50:.1} ms")),
    }
    table::most(&format!("{when}, landed to read: p99"), p99, "ms", late);
    table::plain(&format!("{when}, landed to read: the longest"), &format!("{longest:.1} ms"));
    let mut times = since(|one| one.sent);
    let (p50, p99, _) = table::spread(&mut times);
    table::plain(&format!("{when}, from the request on: p50, p99"), &format!("{p50:.1}, {p99:.1} ms"));
}
