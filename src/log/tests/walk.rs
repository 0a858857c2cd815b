//! A walk at random: the same operations on a log and on a naive model of it, which must agree all along.

use super::*;
use crate::log::{Commit, Output};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    /// Partition, key, value of each entry of one append.
    Append(Vec<(u16, u8, u8)>),
    Poll,
    /// Commits this many tenths of what was read, with a state and an output a record; of every record whose key divides
    /// by the number (0: none) the key is tombstoned.
    Commit {
        tenths: u8,
        losers: u8,
    },
    Abort,
    Sessions(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((0..PARTITIONS, 0..6u8, any::<u8>()), 1..20).prop_map(Step::Append),
        4 => Just(Step::Poll),
        4 => (0..=10u8, 0..4u8).prop_map(|(tenths, losers)| Step::Commit { tenths, losers }),
        1 => Just(Step::Abort),
        1 => (1..4u8).prop_map(Step::Sessions),
        1 => Just(Step::Reopen),
    ]
}

/// What the log must hold: plain lists and maps.
#[derive(Default)]
struct Model {
    records: BTreeMap<Place, Vec<(u8, u8)>>,
    committed: BTreeMap<Place, u64>,
    next: BTreeMap<Place, u64>,
    /// Offsets compacted away by tombstones.
    gone: BTreeMap<Place, Vec<u64>>,
    state: BTreeMap<(Place, u8), u8>,
    events: Vec<(u8, u8)>,
}

impl Model {
    /// Of each key the newest below the committed position, unless it lost.
    fn compacted(&self, place: Place) -> Vec<(u64, u8, u8)> {
        let committed = self.committed.get(&place).copied().unwrap_or(0);
        let all = self.records.get(&place).into_iter().flatten().zip(0u64..).take_while(|&(_, offset)| offset < committed);
        let gone = |offset: &u64| self.gone.get(&place).is_some_and(|gone| gone.contains(offset));
        let mut newest: BTreeMap<u8, (u64, u8, u8)> = BTreeMap::new();
        for (&(key, value), offset) in all.filter(|(_, offset)| !gone(offset)) {
            newest.insert(key, (offset, key, value));
        }
        let mut list: Vec<_> = newest.into_values().collect();
        list.sort();
        list
    }

    fn rewind(&mut self) {
        self.next = self.committed.clone();
    }

    fn commit(&mut self, place: Place, position: u64, losers: u8) -> Commit {
        let from = self.committed.get(&place).copied().unwrap_or(0);
        let mut commit = Commit { positions: vec![(place, position)], ..Commit::default() };
        let taken: Vec<(u8, u8)> = self.records.get(&place).map_or(&[][..], |all| &all[from as usize..position as usize]).to_vec();
        self.committed.insert(place, position);
        for (key, value) in taken {
            let kept = (value % 3 > 0).then_some(value);
            commit.state.push((place, vec![key], kept.map(|value| vec![value])));
            match kept {
                Some(value) => drop(self.state.insert((place, key), value)),
                None => drop(self.state.remove(&(place, key))),
            }
            commit.outputs.push(Output { topic: topic(), key: vec![key], headers: vec![], value: Some(vec![value]) });
            self.events.push((key, value));
            if losers > 0 && key % losers == 0 {
                commit.landing_tombstones.push((place, vec![key]));
                let lost = self.records.get(&place).into_iter().flatten().zip(0u64..);
                let lost = lost.filter(|&(&(other, _), offset)| other == key && offset < position).map(|(_, offset)| offset);
                self.gone.entry(place).or_default().extend(lost);
            }
        }
        commit
    }
}

fn topic() -> OutTopic {
    OutTopic::Audience("walk".into())
}

