//! The members that a partition works on: a bounded part of its state, in memory.
//!
//! In: the log's committed state. Out: members to step, and what changed of them since the last commit.
//! Never here: a change that is dropped; only what is committed leaves the memory.

use super::change::Space;
use super::holders::HOLDER;
use super::side;
use crate::log::{Log, LogError, Place, StateChange, Trouble};
use footbridge_core::key::{Person, ResourceKey, Spread};
use footbridge_core::shard::{BadState, Emitted, Loaded, Member, Piece, Stored, Versions};
use footbridge_core::time::Instant;
use std::collections::{BTreeSet, HashMap};

pub struct Members {
    place: Place,
    space: Space,
    /// They are made by definitions that are not in force yet.
    pub preparing: bool,
    max: usize,
    /// Used since the last turn, and before it: a turn forgets the latter.
    young: HashMap<Person, One, Spread>,
    old: HashMap<Person, One, Spread>,
    changed: Vec<Person>,
    /// Members taken up to be changed, and how often the log had to be read for one.
    pub looks: u64,
    pub loads: u64,
}

pub struct One {
    pub member: Member,
    pub versions: Versions,
    /// Made by definitions that were not in force yet; what the ones before made is to be taken over.
    pub prepared: bool,
    changed: bool,
    /// As the log has it, or will have with the commit under way.
    stored: Stored,
}

const CORE: u8 = b'm';
const EVIDENCE: u8 = b'e';
const VERSIONS: u8 = b'v';

/// What a start reads of each member, without its whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub due: Instant,
    pub open: bool,
    pub waits: bool,
    /// In some audience.
    pub told: bool,
    pub prepared: bool,
}

impl Members {
    pub fn new(place: Place, space: Space, preparing: bool, max: usize) -> Members {
        Members {
            place,
            space,
            preparing,
            max: max.max(2),
            young: HashMap::default(),
            old: HashMap::default(),
            changed: Vec::new(),
            looks: 0,
            loads: 0,
        }
    }

    /// The member, to be changed: what it is at the next [`Members::stage`] is kept.
    pub fn change(&mut self, log: &impl Log, person: Person) -> Result<&mut One, LogError> {
        self.looks += 1;
        let preparing = self.preparing;
        let one = self.seen(log, person)?;
        one.prepared |= preparing;
        let news = !std::mem::replace(&mut one.changed, true);
        if news {
            self.changed.push(person);
        }
        Ok(self.young.get_mut(&person).expect("it was put there"))
    }

    /// The member as it is.
    pub fn look(&mut self, log: &impl Log, person: Person) -> Result<&One, LogError> {
        self.seen(log, person).map(|one| &*one)
    }

    fn seen(&mut self, log: &impl Log, person: Person) -> Result<&mut One, LogError> {
        if !self.young.contains_key(&person) {
            let one = match self.old.remove(&person) {
                Some(one) => one,
                None => {
                    self.loads += 1;
                    self.load(log, person)?
                }
            };
            self.young.insert(person, one);
        }
        Ok(self.young.get_mut(&person).expect("it was put there"))
    }

    /// Those whose key begins with this byte, in order: as committed, and as they are in memory.
    pub fn bucket(&self, log: &impl Log, bucket: u8) -> Result<BTreeSet<Person>, LogError> {
        let in_memory = self.young.keys().chain(self.old.keys()).filter(|person| person.as_bytes()[0] == bucket);
        let mut found: BTreeSet<Person> = in_memory.copied().collect();
        log.scan(self.place, &[self.space.key(CORE), bucket], &mut |key, _| found.extend(person_of(key)))?;
        Ok(found)
    }

