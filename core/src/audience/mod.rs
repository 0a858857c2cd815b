//! Audiences: what a definition says, and what resources say to it.
//!
//! In: validated definitions, resources, evidence kept. Out: evidence, eligibility, released values.
//! Never here: consent's decision, events, files.

mod codes;
mod definition;
mod definitions;
mod eligibility;
mod evidence;
mod offer;

pub use codes::Vocabulary;
pub use definition::*;
pub use definitions::{Definitions, Readers, Uses};
pub use eligibility::{View, eligible};
pub use evidence::{Candidate, Evidence, Facet, Held, Look, Marks, REMOTES_MAX, answers, look, look_at, unknown};
pub use offer::{Offer, Order, later};

/// A remote question: what a criterion asks of a resource that its own resource refers to.
pub type RemoteId = u16;
