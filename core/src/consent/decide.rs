//! `decide`: all Consents of a person and a question → what they allow, over all of time.
//!
//! In: Consents, who asks for what purpose, the policy. Out: Steps of a decision, changing where a period begins or ends.
//! Never here: the clock; resources; whether a message is sent. What is not understood never permits.

use super::authorization::{authorizes, is_written};
use super::codes::Purpose;
use super::consent::{Body, Consent, Status, Subject, When};
use super::labels::Redact;
use super::policy::{Basis, Conflict, Organisation, Policy, Recipient, Scope};
use super::provisions::{Answer, Asked, actors_are_resolved, answer};
use super::supersession::{is_before, replaced_by};
use crate::time::Instant;
use crate::timeline::Steps;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// May `organisation` tell `recipient`, for this purpose?
pub struct Question<'a> {
    pub recipient: &'a Recipient,
    pub organisation: &'a Organisation,
    pub purpose: Purpose,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub outcome: Outcome,
    /// What is removed from whatever is allowed. It stands also where no Consent permits: a patient may only redact.
    pub redact: Redact,
    /// A permitting provision is an authorization for this purpose (C14).
    pub authorized: bool,
    /// The permit is in writing: dated, by the patient, with a source or verification. Where one is authorized, that one is.
    pub written: bool,
    /// Why there is no authorization; meaningless where `authorized`.
    pub cause: Cause,
    /// Indexes of the Consents that decided, in order.
    pub basis: SmallVec<[u16; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Permit,
    Deny,
    /// No Consent says anything here.
    NoConsent,
}

/// Why consent keeps a gate closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    ConsentDenied,
    /// A Consent that could not be read denies.
    ConsentUnreadable,
    /// One that would permit has become inactive.
    ConsentRevoked,
    /// One that permitted is past its end.
    ConsentExpired,
    /// There is a permit, but it is no authorization.
    NotAuthorized,
    NoConsent,
}

impl Cause {
    /// The word in disclosures, `explain` and `--reveal`.
    pub const fn word(self) -> &'static str {
        match self {
            Cause::ConsentDenied => "consent-denied",
            Cause::ConsentUnreadable => "consent-unreadable",
            Cause::ConsentRevoked => "consent-revoked",
            Cause::ConsentExpired => "consent-expired",
            Cause::NotAuthorized => "not-authorized",
            Cause::NoConsent => "no-consent",
        }
    }
}

/// Whether consent lets one class of message through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    Open,
    Closed(Cause),
}

impl Grant {
    pub fn is_open(self) -> bool {
        self == Grant::Open
    }
}

/// One Consent as it enters a decision.
pub(super) struct Candidate<'a> {
    index: u16,
    pub body: &'a Body,
    /// Nothing about the Consent as a whole stands against a permit.
    pub may_permit: bool,
    /// Revoked: it says nothing any more, and is asked only for the cause.
    revoked: bool,
    /// Candidates that take its place.
    replaced_by: Vec<usize>,
    /// It permitted at some earlier instant.
    has_permitted: bool,
}

/// The decision at every instant. Costs the Consents' parts times their periods; `read` bounds both.
pub fn decide(consents: &[&Consent], question: &Question, policy: &Policy) -> Steps<Decision> {
    let mut candidates = candidates(consents, question, policy);
    let mut edges: Vec<Instant> = Vec::new();
    for candidate in &candidates {
        candidate.body.root.for_each(&mut |provision| {
            if let When::Within(from, to) = provision.when {
                edges.extend([from, to].into_iter().filter(|at| at.is_real()));
            }
        });
        edges.extend(candidate.body.date.map(|(first, _)| first).filter(|at| at.is_real()));
    }
    edges.sort_unstable();
    edges.dedup();
    let mut at = |at| decide_at(&mut candidates, &Asked { question, policy, at });
    let mut out = Steps::always(at(Instant::BEGIN));
    for edge in edges {
        out.push(edge, at(edge));
    }
    out
}

