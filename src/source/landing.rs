//! What a landing or owners record says, as bytes: keys, values, and the inputs that they stand for.
//!
//! In: inputs to be appended, records as read. Out: entries; the same inputs again.
//! Never here: what an input brings about, or a record that is skipped because it cannot be read.

use crate::log::{Entry, Headers, Kind, Place, Record, Topic};
use footbridge_core::fhir::Version;
use footbridge_core::key::{self, Person, ResourceKey};
use footbridge_core::shard::{ContactPreference, Input, Message, Ownership, Preference, Unclear};
use footbridge_core::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A resource as its source sent it, with what only its Bundle knew.
#[derive(Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// What its Bundle calls it where it has no id of its own.
    pub given_id: Option<&'a str>,
    /// References that its Bundle resolves: text, type, id.
    #[serde(borrow)]
    pub links: Vec<(&'a str, &'a str, &'a str)>,
    pub body: &'a [u8],
    /// Of a retry from quarantine: when landing took it first. What came in between stays newer.
    #[serde(skip)]
    pub as_of: Option<Instant>,
    /// Where its source has it, as `TOPIC/PARTITION/OFFSET`: quarantine names it.
    #[serde(skip)]
    pub origin: Option<&'a str>,
}

/// Stands where a retry has its instant, before the origin of what is none.
const NO_RETRY: Instant = Instant::from_micros(i64::MIN);

impl Envelope<'_> {
    /// What stands in for a version that it does not name.
    pub fn stamp(&self, record: &Record) -> Instant {
        self.as_of.unwrap_or(record.stamp)
    }

    /// `as_of` stands behind the rest, then `origin`, and neither where there is none.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = encode(self);
        if self.as_of.is_some() || self.origin.is_some() {
            bytes.extend(self.as_of.unwrap_or(NO_RETRY).micros().to_be_bytes());
            bytes.extend(self.origin.unwrap_or_default().as_bytes());
        }
        bytes
    }
}

/// What the owners of a resource hear.
#[derive(Serialize, Deserialize)]
pub enum Note {
    /// From a shard.
    Shard(Ownership),
    /// From a source: the version that made it, `None` where the stamp is its version, and whether versions are ordered by id,
    /// where a delete without one beats what was stamped before it.
    Deleted {
        resource: ResourceKey,
        version: Option<Version>,
        by_id: bool,
    },
    Nobody {
        resource: ResourceKey,
        version: Option<Version>,
    },
    Unclear {
        resource: ResourceKey,
        version: Option<Version>,
        kind: String,
    },
}

impl Note {
    pub fn stamped(self, stamp: Instant) -> Ownership {
        let or_stamp = |version: Option<Version>| version.unwrap_or(Version(stamp.micros()));
        match self {
            Note::Shard(ownership) => ownership,
            Note::Deleted { resource, version: None, by_id: true } => Ownership::Delete { resource, version: None, stamp },
            Note::Deleted { resource, version, .. } => Ownership::Delete { resource, version: Some(or_stamp(version)), stamp },
            Note::Nobody { resource, version } => Ownership::Claim(footbridge_core::shard::Claim {
                resource,
                version: or_stamp(version),
                stamp,
                persons: smallvec::SmallVec::new(),
                asks: None,
            }),
            Note::Unclear { resource, version, kind } => {
                Ownership::Unclear(Unclear { key: resource, version: or_stamp(version), kind: kind.into(), more: false })
            }
        }
    }
}

/// What one person, or a whole partition, hears from elsewhere than a resource.
#[derive(Serialize, Deserialize)]
pub enum Told {
    Delete(footbridge_core::shard::Delete),
    Unclear(Unclear),
    Message(Box<Message>),
    Preference(Preference),
    Erase,
    /// The owners have nothing more to say of this resource.
    Confirmed(ResourceKey),
    /// What else its Bundle said waits for the owners of this resource.
    Awaits(ResourceKey),
}

