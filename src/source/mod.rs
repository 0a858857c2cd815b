//! Where records come from.
//!
//! In: files, requests. Out: records with their place (a file and a line); entries for landing.
//! Never here: what a record brings about.

pub mod file;
pub mod folder;
pub mod gather;
pub mod intake;
pub mod landing;
mod lines;
pub mod push;
mod read_by;
pub mod topics;

pub use file::{Block, Blocks, Limits, Progress, Record, Refused, Why};
pub use read_by::{Keep, ReadBy};
