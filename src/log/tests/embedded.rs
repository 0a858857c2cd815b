//! What only the embedded log does: its directory, its bounds, its readers.

use super::*;
use crate::log::{Commit, Output, Retry, Trouble};
use footbridge_core::time::Span;
use std::sync::mpsc::sync_channel;

const HERE: Place = Place::landing(0);

fn event(key: &str, value: Option<&str>) -> Output {
    Output { topic: audience(), key: key.into(), headers: vec![], value: value.map(Into::into) }
}

fn audience() -> OutTopic {
    OutTopic::Audience("flu-shot".into())
}

fn commit(session: &mut dyn Log, outputs: Vec<Output>) {
    session.commit(Commit { outputs, ..Commit::default() }).expect("committed");
}

#[test]
fn a_second_process_is_refused_until_the_first_ends() {
    let mut disk = OnDisk::new(small());
    let error = disk.open().map(|_| ()).expect_err("the directory is locked");
    assert_eq!((error.trouble, error.retry), (Trouble::Locked, Retry::Later));
    assert!(error.to_string().ends_with(": another process has this log open; stop it first, or name another directory"), "{error}");
    // A session alone keeps it open.
    let session = disk.sessions(1);
    disk.log = None;
    assert_eq!(disk.open().map(|_| ()).expect_err("still locked").trouble, Trouble::Locked);
    drop(session);
    disk.open().expect("the log opens");
}

#[test]
fn a_directory_that_is_no_log_of_ours_is_refused_and_left_alone() {
    let mut disk = OnDisk::new(small());
    disk.log = None;
    let format = disk.directory.path().join("format");
    let cases = [
        ("footbridge log 1\npartitions 4\n", "the log has format 1, this program knows 2; use the version of the program that wrote it"),
        ("footbridge log 2\npartitions 8\n", "the log has 8 partitions, the configuration says 4; set the count back; it can never change"),
        ("", "this is not the format file of a log; name the directory of a log, or an empty one"),
    ];
    for (text, expected) in cases {
        std::fs::write(&format, text).expect("written");
        let error = disk.open().map(|_| ()).expect_err("refused");
        assert_eq!((error.trouble, error.retry), (Trouble::Format, Retry::Never));
        assert_eq!(error.to_string(), format!("{}: {expected}", format.display()));
        assert_eq!(std::fs::read_to_string(&format).expect("still there"), text);
    }
    std::fs::remove_file(&format).expect("removed");
    let error = disk.open().map(|_| ()).expect_err("a store without its format");
    assert!(error.to_string().ends_with("the directory is not empty and holds no log; name an empty directory"), "{error}");
}

#[test]
fn a_directory_below_a_file_is_an_error_of_the_system() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("written");
    let error = Embedded::open(&file.join("log"), small(), VirtualClock::at(start()).clock()).map(|_| ()).expect_err("no directory");
    assert_eq!(error.trouble, Trouble::System);
}

#[test]
fn appends_are_refused_when_the_disk_is_nearly_full_and_commits_go_on() {
    let mut disk = OnDisk::new(small());
    append(disk.log(), vec![entry(HERE, "a", "1")]).expect("taken");
    disk.settings.reserve_bytes = u64::MAX;
    disk.reopen();
    let mut session = disk.sessions(1).remove(0);
    let error = append(disk.log(), vec![entry(HERE, "b", "1")]).expect_err("nearly full");
    assert_eq!((error.trouble, error.retry), (Trouble::DiskFull, Retry::Later));
    assert_eq!(told(&drain(&mut *session).records), ["landing/0@0 a=1"]);
    session.commit(Commit { positions: vec![(HERE, 1)], ..Commit::default() }).expect("committed");
}

#[test]
fn a_full_queue_gives_the_entries_back() {
    let disk = OnDisk::new(Settings { queue_bytes_max: 200, ..small() });
    // The writer is held in the answer to the first append.
    let (entered, wait_entered) = sync_channel(0);
    let (go, wait_go) = sync_channel::<()>(0);
    let held = Box::new(move |_| {
        entered.send(()).expect("the test waits");
        wait_go.recv().expect("the test lets go");
    });
    disk.log().append(vec![entry(HERE, "a", "1")], held).expect("room");
    wait_entered.recv().expect("the writer is there");
    let big = "x".repeat(300);
    disk.log().append(vec![entry(HERE, "b", &big)], Box::new(|done| assert!(done.is_ok()))).expect("one of any size fits when none waits");
    let full = disk.log().append(vec![entry(HERE, "c", "1"), entry(HERE, "d", "1")], Box::new(|_| ())).expect_err("full");
    assert_eq!(full.entries, [entry(HERE, "c", "1"), entry(HERE, "d", "1")]);
    go.send(()).expect("the writer waits");
    let mut session = disk.sessions(1).remove(0);
    assert_eq!(told(&drain(&mut *session).records), ["landing/0@0 a=1".to_string(), format!("landing/0@1 b={big}")]);
}

