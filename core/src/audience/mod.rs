//! Audiences: what a definition says, and what resources say to it.
//!
//! In: validated definitions, resources, evidence kept. Out: evidence, eligibility, released values.
//! Never here: consent's decision, events, files.

mod codes;
mod definition;
mod definitions;
mod digest;
mod eligibility;
mod evidence;
mod expression;
mod kept;
mod offer;
mod read;
mod read_release;
mod read_rule;
mod source;
pub mod story;
pub mod units;
mod window;

pub use codes::Vocabulary;
pub use definition::*;
pub use definitions::{Definitions, Readers, Uses};
pub use digest::definition as fingerprint;
pub use eligibility::{View, eligible};
pub use evidence::{Body, Candidate, Evidence, Facet, Held, KeyOf, Look, Marks, Offered, REMOTES_MAX, answers, look, marks, unknown};
pub use kept::Kept;
pub use offer::{Offer, later};
pub use read::{Around, KEYS, Written, read};
pub use read_release::{FORMS, PICKS};

/// A resource type that definitions read, by its place among them; [`PATIENT`] is the same in all.
pub type KindId = u16;

pub const PATIENT: KindId = 0;

/// A remote question: what a criterion asks of a resource that its own resource refers to.
pub type RemoteId = u16;
