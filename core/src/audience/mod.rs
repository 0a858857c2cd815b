//! Audiences: what a definition says, and what resources say to it.
//!
//! In: validated definitions, resources, evidence kept. Out: evidence, eligibility, released values.
//! Never here: consent, events, files.

mod definition;

pub use definition::*;
