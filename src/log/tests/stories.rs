//! What every log promises, one story each.

use super::*;
use crate::log::{Commit, Output, Trouble};

const ONE: Place = Place::landing(1);
const TWO: Place = Place::landing(2);

#[test]
fn the_log_in_memory_keeps_every_promise() {
    for (name, story) in STORIES {
        println!("{name}");
        story(&mut InMemory::new());
    }
}

#[test]
fn the_log_on_disk_keeps_every_promise_with_small_bounds_and_with_large_ones() {
    let large = Settings { partitions: PARTITIONS, reserve_bytes: 0, ..Settings::default() };
    for settings in [small(), large] {
        for (name, story) in STORIES {
            println!("{name}");
            story(&mut OnDisk::new(settings.clone()));
        }
    }
}

pub type Story = fn(&mut dyn Subject);

pub const STORIES: &[(&str, Story)] = &[
    ("records come in order, with one stamp an append", order),
    ("an append with one entry that cannot be taken is not taken at all", all_or_none),
    ("a commit keeps state, outputs, positions and appends together", one_act),
    ("what was not committed comes again", again),
    ("a refused commit leaves nothing and waits for abort", refused),
    ("an end is told once, and again after more", drained),
    ("many records come in bounded batches, each once", many),
    ("compaction leaves the newest of a key below the position", compaction),
    ("a loser's tombstone removes it, whichever came first", tombstones),
    ("what is erased goes by the beginning of its key, whatever came of it", erased),
    ("two sessions share the places", two_sessions),
    ("new sessions take all from the old ones", taken_over),
    ("quarantine forgets what a tombstone names, an audience shows it", outputs),
    ("state is found by key and by prefix", state),
    ("a commit that goes back is refused", backwards),
    ("a session commits nothing to a place before it was told of it", untold),
];

fn commit_to(places: &[(Place, u64)]) -> Commit {
    Commit { positions: places.to_vec(), ..Commit::default() }
}

fn output(topic: OutTopic, key: &str, value: Option<&str>) -> Output {
    Output { topic, key: key.into(), headers: vec![("ce_type", "entered".into())], value: value.map(Into::into) }
}

fn audience() -> OutTopic {
    OutTopic::Audience("mammogram-due".into())
}

fn one(subject: &dyn Subject) -> Box<dyn Log> {
    subject.sessions(1).pop().expect("a session")
}

fn order(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    let first = append(&*landing, vec![entry(ONE, "a", "1"), entry(TWO, "b", "1"), entry(ONE, "c", "1")]).expect("taken");
    subject.clock().advance(footbridge_core::time::Span::seconds(1));
    let second = append(&*landing, vec![entry(ONE, "a", "2")]).expect("taken");
    assert_eq!([first.at, second.at], [start(), start().plus(footbridge_core::time::Span::seconds(1))]);
    let batch = drain(&mut *session);
    assert_eq!(batch.assigned.len(), 2 * usize::from(PARTITIONS));
    let of = |place| batch.records.iter().filter(|record| record.place == place).cloned().collect::<Vec<_>>();
    assert_eq!(told(&of(ONE)), ["landing/1@0 a=1", "landing/1@1 c=1", "landing/1@2 a=2"]);
    assert_eq!(told(&of(TWO)), ["landing/2@0 b=1"]);
    assert_eq!(of(ONE).iter().map(|record| record.stamp).collect::<Vec<_>>(), [first.at, first.at, second.at]);
    assert_eq!(of(TWO)[0].headers(), entry(TWO, "b", "1").headers);
}

fn all_or_none(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    let nowhere = Place::landing(PARTITIONS);
    let error = append(&*landing, vec![entry(ONE, "a", "1"), entry(nowhere, "b", "1")]).expect_err("no such partition");
    assert_eq!(error.trouble, Trouble::Refused);
    assert_eq!(told(&drain(&mut *session).records), Vec::<String>::new());
    append(&*landing, vec![entry(ONE, "a", "2")]).expect("taken");
    assert_eq!(told(&drain(&mut *session).records), ["landing/1@0 a=2"]);
}

