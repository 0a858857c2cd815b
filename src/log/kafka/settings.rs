//! What an operator may set about the Kafka log, and the client properties that follow from it.
//!
//! In: nothing. Out: settings with their defaults; properties of producers and consumers.
//! Never here: a connection.

use footbridge_core::time::Span;
use rdkafka::ClientConfig;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// Stands before every topic's name.
    pub prefix: String,
    /// The consumer group; all instances of one bridge share it.
    pub group: String,
    /// Names this instance among them, the same after every restart: it fences an earlier process of the same name.
    pub instance: String,
    /// Of topics that are made.
    pub replication: u16,
    /// Of landing and owners.
    pub partitions: u16,
    /// Client properties as they are (security, certificates); none of those that the log itself sets.
    pub properties: Vec<(String, String)>,
    pub superseded_for: Span,
    pub disclosures_for: Span,
    pub quarantine_for: Span,
    pub queue_bytes_max: usize,
    /// Entries and bytes of one transaction of landing.
    pub group_entries_max: usize,
    pub group_bytes_max: usize,
    pub poll_records_max: usize,
    pub poll_bytes_max: usize,
    /// The longest wait for the broker within one call.
    pub answer_within: Duration,
}

impl Default for Settings {
    /// For a broker on this machine.
    fn default() -> Settings {
        Settings {
            bootstrap: "127.0.0.1:9092".to_owned(),
            prefix: String::new(),
            group: "footbridge".to_owned(),
            instance: "footbridge-1".to_owned(),
            replication: 3,
            partitions: 48,
            properties: Vec::new(),
            superseded_for: Span::days(37),
            disclosures_for: Span::days(6 * 366),
            quarantine_for: Span::days(30),
            queue_bytes_max: 16 << 20,
            group_entries_max: 4096,
            group_bytes_max: 4 << 20,
            poll_records_max: 2000,
            poll_bytes_max: 4 << 20,
            answer_within: Duration::from_secs(30),
        }
    }
}

/// Set by the log: what exactly once hangs on.
pub const OURS: &[&str] = &[
    "bootstrap.servers",
    "group.id",
    "group.instance.id",
    "transactional.id",
    "transaction.timeout.ms",
    "enable.idempotence",
    "isolation.level",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "partition.assignment.strategy",
    "partitioner",
];

/// The largest message: a value with its key and head.
pub const MESSAGE_BYTES_MAX: usize = crate::log::VALUE_BYTES_MAX + (1 << 20);

impl Settings {
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whether the bridge makes and writes a topic of this name itself.
    pub fn is_ours(&self, topic: &str) -> bool {
        use super::topics::{AUDIENCE, DEFINITIONS, DISCLOSURES, LANDING, OWNERS, QUARANTINE, STATE};
        let fixed = [LANDING, OWNERS, STATE, DEFINITIONS, DISCLOSURES, QUARANTINE];
        topic.strip_prefix(&self.prefix).is_some_and(|name| fixed.contains(&name) || name.starts_with(AUDIENCE))
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap).set("client.id", format!("footbridge-{}", self.instance));
        config
    }

    /// `name`: whose transactions they are. Who comes later under the same name fences who was there.
    pub fn producer(&self, name: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("transactional.id", name)
            // A stopped instance's open transaction holds up every reader for so long.
            .set("transaction.timeout.ms", "10000")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            // A transaction begun right after a commit is answered "not yet", and waits this long.
            .set("retry.backoff.ms", "2")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", MESSAGE_BYTES_MAX.to_string());
        config
    }

    /// Reads only what was committed, and is told where a partition ends.
    /// `wait`: how long the broker may hold back an answer that has nothing in it; the end of a partition is told by one.
    fn reader(&self, group: &str, wait: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // A queue once full would starve its reader for a second.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", wait)
            .set("queued.max.messages.kbytes", "16384");
        config
    }

    /// A member of the group; `seat` tells the sessions of one instance apart.
    pub fn member(&self, topic: &str, seat: usize) -> ClientConfig {
        let mut config = self.reader(&format!("{}.{topic}", self.group), "20");
        config
            .set("group.instance.id", format!("{}-{topic}-{seat}", self.instance))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            // A large state is restored before the group hears of this member again.
            .set("max.poll.interval.ms", "3600000")
            // What was not committed is found by the changelog; nothing is skipped in silence.
            .set("auto.offset.reset", "error");
        config
    }

    /// Reads what it is told to, as a member of nothing.
    pub fn onlooker(&self) -> ClientConfig {
        let mut config = self.reader(&format!("{}-reader", self.group), "5");
        config.set("auto.offset.reset", "earliest");
        config
    }
}
