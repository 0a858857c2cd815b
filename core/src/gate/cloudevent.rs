//! The event as a CloudEvent 1.0: attributes, and the structured JSON form (docs/events.md).
//!
//! Source: CloudEvents 1.0.2, JSON Event Format 3.1; W3C Trace Context 2.2.

use super::Event;
use crate::phi::Phi;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The form of `data`; it changes when a consumer would have to.
pub const DATA_SCHEMA: &str = "urn:footbridge:event:1";

/// What `--reveal` adds for those who may see the record: the patient, and the whole cause.
#[derive(Serialize)]
pub struct Revealed<'a> {
    pub patient: Phi<&'a str>,
    pub cause: &'static str,
}

#[derive(Serialize)]
pub struct Structured<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: &'static str,
    time: String,
    subject: &'a str,
    dataschema: &'static str,
    datacontenttype: &'static str,
    traceparent: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(flatten)]
    revealed: Option<Revealed<'a>>,
}

impl<'a> Structured<'a> {
    pub fn new(event: &'a Event, source: &'a str, revealed: Option<Revealed<'a>>) -> Structured<'a> {
        let id = event.id();
        let trace = Sha256::digest(id.as_bytes());
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        Structured {
            specversion: "1.0",
            source,
            r#type: event.status().event_type(),
            time: event.effective().to_string(),
            subject: event.member(),
            dataschema: DATA_SCHEMA,
            datacontenttype: "application/json",
            traceparent: format!("00-{}-{}-01", hex(&trace[..16]), hex(&trace[16..24])),
            id,
            data: Data { event, revealed },
        }
    }
}

impl Structured<'_> {
    /// The attributes as Kafka's binary mode carries them, beside `data` as the value (CloudEvents Kafka binding 3.2).
    pub fn headers(self) -> Vec<(&'static str, String)> {
        vec![
            ("ce_specversion", self.specversion.to_owned()),
            ("ce_id", self.id),
            ("ce_source", self.source.to_owned()),
            ("ce_type", self.r#type.to_owned()),
            ("ce_time", self.time),
            ("ce_subject", self.subject.to_owned()),
            ("ce_dataschema", self.dataschema.to_owned()),
            ("content-type", self.datacontenttype.to_owned()),
            ("traceparent", self.traceparent),
        ]
    }
}

impl Event {
    /// One and the same for one member, audience and seq, however often it is sent.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.member(), self.audience(), self.seq())
    }
}
