//! Opt-outs by contact: whoever has the number or the address, now or later, is not reached on that channel.
//!
//! In: what recipients report of contacts. Out: the suppressions that a contact meets. Never here: a contact in the
//! clear, or a person.

use super::{ContactPreference, Suppression};
use crate::audience::Channel;
use crate::fhir::patient::Held;
use crate::key::ContactKey;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Every shard has all of them.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct OptOuts {
    by_bucket: HashMap<u64, Vec<OptOut>>,
}

/// The newest report of a contact, recipient and channel is that they want nothing more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOut {
    contact: ContactKey,
    suppression: Suppression,
}

impl OptOuts {
    /// `true`: those who have such a contact must look again. An opt-in lifts only what the same contact, recipient and
    /// channel suppressed (C17).
    pub fn hear(&mut self, report: &ContactPreference, now: Instant) -> bool {
        let ContactPreference { contact, preference } = report;
        let list = self.by_bucket.entry(contact.bucket()).or_default();
        let place = list.iter().position(|one| one.contact == *contact && preference.is_about(&one.suppression));
        let changed = match (preference.opted_out, place) {
            (false, None) => false,
            (false, Some(place)) => {
                list.swap_remove(place);
                true
            }
            // Said again it stands against a Consent that came in between.
            (true, Some(place)) => std::mem::replace(&mut list[place].suppression.since, now) != now,
            (true, None) => {
                list.push(OptOut { contact: contact.clone(), suppression: preference.suppression(now) });
                true
            }
        };
        if list.is_empty() {
            self.by_bucket.remove(&contact.bucket());
        }
        changed
    }

    /// Those that a contact meets, of one channel.
    pub fn of<'a>(&'a self, held: &'a Held, channel: Channel) -> impl Iterator<Item = &'a Suppression> {
        // What nobody can tell may be any contact.
        let any = self.by_bucket.values().filter(|_| held.key.is_unknown());
        let lists = any.chain(self.by_bucket.get(&held.key.bucket()).filter(|_| !held.key.is_unknown()));
        let met = lists.flatten().filter(move |one| one.suppression.channel == channel && one.contact.meets(&held.key));
        met.map(|one| &one.suppression)
    }

    /// To be kept: all of one bucket, in any order.
    pub fn bucket(&self, bucket: u64) -> &[OptOut] {
        self.by_bucket.get(&bucket).map_or(&[], Vec::as_slice)
    }

    /// As it was kept.
    pub fn restore(&mut self, bucket: u64, list: Vec<OptOut>) {
        self.by_bucket.insert(bucket, list);
    }

    /// Under which persons with this contact are looked for: those who may have it, and those whose contacts nobody can tell.
    pub fn buckets_of(contact: &ContactKey) -> [u64; 2] {
        [contact.bucket(), ContactKey::unknown().bucket()]
    }
}
