//! The writer: one thread that makes everything durable, as many jobs with one sync as wait for it.
//!
//! In: jobs from the queue. Out: durable records in the tails, answers, news for the readers.
//! Never here: an answer before the sync, or another write after one that failed.

use super::group::{Ends, Group};
use super::layout::{doomed_key, offset_at, place_key};
use super::queue::{Answer, Job};
use super::session::{Seat, Session};
use super::tail::Tail;
use super::{Handle, Shared, error};
use crate::log::{LogError, Place};
use fjall::PersistMode;
use footbridge_core::time::{Instant, Span};
use std::sync::{Arc, Weak};

pub struct Writer {
    pub shared: Arc<Shared>,
    /// For the sessions that it makes. Weak: the handle's end is the writer's end.
    handle: Weak<Handle>,
    ends: Ends,
    tails: Vec<Arc<Tail>>,
    /// The number of the sessions that hold the places now.
    holders: u64,
    pruned: Pruned,
}

/// How far `doomed` was worked off.
#[derive(Default)]
struct Pruned {
    at: Option<Instant>,
    /// Nothing stands before this key.
    up_to: Vec<u8>,
    more: bool,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, handle: Weak<Handle>, ends: Ends) -> Writer {
        Writer { shared, handle, ends, tails: Vec::new(), holders: 0, pruned: Pruned::default() }
    }

    /// Until the log is closed and the queue is empty, or a write fails.
    pub fn run(mut self) {
        loop {
            let settings = &self.shared.settings;
            let jobs = self.shared.queue.take(settings.group_entries_max, settings.group_bytes_max);
            if jobs.is_empty() {
                return;
            }
            if let Err(error) = self.work(jobs) {
                self.end(error);
                return;
            }
        }
    }

    /// Nothing can be trusted after a write that failed: whether it is on disk shows when the log is opened again.
    fn end(&mut self, error: LogError) {
        self.shared.queue.close(error.clone());
        self.tails.iter().for_each(|tail| tail.close(error.clone()));
        loop {
            let left = self.shared.queue.take(usize::MAX, usize::MAX);
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(|job| job.refuse(error.clone()));
        }
    }

    fn work(&mut self, jobs: Vec<Job>) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let appends = jobs.iter().any(|job| matches!(job, Job::Append { .. }));
        let room = if appends { shared.room() } else { Ok(()) };
        let mut group = Group::new(&shared, &mut self.ends);
        let mut sessions = Vec::new();
        let mut failed = None;
        let mut refused = Vec::new();
        for job in jobs {
            let at = (shared.clock)();
            if let Some(error) = &failed {
                refused.push((job, LogError::clone(error)));
                continue;
            }
            match job {
                Job::Append { entries, done } => match &room {
                    Ok(()) => group.append(&entries, done, at),
                    Err(error) => refused.push((Job::Append { entries, done }, error.clone())),
                },
                Job::Commit { session: Some(session), commit, compaction, reply } if session != self.holders || !sessions.is_empty() => {
                    let job = Job::Commit { session: Some(session), commit, compaction, reply };
                    refused.push((job, LogError::lost(shared.directory.display())));
                }
                Job::Commit { commit, compaction, reply, .. } => {
                    let copy = reply.clone();
                    if let Err(error) = group.commit(&commit, compaction, reply, at) {
                        drop(copy.send(Err(error.clone())));
                        failed = Some(error);
                    }
                }
                Job::Define { hash, content, reply } => group.define(hash, content, reply),
                Job::Sessions { count, reply } => sessions.push((count, reply)),
            }
        }
        let done = match failed {
            Some(error) => Err(error),
            None => self.pruned.prune(&shared, &mut group).and_then(|()| {
                let batch = group.batch.durability(Some(PersistMode::SyncData));
                batch.commit().map_err(|e| error(&shared.directory, &e))
            }),
        };
        let (records, answers, outputs) = (group.records, group.answers, group.outputs);
        for (job, error) in refused {
            job.refuse(error);
        }
        if let Err(error) = done {
            answers.into_iter().for_each(|answer| give(answer, Err(&error)));
            sessions.into_iter().for_each(|(count, reply)| Job::Sessions { count, reply }.refuse(error.clone()));
            return Err(error);
        }
        for tail in &self.tails {
            tail.push(&records);
        }
        if outputs > 0 {
            shared.outputs.bump();
        }
        answers.into_iter().for_each(|answer| give(answer, Ok(())));
        for (count, reply) in sessions {
            // The caller that asked and left has no session; its places come back with the next ones.
            drop(reply.send(self.sessions(count)));
        }
        Ok(())
    }

    /// Splits all places over `count` new sessions. Those that held them until now are lost.
    fn sessions(&mut self, count: usize) -> Result<Vec<Session>, LogError> {
        let at = self.shared.directory.display().to_string();
        let Some(handle) = self.handle.upgrade() else { return Err(LogError::stopped(at)) };
        self.tails.drain(..).for_each(|tail| tail.close(LogError::lost(&at)));
        self.holders += 1;
        let mut made = Vec::with_capacity(count);
        for number in 0..count {
            let mine = self.ends.places.iter().filter(|(place, _)| usize::from(place.partition) % count == number);
            let mine: Vec<(Place, u64)> = mine.map(|(&place, &end)| (place, end)).collect();
            let mut seats = Vec::with_capacity(mine.len());
            for &(place, _) in &mine {
                let stored = self.shared.spaces.positions.get(place_key(place)).map_err(|e| error(&self.shared.directory, &e))?;
                let position = stored.map(|bytes| offset_at(&bytes, 0, "positions")).transpose()?.unwrap_or(0);
                seats.push(Seat::new(place, position));
            }
            let tail = Arc::new(Tail::new(self.shared.settings.tail_bytes_max, mine.into_iter()));
            self.tails.push(Arc::clone(&tail));
            made.push(Session::new(Arc::clone(&handle), self.holders, tail, seats));
        }
        Ok(made)
    }
}