impl Told {
    pub fn of(input: Input) -> Option<Told> {
        match input {
            Input::Delete(delete) => Some(Told::Delete(delete)),
            Input::Unclear(unclear) => Some(Told::Unclear(unclear)),
            Input::Message(message) => Some(Told::Message(message)),
            Input::Preference(preference) => Some(Told::Preference(preference)),
            Input::Erase => Some(Told::Erase),
            Input::Confirmed(key) => Some(Told::Confirmed(key)),
            Input::Awaits(key) => Some(Told::Awaits(key)),
            // A resource travels as its own bytes; the others are no records of a person.
            Input::Put(_) | Input::Adopt(_) | Input::Review | Input::Tick => None,
        }
    }

    /// What one member tells another is for those definitions that saw the sender so.
    pub fn is_for(&self, record: &Record, generation: u64) -> bool {
        !matches!(self, Told::Message(_)) || record.version.cast_unsigned() == generation
    }

    pub fn input(self, more: bool) -> Input {
        match self {
            Told::Delete(delete) => Input::Delete(delete).with_more(more),
            Told::Unclear(unclear) => Input::Unclear(unclear).with_more(more),
            Told::Message(message) => Input::Message(message),
            Told::Preference(preference) => Input::Preference(preference),
            Told::Erase => Input::Erase,
            Told::Confirmed(key) => Input::Confirmed(key),
            Told::Awaits(key) => Input::Awaits(key),
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Told::Delete(_) | Told::Unclear(_) => Kind::Delete,
            Told::Message(_) | Told::Confirmed(_) | Told::Awaits(_) => Kind::Message,
            Told::Preference(_) => Kind::Preference,
            Told::Erase => Kind::Erase,
        }
    }
}

/// What becomes of definitions, by their generation: a number that rises with each that is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Work out what they would make of every member, from a replay of landing, beside what is in force.
    Prepare { generation: u64 },
    /// Count what they would move.
    Count { generation: u64 },
    /// They are in force from here on.
    Adopt { generation: u64 },
    /// Forget what was prepared.
    Drop { generation: u64 },
}

impl Order {
    pub const fn generation(self) -> u64 {
        match self {
            Order::Prepare { generation } | Order::Count { generation } | Order::Adopt { generation } | Order::Drop { generation } => {
                generation
            }
        }
    }
}

/// Stands in keys for records that are nobody's: broadcast resources, and what could not be read.
pub const NOBODY: Person = Person::from_bytes([0; 16]);

/// Where things lie.
#[derive(Debug, Clone, Copy)]
pub struct Partitions(pub u16);

impl Partitions {
    pub fn of(self, person: &Person) -> Place {
        Place::landing(key::partition(person, u32::from(self.0)) as u16)
    }

    pub fn owners_of(self, resource: ResourceKey) -> Place {
        Place::owners((resource.as_u64() % u64::from(self.0.max(1))) as u16)
    }

    pub fn all(self) -> impl Iterator<Item = Place> {
        (0..self.0).map(Place::landing)
    }
}

fn headers(kind: Kind, resource_type: &str, version: Option<Version>, more: bool, source: &str) -> Headers {
    Headers { kind, resource_type: resource_type.into(), version: version.map_or(0, |version| version.0), more, source: source.into() }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Room for what most say, so that it need not grow while it is written.
    postcard::to_extend(value, Vec::with_capacity(96)).expect("plain data")
}

/// `person/resource/version`: without a version of its own the next record of the resource takes its place.
pub fn resource_key(person: Person, resource: ResourceKey, version: Option<Version>) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    key.extend(person.as_bytes());
    key.extend(resource.as_u64().to_be_bytes());
    key.extend(version.map_or(0, |version| version.0).to_be_bytes());
    key
}

pub struct Resource<'a> {
    pub place: Place,
    pub person: Person,
    pub key: ResourceKey,
    pub version: Option<Version>,
    pub kind: &'a str,
    pub source: &'a str,
    pub envelope: &'a Envelope<'a>,
}

pub fn put(resource: &Resource) -> Entry {
    let Resource { place, person, key, version, kind, source, envelope } = *resource;
    Entry {
        place,
        key: resource_key(person, key, version),
        headers: headers(Kind::Put, kind, version, false, source),
        value: envelope.encode(),
    }
}

