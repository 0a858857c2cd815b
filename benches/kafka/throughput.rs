//! The limit and the bridge in turn, on the same landing.
//!
//! In: the shared data. Out: records/s, CPU a record and memory of both, the median of the rounds. Never here: another's figures.

use super::limit::{self, Took};
use super::program::{Home, is_worked_off};
use super::{landed, table, until};
use footbridge::console::client::Client;
use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_secs(180);
const CPU: f64 = 3.0;
const SHARE: f64 = 0.7;
const MEMORY: f64 = 150.0;

pub fn run(at: &str, records: &[Vec<u8>], partitions: u16, rounds: usize) {
    let (mut limits, mut ours) = (Vec::new(), Vec::new());
    let (mut whole, mut written) = (0.0, Vec::new());
    for round in 0..rounds {
        let beside = landed::beside();
        let home = Home::new(at, &format!("round{round}"), partitions, beside);
        let count = landed::fill(&home, records, beside);
        let limit = limit::run(&home);
        let (took, all) = bridge(&home, &limit.ends, count);
        whole = all.as_secs_f64() * 1e6 / count as f64;
        written = ["landing", "owners", "state"].map(|topic| (topic, home.group(topic).written())).to_vec();
        limits.push(limit);
        ours.push(took);
    }
    let (limit, most) = (Median::of(&limits), Median::of(&ours));
    table::plain(&format!("limit, {rounds} rounds in turn"), &format!("{} records/s", limit.rate));
    table::plain("limit: CPU a record", &format!("{} µs", limit.cpu));
    table::plain("limit: RSS", &format!("{} MB", limit.memory));
    let seconds = |figure: &Figure| Duration::from_secs_f64(1e6 / figure.middle);
    table::rate(&format!("ours ({})", most.rate), 1_000_000, seconds(&most.rate), "records", SHARE * limit.rate.middle);
    table::plain("ours: share of the limit's records/s", &format!("{:.1} %", 100.0 * most.rate.middle / limit.rate.middle));
    table::most(&format!("ours: CPU a record ({})", most.cpu), most.cpu.middle, "µs", CPU);
    table::plain("ours: CPU a record with the start, last round", &format!("{whole:.1} µs"));
    table::most(&format!("ours: RSS ({})", most.memory), most.memory.middle, "MB", MEMORY);
    for (topic, count) in written {
        table::plain(&format!("offsets taken in {topic}"), &count.to_string());
    }
}

/// From the first commit that is seen to the last; and the CPU of all, the start with it.
fn bridge(home: &Home, ends: &[i64], count: usize) -> (Took, Duration) {
    let group = home.group("landing");
    let mut program = home.start();
    let client = Client::new(&program.address(), None);
    let (done, since, before) = until(
        "the first commit",
        LONGEST,
        Duration::from_millis(2),
        || home.tail(),
        || {
            let done: i64 = group.committed().iter().sum();
            (done > 0).then(|| (done, Instant::now(), program.cpu()))
        },
    );
    let all: i64 = ends.iter().sum();
    until(
        "the end of landing to be committed",
        LONGEST,
        Duration::from_millis(20),
        || format!("{:?} of {ends:?}\n{}", group.committed(), home.tail()),
        || (group.committed() == ends).then_some(()),
    );
    // What it appended itself is worked off, too.
    until("owners to be worked off", LONGEST, Duration::from_millis(5), || home.tail(), || is_worked_off(&client).then_some(()));
    let (time, cpu) = (since.elapsed(), program.cpu());
    // Marks of transactions take offsets, too.
    let records = (count as f64 * (all - done) as f64 / all as f64) as usize;
    (Took { records, time, cpu: cpu.saturating_sub(before), memory: program.memory(), ends: ends.to_vec() }, cpu)
}

struct Median {
    rate: Figure,
    cpu: Figure,
    memory: Figure,
}

struct Figure {
    least: f64,
    middle: f64,
    most: f64,
}

impl Median {
    fn of(rounds: &[Took]) -> Median {
        let figure = |of: &dyn Fn(&Took) -> f64| Figure::of(rounds.iter().map(of).collect());
        Median {
            rate: figure(&|took| took.records as f64 / took.time.as_secs_f64()),
            cpu: figure(&|took| took.cpu.as_secs_f64() * 1e6 / took.records as f64),
            memory: figure(&|took| took.memory),
        }
    }
}

impl Figure {
    fn of(mut all: Vec<f64>) -> Figure {
        all.sort_by(f64::total_cmp);
        Figure { least: all[0], middle: all[all.len() / 2], most: all[all.len() - 1] }
    }
}

/// The median, and between what it lies.
impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places = if self.most < 100.0 { 2 } else { 0 };
        let Figure { least, middle, most } = self;
        write!(f, "{middle:.places$}, {least:.places$} to {most:.places$}")
    }
}
