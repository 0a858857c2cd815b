//! What the bridge costs on a real Kafka broker: `cargo bench --features servers --bench kafka -- NAME...`.
//!
//! In: names of parts; without one all. Out: one table. Never here: a threshold that fails, or a wait without an end.
//! `COPIES=n`: another size of the shared data; `ROUNDS=n`, `PARTITIONS=n`: others than 3 and 4.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::panic, reason = "a bench says in its own words how it fails")]

#[path = "../tests/broker/mod.rs"]
mod broker;
#[path = "kafka/exits.rs"]
mod exits;
mod feed;
#[path = "kafka/group.rs"]
mod group;
#[path = "kafka/kills.rs"]
mod kills;
#[path = "kafka/landed.rs"]
mod landed;
#[path = "kafka/limit.rs"]
mod limit;
#[expect(dead_code, reason = "of the process that other benches measure only the helpers")]
mod live;
mod load;
mod memory;
mod people;
#[path = "kafka/process.rs"]
mod process;
#[path = "kafka/program.rs"]
mod program;
mod table;
#[path = "kafka/throughput.rs"]
mod throughput;

use std::time::{Duration, Instant};

const ALL: [&str; 3] = ["throughput", "exits", "kills"];
const PORT: u16 = 29292;

fn main() {
    // `cargo bench` itself adds a flag.
    let mut names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if names.first().is_some_and(|name| name == "limit") {
        return limit::child(&names[1..]);
    }
    if names.is_empty() {
        names = ALL.map(str::to_owned).to_vec();
    }
    if let Some(unknown) = names.iter().find(|name| !ALL.contains(&name.as_str())) {
        panic!("no part is named {unknown}; there are {}", ALL.join(", "));
    }
    let records: Vec<Vec<u8>> = feed::mix(&feed::shared(), number("COPIES", 4)).into_iter().map(|record| record.body).collect();
    let partitions = number("PARTITIONS", 4);
    let bytes: usize = records.iter().map(Vec::len).sum();
    let broker = broker::Broker::at(PORT);
    let at = broker.address();
    table::head(&format!("On Kafka: {} records, {:.0} MB, {partitions} partitions, one broker", records.len(), bytes as f64 / 1e6));
    table::plain("load of the machine before", &process::load());
    for name in names {
        match name.as_str() {
            "throughput" => throughput::run(&at, &records, partitions, number("ROUNDS", 3)),
            "exits" => exits::run(&at, &records, partitions),
            _ => kills::run(&at, &records, partitions),
        }
    }
    table::plain("load of the machine after", &process::load());
}

fn number<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// Looks until there is something; ends the bench with what was waited for and what the program said last.
fn until<T>(what: &str, longest: Duration, pause: Duration, said: impl Fn() -> String, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < longest, "waited {longest:?} for {what}\n{}", said());
        std::thread::sleep(pause);
    }
}
