//! Timers: when time alone may change something for a member.
//!
//! In: each member's next instant, the instants that a partition's `now` has reached. Out: who is to be looked at, and as of when.
//! Never here: a clock. An instant is reached when a landing record says so.

use footbridge_core::key::{Person, Spread};
use footbridge_core::time::Instant;
use std::collections::{BTreeSet, HashMap, VecDeque};

#[derive(Default)]
pub struct Timers {
    by_instant: BTreeSet<(Instant, Person)>,
    by_person: HashMap<Person, Instant, Spread>,
    /// Values of `now` whose timers are not all worked off, in order of time.
    reached: VecDeque<Instant>,
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

    /// `now` has come to this instant.
    pub fn reach(&mut self, now: Instant) {
        if self.next() <= now && self.reached.back() != Some(&now) {
            self.reached.push_back(now);
        }
    }

    /// As of when this person's timer is evaluated, if an instant before `now` has reached it: the first that did.
    pub fn missed(&self, person: Person, now: Instant) -> Option<Instant> {
        let due = *self.by_person.get(&person)?;
        self.reached.iter().copied().find(|reached| *reached >= due).filter(|reached| *reached < now)
    }

    /// As of when the next is to be worked off.
    pub fn front(&mut self) -> Option<Instant> {
        loop {
            let reached = *self.reached.front()?;
            if self.next() <= reached {
                return Some(reached);
            }
            self.reached.pop_front();
        }
    }

    /// The next to be worked off, and as of when. The caller looks at the member and sets its timer anew.
    pub fn pop(&mut self) -> Option<(Person, Instant)> {
        let reached = self.front()?;
        self.by_instant.first().map(|(_, person)| (*person, reached))
    }

    /// How many are reached and not worked off; counted up to `most`.
    pub fn due(&self, most: usize) -> usize {
        let Some(now) = self.reached.back() else { return 0 };
        self.by_instant.iter().take(most).take_while(|(due, _)| due <= now).count()
    }

    pub fn reached(&self) -> Vec<Instant> {
        self.reached.iter().copied().collect()
    }

    pub fn restore(&mut self, reached: Vec<Instant>) {
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

    #[test]
    fn a_timer_is_evaluated_as_of_the_first_instant_that_reached_it() {
        let mut timers = Timers::default();
        timers.set(person(1), at(10));
        timers.set(person(2), at(25));
        timers.reach(at(20));
        timers.reach(at(30));
        assert_eq!(timers.missed(person(1), at(30)), Some(at(20)));
        assert_eq!(timers.missed(person(2), at(30)), None, "the record that reached it is its own");
        assert_eq!(timers.pop(), Some((person(1), at(20))));
        timers.set(person(1), at(99));
        assert_eq!(timers.pop(), Some((person(2), at(30))));
        timers.set(person(2), Instant::END);
        assert_eq!(timers.pop(), None);
        assert_eq!((timers.reached(), timers.next()), (vec![], at(99)));
    }

    #[test]
    fn what_nobody_waits_for_is_not_reached() {
        let mut timers = Timers::default();
        timers.set(person(1), at(50));
        timers.reach(at(20));
        assert!(timers.reached().is_empty());
        timers.set(person(1), at(15));
        timers.set(person(1), at(60));
        assert_eq!(timers.next(), at(60));
    }
}
