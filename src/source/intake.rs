//! Intake: what every source does with what it received, before landing has it.
//!
//! In: FHIR bytes and the name of their source. Out: landing entries, those of one person in one group; what was refused.
//! Never here: an acknowledgement, a clock, or what a resource says beyond whose it is.

use super::ReadBy;
use super::landing::{self, Envelope, Note, Partitions, Resource};
use crate::log::{Entry, Kind};
use footbridge_core::fhir::bundle::{self, Bundle, BundleKind, Change};
use footbridge_core::fhir::{self, BundleLinks, Unreadable, Version, Versions, peek};
use footbridge_core::key::{Keys, Person};
use footbridge_core::shard::{ContactPreference, Origin, Preference, Route};
use footbridge_core::time::Instant;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// One source as the configuration names it.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    /// Sources of one EHR share a namespace.
    pub namespace: String,
    pub versions: Versions,
}

pub struct Intake {
    pub read_by: ReadBy,
    pub keys: Keys,
    pub partitions: Partitions,
    pub sources: Vec<Source>,
}

/// What became of one body.
#[derive(Default)]
pub struct Received {
    /// To be appended at once, as one group.
    pub entries: Vec<Entry>,
    pub resources: u64,
    /// Of types that nothing reads.
    pub unread: u64,
    /// Changes that say nothing of a resource.
    pub skipped: u64,
    /// Entries of the Bundle (from 1; `None`: the whole) that could not be read; each is on its way to quarantine.
    pub refused: Vec<(Option<usize>, Unreadable)>,
    /// Where the body is a Bundle whose frame could be read: what it is for, and how many entries it has.
    pub bundle: Option<(BundleKind, usize)>,
}

impl Intake {
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// As the first of all definitions that read its type would tell.
    fn route(&self, source: &Source, body: &[u8], given_id: Option<&str>, links: Option<&BundleLinks>) -> Route {
        let mut route = Route::Unread;
        for definitions in self.read_by.all().iter() {
            let origin = Origin { definitions, keys: &self.keys, namespace: &source.namespace, versions: source.versions };
            route = origin.route(body, given_id, links);
            if !matches!(route, Route::Unread) {
                break;
            }
        }
        route
    }

    /// A resource, or a Bundle: what one Bundle says of a person is one group.
    pub fn receive(&self, source: &Source, body: &[u8]) -> Received {
        let mut received = Received::default();
        match peek::kind(body) {
            Ok(kind) if kind == "Bundle" => match bundle::read(body) {
                Ok(bundle) => {
                    received.bundle = Some((bundle.kind, bundle.entries.len()));
                    self.bundle(source, body, &bundle, &mut received);
                }
                Err(why) => self.refuse(source, body, None, why, &mut received),
            },
            Ok(_) => self.resource(source, body, None, None, None, &mut received),
            Err(why) => self.refuse(source, body, None, why, &mut received),
        }
        mark_groups(&mut received.entries);
        received
    }

    fn bundle(&self, source: &Source, body: &[u8], bundle: &Bundle, received: &mut Received) {
        let links = BundleLinks::new(bundle, body);
        for entry in &bundle.entries {
            let place = Some(entry.index + 1);
            match &entry.change {
                Change::Put { id, bytes, .. } => self.resource(source, bytes, id.as_deref(), Some(&links), place, received),
                Change::Delete { kind, id } => {
                    received.resources += 1;
                    match source.versions.of_delete(entry.last_modified, entry.version_id.as_deref(), UNSTAMPED) {
                        Ok(version) => self.deleted(source, kind, id, version.filter(|version| version.0 != UNSTAMPED.micros()), received),
                        Err(why) => received.refused.push((place, why)),
                    }
                }
                Change::Skip(_) => received.skipped += 1,
                Change::Unreadable(why) => self.refuse(source, body, place, why.clone(), received),
            }
        }
    }

    /// A delete of one resource, as an interaction of its own.
    pub fn delete(&self, source: &Source, kind: &str, id: &str) -> Received {
        let mut received = Received { resources: 1, ..Received::default() };
        self.deleted(source, kind, id, None, &mut received);
        received
    }

    fn deleted(&self, source: &Source, kind: &str, id: &str, version: Option<Version>, received: &mut Received) {
        if !self.read_by.reads(kind) {
            received.unread += 1;
            return;
        }
        let resource = self.keys.resource(&source.namespace, kind, id);
        let note = Note::Deleted { resource, version, by_id: source.versions == Versions::Id };
        // Of a broadcast resource every shard has to hear, too.
        if fhir::compartment::is_broadcast(kind) {
            for place in self.partitions.all() {
                received.entries.push(Entry {
                    place,
                    ..landing::note(place, resource, &note, number_of(&[kind.as_bytes(), id.as_bytes()]), &source.name)
                });
            }
        }
        let number = number_of(&[kind.as_bytes(), id.as_bytes(), &version.map_or(0, |version| version.0).to_be_bytes()]);
        received.entries.push(landing::note(self.partitions.owners_of(resource), resource, &note, number, &source.name));
    }

