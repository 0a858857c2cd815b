//! Timers: when time alone may change something for a member.
//!
//! In: each member's next instant, the instants that a partition's `now` has reached. Out: who is to be looked at, and as of when.
//! Never here: a clock. An instant is reached when a landing record says so.

use super::terms::AsOf;
use footbridge_core::key::{Person, Spread};
use footbridge_core::time::Instant;
use std::collections::{BTreeSet, HashMap, VecDeque};

#[derive(Default)]
pub struct Timers {
    by_instant: BTreeSet<(Instant, Person)>,
    by_person: HashMap<Person, Instant, Spread>,
    /// The instants whose timers are not all worked off, and the records that reached them first, in order.
    reached: VecDeque<AsOf>,
}

impl Timers {
    pub fn set(&mut self, person: Person, due: Instant) {
        let before = if due == Instant::END { self.by_person.remove(&person) } else { self.by_person.insert(person, due) };
        if before == Some(due) {
            return;
        }
        if let Some(before) = before {
            self.by_instant.remove(&(before, person));
        }
        if due != Instant::END {
            self.by_instant.insert((due, person));
        }
    }

    pub fn next(&self) -> Instant {
        self.by_instant.first().map_or(Instant::END, |(due, _)| *due)
    }

    /// A record has come. `expecting`: what is to be decided as of earlier records may yet set a timer that this one reaches.
    pub fn reach(&mut self, at: AsOf, expecting: bool) {
        let news = self.reached.back().is_none_or(|last| last.now < at.now);
        if news && (expecting || self.next() <= at.now) {
            self.reached.push_back(at);
        }
    }

    /// As of when this person's timer is evaluated, if a record before the one at `offset` has reached it: the first that did.
    pub fn missed(&self, person: Person, offset: u64) -> Option<AsOf> {
        let due = *self.by_person.get(&person)?;
        self.reached.iter().copied().find(|reached| reached.now >= due).filter(|reached| reached.offset < offset)
    }

    /// The next to be worked off: when it was due, whose it is, and as of when it is evaluated. `until`: what is yet to be decided as of
    /// then may set timers that later records have reached.
    pub fn front(&mut self, until: Option<AsOf>) -> Option<(Instant, Person, AsOf)> {
        loop {
            let reached = *self.reached.front()?;
            if let Some((due, person)) = self.by_instant.first().filter(|(due, _)| *due <= reached.now) {
                return Some((*due, *person, reached));
            }
            if until.is_some_and(|until| reached > until) {
                return None;
            }
            self.reached.pop_front();
        }
    }

    /// How many are reached and not worked off; counted up to `most`.
    pub fn due(&self, most: usize) -> usize {
        let Some(last) = self.reached.back() else { return 0 };
        self.by_instant.iter().take(most).take_while(|(due, _)| *due <= last.now).count()
    }

    /// The first record whose timers may not all be worked off.
    pub fn oldest(&self) -> Option<AsOf> {
        self.reached.front().copied()
    }

    pub fn reached(&self) -> Vec<AsOf> {
        self.reached.iter().copied().collect()
    }

    pub fn restore(&mut self, reached: Vec<AsOf>) {
        self.reached = reached.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(n: u8) -> Person {
        Person::from_bytes([n; 16])
    }

    fn at(micros: i64) -> Instant {
        Instant::from_micros(micros)
    }

    fn record(offset: u64, micros: i64) -> AsOf {
        AsOf { now: at(micros), offset }
    }

    #[test]
    fn a_timer_is_evaluated_as_of_the_first_record_that_reached_it() {
        let mut timers = Timers::default();
        timers.set(person(1), at(10));
        timers.set(person(2), at(25));
        timers.reach(record(1, 20), false);
        timers.reach(record(2, 30), false);
        timers.reach(record(3, 30), false);
        assert_eq!(timers.missed(person(1), 2), Some(record(1, 20)));
        assert_eq!(timers.missed(person(2), 2), None, "the record that reached it is its own");
        assert_eq!(timers.missed(person(2), 3), Some(record(2, 30)), "another's record of the same instant came first");
        assert_eq!(timers.front(None), Some((at(10), person(1), record(1, 20))));
        timers.set(person(1), at(99));
        assert_eq!(timers.front(None), Some((at(25), person(2), record(2, 30))));
        timers.set(person(2), Instant::END);
        assert_eq!(timers.front(None), None);
        assert_eq!((timers.reached(), timers.next()), (vec![], at(99)));
    }

    #[test]
    fn what_nobody_waits_for_is_not_reached() {
        let mut timers = Timers::default();
        timers.set(person(1), at(50));
        timers.reach(record(1, 20), false);
        assert!(timers.reached().is_empty());
        timers.set(person(1), at(15));
        timers.set(person(1), at(60));
        assert_eq!(timers.next(), at(60));
    }

    #[test]
    fn a_timer_that_is_set_as_of_the_past_was_reached_by_what_came_since() {
        let mut timers = Timers::default();
        timers.reach(record(5, 20), true);
        timers.reach(record(6, 30), true);
        assert_eq!(timers.front(Some(record(5, 20))), None, "the review of record 5 is not done");
        timers.set(person(1), at(25));
        assert_eq!(timers.front(None), Some((at(25), person(1), record(6, 30))));
    }
}
