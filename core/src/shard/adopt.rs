//! Adoption: a member as new definitions see it takes the place of the one that the old ones made.
//!
//! In: both members, the audiences of the old definitions. Out: the state to go on from, exits from audiences that are gone,
//! and, before anything is done, what would move. Never here: how the new member came about (a replay of landing).

use super::member::{self, Emitted};
use super::{Input, Member, Moment, Put, Setting, Step, Told, Versions, step};
use crate::audience::{Audience, Definitions};
use crate::consent::{Policy, Recipient};
use crate::gate::{self, Change, Closed, MemberKey, Status, Transition};
use crate::key::Person;
use crate::time::Instant;
use std::sync::Arc;

/// What a replay of landing under the new definitions made of a person.
#[derive(Clone, Default)]
pub struct Adopt {
    pub member: Member,
    pub versions: Versions,
    /// The audiences of the old definitions: what an exit from one that is gone needs.
    pub former: Arc<[Former]>,
}

/// An audience of the definitions that are left, as its recipient knows it.
#[derive(Clone)]
pub struct Former {
    pub audience: Audience,
    pub recipient: Recipient,
    pub key: MemberKey,
}

impl Former {
    /// `keys`: one for each of the policy's recipients, in their order.
    pub fn all(definitions: &Definitions, keys: &[MemberKey]) -> Arc<[Former]> {
        let recipients = &definitions.policy.recipients;
        let former = |audience: &Audience| {
            let (recipient, key) = recipients.iter().zip(keys).find(|(recipient, _)| recipient.key == audience.recipient)?;
            Some(Former { audience: audience.clone(), recipient: recipient.clone(), key: key.clone() })
        };
        definitions.catalogue.audiences.iter().filter_map(former).collect()
    }
}

/// Puts the new member in the old one's place. What was told, and the counters that must never repeat, stay.
pub(super) fn take_over(
    definitions: &Definitions,
    person: Person,
    old: &mut Member,
    versions: &mut Versions,
    now: Instant,
    adopt: Adopt,
    step: &mut Step,
) {
    let Adopt { member: fresh, versions: fresh_versions, former } = adopt;
    let before = std::mem::replace(old, fresh);
    *versions = fresh_versions;
    old.emitted = before.emitted;
    // A survivor believes only a hand-over with a higher number than the last.
    old.merge.sent = old.merge.sent.max(before.merge.sent);
    old.open_group |= before.open_group;
    // What the owners were asked by either has an answer on its way.
    let asked = before.unconfirmed.into_iter().filter(|key| !old.unconfirmed.contains(key));
    let asked: Vec<_> = asked.collect();
    old.unconfirmed.extend(asked);
    old.superseded = before.superseded;
    for (key, met) in before.stale_restrictions {
        if versions.of(key) <= Some(met) && member::find(&old.stale_restrictions, key).is_none() {
            member::place(&mut old.stale_restrictions, key, Some(met));
        }
    }
    let goes_on = |former: &&Former| {
        let mut audiences = definitions.catalogue.audiences.iter();
        audiences.any(|audience| audience.name == former.audience.name && audience.recipient == former.audience.recipient)
    };
    for former in former.iter().filter(|former| !goes_on(former)) {
        leave(&definitions.policy, person, old, now, former, step);
    }
    // Nothing compares what is gone any more: what it waited for would be due for ever.
    let is_there = |name: &str| definitions.catalogue.audiences.iter().any(|audience| audience.name == name);
    for (_, gone) in old.emitted.iter_mut().filter(|(name, _)| !is_there(name)) {
        (gone.due, gone.waiting) = (Instant::END, None);
    }
}

/// Exits from an audience that the definitions have no more, or for another recipient, if the person was told of.
fn leave(policy: &Policy, person: Person, member: &mut Member, now: Instant, former: &Former, step: &mut Step) {
    let Former { audience, recipient, key } = former;
    let Some(before) = member.emitted(&audience.name).filter(|before| before.shown.is_some()).cloned() else { return };
    let closed = Closed::DefinitionChanged;
    let effective = now.max(before.effective);
    let change = Change::Exited(closed.leave(), closed);
    // No audience of the catalogue: the position is not looked at for an exit.
    let transition =
        Transition { audience: usize::MAX, change, effective, since: before.since, episode: Some(before.episode), until: None };
    let Ok(permitted) = gate::gate(transition, None) else { return };
    let seq = before.seq + 1;
    let identity = super::decide::identity(member, recipient);
    let event = gate::project(permitted, audience, recipient, policy, key.member(person), identity, seq);
    let after = Emitted { seq, episode: event.episode(), since: before.since, effective, until: effective, ..Emitted::default() };
    *member.emitted_mut(&audience.name) = after;
    step.told.push(Told { event, recipient: recipient.key.as_str().into(), consents: Vec::new() });
}

impl Member {
    /// Before this version of a consent comes to a member that a replay of landing makes: which versions were current once, and which
    /// came late and closed the gate, `known` has heard as they came. Landing does not keep all of them, nor their order.
    pub fn learn_order(&mut self, known: &Member, put: &Put) {
        if put.content.consent.is_none() {
            return;
        }
        self.superseded.clone_from(&known.superseded);
        if let Some(met) = member::find(&known.stale_restrictions, put.key).filter(|met| **met == put.version) {
            member::place(&mut self.stale_restrictions, put.key, Some(*met));
        }
    }
}

/// Whether this is a reason that definitions give: what consent, an opt-out, a death or a merge closes keeps its own.
pub(super) fn is_of_definitions(closed: Closed) -> bool {
    match closed {
        Closed::Minor
        | Closed::Sensitive
        | Closed::Unreachable
        | Closed::NoIdentity
        | Closed::NoLongerQualified
        | Closed::DefinitionChanged
        | Closed::AudienceEnded
        | Closed::HeldBack => true,
        Closed::Erased
        | Closed::Merged
        | Closed::MergePending
        | Closed::Inactive
        | Closed::Deceased
        | Closed::ConsentDenied
        | Closed::ConsentRevoked
        | Closed::ConsentExpired
        | Closed::NoConsent
        | Closed::NotAuthorized
        | Closed::ConsentUnreadable
        | Closed::OptedOut
        | Closed::FeedStale
        | Closed::Stopped => false,
    }
}

/// A transition that an adoption would make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Entered,
    Updated,
    /// `braked`: it is the definitions' doing. What consent, an opt-out, a death or a merge closes passes in any case.
    Exited {
        braked: bool,
    },
}

/// What adopting would move of one person, by audience, without doing it. Renewals move nothing.
pub fn moves(
    setting: &Setting,
    person: Person,
    member: &Member,
    versions: &Versions,
    moment: &Moment,
    adopt: Adopt,
) -> Vec<(String, Move)> {
    let (mut member, mut versions) = (member.clone(), versions.clone());
    let done = step(setting, person, &mut member, &mut versions, moment, Input::Adopt(Box::new(adopt)));
    let one = |told: Told| {
        let event = told.event;
        let moved = match event.status() {
            Status::Entered => Move::Entered,
            Status::Updated if event.reason() == gate::Update::Renewed.name() => return None,
            Status::Updated => Move::Updated,
            Status::Exited => Move::Exited { braked: event.cause() == Closed::DefinitionChanged.name() },
        };
        Some((event.audience().to_owned(), moved))
    };
    done.told.into_iter().filter_map(one).collect()
}
