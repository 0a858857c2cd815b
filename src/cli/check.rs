//! `check`: every problem in the mappings at once, each with its place and a way out.

use super::Exit;
use crate::config::mappings::{self, Reading};
use crate::config::render;
use clap::Args;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Check {
    /// The folder of policy, audiences and value sets
    #[arg(long, value_name = "DIR", default_value = "mappings")]
    mappings: PathBuf,
    /// One problem a line, as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Check) -> anyhow::Result<Exit> {
    super::folder(&args.mappings)?;
    let Reading { mappings, problems, sources } = mappings::read(&args.mappings);
    let mut out = std::io::stdout().lock();
    if args.json {
        write!(out, "{}", render::for_machines(&problems))?;
    } else {
        write!(out, "{}", render::for_people(&problems, &sources, out.is_terminal()))?;
        if let Some(mappings) = &mappings {
            let stories: usize = mappings.stories.iter().map(|file| file.stories.len()).sum();
            let valuesets = mappings.valuesets.names().count();
            writeln!(out, "{} audiences, {valuesets} value sets, {stories} stories", mappings.catalogue.audiences.len())?;
        }
    }
    Ok(if mappings.is_some() { Exit::Ok } else { Exit::Problems })
}
