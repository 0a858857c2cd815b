//! How far this instance has come with what it holds: for commands and metrics, never for a decision.
//!
//! In: what was appended, read and committed. Out: a count of records that wait.
//! Never here: offsets that a commit relies on.

use super::Shared;
use super::writer::Slot;
use crate::log::{Place, Topic};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Progress {
    /// After the last entry that this instance appended.
    ends: BTreeMap<Place, u64>,
    committed: BTreeMap<Place, u64>,
    /// Held, and not read to the end since.
    unread: BTreeSet<Place>,
}

impl Progress {
    pub fn begin(&mut self, place: Place, next: u64) {
        self.committed.insert(place, next);
        self.unread.insert(place);
    }

    pub fn forget(&mut self, place: Place) {
        self.committed.remove(&place);
        self.unread.remove(&place);
    }

    /// Read to the end, which is before `next`. Whether it is committed, too, is another matter.
    pub fn reached(&mut self, place: Place, next: u64) {
        let known = self.ends.entry(place).or_default();
        *known = (*known).max(next);
        self.unread.remove(&place);
    }

    pub fn committed(&mut self, place: Place, position: u64) {
        self.committed.insert(place, position);
    }

    pub fn appended(&mut self, shared: &Shared, ends: &BTreeMap<Slot, u64>) {
        for (slot, end) in ends {
            if let Some(place) = shared.place_of_slot(*slot) {
                let known = self.ends.entry(place).or_default();
                *known = (*known).max(*end);
            }
        }
    }

    /// Records appended or read here and not worked off, as far as it holds their places; 1 for a place whose end is not known yet.
    /// `partitions`: of each topic.
    pub fn behind(&self, partitions: usize) -> u64 {
        let waiting: u64 = self.committed.iter().map(|(place, next)| self.ends.get(place).map_or(0, |end| end.saturating_sub(*next))).sum();
        // Before the first assignment of a topic nothing is known of it.
        let unassigned = |topic: &Topic| !self.committed.keys().any(|place| place.topic == *topic);
        let unknown = self.unread.len() + partitions * [Topic::Landing, Topic::Owners].iter().filter(|topic| unassigned(topic)).count();
        waiting + unknown as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_and_not_committed_is_behind() {
        let (landing, owners) = (Place::landing(0), Place::owners(0));
        let mut progress = Progress::default();
        assert_eq!(progress.behind(1), 2, "nothing is known");
        progress.begin(owners, 0);
        progress.reached(owners, 0);
        assert_eq!(progress.behind(1), 1, "of landing nothing is known");
        progress.begin(landing, 3);
        assert_eq!(progress.behind(1), 1, "its end is not known");
        progress.reached(landing, 5);
        assert_eq!(progress.behind(1), 2, "two records were read");
        progress.committed(landing, 5);
        assert_eq!(progress.behind(1), 0);
    }
}
