//! Where records come from.
//!
//! In: files. Out: records with their place: a file and a line.
//! Never here: what a record means.

pub mod file;
mod lines;

pub use file::{Block, Blocks, Limits, Progress, Record, Refused, Why};
