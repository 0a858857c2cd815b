//! Audiences: what a definition says, and what resources say to it.
//!
//! In: validated definitions, resources, evidence kept. Out: evidence, eligibility, released values.
//! Never here: consent, events, files.

mod definition;
mod digest;
mod expression;
mod read;
mod read_release;
mod read_rule;
mod source;
pub mod story;
pub mod units;
mod window;

pub use definition::*;
pub use digest::definition as fingerprint;
pub use read::{Around, Written, read};
