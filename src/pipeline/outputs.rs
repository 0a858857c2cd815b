//! What leaves: an event for its audience's topic, a disclosure beside it, and what goes to quarantine.
//!
//! In: what a step told, what could not be read. Out: outputs. Never here: a field that the event does not have.

use super::Bridge;
use crate::log::{OutTopic, Output, Record};
use crate::observe::{EventsTold, Quarantined, RecordsQuarantined};
use crate::source::landing;
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
    let mut headers = vec![
        ("class", Quarantined::of(why).name().to_owned()),
        ("reason", why.to_string()),
        ("source", record.source().to_owned()),
        ("type", record.resource_type().to_owned()),
        ("stamp", record.stamp.to_string()),
    ];
    let origin = landing::envelope(record).ok().and_then(|envelope| envelope.origin);
    headers.extend(origin.map(|origin| ("origin", origin.to_owned())));
    out.push(Output { topic: OutTopic::Quarantine, key, headers, value: Some(record.value().to_vec()) });
}

/// What was sent again leaves its place in quarantine. If it could not be read again it has another by then, or gets one.
pub fn retried(record: &Record, out: &mut Vec<Output>) {
    out.push(Output { topic: OutTopic::Quarantine, key: record.value().to_vec(), headers: Vec::new(), value: None });
}

/// The tombstone of a member who was erased, in the topic of an audience.
pub fn forgotten(audience: Box<str>, member: String) -> Output {
    Output { topic: OutTopic::Audience(audience), key: member.into_bytes(), headers: Vec::new(), value: None }
}

/// How many outputs of each kind a commit has, to be told once it is durable.
#[derive(Default)]
pub struct Facts {
    /// Audience, type.
    events: Vec<(Box<str>, String, u64)>,
    /// Source, class of the reason.
    quarantined: Vec<(Box<str>, String, u64)>,
}

impl Facts {
    pub fn of(outputs: &[Output]) -> Facts {
        let mut facts = Facts::default();
        for output in outputs {
            let header = |name: &str| output.headers.iter().find(|(named, _)| *named == name).map_or("", |(_, text)| text.as_str());
            match (&output.topic, &output.value) {
                (OutTopic::Audience(name), Some(_)) => count(&mut facts.events, name, header("ce_type")),
                (OutTopic::Quarantine, Some(_)) => count(&mut facts.quarantined, header("source"), header("class")),
                // Tombstones free a place; each disclosure stands beside its event.
                (OutTopic::Audience(_) | OutTopic::Quarantine | OutTopic::Disclosures, _) => {}
            }
        }
        facts
    }

    pub fn emit(&self) {
        self.events.iter().for_each(|(audience, kind, events)| EventsTold { audience, kind, events: *events }.emit());
        self.quarantined.iter().for_each(|(source, reason, records)| RecordsQuarantined { source, reason, records: *records }.emit());
    }
}

/// A commit touches few audiences.
fn count(counts: &mut Vec<(Box<str>, String, u64)>, one: &str, other: &str) {
    match counts.iter_mut().find(|(a, b, _)| **a == *one && b == other) {
        Some((_, _, count)) => *count += 1,
        None => counts.push((one.into(), other.to_owned(), 1)),
    }
}
