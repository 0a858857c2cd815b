//! What a bridge takes of memory, disk and time to start, by the number of its members.
//!
//! In: invented people, sent over HTTP to the real program. Out: a table. Never here: a member who is not in landing.

use super::live::{Live, send};
use super::{live, people, table};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Persons that are sent together.
const PART: usize = 25;

pub fn run(members: usize) {
    table::head(&format!("{members} members, about 4.3 resources each"));
    let mut live = Live::begin(&[]);
    live.baseline();
    let (next, sent, start) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = live.client();
                loop {
                    let first = next.fetch_add(PART, Ordering::Relaxed);
                    if first >= members {
                        return;
                    }
                    let mut resources = Vec::new();
                    (first..members.min(first + PART)).for_each(|number| people::person(number, &mut resources));
                    send(&client, &live::bundle(resources.iter().map(String::as_bytes)));
                    sent.fetch_add(resources.len(), Ordering::Relaxed);
                }
            });
        }
    });
    live.settle();
    let sent = sent.into_inner();
    table::plain("sent and worked off", &format!("{sent} resources, {:.0} a second", sent as f64 / start.elapsed().as_secs_f64()));
    rss(&live, "RSS after the load", "VmRSS:");
    match live.memory("VmHWM:") {
        Some(most) => table::plain("the most that it was", &format!("{most:.0} MB")),
        None => table::plain("the most that it was", "this system does not say"),
    }
    table::plain("disk", &format!("{:.0} MB", live.disk()));
    // Killed, as after a loss of power: the store reads its journal.
    let killed = live.again().as_secs_f64();
    live.settle();
    std::thread::sleep(Duration::from_secs(1));
    table::most("start after kill -9, until it listens", killed, "s", 1.0);
    rss(&live, "RSS after the start", "VmRSS:");
    let again = live.again().as_secs_f64();
    table::most("start with nothing in the journal, until it listens", again, "s", 1.0);
    let began = Instant::now();
    live.settle();
    table::plain("from there until it has nothing left to do", &format!("{:.2} s", began.elapsed().as_secs_f64()));
}

fn rss(live: &Live, what: &str, line: &str) {
    match live.memory(line) {
        Some(now) => table::most(what, now, "MB", 300.0),
        None => table::plain(what, "this system does not say"),
    }
}
