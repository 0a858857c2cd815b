//! The same records in other wrappings: the same bytes come out (I5).
//!
//! In: the overlay's files, split, packed, shuffled among patients, doubled. Out: the same events.
//! Never here: what the events mean.

use super::chart::Arrival;
use super::dice::Dice;
use super::json::text;
use super::membership::{Setup, setup};
use super::wire::{self, Run};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

fn told(setup: &Setup, files: &[PathBuf], arrival: Arrival) -> String {
    wire::simulate(&Run { mappings: &setup.shipped, files, arrival, from: setup.world.from, until: setup.world.until })
}

/// Each of the files, changed and written anew under `name`.
fn rewritten(setup: &Setup, name: &str, change: &dyn Fn(Vec<String>) -> Vec<String>) -> Vec<PathBuf> {
    let folder = setup.folder.join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let write = |path: &PathBuf| {
        let lines = fs::read_to_string(path).expect("a text").lines().map(str::to_owned).collect();
        let to = folder.join(path.file_name().expect("a name"));
        fs::write(&to, change(lines).join("\n") + "\n").expect("room");
        to
    };
    setup.files.iter().map(write).collect()
}

fn assert_same(expected: &str, got: &str, what: &str) {
    if expected == got {
        return;
    }
    let first = expected.lines().zip(got.lines()).position(|(a, b)| a != b).unwrap_or(0);
    let (mine, theirs) = (expected.lines().nth(first), got.lines().nth(first));
    unreachable!("{what}: {} and {} lines, the first that differ:\n{mine:?}\n{theirs:?}", expected.lines().count(), got.lines().count());
}

#[test]
fn the_same_files_give_the_same_bytes_however_they_are_packed() {
    let setup = setup();
    let arrival = Arrival::LastUpdated;
    let expected = told(setup, &setup.files, arrival);
    assert_same(&expected, &told(setup, &setup.files, arrival), "run again");
    let mut packed = Vec::new();
    for (place, path) in setup.files.iter().enumerate() {
        let bytes = fs::read(path).expect("a file");
        let half = bytes[..bytes.len() / 2].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        for (part, bytes) in [(0, &bytes[..half]), (1, &bytes[half..])] {
            let to = setup.folder.join(format!("packed-{place}-{part}.ndjson{}", [".zst", ".gz", ""][(place + part) % 3]));
            match (place + part) % 3 {
                0 => fs::write(&to, zstd::encode_all(bytes, 1).expect("zstd")).expect("room"),
                1 => {
                    let mut gzip = flate2::write::GzEncoder::new(fs::File::create(&to).expect("room"), flate2::Compression::fast());
                    gzip.write_all(bytes).expect("room");
                    gzip.finish().expect("room");
                }
                _ => fs::write(&to, bytes).expect("room"),
            }
            packed.push(to);
        }
    }
    assert_same(&expected, &told(setup, &packed, arrival), "split and packed");
}

#[test]
fn a_line_that_comes_twice_tells_nothing_twice() {
    let setup = setup();
    let doubled = rewritten(setup, "doubled", &|lines| lines.into_iter().flat_map(|line| [line.clone(), line]).collect());
    for arrival in [Arrival::Start, Arrival::LastUpdated] {
        assert_same(&told(setup, &setup.files, arrival), &told(setup, &doubled, arrival), "every line twice");
    }
}

/// Whom a line is about, as far as the order of lines may matter: one patient's stay in order.
fn about(line: &str) -> String {
    let value: Value = serde_json::from_str(line).expect("a line that was written here");
    let id = |path: &str| text(&value, path).map(str::to_owned);
    id("subject.reference").or(id("patient.reference")).unwrap_or_else(|| "others".to_owned())
}

#[test]
fn the_order_of_patients_does_not_matter() {
    let setup = setup();
    let shuffled = rewritten(setup, "shuffled", &|lines| {
        let mut dice = Dice::of(7, "order");
        let mut keyed: Vec<(String, String)> = lines.into_iter().map(|line| (about(&line), line)).collect();
        let order = |name: &str| Dice::of(11, name).next();
        // Stable: lines of one patient keep their order.
        keyed.sort_by_key(|(name, _)| order(name));
        let turn = usize::try_from(dice.below(keyed.len() as u64)).expect("a place");
        if keyed.iter().all(|(name, _)| name == "others") {
            keyed.rotate_left(turn);
        }
        keyed.into_iter().map(|(_, line)| line).collect()
    });
    for arrival in [Arrival::Start, Arrival::LastUpdated] {
        assert_same(&told(setup, &setup.files, arrival), &told(setup, &shuffled, arrival), "patients in another order");
    }
}
