//! The core of Footbridge: from FHIR resources to consented audience events.
//!
//! In: landing records, definitions, an instant. Out: member states, events, facts.
//! Never here: files, sockets, clocks, randomness, threads. Modules import only backwards in this list.

#![forbid(unsafe_code)]

pub mod audience;
pub mod consent;
pub mod document;
pub mod fhir;
pub mod fhirpath;
pub mod gate;
pub mod key;
pub mod phi;
pub mod problem;
pub mod shard;
pub mod time;
pub mod timeline;
