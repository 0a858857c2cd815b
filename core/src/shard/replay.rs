//! A recorded feed worked off in order: groups, time between them, what comes out.
//!
//! In: arrivals with their instants. Out: every event up to an instant. Never here: files, or the present.

use crate::fhir::Version;
use super::{Happening, Input, Preference, Put, Room, Shared };
use crate::key::{Person, ResourceKey};
use crate::time::Instant;
use smallvec::SmallVec;
use std::collections::HashMap;

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

/// `open`: the group's end is told by what follows it.
fn group(room: &mut Room, whole: impl Iterator<Item = What>, at: Instant, open: bool, out: &mut Vec<Happening>) {
    let mut inputs: Vec<(Person, Input)> = Vec::new();
    let mut deletes = Vec::new();
    for what in whole {
        match what {
            What::Put { persons, put } => inputs.extend(persons.into_iter().map(|person| (person, Input::Put(put.clone())))),
            What::Shared { key, shared } => room.share(key, shared, at, out),
            What::Delete { key, version } => deletes.push((key, version)),
            What::Preference { person, preference } => inputs.push((person, Input::Preference(preference))),
        }
    }
    // The owners learn of a delete after the claims of what stands before it in the log; within a group the
    // versions decide, so the delete may be heard now.
    for (key, version) in deletes {
        inputs.extend(room.deletes(key, version).into_iter().map(|(person, delete)| (person, Input::Delete(delete))));
    }
    let mut last: HashMap<Person, usize> = HashMap::new();
    if !open {
        last.extend(inputs.iter().enumerate().map(|(place, (person, _))| (*person, place)));
    }
    for (place, (person, mut input)) in inputs.into_iter().enumerate() {
        let more = open || last.get(&person) != Some(&place);
        match &mut input {
            Input::Put(put) => put.more = more,
            Input::Delete(delete) => delete.more = more,
            Input::Preference(_) | Input::Message(_) | Input::Erase | Input::Review | Input::Tick => {}
        }
        room.put(person, at, input, out);
    }
}
