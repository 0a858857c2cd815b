//! How fast the engine is, with the limit beside each figure in the same run.
//!
//! In: the Synthea patients (`FOOTBRIDGE_SHARED`, else `../shared`) and the shipped mappings. Out: a table.
//! Never here: a threshold that fails; a goal missed is printed as missed.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod feed;

use feed::Record;
use footbridge::cli::rehearsal::Engine;
use footbridge::config::mappings;
use footbridge_core::fhir::peek;
use footbridge_core::shard::{Input, Piece, Reading, Stored};
use footbridge_core::time::Instant;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const ROUNDS: usize = 5;

/// Nanoseconds a record: the least of all rounds, for the machine is shared.
fn least(times: &[Duration], records: usize) -> f64 {
    let best = times.iter().min().expect("at least one round");
    best.as_nanos() as f64 / records as f64
}

fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let start = std::time::Instant::now();
    let out = f();
    (start.elapsed(), out)
}

fn main() {
    let copies = std::env::var("COPIES").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let records = feed::mix(&feed::shared(), copies);
    let bytes: usize = records.iter().map(|record| record.body.len()).sum();
    let mappings =
        mappings::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/mappings"))).mappings.expect("the shipped mappings are right");
    let engine = Engine::rehearsing(mappings);
    let from = Instant::parse("2019-01-01T00:00:00Z").expect("an instant");

    let (mut parse, mut peeked, mut decode, mut step) = (vec![], vec![], vec![], vec![]);
    let mut state = Sizes::default();
    for _ in 0..ROUNDS {
        parse.push(timed(|| records.iter().for_each(|record| _ = black_box(json_parse(&record.body)))).0);
        peeked.push(timed(|| records.iter().for_each(|record| drop(black_box(peek(&record.body))))).0);
        decode.push(timed(|| records.iter().for_each(|record| drop(black_box(engine.origin().read(&record.body, None, None, from))))).0);
        let (time, measured) = timed(|| decode_and_step(&engine, &records, from));
        step.push(time);
        state = measured;
    }
    let n = records.len();
    let Sizes { persons, resources, core, evidence, pieces, versions } = state;
    let member = |bytes: usize| bytes / persons.max(1);
    println!("{n} records, {:.0} MB, {persons} persons, 8 audiences, one thread, best of {ROUNDS} rounds", bytes as f64 / 1e6);
    println!("{:<46}{:>12}{:>12}", "", "measured", "limit");
    println!("{:<46}{:>9.0} ns{:>12}", "sonic-rs: parse whole, a record", least(&parse, n), "");
    println!("{:<46}{:>9.0} ns{:>9} ns", "peek, a record", least(&peeked, n), 300);
    println!("{:<46}{:>9.0} ns{:>12}", "decode: bytes to input, a record", least(&decode, n), "");
    println!("{:<46}{:>9.0} ns{:>9} ns", "decode + step, a record", least(&step, n), 1500);
    let [parsed, one, two] = whole_file();
    println!("{:<46}{parsed:>9.0} ms{:>12}", "the Bundles' file: unpack and parse", "");
    println!("{:<46}{one:>9.0} ms{:>9.0} ms", "simulate, one thread (limit: three times that)", 3.0 * parsed);
    println!("{:<46}{two:>9.0} ms{one:>9.0} ms", "simulate, two threads (limit: faster than one)");
    println!("{:<46}{:>10} B{:>10} B", "state: a member without versions", member(core + evidence), 1000);
    println!("{:<46}{:>10} B{:>12}", "  of it evidence", member(evidence), "");
    println!("{:<46}{:>10}{:>14}", "  pieces of evidence, a member", member(pieces), "");
    println!("{:<46}{:>10.1} B{:>10} B", "state: versions, a read resource", versions as f64 / resources.max(1) as f64, 16);
}

/// Milliseconds: unpack and parse the shared file of Bundles; the whole of `simulate` on it, with one thread and with two.
fn whole_file() -> [f64; 3] {
    let file = feed::shared().join("data/synthea-r4/patients.bundles.ndjson.zst");
    let parse = || {
        let packed = std::fs::File::open(&file).expect("the shared data");
        let lines = BufReader::with_capacity(1 << 20, zstd::Decoder::new(packed).expect("a zstd file")).split(b'\n');
        lines.for_each(|line| _ = black_box(json_parse(&line.expect("a line"))));
    };
    let simulate = |threads: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::null()).stderr(Stdio::null());
        command.args(["simulate", "--from", "2018-06-01T00:00:00Z", "--until", "2020-06-01T00:00:00Z", "--threads", threads]);
        let done = command.arg(&file).status().expect("the program starts");
        assert!(done.success(), "simulate failed");
    };
    let mut times = [vec![], vec![], vec![]];
    for _ in 0..3 {
        times[0].push(timed(parse).0);
        times[1].push(timed(|| simulate("1")).0);
        times[2].push(timed(|| simulate("2")).0);
    }
    times.map(|times| least(&times, 1) / 1e6)
}

fn json_parse(body: &[u8]) -> bool {
    sonic_rs::from_slice::<sonic_rs::Value>(body).is_ok()
}

/// Of all members together; bytes of pieces as a store gets them.
#[derive(Default)]
struct Sizes {
    persons: usize,
    /// With a version.
    resources: usize,
    core: usize,
    /// With eight bytes of key for each piece.
    evidence: usize,
    pieces: usize,
    versions: usize,
}

fn decode_and_step(engine: &Engine, records: &[Record], from: Instant) -> Sizes {
    let mut room = engine.room();
    let mut out = Vec::new();
    room.baseline("files", from, &mut out);
    for record in records {
        if let Ok(Reading::About { persons, put, .. }) = engine.origin().read(&record.body, None, None, from) {
            for (person, _) in persons {
                room.put(person, from, Input::Put(put.clone()), &mut out);
            }
        }
    }
    let mut sizes = Sizes::default();
    for (_, (member, versions)) in room.members() {
        sizes.persons += 1;
        sizes.resources += versions.len();
        Stored::default().renew(&[], member, versions, |piece, bytes| {
            let bytes = bytes.expect("nothing is stored yet").len();
            match piece {
                Piece::Core => sizes.core += bytes,
                Piece::Evidence(_) => (sizes.evidence, sizes.pieces) = (sizes.evidence + bytes + 8, sizes.pieces + 1),
                Piece::Versions(_) => sizes.versions += bytes + 1,
            }
        });
    }
    black_box(out.len());
    sizes
}
