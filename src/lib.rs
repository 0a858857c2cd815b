//! Footbridge: a guarded crossing from a health system's EHR to its CRM.
//!
//! In: FHIR resources, definitions, policy. Out: consented audience events.
//! Never here: what is decided; that is the core's, which reads no file and no clock.

#![forbid(unsafe_code)]

pub mod source;
