//! Topics of others, read into landing: this instance's share of them, and how far it has come.
//!
//! In: names of topics on the same brokers. Out: their records in order; entries of landing, in one transaction with the offsets.
//! Never here: what a value means, or an offset that moves without the entries before it.

use super::error::{log_error, passes, patiently};
use super::writer::Writer;
use super::{Kafka, Shared};
use crate::log::{Entry, LogError, Retry, Trouble};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A record of another's topic.
pub struct Taken {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Without compression; `None`: a tombstone.
    pub value: Option<Vec<u8>>,
}

/// After any error it is dropped, and another goes on from the last commit.
pub struct Inlet {
    shared: Arc<Shared>,
    topics: Vec<Arc<str>>,
    /// `None` while it is dropped.
    consumer: Option<BaseConsumer<Guest>>,
    writer: Writer,
    /// The next offset of what was given since the last commit.
    given: BTreeMap<(Arc<str>, i32), i64>,
}

/// The membership in the source's group.
struct Guest {
    shared: Arc<Shared>,
    source: String,
    news: Mutex<News>,
}

#[derive(Default)]
struct News {
    lost: Vec<(String, i32)>,
    failed: Option<LogError>,
    /// As of the newest assignment: asked for at a commit, it would let a partition pass that was lost meanwhile.
    group: Option<ConsumerGroupMetadata>,
}

/// Kept from the first commit of a partition on: an offset that the group has forgotten is no first start.
fn begun(source: &str, topic: &str, partition: i32) -> Vec<u8> {
    format!("read {source} {topic}/{partition}").into_bytes()
}

fn gap(at: String, what: &str) -> LogError {
    LogError {
        trouble: Trouble::System,
        at,
        what: what.to_owned(),
        hint: "have what is missing sent again; then stop all instances, and set the group's offset with kafka-consumer-groups.sh",
        retry: Retry::Later,
    }
}

impl Kafka {
    /// `source` names group and writer: the same after each restart. Waits for the brokers, not for its share.
    pub fn inlet(&self, source: &str, topics: &[String]) -> Result<Inlet, LogError> {
        let shared = Arc::clone(&self.0.shared);
        let role = format!("source.{source}");
        let writer = Writer::open(&shared.settings, &role)?;
        let guest = Guest { shared: Arc::clone(&shared), source: source.to_owned(), news: Mutex::default() };
        let consumer: Result<BaseConsumer<Guest>, KafkaError> = shared.settings.member(&role, 0).create_with_context(guest);
        let consumer = consumer.map_err(|e| log_error(&shared.settings.bootstrap, "the consumer cannot be made", &e))?;
        let topics: Vec<Arc<str>> = topics.iter().map(|topic| topic.as_str().into()).collect();
        let inlet = Inlet { shared, topics, consumer: Some(consumer), writer, given: BTreeMap::new() };
        inlet.topics.iter().try_for_each(|topic| inlet.is_there(topic))?;
        let names: Vec<&str> = inlet.topics.iter().map(AsRef::as_ref).collect();
        inlet.consumer()?.subscribe(&names).map_err(|e| log_error(&names.join(", "), "it cannot be subscribed to", &e))?;
        Ok(inlet)
    }
}

impl Inlet {
    fn consumer(&self) -> Result<&BaseConsumer<Guest>, LogError> {
        self.consumer.as_ref().ok_or_else(|| LogError::stopped(&self.shared.settings.bootstrap))
    }

    fn is_there(&self, topic: &str) -> Result<(), LogError> {
        let failed = |e: &KafkaError| log_error(topic, "it cannot be looked at", e);
        let found = self.consumer()?.fetch_metadata(Some(topic), self.shared.settings.answer_within).map_err(|e| failed(&e))?;
        let error = found.topics().first().map_or(Some(RDKafkaErrorCode::UnknownTopic), |topic| topic.error().map(RDKafkaErrorCode::from));
        match error {
            None => Ok(()),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Err(LogError {
                trouble: Trouble::System,
                at: topic.to_owned(),
                what: "there is no such topic".to_owned(),
                hint: "make it, or mend `topics`; it is looked for again",
                retry: Retry::Later,
            }),
            Some(code) => Err(failed(&KafkaError::MetadataFetch(code))),
        }
    }

    /// Whether the group has said which partitions are this instance's.
    pub fn has_joined(&self) -> bool {
        self.consumer.as_ref().is_some_and(|consumer| consumer.context().news().group.is_some())
    }

