//! Midnight: 400,000 people come of age at one instant, while revocations go on.
//!
//! In: an instance on a clock that the bench moves. Out: how long the night is, and how long a revocation takes in it.
//! Never here: a revocation that waits for a turn of its own; each is appended at its moment.

use super::{live, people, table};
use footbridge::config::data::DataFolder;
use footbridge::config::files::Files;
use footbridge::config::mappings;
use footbridge::log::{Clock, OutTopic};
use footbridge::pipeline::{Instance, Options};
use footbridge_core::gate::MemberKey;
use footbridge_core::time::{Instant as Moment, Span};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const EDGES: usize = 400_000;
const REVOCATIONS: usize = 5_000;
/// Between two revocations: fifty a second.
const GAP: Duration = Duration::from_millis(20);
const PART: usize = 500;

const POLICY: &str = "organisation: { name: Riverside, zone: UTC }\nrecipients:\n  crm: { name: Riverside CRM }\n";
const AUDIENCE: &str = "audience: adults\ntitle: Adults\ncommunication: treatment\nremuneration: none\nrecipient: crm\nends: 2999-01-01\n\
                        times: exact\nmembers: { Patient: birthDate <= today() - 18 years }\n";

pub fn run() {
    let edges = std::env::var("EDGES").ok().and_then(|n| n.parse().ok()).unwrap_or(EDGES);
    table::head(&format!("Midnight: {edges} edges at one instant, 50 revocations a second"));
    let folder = live::folder();
    let texts = [("policy.yaml", POLICY), ("audiences/adults.yaml", AUDIENCE)];
    let mappings = mappings::read_files(&Files::Texts(&texts)).mappings.expect("they are right");
    let data = DataFolder::open(&folder.join("data")).expect("a data folder");
    // At noon it begins; how far the clock is put forward is the bench's to say.
    let (began, noon) = (Instant::now(), Moment::parse("2026-03-01T12:00:00Z").expect("an instant"));
    let forward = Arc::new(AtomicI64::new(0));
    let moved = Arc::clone(&forward);
    let clock: Clock = Arc::new(move || noon.plus(Span(began.elapsed().as_micros() as i64 + moved.load(Ordering::Relaxed))));
    let instance = Instance::start(&data, mappings, Options::default(), Arc::clone(&clock)).expect("an instance");
    let source = instance.intake.sources[0].clone();
    instance.append(instance.intake.baseline(&source)).expect("durable");
    let load = Instant::now();
    for part in (0..edges + REVOCATIONS).collect::<Vec<_>>().chunks(PART) {
        let entries = part.iter().flat_map(|number| {
            let birth = if *number < edges { "2008-03-02" } else { "1970-01-01" };
            instance.intake.receive(&source, people::patient(*number, "female", birth).as_bytes()).entries
        });
        instance.append(entries.collect()).expect("durable");
    }
    settle(&instance);
    table::plain("loaded and worked off before", &format!("{:.0} records/s", (edges + REVOCATIONS) as f64 / load.elapsed().as_secs_f64()));
    let topic = OutTopic::Audience("adults".into());
    let before = instance.log.end_of(&topic).expect("an end");

    let (seen, stop, entered) = (Mutex::new(BTreeMap::new()), AtomicBool::new(false), AtomicI64::new(0));
    let mut revoked = Vec::new();
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| follow(&instance, &topic, before, &seen, &entered, &stop));
        let midnight = Moment::parse("2026-03-02T00:00:00Z").expect("an instant");
        forward.store(midnight.since(noon).0 - began.elapsed().as_micros() as i64, Ordering::Relaxed);
        let start = Instant::now();
        let members = MemberKey::new("crm", 1, &data.members);
        let mut night = None;
        for number in edges..edges + REVOCATIONS {
            let at = Instant::now();
            let entries = instance.intake.receive(&source, people::denial(number).as_bytes()).entries;
            instance.append(entries).expect("durable");
            revoked.push((members.member(instance.intake.keys.person("", &people::id(number))), at));
            if entered.load(Ordering::Relaxed) >= edges as i64 {
                night = Some(start.elapsed());
                break;
            }
            std::thread::sleep(GAP.saturating_sub(at.elapsed()));
        }
        settle(&instance);
        let night = night.unwrap_or_else(|| start.elapsed());
        table::plain(
            "from midnight until the last has entered",
            &format!("{:.1} s, {:.0} edges/s", night.as_secs_f64(), edges as f64 / night.as_secs_f64()),
        );
        stop.store(true, Ordering::Relaxed);
        follower.join().expect("a follower");
    });
    assert_eq!(entered.load(Ordering::Relaxed), edges as i64, "everyone whose day it is has entered");
    let seen = seen.into_inner().expect("whole");
    let mut times: Vec<Duration> =
        revoked.iter().filter_map(|(member, at)| Some(Instant::duration_since(seen.get(member)?, *at))).collect();
    assert_eq!(times.len(), revoked.len(), "everyone who was revoked has left");
    let (p50, p99, longest) = table::spread(&mut times);
    table::plain(&format!("p50 of {} revocations meanwhile", times.len()), &format!("{p50:.1} ms"));
    table::most("p99", p99, "ms", 250.0);
    table::plain("the longest", &format!("{longest:.1} ms"));
    instance.stop().expect("a clean stop");
    std::fs::remove_dir_all(&folder).expect("a folder of our own");
}

fn settle(instance: &Instance) {
    while !instance.is_worked_off().expect("positions") {
        assert!(!instance.is_broken(), "{:?}", instance.troubles());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn follow(
    instance: &Instance,
    topic: &OutTopic,
    from: u64,
    seen: &Mutex<BTreeMap<String, Instant>>,
    entered: &AtomicI64,
    stop: &AtomicBool,
) {
    let mut from = from;
    loop {
        let last = stop.load(Ordering::Relaxed);
        let outputs = instance.log.follow(topic, from, 1000, Duration::from_millis(100)).expect("events");
        let now = Instant::now();
        for stored in &outputs.list {
            let kind = stored.headers.iter().find(|(name, _)| name == "ce_type").map_or("", |(_, kind)| kind.as_str());
            match kind.ends_with(".exited") {
                true => _ = seen.lock().expect("whole").entry(String::from_utf8_lossy(&stored.key).into_owned()).or_insert(now),
                false => _ = entered.fetch_add(1, Ordering::Relaxed),
            }
        }
        from = outputs.next;
        if last && outputs.list.is_empty() {
            return;
        }
    }
}
