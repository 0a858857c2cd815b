//! What one Consent answers to one question at one instant.
//!
//! In: its tree of provisions, the question, the instant. Out: permit, deny or nothing, with what is removed.
//! Never here: other Consents, status, supersession.

use super::codes::Purpose;
use super::consent::{Actor, Body, Effect, Provision, Role, When};
use super::decide::Question;
use super::labels::Redact;
use super::policy::{BaseDeny, Identifier, Policy};
use crate::time::Instant;

/// What a Consent, or a part of one, says. Neither flag: it says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub permits: bool,
    /// Beats a permit of the same Consent.
    pub denies: bool,
    /// The permit comes from a provision that itself, or through its ancestors, names what an authorization needs (C14).
    pub names: Names,
    pub redact: Redact,
}

/// What the path to a permit names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Names {
    /// A purpose at or above the one asked for; for marketing that is HMARKT itself.
    pub purpose: bool,
    pub recipient: bool,
    pub end: bool,
}

/// Everything that the walk down the tree needs.
pub(super) struct Asked<'a> {
    pub question: &'a Question<'a>,
    pub policy: &'a Policy,
    pub at: Instant,
}

/// `may_permit`: nothing about the Consent as a whole stands against a permit (C0, C1, C9).
pub(super) fn answer(body: &Body, asked: &Asked, may_permit: bool) -> Answer {
    let mut answer = walk(&body.root, asked, may_permit, Names::default(), body.root_is_base);
    if answer.denies && !body.opaque && asked.policy.consents.base_deny == BaseDeny::OwnPurposes {
        // Only the root's own denial is narrowed; one of a provision beneath stands.
        let own = body.root.effect == Effect::Deny && body.root.purposes.is_absent() && !denied_beneath(&body.root, asked);
        answer.denies = !own || concerns(&body.root, asked.question.purpose);
    }
    answer
}

fn denied_beneath(root: &Provision, asked: &Asked) -> bool {
    root.children.iter().any(|child| walk(child, asked, false, Names::default(), false).denies)
}

/// Whether the Consent names a purpose that has to do with this one, or none at all, or one that is not known.
fn concerns(root: &Provision, purpose: Purpose) -> bool {
    let (mut named, mut related) = (false, false);
    root.for_each(&mut |provision| {
        named |= !provision.purposes.is_absent();
        related |= provision.purposes.unread || provision.purposes.known.iter().any(|own| own.covers(purpose) || purpose.covers(*own));
    });
    related || !named
}

/// `strict`: every ancestor matches as a permit must. A deny matches more widely than a permit: what cannot be read
/// counts as absent in a deny and as not matching in a permit (C4).
fn walk(provision: &Provision, asked: &Asked, strict: bool, above: Names, is_base: bool) -> Answer {
    let Some(matched) = matches(provision, asked) else { return Answer::default() };
    let names = Names {
        purpose: above.purpose || !provision.purposes.is_absent(),
        recipient: above.recipient || matched.by_recipient,
        end: above.end || matches!(provision.when, When::Within(_, to) if to != Instant::END),
    };
    let by_label = !provision.labels.is_absent();
    // A permit of labels is narrower than the question: until C16 is built it permits nothing.
    let strict = strict && matched.strict && !provision.labels.unread && !(by_label && provision.effect != Effect::Deny);
    let mut beneath = Answer::default();
    for child in &provision.children {
        beneath.add(walk(child, asked, strict, names, false));
    }
    if by_label && provision.effect == Effect::Deny && !provision.labels.unread {
        // C12: such a deny removes what carries the labels, unless a nested permit lifts it. It decides nothing else.
        let lifted = beneath.permits && !beneath.denies && beneath.redact.is_empty();
        let labels = if lifted { Redact::default() } else { Redact::of(provision.labels.known.iter().copied().collect()) };
        return Answer { redact: labels, ..Answer::default() };
    }
    if beneath.permits || beneath.denies {
        return beneath;
    }
    match provision.effect {
        Effect::Deny => beneath.denies = true,
        Effect::Permit if strict => {
            beneath.permits = true;
            // A base decision never authorizes; what its root names counts for the provisions beneath it.
            beneath.names = if is_base { Names::default() } else { names };
        }
        Effect::Permit | Effect::Silent => {}
    }
    beneath
}

