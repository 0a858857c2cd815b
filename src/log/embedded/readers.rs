//! What commands and pages read: events of an audience, disclosures, quarantine, definitions.
//!
//! In: a topic and an offset or a key. Out: outputs in order, a bounded number at a time; news of more.
//! Never here: a record of landing or a member's state.

use super::layout::{decode_output, newest_key, offset_at, output_key, place_key, record_key, stream, topic_of};
use super::{Embedded, error};
use crate::log::{Bytes, LogError, OutTopic, Outputs, Place, Stored, Topic};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

impl Embedded {
    /// Names of all audiences that ever had an event, in order.
    pub fn audiences(&self) -> Result<Vec<Box<str>>, LogError> {
        let mut names = Vec::new();
        for guard in self.shared().spaces.meta.prefix([2]) {
            let key = guard.key().map_err(|e| error(&self.shared().directory, &e))?;
            if let OutTopic::Audience(name) = topic_of(&key)? {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Up to `max` outputs of a topic from an offset on. Pruned ones are not there; `next` is where to go on.
    pub fn outputs(&self, topic: &OutTopic, from: u64, max: usize) -> Result<Outputs, LogError> {
        let shared = self.shared();
        let stream = stream(topic);
        let mut found = Outputs { list: Vec::new(), next: from };
        for guard in shared.spaces.outputs.range(output_key(&stream, from)..=output_key(&stream, u64::MAX)).take(max) {
            let (key, value) = guard.into_inner().map_err(|e| error(&shared.directory, &e))?;
            let offset = offset_at(&key, stream.len(), "outputs")?;
            found.list.push(decode_output(offset, &value)?);
            found.next = offset + 1;
        }
        Ok(found)
    }

    /// How many outputs a topic ever had.
    pub fn end_of(&self, topic: &OutTopic) -> Result<u64, LogError> {
        let shared = self.shared();
        let stream = stream(topic);
        let range = output_key(&stream, 0)..=output_key(&stream, u64::MAX);
        let Some(last) = shared.spaces.outputs.range(range).next_back() else { return Ok(0) };
        let key = last.key().map_err(|e| error(&shared.directory, &e))?;
        Ok(offset_at(&key, stream.len(), "outputs")? + 1)
    }

    /// As `outputs`, but waits at most `wait` for the first.
    pub fn follow(&self, topic: &OutTopic, from: u64, max: usize, wait: Duration) -> Result<Outputs, LogError> {
        let until = Instant::now() + wait;
        loop {
            let seen = self.shared().outputs.seen();
            let found = self.outputs(topic, from, max)?;
            let left = until.saturating_duration_since(Instant::now());
            if !found.list.is_empty() || left.is_zero() {
                return Ok(found);
            }
            self.shared().outputs.wait(seen, left);
        }
    }

    /// The newest output under a key: an audience's state of a member, or what stands in quarantine.
    pub fn newest(&self, topic: &OutTopic, key: &[u8]) -> Result<Option<Stored>, LogError> {
        let shared = self.shared();
        let stream = stream(topic);
        // One moment for both reads: a commit or a prune may come between them.
        let moment = shared.database.snapshot();
        use fjall::Readable;
        let failed = |e| error(&shared.directory, &e);
        let Some(offset) = moment.get(&shared.spaces.newest, newest_key(&stream, key)).map_err(failed)? else { return Ok(None) };
        let offset = offset_at(&offset, 0, "newest")?;
        let stored = moment.get(&shared.spaces.outputs, output_key(&stream, offset)).map_err(failed)?;
        stored.map(|bytes| decode_output(offset, &bytes)).transpose()
    }

    /// Whether everything that was appended has been read and committed.
    pub fn is_worked_off(&self) -> Result<bool, LogError> {
        Ok(self.behind()? == 0)
    }

    /// Records that were appended and not worked off: at most so many, for compaction leaves gaps.
    pub fn behind(&self) -> Result<u64, LogError> {
        let shared = self.shared();
        let failed = |e| error(&shared.directory, &e);
        let mut behind = 0;
        // One moment for all: what goes from one partition to another is seen in one of them.
        let moment = shared.database.snapshot();
        use fjall::Readable;
        for partition in 0..shared.settings.partitions {
            for topic in [Topic::Landing, Topic::Owners] {
                let range = record_key(partition, 0)..=record_key(partition, u64::MAX);
                let Some(last) = moment.range(shared.spaces.records(topic), range).next_back() else { continue };
                let last = offset_at(&last.key().map_err(failed)?, 2, "landing")?;
                let position = moment.get(&shared.spaces.positions, place_key(Place { topic, partition })).map_err(failed)?;
                let position = position.map(|bytes| offset_at(&bytes, 0, "positions")).transpose()?.unwrap_or(0);
                behind += (last + 1).saturating_sub(position);
            }
        }
        Ok(behind)
    }

    /// Takes one out of quarantine. Nothing happens where there is none.
    pub fn remove_quarantined(&self, key: &[u8]) -> Result<(), LogError> {
        self.shared().queue.remove_quarantined(&self.shared().directory.display().to_string(), key)
    }

    /// Keeps content under its hash, or with `None` forgets it. Durable when it returns.
    pub fn define(&self, hash: &[u8], content: Option<Vec<u8>>) -> Result<(), LogError> {
        self.shared().queue.define(&self.shared().directory.display().to_string(), hash, content)
    }

    pub fn definition(&self, hash: &[u8]) -> Result<Option<Bytes>, LogError> {
        self.shared().spaces.definitions.get(hash).map_err(|e| error(&self.shared().directory, &e))
    }

    /// The hashes of all definitions kept, in their order.
    pub fn definitions(&self) -> Result<Vec<Bytes>, LogError> {
        let all = self.shared().spaces.definitions.iter();
        all.map(|guard| guard.key().map_err(|e| error(&self.shared().directory, &e))).collect()
    }
}

/// Tells readers that something new is there.
#[derive(Default)]
pub struct News {
    count: Mutex<u64>,
    told: Condvar,
}

impl News {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn bump(&self) {
        *self.lock() += 1;
        self.told.notify_all();
    }

    fn seen(&self) -> u64 {
        *self.lock()
    }

    fn wait(&self, seen: u64, wait: Duration) {
        drop(self.told.wait_timeout_while(self.lock(), wait, |count| *count == seen));
    }
}