fn one_act(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    append(&*landing, vec![entry(ONE, "a", "1"), entry(ONE, "b", "1")]).expect("taken");
    drain(&mut *session);
    let act = Commit {
        outputs: vec![output(audience(), "m1", Some("{}"))],
        appends: vec![entry(Place::owners(3), "claim", "x")],
        state: vec![(ONE, b"a".to_vec(), Some(b"state".to_vec()))],
        landing_tombstones: vec![],
        landing_erased: vec![],
        positions: vec![(ONE, 1)],
    };
    session.commit(act).expect("committed");
    assert_eq!(told(&drain(&mut *session).records), ["owners/3@0 claim=x"]);
    drop((session, landing));
    subject.reopen();
    let mut session = one(subject);
    assert_eq!(session.get(ONE, b"a").expect("state").as_deref(), Some(&b"state"[..]));
    let batch = drain(&mut *session);
    assert!(batch.assigned.contains(&(ONE, 1)));
    assert_eq!(told(&batch.records), ["landing/1@1 b=1", "owners/3@0 claim=x"]);
    let events = subject.outputs(&audience());
    // No story that commits an event turns the clock.
    assert_eq!((events.len(), events[0].offset, events[0].stamp), (1, 0, subject.clock().now()));
    assert_eq!((&events[0].key[..], events[0].value.as_deref()), (&b"m1"[..], Some(&b"{}"[..])));
    assert_eq!(events[0].headers, [("ce_type".to_string(), "entered".to_string())]);
}

