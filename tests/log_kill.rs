//! The embedded log under `kill -9`: what was acknowledged is there, and every commit is whole.
//!
//! In: this test's own binary, run again as the process to be killed. Out: a failed test that says what was lost.
//! Never here: a kill that the process could prepare for.

use footbridge::log::embedded::{Embedded, Settings};
use footbridge::log::{Batch, Clock, Commit, Entry, Headers, Kind, Landing, Log, OutTopic, Output, Place};
use footbridge_core::time::Instant;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const DIRECTORY: &str = "FOOTBRIDGE_TEST_LOG_TO_KILL";
const PARTITIONS: u16 = 4;
const ROUNDS: u64 = 10;

fn open(directory: &Path) -> Embedded {
    let settings = Settings { partitions: PARTITIONS, reserve_bytes: 0, memtable_bytes: 3 << 20, ..Settings::default() };
    let clock: Clock = Arc::new(|| Instant::from_micros(0));
    Embedded::open(directory, settings, clock).expect("the log opens")
}

fn audience() -> OutTopic {
    OutTopic::Audience("kill".into())
}

/// Says what was acknowledged, a line each, and never ends by itself.
#[test]
#[ignore = "only the other test runs it, to kill it"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let log = open(Path::new(&directory));
    let mut session = log.sessions(1).expect("a session").remove(0);
    let source = log.clone();
    let from = highest(&mut session) + 1;
    std::thread::spawn(move || {
        for number in from.. {
            // One append reaches over two partitions: both or none.
            let entries = [0, 1].map(|half| entry(Place::landing(((number + half) % u64::from(PARTITIONS)) as u16), number));
            source.append_durably(entries.to_vec()).expect("room").expect("taken");
            say(&format!("appended {number}"));
        }
    });
    let mut batch = Batch::default();
    session.abort().expect("aborted");
    loop {
        session.poll(Duration::from_millis(50), &mut batch).expect("a poll");
        let mut commit = Commit::default();
        for record in &batch.records {
            commit.positions.retain(|&(place, _)| place != record.place);
            commit.positions.push((record.place, record.offset + 1));
            commit.state.push((record.place, record.key().to_vec(), Some(record.offset.to_be_bytes().to_vec())));
            let key = [&record.place.partition.to_be_bytes()[..], &record.offset.to_be_bytes()].concat();
            commit.outputs.push(Output { topic: audience(), key, headers: vec![], value: Some(vec![]) });
        }
        let positions = commit.positions.clone();
        session.commit(commit).expect("committed");
        for (place, position) in positions {
            say(&format!("committed {} {position}", place.partition));
        }
    }
}

/// One write: a kill never leaves half a line that looks whole.
fn say(line: &str) {
    std::io::stdout().write_all(format!("\n{line}.\n").as_bytes()).expect("the parent reads");
}

fn entry(place: Place, number: u64) -> Entry {
    let headers = Headers { kind: Kind::Put, resource_type: "Patient".into(), version: 0, more: false, source: "kill".into() };
    Entry { place, key: number.to_be_bytes().to_vec(), headers, value: vec![7; 300] }
}

/// Which numbers each partition holds, from landing itself: what is committed and what is still to be read.
fn numbers(session: &mut dyn Log) -> Vec<Vec<u64>> {
    let mut batch = Batch::default();
    let mut found = vec![Vec::new(); usize::from(PARTITIONS)];
    session.abort().expect("aborted");
    let mut fresh = Vec::new();
    loop {
        session.poll(Duration::ZERO, &mut batch).expect("a poll");
        if batch.is_empty() {
            break;
        }
        fresh.append(&mut batch.records);
    }
    for partition in 0..PARTITIONS {
        let (mut records, mut from) = (Vec::new(), Some(0));
        while let Some(offset) = from {
            from = session.replay(Place::landing(partition), offset, &mut records).expect("a replay");
        }
        records.extend(fresh.iter().filter(|record| record.place == Place::landing(partition)).cloned());
        for (record, offset) in records.iter().zip(0..) {
            assert_eq!(record.offset, offset, "no gap: every key is new");
            let number = record.key().try_into().map(u64::from_be_bytes).expect("eight bytes");
            found[usize::from(partition)].push(number);
        }
    }
    found
}

fn highest(session: &mut dyn Log) -> u64 {
    numbers(session).into_iter().flatten().max().unwrap_or(0)
}

#[test]
fn everything_acknowledged_survives_kill_9_and_every_commit_is_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut appended, mut committed) = (0, vec![0; usize::from(PARTITIONS)]);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads", "1"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        // Killed after a number of lines that differs each round, in the middle of whatever it does then.
        let mut left = 20 + (round * 7919) % 113;
        while left > 0 {
            let line = lines.next().expect("the child goes on until it is killed").expect("text");
            left -= u64::from(note(&line, &mut appended, &mut committed));
        }
        child.kill().expect("killed");
        lines.map_while(Result::ok).for_each(|line| _ = note(&line, &mut appended, &mut committed));
        child.wait().expect("it ended");
        examine(directory.path(), appended, &committed, round);
    }
    assert!(appended > 20 * ROUNDS / 4, "the child did some work: {appended}");
}

/// Whether the line is an acknowledgement.
fn note(line: &str, appended: &mut u64, committed: &mut [u64]) -> bool {
    let Some(line) = line.strip_suffix('.') else { return false };
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["appended", number] => *appended = number.parse().expect("a number"),
        ["committed", partition, position] => {
            committed[partition.parse::<usize>().expect("a partition")] = position.parse().expect("a position");
        }
        _ => return false,
    }
    true
}

fn examine(directory: &Path, appended: u64, committed: &[u64], round: u64) {
    let log = open(directory);
    let mut session = log.sessions(1).expect("a session").remove(0);
    let found = numbers(&mut session);
    let last = found.iter().flatten().copied().max().unwrap_or(0);
    assert!(last >= appended, "round {round}: {appended} was acknowledged, {last} is the last one there");
    for number in 1..=last {
        let places = found.iter().filter(|numbers| numbers.contains(&number)).count();
        assert_eq!(places, 2, "round {round}: append {number} is whole");
    }
    let mut batch = Batch::default();
    session.abort().expect("aborted");
    session.poll(Duration::ZERO, &mut batch).expect("a poll");
    let events = log.outputs(&audience(), 0, usize::MAX).expect("events").list;
    for (&acknowledged, partition) in committed.iter().zip(0..) {
        let place = Place::landing(partition);
        let position = batch.assigned.iter().find(|(assigned, _)| *assigned == place).expect("assigned").1;
        assert!(position >= acknowledged, "round {round}: {place} is at {position}, {acknowledged} was acknowledged");
        let mut state = Vec::new();
        session.scan(place, &[], &mut |_, value| state.push(value.to_vec())).expect("a scan");
        state.sort();
        let all: Vec<Vec<u8>> = (0..position).map(|offset| offset.to_be_bytes().to_vec()).collect();
        assert_eq!(state, all, "round {round}: state of {place} is as far as its position");
        let mut told: Vec<Vec<u8>> =
            events.iter().filter(|event| event.key[..2] == partition.to_be_bytes()).map(|event| event.key[2..].to_vec()).collect();
        told.sort();
        assert_eq!(told, all, "round {round}: events of {place} are as far as its position, each once");
    }
}
