//! Timelines: values as functions of time, and three-valued truth over them.
//!
//! In: values with the instants at which they change. Out: the same, combined.
//! Never here: FHIR, patients, rules; a timeline does not know what it is about.

mod combine;
mod steps;
#[cfg(test)]
mod tests;
mod truth;

pub use combine::{all, any, at_least, none};
pub use steps::Steps;
pub use truth::Truth;

/// When something holds.
pub type Timeline = Steps<bool>;
