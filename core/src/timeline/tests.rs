//! Every combination against the same asked instant by instant, without timelines.

use super::{Steps, Truth, all, any, at_least, none};
use crate::time::Instant;
use proptest::prelude::*;

fn steps_of(first: usize, changes: &[(i64, usize)]) -> Steps<Truth> {
    const TRUTHS: [Truth; 3] = [Truth::False, Truth::Unknown, Truth::True];
    let mut sorted = changes.to_vec();
    sorted.sort_by_key(|(at, _)| *at);
    sorted.dedup_by_key(|(at, _)| *at);
    let mut steps = Steps::always(TRUTHS[first]);
    for (at, value) in sorted {
        steps.push(Instant::from_micros(at), TRUTHS[value]);
    }
    steps
}

fn truths() -> impl Strategy<Value = Steps<Truth>> {
    (0..3usize, prop::collection::vec((0..40i64, 0..3usize), 0..6)).prop_map(|(first, changes)| steps_of(first, &changes))
}

/// All instants that could matter, and both sides of them.
fn instants() -> impl Iterator<Item = Instant> {
    [Instant::BEGIN, Instant::END].into_iter().chain((-1..42).map(Instant::from_micros))
}

fn each(parts: &[Steps<Truth>]) -> impl Iterator<Item = std::borrow::Cow<'_, Steps<Truth>>> {
    parts.iter().map(std::borrow::Cow::Borrowed)
}

/// Neighbours differ and instants rise: the form is the only one of its function.
fn is_canonical(steps: &Steps<Truth>) -> bool {
    let mut before = *steps.first();
    let mut last = Instant::BEGIN;
    steps.changes().all(|(at, value)| {
        let fine = at > last && *value != before;
        (before, last) = (*value, at);
        fine
    })
}

fn count(parts: &[Steps<Truth>], at: Instant, wanted: fn(Truth) -> bool) -> usize {
    parts.iter().filter(|part| wanted(*part.at(at))).count()
}

/// Sure and possible, each by counting.
fn pair(sure: bool, possible: bool) -> Truth {
    match (sure, possible) {
        (true, _) => Truth::True,
        (false, true) => Truth::Unknown,
        (false, false) => Truth::False,
    }
}

proptest! {
    #[test]
    fn combinations_hold_at_every_instant(parts in prop::collection::vec(truths(), 0..5), least in 0..5usize) {
        let (every, some, no, counted) = (all(each(&parts)), any(each(&parts)), none(each(&parts)), at_least(least, each(&parts)));
        prop_assert!([&every, &some, &no, &counted].into_iter().all(is_canonical));
        for at in instants() {
            let (sure, possible) = (count(&parts, at, Truth::is_sure), count(&parts, at, Truth::is_possible));
            let n = parts.len();
            prop_assert_eq!(*every.at(at), pair(sure == n, possible == n));
            prop_assert_eq!(*some.at(at), pair(sure > 0, possible > 0));
            // Sure and possible change places and are complemented.
            prop_assert_eq!(*no.at(at), pair(possible == 0, sure == 0));
            prop_assert_eq!(*counted.at(at), pair(sure >= least, possible >= least));
        }
    }

    #[test]
    fn the_next_change_is_the_first_instant_with_another_value(steps in truths(), at in -1..42i64) {
        let now = Instant::from_micros(at);
        let expected = (at + 1..42).map(Instant::from_micros).find(|later| {
            steps.at(*later) != steps.at(Instant::from_micros(later.micros() - 1))
        });
        prop_assert_eq!(steps.next_change(now), expected);
    }

    #[test]
    fn zip_and_map_hold_at_every_instant(a in truths(), b in truths()) {
        let zipped = a.zip(&b, |a, b| (*a, *b));
        let mapped = a.map(|truth| truth.withheld());
        for at in instants() {
            prop_assert_eq!(*zipped.at(at), (*a.at(at), *b.at(at)));
            prop_assert_eq!(*mapped.at(at), a.at(at).withheld());
            prop_assert_eq!(*a.sure().at(at), *a.at(at) == Truth::True);
            prop_assert_eq!(*a.possible().at(at), *a.at(at) != Truth::False);
        }
    }

    #[test]
    fn withholding_never_adds_an_instant_to_what_is_sure(parts in prop::collection::vec(truths(), 1..5), hidden in 0..5usize, least in 1..4usize) {
        let mut after = parts.clone();
        let place = hidden % parts.len();
        after[place] = after[place].map(|truth| truth.withheld());
        for (before, after) in [(all(each(&parts)), all(each(&after))), (any(each(&parts)), any(each(&after))), (none(each(&parts)), none(each(&after))), (at_least(least, each(&parts)), at_least(least, each(&after)))] {
            for at in instants() {
                prop_assert!(before.at(at).is_sure() || !after.at(at).is_sure());
            }
        }
    }
}

#[test]
fn two_changes_need_no_heap() {
    let steps = steps_of(0, &[(1, 2), (5, 0)]);
    assert_eq!(steps.changes().len(), 2);
    assert!(!steps.is_spilled());
    assert!(steps_of(0, &[(1, 2), (5, 0), (9, 1)]).is_spilled());
}
