//! C14: whether a permit is an authorization, and whether it is in writing.
//!
//! In: what the path to a permit names, and the Consent around it. Out: two yes or no.
//! Never here: whether the permit holds; a missing element counts as absent, and absent is not yes.

use super::consent::Body;
use super::policy::{Authorization, Policy};
use super::provisions::Names;

/// `complete` (45 CFR 164.508(c)): purpose, recipient, an end, a date, the patient's own agreement, and a source or a verification.
/// `purpose-only`: a purpose suffices.
pub(super) fn authorizes(body: &Body, names: Names, policy: &Policy) -> bool {
    match policy.authorization {
        Authorization::PurposeOnly => names.purpose,
        Authorization::Complete => names.purpose && names.recipient && names.end && is_written(body),
    }
}

/// Dated, agreed to by one with standing, and with a source or a verification to show for it.
/// Only the patient has standing: a relationship stands in another resource, which is not read yet.
pub(super) fn is_written(body: &Body) -> bool {
    body.date.is_some() && body.signed_by_patient && body.documented
}
