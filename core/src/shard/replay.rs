//! A recorded feed worked off in order: groups, time between them, what comes out.
//!
//! In: arrivals with their instants. Out: every event up to an instant. Never here: files, or the present.

use super::{Delete, Happening, Input, Preference, Put, Room, Shared};
use crate::fhir::Version;
use crate::key::{Person, ResourceKey};
use crate::time::Instant;
use smallvec::{SmallVec, smallvec};
use std::collections::HashSet;

/// One thing that arrives.
pub struct Arrival {
    pub at: Instant,
    /// Arrivals next to each other with the same group and instant are compared once, after the last.
    pub group: u64,
    pub what: What,
}

pub enum What {
    Put { persons: SmallVec<[Person; 1]>, put: Box<Put> },
    Shared { key: ResourceKey, shared: Shared },
    Delete { key: ResourceKey, version: Version },
    Preference { person: Person, preference: Preference },
}

/// Works off `first` as one group at `from` that is the baseline of `source`, then `later` (in order of time), and
/// lets time run up to, not including, `until`.
pub fn replay(room: &mut Room, source: &str, first: Vec<Arrival>, later: Vec<Arrival>, from: Instant, until: Instant) -> Vec<Happening> {
    let mut out = Vec::new();
    group(room, first.into_iter().map(|arrival| arrival.what), from, true, &mut out);
    room.baseline(source, from, &mut out);
    let mut later = later.into_iter().peekable();
    while let Some(first) = later.next() {
        let (at, number) = (first.at, first.group);
        room.run(at, &mut out);
        let mut whole = vec![first.what];
        while let Some(next) = later.next_if(|next| next.at == at && next.group == number) {
            whole.push(next.what);
        }
        group(room, whole.into_iter(), at, false, &mut out);
    }
    room.run(until, &mut out);
    out
}

/// Applies what belongs together, then compares each person once. `open`: what follows compares.
fn group(room: &mut Room, whole: impl ExactSizeIterator<Item = What>, at: Instant, open: bool, out: &mut Vec<Happening>) {
    let more = open || whole.len() > 1;
    let mut persons = Vec::new();
    for what in whole {
        let (whose, input) = match what {
            What::Shared { key, shared } => {
                room.share(key, shared, at, out);
                continue;
            }
            What::Delete { key, version } => {
                room.unshare(key, version, at, out);
                for (person, delete) in room.deletes(key, version) {
                    persons.push(person);
                    room.put(person, at, Input::Delete(Delete { more, ..delete }), out);
                }
                continue;
            }
            What::Put { persons, put } => (persons, Input::Put(Box::new(Put { more, ..*put }))),
            What::Preference { person, preference } => (smallvec![person], Input::Preference(preference)),
        };
        persons.extend(whose.iter().copied());
        for person in whose {
            room.put(person, at, input.clone(), out);
        }
    }
    if !more || open {
        return;
    }
    // In the order in which they first stood in the group.
    let mut seen = HashSet::new();
    for person in persons {
        if seen.insert(person) {
            room.put(person, at, Input::Tick, out);
        }
    }
}
