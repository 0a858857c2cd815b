//! A recorded feed worked off in order: groups, time between them, what comes out.
//!
//! In: arrivals with their instants. Out: every event up to an instant. Never here: files, or the present.

use super::{Claim, Happening, Input, Ownership, Preference, Put, Room, Shared, Unclear};
use crate::fhir::Version;
use crate::key::{Person, ResourceKey};
use crate::time::Instant;
use smallvec::SmallVec;
use std::collections::HashSet;

/// One thing that arrives.
pub struct Arrival {
    pub at: Instant,
    /// Arrivals next to each other with the same group and instant are compared once, after the last.
    pub group: u64,
    pub what: What,
}

pub enum What {
    Put {
        persons: SmallVec<[Person; 1]>,
        put: Box<Put>,
    },
    Shared {
        key: ResourceKey,
        shared: Shared,
    },
    /// `version`: `None` where versions are ordered by id and the delete carries none.
    Delete {
        key: ResourceKey,
        version: Option<Version>,
    },
    /// A version about nobody.
    Nobody {
        key: ResourceKey,
        version: Version,
    },
    /// A version of which nobody can tell whose it is.
    Unclear(Unclear),
    Preference {
        person: Person,
        preference: Preference,
    },
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
        let heard = match what {
            What::Shared { key, shared } => {
                room.share(key, shared, at, out);
                continue;
            }
            What::Put { persons: whose, put } => {
                persons.extend(whose.iter().copied());
                let input = Input::Put(Box::new(Put { more, ..*put }));
                whose.into_iter().for_each(|person| room.put(person, at, input.clone(), out));
                continue;
            }
            What::Preference { person, preference } => {
                persons.push(person);
                room.put(person, at, Input::Preference(preference), out);
                continue;
            }
            What::Delete { key, version } => {
                room.unshare(key, version, at, out);
                Ownership::Delete { resource: key, version, stamp: at }
            }
            What::Nobody { key, version } => {
                Ownership::Claim(Claim { resource: key, version, stamp: at, persons: SmallVec::new(), asks: None })
            }
            What::Unclear(unclear) => Ownership::Unclear(unclear),
        };
        for (person, input) in room.owners(heard) {
            persons.push(person);
            room.put(person, at, input.with_more(more), out);
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
