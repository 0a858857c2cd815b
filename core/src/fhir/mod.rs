//! What is read of FHIR: JSON, references, Bundles, versions, value sets.
//!
//! In: bytes of FHIR R4, R4B or R5. Out: resources, who they are about, what they refer to.
//! Never here: whether a resource matters to an audience.

pub mod bundle;
pub mod coding;
pub mod compartment;
pub mod json;
mod links;
mod marks;
mod members;
pub mod patient;
pub mod peek;
pub mod reference;
mod salvage;
pub mod scan;
mod state;
pub mod valueset;
pub mod version;

pub use json::Unreadable;
pub use links::BundleLinks;
pub use peek::{Link, LinkKind, Peek, peek};
pub use reference::{Reference, Target, target};
pub use salvage::salvage;
pub use version::{Version, Versions};
