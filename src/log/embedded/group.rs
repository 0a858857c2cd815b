//! A group: jobs that become durable in one act.
//!
//! In: jobs, one after the other, and the ends of all places and streams. Out: one batch for the store, the new records, the
//! answers to give. Never here: a job that is taken by half; it is checked before its first byte is staged.

use super::layout::{doomed_key, encode_output, keyed, newest_key, output_key, place_key, record_key, stream};
use super::queue::{Answer, Compaction, Reply};
use super::{Shared, error};
use crate::log::{Bytes, Commit, Done, Entry, LogError, OutTopic, Output, Place, Record, Stamped};
use fjall::OwnedWriteBatch;
use footbridge_core::time::Instant;
use std::collections::BTreeMap;

/// Where the next record of each place and the next output of each stream goes. Only the writer has it.
#[derive(Clone, Default)]
pub struct Ends {
    pub places: BTreeMap<Place, u64>,
    pub streams: BTreeMap<Vec<u8>, u64>,
}

pub struct Group<'a> {
    shared: &'a Shared,
    ends: &'a mut Ends,
    pub batch: OwnedWriteBatch,
    pub records: Vec<Record>,
    pub answers: Vec<Answer>,
    /// Outputs staged.
    pub outputs: usize,
    /// The newest output of a key as this group leaves it; `None`: none any more.
    newest: BTreeMap<Vec<u8>, Option<u64>>,
    /// The earliest entry staged into `doomed`.
    pub doomed_first: Option<Vec<u8>>,
}