impl Drop for Writer {
    /// However the thread ends: nobody waits for it in vain.
    fn drop(&mut self) {
        self.end(LogError::stopped(self.shared.directory.display()));
    }
}

impl Pruned {
    /// A bounded slice of what is due, at most once a second while there is no more.
    fn prune(&mut self, shared: &Shared, group: &mut Group<'_>) -> Result<(), LogError> {
        let now = (shared.clock)();
        let idle = self.at.is_some_and(|at| at <= now && now.since(at) < Span::seconds(1));
        if !idle || self.more {
            let limit = 16 + 2 * group.outputs;
            let end = doomed_key(now, &[], 0);
            let mut found = 0;
            for guard in shared.spaces.doomed.range(self.up_to.clone()..end.max(self.up_to.clone())).take(limit) {
                let (doomed, key) = guard.into_inner().map_err(|e| error(&shared.directory, &e))?;
                let offset = offset_at(&doomed, doomed.len().saturating_sub(8), "doomed")?;
                let stream = doomed.get(8..doomed.len() - 8).ok_or_else(|| LogError::damaged("doomed", "a key is broken"))?;
                group.prune(stream, offset, &key)?;
                self.up_to = [&doomed[..], &[0]].concat();
                group.batch.remove(&shared.spaces.doomed, doomed);
                found += 1;
            }
            (self.at, self.more) = (Some(now), found == limit);
        }
        if group.doomed_first.as_ref().is_some_and(|first| *first < self.up_to) {
            self.up_to = group.doomed_first.clone().unwrap_or_default();
        }
        Ok(())
    }
}

fn give(answer: Answer, done: Result<(), &LogError>) {
    let done = done.map_err(LogError::clone);
    match answer {
        Answer::Append { done: call, stamped } => call(done.map(|()| stamped)),
        // A session that is gone needs no answer.
        Answer::Reply(reply) => drop(reply.send(done)),
    }
}