#[test]
fn a_commit_that_gets_no_answer_ends_the_log_and_nothing_is_assumed() {
    let mut disk = OnDisk::new(Settings { answer_within: Duration::from_millis(200), ..small() });
    let mut session = disk.sessions(1).remove(0);
    drain(&mut *session);
    let (entered, wait_entered) = sync_channel(0);
    let (go, wait_go) = sync_channel::<()>(0);
    let held = Box::new(move |_| {
        entered.send(()).expect("the test waits");
        wait_go.recv().expect("the test lets go");
    });
    disk.log().append(vec![entry(HERE, "a", "1")], held).expect("room");
    wait_entered.recv().expect("the writer is there");
    let error = session.commit(Commit { outputs: vec![event("m", Some("1"))], ..Commit::default() }).expect_err("no answer");
    assert_eq!((error.trouble, error.retry), (Trouble::Stopped, Retry::Never));
    assert!(session.abort().is_err() && session.poll(Duration::ZERO, &mut Batch::default()).is_err());
    assert_eq!(append(disk.log(), vec![entry(HERE, "b", "1")]).expect_err("over").trouble, Trouble::Stopped);
    go.send(()).expect("the writer waits");
    drop(session);
    disk.reopen();
    // It was under way: here the writer came to it after all, and it is there, whole.
    assert_eq!(disk.outputs(&audience()).len(), 1);
}

#[test]
fn a_poll_wakes_for_a_record_and_a_follower_for_an_event() {
    let disk = OnDisk::new(small());
    let mut session = disk.sessions(1).remove(0);
    drain(&mut *session);
    let long = Duration::from_secs(60);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| disk.log().follow(&audience(), 0, 10, long).expect("events"));
        let worker = scope.spawn(move || {
            let mut batch = Batch::default();
            session.poll(long, &mut batch).expect("a poll");
            commit(&mut *session, vec![event("m", Some("1"))]);
            told(&batch.records)
        });
        append(disk.log(), vec![entry(HERE, "a", "1")]).expect("taken");
        assert_eq!(worker.join().expect("no panic"), ["landing/0@0 a=1"]);
        let found = reader.join().expect("no panic");
        assert_eq!((found.list.len(), found.next), (1, 1));
    });
    assert_eq!(disk.log().follow(&audience(), 1, 10, Duration::ZERO).expect("events").next, 1);
}

#[test]
fn superseded_events_and_tombstones_go_after_their_time_and_the_newest_stay() {
    let day = Span::days(1);
    let mut disk = OnDisk::new(Settings { superseded_for: Span::days(2), quarantine_for: Span::days(3), ..small() });
    let mut session = disk.sessions(1).remove(0);
    commit(&mut *session, vec![event("a", Some("1")), event("b", Some("1")), event("c", Some("1"))]);
    disk.clock.advance(day);
    let held = Output { topic: OutTopic::Quarantine, ..event("p", Some("why")) };
    commit(&mut *session, vec![event("a", Some("2")), event("b", None), held]);
    let offsets = |disk: &OnDisk| disk.outputs(&audience()).iter().map(|stored| stored.offset).collect::<Vec<_>>();
    disk.clock.advance(Span(2 * day.0 - 1));
    append(disk.log(), vec![entry(HERE, "x", "")]).expect("taken");
    assert_eq!(offsets(&disk), [0, 1, 2, 3, 4]);
    disk.clock.advance(Span::seconds(2));
    append(disk.log(), vec![entry(HERE, "x", "")]).expect("taken");
    assert_eq!(offsets(&disk), [2, 3]);
    let value = |key: &str| disk.log().newest(&audience(), key.as_bytes()).expect("read").and_then(|stored| stored.value);
    assert_eq!((value("a"), value("b"), value("c")), (Some(b"2".to_vec()), None, Some(b"1".to_vec())));
    assert_eq!(disk.outputs(&OutTopic::Quarantine).len(), 1);
    disk.clock.advance(day);
    append(disk.log(), vec![entry(HERE, "x", "")]).expect("taken");
    assert_eq!(disk.outputs(&OutTopic::Quarantine), []);
    // What was the newest for long goes once it is superseded, also after a start; offsets never come twice.
    drop(session);
    disk.reopen();
    let mut session = disk.sessions(1).remove(0);
    commit(&mut *session, vec![event("c", Some("2"))]);
    disk.clock.advance(Span::days(3));
    append(disk.log(), vec![entry(HERE, "x", "")]).expect("taken");
    assert_eq!(offsets(&disk), [3, 5]);
    assert_eq!(disk.log().audiences().expect("names"), ["flu-shot".into()]);
}

