//! How fast the embedded log is, beside a plain file and the bare store in the same run.
//!
//! In: invented records of about 830 bytes, in a directory of `LOG_BENCH_DIR` (else the system's temporary one). Out: a table.
//! Never here: a threshold that fails.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod memory;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use footbridge::log::embedded::{Embedded, Settings};
use footbridge::log::faulty::Chance;
use footbridge::log::{Batch, Clock, Commit, Entry, Headers, Kind, Landing, Log, Place, Record};
use footbridge_core::time::Instant;
use memory::memory;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

const GROUP: usize = 500;
const PARTITIONS: u16 = 48;
const VALUE_BYTES: usize = 760;
const STATE_BYTES: usize = 200;

fn main() {
    let count = std::env::var("RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300_000);
    let root = std::env::var_os("LOG_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let entries = entries(count);
    let size = Record::new(&entries[0], 0, Instant::from_micros(0)).whole().len();
    println!("{count} records of {size} B over {PARTITIONS} partitions, a sync each {GROUP} or each group, in {}", root.display());
    println!("{:<58}{:>12}{:>12}{:>12}", "", "records/s", "us/record", "MB more");
    let run = |name: &str, work: &dyn Fn(&Path)| {
        let directory = tempfile::tempdir_in(&root).expect("a directory");
        // From here on the system counts the peak anew (Linux).
        let counted = std::fs::write("/proc/self/clear_refs", "5").is_ok();
        let before = memory("VmRSS:");
        let start = std::time::Instant::now();
        work(directory.path());
        let micros = start.elapsed().as_micros() as f64 / count as f64;
        let more = match (before, memory("VmHWM:")) {
            (Some(before), Some(peak)) if counted => (peak.saturating_sub(before) / 1024).to_string(),
            _ => "?".to_owned(),
        };
        println!("{name:<58}{:>12.0}{micros:>12.2}{more:>12}", 1e6 / micros);
    };
    run("plain file", &|directory| plain(directory, &entries));
    run("fjall", &|directory| fjall_only(directory, &entries, 0));
    run("fjall with 200 B of state a record", &|directory| fjall_only(directory, &entries, STATE_BYTES));
    run("ours: append to durable", &|directory| append(&open(directory), &entries));
    run("ours: append, poll, commit with 200 B of state a record", &|directory| whole_way(&open(directory), &entries));
    let directory = tempfile::tempdir_in(&root).expect("a directory");
    latency(&open(directory.path()), &entries[..2000.min(count)]);
}

fn entries(count: usize) -> Vec<Entry> {
    let mut chance = Chance::new(1);
    let mut entry = |_| {
        let value = std::iter::repeat_with(|| chance.number().to_be_bytes()).take(VALUE_BYTES / 8).flatten().collect();
        let key = std::iter::repeat_with(|| chance.number().to_be_bytes()).take(4).flatten().collect();
        let place = Place::landing(chance.below(usize::from(PARTITIONS)) as u16);
        let headers = Headers { kind: Kind::Put, resource_type: "Observation".into(), version: 1, more: false, source: "bench".into() };
        Entry { place, key, headers, value }
    };
    (0..count).map(&mut entry).collect()
}

fn open(directory: &Path) -> Embedded {
    let clock: Clock = Arc::new(|| Instant::from_micros(0));
    Embedded::open(directory, Settings { partitions: PARTITIONS, ..Settings::default() }, clock).expect("the log opens")
}

fn plain(directory: &Path, entries: &[Entry]) {
    let mut file = std::fs::File::create(directory.join("plain")).expect("a file");
    for group in entries.chunks(GROUP) {
        let bytes: Vec<u8> = group.iter().flat_map(|entry| Record::new(entry, 0, Instant::from_micros(0)).whole().to_vec()).collect();
        file.write_all(&bytes).and_then(|()| file.sync_data()).expect("written");
    }
}

fn fjall_only(directory: &Path, entries: &[Entry], state: usize) {
    let database = Database::builder(directory).manual_journal_persist(true).open().expect("a store");
    let landing = database.keyspace("landing", KeyspaceCreateOptions::default).expect("a keyspace");
    let states = database.keyspace("state", KeyspaceCreateOptions::default).expect("a keyspace");
    for (group, number) in entries.chunks(GROUP).zip(0u64..) {
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        for (entry, offset) in group.iter().zip(number * GROUP as u64..) {
            let key = [&entry.place.partition.to_be_bytes()[..], &offset.to_be_bytes()].concat();
            batch.insert(&landing, key, Record::new(entry, offset, Instant::from_micros(0)).whole().clone());
            if state > 0 {
                batch.insert(&states, &entry.key[..16], &entry.value[..state]);
            }
        }
        batch.commit().expect("written");
    }
}

/// One source, which waits when the queue is full, and at the end for the last answer.
fn append(log: &Embedded, entries: &[Entry]) {
    let (answer, answers) = sync_channel(entries.len());
    for group in entries.chunks(GROUP) {
        let sender = answer.clone();
        let mut waiting: (Vec<Entry>, footbridge::log::Done) =
            (group.to_vec(), Box::new(move |done| sender.send(done.is_ok()).expect("the source waits")));
        while let Err(full) = log.append(waiting.0, waiting.1) {
            waiting = (full.entries, full.done);
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    drop(answer);
    assert_eq!(answers.iter().filter(|ok| *ok).count(), entries.len().div_ceil(GROUP));
}

fn whole_way(log: &Embedded, entries: &[Entry]) {
    let mut session = log.sessions(1).expect("a session").remove(0);
    std::thread::scope(|scope| {
        scope.spawn(|| append(log, entries));
        let mut batch = Batch::default();
        let (mut seen, mut commit) = (0, Commit::default());
        while seen < entries.len() {
            session.poll(Duration::from_millis(5), &mut batch).expect("a poll");
            for record in &batch.records {
                commit.positions.retain(|&(place, _)| place != record.place);
                commit.positions.push((record.place, record.offset + 1));
                commit.state.push((record.place, record.key()[..16].to_vec(), Some(record.value()[..STATE_BYTES].to_vec())));
            }
            seen += batch.records.len();
            if commit.state.len() >= 4000 || batch.records.is_empty() || seen == entries.len() {
                session.commit(std::mem::take(&mut commit)).expect("committed");
            }
        }
    });
}

/// One record at a time: from the append to the answer.
fn latency(log: &Embedded, entries: &[Entry]) {
    let mut times = Vec::new();
    for entry in entries {
        let start = std::time::Instant::now();
        log.append_durably(vec![entry.clone()]).expect("room").expect("durable");
        times.push(start.elapsed());
    }
    times.sort();
    println!("one record, append to durable: p50 {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
}
