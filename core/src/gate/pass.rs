//! `Transition` → `Permitted` → `Event`. Each has its one maker in this file.
//!
//! Invariants I1 (no entry without a permit true at its effective instant) and I2 (no field beyond the definition).

use super::event::{Address, Event, Identity, Status};
use super::{Change, Closed, Leave, Release, Shown, Transition};
use crate::audience::{Audience, Channel};
use crate::consent::{Policy, Recipient};
use crate::phi::Phi;
use crate::time::Instant;
use std::collections::BTreeMap;

/// A transition that consent and policy allow to be told. Only [`gate`] makes one; using it uses it up.
pub struct Permitted {
    transition: Transition,
}

/// What stands behind an entry or update: release was open at this instant. Only [`Grant::at`] makes one.
pub struct Grant {
    at: Instant,
    shown: Shown,
}

impl Grant {
    /// `None` where release is closed at `at`, for any reason.
    pub fn at(release: &Release, at: Instant) -> Option<Grant> {
        release.at(at).ok().map(|shown| Grant { at, shown })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    pub audience: usize,
    pub effective: Instant,
}

/// Lets a transition through. An exit always passes; an entry or update needs a grant for its effective instant that
/// shows exactly what the transition would show.
pub fn gate(transition: Transition, grant: Option<&Grant>) -> Result<Permitted, Denial> {
    let covered = |shown: &Shown| grant.is_some_and(|grant| grant.at == transition.effective && grant.shown == *shown);
    let passes = match &transition.change {
        Change::Exited(..) => true,
        Change::Entered(_, shown) | Change::Updated(_, shown) => covered(shown),
    };
    match passes {
        true => Ok(Permitted { transition }),
        false => Err(Denial { audience: transition.audience, effective: transition.effective }),
    }
}

/// The event of a permitted transition: the audience's own fields and no other.
///
/// `member` is the person as this recipient knows them; `identity` what the policy lets the recipient be told.
pub fn project(
    permitted: Permitted,
    audience: &Audience,
    recipient: &Recipient,
    policy: &Policy,
    member: String,
    identity: Option<Identity>,
    seq: u64,
) -> Event {
    let Transition { change, effective, since, episode, until, .. } = permitted.transition;
    let (status, reason, closed, shown) = match change {
        Change::Entered(reason, shown) => (Status::Entered, reason.name(), None, Some(shown)),
        Change::Updated(reason, shown) => (Status::Updated, reason.name(), None, Some(shown)),
        Change::Exited(leave, closed) => {
            let told = match (leave, recipient.may_know.deceased, recipient.may_know.merged) {
                (Leave::Deceased, false, _) => Leave::Stop,
                (Leave::Merged, _, false) => Leave::Ended,
                (leave, ..) => leave,
            };
            (Status::Exited, told.name(), Some(closed), None)
        }
    };
    let mut event = Event {
        audience: audience.name.clone(),
        definition: audience.definition.clone(),
        member,
        seq,
        episode: episode.unwrap_or(seq),
        since,
        status,
        reason,
        effective,
        until,
        communication: audience.communication,
        identity,
        channels: BTreeMap::new(),
        action: None,
        attributes: Vec::new(),
        closed,
    };
    if let Some(shown) = shown {
        fill(&mut event, shown, audience, policy);
    }
    event
}

fn fill(event: &mut Event, shown: Shown, audience: &Audience, policy: &Policy) {
    event.action = audience.action.clone();
    let named = audience.channels.as_deref().unwrap_or(&[]);
    for (channel, address) in shown.channels {
        if named.contains(&channel) {
            event.channels.insert(channel, address_of(channel, address, policy));
        }
    }
    for (released, value) in audience.release.iter().zip(shown.values) {
        if let Some(text) = value {
            event.attributes.push((released.name.clone(), text));
        }
    }
}

fn address_of(channel: Channel, address: Phi<String>, policy: &Policy) -> Address {
    let hours = channel.rule(policy).hours;
    Address {
        address,
        zone: hours.map(|_| policy.organisation.zone.name().to_owned()),
        hours: hours.map(|(from, to)| [from, to].map(|time| time.strftime("%H:%M").to_string())),
    }
}

impl Closed {
    /// What the recipient may read of it. Who must not be contacted again is told `stop`.
    pub fn leave(self) -> Leave {
        match self {
            Closed::Erased => Leave::Erased,
            Closed::Merged => Leave::Merged,
            Closed::Deceased => Leave::Deceased,
            Closed::ConsentDenied
            | Closed::ConsentRevoked
            | Closed::ConsentExpired
            | Closed::NoConsent
            | Closed::NotAuthorized
            | Closed::ConsentUnreadable
            | Closed::OptedOut
            | Closed::Sensitive => Leave::Stop,
            Closed::MergePending | Closed::FeedStale | Closed::Stopped => Leave::Paused,
            Closed::Minor
            | Closed::Unreachable
            | Closed::NoIdentity
            | Closed::NoLongerQualified
            | Closed::DefinitionChanged
            | Closed::AudienceEnded
            | Closed::Inactive
            | Closed::HeldBack => Leave::Ended,
        }
    }
}
