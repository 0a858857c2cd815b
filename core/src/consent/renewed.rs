//! C17: whether a patient consented anew after having opted out.
//!
//! In: all Consents of a person, a question, when the opt-out came. Out: when a later Consent stands against it.
//! Never here: what the CRM reports; an undated Consent, which may be the older one.

use super::authorization::authorizes;
use super::consent::{Consent, When};
use super::decide::{Question, candidates};
use super::policy::Policy;
use super::provisions::{Asked, answer};
use crate::time::Instant;
use crate::timeline::{Steps, Timeline};

/// True where a Consent permits that is surely dated after `since`, and names the purpose as an authorization must (C14).
/// FHIR has no channel in a Consent: who consents anew to a purpose consents to the channels that the policy allows for it.
pub fn renewed(consents: &[&Consent], question: &Question, policy: &Policy, since: Instant) -> Timeline {
    let mut later = candidates(consents, question, policy);
    later.retain(|one| one.may_permit && one.body.date.is_some_and(|(earliest, _)| earliest > since));
    let mut edges: Vec<Instant> = Vec::new();
    for one in &later {
        // One that is dated ahead of time counts from its date on.
        edges.extend(one.body.date.map(|(earliest, _)| earliest));
        one.body.root.for_each(&mut |provision| {
            if let When::Within(from, to) = provision.when {
                edges.extend([from, to].into_iter().filter(|at| at.is_real()));
            }
        });
    }
    edges.sort_unstable();
    edges.dedup();
    let mut out = Steps::always(false);
    for at in edges {
        let asked = Asked { question, policy, at };
        let permits = later.iter().filter(|one| one.body.date.is_some_and(|(earliest, _)| earliest <= at)).any(|one| {
            let answer = answer(one.body, &asked, true);
            answer.permits && !answer.denies && authorizes(one.body, answer.names, policy)
        });
        out.push(at, permits);
    }
    out
}