    fn load(&self, log: &impl Log, person: Person) -> Result<One, LogError> {
        let Some(core) = log.get(self.place, &key(self.space, person, Piece::Core))? else {
            // Who is known has a core.
            let (member, versions, stored) = Default::default();
            return Ok(One { member, versions, prepared: false, changed: false, stored });
        };
        let mut loaded = Loaded::new(&core, HEAD).map_err(|_| self.damaged())?;
        let mut read = Ok(());
        let rest = |key: &[u8]| key.get(17..).map(<[u8]>::to_vec).unwrap_or_default();
        log.scan(self.place, &prefix(self.space, EVIDENCE, person), &mut |key, bytes| {
            let resource = <[u8; 8]>::try_from(rest(key)).map(u64::from_be_bytes).map_err(|_| BadState::Damaged);
            let taken = resource.and_then(|resource| loaded.evidence(ResourceKey::from_u64(resource), bytes));
            read = read.clone().and(taken);
        })?;
        log.scan(self.place, &prefix(self.space, VERSIONS, person), &mut |key, bytes| {
            let bucket = <[u8; 1]>::try_from(rest(key)).map_err(|_| BadState::Damaged);
            let taken = bucket.and_then(|[bucket]| loaded.versions(bucket, bytes));
            read = read.clone().and(taken);
        })?;
        read.map_err(|_| self.damaged())?;
        let (member, versions, stored) = loaded.done();
        Ok(One { member, versions, prepared: core[HEAD - 1] & PREPARED != 0, changed: false, stored })
    }

    pub fn in_memory(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn damaged(&self) -> LogError {
        let hint = "restore the directory from a backup, or use the version of the program that wrote it";
        let what = "a member's state cannot be read".to_owned();
        LogError { trouble: Trouble::Damaged, at: self.place.to_string(), what, hint, retry: crate::log::Retry::Never }
    }

    /// All that changed, as state.
    pub fn stage(&mut self, state: &mut Vec<StateChange>) {
        let (place, space) = (self.place, self.space);
        for person in self.changed.drain(..) {
            let one = self.young.get_mut(&person).expect("a changed member is not forgotten before it is committed");
            one.changed = false;
            let head = head_of(&one.member);
            let prepared = if one.prepared { PREPARED } else { 0 };
            let flags = u8::from(head.open) | u8::from(head.waits) << 1 | u8::from(head.told) << 2 | prepared;
            let mut bytes = [flags; HEAD];
            bytes[..HEAD - 1].copy_from_slice(&head.due.micros().to_be_bytes());
            one.stored.renew(&bytes, &one.member, &one.versions, |piece, bytes| state.push((place, key(space, person, piece), bytes)));
        }
    }

    /// After a commit: what was not used for long leaves the memory.
    pub fn committed(&mut self) {
        if self.young.len() > self.max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Reads the head of each member.
    pub fn heads(&self, log: &impl Log, each: &mut impl FnMut(Person, Head)) -> Result<(), LogError> {
        log.scan(self.place, &[self.space.key(CORE)], &mut |key, value| {
            let person = person_of(key);
            let due = value.first_chunk::<8>().map(|bytes| Instant::from_micros(i64::from_be_bytes(*bytes)));
            if let (Some(person), Some(due), Some(flags)) = (person, due, value.get(8)) {
                each(
                    person,
                    Head { due, open: flags & 1 != 0, waits: flags & 2 != 0, told: flags & 4 != 0, prepared: flags & PREPARED != 0 },
                );
            }
        })
    }
}

/// Bytes in front of a member's own: when it is due, and flags.
const HEAD: usize = 9;
const PREPARED: u8 = 8;

/// All kinds of keys that a space has.
pub const KINDS: [u8; 7] = [CORE, EVIDENCE, VERSIONS, side::BROADCAST, side::REFERRING, side::OPT_OUTS, HOLDER];

fn person_of(key: &[u8]) -> Option<Person> {
    key.get(1..17).and_then(|bytes| bytes.try_into().ok()).map(Person::from_bytes)
}

fn prefix(space: Space, kind: u8, person: Person) -> Vec<u8> {
    // Room for the longest key.
    let mut key = Vec::with_capacity(25);
    key.push(space.key(kind));
    key.extend(person.as_bytes());
    key
}

fn key(space: Space, person: Person, piece: Piece) -> Vec<u8> {
    match piece {
        Piece::Core => prefix(space, CORE, person),
        Piece::Evidence(resource) => {
            let mut key = prefix(space, EVIDENCE, person);
            key.extend(resource.as_u64().to_be_bytes());
            key
        }
        Piece::Versions(bucket) => {
            let mut key = prefix(space, VERSIONS, person);
            key.push(bucket);
            key
        }
    }
}

pub fn head_of(member: &Member) -> Head {
    let any = |is: fn(&Emitted) -> bool| member.emitted.iter().any(|(_, emitted)| is(emitted));
    Head {
        due: member.due(),
        open: member.open_group,
        waits: any(|emitted| emitted.waiting.is_some()),
        told: any(|emitted| emitted.shown.is_some()),
        prepared: false,
    }
}
