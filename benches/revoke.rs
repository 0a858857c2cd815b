//! From a revocation to the exit that a follower of the audience sees, as `tail --follow` does.
//!
//! In: invented members, the shared data as load. Out: p50 and p99, idle and under half load.
//! Never here: a time that begins after the request was sent, or ends before the event was read.

use super::live::{Live, bundle, send};
use super::load::push;
use super::{feed, people, table};
use footbridge::console::client::Client;
use sonic_rs::{JsonValueTrait, Value};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const AUDIENCE: &str = "annual-wellness-visit-due";
const IDLE: usize = 500;
const LOADED: usize = 500;
const BUNDLE: usize = 100;
/// How long the most that it works off is looked for, and how long half of that is kept up.
const FULL: Duration = Duration::from_secs(6);
const HALF: Duration = Duration::from_secs(25);

/// When an exit was seen, by member.
type Seen = Mutex<BTreeMap<String, Instant>>;

pub fn run(copies: usize) {
    table::head("Revocation to the exit that a follower sees");
    disk();
    let live = Live::begin(&[]);
    let client = live.client();
    live.baseline();
    let mut resources = Vec::new();
    (0..IDLE + LOADED).for_each(|number| people::person(number, &mut resources));
    for part in resources.chunks(BUNDLE) {
        send(&client, &bundle(part.iter().map(String::as_bytes)));
    }
    live.settle();
    let records: Vec<Vec<u8>> = feed::mix(&feed::shared(), copies).into_iter().map(|record| record.body).collect();
    let bundles: Vec<Vec<u8>> = records.chunks(BUNDLE).map(|part| bundle(part.iter().map(Vec::as_slice))).collect();
    let next = AtomicUsize::new(0);
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    let (live, bundles, next) = (&live, &bundles[..], &next);
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| follow(&live.client(), &seen, &stop));
        let idle: Vec<_> = (0..IDLE).map(|number| revoke(&client, number, Duration::from_millis(20))).collect();
        told("idle", idle, &seen, 20.0);

        let began = Instant::now();
        let full = push(&live.address, bundles, next, || began.elapsed() < FULL);
        live.settle();
        let most = full as f64 / began.elapsed().as_secs_f64();
        table::plain("the most that is worked off, Bundles of 100", &format!("{:.0} resources/s", most * BUNDLE as f64));
        let began = Instant::now();
        let load = scope.spawn(move || {
            let sent = AtomicUsize::new(0);
            push(&live.address, bundles, next, || {
                // Each Bundle has its moment; who is late does not wait.
                let due = Duration::from_secs_f64(sent.fetch_add(1, Ordering::Relaxed) as f64 / (most / 2.0));
                std::thread::sleep(due.saturating_sub(began.elapsed()));
                began.elapsed() < HALF
            })
        });
        let gap = HALF / LOADED as u32;
        let loaded = (IDLE..IDLE + LOADED).take_while(|_| began.elapsed() < HALF).map(|number| revoke(&client, number, gap)).collect();
        let held = load.join().expect("a sender");
        table::plain("half load that was kept up", &format!("{:.0} resources/s", (held * BUNDLE) as f64 / began.elapsed().as_secs_f64()));
        live.settle();
        told("under half load", loaded, &seen, 250.0);
        stop.store(true, Ordering::Relaxed);
        follower.join().expect("a follower");
    });
}

/// What one small durable write takes here, just now.
fn disk() {
    use std::io::Write;
    let folder = super::live::folder();
    let mut file = std::fs::File::create(folder.join("plain")).expect("a file");
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 2000]).and_then(|()| file.sync_data()).expect("a disk");
            began.elapsed()
        })
        .collect();
    let (p50, p99, _) = table::spread(&mut times);
    table::plain("a plain file: 2 kB and a sync, p50 / p99", &format!("{p50:.1} / {p99:.1} ms"));
    std::fs::remove_dir_all(&folder).expect("a folder of our own");
}

/// Sends the denial, then rests. Who it is, and when the request began.
fn revoke(client: &Client, number: usize, rest: Duration) -> (String, Instant) {
    let began = Instant::now();
    client.post("/fhir", "application/fhir+json", people::denial(number).as_bytes()).expect("it is taken");
    std::thread::sleep(rest.saturating_sub(began.elapsed()));
    (Live::member(&people::id(number)), began)
}

fn follow(client: &Client, seen: &Seen, stop: &AtomicBool) {
    let mut from = 0;
    while !stop.load(Ordering::Relaxed) {
        let answer = client.get(&format!("/audiences/{AUDIENCE}/events?from={from}&wait=1")).expect("events");
        let now = Instant::now();
        for line in answer.lines() {
            let line: Value = sonic_rs::from_slice(line).expect("JSON");
            if line["data"]["status"].as_str() == Some("exited") {
                seen.lock().expect("whole").entry(line["key"].as_str().expect("a member").to_owned()).or_insert(now);
            }
        }
        from = answer.next.unwrap_or(from);
    }
}

fn told(when: &str, revoked: Vec<(String, Instant)>, seen: &Seen, limit: f64) {
    // The last may still be on its way.
    for _ in 0..200 {
        if revoked.iter().all(|(member, _)| seen.lock().expect("whole").contains_key(member)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let seen = seen.lock().expect("whole");
    let mut times: Vec<Duration> = revoked.iter().filter_map(|(member, began)| Some(seen.get(member)?.duration_since(*began))).collect();
    assert_eq!(times.len(), revoked.len(), "everyone who was in has left");
    let (p50, p99, longest) = table::spread(&mut times);
    table::plain(&format!("{when}: p50, {} revocations", times.len()), &format!("{p50:.1} ms"));
    table::most(&format!("{when}: p99"), p99, "ms", limit);
    table::plain(&format!("{when}: the longest"), &format!("{longest:.1} ms"));
}
