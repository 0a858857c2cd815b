//! How fast the running bridge is: NDJSON into durable events, with a plain file and the bare store beside it.
//!
//! In: the shared data. Out: a table. Never here: a threshold that fails.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod feed;
mod memory;

use footbridge::config::data::DataFolder;
use footbridge::config::mappings;
use footbridge::log::{Landing, OutTopic};
use footbridge::pipeline::{Instance, Options};
use memory::memory;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Records that are appended together.
const PART: usize = 500;

fn main() {
    let copies = std::env::var("COPIES").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let records = feed::mix(&feed::shared(), copies);
    let bytes: usize = records.iter().map(|record| record.body.len()).sum();
    println!("{} records, {:.0} MB, {PART} records an append", records.len(), bytes as f64 / 1e6);
    let folder = std::env::temp_dir().join(format!("footbridge-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let rate = |name: &str, took: Duration| {
        println!("{name:<52}{:>9.0} records/s{:>9.2} s", records.len() as f64 / took.as_secs_f64(), took.as_secs_f64());
    };

    let start = Instant::now();
    let mut file = std::fs::File::create(folder.join("plain")).expect("a file");
    for part in records.chunks(PART) {
        let whole: Vec<u8> = part.iter().flat_map(|record| record.body.iter().copied().chain([b'\n'])).collect();
        file.write_all(&whole).and_then(|()| file.sync_data()).expect("a disk");
    }
    rate("a plain file, synced every 500", start.elapsed());

    let start = Instant::now();
    let database = fjall::Database::builder(folder.join("fjall")).open().expect("a store");
    let space = database.keyspace("records", fjall::KeyspaceCreateOptions::default).expect("a keyspace");
    for (number, part) in records.chunks(PART).enumerate() {
        let mut batch = database.batch();
        for (place, record) in part.iter().enumerate() {
            batch.insert(&space, ((number * PART + place) as u64).to_be_bytes(), record.body.as_slice());
        }
        batch.commit().and_then(|()| database.persist(fjall::PersistMode::SyncAll)).expect("a disk");
    }
    rate("fjall alone, synced every 500", start.elapsed());
    drop((space, database));

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
        let mut entries: Vec<_> = part.iter().flat_map(|record| instance.intake.receive(&source, &record.body).entries).collect();
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
    rate("durable in landing", start.elapsed());
    while !instance.is_worked_off().expect("positions") {
        assert!(!instance.is_broken(), "{:?}", instance.troubles());
        std::thread::sleep(Duration::from_millis(5));
    }
    rate("durable events (limit: 150,000 records/s)", start.elapsed());
    let audiences = instance.log.audiences().expect("audiences");
    let count = |name: &str| instance.log.outputs(&OutTopic::Audience(name.into()), 0, usize::MAX).expect("events").list.len();
    println!("{} events in {} audiences", audiences.iter().map(|name| count(name)).sum::<usize>(), audiences.len());
    match (before, memory("VmRSS:")) {
        (Some(before), Some(after)) => println!("RSS {} MB, {} MB of it before the bridge started", after / 1024, before / 1024),
        _ => println!("RSS: this system does not say"),
    }
    instance.stop().expect("a clean stop");
    std::fs::remove_dir_all(&folder).expect("a folder of our own");
}
