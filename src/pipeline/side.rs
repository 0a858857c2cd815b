//! What one generation of definitions makes of a partition: its members, and what they share.
//!
//! In: definitions and a space of state. Out: members to step, and what every step needs. Never here: which records come, or when.

use super::change::Space;
use super::holders::Holders;
use super::members::{Members, One};
use super::{Bridge, Content, Generation};
use crate::log::{Log, LogError, Place, Retry, StateChange, Trouble};
use footbridge_core::fhir::Version;
use footbridge_core::key::{Person, ResourceKey, Spread};
use footbridge_core::shard::{Broadcast, ContactPreference, Input, OptOut, Ownership, Setting, Shared};
use footbridge_core::time::Instant;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub struct Side {
    pub generation: Generation,
    pub content: Arc<Content>,
    pub members: Members,
    pub broadcast: Broadcast,
    /// Who refers to a broadcast resource, or did so once.
    referring: HashMap<ResourceKey, BTreeSet<Person>, Spread>,
    /// Who has which contact.
    pub holders: Holders,
    place: Place,
    space: Space,
    /// Changed since the last commit, besides the members.
    state: Vec<StateChange>,
}

pub const BROADCAST: u8 = b'b';
pub const REFERRING: u8 = b'r';
pub const OPT_OUTS: u8 = b'o';

/// What follows the kind in a key of what all members share.
fn number_of(key: &[u8]) -> Option<u64> {
    key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
}

fn referring_key(space: Space, resource: ResourceKey, person: Person) -> Vec<u8> {
    [&[space.key(REFERRING)][..], &resource.as_u64().to_be_bytes(), person.as_bytes()].concat()
}

impl Side {
    /// Nothing is known yet. `preparing`: these definitions are not in force.
    pub fn empty(bridge: &Bridge, place: Place, space: Space, generation: Generation, preparing: bool) -> Result<Side, LogError> {
        let content = bridge.library.get(generation).ok_or_else(|| LogError {
            trouble: Trouble::Refused,
            at: place.to_string(),
            what: format!("the definitions of generation {generation} are not here"),
            hint: "start it with the mappings that it was told to decide by",
            retry: Retry::Later,
        })?;
        let members = Members::new(place, space, preparing, bridge.settings.members_max / usize::from(bridge.partitions.0));
        let (broadcast, referring) = (Broadcast::default(), HashMap::default());
        let holders = Holders::new(place, space);
        Ok(Side { generation, content, members, broadcast, referring, holders, place, space, state: Vec::new() })
    }

    /// What is being prepared, as the log kept it; `None`: this process does not have those definitions.
    pub fn restore_prepared(
        bridge: &Bridge,
        log: &impl Log,
        place: Place,
        space: Space,
        generation: Generation,
    ) -> Result<Option<Side>, LogError> {
        match bridge.library.get(generation) {
            Some(_) => Side::restore(bridge, log, place, space, generation, true).map(Some),
            None => Ok(None),
        }
    }

    /// As the log kept it.
    pub fn restore(
        bridge: &Bridge,
        log: &impl Log,
        place: Place,
        space: Space,
        generation: Generation,
        preparing: bool,
    ) -> Result<Side, LogError> {
        let mut side = Side::empty(bridge, place, space, generation, preparing)?;
        let mut broken = false;
        log.scan(place, &[space.key(BROADCAST)], &mut |key, value| match (number_of(key), postcard::from_bytes::<Shared>(value)) {
            (Some(key), Ok(shared)) => side.broadcast.restore(ResourceKey::from_u64(key), shared),
            _ => broken = true,
        })?;
        log.scan(place, &[space.key(OPT_OUTS)], &mut |key, value| match (number_of(key), postcard::from_bytes::<Vec<OptOut>>(value)) {
            (Some(bucket), Ok(list)) => side.broadcast.opt_outs.restore(bucket, list),
            _ => broken = true,
        })?;
        log.scan(place, &[space.key(REFERRING)], &mut |key, _| {
            let person = key.get(9..25).and_then(|bytes| bytes.try_into().ok()).map(Person::from_bytes);
            match (number_of(key), person) {
                (Some(resource), Some(person)) => _ = side.referring.entry(ResourceKey::from_u64(resource)).or_default().insert(person),
                _ => broken = true,
            }
        })?;
        if broken {
            return Err(LogError::damaged(place, "what the partition shares cannot be read"));
        }
        Ok(side)
    }

    /// Takes in a broadcast resource. `true`: those who refer to it must look again.
    pub fn share(&mut self, key: ResourceKey, shared: Shared) -> bool {
        let news = self.broadcast.put(key, shared);
        if news {
            self.keep_shared(key);
        }
        news
    }