fn again(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    append(&*landing, (0..9).map(|n| entry(ONE, &format!("k{n}"), "v")).collect()).expect("taken");
    assert_eq!(drain(&mut *session).records.len(), 9);
    session.commit(commit_to(&[(ONE, 4)])).expect("committed");
    for _ in 0..2 {
        session.abort().expect("aborted");
        let batch = drain(&mut *session);
        assert!(batch.assigned.contains(&(ONE, 4)) && batch.assigned.len() == 2 * usize::from(PARTITIONS));
        assert_eq!(batch.records.iter().map(|record| record.offset).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
    }
    drop((session, landing));
    subject.reopen();
    assert_eq!(told(&drain(&mut *one(subject)).records)[0], "landing/1@4 k4=v");
}

fn refused(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    append(&*landing, vec![entry(ONE, "a", "1")]).expect("taken");
    drain(&mut *session);
    let full = |change: fn(&mut Commit)| {
        let mut act = Commit {
            outputs: vec![output(audience(), "m1", Some("{}"))],
            appends: vec![entry(ONE, "tick", "")],
            state: vec![(ONE, b"a".to_vec(), Some(b"state".to_vec()))],
            landing_tombstones: vec![],
            landing_erased: vec![],
            positions: vec![(ONE, 1)],
        };
        change(&mut act);
        act
    };
    let cases = [
        full(|act| act.positions[0].1 = 2),
        full(|act| act.positions.push((ONE, 1))),
        full(|act| act.positions.push((Place::landing(PARTITIONS), 0))),
        full(|act| act.state[0].1 = vec![0; 2000]),
        full(|act| act.appends.push(entry(Place::owners(PARTITIONS), "x", ""))),
        full(|act| act.outputs.push(output(OutTopic::Audience("".into()), "m", None))),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        assert!(session.commit(case).is_err(), "case {number}");
        assert!(session.poll(Duration::ZERO, &mut Batch::default()).is_err(), "case {number}: no poll before abort");
        assert!(session.commit(commit_to(&[(ONE, 1)])).is_err(), "case {number}: no commit before abort");
        session.abort().expect("aborted");
        assert_eq!(told(&drain(&mut *session).records), ["landing/1@0 a=1"], "case {number}");
        assert_eq!(session.get(ONE, b"a").expect("state"), None, "case {number}");
        assert_eq!(subject.outputs(&audience()), [], "case {number}");
    }
    session.commit(full(|_| {})).expect("committed");
    assert_eq!(told(&drain(&mut *session).records), ["landing/1@1 tick="]);
}

fn drained(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    assert_eq!(drain(&mut *session).drained.len(), 2 * usize::from(PARTITIONS));
    assert_eq!(drain(&mut *session).drained, []);
    append(&*landing, (0..20).map(|n| entry(ONE, &format!("k{n}"), "v")).collect()).expect("taken");
    let mut seen = 0;
    let mut batch = Batch::default();
    while seen < 20 {
        session.poll(Duration::ZERO, &mut batch).expect("a poll");
        seen += batch.records.len();
        assert_eq!(batch.drained.len(), usize::from(seen == 20), "after {seen}");
    }
    assert_eq!(batch.drained, [ONE]);
    session.abort().expect("aborted");
    assert_eq!(drain(&mut *session).drained.len(), 2 * usize::from(PARTITIONS));
}

fn many(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    let mut seen: Vec<u64> = Vec::new();
    let mut batch = Batch::default();
    for round in 0..30 {
        append(&*landing, (0..40).map(|n| entry(ONE, &format!("{round}.{n}"), "some value")).collect()).expect("taken");
        session.poll(Duration::ZERO, &mut batch).expect("a poll");
        seen.extend(batch.records.iter().map(|record| record.offset));
    }
    session.poll(Duration::ZERO, &mut batch).expect("a poll");
    seen.extend(batch.records.iter().map(|record| record.offset));
    seen.extend(drain(&mut *session).records.iter().map(|record| record.offset));
    assert_eq!(seen, (0..1200).collect::<Vec<u64>>());
}

fn compaction(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    let values = [("a", "1"), ("b", "1"), ("a", "2"), ("a", "3"), ("b", "2")];
    append(&*landing, values.iter().map(|(key, value)| entry(ONE, key, value)).collect()).expect("taken");
    drain(&mut *session);
    session.commit(commit_to(&[(ONE, 1)])).expect("committed");
    session.commit(commit_to(&[(ONE, 3)])).expect("committed");
    subject.compact();
    assert_eq!(told(&replayed(&*session, ONE)), ["landing/1@1 b=1", "landing/1@2 a=2"]);
    session.commit(commit_to(&[(ONE, 5)])).expect("committed");
    subject.compact();
    assert_eq!(told(&replayed(&*session, ONE)), ["landing/1@3 a=3", "landing/1@4 b=2"]);
    drop((session, landing));
    subject.reopen();
    let mut session = one(subject);
    assert_eq!(told(&drain(&mut *session).records), Vec::<String>::new());
    assert_eq!(told(&replayed(&*session, ONE)), ["landing/1@3 a=3", "landing/1@4 b=2"]);
}

fn tombstones(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    // The one that came first loses, then the one that came last.
    append(&*landing, vec![entry(ONE, "r/1", "old"), entry(ONE, "r/2", "new"), entry(ONE, "r/0", "stale")]).expect("taken");
    drain(&mut *session);
    session.commit(commit_to(&[(ONE, 1)])).expect("committed");
    let act = Commit { landing_tombstones: vec![(ONE, b"r/1".to_vec()), (ONE, b"r/0".to_vec())], ..commit_to(&[(ONE, 3)]) };
    session.commit(act).expect("committed");
    subject.compact();
    assert_eq!(told(&replayed(&*session, ONE)), ["landing/1@1 r/2=new"]);
    // All gone: offsets go on, also after a start.
    let act = Commit { landing_tombstones: vec![(ONE, b"r/2".to_vec()), (ONE, b"nobody".to_vec())], ..Commit::default() };
    session.commit(act).expect("committed");
    subject.compact();
    assert_eq!(told(&replayed(&*session, ONE)), Vec::<String>::new());
    drop((session, landing));
    subject.reopen();
    let (landing, mut session) = (subject.landing(), one(subject));
    drain(&mut *session);
    append(&*landing, vec![entry(ONE, "r/1", "again")]).expect("taken");
    // A tombstone for what is not committed yet removes nothing.
    session.commit(Commit { landing_tombstones: vec![(ONE, b"r/1".to_vec())], ..Commit::default() }).expect("committed");
    subject.compact();
    assert_eq!(told(&drain(&mut *session).records), ["landing/1@3 r/1=again"]);
}

fn erased(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    let records = ["p/1", "p/2", "q/1", "p/1", "p/erase", "p/1", "p/3"];
    append(&*landing, records.iter().map(|key| entry(ONE, key, "x")).collect()).expect("taken");
    drain(&mut *session);
    // One is committed before, one with it, one comes after what erases.
    session.commit(commit_to(&[(ONE, 2)])).expect("committed");
    let act = Commit { landing_erased: vec![(ONE, b"p/".to_vec(), 4)], ..commit_to(&[(ONE, 6)]) };
    session.commit(act).expect("committed");
    subject.compact();
    let left = ["landing/1@2 q/1=x", "landing/1@4 p/erase=x", "landing/1@5 p/1=x"];
    assert_eq!(told(&replayed(&*session, ONE)), left);
    drop((session, landing));
    subject.reopen();
    let mut session = one(subject);
    assert_eq!(told(&drain(&mut *session).records), ["landing/1@6 p/3=x"]);
    assert_eq!(told(&replayed(&*session, ONE)), left);
}

fn two_sessions(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut sessions = subject.sessions(2);
    append(&*landing, (0..PARTITIONS).map(|n| entry(Place::landing(n), "a", "1")).collect()).expect("taken");
    let batches: Vec<Batch> = sessions.iter_mut().map(|session| drain(&mut **session)).collect();
    let mut places: Vec<Place> = batches.iter().flat_map(|batch| batch.assigned.iter().map(|&(place, _)| place)).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 2 * usize::from(PARTITIONS));
    for (session, batch) in sessions.iter_mut().zip(&batches) {
        let mine: Vec<Place> = batch.assigned.iter().map(|&(place, _)| place).collect();
        assert!(batch.records.len() == 2 && batch.records.iter().all(|record| mine.contains(&record.place)));
        assert_eq!(mine.len(), usize::from(PARTITIONS));
        let positions: Vec<(Place, u64)> = batch.records.iter().map(|record| (record.place, 1)).collect();
        session.commit(commit_to(&positions)).expect("committed");
    }
    let theirs = batches[1].records[0].place;
    let error = sessions[0].commit(Commit { state: vec![(theirs, vec![1], None)], ..Commit::default() }).expect_err("not held");
    assert_eq!(error.trouble, Trouble::Lost);
    assert_eq!(sessions[0].replay(theirs, 0, &mut Vec::new()).expect_err("not held").trouble, Trouble::Lost);
}