/// A record that nobody could read: the shard reads it once more, and puts it into quarantine with its position.
/// `number` keeps several of one append apart.
pub fn unreadable(place: Place, number: u64, source: &str, envelope: &Envelope) -> Entry {
    let version = Some(Version(number.cast_signed()));
    let key = resource_key(NOBODY, ResourceKey::from_u64(number), version);
    Entry { place, key, headers: headers(Kind::Put, "", version, false, source), value: envelope.encode() }
}

/// `number` keeps apart what one commit or append sends to one person.
pub fn told(place: Place, person: Person, told: &Told, number: u64, source: &str) -> Entry {
    let resource = match told {
        Told::Delete(delete) => delete.key,
        Told::Unclear(unclear) => unclear.key,
        Told::Confirmed(key) | Told::Awaits(key) => *key,
        Told::Message(_) | Told::Preference(_) | Told::Erase => ResourceKey::from_u64(number),
    };
    let mut key = resource_key(person, resource, Some(Version(number.cast_signed())));
    // Of another kind than a resource's own records.
    key.push(told.kind() as u8);
    Entry { place, key, headers: headers(told.kind(), "", None, false, source), value: encode(told) }
}

/// Everything of a person has to go. Of several such records the newest stands.
pub fn erase(partitions: Partitions, person: Person, source: &str) -> Entry {
    told(partitions.of(&person), person, &Told::Erase, 0, source)
}

/// From one member to another, as the definitions of one generation see them: those of another do not hear it.
pub fn message(place: Place, to: Person, message: Message, generation: u64, number: u64) -> Entry {
    let mut entry = told(place, to, &Told::Message(Box::new(message)), number, "shard");
    entry.headers.version = generation.cast_signed();
    entry
}

/// What a whole partition is told of its definitions. Each stays: a record of `order` for every generation.
pub fn order(place: Place, order: &Order) -> Entry {
    let (kind, part) = match order {
        Order::Prepare { .. } => (Kind::Prepare, "begin"),
        Order::Count { .. } => (Kind::Prepare, "count"),
        Order::Drop { .. } => (Kind::Prepare, "drop"),
        Order::Adopt { .. } => (Kind::Adopt, "adopt"),
    };
    let mut key = vec![kind as u8];
    key.extend(order.generation().to_be_bytes());
    key.extend(part.as_bytes());
    Entry { place, key, headers: headers(kind, "", None, false, "definitions"), value: encode(order) }
}

/// An order that stops an audience, or lifts that: of one audience the newest stands.
pub fn stop(place: Place, audience: &str, stopped: bool) -> Entry {
    control(place, Kind::Stop, audience, encode(&stopped))
}

/// The audience, and whether it is stopped.
pub fn stop_of(record: &Record) -> Result<(&str, bool), Damaged> {
    Ok((record.source(), postcard::from_bytes(record.value()).map_err(|_| Damaged)?))
}

pub fn order_of(record: &Record) -> Result<Order, Damaged> {
    postcard::from_bytes(record.value()).map_err(|_| Damaged)
}

/// To every partition. `number` is one of the recipient and channel: with the contact's hash the newest report stands.
pub fn contact_preference(place: Place, report: &ContactPreference, number: u64, source: &str) -> Entry {
    let contact = ResourceKey::from_u64(report.contact.whole().unwrap_or(0));
    let mut key = resource_key(NOBODY, contact, Some(Version(number.cast_signed())));
    key.push(Kind::ContactPreference as u8);
    Entry { place, key, headers: headers(Kind::ContactPreference, "", None, false, source), value: encode(report) }
}

/// To the owners. The key begins with the resource; `number` keeps claims apart until they are worked off.
pub fn note(place: Place, resource: ResourceKey, note: &Note, number: u64, source: &str) -> Entry {
    let mut key = Vec::with_capacity(16);
    key.extend(resource.as_u64().to_be_bytes());
    key.extend(number.to_be_bytes());
    Entry { place, key, headers: headers(Kind::Claim, "", None, false, source), value: encode(note) }
}

/// Most bytes of notes that share one record.
const NOTES_BYTES_MAX: usize = 8 << 10;