impl<'a> Group<'a> {
    pub fn new(shared: &'a Shared, ends: &'a mut Ends) -> Group<'a> {
        let batch = shared.database.batch();
        let (records, answers) = (Vec::new(), Vec::new());
        Group { shared, ends, batch, records, answers, outputs: 0, newest: BTreeMap::new(), doomed_first: None }
    }

    pub fn append(&mut self, entries: &[Entry], done: Done, at: Instant) {
        match self.check(entries) {
            Ok(()) => {
                entries.iter().for_each(|entry| self.record(entry, at));
                self.answers.push(Answer::Append { done, stamped: Stamped { at } });
            }
            Err(error) => done(Err(error)),
        }
    }

    /// An error of the store ends the log: what was staged is thrown away with the whole group.
    pub fn commit(&mut self, commit: &Commit, compaction: Compaction, reply: Reply<()>, at: Instant) -> Result<(), LogError> {
        if let Err(error) = self.check(&commit.appends) {
            drop(reply.send(Err(error)));
            return Ok(());
        }
        let spaces = &self.shared.spaces;
        for (place, key, value) in &commit.state {
            let key = keyed(*place, key);
            match value {
                Some(value) => self.batch.insert(&spaces.state, key, value.as_slice()),
                None => self.batch.remove(&spaces.state, key),
            }
        }
        for &(place, position) in &commit.positions {
            self.batch.insert(&spaces.positions, place_key(place), position.to_be_bytes());
        }
        for (place, offset) in compaction.remove {
            self.batch.remove(spaces.records(place.topic), record_key(place.partition, offset));
        }
        for (key, newest) in compaction.index {
            match newest {
                Some(offset) => self.batch.insert(&spaces.index, key, offset.to_be_bytes()),
                None => self.batch.remove(&spaces.index, key),
            }
        }
        commit.appends.iter().for_each(|entry| self.record(entry, at));
        for output in &commit.outputs {
            self.output(output, at)?;
        }
        self.answers.push(Answer::Reply(reply));
        Ok(())
    }

    pub fn define(&mut self, hash: Vec<u8>, content: Option<Vec<u8>>, reply: Reply<()>) {
        match content {
            Some(content) => self.batch.insert(&self.shared.spaces.definitions, hash, content),
            None => self.batch.remove(&self.shared.spaces.definitions, hash),
        }
        self.answers.push(Answer::Reply(reply));
    }

    /// Removes an output that is due, and its key where nothing newer stands.
    pub fn prune(&mut self, stream: &[u8], offset: u64, key: &[u8]) -> Result<(), LogError> {
        let spaces = &self.shared.spaces;
        self.batch.remove(&spaces.outputs, output_key(stream, offset));
        let newest = newest_key(stream, key);
        if self.newest(&newest)? == Some(offset) {
            self.set_newest(newest, None);
        }
        Ok(())
    }

    fn check(&self, entries: &[Entry]) -> Result<(), LogError> {
        entries.iter().try_for_each(|entry| match self.ends.places.contains_key(&entry.place) {
            true => entry.check(),
            false => Err(LogError::refused(entry.place, "there is no such partition")),
        })
    }

    fn record(&mut self, entry: &Entry, at: Instant) {
        let end = self.ends.places.entry(entry.place).or_default();
        let record = Record::new(entry, *end, at);
        *end += 1;
        let space = self.shared.spaces.records(entry.place.topic);
        self.batch.insert(space, record_key(entry.place.partition, record.offset), record.whole().clone());
        self.records.push(record);
    }

    fn output(&mut self, output: &Output, at: Instant) -> Result<(), LogError> {
        let settings = &self.shared.settings;
        let stream = stream(&output.topic);
        let key = newest_key(&stream, &output.key);
        self.outputs += 1;
        match &output.topic {
            OutTopic::Disclosures => {
                let offset = self.store(&stream, output, at);
                self.doom(&stream, offset, &output.key, at.plus(settings.disclosures_for));
            }
            OutTopic::Audience(_) => {
                let until = at.plus(settings.superseded_for);
                if let Some(old) = self.newest(&key)? {
                    self.doom(&stream, old, &output.key, until);
                }
                let offset = self.store(&stream, output, at);
                self.set_newest(key, Some(offset));
                if output.value.is_none() {
                    self.doom(&stream, offset, &output.key, until);
                }
            }
            OutTopic::Quarantine => {
                if let Some(old) = self.newest(&key)? {
                    self.batch.remove(&self.shared.spaces.outputs, output_key(&stream, old));
                    self.set_newest(key.clone(), None);
                }
                if output.value.is_some() {
                    let offset = self.store(&stream, output, at);
                    self.set_newest(key, Some(offset));
                    self.doom(&stream, offset, &output.key, at.plus(settings.quarantine_for));
                }
            }
        }
        Ok(())
    }

    /// Puts an output at the end of its stream.
    fn store(&mut self, stream: &[u8], output: &Output, at: Instant) -> u64 {
        let spaces = &self.shared.spaces;
        let end = self.ends.streams.entry(stream.to_vec()).or_default();
        let offset = *end;
        *end += 1;
        self.batch.insert(&spaces.meta, stream, end.to_be_bytes());
        self.batch.insert(&spaces.outputs, output_key(stream, offset), encode_output(output, at));
        offset
    }

    fn doom(&mut self, stream: &[u8], offset: u64, key: &[u8], due: Instant) {
        let doomed = doomed_key(due, stream, offset);
        if self.doomed_first.as_ref().is_none_or(|first| doomed < *first) {
            self.doomed_first = Some(doomed.clone());
        }
        self.batch.insert(&self.shared.spaces.doomed, doomed, key);
    }

    fn newest(&self, key: &[u8]) -> Result<Option<u64>, LogError> {
        if let Some(newest) = self.newest.get(key) {
            return Ok(*newest);
        }
        let stored: Option<Bytes> = self.shared.spaces.newest.get(key).map_err(|e| error(&self.shared.directory, &e))?;
        stored.map(|bytes| super::layout::offset_at(&bytes, 0, "newest")).transpose()
    }

    fn set_newest(&mut self, key: Vec<u8>, offset: Option<u64>) {
        match offset {
            Some(offset) => self.batch.insert(&self.shared.spaces.newest, key.as_slice(), offset.to_be_bytes()),
            None => self.batch.remove(&self.shared.spaces.newest, key.as_slice()),
        }
        self.newest.insert(key, offset);
    }
}