impl Answer {
    /// Siblings are OR (C3): a deny among them wins, redactions unite, of two permits the one that names more counts.
    fn add(&mut self, other: Answer) {
        self.denies |= other.denies;
        self.redact.union(&other.redact);
        if other.permits {
            // One provision must satisfy the whole request (C15): what two of them name never adds up.
            self.names = if self.permits { self.names.max_whole(other.names) } else { other.names };
            self.permits = true;
        }
    }
}

impl Names {
    fn max_whole(self, other: Names) -> Names {
        let count = |names: Names| (names.purpose, u8::from(names.recipient) + u8::from(names.end));
        if count(other) > count(self) { other } else { self }
    }
}

struct Matched {
    strict: bool,
    /// It names the recipient asked about.
    by_recipient: bool,
}

/// `None`: it does not match even as a deny.
fn matches(provision: &Provision, asked: &Asked) -> Option<Matched> {
    let mut strict = true;
    match provision.when {
        When::Always => {}
        When::Within(from, to) if from <= asked.at && asked.at < to => {}
        When::Within(..) => return None,
        When::Unread => strict = false,
    }
    let purposes = &provision.purposes;
    if !purposes.is_absent() {
        let named = purposes.known.iter().any(|purpose| purpose.covers(asked.question.purpose));
        if !named && !purposes.unread {
            return None;
        }
        strict &= named;
    }
    let mut by_recipient = false;
    let actors = &provision.actors;
    if !actors.is_absent() {
        let met: Vec<Met> = actors.known.iter().map(|actor| meet(actor, asked)).collect();
        if !actors.unread && !met.iter().any(|met| met.loosely) {
            return None;
        }
        // In a permit, recipients and disclosers are two attributes: each that is named must be met.
        let role_met = |role| {
            let mut named = actors.known.iter().zip(&met).filter(|(actor, _)| actor.role == role).peekable();
            named.peek().is_none() || named.any(|(_, met)| met.strictly)
        };
        strict &= role_met(Role::Recipient) && role_met(Role::Discloser) && met.iter().any(|met| met.strictly);
        by_recipient = actors.known.iter().zip(&met).any(|(actor, met)| actor.role == Role::Recipient && met.strictly);
    }
    strict &= provision.what.is_none();
    Some(Matched { strict, by_recipient })
}

struct Met {
    loosely: bool,
    strictly: bool,
}

/// C15: recipient roles match the recipient, discloser roles the organisation, an unknown role only in a deny.
/// Who cannot be told apart from the one asked about is met by a deny.
fn meet(actor: &Actor, asked: &Asked) -> Met {
    let who = who(actor, asked);
    match actor.role {
        Role::Recipient => Met { loosely: who.recipient || !who.is_resolved(), strictly: who.recipient && !who.other },
        Role::Discloser => Met { loosely: who.organisation || !who.is_resolved(), strictly: who.organisation && !who.other },
        Role::Unknown => Met { loosely: true, strictly: false },
    }
}

/// Whom of the policy an actor equals, by reference or identifier.
struct Who {
    recipient: bool,
    organisation: bool,
    /// Another recipient of the policy.
    other: bool,
}

impl Who {
    fn is_resolved(&self) -> bool {
        self.recipient || self.organisation || self.other
    }
}

fn who(actor: &Actor, asked: &Asked) -> Who {
    let is = |references: &[String], identifiers: &[Identifier]| {
        actor.reference.as_deref().is_some_and(|reference| references.iter().any(|known| known == reference))
            || actor.identifier.as_ref().is_some_and(|identifier| identifiers.contains(identifier))
    };
    let asked_for = asked.question.recipient;
    let organisation = asked.question.organisation;
    let others = asked.policy.recipients.iter().filter(|recipient| recipient.key != asked_for.key);
    Who {
        recipient: is(&asked_for.references, &asked_for.identifiers),
        organisation: is(&organisation.references, &organisation.identifiers),
        other: others.into_iter().any(|other| is(&other.references, &other.identifiers)),
    }
}

/// C9: whether every actor of the Consent equals somebody of the policy.
pub(super) fn actors_are_resolved(body: &Body, asked: &Asked) -> bool {
    let mut resolved = true;
    body.root.for_each(&mut |provision| {
        resolved &= !provision.actors.unread && provision.actors.known.iter().all(|actor| who(actor, asked).is_resolved());
    });
    resolved
}
