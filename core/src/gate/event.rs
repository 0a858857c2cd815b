//! `Event`: what leaves, as the data of a CloudEvent (docs/events.md).

use super::Closed;
use crate::audience::{Channel, Communication};
use crate::phi::Phi;
use crate::time::Instant;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Only [`super::project`] makes one. `Serialize` writes the public object; `closed` is never in it.
pub struct Event {
    pub(super) audience: String,
    pub(super) definition: String,
    pub(super) member: String,
    pub(super) seq: u64,
    pub(super) episode: u64,
    pub(super) since: Instant,
    pub(super) status: Status,
    pub(super) reason: &'static str,
    pub(super) effective: Instant,
    pub(super) until: Option<Instant>,
    pub(super) communication: Communication,
    pub(super) identity: Option<Identity>,
    pub(super) channels: BTreeMap<Channel, Address>,
    pub(super) action: Option<String>,
    pub(super) attributes: Vec<(String, Phi<String>)>,
    pub(super) closed: Option<Closed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Entered,
    Updated,
    Exited,
}

impl Status {
    /// The CloudEvents `type`.
    pub const fn event_type(self) -> &'static str {
        match self {
            Status::Entered => "org.footbridge.audience.entered",
            Status::Updated => "org.footbridge.audience.updated",
            Status::Exited => "org.footbridge.audience.exited",
        }
    }
}

/// Where a message may be sent, and within which hours of which zone.
#[derive(Serialize)]
pub struct Address {
    pub address: Phi<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<[String; 2]>,
}

/// The person in a system that the recipient identifies by.
#[derive(Clone, Serialize)]
pub struct Identity {
    pub system: String,
    pub value: Phi<String>,
}

impl Event {
    pub fn audience(&self) -> &str {
        &self.audience
    }
    pub fn member(&self) -> &str {
        &self.member
    }
    pub fn communication(&self) -> Communication {
        self.communication
    }
    pub fn seq(&self) -> u64 {
        self.seq
    }
    pub fn status(&self) -> Status {
        self.status
    }
    pub fn reason(&self) -> &'static str {
        self.reason
    }
    pub fn effective(&self) -> Instant {
        self.effective
    }
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
    pub fn episode(&self) -> u64 {
        self.episode
    }
    /// The whole cause, for disclosures and `--reveal`; the recipient reads [`Event::reason`].
    pub fn cause(&self) -> &'static str {
        match self.closed {
            Some(closed) => closed.name(),
            None => self.reason,
        }
    }
    /// The names of the fields that leave with it, for the disclosure record.
    pub fn fields(&self) -> Vec<String> {
        let channels = self.channels.keys().map(|channel| format!("channels.{}", channel.name()));
        channels.chain(self.attributes.iter().map(|(name, _)| format!("attributes.{name}"))).collect()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("audience", &self.audience)?;
        map.serialize_entry("definition", &self.definition)?;
        map.serialize_entry("member", &self.member)?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("episode", &self.episode)?;
        map.serialize_entry("since", &self.since.to_string())?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("reason", self.reason)?;
        map.serialize_entry("effective", &self.effective.to_string())?;
        if let Some(until) = self.until {
            map.serialize_entry("until", &until.to_string())?;
        }
        map.serialize_entry("communication", &self.communication)?;
        if let Some(identity) = &self.identity {
            map.serialize_entry("identity", identity)?;
        }
        if !self.channels.is_empty() {
            map.serialize_entry("channels", &self.channels)?;
        }
        if let Some(action) = &self.action {
            map.serialize_entry("action", action)?;
        }
        if !self.attributes.is_empty() {
            map.serialize_entry("attributes", &Attributes(&self.attributes))?;
        }
        map.end()
    }
}

struct Attributes<'a>(&'a [(String, Phi<String>)]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