fn taken_over(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut old = one(subject);
    append(&*landing, vec![entry(ONE, "a", "1"), entry(ONE, "b", "1")]).expect("taken");
    drain(&mut *old);
    old.commit(commit_to(&[(ONE, 1)])).expect("committed");
    let mut new = one(subject);
    let act = Commit { state: vec![(ONE, b"a".to_vec(), Some(vec![1]))], ..commit_to(&[(ONE, 2)]) };
    assert_eq!(old.commit(act).expect_err("others hold it").trouble, Trouble::Lost);
    assert_eq!(new.get(ONE, b"a").expect("state"), None);
    old.abort().expect("aborted");
    assert_eq!(drain_until_lost(&mut *old).len(), 2 * usize::from(PARTITIONS));
    let batch = drain(&mut *new);
    assert!(batch.assigned.contains(&(ONE, 1)));
    assert_eq!(told(&batch.records), ["landing/1@1 b=1"]);
    new.commit(commit_to(&[(ONE, 2)])).expect("committed");
}

/// The one batch that tells what is lost brings nothing else.
fn drain_until_lost(session: &mut dyn Log) -> Vec<Place> {
    let mut batch = Batch::default();
    session.poll(Duration::ZERO, &mut batch).expect("a poll");
    assert_eq!((batch.assigned.len(), batch.records.len(), batch.drained.len()), (0, 0, 0));
    batch.lost
}