fn poll(sessions: &mut [Box<dyn Log>], model: &mut Model) {
    let mut batch = Batch::default();
    for session in sessions {
        session.poll(Duration::ZERO, &mut batch).expect("a poll");
        for &(place, position) in &batch.assigned {
            assert_eq!(position, model.committed.get(&place).copied().unwrap_or(0), "{place}");
        }
        for record in &batch.records {
            let next = model.next.entry(record.place).or_default();
            assert_eq!(record.offset, *next, "{}", record.place);
            let (key, value) = model.records[&record.place][record.offset as usize];
            assert_eq!((record.key(), record.value()), (&[key][..], &[value][..]));
            *next += 1;
        }
        for &place in &batch.drained {
            let end = model.records.get(&place).map_or(0, Vec::len) as u64;
            assert_eq!(model.next.get(&place).copied().unwrap_or(0), end, "{place} is drained");
        }
    }
}

fn walk(subject: &mut dyn Subject, steps: &[Step]) {
    let mut model = Model::default();
    let mut sessions = subject.sessions(1);
    poll(&mut sessions, &mut model);
    for step in steps {
        match step {
            Step::Append(entries) => {
                let made = entries.iter().map(|&(partition, key, value)| Entry {
                    key: vec![key],
                    value: vec![value],
                    ..entry(Place::landing(partition), "", "")
                });
                append(&*subject.landing(), made.collect()).expect("taken");
                for &(partition, key, value) in entries {
                    model.records.entry(Place::landing(partition)).or_default().push((key, value));
                }
            }
            Step::Poll => poll(&mut sessions, &mut model),
            Step::Commit { tenths, losers } => {
                let count = sessions.len();
                for (number, session) in sessions.iter_mut().enumerate() {
                    for partition in (0..PARTITIONS).filter(|partition| usize::from(*partition) % count == number) {
                        let place = Place::landing(partition);
                        let from = model.committed.get(&place).copied().unwrap_or(0);
                        let next = model.next.get(&place).copied().unwrap_or(0);
                        let position = from + (next - from) * u64::from(*tenths) / 10;
                        session.commit(model.commit(place, position, *losers)).expect("committed");
                    }
                }
            }
            Step::Abort => {
                sessions.iter_mut().for_each(|session| session.abort().expect("aborted"));
                model.rewind();
                poll(&mut sessions, &mut model);
            }
            Step::Sessions(count) => {
                sessions = subject.sessions(usize::from(*count));
                model.rewind();
                poll(&mut sessions, &mut model);
            }
            Step::Reopen => {
                sessions.clear();
                subject.reopen();
                sessions = subject.sessions(1);
                model.rewind();
                poll(&mut sessions, &mut model);
            }
        }
    }
    sessions.clear();
    subject.reopen();
    subject.compact();
    let mut session = subject.sessions(1).pop().expect("a session");
    session.poll(Duration::ZERO, &mut Batch::default()).expect("a poll");
    for partition in 0..PARTITIONS {
        let place = Place::landing(partition);
        let found: Vec<_> = replayed(&*session, place).iter().map(|record| (record.offset, record.key()[0], record.value()[0])).collect();
        assert_eq!(found, model.compacted(place), "{place}");
        let mut state = Vec::new();
        session.scan(place, &[], &mut |key, value| state.push((key[0], value[0]))).expect("a scan");
        let expected: Vec<_> = model.state.range((place, 0)..=(place, u8::MAX)).map(|(&(_, key), &value)| (key, value)).collect();
        assert_eq!(state, expected, "{place}");
    }
    let events: Vec<_> =
        subject.outputs(&topic()).iter().map(|stored| (stored.key[0], stored.value.as_ref().expect("a value")[0])).collect();
    assert_eq!(events, model.events);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_in_memory_agrees_with_a_naive_model(steps in prop::collection::vec(step(), 1..60)) {
        walk(&mut InMemory::new(), &steps);
    }
}

proptest! {
    // Each opens a store, some several times: a few long walks instead of many.
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_on_disk_agrees_with_a_naive_model(steps in prop::collection::vec(step(), 30..100)) {
        walk(&mut OnDisk::new(small()), &steps);
    }
}
