//! The members that a partition works on: a bounded part of its state, in memory.
//!
//! In: the log's committed state. Out: members to step, and what changed of them since the last commit.
//! Never here: a change that is dropped; only what is committed leaves the memory.

use super::change::Space;
use super::holders::HOLDER;
use super::side;
use crate::log::{Log, LogError, Place, StateChange, Trouble};
use footbridge_core::key::{Person, Spread};
use footbridge_core::shard::{Emitted, Member, Versions};
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
}

const CORE: u8 = b'm';
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

    /// All who are known.
    pub fn all(&self, log: &impl Log) -> Result<BTreeSet<Person>, LogError> {
        let mut found: BTreeSet<Person> = self.young.keys().chain(self.old.keys()).copied().collect();
        log.scan(self.place, &[self.space.key(CORE)], &mut |key, _| found.extend(person_of(key)))?;
        Ok(found)
    }

    /// Those whose key begins with this byte, in order: as committed, and as they are in memory.
    pub fn bucket(&self, log: &impl Log, bucket: u8) -> Result<BTreeSet<Person>, LogError> {
        let in_memory = self.young.keys().chain(self.old.keys()).filter(|person| person.as_bytes()[0] == bucket);
        let mut found: BTreeSet<Person> = in_memory.copied().collect();
        log.scan(self.place, &[self.space.key(CORE), bucket], &mut |key, _| found.extend(person_of(key)))?;
        log.scan(self.place, &[self.space.key(VERSIONS), bucket], &mut |key, _| found.extend(person_of(key)))?;
        Ok(found)
    }

    fn load(&self, log: &impl Log, person: Person) -> Result<One, LogError> {
        let (member, prepared) = match log.get(self.place, &key(self.space.key(CORE), &person))? {
            Some(bytes) => {
                let member = Member::decode(bytes.get(HEAD..).unwrap_or(&[])).map_err(|_| self.damaged())?;
                (member, bytes.get(HEAD - 1).is_some_and(|flags| flags & PREPARED != 0))
            }
            None => (Member::default(), false),
        };
        let versions = match log.get(self.place, &key(self.space.key(VERSIONS), &person))? {
            Some(bytes) => Versions::decode(&bytes).map_err(|_| self.damaged())?,
            None => Versions::default(),
        };
        Ok(One { member, versions, prepared, changed: false })
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
        for person in self.changed.drain(..) {
            let one = self.young.get_mut(&person).expect("a changed member is not forgotten before it is committed");
            one.changed = false;
            let empty = one.member.is_empty(&one.versions);
            let core = (!empty).then(|| {
                let head = head_of(&one.member);
                let mut bytes = head.due.micros().to_be_bytes().to_vec();
                let prepared = if one.prepared { PREPARED } else { 0 };
                bytes.push(u8::from(head.open) | u8::from(head.waits) << 1 | u8::from(head.told) << 2 | prepared);
                bytes.extend(one.member.encode());
                bytes
            });
            state.push((self.place, key(self.space.key(CORE), &person), core));
            state.push((self.place, key(self.space.key(VERSIONS), &person), (!one.versions.is_empty()).then(|| one.versions.encode())));
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
pub const KINDS: [u8; 6] = [CORE, VERSIONS, side::BROADCAST, side::REFERRING, side::OPT_OUTS, HOLDER];

fn person_of(key: &[u8]) -> Option<Person> {
    key.get(1..17).and_then(|bytes| bytes.try_into().ok()).map(Person::from_bytes)
}

fn key(kind: u8, person: &Person) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(kind);
    key.extend(person.as_bytes());
    key
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