pub(super) fn candidates<'a>(consents: &[&'a Consent], question: &Question, policy: &Policy) -> Vec<Candidate<'a>> {
    let asked = Asked { question, policy, at: Instant::BEGIN };
    let speak: Vec<(&Body, Speaks)> =
        consents.iter().map(|consent| consent.body()).map(|body| (body, speaks(&body.subject, &policy.consents.speak))).collect();
    let linked: Vec<Option<&Body>> = speak.iter().map(|(body, speaks)| (*speaks == Speaks::Yes).then_some(*body)).collect();
    let replaced = match policy.consents.conflict {
        Conflict::DenyOverrides => replaced_by(&linked),
        Conflict::MostRecent => vec![Vec::new(); consents.len()],
    };
    let mut out = Vec::new();
    for (index, ((body, speaks), replaced_by)) in speak.into_iter().zip(replaced).enumerate() {
        // Every Consent keeps its place in the list, which `replaced_by` counts; one that says nothing is asked nothing.
        let said = body.opaque || !body.unsupported && actors_are_resolved(body, &asked);
        out.push(Candidate {
            // More Consents than this share the last index: it is only a reference for people.
            index: u16::try_from(index).unwrap_or(u16::MAX),
            body,
            may_permit: speaks == Speaks::Yes && said && !body.opaque && body.status == Status::Active && replaced_by.is_empty(),
            revoked: speaks == Speaks::Yes && said && !body.opaque && body.status == Status::Inactive,
            replaced_by,
            has_permitted: false,
        });
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Yes,
    /// It is known to be about something else.
    No,
    /// It cannot be told: its denies count.
    Untold,
}

/// C0.
fn speaks(subject: &Subject, speak: &[Scope]) -> Speaks {
    match (subject.unreadable, subject.scopes.is_empty()) {
        (true, _) => Speaks::Untold,
        (false, false) if subject.scopes.iter().any(|scope| speak.contains(scope)) => Speaks::Yes,
        (false, false) => Speaks::No,
        (false, true) if subject.other && !speak.iter().any(|scope| matches!(scope, Scope::Research | Scope::Adr)) => Speaks::No,
        (false, true) => Speaks::Untold,
    }
}

fn decide_at(candidates: &mut [Candidate], asked: &Asked) -> Decision {
    let speak = &asked.policy.consents.speak;
    let mut said: Vec<(usize, Answer)> = Vec::new();
    let (mut revoked, mut expired) = (false, false);
    for i in 0..candidates.len() {
        let candidate = &candidates[i];
        let counts = match candidate.body.status {
            Status::Active | Status::Unread => speaks(&candidate.body.subject, speak) != Speaks::No,
            Status::Inactive | Status::NotInForce => false,
        };
        if !counts {
            let would = candidate.revoked && answer(candidate.body, asked, is_given(candidate.body, asked.at)).permits;
            candidates[i].has_permitted |= would;
            revoked |= candidates[i].has_permitted;
            continue;
        }
        let answer = answer(candidate.body, asked, candidate.may_permit && is_given(candidate.body, asked.at));
        if is_lifted(candidate, candidates, asked) {
            continue;
        }
        expired |= candidate.has_permitted && !answer.permits && !answer.denies;
        candidates[i].has_permitted |= answer.permits;
        said.push((i, answer));
    }
    let mut redact = Redact::default();
    said.iter().for_each(|(_, answer)| redact.union(&answer.redact));
    let outcome = match asked.policy.consents.conflict {
        Conflict::DenyOverrides => deny_overrides(&said),
        Conflict::MostRecent => most_recent(&mut said, candidates),
    };
    let decided = said.iter().filter(|(_, answer)| match outcome {
        Outcome::Permit => answer.permits && !answer.denies,
        Outcome::Deny => answer.denies,
        Outcome::NoConsent => false,
    });
    let (mut authorized, mut written, mut written_authorization, mut read) = (false, false, false, false);
    let mut basis = SmallVec::new();
    for (i, answer) in decided {
        let body = candidates[*i].body;
        basis.push(candidates[*i].index);
        read |= !body.opaque;
        if outcome == Outcome::Permit {
            let this = authorizes(body, answer.names, asked.policy);
            authorized |= this;
            written |= is_written(body);
            written_authorization |= this && is_written(body);
        }
    }
    let cause = match outcome {
        Outcome::Deny if read => Cause::ConsentDenied,
        Outcome::Deny => Cause::ConsentUnreadable,
        _ if revoked => Cause::ConsentRevoked,
        _ if expired => Cause::ConsentExpired,
        Outcome::Permit => Cause::NotAuthorized,
        Outcome::NoConsent => Cause::NoConsent,
    };
    let cause = if authorized { Cause::NotAuthorized } else { cause };
    Decision { outcome, redact, authorized, written: if authorized { written_authorization } else { written }, cause, basis }
}