#[test]
fn pruning_is_done_in_slices_until_nothing_is_due() {
    let disk = OnDisk::new(Settings { disclosures_for: Span::days(1), ..small() });
    let mut session = disk.sessions(1).remove(0);
    let one = || Output { topic: OutTopic::Disclosures, ..event("p", Some("why")) };
    commit(&mut *session, (0..100).map(|_| one()).collect());
    disk.clock.advance(Span::days(2));
    let mut left = vec![disk.outputs(&OutTopic::Disclosures).len()];
    while left.last() != Some(&0) && left.len() < 50 {
        append(disk.log(), vec![entry(HERE, "x", "")]).expect("taken");
        left.push(disk.outputs(&OutTopic::Disclosures).len());
    }
    assert_eq!(left, [100, 84, 68, 52, 36, 20, 4, 0]);
}

#[test]
fn readers_get_pages_one_and_remove_from_quarantine() {
    let disk = OnDisk::new(small());
    let mut session = disk.sessions(1).remove(0);
    let held = |key: &str| Output { topic: OutTopic::Quarantine, ..event(key, Some(key)) };
    commit(&mut *session, vec![held("p1"), held("p2"), held("p3")]);
    let page = disk.log().outputs(&OutTopic::Quarantine, 0, 2).expect("a page");
    assert_eq!((page.list.len(), page.next), (2, 2));
    assert_eq!(disk.log().outputs(&OutTopic::Quarantine, page.next, 2).expect("a page").list.len(), 1);
    assert_eq!(disk.log().newest(&OutTopic::Quarantine, b"p2").expect("read").map(|stored| stored.offset), Some(1));
    disk.log().remove_quarantined(b"p2").expect("removed");
    disk.log().remove_quarantined(b"nobody").expect("nothing to remove");
    assert_eq!(disk.log().newest(&OutTopic::Quarantine, b"p2").expect("read"), None);
    assert_eq!(disk.outputs(&OutTopic::Quarantine).len(), 2);
}

#[test]
fn definitions_are_kept_by_hash() {
    let mut disk = OnDisk::new(small());
    disk.log().define(b"h1", Some(b"content".to_vec())).expect("kept");
    disk.log().define(b"h2", Some(b"other".to_vec())).expect("kept");
    disk.log().define(b"h2", None).expect("forgotten");
    disk.reopen();
    assert_eq!(disk.log().definition(b"h1").expect("read").as_deref(), Some(&b"content"[..]));
    assert_eq!(disk.log().definition(b"h2").expect("read"), None);
    assert_eq!(disk.log().definitions().expect("read"), [b"h1".as_slice()]);
    assert_eq!(disk.log().define(b"", None).expect_err("no hash").trouble, Trouble::Refused);
}

#[test]
fn what_was_taken_before_the_close_is_durable_and_answered() {
    let mut disk = OnDisk::new(small());
    let (answer, answers) = std::sync::mpsc::channel();
    for n in 0..100 {
        let answer = answer.clone();
        let done = Box::new(move |done: Result<Stamped, LogError>| answer.send(done.is_ok()).expect("the test waits"));
        disk.log().append(vec![entry(HERE, &n.to_string(), "v")], done).expect("room");
    }
    disk.reopen();
    drop(answer);
    assert_eq!(answers.iter().filter(|ok| *ok).count(), 100);
    assert_eq!(drain(&mut *disk.sessions(1).remove(0)).records.len(), 100);
}
