//! What only the faulty log does: each fault, and that a seed decides.

use super::*;
use crate::log::faulty::{AppendFault, Chance, CommitFault, FaultySession, Odds, Then};
use crate::log::{Commit, Output, Retry, Trouble};

const HERE: Place = Place::landing(0);

fn faulty() -> Faulty {
    Faulty::new(1, VirtualClock::at(start()).clock(), 1)
}

fn session(log: &Faulty) -> FaultySession {
    log.sessions(1).pop().expect("a session")
}

fn act() -> Commit {
    let output = Output { topic: OutTopic::Disclosures, key: vec![1], headers: vec![], value: Some(vec![]) };
    Commit {
        outputs: vec![output],
        state: vec![(HERE, vec![1], Some(vec![2]))],
        positions: vec![(HERE, 1)],
        appends: vec![entry(Place::owners(0), "c", "")],
        landing_tombstones: vec![],
        landing_erased: vec![],
    }
}

#[test]
fn a_commit_fails_at_each_step_and_leaves_all_or_nothing() {
    for (fault, done, staged) in [(CommitFault::Before, false, 0), (CommitFault::Staged, false, 1), (CommitFault::Durable, true, 0)] {
        for then in [Then::Error, Then::Crash] {
            let log = faulty();
            let mut old = session(&log);
            append(&log, vec![entry(HERE, "a", "1")]).expect("taken");
            drain(&mut old);
            log.fail_commit(fault, then);
            let error = old.commit(act()).expect_err("it fails");
            let mut next = match then {
                Then::Error => {
                    assert_eq!(error.retry, Retry::Later);
                    old.abort().expect("aborted");
                    old
                }
                Then::Crash => {
                    assert_eq!(error.trouble, Trouble::Stopped);
                    assert!(old.abort().is_err() && old.poll(Duration::ZERO, &mut Batch::default()).is_err());
                    session(&log)
                }
            };
            let batch = drain(&mut next);
            let (position, records) = if done { (1, vec!["owners/0@0 c="]) } else { (0, vec!["landing/0@0 a=1"]) };
            assert!(batch.assigned.contains(&(HERE, position)), "{fault:?} {then:?}");
            assert_eq!(told(&batch.records), records, "{fault:?} {then:?}");
            assert_eq!(log.outputs(&OutTopic::Disclosures, 0, 9).list.len(), usize::from(done));
            assert_eq!(next.get(HERE, &[1]).expect("state").is_some(), done);
            assert_eq!(log.uncommitted().len(), staged);
        }
    }
}

#[test]
fn an_append_is_refused_torn_or_taken_without_an_answer_and_its_repeat_is_taken() {
    let entries = || (0..6).map(|n| entry(HERE, &n.to_string(), "v")).collect::<Vec<_>>();
    for (fault, least, most) in [(AppendFault::Refused, 0, 0), (AppendFault::Torn, 0, 5), (AppendFault::AnswerLost, 6, 6)] {
        let log = faulty();
        log.fail_append(fault);
        assert_eq!(append(&log, entries()).expect_err("it fails").retry, Retry::Later);
        let taken = log.records(HERE).len();
        assert!((least..=most).contains(&taken), "{fault:?} took {taken}");
        append(&log, entries()).expect("the repeat is taken");
        assert_eq!(log.records(HERE).len(), taken + 6);
    }
}

#[test]
fn a_zombie_reads_on_and_its_commit_is_refused() {
    let log = faulty();
    let mut both = log.sessions(2);
    let (mut new, mut old) = (both.pop().expect("two"), both.pop().expect("two"));
    append(&log, vec![entry(HERE, "a", "1"), entry(HERE, "b", "1")]).expect("taken");
    drain(&mut old);
    log.steal(HERE, new.id());
    assert_eq!(drain(&mut old).lost, []);
    assert_eq!(told(&drain(&mut new).records), ["landing/0@0 a=1", "landing/0@1 b=1"]);
    new.commit(Commit { positions: vec![(HERE, 1)], ..Commit::default() }).expect("committed");
    assert_eq!(old.commit(act()).expect_err("a zombie").trouble, Trouble::Lost);
    old.abort().expect("aborted");
    let batch = drain(&mut old);
    assert_eq!((batch.lost, batch.assigned.len()), (vec![HERE], 1));
    old.commit(Commit { state: vec![(Place::owners(0), vec![1], None)], ..Commit::default() }).expect("what it still holds");
}

#[test]
fn a_place_handed_over_is_told_to_both_and_goes_on_from_the_committed_position() {
    let log = faulty();
    let mut both = log.sessions(2);
    let (mut new, mut old) = (both.pop().expect("two"), both.pop().expect("two"));
    append(&log, vec![entry(HERE, "a", "1"), entry(HERE, "b", "1")]).expect("taken");
    drain(&mut old);
    old.commit(Commit { positions: vec![(HERE, 1)], ..Commit::default() }).expect("committed");
    log.hand_over(HERE, new.id());
    assert_eq!(drain(&mut old).lost, [HERE]);
    let batch = drain(&mut new);
    assert_eq!((batch.assigned, told(&batch.records)), (vec![(HERE, 1)], vec!["landing/0@1 b=1".to_string()]));
}

#[test]
fn an_end_told_late_is_told_all_the_same() {
    let log = faulty();
    let mut session = session(&log);
    log.delay_drained(2);
    let mut batch = Batch::default();
    session.poll(Duration::ZERO, &mut batch).expect("a poll");
    assert_eq!(batch.drained, []);
    session.poll(Duration::ZERO, &mut batch).expect("a poll");
    assert_eq!(batch.drained, [HERE, Place::owners(0)]);
}

#[test]
fn the_clock_may_jump_back_and_stamps_follow_it() {
    let clock = VirtualClock::at(start());
    let log = Faulty::new(1, clock.clock(), 1);
    append(&log, vec![entry(HERE, "a", "1")]).expect("taken");
    clock.set(start().minus(footbridge_core::time::Span::hours(1)));
    append(&log, vec![entry(HERE, "b", "1")]).expect("taken");
    let stamps: Vec<Instant> = log.records(HERE).iter().map(|record| record.stamp).collect();
    assert_eq!(stamps, [start(), clock.now()]);
    assert!(clock.now() < start());
}

#[test]
fn the_same_seed_meets_the_same_faults_and_another_seed_others() {
    let run = |seed: u64| {
        let clock = VirtualClock::at(start());
        let log = Faulty::new(1, clock.clock(), seed);
        log.odds(Odds { commit: 300, append: 200, torn: 100, drained_late: 300, short_poll: 500 });
        let (mut chance, mut seen, mut current) = (Chance::new(99), Vec::new(), session(&log));
        let mut batch = Batch::default();
        current.poll(Duration::ZERO, &mut batch).expect("alive");
        for n in 0..300 {
            match chance.below(3) {
                0 => seen.push(format!("{}", append(&log, vec![entry(HERE, &n.to_string(), "v"); 3]).is_ok())),
                1 => {
                    current.poll(Duration::ZERO, &mut batch).expect("alive");
                    seen.push(format!("{} {:?}", batch.records.len(), batch.drained));
                }
                _ => {
                    let done = current.commit(Commit { state: vec![(HERE, vec![1], Some(vec![1]))], ..Commit::default() });
                    seen.push(format!("{:?}", done.as_ref().map_err(|error| error.trouble)));
                    if done.is_err() && current.abort().is_err() {
                        current = session(&log);
                    }
                    current.poll(Duration::ZERO, &mut batch).expect("alive");
                }
            }
        }
        seen
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
