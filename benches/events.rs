//! NDJSON into durable events, with a plain file and the bare store beside it.
//!
//! In: the shared data. Out: a table. Never here: a threshold that fails.

use super::memory::memory;
use super::{feed, live, table, yardstick};
use footbridge::config::data::DataFolder;
use footbridge::config::mappings;
use footbridge::log::{Landing, OutTopic};
use footbridge::pipeline::{Instance, Options};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Records that are appended together.
const PART: usize = 500;

pub fn run(copies: usize) {
    let records: Vec<Vec<u8>> = feed::mix(&feed::shared(), copies).into_iter().map(|record| record.body).collect();
    let bytes: usize = records.iter().map(Vec::len).sum();
    table::head(&format!("Durable events: {} records, {:.0} MB, {PART} records an append", records.len(), bytes as f64 / 1e6));
    yardstick::rows(records.chunks(PART));
    let folder = live::folder();
    let mappings =
        mappings::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/mappings"))).mappings.expect("the shipped mappings are right");
    let before = memory("VmRSS:");
    let data = DataFolder::open(&folder.join("data")).expect("a data folder");
    let workers = std::env::var("WORKERS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let options = Options { workers, ..Options::default() };
    // The data ends in 2020: the bridge runs as if it were then.
    let (began, from) = (Instant::now(), footbridge_core::time::Instant::parse("2019-01-01T00:00:00Z").expect("an instant"));
    let clock: footbridge::log::Clock = Arc::new(move || from.plus(footbridge_core::time::Span(began.elapsed().as_micros() as i64)));
    let instance = Instance::start(&data, mappings, options, clock).expect("an instance");
    let source = instance.intake.sources[0].clone();
    instance.append(instance.intake.baseline(&source)).expect("durable");
    let start = Instant::now();
    let landed = Arc::new(AtomicU64::new(0));
    let mut sent = 0;
    for part in records.chunks(PART) {
        let mut entries: Vec<_> = part.iter().flat_map(|record| instance.intake.receive(&source, record).entries).collect();
        sent += 1;
        loop {
            let told = Arc::clone(&landed);
            match instance
                .log
                .append(entries, Box::new(move |done| _ = done.map(|_| told.fetch_add(1, Ordering::Relaxed)).expect("durable")))
            {
                Ok(()) => break,
                Err(full) => {
                    entries = full.entries;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
    while landed.load(Ordering::Relaxed) < sent {
        std::thread::sleep(Duration::from_millis(1));
    }
    table::plain(
        "durable in landing (route, append, sync)",
        &format!("{:.0} records/s", records.len() as f64 / start.elapsed().as_secs_f64()),
    );
    while !instance.is_worked_off().expect("positions") {
        assert!(!instance.is_broken(), "{:?}", instance.troubles());
        // Seldom: the question looks at each partition.
        std::thread::sleep(Duration::from_millis(50));
    }
    table::rate("durable events", records.len(), start.elapsed(), "records", 150_000.0);
    let audiences = instance.log.audiences().expect("audiences");
    let count = |name: &str| instance.log.outputs(&OutTopic::Audience(name.into()), 0, usize::MAX).expect("events").list.len();
    table::plain("events", &format!("{} in {} audiences", audiences.iter().map(|name| count(name)).sum::<usize>(), audiences.len()));
    match (before, memory("VmRSS:")) {
        (Some(before), Some(after)) => {
            table::plain("RSS, all", &format!("{} MB, {} MB of it before the bridge started", after / 1024, before / 1024));
        }
        _ => table::plain("RSS", "this system does not say"),
    }
    instance.stop().expect("a clean stop");
    std::fs::remove_dir_all(&folder).expect("a folder of our own");
}