/// Notes to the same owners in one record: its key is the first one's. Their order stays.
pub fn joined(entries: Vec<Entry>) -> Vec<Entry> {
    let (mut out, mut open): (Vec<Entry>, HashMap<Place, usize>) = (Vec::with_capacity(entries.len()), HashMap::new());
    for entry in entries {
        if entry.place.topic == Topic::Owners {
            match open.get(&entry.place).and_then(|at| out.get_mut(*at)) {
                Some(first) if first.value.len() + entry.value.len() <= NOTES_BYTES_MAX => {
                    first.value.extend(entry.value);
                    continue;
                }
                Some(_) | None => _ = open.insert(entry.place, out.len()),
            }
        }
        out.push(entry);
    }
    out
}

/// For a whole partition: `kind/source`, so that the newest stands for all.
pub fn control(place: Place, kind: Kind, source: &str, value: Vec<u8>) -> Entry {
    let mut key = vec![kind as u8];
    key.extend(source.as_bytes());
    Entry { place, key, headers: headers(kind, "", None, false, source), value }
}

pub fn watermark(place: Place, source: &str, complete_to: Instant) -> Entry {
    control(place, Kind::Watermark, source, complete_to.micros().to_be_bytes().to_vec())
}

/// A value that this version of the program cannot read.
#[derive(Debug)]
pub struct Damaged;

pub fn envelope(record: &Record) -> Result<Envelope<'_>, Damaged> {
    envelope_of(record.value())
}

/// From the value of a record, as landing or quarantine has it.
pub fn envelope_of(value: &[u8]) -> Result<Envelope<'_>, Damaged> {
    let (envelope, rest) = postcard::take_from_bytes::<Envelope>(value).map_err(|_| Damaged)?;
    if rest.is_empty() {
        return Ok(envelope);
    }
    let (micros, origin) = rest.split_first_chunk().ok_or(Damaged)?;
    let as_of = Some(Instant::from_micros(i64::from_be_bytes(*micros))).filter(|as_of| *as_of != NO_RETRY);
    let origin = Some(std::str::from_utf8(origin).map_err(|_| Damaged)?).filter(|origin| !origin.is_empty());
    Ok(Envelope { as_of, origin, ..envelope })
}

/// A record of quarantine was sent again: its place there is free. `quarantined` is its key.
pub fn retried(place: Place, quarantined: &[u8]) -> Entry {
    let key = [&[Kind::Retry as u8][..], quarantined].concat();
    Entry { place, key, headers: headers(Kind::Retry, "", None, false, "quarantine"), value: quarantined.to_vec() }
}

pub fn told_of(record: &Record) -> Result<Told, Damaged> {
    postcard::from_bytes(record.value()).map_err(|_| Damaged)
}

pub fn contact_preference_of(record: &Record) -> Result<ContactPreference, Damaged> {
    let report: ContactPreference = postcard::from_bytes(record.value()).map_err(|_| Damaged)?;
    // It would suppress everyone.
    if report.contact.is_unknown() { Err(Damaged) } else { Ok(report) }
}

pub fn note_of(record: &Record) -> Result<Note, Damaged> {
    postcard::from_bytes(record.value()).map_err(|_| Damaged)
}

/// All notes of a record of the owners, in the order in which they were sent: one at least.
pub fn notes_of(record: &Record) -> Result<Vec<Note>, Damaged> {
    let (mut notes, mut rest) = (Vec::new(), record.value());
    while !rest.is_empty() {
        let (note, after) = postcard::take_from_bytes(rest).map_err(|_| Damaged)?;
        notes.push(note);
        rest = after;
    }
    if notes.is_empty() { Err(Damaged) } else { Ok(notes) }
}

pub fn complete_to(record: &Record) -> Result<Instant, Damaged> {
    let micros = record.value().try_into().map_err(|_| Damaged)?;
    Ok(Instant::from_micros(i64::from_be_bytes(micros)))
}

/// Whose the record is.
pub fn person(record: &Record) -> Result<Person, Damaged> {
    let bytes = record.key().first_chunk::<16>().ok_or(Damaged)?;
    Ok(Person::from_bytes(*bytes))
}

/// The resource that the record's key names.
pub fn resource(record: &Record) -> Result<ResourceKey, Damaged> {
    let bytes = record.key().get(16..24).and_then(|bytes| bytes.try_into().ok()).ok_or(Damaged)?;
    Ok(ResourceKey::from_u64(u64::from_be_bytes(bytes)))
}
