//! `simulate`: what a recorded feed would have brought about, as one event a line.
//!
//! In: mappings, files, two instants. Out: CloudEvents in structured mode on standard output; the rest on standard error.
//! Never here: a decision; the engine's replay makes them all.

use super::feed::{self, Counts, Fed, Feed};
use super::output::{Progress, print_lines};
use super::rehearsal::Engine;
use super::{Exit, load};
use clap::Args;
use footbridge_core::time::Instant;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Simulate {
    /// The folder of policy, audiences and value sets
    #[arg(long, value_name = "DIR", default_value = "mappings")]
    mappings: PathBuf,
    /// When the simulation begins, as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Instant,
    /// Time runs up to this instant, not including it
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Instant,
    /// When the resources arrive: all at the start, or each at its meta.lastUpdated
    #[arg(long, value_enum, default_value = "start")]
    arrival: feed::Arrive,
    /// Adds the patient and the whole cause to each event: for those who may see the record
    #[arg(long)]
    reveal: bool,
    /// Simulates audiences that are not approved
    #[arg(long)]
    ignore_approvals: bool,
    /// Threads that read and evaluate resources
    #[arg(long, value_name = "N", default_value_t = feed::threads())]
    threads: usize,
    /// NDJSON (a resource or Bundle a line), Bundle or resource JSON; .gz and .zst too; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub fn instant(text: &str) -> Result<Instant, String> {
    Instant::parse(text).map_err(|bad| bad.to_string())
}

pub fn run(args: &Simulate) -> anyhow::Result<Exit> {
    if args.until <= args.from {
        eprintln!("--until {} is not after --from {}", args.until, args.from);
        return Ok(Exit::Usage);
    }
    let Some(mappings) = load(&args.mappings)? else { return Ok(Exit::Problems) };
    if args.ignore_approvals {
        eprintln!("approvals are off: no key ring is configured, so --ignore-approvals changes nothing");
    }
    let engine = Engine::rehearsing(mappings);
    let feed = Feed { from: args.from, until: args.until, arrive: args.arrival, threads: args.threads };
    let progress = Progress::new("reading");
    let told = |refusals: &mut dyn Iterator<Item = feed::Told<'_>>| {
        progress.aside(|| {
            let mut err = BufWriter::with_capacity(1 << 16, std::io::stderr().lock());
            // Standard error that nobody reads any more is no reason to stop.
            for refusal in refusals {
                let _ = writeln!(err, "{refusal}");
            }
            let _ = err.flush();
        });
    };
    let Fed { first, later, patients, counts } = feed::read(&engine, &feed, &args.files, &|done, total| progress.at(done, total), &told);
    progress.done();
    let rehearsal = engine.rehearse(first, later, args.from, args.until);
    print_lines(&rehearsal.happenings, &patients, args.reveal)?;
    let Counts { resources, unread, skipped, too_late, refused } = counts;
    eprintln!(
        "{resources} resources ({unread} of no interest, {too_late} after the end, {skipped} entries without a resource), \
         {refused} refused, {} persons, {} events",
        rehearsal.persons,
        rehearsal.happenings.len()
    );
    for (fact, count) in &rehearsal.facts {
        eprintln!("{count} {fact}");
    }
    Ok(if refused == 0 { Exit::Ok } else { Exit::Problems })
}
