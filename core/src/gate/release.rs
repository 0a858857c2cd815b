//! Release: surely eligible ∩ permitted ∩ not suppressed ∩ reachable ∩ alive, and the values that go with it.
//!
//! In: the timelines that decide one audience for one person. Out: what is shown at an instant, and when that changes.
//! Never here: what was told before.

use crate::audience::Channel;
use crate::phi::Phi;
use crate::time::Instant;
use crate::timeline::{Steps, Timeline};
use sha2::{Digest, Sha256};

/// The whole of what decides one audience for one person, over all of time.
pub struct Release {
    /// Never open for another reason than time: merged away, erased, held back, kept out by an unreadable record.
    pub barred: Option<Closed>,
    pub eligible: Timeline,
    /// Where it would be eligible if nothing were withheld.
    pub unhidden: Timeline,
    /// `None` where consent permits.
    pub consent: Steps<Option<Closed>>,
    pub alive: Timeline,
    pub adult: Timeline,
    /// Between the audience's `starts` and `ends`.
    pub running: Timeline,
    /// `None`: the audience needs no address and releases none.
    pub channels: Option<Vec<Reach>>,
    /// Where an opt-out closes the audience as a whole.
    pub suppressed: Timeline,
    /// In the order of the audience's `release`.
    pub values: Vec<Steps<Option<Phi<String>>>>,
}

/// One channel of an audience.
pub struct Reach {
    pub channel: Channel,
    /// The address valid at each instant; `None` where there is none.
    pub address: Steps<Option<Phi<String>>>,
    /// Where the policy's permission for this channel holds.
    pub permitted: Timeline,
    pub opted_out: Timeline,
}

/// What an event would show: nothing that the audience does not name.
#[derive(Clone, PartialEq)]
pub struct Shown {
    pub channels: Vec<(Channel, Phi<String>)>,
    /// In the order of the audience's `release`.
    pub values: Vec<Option<Phi<String>>>,
}

/// Why nothing is released. Stands in disclosures, `explain` and, under `--reveal`, in `cause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Closed {
    Erased,
    Merged,
    MergePending,
    Inactive,
    Deceased,
    ConsentDenied,
    ConsentRevoked,
    ConsentExpired,
    NoConsent,
    NotAuthorized,
    ConsentUnreadable,
    OptedOut,
    Minor,
    Sensitive,
    Unreachable,
    /// The recipient is to be told an identifier that the person does not have.
    NoIdentity,
    NoLongerQualified,
    DefinitionChanged,
    AudienceEnded,
    FeedStale,
    HeldBack,
    /// A stop order is in force for the audience.
    Stopped,
}

impl Closed {
    pub const fn name(self) -> &'static str {
        match self {
            Closed::Erased => "erased",
            Closed::Merged => "merged",
            Closed::MergePending => "merge-pending",
            Closed::Inactive => "inactive",
            Closed::Deceased => "deceased",
            Closed::ConsentDenied => "consent-denied",
            Closed::ConsentRevoked => "consent-revoked",
            Closed::ConsentExpired => "consent-expired",
            Closed::NoConsent => "no-consent",
            Closed::NotAuthorized => "not-authorized",
            Closed::ConsentUnreadable => "consent-unreadable",
            Closed::OptedOut => "opted-out",
            Closed::Minor => "minor",
            Closed::Sensitive => "sensitive",
            Closed::Unreachable => "unreachable",
            Closed::NoIdentity => "no-identity",
            Closed::NoLongerQualified => "no-longer-qualified",
            Closed::DefinitionChanged => "definition-changed",
            Closed::AudienceEnded => "audience-ended",
            Closed::FeedStale => "feed-stale",
            Closed::HeldBack => "held-back",
            Closed::Stopped => "stopped",
        }
    }
}

impl Shown {
    /// Tells whether what is shown changed, without keeping it.
    pub fn digest(&self) -> u64 {
        let mut sum = Sha256::new();
        let mut part = |tag: u8, text: &str| {
            sum.update([tag]);
            sum.update((text.len() as u64).to_le_bytes());
            sum.update(text.as_bytes());
        };
        for (channel, address) in &self.channels {
            part(1 + *channel as u8, address.reveal());
        }
        for value in &self.values {
            match value {
                Some(text) => part(10, text.reveal()),
                None => part(11, ""),
            }
        }
        u64::from_le_bytes(sum.finalize()[..8].try_into().expect("a digest has 32 bytes"))
    }
}

impl Release {
    /// What is shown at `at`, or the weightiest reason why nothing is.
    pub fn at(&self, at: Instant) -> Result<Shown, Closed> {
        if let Some(bar) = self.barred {
            return Err(bar);
        }
        if !self.alive.at(at) {
            return Err(Closed::Deceased);
        }
        if let Some(closed) = self.consent.at(at) {
            return Err(*closed);
        }
        if *self.suppressed.at(at) {
            return Err(Closed::OptedOut);
        }
        if !self.eligible.at(at) {
            return Err(if *self.unhidden.at(at) { Closed::Sensitive } else { Closed::NoLongerQualified });
        }
        if !self.running.at(at) {
            return Err(Closed::AudienceEnded);
        }
        if !self.adult.at(at) {
            return Err(Closed::Minor);
        }
        let mut channels = Vec::new();
        if let Some(reaches) = &self.channels {
            for reach in reaches {
                if let (Some(address), true, false) = (reach.address.at(at), *reach.permitted.at(at), *reach.opted_out.at(at)) {
                    channels.push((reach.channel, address.clone()));
                }
            }
            if channels.is_empty() {
                let opted_out = reaches.iter().any(|reach| *reach.opted_out.at(at));
                return Err(if opted_out { Closed::OptedOut } else { Closed::Unreachable });
            }
        }
        let values = self.values.iter().map(|steps| steps.at(at).clone()).collect();
        Ok(Shown { channels, values })
    }

    /// The first instant after `after` at which some part changes; [`Instant::END`] if none does.
    pub fn next_change(&self, after: Instant) -> Instant {
        let mut next = Instant::END;
        let mut consider = |at: Option<Instant>| next = next.min(at.unwrap_or(Instant::END));
        consider(self.eligible.next_change(after));
        consider(self.consent.next_change(after));
        consider(self.alive.next_change(after));
        consider(self.adult.next_change(after));
        consider(self.running.next_change(after));
        consider(self.suppressed.next_change(after));
        for reach in self.channels.iter().flatten() {
            consider(reach.address.next_change(after));
            consider(reach.permitted.next_change(after));
            consider(reach.opted_out.next_change(after));
        }
        for value in &self.values {
            consider(value.next_change(after));
        }
        next
    }

    /// The last instant at or before `until` at which some part changed; [`Instant::BEGIN`] if none did.
    pub fn last_change(&self, until: Instant) -> Instant {
        fn last<T>(steps: &Steps<T>, until: Instant) -> Instant {
            let before = steps.changes().take_while(|(at, _)| *at <= until).last();
            before.map_or(Instant::BEGIN, |(at, _)| at)
        }
        let mut latest = last(&self.eligible, until).max(last(&self.consent, until));
        latest = latest.max(last(&self.alive, until)).max(last(&self.adult, until)).max(last(&self.running, until));
        latest = latest.max(last(&self.suppressed, until));
        for reach in self.channels.iter().flatten() {
            latest = latest.max(last(&reach.address, until)).max(last(&reach.permitted, until)).max(last(&reach.opted_out, until));
        }
        self.values.iter().fold(latest, |latest, value| latest.max(last(value, until)))
    }
}
