//! Consent: what a patient and the policy allow to be told, to whom and what for, at every instant.
//!
//! In: FHIR Consents (R4 in two dialects, R5), the policy file, `meta.security`. Out: Steps of a decision; labels; the policy.
//! Never here: audiences, events, a clock. What cannot be understood never permits.

mod authorization;
mod codes;
#[expect(clippy::module_inception, reason = "the room and its main type are both the FHIR word")]
mod consent;
mod decide;
mod elements;
mod labels;
mod policy;
mod policy_read;
mod provisions;
mod read;
mod read_provision;
mod renewed;
mod supersession;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod stories;

pub use codes::{Label, Purpose};
pub use consent::Consent;
pub use decide::{Cause, Decision, Grant, Outcome, Question, decide, granted, restricts_more};
pub use labels::{INLINE, Labels, Redact, withheld_by_policy};
pub use policy::*;
pub use policy_read::{KEYS as POLICY_KEYS, read_policy};
pub use read::{read, read_noting};
pub use renewed::renewed;
