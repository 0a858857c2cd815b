//! Which Consent takes the place of which, under deny-overrides (C10).
//!
//! In: the Consents that speak. Out: for each, those that replace it.
//! Never here: replacement by date alone; two Consents must be linked by an identifier or a chain of `source`.

use super::consent::{Body, Status};

/// For each Consent the indexes of those that replace it. Quadratic in the Consents of one person.
pub(super) fn replaced_by(consents: &[Option<&Body>]) -> Vec<Vec<usize>> {
    let chains: Vec<Vec<bool>> = (0..consents.len()).map(|from| reached(from, consents)).collect();
    let replaces = |newer: usize, older: usize| {
        let (Some(b), Some(a)) = (consents[newer], consents[older]) else { return false };
        // A draft replaces nothing; a revocation does.
        if newer == older || b.opaque || !matches!(b.status, Status::Active | Status::Inactive) {
            return false;
        }
        let by_source = chains[newer][older] && !chains[older][newer] && !is_before(b, a);
        let by_identifier = b.identifiers.iter().any(|identifier| a.identifiers.contains(identifier)) && is_before(a, b);
        by_source || by_identifier
    };
    (0..consents.len()).map(|older| (0..consents.len()).filter(|newer| replaces(*newer, older)).collect()).collect()
}

/// The Consents that `from` is based on, directly or through others.
fn reached(from: usize, consents: &[Option<&Body>]) -> Vec<bool> {
    let mut seen = vec![false; consents.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        let sources = consents[at].map_or(&[][..], |body| body.sources.as_slice());
        for (target, body) in consents.iter().enumerate() {
            if body.is_some_and(|body| sources.iter().any(|source| names(source, &body.id))) && !seen[target] {
                seen[target] = true;
                open.push(target);
            }
        }
    }
    seen
}

/// `Consent/ID`, also at the end of a URL.
fn names(source: &str, id: &str) -> bool {
    let Some(rest) = super::read::unversioned(source).strip_suffix(id) else { return false };
    !id.is_empty() && (rest == "Consent/" || rest.ends_with("/Consent/"))
}

/// Surely before: partial dates that may be the same are not.
pub(super) fn is_before(a: &Body, b: &Body) -> bool {
    matches!((a.date, b.date), (Some((_, past)), Some((earliest, _))) if past <= earliest)
}