    /// Adds a bounded number of records; waits at most `wait` for the first. What was taken away meanwhile is not among them.
    pub fn poll(&mut self, wait: Duration, taken: &mut Vec<Taken>) -> Result<(), LogError> {
        let (until, mut bytes) = (Instant::now() + wait, 0);
        let settings = &self.shared.settings;
        let Some(consumer) = &self.consumer else { return Err(LogError::stopped(&settings.bootstrap)) };
        while taken.len() < settings.poll_records_max && bytes < settings.poll_bytes_max {
            let left = if taken.is_empty() { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let polled = consumer.poll(left);
            // A rebalance is heard of before the first record after it.
            for (topic, partition) in consumer.context().lost()? {
                taken.retain(|record| *record.topic != *topic || record.partition != partition);
                self.given.remove(&(topic.into(), partition));
            }
            match polled {
                None => break,
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Ok(message)) => {
                    let record = self.taken(&message);
                    bytes += record.value.as_ref().map_or(0, Vec::len);
                    self.given.insert((Arc::clone(&record.topic), record.partition), record.offset + 1);
                    taken.push(record);
                }
                // One broker of several may be away.
                Some(Err(e)) if passes(&e) => self.topics.iter().try_for_each(|topic| self.is_there(topic))?,
                Some(Err(e)) if e.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                    return Err(gap(self.topics.join(", "), "the topic no longer has what comes next: it was deleted before it was read"));
                }
                Some(Err(e)) => return Err(log_error(&self.topics.join(", "), "it cannot be read", &e)),
            }
        }
        Ok(())
    }

    fn taken(&self, message: &BorrowedMessage<'_>) -> Taken {
        let known = self.topics.iter().find(|topic| ***topic == *message.topic()).cloned();
        let topic = known.unwrap_or_else(|| message.topic().into());
        let value = message.payload().map(<[u8]>::to_vec);
        Taken { topic, partition: message.partition(), offset: message.offset(), value }
    }

    /// Appends what was made of all that was given since the last commit; with it, and never without it, the group goes on.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let at = &shared.settings.bootstrap;
        let Some(consumer) = &self.consumer else { return Err(LogError::stopped(at)) };
        entries.iter().try_for_each(|entry| shared.check(entry))?;
        let news = consumer.context().news();
        let group = news.group.as_ref().ok_or_else(|| LogError::lost(at))?;
        let mut offsets = TopicPartitionList::new();
        let mut first = Vec::new();
        for ((topic, partition), next) in &self.given {
            let added = offsets.add_partition_offset(topic, *partition, Offset::Offset(*next));
            added.map_err(|e| log_error(topic, "an offset", &e))?;
            let begun = begun(&consumer.context().source, topic, *partition);
            if !shared.is_defined(&begun) {
                first.push((begun, Some(Vec::new())));
            }
        }
        let now = (shared.clock)();
        self.writer.begin()?;
        entries.iter().try_for_each(|entry| shared.send_entry(&self.writer, entry, now))?;
        first.iter().try_for_each(|(key, content)| shared.send_definition(&self.writer, key, content.as_deref()))?;
        let ends = self.writer.commit(&[(offsets, group)])?;
        shared.progress().appended(&shared, &ends);
        shared.defined(&first, &ends);
        self.given.clear();
        Ok(())
    }
}

impl Drop for Inlet {
    /// While the brokers are away this may take without end: nobody waits for it.
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            let gone = std::thread::Builder::new().name("kafka leaves".into()).spawn(move || drop(consumer));
            // Without a thread it is dropped here.
            drop(gone);
        }
    }
}

impl Guest {
    /// Only plain moves happen under the lock: what a thread left behind is whole.
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> Result<Vec<(String, i32)>, LogError> {
        let mut news = self.news();
        match news.failed.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut news.lost)),
        }
    }

    fn assign(&self, consumer: &BaseConsumer<Guest>, list: &TopicPartitionList) -> Result<(), LogError> {
        let failed = |what: &'static str| move |e: KafkaError| log_error(&self.shared.settings.bootstrap, what, &e);
        let asked = "the group's offsets cannot be asked for";
        let committed = patiently(self.shared.settings.answer_within, |wait| consumer.committed_offsets(list.clone(), wait));
        let committed = committed.map_err(failed(asked))?;
        let mut from = TopicPartitionList::new();
        for element in committed.elements() {
            element.error().map_err(failed(asked))?;
            let (topic, partition) = (element.topic(), element.partition());
            let next = match element.offset() {
                next @ Offset::Offset(_) => next,
                _ if self.shared.is_defined(&begun(&self.source, topic, partition)) => {
                    return Err(gap(format!("{topic}/{partition}"), "the group has forgotten how far it was read"));
                }
                _ => Offset::Beginning,
            };
            from.add_partition_offset(topic, partition, next).map_err(failed("a partition"))?;
        }
        consumer.incremental_assign(&from).map_err(failed("the partitions cannot be taken"))?;
        self.news().group = consumer.group_metadata();
        Ok(())
    }

    fn revoke(&self, consumer: &BaseConsumer<Guest>, list: &TopicPartitionList) -> Result<(), LogError> {
        {
            let mut news = self.news();
            news.lost.extend(list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())));
            news.group = consumer.group_metadata();
        }
        let failed = |e: KafkaError| log_error(&self.shared.settings.bootstrap, "the partitions cannot be given back", &e);
        consumer.incremental_unassign(list).map_err(failed)
    }
}

impl ClientContext for Guest {}

impl ConsumerContext for Guest {
    fn rebalance(&self, consumer: &BaseConsumer<Guest>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let done = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(consumer, list),
            other => {
                let error = KafkaError::Rebalance(RDKafkaErrorCode::from(other));
                Err(log_error(&self.shared.settings.bootstrap, "the group could not share out the partitions", &error))
            }
        };
        if let Err(error) = done {
            self.news().failed = Some(error);
        }
    }
}
