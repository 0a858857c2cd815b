//! A session's membership in its two groups: which places it holds, as the brokers say.
//!
//! In: rebalances, on the thread that polls. Out: changes for the session, with the group's metadata as of each.
//! Never here: a commit; nothing is staged while a session polls.

use super::error::{log_error, patiently};
use super::restore::agreed;
use super::{Shared, offset};
use crate::log::{LogError, Place, Topic};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct Member {
    shared: Arc<Shared>,
    topic: Topic,
    /// Tells it from all others that there were in this process.
    pub number: u64,
    news: Mutex<News>,
}

/// What the session has not heard of yet.
#[derive(Default)]
pub struct News {
    pub assigned: Vec<(Place, u64)>,
    pub lost: Vec<Place>,
    pub failed: Option<LogError>,
    /// As of the newest assignment: asked for at a commit, it would let a place pass that was lost meanwhile.
    pub group: Option<ConsumerGroupMetadata>,
}

impl Member {
    pub fn new(shared: Arc<Shared>, topic: Topic, number: u64) -> Member {
        Member { shared, topic, number, news: Mutex::default() }
    }

    /// Only plain moves happen under the lock: what a thread left behind is whole.
    pub fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, partition: i32) -> Option<Place> {
        u16::try_from(partition).ok().map(|partition| Place { topic: self.topic, partition })
    }

    /// State first, then the places: nothing is served before its state is whole.
    fn assign(&self, consumer: &BaseConsumer<Member>, list: &TopicPartitionList) -> Result<(), LogError> {
        let name = self.shared.topics.of(self.topic);
        let failed = |what: &'static str| move |e: KafkaError| log_error(name, what, &e);
        let places: Vec<Place> = list.elements().iter().filter_map(|element| self.place(element.partition())).collect();
        self.shared.held().take(&places, self.number);
        // In this order: the offset is stable first, so that what it stands for is in the changelog.
        let committed = patiently(self.shared.settings.answer_within, |wait| consumer.committed_offsets(list.clone(), wait));
        let committed = committed.map_err(failed("the group's offsets cannot be asked for"))?;
        let known = self.shared.restore(&places)?;
        self.shared.held().serve(&places, self.number);
        let mut from = TopicPartitionList::new();
        let mut assigned = Vec::new();
        for place in places {
            let partition = i32::from(place.partition);
            let group = committed.find_partition(name, partition).map_or(Offset::Invalid, |found| found.offset());
            let next = agreed(place, group, known.get(&place).and_then(|known| known.position))?;
            let start = next.map_or(Offset::Beginning, offset);
            from.add_partition_offset(name, partition, start).map_err(failed("a place"))?;
            assigned.push((place, next.unwrap_or(0)));
        }
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&from),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(&from),
        }
        .map_err(failed("the places cannot be taken"))?;
        let mut news = self.news();
        // Taken back before the session heard that it was lost.
        news.lost.retain(|place| !assigned.iter().any(|(again, _)| again == place));
        news.assigned.extend(assigned);
        news.group = consumer.group_metadata();
        Ok(())
    }

    fn revoke(&self, consumer: &BaseConsumer<Member>, list: &TopicPartitionList) -> Result<(), LogError> {
        let name = self.shared.topics.of(self.topic);
        let lost: Vec<Place> = list.elements().iter().filter_map(|element| self.place(element.partition())).collect();
        self.shared.held().leave(&lost, self.number);
        {
            let mut news = self.news();
            news.assigned.retain(|(place, _)| !lost.contains(place));
            news.lost.extend(lost);
            news.group = consumer.group_metadata();
        }
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        }
        .map_err(|e| log_error(name, "the places cannot be given back", &e))
    }
}

impl ClientContext for Member {}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Member>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let done = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(consumer, list),
            other => {
                let error = KafkaError::Rebalance(RDKafkaErrorCode::from(other));
                Err(log_error(self.shared.topics.of(self.topic), "the group could not share out its places", &error))
            }
        };
        if let Err(error) = done {
            self.news().failed = Some(error);
        }
    }
}
