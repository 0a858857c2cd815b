//! The topics of a bridge: made where they are missing, checked where they are there.
//!
//! In: settings. Out: topics as the log needs them, or an error that says what to change.
//! Never here: a setting of an existing topic that is changed for the operator.

use super::error::{log_error, patiently, wrong_setting};
use super::settings::{MESSAGE_BYTES_MAX, Settings};
use crate::log::LogError;
use footbridge_core::time::Span;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::future::Future;
use std::time::Duration;

pub const LANDING: &str = "landing";
pub const OWNERS: &str = "owners";
/// The changelog: first a partition for each of landing, then one for each of owners.
pub const STATE: &str = "state";
pub const DEFINITIONS: &str = "definitions";
pub const DISCLOSURES: &str = "disclosures";
pub const QUARANTINE: &str = "quarantine";
/// Before an audience's name.
pub const AUDIENCE: &str = "audience.";

struct Topic {
    name: String,
    partitions: i32,
    cleanup: &'static str,
    more: Vec<(&'static str, String)>,
}

pub struct Topics {
    settings: Settings,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Topics {
    pub fn open(settings: &Settings) -> Result<Topics, LogError> {
        let admin = settings.client().create();
        let admin = admin.map_err(|e: KafkaError| log_error(&settings.bootstrap, "the client cannot be made", &e))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|e| LogError::io("a runtime of its own", &e))?;
        Ok(Topics { settings: settings.clone(), admin, runtime })
    }

    /// All but those of audiences.
    pub fn ensure(&self) -> Result<(), LogError> {
        let (settings, days) = (&self.settings, |span: Span| (span.0 / 1000).to_string());
        let size = || ("max.message.bytes", MESSAGE_BYTES_MAX.to_string());
        let lag = || ("max.compaction.lag.ms", "86400000".to_owned());
        // A record that is not read yet is not compacted away by a tombstone for an older one.
        let lead = || ("min.compaction.lag.ms", "3600000".to_owned());
        let partitions = i32::from(settings.partitions);
        let topic = |name: &str, partitions, cleanup, more| Topic { name: settings.topic(name), partitions, cleanup, more };
        let all = [
            topic(LANDING, partitions, "compact", vec![size(), lag(), lead()]),
            // Claims have keys of their own: what was worked off is deleted by offset, not by key.
            topic(OWNERS, partitions, "delete", vec![size(), ("retention.ms", "-1".to_owned())]),
            topic(STATE, 2 * partitions, "compact", vec![size(), lag()]),
            topic(DEFINITIONS, 1, "compact", vec![size(), lag()]),
            topic(DISCLOSURES, 1, "delete", vec![size(), ("retention.ms", days(settings.disclosures_for))]),
            topic(QUARANTINE, 1, "compact,delete", vec![size(), ("retention.ms", days(settings.quarantine_for))]),
        ];
        all.iter().try_for_each(|topic| self.have(topic))
    }

    pub fn ensure_audience(&self, name: &str) -> Result<(), LogError> {
        let kept = ("delete.retention.ms", (self.settings.superseded_for.0 / 1000).to_string());
        let lag = ("max.compaction.lag.ms", "86400000".to_owned());
        let name = self.settings.topic(&format!("{AUDIENCE}{name}"));
        self.have(&Topic { name, partitions: 1, cleanup: "compact", more: vec![kept, lag] })
    }

    /// Names this changelog among all that there are: a cluster that was made anew has another.
    pub fn changelog_is(&self) -> Result<String, LogError> {
        let cluster = self.admin.inner().fetch_cluster_id(self.settings.answer_within).unwrap_or_default();
        Ok(format!("{} {}", cluster, self.settings.topic(STATE)))
    }

    /// Names of the audiences that have a topic, in order.
    pub fn audiences(&self) -> Result<Vec<Box<str>>, LogError> {
        let (at, prefix) = (&self.settings.bootstrap, self.settings.topic(AUDIENCE));
        let metadata = patiently(self.settings.answer_within, |wait| self.admin.inner().fetch_metadata(None, wait));
        let metadata = metadata.map_err(|e| log_error(at, "the topics cannot be listed", &e))?;
        let mut names: Vec<Box<str>> =
            metadata.topics().iter().filter_map(|topic| topic.name().strip_prefix(&prefix)).map(Box::from).collect();
        names.sort();
        Ok(names)
    }

    pub fn end_of(&self, topic: &str) -> Result<u64, LogError> {
        let ends = patiently(self.settings.answer_within, |wait| self.admin.inner().fetch_watermarks(topic, 0, wait));
        let (_, high) = ends.map_err(|e| log_error(topic, "its end cannot be asked for", &e))?;
        Ok(u64::try_from(high).unwrap_or(0))
    }

    fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.block_on(asked)
    }

    fn have(&self, topic: &Topic) -> Result<(), LogError> {
        let Topic { name, partitions, cleanup, more } = topic;
        let replication = TopicReplication::Fixed(i32::from(self.settings.replication));
        let mut new = NewTopic::new(name, *partitions, replication).set("cleanup.policy", cleanup);
        for (key, value) in more {
            new = new.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(self.settings.answer_within));
        let failed = |e: &KafkaError| log_error(name, "the topic cannot be made", e);
        let made = self.wait(self.admin.create_topics([&new], &options)).map_err(|e| failed(&e))?;
        match made.into_iter().next() {
            Some(Ok(_)) => self.until_known(name),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => self.check(topic),
            Some(Err((_, code))) => Err(failed(&KafkaError::AdminOp(code))),
            None => Err(failed(&KafkaError::Canceled)),
        }
    }

    /// A topic just made is not known to every broker at once.
    fn until_known(&self, name: &str) -> Result<(), LogError> {
        let mut last = KafkaError::Canceled;
        for _ in 0..100 {
            match self.admin.inner().fetch_metadata(Some(name), self.settings.answer_within) {
                Ok(found) if found.topics().iter().any(|topic| topic.error().is_none() && !topic.partitions().is_empty()) => return Ok(()),
                Ok(_) => {}
                Err(e) => last = e,
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(log_error(name, "the topic was made and is not to be found", &last))
    }

    fn check(&self, topic: &Topic) -> Result<(), LogError> {
        let Topic { name, partitions, cleanup, .. } = topic;
        let failed = |e: &KafkaError| log_error(name, "the topic cannot be looked at", e);
        let found = self.admin.inner().fetch_metadata(Some(name), self.settings.answer_within).map_err(|e| failed(&e))?;
        let count = found.topics().first().map_or(0, |topic| topic.partitions().len());
        if i32::try_from(count) != Ok(*partitions) {
            let what = format!("the topic has {count} partitions, and {partitions} belong to this configuration");
            let hint = "set `partitions` back, or choose another `kafka.prefix`; the count can never change";
            return Err(wrong_setting(name.clone(), what, hint));
        }
        let options = AdminOptions::new();
        let told = self.wait(self.admin.describe_configs([&ResourceSpecifier::Topic(name)], &options)).map_err(|e| failed(&e))?;
        let Some(Ok(config)) = told.into_iter().next() else { return Err(failed(&KafkaError::Canceled)) };
        let policy = config.get("cleanup.policy").and_then(|entry| entry.value.as_deref()).unwrap_or("");
        let words = |text: &str| {
            let mut words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
            words.sort();
            words
        };
        if words(policy) != words(cleanup) {
            let what = format!("`cleanup.policy` is `{policy}`, and has to be `{cleanup}`");
            return Err(wrong_setting(name.clone(), what, "change the topic's setting, then start the instance again"));
        }
        Ok(())
    }
}
