//! Terms: what decides in a partition besides records and definitions, and since which record.
//!
//! In: changes of them, with the record that made each. Out: the terms as of a record, as long as something is to be decided by them.
//! Never here: a member, or a clock.

use footbridge_core::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// As of which landing record something is decided: the partition's `now` after it, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AsOf {
    pub now: Instant,
    pub offset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// By audience: its sources have not all made a first pass.
    pub silent: Vec<bool>,
    /// Up to when consents count as complete.
    pub fresh_until: Instant,
    /// Audiences that an order has stopped.
    pub stopped: BTreeSet<String>,
}

/// What is due as of an earlier record is decided by what was in force then, however many slices that takes.
pub struct History {
    pub now: Terms,
    /// Each held before the record at its offset.
    past: VecDeque<(u64, Terms)>,
}

impl History {
    /// As it was kept.
    pub fn restore(now: Terms, past: Vec<(u64, Terms)>) -> History {
        History { now, past: past.into() }
    }

    /// From the record at `offset` on these hold. `expecting`: something is to be decided as of an earlier one.
    pub fn change(&mut self, offset: u64, terms: Terms, expecting: bool) {
        if terms == self.now {
            return;
        }
        let before = std::mem::replace(&mut self.now, terms);
        // Of two changes by one record the terms between them were never in force.
        if expecting && self.past.back().is_none_or(|(until, _)| *until < offset) {
            self.past.push_back((offset, before));
        }
    }

    pub fn at(&self, offset: u64) -> &Terms {
        self.past.iter().find(|(until, _)| offset < *until).map_or(&self.now, |(_, terms)| terms)
    }

    /// Nothing is to be decided any more as of a record before this one; `None`: as of no record at all.
    pub fn forget(&mut self, oldest: Option<u64>) {
        while self.past.front().is_some_and(|(until, _)| oldest.is_none_or(|oldest| *until <= oldest)) {
            self.past.pop_front();
        }
    }

    pub fn past(&self) -> Vec<(u64, Terms)> {
        self.past.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(until: i64) -> Terms {
        Terms { silent: vec![false], fresh_until: Instant::from_micros(until), stopped: BTreeSet::new() }
    }

    #[test]
    fn what_is_due_as_of_a_record_is_decided_by_what_held_then() {
        let mut history = History::restore(terms(1), Vec::new());
        history.change(10, terms(2), true);
        history.change(20, terms(3), true);
        history.change(20, terms(4), true);
        let until = |history: &History, offset| history.at(offset).fresh_until.micros();
        assert_eq!([9, 10, 19, 20, 99].map(|offset| until(&history, offset)), [1, 2, 2, 4, 4]);
        history.forget(Some(10));
        assert_eq!((history.past().len(), until(&history, 10)), (1, 2));
        history.forget(None);
        assert!(history.past().is_empty());
        history.change(30, terms(5), false);
        assert!(history.past().is_empty(), "nobody will ask for what held before");
    }
}
