//! Intake: what every source does with what it received, before landing has it.
//!
//! In: FHIR bytes and the name of their source. Out: landing entries, those of one person in one group; what was refused.
//! Never here: an acknowledgement, a clock, or what a resource says beyond whose it is.

use super::landing::{self, Envelope, Note, Partitions, Resource};
use super::{Keep, ReadBy};
use crate::log::{Entry, Kind};
use footbridge_core::fhir::bundle::{self, Bundle, BundleKind, Change};
use footbridge_core::fhir::{self, BundleLinks, Unreadable, Version, Versions, peek};
use footbridge_core::key::{Keys, Person, ResourceKey};
use footbridge_core::shard::{ContactPreference, Origin, Preference, Route};
use footbridge_core::time::Instant;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

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
    /// Of a retry: when landing took it first.
    as_of: Option<Instant>,
    /// Where its source has it, if it can say so.
    origin: Option<Arc<str>>,
    /// To be appended at once, as one group.
    pub entries: Vec<Entry>,
    pub resources: u64,
    /// Of types that nothing reads.
    pub unread: u64,
    /// Changes that say nothing of a resource.
    pub skipped: u64,
    /// Consents of which the owners know whose they are, and nobody else does.
    awaited: Vec<ResourceKey>,
    /// Of a retry: a delete in it has no version, and nothing stands in for one.
    unordered: bool,
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
                return route;
            }
        }
        match (self.read_by.keep, self.read_by.all().first()) {
            (Keep::All, Some(definitions)) => {
                Origin { definitions, keys: &self.keys, namespace: &source.namespace, versions: source.versions }
                    .route_unread(body, given_id, links)
            }
            (Keep::Read | Keep::All, _) => route,
        }
    }

    /// A resource, or a Bundle: what one Bundle says of a person is one group.
    pub fn receive(&self, source: &Source, body: &[u8]) -> Received {
        self.receive_from(source, None, body)
    }

    /// `origin`: where its source has it; quarantine names it.
    pub fn receive_from(&self, source: &Source, origin: Option<Arc<str>>, body: &[u8]) -> Received {
        let mut received = Received { origin, ..Received::default() };
        match peek::kind(body) {
            Ok(kind) if kind == "Bundle" => self.whole(source, body, &mut received),
            // Of a broken Consent the reader may still find out whose it is.
            Ok(_) | Err(_) => self.resource(source, body, None, None, None, &mut received),
        }
        mark_groups(&mut received.entries);
        self.await_owners(source, &mut received);
        received
    }

    fn whole(&self, source: &Source, body: &[u8], received: &mut Received) {
        match bundle::read(body) {
            Ok(bundle) => {
                received.bundle = Some((bundle.kind, bundle.entries.len()));
                self.bundle(source, body, &bundle, received);
            }
            Err(why) => self.refuse(source, body, None, why, received),
        }
    }

    /// What stands in quarantine under `key`, once more: as of when landing took it first (`stamp`), with what its Bundle knew.
    /// The last entry frees its place there.
    ///
    /// # Errors
    /// Why it cannot be sent again.
    pub fn retry(&self, source: &Source, key: &str, stamp: Instant, value: &[u8]) -> Result<Received, &'static str> {
        let partition = key.strip_prefix("landing/").and_then(|rest| rest.split('/').next()?.parse().ok());
        let partition = partition.filter(|partition| *partition < self.partitions.0).ok_or("its position names no partition")?;
        let envelope = landing::envelope_of(value).map_err(|_| "what stands there cannot be read by this version of the program")?;
        let (as_of, origin) = (Some(envelope.as_of.unwrap_or(stamp)), envelope.origin.map(Arc::from));
        let mut received = Received { as_of, origin, ..Received::default() };
        match peek::kind(envelope.body) {
            Ok(kind) if kind == "Bundle" => self.whole(source, envelope.body, &mut received),
            _ => {
                let links = (!envelope.links.is_empty()).then(|| BundleLinks::resolved(&envelope.links));
                self.resource(source, envelope.body, envelope.given_id, links.as_ref(), None, &mut received);
            }
        }
        if received.unordered {
            return Err("a delete in it has no version: nobody can tell what came after it; have its source send it again");
        }
        mark_groups(&mut received.entries);
        self.await_owners(source, &mut received);
        received.entries.push(landing::retried(crate::log::Place::landing(partition), key.as_bytes()));
        Ok(received)
    }

    fn bundle(&self, source: &Source, body: &[u8], bundle: &Bundle, received: &mut Received) {
        let links = BundleLinks::new(bundle, body);
        for entry in &bundle.entries {
            let place = Some(entry.index + 1);
            match &entry.change {
                Change::Put { id, bytes, .. } => self.resource(source, bytes, id.as_deref(), Some(&links), place, received),
                Change::Delete { kind, id } => {
                    received.resources += 1;
                    let stamp = received.as_of.unwrap_or(UNSTAMPED);
                    match source.versions.of_delete(entry.last_modified, entry.version_id.as_deref(), stamp) {
                        // It would beat what came since.
                        Ok(None) if received.as_of.is_some() => received.unordered = true,
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
        if !self.read_by.takes(kind) {
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
        received.awaited.extend((kind == CONSENT).then_some(resource));
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
        let (as_of, origin) = (received.as_of, received.origin.clone());
        let links_needed = links.map_or_else(Vec::new, |links| links.needed_by(body));
        let envelope = Envelope { given_id, links: links_needed, body, as_of, origin: origin.as_deref() };
        // A key with its version: what came in between keeps a place of its own.
        match as_if(self.route(source, body, given_id, links), as_of) {
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
                received.awaited.extend((peek::kind(body).is_ok_and(|kind| kind == CONSENT)).then_some(key));
                let note = Note::Nobody { resource: key, version };
                received.entries.push(landing::note(self.partitions.owners_of(key), key, &note, number_of(&[body]), &source.name));
            }
            Route::Unclear { kind, key, version, why } => {
                received.awaited.extend((kind == CONSENT).then_some(key));
                let note = Note::Unclear { resource: key, version, kind };
                received.entries.push(landing::note(self.partitions.owners_of(key), key, &note, number_of(&[body]), &source.name));
                self.quarantine(source, &envelope, received);
                received.refused.push((entry, why));
            }
            Route::Unreadable(why) => {
                self.quarantine(source, &envelope, received);
                received.refused.push((entry, why));
            }
            // The shard reads nothing of it; definitions that do put it into quarantine.
            Route::Kept => self.quarantine(source, &envelope, received),
        }
    }

    /// What a Bundle says of persons waits for what it says of Consents by way of the owners: a permit must not count before
    /// the denial beside it, or the delete of another permit.
    fn await_owners(&self, source: &Source, received: &mut Received) {
        if received.awaited.is_empty() {
            return;
        }
        let persons: BTreeSet<Person> = received.entries.iter().filter_map(person_of).collect();
        let pairs = persons.iter().flat_map(|person| received.awaited.iter().map(move |resource| (*person, *resource)));
        let first = pairs.map(|(person, resource)| {
            landing::told(self.partitions.of(&person), person, &landing::Told::Awaits(resource), 0, &source.name)
        });
        let first: Vec<Entry> = first.collect();
        received.entries.splice(0..0, first);
    }

    fn refuse(&self, source: &Source, body: &[u8], entry: Option<usize>, why: Unreadable, received: &mut Received) {
        received.resources += 1;
        let (as_of, origin) = (received.as_of, received.origin.clone());
        self.quarantine(source, &Envelope { given_id: None, links: Vec::new(), body, as_of, origin: origin.as_deref() }, received);
        received.refused.push((entry, why));
    }

    /// What cannot be read goes by way of landing: quarantine names its position.
    fn quarantine(&self, source: &Source, envelope: &Envelope, received: &mut Received) {
        let number = match envelope.origin {
            Some(origin) => number_of(&[origin.as_bytes(), envelope.body]),
            None => number_of(&[envelope.body]),
        };
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

const CONSENT: &str = "Consent";

const UNSTAMPED: Instant = Instant::from_micros(i64::MIN + 1);

/// A retry has the version that it would have had.
fn as_if(route: Route, as_of: Option<Instant>) -> Route {
    let stood_in = |version: Option<Version>| version.or(as_of.map(|as_of| Version(as_of.micros())));
    match route {
        Route::Everyone { kind, key, version } => Route::Everyone { kind, key, version: stood_in(version) },
        Route::Persons { kind, key, version, persons } => Route::Persons { kind, key, version: stood_in(version), persons },
        Route::Nobody { key, version } => Route::Nobody { key, version: stood_in(version) },
        Route::Unclear { kind, key, version, why } => Route::Unclear { kind, key, version: stood_in(version), why },
        unchanged @ (Route::Unread | Route::Kept | Route::Unreadable(_)) => unchanged,
    }
}

/// Of whom a resource is that the entry brings.
fn person_of(entry: &Entry) -> Option<Person> {
    let key = entry.key.first_chunk::<16>().filter(|_| entry.headers.kind == Kind::Put)?;
    Some(Person::from_bytes(*key)).filter(|person| *person != landing::NOBODY)
}

/// All but the last record of each person are followed by more. A delete reaches its persons by way of the owners, apart.
fn mark_groups(entries: &mut [Entry]) {
    let mut last: HashMap<Person, usize> = HashMap::new();
    for (number, entry) in entries.iter().enumerate() {
        last.extend(person_of(entry).map(|person| (person, number)));
    }
    for (number, entry) in entries.iter_mut().enumerate() {
        if let Some(person) = person_of(entry) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::files::Files;
    use crate::config::mappings;
    use crate::demo::shipped;
    use crate::log::{Place, Record};
    use footbridge_core::audience::Definitions;

    fn intake(versions: Versions) -> Intake {
        keeping(versions, Keep::Read)
    }

    fn keeping(versions: Versions, keep: Keep) -> Intake {
        let mappings = mappings::read_files(&Files::Texts(shipped::MAPPINGS)).mappings.expect("they are right");
        let definitions = Arc::new(Definitions::new(mappings.catalogue, mappings.policy, mappings.valuesets));
        let source = Source { name: "ehr".into(), namespace: String::new(), versions };
        Intake {
            read_by: ReadBy::new(definitions, keep),
            keys: Keys::new(b"a routing secret of tests"),
            partitions: Partitions(4),
            sources: vec![source],
        }
    }

    const FIRST: Instant = Instant::from_micros(1_700_000_000_000_001);

    /// As quarantine keeps it.
    fn kept(body: &str) -> Vec<u8> {
        let envelope = Envelope {
            given_id: Some("ann"),
            links: vec![("urn:uuid:1", "Patient", "bea")],
            body: body.as_bytes(),
            as_of: None,
            origin: None,
        };
        landing::unreadable(Place::landing(1), 7, "ehr", &envelope).value
    }

    #[test]
    fn a_retry_is_as_old_as_it_was_and_frees_its_place() {
        let intake = intake(Versions::LastUpdated);
        for (body, version) in [
            (r#"{"resourceType":"Patient","birthDate":"1950-01-01"}"#, FIRST),
            (r#"{"resourceType":"Patient","meta":{"lastUpdated":"1970-01-01T00:00:01Z"}}"#, Instant::from_micros(1_000_000)),
        ] {
            let received = intake.retry(&intake.sources[0], "landing/1/7", FIRST, &kept(body)).expect("it can be sent again");
            let [put, freed] = &received.entries[..] else { panic!("{:?}", received.entries) };
            let resource = intake.keys.resource("", "Patient", "ann");
            let expected = landing::resource_key(intake.keys.person("", "ann"), resource, Some(Version(version.micros())));
            assert_eq!((put.headers.kind, &put.key), (Kind::Put, &expected));
            let record = Record::new(put, 9, Instant::END);
            let envelope = landing::envelope(&record).expect("an envelope");
            assert_eq!(envelope.stamp(&record), FIRST);
            assert_eq!((freed.place, freed.headers.kind, freed.value.as_slice()), (Place::landing(1), Kind::Retry, &b"landing/1/7"[..]));
        }
    }

    #[test]
    fn a_reference_that_only_its_bundle_resolved_leads_there_again() {
        let intake = intake(Versions::LastUpdated);
        let body = r#"{"resourceType":"Encounter","id":"e","status":"finished","subject":{"reference":"urn:uuid:1"}}"#;
        let received = intake.retry(&intake.sources[0], "landing/1/7", FIRST, &kept(body)).expect("it can be sent again");
        assert_eq!(received.entries[0].key[..16], *intake.keys.person("", "bea").as_bytes());
        let record = Record::new(&received.entries[0], 9, Instant::END);
        assert_eq!(landing::envelope(&record).expect("an envelope").links, [("urn:uuid:1", "Patient", "bea")]);
    }

    #[test]
    fn what_a_bundle_says_of_a_person_waits_where_it_says_something_of_a_consent_by_way_of_the_owners() {
        let intake = intake(Versions::LastUpdated);
        let (ann, consent) = (intake.keys.person("", "ann"), intake.keys.resource("", "Consent", "c"));
        for (kind, awaits) in [("Consent", true), ("Observation", false)] {
            let body = format!(
                r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{{"resourceType":"Patient","id":"ann"}},"request":{{"method":"PUT","url":"Patient/ann"}}}},{{"request":{{"method":"DELETE","url":"{kind}/c"}}}}]}}"#
            );
            let entries = intake.receive(&intake.sources[0], body.as_bytes()).entries;
            let record = Record::new(&entries[0], 9, FIRST);
            let waits =
                record.kind == Kind::Message && matches!(landing::told_of(&record), Ok(landing::Told::Awaits(key)) if key == consent);
            assert_eq!(waits, awaits, "{kind}");
            assert!(landing::person(&record).is_ok_and(|person| person == ann));
            assert_eq!(entries.iter().filter(|entry| entry.headers.kind == Kind::Message).count(), usize::from(awaits));
        }
    }

    #[test]
    fn a_type_that_nothing_reads_is_dropped_or_kept_with_its_person() {
        let person = |intake: &Intake, body: &str| {
            let received = intake.receive(&intake.sources[0], body.as_bytes());
            assert!(received.refused.is_empty());
            let whose = received.entries.first().map(|entry| entry.key[..16].to_vec());
            (received.unread, whose)
        };
        let (read, all) = (intake(Versions::LastUpdated), keeping(Versions::LastUpdated, Keep::All));
        let whole = r#"{"resourceType":"ClinicalImpression","id":"i","subject":{"reference":"Patient/ann"}}"#;
        assert_eq!(person(&read, whole), (1, None));
        assert_eq!(person(&all, whole), (0, Some(all.keys.person("", "ann").as_bytes().to_vec())));
        // Whose it is cannot be told: it waits for those who read it.
        let unclear = r#"{"resourceType":"ClinicalImpression","subject":{"reference":"urn:x"}}"#;
        assert_eq!(person(&all, unclear), (0, Some(landing::NOBODY.as_bytes().to_vec())));
    }

    #[test]
    fn what_could_beat_a_newer_version_is_not_sent_again() {
        let intake = intake(Versions::Id);
        let body = r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"DELETE","url":"Patient/ann"}}]}"#;
        assert!(intake.retry(&intake.sources[0], "landing/1/7", FIRST, &kept(body)).is_err_and(|why| why.contains("has no version")));
        for key in ["landing/4/7", "owners/1/7", "landing/x", ""] {
            assert!(intake.retry(&intake.sources[0], key, FIRST, &kept("{}")).is_err(), "{key}");
        }
        assert!(intake.retry(&intake.sources[0], "landing/1/7", FIRST, b"").is_err());
    }
}
