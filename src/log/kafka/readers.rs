//! What commands and pages read from the topics: events, disclosures, quarantine, definitions; landing from the beginning.
//!
//! In: a topic and an offset. Out: committed records in order, a bounded number at a time.
//! Never here: a record of an open or aborted transaction.

use super::error::{log_error, passes};
use super::{Defined, HEAD, Kafka, Shared, offset_or_beginning};
use crate::log::{Bytes, LogError, OutTopic, Outputs, Place, Record, Stored};
use footbridge_core::time::Instant as Stamp;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where a reader stands still at the end of a partition.
enum AtEnd {
    Stop,
    WaitUntil(Instant),
}

impl Shared {
    /// Committed messages of one partition from an offset on, until `each` breaks or the end is reached.
    fn read(
        &self,
        topic: &str,
        partition: u16,
        from: u64,
        end: AtEnd,
        each: &mut dyn FnMut(&BorrowedMessage<'_>) -> Result<ControlFlow<()>, LogError>,
    ) -> Result<(), LogError> {
        let consumer = self.onlooker()?;
        let failed = |e: KafkaError| log_error(topic, "it cannot be read", &e);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, i32::from(partition), offset_or_beginning(from)).map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        let mut heard = Instant::now();
        loop {
            match consumer.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    if each(&message)?.is_break() {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    heard = Instant::now();
                    if matches!(end, AtEnd::Stop) {
                        break;
                    }
                }
                Some(Err(e)) if !passes(&e) => return Err(failed(e)),
                Some(Err(_)) | None => {}
            }
            match end {
                AtEnd::WaitUntil(until) if Instant::now() >= until => break,
                AtEnd::Stop if heard.elapsed() > self.settings.answer_within => {
                    return Err(failed(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut)));
                }
                AtEnd::WaitUntil(_) | AtEnd::Stop => {}
            }
        }
        // After a failure it is thrown away.
        self.onlookers().push(consumer);
        Ok(())
    }

    fn onlookers(&self) -> MutexGuard<'_, Vec<BaseConsumer>> {
        self.onlookers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that was used before, if there is: it is connected already.
    fn onlooker(&self) -> Result<BaseConsumer, LogError> {
        if let Some(idle) = self.onlookers().pop() {
            return Ok(idle);
        }
        self.settings.onlooker().create().map_err(|e| log_error(&self.settings.bootstrap, "the consumer cannot be made", &e))
    }

    /// The landing records of a place from `from` up to `until`: a bounded number, and where to go on.
    pub fn replay(&self, place: Place, from: u64, until: u64, records: &mut Vec<Record>) -> Result<Option<u64>, LogError> {
        let (mut next, mut bytes, mut left) = (from, 0, self.settings.poll_records_max);
        if from >= until {
            return Ok(None);
        }
        let mut ended = true;
        self.read(self.topics.of(place.topic), place.partition, from, AtEnd::Stop, &mut |message| {
            let offset = u64::try_from(message.offset()).unwrap_or(u64::MAX);
            if offset >= until {
                return Ok(ControlFlow::Break(()));
            }
            if left == 0 || bytes >= self.settings.poll_bytes_max {
                ended = false;
                return Ok(ControlFlow::Break(()));
            }
            next = offset + 1;
            if let Some(record) = record(place, message)? {
                bytes += record.whole().len();
                left -= 1;
                records.push(record);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((!ended).then_some(next))
    }

    /// All of them; the offset after the last.
    pub fn read_definitions(&self) -> Result<u64, LogError> {
        let mut next = 0;
        self.read(&self.topics.definitions, 0, 0, AtEnd::Stop, &mut |message| {
            next = self.hear_definition(message);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(next)
    }

    /// The offset after it.
    pub fn hear_definition(&self, message: &BorrowedMessage<'_>) -> u64 {
        let next = u64::try_from(message.offset() + 1).unwrap_or(0);
        self.define(message.key().unwrap_or_default(), message.payload(), next);
        next
    }

    /// `next`: after it in the topic. What is known to be newer stays.
    pub fn define(&self, hash: &[u8], content: Option<&[u8]>, next: u64) {
        let mut definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        if definitions.get(hash).is_none_or(|known| known.next < next) {
            definitions.insert(hash.to_vec(), Defined { next, content: content.map(Bytes::from) });
        }
    }

    pub fn is_defined(&self, hash: &[u8]) -> bool {
        let definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        definitions.get(hash).is_some_and(|known| known.content.is_some())
    }
}

/// `None`: the tombstone of a record that lost.
pub fn record(place: Place, message: &BorrowedMessage<'_>) -> Result<Option<Record>, LogError> {
    let broken = |what: &str| LogError::damaged(message.topic(), format!("{what} at offset {}", message.offset()));
    let offset = u64::try_from(message.offset()).map_err(|_| broken("a negative offset"))?;
    let Some(value) = message.payload() else { return Ok(None) };
    let key = message.key().ok_or_else(|| broken("a record without a key"))?;
    let head = message.headers().and_then(|headers| headers.iter().find(|header| header.key == HEAD)).and_then(|header| header.value);
    let head = head.ok_or_else(|| broken("a record without its head"))?;
    Record::joined(place, offset, head, key, value).map(Some)
}

fn stored(message: &BorrowedMessage<'_>) -> Stored {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let headers = message.headers().map(|headers| headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect());
    Stored {
        offset: u64::try_from(message.offset()).unwrap_or(0),
        stamp: Stamp::from_micros(message.timestamp().to_millis().unwrap_or(0).saturating_mul(1000)),
        key: message.key().unwrap_or_default().to_vec(),
        headers: headers.unwrap_or_default(),
        value: message.payload().map(<[u8]>::to_vec),
    }
}

impl Kafka {
    /// Names of all audiences that ever had an event, in order.
    pub fn audiences(&self) -> Result<Vec<Box<str>>, LogError> {
        self.shared().admin.audiences()
    }

    /// Up to `max` outputs of a topic from an offset on; `next` is where to go on. In quarantine only what stands there.
    pub fn outputs(&self, topic: &OutTopic, from: u64, max: usize) -> Result<Outputs, LogError> {
        self.outputs_until(topic, from, max, None)
    }

    /// An audience that never had an event has no topic.
    fn is_missing(&self, topic: &OutTopic) -> Result<bool, LogError> {
        match topic {
            OutTopic::Audience(name) => Ok(!self.audiences()?.contains(name)),
            OutTopic::Disclosures | OutTopic::Quarantine => Ok(false),
        }
    }

    /// The offset after the newest message of a topic; marks of transactions count.
    pub fn end_of(&self, topic: &OutTopic) -> Result<u64, LogError> {
        match self.is_missing(topic)? {
            true => Ok(0),
            false => self.shared().admin.end_of(&self.shared().topics.output(topic)),
        }
    }

    /// As `outputs`, but waits at most `wait` for the first.
    pub fn follow(&self, topic: &OutTopic, from: u64, max: usize, wait: Duration) -> Result<Outputs, LogError> {
        let until = Instant::now() + wait;
        let found = self.outputs_until(topic, from, max, None)?;
        if !found.list.is_empty() || wait.is_zero() {
            return Ok(found);
        }
        self.outputs_until(topic, from, max, Some(until))
    }

    fn outputs_until(&self, topic: &OutTopic, from: u64, max: usize, until: Option<Instant>) -> Result<Outputs, LogError> {
        let mut found = Outputs { list: Vec::new(), next: from };
        if max == 0 || self.is_missing(topic)? {
            return Ok(found);
        }
        if *topic == OutTopic::Quarantine {
            let standing = self.quarantined()?;
            found.list = standing.into_values().filter(|stored| stored.offset >= from).take(max).collect();
            found.next = found.list.last().map_or(from, |stored| stored.offset + 1);
            return Ok(found);
        }
        let end = until.map_or(AtEnd::Stop, AtEnd::WaitUntil);
        let one = matches!(end, AtEnd::WaitUntil(_));
        self.shared().read(&self.shared().topics.output(topic), 0, from, end, &mut |message| {
            let stored = stored(message);
            found.next = stored.offset + 1;
            found.list.push(stored);
            // Who waits has the first at once; the next call brings the rest.
            Ok(if one || found.list.len() == max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }

    /// What stands in quarantine, by offset.
    fn quarantined(&self) -> Result<BTreeMap<u64, Stored>, LogError> {
        let (mut standing, mut newest): (BTreeMap<u64, Stored>, BTreeMap<Vec<u8>, u64>) = Default::default();
        let topic = self.shared().topics.output(&OutTopic::Quarantine);
        self.shared().read(&topic, 0, 0, AtEnd::Stop, &mut |message| {
            let stored = stored(message);
            if let Some(old) = newest.remove(&stored.key) {
                standing.remove(&old);
            }
            if stored.value.is_some() {
                newest.insert(stored.key.clone(), stored.offset);
                standing.insert(stored.offset, stored);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(standing)
    }

    /// The newest output under a key: an audience's state of a member, or what stands in quarantine.
    pub fn newest(&self, topic: &OutTopic, key: &[u8]) -> Result<Option<Stored>, LogError> {
        let all = match topic {
            OutTopic::Quarantine => self.quarantined()?.into_values().collect(),
            OutTopic::Audience(_) | OutTopic::Disclosures => self.outputs(topic, 0, usize::MAX)?.list,
        };
        Ok(all.into_iter().rev().find(|stored| stored.key == key))
    }

    /// Records appended here and not worked off: at most so many, for transactions leave gaps.
    pub fn behind(&self) -> u64 {
        let shared = self.shared();
        shared.progress().behind(usize::from(shared.settings.partitions))
    }

    /// Takes one out of quarantine. Nothing happens where there is none.
    pub fn remove_quarantined(&self, key: &[u8]) -> Result<(), LogError> {
        self.shared().queue.remove_quarantined(&self.shared().settings.bootstrap, key)
    }

    /// Keeps content under its hash, or with `None` forgets it. Durable when it returns.
    pub fn define(&self, hash: &[u8], content: Option<Vec<u8>>) -> Result<(), LogError> {
        self.shared().queue.define(&self.shared().settings.bootstrap, hash, content)
    }

    pub fn definition(&self, hash: &[u8]) -> Option<Bytes> {
        self.shared().definitions.lock().unwrap_or_else(PoisonError::into_inner).get(hash).and_then(|known| known.content.clone())
    }

    /// The hashes of all definitions kept, in their order.
    pub fn definitions(&self) -> Vec<Bytes> {
        let definitions = self.shared().definitions.lock().unwrap_or_else(PoisonError::into_inner);
        definitions.iter().filter(|(_, known)| known.content.is_some()).map(|(key, _)| Bytes::from(key.as_slice())).collect()
    }
}
