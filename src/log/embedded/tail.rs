//! The tail: new records in memory, on their way from the writer to one session.
//!
//! In: durable records, in the order of their offsets. Out: the same, once; or the news that they must be read from disk.
//! Never here: more bytes than the bound.

use crate::log::{LogError, Place, Record};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub struct Tail {
    bytes_max: usize,
    state: Mutex<State>,
    news: Condvar,
}

pub struct State {
    lanes: BTreeMap<Place, Lane>,
    bytes: usize,
    /// Raised by each push, so that a session that looked everywhere can tell whether to look again.
    pushes: u64,
    over: Option<LogError>,
}

struct Lane {
    /// The last records before `end`, without a gap between them that is not one in the log.
    records: VecDeque<Record>,
    /// All records from here to `end` are in `records`.
    from: u64,
    end: u64,
}

/// What a session finds for one place.
pub enum Next {
    Record(Record),
    /// Read from disk up to this offset.
    OnDisk(u64),
    End,
}

impl Tail {
    pub fn new(bytes_max: usize, ends: impl Iterator<Item = (Place, u64)>) -> Tail {
        let lanes = ends.map(|(place, end)| (place, Lane { records: VecDeque::new(), from: end, end })).collect();
        Tail { bytes_max, state: Mutex::new(State { lanes, bytes: 0, pushes: 0, over: None }), news: Condvar::new() }
    }

    /// Only plain moves happen under the lock: what a thread left behind is whole.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes those records whose places are this session's.
    pub fn push(&self, records: &[Record]) {
        let mut state = self.lock();
        let state = &mut *state;
        for record in records {
            let Some(lane) = state.lanes.get_mut(&record.place) else { continue };
            lane.end = record.offset + 1;
            let size = record.whole().len();
            if state.bytes + size > self.bytes_max {
                // The session is behind: it reads this lane from disk.
                state.bytes -= lane.records.drain(..).map(|record| record.whole().len()).sum::<usize>();
                lane.from = lane.end;
            } else {
                state.bytes += size;
                lane.records.push_back(record.clone());
            }
        }
        state.pushes += 1;
        self.news.notify_all();
    }

    /// No session will get anything more from here.
    pub fn close(&self, why: LogError) {
        self.lock().over.get_or_insert(why);
        self.news.notify_all();
    }

    /// Waits for a push after the `seen`th, at most so long.
    pub fn wait(&self, seen: u64, wait: Duration) {
        let quiet = |state: &mut State| state.pushes == seen && state.over.is_none();
        drop(self.news.wait_timeout_while(self.lock(), wait, quiet));
    }
}

impl State {
    pub fn pushes(&self) -> u64 {
        self.pushes
    }

    pub fn over(&self) -> Option<&LogError> {
        self.over.as_ref()
    }

    /// What comes at or after the offset `next`. Records before it are let go.
    pub fn next(&mut self, place: Place, next: u64) -> Next {
        let Some(lane) = self.lanes.get_mut(&place) else { return Next::End };
        if next < lane.from {
            return Next::OnDisk(lane.from);
        }
        while let Some(record) = lane.records.pop_front() {
            self.bytes -= record.whole().len();
            lane.from = record.offset + 1;
            if record.offset >= next {
                return Next::Record(record);
            }
        }
        lane.from = lane.end;
        Next::End
    }

    pub fn end(&self, place: Place) -> u64 {
        self.lanes.get(&place).map_or(0, |lane| lane.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Entry, Headers, Kind};
    use footbridge_core::time::Instant;

    const HERE: Place = Place::landing(0);

    fn record(offset: u64) -> Record {
        let headers = Headers { kind: Kind::Put, resource_type: "".into(), version: 0, more: false, source: "".into() };
        Record::new(&Entry { place: HERE, key: vec![], headers, value: vec![0; 78] }, offset, Instant::from_micros(0))
    }

    fn found(tail: &Tail, next: u64) -> String {
        match tail.lock().next(HERE, next) {
            Next::Record(record) => format!("record {}", record.offset),
            Next::OnDisk(until) => format!("disk until {until}"),
            Next::End => "end".into(),
        }
    }

    #[test]
    fn a_session_that_keeps_up_gets_all_from_memory() {
        let tail = Tail::new(250, [(HERE, 5)].into_iter());
        assert_eq!(found(&tail, 5), "end");
        tail.push(&[record(5), record(6)]);
        assert_eq!([found(&tail, 5), found(&tail, 6), found(&tail, 7)], ["record 5", "record 6", "end"]);
    }

    #[test]
    fn over_the_bound_the_lane_is_left_to_the_disk_and_goes_on_after_it() {
        let tail = Tail::new(250, [(HERE, 0)].into_iter());
        tail.push(&[record(0), record(1), record(2)]);
        assert_eq!(found(&tail, 0), "disk until 3");
        assert_eq!(tail.lock().bytes, 0);
        tail.push(&[record(3)]);
        assert_eq!(found(&tail, 1), "disk until 3");
        assert_eq!([found(&tail, 3), found(&tail, 4)], ["record 3", "end"]);
    }

    #[test]
    fn going_back_leads_to_the_disk_as_far_as_memory_was_given_away() {
        let tail = Tail::new(1000, [(HERE, 0)].into_iter());
        tail.push(&[record(0), record(1), record(2)]);
        assert_eq!([found(&tail, 0), found(&tail, 1), found(&tail, 0)], ["record 0", "record 1", "disk until 2"]);
        assert_eq!(found(&tail, 2), "record 2");
    }
}
