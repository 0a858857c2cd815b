//! Failures of Kafka in our words: where, what, what to do, and whether it passes.
//!
//! In: errors of the client. Out: `LogError`. Never here: a byte of a key or a value.

use crate::log::{LogError, Retry, Trouble};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::{Duration, Instant};

/// Whether a later process of the same name has taken over, or the broker says that this one must go.
pub fn is_fenced(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    let fatal = match error {
        KafkaError::Transaction(error) => error.is_fatal(),
        KafkaError::MessageConsumptionFatal(_) => true,
        _ => false,
    };
    fatal
        || matches!(
            code,
            Some(
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::FencedInstanceId
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::Fatal
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        )
}

/// A reader that is told this goes on: the client connects again by itself.
pub fn passes(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

/// Asks again while what is wrong may pass, at most so long.
pub fn patiently<T>(within: Duration, mut ask: impl FnMut(Duration) -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let until = Instant::now() + within;
    loop {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        match ask(left) {
            Err(e) if passes(&e) && Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
            done => return done,
        }
    }
}

pub fn log_error(at: &str, doing: &str, error: &KafkaError) -> LogError {
    let code = error.rdkafka_error_code();
    let (trouble, retry, hint) = match code {
        _ if is_fenced(error) => (
            Trouble::Lost,
            Retry::Never,
            "another process with the same `kafka.instance` has taken over, or the broker refuses this one: give each instance a name of its own, then start it again",
        ),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Authentication,
        ) => (Trouble::System, Retry::Later, "grant the rights that docs/kafka.md lists; the bridge tries again by itself"),
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
            (Trouble::System, Retry::Later, "raise `max.message.bytes` of the topic; the bridge tries again by itself")
        }
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition) => {
            (Trouble::System, Retry::Later, "bring the topic back; a restart makes one that is missing, without what was in it")
        }
        _ => (Trouble::System, Retry::Later, "see to the brokers and the network; the bridge tries again by itself"),
    };
    let what = match code {
        Some(code) => format!("{doing}: {code}"),
        None => format!("{doing}: {}", kind(error)),
    };
    LogError { trouble, at: at.to_owned(), what, hint, retry }
}

/// Errors without a code say what was asked, which may name settings, never data.
fn kind(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, what, name, _) => format!("the property `{name}` is not taken: {what}"),
        KafkaError::ClientCreation(what) | KafkaError::AdminOpCreation(what) => what.clone(),
        KafkaError::Subscription(what) | KafkaError::PauseResume(what) | KafkaError::Seek(what) => what.clone(),
        _ => "the client failed".to_owned(),
    }
}

pub fn wrong_setting(at: String, what: String, hint: &'static str) -> LogError {
    LogError { trouble: Trouble::Format, at, what, hint, retry: Retry::Never }
}
