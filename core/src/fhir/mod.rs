//! What is read of FHIR: JSON, references, Bundles, versions, value sets.
//!
//! In: bytes of FHIR R4, R4B or R5. Out: resources, who they are about, what they refer to.
//! Never here: whether a resource matters to an audience.

pub mod json;

pub use json::Unreadable;
