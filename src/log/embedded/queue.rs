//! The queue before the writer: appends up to a bound, and one waiting commit a session.
//!
//! In: jobs from sources and sessions. Out: groups of them for the writer, in order.
//! Never here: a job that is dropped without an answer.

use super::session::Session;
use crate::log::{Commit, Done, Entry, Full, KEY_BYTES_MAX, LogError, OutTopic, Output, Place, Stamped};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub type Reply<T> = SyncSender<Result<T, LogError>>;

pub enum Job {
    Append { entries: Vec<Entry>, done: Done },
    Commit { session: Option<u64>, commit: Box<Commit>, compaction: Compaction, reply: Reply<()> },
    Define { hash: Vec<u8>, content: Option<Vec<u8>>, reply: Reply<()> },
    Sessions { count: usize, reply: Reply<Vec<Session>> },
}

/// What compaction does in the same act as a commit: records to remove, and the index as it will be.
#[derive(Default)]
pub struct Compaction {
    pub remove: Vec<(Place, u64)>,
    /// Key in the index, and the newest offset, if any is left.
    pub index: Vec<(Vec<u8>, Option<u64>)>,
}

impl Job {
    pub fn refuse(self, error: LogError) {
        // A caller that no longer waits for the answer needs none.
        match self {
            Job::Append { done, .. } => done(Err(error)),
            Job::Commit { reply, .. } | Job::Define { reply, .. } => drop(reply.send(Err(error))),
            Job::Sessions { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// A durable job, and who waits for the news.
pub enum Answer {
    Append { done: Done, stamped: Stamped },
    Reply(Reply<()>),
}

pub struct Queue {
    append_bytes_max: usize,
    answer_within: Duration,
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    append_bytes: usize,
    closed: Option<LogError>,
}

impl Queue {
    pub fn new(append_bytes_max: usize, answer_within: Duration) -> Queue {
        Queue { append_bytes_max, answer_within, state: Mutex::default(), news: Condvar::new() }
    }

    /// Only plain moves happen under the lock: what a thread left behind is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Full` unless it fits or nothing else waits.
    pub fn append(&self, entries: Vec<Entry>, done: Done) -> Result<(), Full> {
        let bytes = size(&entries);
        let mut state = self.lock();
        if let Some(error) = state.closed.clone() {
            drop(state);
            done(Err(error));
            return Ok(());
        }
        if state.append_bytes > 0 && state.append_bytes + bytes > self.append_bytes_max {
            return Err(Full { entries, done });
        }
        state.append_bytes += bytes;
        state.jobs.push_back(Job::Append { entries, done });
        self.news.notify_one();
        Ok(())
    }

    /// Takes one out of quarantine, as a commit without a session.
    pub fn remove_quarantined(&self, at: &str, key: &[u8]) -> Result<(), LogError> {
        let output = Output { topic: OutTopic::Quarantine, key: key.to_vec(), headers: Vec::new(), value: None };
        output.check()?;
        let commit = Box::new(Commit { outputs: vec![output], ..Commit::default() });
        self.ask(at, |reply| Job::Commit { session: None, commit, compaction: Default::default(), reply })
    }

    /// Keeps content under its hash, or with `None` forgets it.
    pub fn define(&self, at: &str, hash: &[u8], content: Option<Vec<u8>>) -> Result<(), LogError> {
        let hash = hash.to_vec();
        if hash.is_empty() || hash.len() > KEY_BYTES_MAX {
            return Err(LogError::refused("definitions", "the hash of a definition has no length that fits"));
        }
        self.ask(at, |reply| Job::Define { hash, content, reply })
    }

    /// Hands a job to the writer and waits for its answer.
    pub fn ask<T>(&self, at: &str, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, LogError> {
        let (reply, answer): (_, Receiver<Result<T, LogError>>) = sync_channel(1);
        {
            let mut state = self.lock();
            if let Some(error) = state.closed.clone() {
                return Err(error);
            }
            state.jobs.push_back(job(reply));
            self.news.notify_one();
        }
        match answer.recv_timeout(self.answer_within) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => Err(LogError::stopped(at)),
            Err(RecvTimeoutError::Timeout) => {
                let mut error = LogError::stopped(at);
                error.what = "the disk does not answer".into();
                error.hint = "see to the disk and its free space, then start the instance again";
                self.close(error.clone());
                Err(error)
            }
        }
    }

    /// Waits for jobs and takes them up to the bounds, at least one. Empty: closed, and nothing is left.
    pub fn take(&self, entries_max: usize, bytes_max: usize) -> Vec<Job> {
        let mut state = self.news.wait_while(self.lock(), |state| state.jobs.is_empty() && state.closed.is_none());
        let state = state.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
        let (mut jobs, mut entries, mut bytes) = (Vec::new(), 0, 0);
        while let Some(job) = state.jobs.front() {
            let appended = match job {
                Job::Append { entries, .. } => entries.as_slice(),
                Job::Commit { commit, .. } => commit.appends.as_slice(),
                Job::Define { .. } | Job::Sessions { .. } => &[],
            };
            (entries, bytes) = (entries + appended.len(), bytes + size(appended));
            if !jobs.is_empty() && (entries > entries_max || bytes > bytes_max) {
                break;
            }
            if let Job::Append { entries, .. } = job {
                state.append_bytes -= size(entries);
            }
            jobs.extend(state.jobs.pop_front());
        }
        jobs
    }

    /// From now on every job is answered with this error; those that wait already are left to the writer.
    pub fn close(&self, why: LogError) {
        self.lock().closed.get_or_insert(why);
        self.news.notify_all();
    }
}

fn size(entries: &[Entry]) -> usize {
    entries.iter().map(Entry::bytes).sum()
}
