//! What leaves: an event for its audience's topic, a disclosure beside it, and what goes to quarantine.
//!
//! In: what a step told, what could not be read. Out: outputs. Never here: a field that the event does not have.

use super::Bridge;
use crate::log::{OutTopic, Output, Record};
use footbridge_core::fhir::Unreadable;
use footbridge_core::gate::Structured;
use footbridge_core::key::Person;
use footbridge_core::shard::Told;
use serde::Serialize;

/// For the accounting of disclosures: one record an event that left (45 CFR 164.528).
#[derive(Serialize)]
struct Disclosure<'a> {
    event: String,
    audience: &'a str,
    recipient: &'a str,
    status: &'static str,
    reason: &'static str,
    cause: &'static str,
    effective: String,
    communication: footbridge_core::audience::Communication,
    fields: Vec<String>,
    /// Keys of the consents that decided.
    consents: Vec<String>,
}

pub fn told(bridge: &Bridge, person: Person, told: &Told, out: &mut Vec<Output>) {
    let Told { event, recipient, consents } = told;
    let value = sonic_rs::to_vec(event).expect("an event is plain data");
    let headers = Structured::new(event, &bridge.name, None).headers();
    let topic = OutTopic::Audience(event.audience().into());
    out.push(Output { topic, key: event.member().as_bytes().to_vec(), headers, value: Some(value) });
    let disclosure = Disclosure {
        event: event.id(),
        audience: event.audience(),
        recipient,
        status: event.status().event_type(),
        reason: event.reason(),
        cause: event.cause(),
        effective: event.effective().to_string(),
        communication: event.communication(),
        fields: event.fields(),
        consents: consents.iter().map(|key| format!("{:016x}", key.as_u64())).collect(),
    };
    let value = sonic_rs::to_vec(&disclosure).expect("a disclosure is plain data");
    out.push(Output { topic: OutTopic::Disclosures, key: person.as_bytes().to_vec(), headers: Vec::new(), value: Some(value) });
}

/// Keeps what could not be read, with its reason and its position. The value is the record's own: it may hold patient data, and
/// stays where only IT reads it.
pub fn quarantined(record: &Record, why: &Unreadable, out: &mut Vec<Output>) {
    let key = format!("{}/{}", record.place, record.offset).into_bytes();
    let headers = vec![
        ("reason", why.to_string()),
        ("source", record.source().to_owned()),
        ("type", record.resource_type().to_owned()),
        ("stamp", record.stamp.to_string()),
    ];
    out.push(Output { topic: OutTopic::Quarantine, key, headers, value: Some(record.value().to_vec()) });
}

/// What was sent again leaves its place in quarantine. If it could not be read again it has another by then, or gets one.
pub fn retried(record: &Record, out: &mut Vec<Output>) {
    out.push(Output { topic: OutTopic::Quarantine, key: record.value().to_vec(), headers: Vec::new(), value: None });
}
