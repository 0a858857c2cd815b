//! Reviews: members who are to be compared again, as of the record that asked for it.
//!
//! In: who is meant, who was looked at meanwhile. Out: which review comes next, and who was passed. Never here: a member's state.

use super::terms::AsOf;
use crate::log::{Log, LogError, Place, StateChange};
use footbridge_core::key::Person;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One of them; numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub number: u64,
    pub at: AsOf,
    pub who: Who,
    /// Persons are taken in order: all up to this one were.
    pub done: Option<Person>,
}

/// As they are when it is their turn: who was changed since the record that asked was looked at before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// Those for whom something waits that may not be told yet.
    Waiting,
    /// Those who are in some audience.
    Told,
    All,
}

#[derive(Default)]
pub struct Reviews {
    queue: VecDeque<Review>,
    /// The number of the newest.
    pub last: u64,
    /// Persons to whom another record came before their turn, and the newest review that was made up for then.
    looked: BTreeMap<Person, u64>,
    by_number: BTreeSet<(u64, Person)>,
    state: Vec<(Person, Option<u64>)>,
}

const LOOKED: u8 = b'l';
/// So many that are of no use any more leave with one commit.
const FORGOTTEN_MAX: usize = 500;

fn key(person: Person) -> Vec<u8> {
    [&[LOOKED][..], person.as_bytes()].concat()
}

impl Reviews {
    /// As the log kept it; `queue` and `last` stand in the position record.
    pub fn restore(log: &impl Log, place: Place, queue: Vec<Review>, last: u64) -> Result<Reviews, LogError> {
        let mut reviews = Reviews { queue: queue.into(), last, ..Reviews::default() };
        let mut broken = false;
        log.scan(place, &[LOOKED], &mut |key, value| {
            let person = key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(Person::from_bytes);
            match (person, value.try_into().map(u64::from_be_bytes)) {
                (Some(person), Ok(number)) => reviews.note(person, number),
                _ => broken = true,
            }
        })?;
        if broken { Err(LogError::damaged(place, "who was looked at cannot be read")) } else { Ok(reviews) }
    }

    fn note(&mut self, person: Person, number: u64) {
        if let Some(before) = self.looked.insert(person, number) {
            self.by_number.remove(&(before, person));
        }
        self.by_number.insert((number, person));
    }

    pub fn ask(&mut self, at: AsOf, who: Who) {
        self.last += 1;
        self.queue.push_back(Review { number: self.last, at, who, done: None });
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn queue(&self) -> Vec<Review> {
        self.queue.iter().copied().collect()
    }

    pub fn front(&self) -> Option<Review> {
        self.queue.front().copied()
    }

    /// Nobody is left of the first.
    pub fn pop(&mut self) {
        self.queue.pop_front();
    }

    /// The first has come to this person.
    pub fn pass(&mut self, person: Person) {
        if let Some(first) = self.queue.front_mut() {
            first.done = Some(person);
        }
    }

    /// Up to which number a person was looked at out of turn.
    pub fn looked(&self, person: &Person) -> u64 {
        self.looked.get(person).copied().unwrap_or(0)
    }

    /// The first review after that number that has not come to this person.
    pub fn owed(&self, person: Person, after: u64) -> Option<Review> {
        self.queue.iter().copied().find(|review| review.number > after && review.done.is_none_or(|done| done < person))
    }

    /// All reviews asked for were made up for.
    pub fn made_up(&mut self, person: Person) {
        let Some(last) = self.queue.back().map(|review| review.number) else { return };
        if self.looked(&person) != last {
            self.note(person, last);
            self.state.push((person, Some(last)));
        }
    }

    /// All that changed since the last commit, and a part of what is of no use any more.
    pub fn stage(&mut self, place: Place, state: &mut Vec<StateChange>) {
        let open = self.queue.front().map_or(u64::MAX, |review| review.number);
        for _ in 0..FORGOTTEN_MAX {
            let Some((number, person)) = self.by_number.first().copied().filter(|(number, _)| *number < open) else { break };
            self.by_number.remove(&(number, person));
            self.looked.remove(&person);
            self.state.push((person, None));
        }
        let changes = self.state.drain(..);
        state.extend(changes.map(|(person, number)| (place, key(person), number.map(|number| number.to_be_bytes().to_vec()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use footbridge_core::time::Instant;

    fn person(n: u8) -> Person {
        Person::from_bytes([n; 16])
    }

    fn at(offset: u64) -> AsOf {
        AsOf { now: Instant::from_micros(offset as i64), offset }
    }

    #[test]
    fn each_review_comes_to_a_person_once() {
        let mut reviews = Reviews::default();
        reviews.ask(at(10), Who::Waiting);
        reviews.pass(person(3));
        reviews.ask(at(20), Who::All);
        assert_eq!(reviews.owed(person(2), 0).map(|review| review.number), Some(2), "the first has passed");
        assert_eq!(reviews.owed(person(5), 0).map(|review| review.number), Some(1));
        assert_eq!(reviews.owed(person(5), 1).map(|review| review.number), Some(2));
        reviews.made_up(person(5));
        assert_eq!(reviews.looked(&person(5)), 2);
        reviews.ask(at(30), Who::All);
        assert_eq!(reviews.owed(person(5), reviews.looked(&person(5))).map(|review| review.number), Some(3));
    }

    #[test]
    fn what_was_noted_of_a_person_goes_with_the_review() {
        let place = Place::landing(0);
        let mut reviews = Reviews::default();
        reviews.ask(at(10), Who::Waiting);
        reviews.made_up(person(5));
        let mut state = Vec::new();
        reviews.stage(place, &mut state);
        assert_eq!(state, [(place, key(person(5)), Some(1_u64.to_be_bytes().to_vec()))]);
        reviews.pop();
        state.clear();
        reviews.stage(place, &mut state);
        assert_eq!(state, [(place, key(person(5)), None)]);
        assert_eq!(reviews.looked(&person(5)), 0);
    }
}
