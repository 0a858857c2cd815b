//! What other instances do: the state of the places that they hold, and definitions, each as it is committed.
//!
//! In: the changelog of places that no session of this process holds; the topic of definitions. Out: a local copy that is a moment
//! behind, so that a place is taken over warm; definitions as they stand. Never here: the copy of a place that is held here.

use super::cache::Known;
use super::error::{log_error, passes};
use super::{Shared, offset_or_beginning};
use crate::log::{LogError, Place, StateChange};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

pub struct Follower {
    shared: Arc<Shared>,
    /// One each, for the end of a partition is told by its number alone.
    changelog: Option<BaseConsumer>,
    definitions: Option<BaseConsumer>,
    places: BTreeSet<Place>,
    /// Those whose end was reached, with nothing behind it since.
    ended: BTreeSet<Place>,
    /// The next offset of the definitions' topic.
    defined: u64,
    /// Since when no session holds anything.
    idle_since: Instant,
    seen: Instant,
}

const WAIT: Duration = Duration::from_millis(100);
/// After a failure.
const REST: Duration = Duration::from_secs(1);
/// Changes that are taken into the copy at once.
const PART: usize = 2000;
/// A process that is given nothing for so long is there to stand by.
const UNGIVEN: Duration = Duration::from_secs(15);
/// So often it is written down that all copies are whole.
const SEEN: Duration = Duration::from_secs(30);

impl Follower {
    /// `defined`: the next offset of the definitions' topic.
    pub fn new(shared: Arc<Shared>, defined: u64) -> Follower {
        let (changelog, definitions, places, ended) = (None, None, BTreeSet::new(), BTreeSet::new());
        let now = Instant::now();
        Follower { shared, changelog, definitions, places, ended, defined, idle_since: now, seen: now }
    }

    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let done = self.turn();
            let failed = done.is_err();
            *self.shared.follows.lock().unwrap_or_else(PoisonError::into_inner) = done.err();
            if failed {
                (self.changelog, self.definitions) = (None, None);
                std::thread::sleep(REST);
            }
        }
    }

    /// What is held elsewhere; nothing before it is known what is held here.
    fn elsewhere(&mut self) -> BTreeSet<Place> {
        let held = self.shared.held();
        if !held.is_empty() {
            self.idle_since = Instant::now();
        } else if self.idle_since.elapsed() < UNGIVEN {
            return BTreeSet::new();
        }
        let partitions = 0..self.shared.settings.partitions;
        partitions.flat_map(|number| [Place::landing(number), Place::owners(number)]).filter(|place| !held.has(*place)).collect()
    }

    fn turn(&mut self) -> Result<(), LogError> {
        self.hear_definitions()?;
        let places = self.elsewhere();
        if self.changelog.is_none() || places != self.places {
            self.assign(places)?;
        }
        let Some(consumer) = &self.changelog else { return Ok(()) };
        let shared = &self.shared;
        let (mut changes, mut known): (Vec<StateChange>, BTreeMap<Place, Known>) = Default::default();
        let mut wait = WAIT;
        while changes.len() < PART {
            match consumer.poll(std::mem::take(&mut wait)) {
                Some(Ok(message)) => {
                    let place = shared.place_of_changelog(message.partition())?;
                    self.ended.remove(&place);
                    let at = match known.entry(place) {
                        Entry::Occupied(slot) => slot.into_mut(),
                        Entry::Vacant(slot) => slot.insert(shared.cache.known(place)?),
                    };
                    changes.extend(shared.changed(place, &message, at)?);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => _ = self.ended.insert(shared.place_of_changelog(partition)?),
                Some(Err(e)) if passes(&e) => break,
                Some(Err(e)) => return Err(log_error(&shared.topics.state, "it cannot be followed", &e)),
                None => break,
            }
        }
        self.take(changes, known)?;
        self.write_down()
    }

    fn hear_definitions(&mut self) -> Result<(), LogError> {
        let topic = &self.shared.topics.definitions;
        let failed = |e: KafkaError| log_error(topic, "it cannot be followed", &e);
        let consumer = match &self.definitions {
            Some(consumer) => consumer,
            None => {
                let consumer: BaseConsumer = self.shared.settings.onlooker().create().map_err(failed)?;
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(topic, 0, offset_or_beginning(self.defined)).map_err(failed)?;
                consumer.assign(&list).map_err(failed)?;
                self.definitions.insert(consumer)
            }
        };
        while let Some(polled) = consumer.poll(Duration::ZERO) {
            match polled {
                Ok(message) => self.defined = self.shared.hear_definition(&message),
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(e) if passes(&e) => break,
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(())
    }

    fn take(&self, mut changes: Vec<StateChange>, mut known: BTreeMap<Place, Known>) -> Result<(), LogError> {
        if known.is_empty() {
            return Ok(());
        }
        // What a session has taken meanwhile is its own to write.
        let held = self.shared.held();
        known.retain(|place, _| !held.has(*place));
        changes.retain(|(place, ..)| !held.has(*place));
        self.shared.cache.take(changes.iter(), &known)
    }

    fn write_down(&mut self) -> Result<(), LogError> {
        if self.seen.elapsed() < SEEN || !self.ended.is_superset(&self.places) {
            return Ok(());
        }
        let all_are_whole = {
            let held = self.shared.held();
            held.all_serve() && held.count() + self.places.len() == 2 * usize::from(self.shared.settings.partitions)
        };
        if !all_are_whole {
            return Ok(());
        }
        self.seen = Instant::now();
        self.shared.cache.see((self.shared.clock)())
    }

    fn assign(&mut self, places: BTreeSet<Place>) -> Result<(), LogError> {
        let shared = &self.shared;
        let failed = |e: KafkaError| log_error(&shared.topics.state, "it cannot be followed", &e);
        let consumer = match self.changelog.take() {
            Some(consumer) => consumer,
            None => shared.settings.onlooker().create().map_err(failed)?,
        };
        let mut list = TopicPartitionList::new();
        for place in &places {
            let (partition, next) = (i32::from(shared.changelog_of(*place)), offset_or_beginning(shared.cache.known(*place)?.changelog));
            list.add_partition_offset(&shared.topics.state, partition, next).map_err(failed)?;
        }
        consumer.assign(&list).map_err(failed)?;
        (self.changelog, self.places) = (Some(consumer), places);
        self.ended.clear();
        Ok(())
    }
}