    /// The delete of a broadcast resource, as landing stamped it. `true` as above.
    pub fn unshare(&mut self, resource: ResourceKey, heard: &Ownership, stamp: Instant) -> bool {
        let ordered = match heard {
            Ownership::Delete { version, .. } => *version,
            Ownership::Claim(_) | Ownership::Held { .. } | Ownership::Unclear(_) | Ownership::Asked { .. } => None,
        };
        let news = if self.broadcast.knows(resource) {
            self.broadcast.delete(resource, ordered, stamp)
        } else {
            self.broadcast.bury(resource, ordered.unwrap_or(Version(stamp.micros())), stamp);
            true
        };
        if news {
            self.keep_shared(resource);
        }
        news
    }

    fn keep_shared(&mut self, key: ResourceKey) {
        let value = self.broadcast.get(key).map(|shared| postcard::to_stdvec(shared).expect("plain data"));
        self.state.push((self.place, [&[self.space.key(BROADCAST)][..], &key.as_u64().to_be_bytes()].concat(), value));
    }

    /// Takes in a report of a number or an address. `true`: those who have it must look again.
    pub fn opt_out(&mut self, report: &ContactPreference, now: Instant) -> bool {
        let news = self.broadcast.opt_outs.hear(report, now);
        if news {
            let bucket = report.contact.bucket();
            let list = self.broadcast.opt_outs.bucket(bucket);
            let value = (!list.is_empty()).then(|| postcard::to_stdvec(list).expect("plain data"));
            self.state.push((self.place, [&[self.space.key(OPT_OUTS)][..], &bucket.to_be_bytes()].concat(), value));
        }
        news
    }

    /// Remembers which broadcast resources an input refers to; what is among the member's own resources is none. Gives the version
    /// that the member has of the resource that a record is.
    pub fn refer(&mut self, log: &impl Log, person: Person, input: &Input) -> Result<Option<Version>, LogError> {
        let keys = input.refers_to();
        let own = if let Input::Put(put) = input { Some(put.key) } else { None };
        if keys.is_empty() && own.is_none() {
            return Ok(None);
        }
        let one = self.members.look(log, person)?;
        for key in keys.into_iter().filter(|key| !one.versions.knows(*key)) {
            if self.referring.entry(key).or_default().insert(person) {
                self.state.push((self.place, referring_key(self.space, key, person), Some(Vec::new())));
            }
        }
        Ok(own.and_then(|own| one.versions.of(own)))
    }

    /// Who refers to a broadcast resource by what is on file now. Whoever did so once is among the candidates, if landing still had that
    /// record when it was read: that must decide nothing.
    pub fn referring(&mut self, log: &impl Log, key: ResourceKey) -> Result<Vec<Person>, LogError> {
        let mut persons = Vec::new();
        for person in self.referring.get(&key).into_iter().flatten() {
            if self.members.look(log, *person)?.member.refers_to(key) {
                persons.push(*person);
            }
        }
        Ok(persons)
    }

    /// Of what received records referred to before a step, all that nothing on file refers to now.
    pub fn let_go(&mut self, person: Person, dropped: &[ResourceKey]) {
        for key in dropped {
            if self.referring.get_mut(key).is_some_and(|persons| persons.remove(&person)) {
                self.state.push((self.place, referring_key(self.space, *key, person), None));
            }
        }
    }

    /// Who was erased refers to nothing.
    pub fn forget(&mut self, person: Person) {
        for (key, persons) in &mut self.referring {
            if persons.remove(&person) {
                self.state.push((self.place, referring_key(self.space, *key, person), None));
            }
        }
    }

    /// The member, and what its step needs.
    pub fn open<'a>(
        &'a mut self,
        bridge: &'a Bridge,
        stopped: &'a BTreeSet<String>,
        log: &impl Log,
        person: Person,
    ) -> Result<(&'a mut One, Setting<'a>, &'a mut Holders), LogError> {
        let setting = Setting {
            definitions: &self.content.definitions,
            keys: &bridge.keys,
            member_keys: &self.content.member_keys,
            broadcast: &self.broadcast,
            stopped,
        };
        Ok((self.members.change(log, person)?, setting, &mut self.holders))
    }

    /// All that changed since the last commit.
    pub fn stage(&mut self, state: &mut Vec<StateChange>) {
        self.members.stage(state);
        self.holders.stage(state);
        state.append(&mut self.state);
    }

    pub fn committed(&mut self) {
        self.members.committed();
        self.holders.committed();
    }
}
