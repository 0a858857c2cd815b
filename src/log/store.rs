//! The log that an instance runs on: embedded, or Kafka.
//!
//! In: questions of commands and pages, entries of sources. Out: the same answers from either.
//! Never here: how either keeps anything.

use super::embedded::Embedded;
use super::kafka::Kafka;
use super::{Bytes, Done, Entry, Full, Landing, LogError, OutTopic, Outputs, Place, Stored};
use std::time::Duration;

#[derive(Clone)]
pub enum Store {
    Embedded(Embedded),
    Kafka(Kafka),
}

impl Store {
    /// Whether appends are taken now; else why not.
    pub fn takes(&self) -> Result<(), LogError> {
        match self {
            Store::Embedded(log) => log.takes(),
            Store::Kafka(log) => log.takes(),
        }
    }

    /// Names of all audiences that ever had an event, in order.
    pub fn audiences(&self) -> Result<Vec<Box<str>>, LogError> {
        match self {
            Store::Embedded(log) => log.audiences(),
            Store::Kafka(log) => log.audiences(),
        }
    }

    /// Up to `max` outputs of a topic from an offset on; `next` is where to go on.
    pub fn outputs(&self, topic: &OutTopic, from: u64, max: usize) -> Result<Outputs, LogError> {
        match self {
            Store::Embedded(log) => log.outputs(topic, from, max),
            Store::Kafka(log) => log.outputs(topic, from, max),
        }
    }

    /// The offset after the newest output of a topic.
    pub fn end_of(&self, topic: &OutTopic) -> Result<u64, LogError> {
        match self {
            Store::Embedded(log) => log.end_of(topic),
            Store::Kafka(log) => log.end_of(topic),
        }
    }

    /// As `outputs`, but waits at most `wait` for the first.
    pub fn follow(&self, topic: &OutTopic, from: u64, max: usize, wait: Duration) -> Result<Outputs, LogError> {
        match self {
            Store::Embedded(log) => log.follow(topic, from, max, wait),
            Store::Kafka(log) => log.follow(topic, from, max, wait),
        }
    }

    /// The newest output under a key.
    pub fn newest(&self, topic: &OutTopic, key: &[u8]) -> Result<Option<Stored>, LogError> {
        match self {
            Store::Embedded(log) => log.newest(topic, key),
            Store::Kafka(log) => log.newest(topic, key),
        }
    }

    /// Records that were appended and not worked off: at most so many.
    pub fn behind(&self) -> Result<u64, LogError> {
        match self {
            Store::Embedded(log) => log.behind(),
            Store::Kafka(log) => Ok(log.behind()),
        }
    }

    pub fn is_worked_off(&self) -> Result<bool, LogError> {
        Ok(self.behind()? == 0)
    }

    /// Takes one out of quarantine. Nothing happens where there is none.
    pub fn remove_quarantined(&self, key: &[u8]) -> Result<(), LogError> {
        match self {
            Store::Embedded(log) => log.remove_quarantined(key),
            Store::Kafka(log) => log.remove_quarantined(key),
        }
    }

    /// Keeps content under its hash, or with `None` forgets it. Durable when it returns.
    pub fn define(&self, hash: &[u8], content: Option<Vec<u8>>) -> Result<(), LogError> {
        match self {
            Store::Embedded(log) => log.define(hash, content),
            Store::Kafka(log) => log.define(hash, content),
        }
    }

    pub fn definition(&self, hash: &[u8]) -> Result<Option<Bytes>, LogError> {
        match self {
            Store::Embedded(log) => log.definition(hash),
            Store::Kafka(log) => Ok(log.definition(hash)),
        }
    }

    /// Whether this instance is the one that gives orders to all partitions.
    pub fn leads(&self) -> bool {
        match self {
            Store::Embedded(_) => true,
            Store::Kafka(log) => log.leads(),
        }
    }

    /// Whoever led before can keep nothing from here on, and what it kept is known here.
    pub fn take_lead(&self) -> Result<(), LogError> {
        match self {
            Store::Embedded(_) => Ok(()),
            Store::Kafka(log) => log.take_lead(),
        }
    }

    /// As `define`, of what only the leader may decide: an error where another has taken the lead.
    pub fn keep(&self, key: &[u8], content: Option<Vec<u8>>) -> Result<(), LogError> {
        match self {
            Store::Embedded(log) => log.define(key, content),
            Store::Kafka(log) => log.keep(key, content),
        }
    }

    /// State of a place that another instance holds, as far as it has come here.
    pub fn elsewhere(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError> {
        match self {
            Store::Embedded(_) => Ok(None),
            Store::Kafka(log) => log.elsewhere(place, key),
        }
    }

    /// The next offset that another instance reads of a place.
    pub fn position_elsewhere(&self, place: Place) -> Result<Option<u64>, LogError> {
        match self {
            Store::Embedded(_) => Ok(None),
            Store::Kafka(log) => log.position_elsewhere(place),
        }
    }

    /// Why it does not hear of what other instances do.
    pub fn follows(&self) -> Result<(), LogError> {
        match self {
            Store::Embedded(_) => Ok(()),
            Store::Kafka(log) => log.follows(),
        }
    }

    /// The hashes of all definitions kept, in their order.
    pub fn definitions(&self) -> Result<Vec<Bytes>, LogError> {
        match self {
            Store::Embedded(log) => log.definitions(),
            Store::Kafka(log) => Ok(log.definitions()),
        }
    }
}

impl Landing for Store {
    fn append(&self, entries: Vec<Entry>, done: Done) -> Result<(), Full> {
        match self {
            Store::Embedded(log) => log.append(entries, done),
            Store::Kafka(log) => log.append(entries, done),
        }
    }
}
