//! How far a consumer group has committed, asked of the broker: the measured program is left alone.
//!
//! In: a group, a topic. Out: offsets. Never here: membership.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;

const ANSWER: Duration = Duration::from_secs(10);

pub struct Group {
    asks: BaseConsumer,
    topic: String,
    partitions: u16,
}

impl Group {
    pub fn of(at: &str, group: &str, topic: &str, partitions: u16) -> Group {
        let mut config = ClientConfig::new();
        // What is being committed just now is not waited for.
        config.set("bootstrap.servers", at).set("group.id", group).set("isolation.level", "read_uncommitted");
        Group { asks: config.create().expect("a client"), topic: topic.to_owned(), partitions }
    }

    /// Of each partition the next offset to be read; 0 where nothing was committed.
    pub fn committed(&self) -> Vec<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, i32::from(self.partitions) - 1);
        let known = self.asks.committed_offsets(list, ANSWER).expect("the group's offsets");
        let offset = |partition| match known.find_partition(&self.topic, i32::from(partition)).map(|found| found.offset()) {
            Some(Offset::Offset(offset)) => offset,
            _ => 0,
        };
        (0..self.partitions).map(offset).collect()
    }

    /// Offsets that are taken in the topic: records, and the marks of transactions.
    pub fn written(&self) -> i64 {
        let end = |partition| self.asks.fetch_watermarks(&self.topic, partition, ANSWER).expect("the topic's ends").1;
        (0..i32::from(self.partitions)).map(end).sum()
    }
}
