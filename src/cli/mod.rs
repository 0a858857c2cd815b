//! The commands, one file each.
//!
//! In: arguments, files, a terminal. Out: text for people, `--json` for machines, an exit code.
//! Never here: a decision about a patient; those are the core's.

mod ask;
mod change;
mod check;
mod demo;
mod demo_live;
pub mod feed;
mod output;
pub mod rehearsal;
mod run;
mod simulate;
mod test;

use crate::config::files::Files;
use crate::config::mappings::{self, Mappings};
use crate::config::render;
use clap::{Parser, Subcommand};
use footbridge_core::problem::Problem;
use std::io::IsTerminal;
use std::path::Path;

/// The guarded crossing from clinical data to consented audience events.
#[derive(Parser, Debug)]
#[command(name = "footbridge", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Tell the story of an invented hospital: who enters an audience, who leaves, and why
    Demo(demo::Demo),
    /// Start the bridge: resources come in over HTTP, events come out
    Run(run::Run),
    /// Show an audience's events as they are committed
    Tail(ask::Tail),
    /// Say how a running bridge stands
    Status(ask::Status),
    /// Look at what could not be read
    Quarantine(ask::Quarantine),
    /// Mark that a source has made its first complete pass
    Baseline(ask::Baseline),
    /// Say what other mappings would move in a running bridge, without adopting them
    Plan(change::Plan),
    /// Let changed mappings be adopted although they move much
    Proceed(change::Proceed),
    /// Stop an audience: everybody leaves it, nobody enters, until it is resumed
    Stop(change::Stop),
    /// Erase a person: exits everywhere, and everything that is kept goes but for the accounting of disclosures
    Erase(change::Erase),
    /// Show every problem in the mappings, with its place and a way out
    Check(check::Check),
    /// Run the stories that stand beside the audiences
    Test(test::Test),
    /// Work off recorded resources and print each event that they would have brought about
    Simulate(simulate::Simulate),
}

/// What the shell is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    /// Something that was looked at is not right.
    Problems = 1,
    Usage = 2,
    /// The command itself could not do its work.
    Failed = 3,
    /// Another process of the same name works on; to start this one again would take its place in turn.
    Replaced = 4,
}

/// Runs the program's command line.
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = !error.use_stderr();
            // A closed pipe is no reason to fail twice.
            let _ = error.print();
            return if asked { Exit::Ok } else { Exit::Usage };
        }
    };
    let done = match arguments.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Tail(args) => ask::tail(&args),
        Command::Status(args) => ask::status(&args),
        Command::Quarantine(args) => ask::quarantine(&args),
        Command::Baseline(args) => ask::baseline(&args),
        Command::Plan(args) => change::plan(&args),
        Command::Proceed(args) => change::proceed(&args),
        Command::Stop(args) => change::stop(&args),
        Command::Erase(args) => change::erase(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Simulate(args) => simulate::run(&args),
    };
    match done {
        Ok(exit) => exit,
        Err(error) if is_broken_pipe(&error) => Exit::Ok,
        Err(error) => {
            eprintln!("footbridge: {error:#}");
            Exit::Failed
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Loads mappings; where they are wrong, prints all problems and gives `None`. Warnings are for `check`.
///
/// # Errors
/// Where there is no such folder.
fn load(folder: &Path) -> anyhow::Result<Option<Mappings>> {
    self::folder(folder)?;
    Ok(load_files(&Files::Folder(folder)))
}

/// A folder that is not there is no mistake in the mappings: nothing was looked at.
fn folder(folder: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(folder.is_dir(), "there is no mappings folder {}: name it with --mappings", folder.display());
    Ok(())
}

fn load_files(files: &Files<'_>) -> Option<Mappings> {
    let mut loaded = mappings::read_files(files);
    if loaded.mappings.is_none() {
        loaded.problems.retain(Problem::is_error);
        eprint!("{}", render::for_people(&loaded.problems, &loaded.sources, std::io::stderr().is_terminal()));
    }
    loaded.mappings
}