    fn resource(
        &self,
        source: &Source,
        body: &[u8],
        given_id: Option<&str>,
        links: Option<&BundleLinks>,
        entry: Option<usize>,
        received: &mut Received,
    ) {
        received.resources += 1;
        let envelope = Envelope { given_id, links: links.map_or_else(Vec::new, |links| links.needed_by(body)), body };
        match self.route(source, body, given_id, links) {
            Route::Unread => received.unread += 1,
            Route::Persons { kind, key, version, persons } => {
                for person in persons {
                    let place = self.partitions.of(&person);
                    let resource = Resource { place, person, key, version, kind: &kind, source: &source.name, envelope: &envelope };
                    received.entries.push(landing::put(&resource));
                }
            }
            Route::Everyone { kind, key, version } => {
                for place in self.partitions.all() {
                    let person = landing::NOBODY;
                    let resource = Resource { place, person, key, version, kind: &kind, source: &source.name, envelope: &envelope };
                    received.entries.push(landing::put(&resource));
                }
            }
            Route::Nobody { key, version } => {
                let note = Note::Nobody { resource: key, version };
                received.entries.push(landing::note(self.partitions.owners_of(key), key, &note, number_of(&[body]), &source.name));
            }
            Route::Unclear { kind, key, version, why } => {
                let note = Note::Unclear { resource: key, version, kind };
                received.entries.push(landing::note(self.partitions.owners_of(key), key, &note, number_of(&[body]), &source.name));
                self.quarantine(source, &envelope, received);
                received.refused.push((entry, why));
            }
            Route::Unreadable(why) => {
                self.quarantine(source, &envelope, received);
                received.refused.push((entry, why));
            }
        }
    }

    fn refuse(&self, source: &Source, body: &[u8], entry: Option<usize>, why: Unreadable, received: &mut Received) {
        received.resources += 1;
        self.quarantine(source, &Envelope { given_id: None, links: Vec::new(), body }, received);
        received.refused.push((entry, why));
    }

    /// What cannot be read goes by way of landing: quarantine names its position.
    fn quarantine(&self, source: &Source, envelope: &Envelope, received: &mut Received) {
        let number = number_of(&[envelope.body]);
        let place = crate::log::Place::landing((number % u64::from(self.partitions.0.max(1))) as u16);
        received.entries.push(landing::unreadable(place, number, &source.name, envelope));
    }

    /// The source's first complete pass is in landing.
    pub fn baseline(&self, source: &Source) -> Vec<Entry> {
        self.partitions.all().map(|place| landing::control(place, Kind::Baseline, &source.name, Vec::new())).collect()
    }

    /// The source has delivered all consents up to `complete_to`.
    pub fn watermark(&self, source: &Source, complete_to: Instant) -> Vec<Entry> {
        self.partitions.all().map(|place| landing::watermark(place, &source.name, complete_to)).collect()
    }

    /// What the CRM says of one person. `number` tells two such reports apart.
    pub fn preference(&self, source: &str, person: Person, preference: Preference, number: u64) -> Entry {
        landing::told(self.partitions.of(&person), person, &landing::Told::Preference(preference), number, source)
    }

    /// What the CRM says of everyone who has a contact. `number` as for one person.
    pub fn contact_preference(&self, source: &str, report: &ContactPreference, number: u64) -> Vec<Entry> {
        self.partitions.all().map(|place| landing::contact_preference(place, report, number, source)).collect()
    }
}

const UNSTAMPED: Instant = Instant::from_micros(i64::MIN + 1);

/// All but the last record of each person are followed by more. A delete reaches its persons by way of the owners, apart.
fn mark_groups(entries: &mut [Entry]) {
    let mut last: HashMap<[u8; 16], usize> = HashMap::new();
    let person = |entry: &Entry| match entry.headers.kind {
        Kind::Put => entry.key.first_chunk::<16>().copied().filter(|person| person != landing::NOBODY.as_bytes()),
        _ => None,
    };
    for (number, entry) in entries.iter().enumerate() {
        last.extend(person(entry).map(|person| (person, number)));
    }
    for (number, entry) in entries.iter_mut().enumerate() {
        if let Some(person) = person(entry) {
            entry.headers.more = last.get(&person) != Some(&number);
        }
    }
}

/// The same for the same bytes, so that what is sent again takes its own place.
pub(super) fn number_of(parts: &[&[u8]]) -> u64 {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    u64::from_be_bytes(sum.finalize()[..8].try_into().expect("a digest has 32 bytes"))
}
