//! The members that a partition works on: a bounded part of its state, in memory.
//!
//! In: the log's committed state. Out: members to step, and what changed of them since the last commit.
//! Never here: a change that is dropped; only what is committed leaves the memory.

use crate::log::{Log, LogError, Place, StateChange, Trouble};
use footbridge_core::key::{Person, Spread};
use footbridge_core::shard::{Emitted, Member, Versions};
use footbridge_core::time::Instant;
use std::collections::HashMap;

pub struct Members {
    place: Place,
    max: usize,
    /// Used since the last turn, and before it: a turn forgets the latter.
    young: HashMap<Person, One, Spread>,
    old: HashMap<Person, One, Spread>,
    changed: Vec<Person>,
    /// Looks at a member, and those of them that had to read the log.
    pub looks: u64,
    pub loads: u64,
}

pub struct One {
    pub member: Member,
    pub versions: Versions,
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
}

impl Members {
    pub fn new(place: Place, max: usize) -> Members {
        Members { place, max: max.max(2), young: HashMap::default(), old: HashMap::default(), changed: Vec::new(), looks: 0, loads: 0 }
    }

    /// The member, to be changed: what it is at the next [`Members::stage`] is kept.
    pub fn change(&mut self, log: &impl Log, person: Person) -> Result<&mut One, LogError> {
        self.looks += 1;
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
        let one = self.young.get_mut(&person).expect("it was put there");
        if !std::mem::replace(&mut one.changed, true) {
            self.changed.push(person);
        }
        Ok(one)
    }

    fn load(&self, log: &impl Log, person: Person) -> Result<One, LogError> {
        let member = match log.get(self.place, &key(CORE, &person))? {
            Some(bytes) => Member::decode(bytes.get(HEAD..).unwrap_or(&[])).map_err(|_| self.damaged())?,
            None => Member::default(),
        };
        let versions = match log.get(self.place, &key(VERSIONS, &person))? {
            Some(bytes) => Versions::decode(&bytes).map_err(|_| self.damaged())?,
            None => Versions::default(),
        };
        Ok(One { member, versions, changed: false })
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
                bytes.push(u8::from(head.open) | u8::from(head.waits) << 1 | u8::from(head.told) << 2);
                bytes.extend(one.member.encode());
                bytes
            });
            state.push((self.place, key(CORE, &person), core));
            state.push((self.place, key(VERSIONS, &person), (!one.versions.is_empty()).then(|| one.versions.encode())));
        }
    }

    /// After a commit: what was not used for long leaves the memory.
    pub fn committed(&mut self) {
        if self.young.len() > self.max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Reads the head of each member.
    pub fn heads(log: &impl Log, place: Place, each: &mut impl FnMut(Person, Head)) -> Result<(), LogError> {
        log.scan(place, &[CORE], &mut |key, value| {
            let person = key.get(1..17).and_then(|bytes| bytes.try_into().ok()).map(Person::from_bytes);
            let due = value.first_chunk::<8>().map(|bytes| Instant::from_micros(i64::from_be_bytes(*bytes)));
            if let (Some(person), Some(due), Some(flags)) = (person, due, value.get(8)) {
                each(person, Head { due, open: flags & 1 != 0, waits: flags & 2 != 0, told: flags & 4 != 0 });
            }
        })
    }
}

/// Bytes in front of a member's own.
const HEAD: usize = 9;

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
    }
}
