//! How fast the running bridge is: `cargo bench --bench run -- NAME...`, each name a file of its own.
//!
//! In: names of benches; without one all but `million`. Out: their tables. Never here: a threshold that fails.
//! `COPIES=n`: another size of the shared data; `WORKERS=n`: another number of workers (events).

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::panic, reason = "a bench says in its own words how it fails")]

mod events;
mod feed;
mod live;
mod load;
mod members;
mod memory;
mod midnight;
mod people;
mod push;
mod revoke;
mod table;
mod yardstick;

const ALL: [&str; 5] = ["events", "push", "revoke", "midnight", "members"];

fn main() {
    let copies = std::env::var("COPIES").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    // `cargo bench` itself adds a flag.
    let mut names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if names.is_empty() {
        names = ALL.map(str::to_owned).to_vec();
    }
    for name in names {
        match name.as_str() {
            "events" => events::run(copies),
            "push" => push::run(copies),
            "revoke" => revoke::run(copies),
            "midnight" => midnight::run(),
            "members" => members::run(100_000),
            "million" => members::run(1_000_000),
            other => panic!("no bench is named {other}; there are {}, million", ALL.join(", ")),
        }
    }
}