/// A replaced Consent's denies count until one that replaces it is in force, could permit, and is not replaced itself.
/// Its permits ended with the replacement.
fn is_lifted(candidate: &Candidate, candidates: &[Candidate], asked: &Asked) -> bool {
    candidate.replaced_by.iter().any(|newer| {
        let newer = &candidates[*newer];
        let in_force = match newer.body.root.when {
            When::Always => true,
            When::Within(from, to) => from <= asked.at && asked.at < to,
            When::Unread => false,
        };
        newer.may_permit && in_force && is_given(newer.body, asked.at) && !newer.body.unread
    })
}

/// What is dated in the future is not given yet: it denies, and permits from its first instant on.
fn is_given(body: &Body, at: Instant) -> bool {
    body.date.is_none_or(|(first, _)| first <= at)
}

fn deny_overrides(said: &[(usize, Answer)]) -> Outcome {
    if said.iter().any(|(_, answer)| answer.denies) {
        return Outcome::Deny;
    }
    if said.iter().any(|(_, answer)| answer.permits) { Outcome::Permit } else { Outcome::NoConsent }
}

/// C15. A newer permit beats an older deny only where it names the purpose, as a provision; a base decision is not compared.
/// A date that is missing, equal or too coarse to tell leaves the deny. Permits that are older than a deny are beaten by it.
fn most_recent(said: &mut Vec<(usize, Answer)>, candidates: &[Candidate]) -> Outcome {
    let beaten = |deny: &Body, said: &[(usize, Answer)]| {
        !deny.opaque
            && said.iter().any(|(i, answer)| {
                let newer = candidates[*i].body;
                answer.permits && !answer.denies && answer.names.purpose && is_before(deny, newer)
            })
    };
    let beaten: Vec<usize> =
        said.iter().filter(|(i, answer)| answer.denies && beaten(candidates[*i].body, said)).map(|(i, _)| *i).collect();
    let standing = said.iter().any(|(i, answer)| answer.denies && !beaten.contains(i));
    if standing {
        return Outcome::Deny;
    }
    // Of the permits only those count that beat every deny: an older one was taken back by the deny.
    let denies: Vec<&Body> = beaten.iter().map(|i| candidates[*i].body).collect();
    said.retain(|(i, answer)| {
        let newest = answer.names.purpose && denies.iter().all(|deny| is_before(deny, candidates[*i].body));
        !answer.denies && (denies.is_empty() || !answer.permits || newest)
    });
    deny_overrides(said)
}

/// Whether each instant's decision lets a message of this basis through, or why not.
pub fn granted(decision: &Steps<Decision>, basis: Basis) -> Steps<Grant> {
    decision.map(|decision| {
        let open = match basis {
            Basis::NoDenial => decision.outcome != Outcome::Deny,
            Basis::Permit => decision.outcome == Outcome::Permit,
            Basis::Authorization => decision.outcome == Outcome::Permit && decision.authorized,
        };
        if open { Grant::Open } else { Grant::Closed(decision.cause) }
    })
}

/// Whether `stale`, a version judged older, would at some instant from `from` on restrict more than `current` (`None`: there is none)
/// for one of the questions: the caller then closes the gate and reports it.
pub fn restricts_more(stale: &Consent, current: Option<&Consent>, questions: &[Question], policy: &Policy, from: Instant) -> bool {
    let current: Vec<&Consent> = current.into_iter().collect();
    questions.iter().any(|question| {
        let more = decide(&[stale], question, policy).zip(&decide(&current, question, policy), |stale, current| {
            let denies = stale.outcome == Outcome::Deny && current.outcome != Outcome::Deny;
            let permits_less = current.outcome == Outcome::Permit && stale.outcome != Outcome::Permit;
            let authorizes_less = (current.authorized && !stale.authorized) || (current.written && !stale.written);
            denies || permits_less || authorizes_less || !current.redact.removes_all_of(&stale.redact)
        });
        *more.at(from) || more.changes().any(|(at, more)| *more && at > from)
    })
}
