//! `demo`: an invented hospital, two years of it, and its story.
//!
//! In: a seed. Out: a story that a person can follow. Never here: anything the engine does not really do.

use super::Exit;
use clap::Args;

#[derive(Args, Debug)]
pub struct Demo {
    /// The same seed tells the same story
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many people are invented
    #[arg(long, default_value_t = 1000)]
    people: usize,
}

pub fn run(_args: &Demo) -> anyhow::Result<Exit> {
    Ok(Exit::Ok)
}