fn outputs(subject: &mut dyn Subject) {
    let mut session = one(subject);
    let act = |outputs| Commit { outputs, ..Commit::default() };
    let q = OutTopic::Quarantine;
    session.commit(act(vec![output(q.clone(), "p1", Some("why")), output(q.clone(), "p2", Some("why"))])).expect("committed");
    session.commit(act(vec![output(q.clone(), "p1", None), output(q.clone(), "p3", Some("why"))])).expect("committed");
    session.commit(act(vec![output(q.clone(), "p2", Some("else")), output(q.clone(), "nobody", None)])).expect("committed");
    let keys = |topic: &OutTopic| -> Vec<(u64, String)> {
        let text = |stored: &Stored| String::from_utf8_lossy(&stored.key).into_owned();
        subject.outputs(topic).iter().map(|stored| (stored.offset, text(stored))).collect()
    };
    assert_eq!(keys(&q), [(2, "p3".into()), (3, "p2".into())]);
    let events = vec![output(audience(), "m", Some("1")), output(audience(), "m", None), output(audience(), "n", Some("1"))];
    session.commit(act(events)).expect("committed");
    session.commit(act(vec![output(OutTopic::Disclosures, "p", Some("1"))])).expect("committed");
    assert_eq!(keys(&audience()), [(0, "m".into()), (1, "m".into()), (2, "n".into())]);
    assert_eq!(subject.outputs(&audience())[1].value, None);
    assert_eq!(keys(&OutTopic::Disclosures), [(0, "p".into())]);
    assert_eq!(keys(&OutTopic::Audience("mammogram".into())), []);
    drop(session);
    subject.reopen();
    let mut session = one(subject);
    session.commit(act(vec![output(audience(), "m", Some("2"))])).expect("committed");
    assert_eq!(subject.outputs(&audience()).last().map(|stored| stored.offset), Some(3));
}

fn state(subject: &mut dyn Subject) {
    let mut session = one(subject);
    drain(&mut *session);
    let set = |place, key: &[u8], value: Option<&[u8]>| (place, key.to_vec(), value.map(<[u8]>::to_vec));
    let state = vec![
        set(ONE, b"a1", Some(b"x")),
        set(ONE, b"a2", Some(b"")),
        set(ONE, b"b", Some(b"y")),
        set(TWO, b"a3", Some(b"z")),
        set(Place::owners(1), b"a4", Some(b"w")),
    ];
    session.commit(Commit { state, ..Commit::default() }).expect("committed");
    session.commit(Commit { state: vec![set(ONE, b"a1", None), set(ONE, b"a0", Some(b"v"))], ..Commit::default() }).expect("committed");
    let scan = |prefix: &[u8]| {
        let mut found = Vec::new();
        session.scan(ONE, prefix, &mut |key, value| found.push((key.to_vec(), value.to_vec()))).expect("a scan");
        found
    };
    assert_eq!(scan(b"a"), [(b"a0".to_vec(), b"v".to_vec()), (b"a2".to_vec(), vec![])]);
    assert_eq!(scan(b"").len(), 3);
    assert_eq!(scan(b"c"), []);
    assert_eq!(session.get(ONE, b"a1").expect("state"), None);
    assert_eq!(session.get(ONE, b"a2").expect("state").as_deref(), Some(&b""[..]));
    assert_eq!(session.get(TWO, b"a3").expect("state").as_deref(), Some(&b"z"[..]));
}

fn backwards(subject: &mut dyn Subject) {
    let landing = subject.landing();
    let mut session = one(subject);
    append(&*landing, vec![entry(ONE, "a", "1"), entry(ONE, "b", "1")]).expect("taken");
    drain(&mut *session);
    session.commit(commit_to(&[(ONE, 2)])).expect("committed");
    session.commit(commit_to(&[(ONE, 2)])).expect("the same again changes nothing");
    assert_eq!(session.commit(commit_to(&[(ONE, 1)])).expect_err("backwards").trouble, Trouble::Refused);
}

fn untold(subject: &mut dyn Subject) {
    let mut session = one(subject);
    let act = || Commit { state: vec![(ONE, vec![1], Some(vec![1]))], ..Commit::default() };
    for _ in 0..2 {
        assert_eq!(session.commit(act()).expect_err("not told yet").trouble, Trouble::Lost);
        session.abort().expect("aborted");
    }
    drain(&mut *session);
    session.commit(act()).expect("committed");
}
