//! `check`: every problem in the mappings at once, each with its place and a way out.

use super::Exit;
use crate::config::{load_mappings, render};
use clap::Args;
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
    let (mappings, problems) = load_mappings(&args.mappings)?;
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    if args.json {
        print!("{}", render::json(&problems));
    } else {
        print!("{}", render::text(&args.mappings, &problems));
        if let Some(mappings) = &mappings {
            let stories: usize = mappings.stories.iter().map(|file| file.stories.len()).sum();
            let audiences = mappings.catalogue.audiences.len();
            println!("{audiences} audiences, {} value sets, {stories} stories", mappings.valuesets.len());
        }
        println!("{errors} errors, {} warnings", problems.len() - errors);
    }
    Ok(if errors == 0 { Exit::Ok } else { Exit::Problems })
}
