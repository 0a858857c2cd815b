//! One transactional producer: what is sent between `begin` and `commit` is seen whole or not at all.
//!
//! In: messages, offsets of a group. Out: a commit, with where its messages came to lie.
//! Never here: an outcome that is assumed: what timed out is asked again.

use super::error::{is_fenced, log_error};
use super::settings::Settings;
use crate::log::{LogError, Retry, Trouble};
use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Tells apart what a caller wants to know the ends of; 0: nothing.
pub type Slot = usize;

#[derive(Default)]
struct Reports {
    state: Mutex<Reported>,
}

#[derive(Default)]
struct Reported {
    /// The offset after the last message of each slot.
    ends: BTreeMap<Slot, u64>,
    failed: Option<KafkaError>,
}

impl Reports {
    /// Only plain moves happen under the lock: what a thread left behind is whole.
    fn lock(&self) -> MutexGuard<'_, Reported> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Slot;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: Slot) {
        let mut told = self.lock();
        match result {
            Ok(message) if slot > 0 => {
                let next = u64::try_from(message.offset() + 1).unwrap_or(0);
                let end = told.ends.entry(slot).or_default();
                *end = next.max(*end);
            }
            Ok(_) => {}
            Err((error, _)) => _ = told.failed.get_or_insert_with(|| error.clone()),
        }
    }
}

pub struct Writer {
    producer: BaseProducer<Reports>,
    at: String,
    answer_within: Duration,
}

/// One message.
pub struct Sent<'a> {
    pub topic: &'a str,
    pub partition: Option<u16>,
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
    pub headers: Option<OwnedHeaders>,
    /// Milliseconds since 1970; `None`: the client's clock.
    pub at: Option<i64>,
    pub slot: Slot,
}

pub fn header(headers: OwnedHeaders, key: &str, value: &[u8]) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

const POLL: Duration = Duration::from_millis(1);

impl Writer {
    /// Fences every earlier writer of the same name and role, and aborts what it had begun. After any failure of `begin`,
    /// `send` or `commit` open another: only that settles what became of the transaction.
    pub fn open(settings: &Settings, role: &str) -> Result<Writer, LogError> {
        Writer::of(settings, &format!("{}-{}-{role}", settings.group, settings.instance))
    }

    /// The one that all instances of a bridge have in common.
    pub fn leader(settings: &Settings) -> Result<Writer, LogError> {
        Writer::of(settings, &format!("{}-steward", settings.group))
    }

    fn of(settings: &Settings, name: &str) -> Result<Writer, LogError> {
        let at = settings.bootstrap.clone();
        let failed = |what: &'static str| {
            let at = at.clone();
            move |e: KafkaError| log_error(&at, what, &e)
        };
        let producer: BaseProducer<Reports> =
            settings.producer(name).create_with_context(Reports::default()).map_err(failed("the producer cannot be made"))?;
        let until = Instant::now() + settings.answer_within;
        loop {
            match producer.init_transactions(settings.answer_within) {
                Ok(()) => break,
                Err(e) if retriable(&e) && Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
                Err(e) => return Err(failed("transactions cannot be begun")(e)),
            }
        }
        Ok(Writer { producer, at, answer_within: settings.answer_within })
    }

    fn failed(&self, doing: &str, error: &KafkaError) -> LogError {
        log_error(&self.at, doing, error)
    }

    pub fn begin(&mut self) -> Result<(), LogError> {
        *self.producer.context().lock() = Reported::default();
        self.producer.begin_transaction().map_err(|e| self.failed("a transaction cannot be begun", &e))
    }

    pub fn send(&self, sent: Sent) -> Result<(), LogError> {
        let mut record = BaseRecord::with_opaque_to(sent.topic, sent.slot).key(sent.key);
        (record.partition, record.payload, record.headers) = (sent.partition.map(i32::from), sent.value, sent.headers);
        record.timestamp = sent.at;
        let until = Instant::now() + self.answer_within;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                // The client's queue is full: the broker takes what is in it first.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) if Instant::now() < until => {
                    record = back;
                    self.producer.poll(POLL);
                }
                Err((e, _)) => return Err(self.failed("a message cannot be sent", &e)),
            }
        }
    }

    /// All that was sent since `begin`, with the offsets of groups: one act. Where the messages ended, by slot.
    pub fn commit(&mut self, offsets: &[(TopicPartitionList, &ConsumerGroupMetadata)]) -> Result<BTreeMap<Slot, u64>, LogError> {
        let until = Instant::now() + self.answer_within;
        for (list, group) in offsets {
            self.insist(until, "positions cannot be committed", |producer, wait| producer.send_offsets_to_transaction(list, group, wait))?;
        }
        // The client's own flush waits a tenth of a second.
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(POLL);
            if Instant::now() > until {
                return Err(self.failed("the brokers do not take what was sent", &KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)));
            }
        }
        let failed = self.producer.context().lock().failed.take();
        if let Some(error) = failed {
            return Err(self.failed("a message was not taken", &error));
        }
        self.insist(until, "a transaction cannot be committed", Producer::commit_transaction)?;
        Ok(std::mem::take(&mut self.producer.context().lock().ends))
    }

    /// Asks again while the answer may still come; whether it was done is never assumed.
    fn insist(
        &self,
        until: Instant,
        doing: &'static str,
        ask: impl Fn(&BaseProducer<Reports>, Duration) -> Result<(), KafkaError>,
    ) -> Result<(), LogError> {
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
            match ask(&self.producer, left) {
                Ok(()) => return Ok(()),
                Err(e) if retriable(&e) && Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
                Err(e) => return Err(self.failed(doing, &e)),
            }
        }
    }
}

fn retriable(error: &KafkaError) -> bool {
    match error {
        _ if is_fenced(error) => false,
        KafkaError::Transaction(error) => error.is_retriable(),
        KafkaError::Flush(_) => true,
        _ => false,
    }
}

/// Fenced: by a later writer of the same name, or by the brokers.
pub fn is_lost(error: &LogError) -> bool {
    error.trouble == Trouble::Lost && error.retry == Retry::Never
}

/// Who was fenced waits so long before it writes again. If another process has its name, a member of this one hears so meanwhile:
/// that process has to have joined, and a heartbeat comes every three seconds.
pub const FENCED_FOR: Duration = Duration::from_secs(8);

/// What a fenced writer is where no other process has its name.
pub fn given_up(error: LogError) -> LogError {
    let hint = "the brokers have given up what was begun, after a long standstill; it is read again, and goes on by itself";
    if is_lost(&error) { LogError { trouble: Trouble::System, retry: Retry::Later, hint, ..error } } else { error }
}
