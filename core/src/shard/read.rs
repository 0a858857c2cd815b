//! From a resource's bytes to an input: who it is about, which version it is, what definitions read of it.
//!
//! In: definitions, keys, one resource. Out: a `Put` for each person, a broadcast resource, or a reason to quarantine.
//! Never here: a person's other records.

use super::{Content, Put, Shared, Unclear};
use crate::audience::{self, Body, Definitions, KeyOf, Look, Marks, RemoteId};
use crate::consent::{self, Consent, Labels};
use crate::fhir::compartment::BROADCAST;
use crate::fhir::reference::is_id;
use crate::fhir::{self, BundleLinks, Peek, Target, Unreadable, Version, json};
use crate::key::{Keys, Person, ResourceKey};
use crate::time::Instant;
use crate::timeline::Truth;
use smallvec::{SmallVec, smallvec};
use sonic_rs::JsonValueTrait;

/// What one source of resources has in common.
pub struct Origin<'a> {
    pub definitions: &'a Definitions,
    pub keys: &'a Keys,
    /// Sources of one EHR share a namespace.
    pub namespace: &'a str,
    /// What orders the versions of the namespace's resources.
    pub versions: fhir::Versions,
}

pub enum Reading {
    /// Nothing here reads this type.
    Unread,
    /// About nobody: whoever has an older version of it loses it.
    Nobody { key: ResourceKey, version: Version, last_updated: Option<Instant> },
    /// Whose it is cannot be told. It goes to quarantine; whoever has an older version keeps what stands in for it.
    Unclear { unclear: Unclear, last_updated: Option<Instant>, unreadable: Unreadable },
    Shared {
        key: ResourceKey,
        last_updated: Option<Instant>,
        shared: Shared,
        /// As in `About`: it goes to quarantine as well, and answers nothing.
        unreadable: Option<Unreadable>,
    },
    About {
        /// With the Patient id of each. Never empty.
        persons: SmallVec<[(Person, String); 1]>,
        last_updated: Option<Instant>,
        put: Box<Put>,
        /// An element that something here reads could not be read: the record goes to quarantine as well, and what
        /// stands in `put` is possible and never sure.
        unreadable: Option<Unreadable>,
    },
}

impl Origin<'_> {
    /// Reads one resource. `given_id` is what its Bundle calls it where it has no id of its own, `links` resolves
    /// references within that Bundle, `stamp` is its version where it names none.
    ///
    /// An error means that it cannot even be told which resource it is.
    pub fn read(&self, body: &[u8], given_id: Option<&str>, links: Option<&BundleLinks>, stamp: Instant) -> Result<Reading, Unreadable> {
        let peek = match fhir::peek(body) {
            Ok(peek) => peek,
            Err(why) => return self.without_peek(body, given_id, links, stamp, why),
        };
        if !self.definitions.reads(&peek.kind) {
            return Ok(Reading::Unread);
        }
        let Some(id) = peek.id.as_deref().or(given_id) else {
            let why = Unreadable::Element { path: "id", why: "is missing" };
            return match self.broken_consent(body, given_id, links, stamp, &why) {
                Some(reading) => reading,
                None => Err(why),
            };
        };
        let key = self.keys.resource(self.namespace, &peek.kind, id);
        let (version, unordered) = match self.versions.of_put(peek.last_updated, peek.version_id.as_deref(), stamp) {
            Ok(version) => (version, None),
            Err(why) => (Version::UNORDERED, Some(why)),
        };
        // Neither its version nor its labels can be told; whose it is can.
        let meta_unreadable = peek.meta_unreadable.clone().or(unordered);
        if BROADCAST.contains(&peek.kind.as_ref()) {
            return Ok(self.shared(&peek, body, key, version, stamp, meta_unreadable));
        }
        let key_of = |text: &str| self.key_of(text, links);
        let persons = match self.persons(&peek, id, links) {
            Ok(persons) => persons,
            Err(why) => return self.unclear(&peek.kind, key, version, peek.last_updated, why),
        };
        if persons.is_empty() {
            return match meta_unreadable.filter(|_| version == Version::UNORDERED) {
                Some(why) => Err(why),
                None => Ok(Reading::Nobody { key, version, last_updated: peek.last_updated }),
            };
        }
        let content = match meta_unreadable {
            Some(unreadable) => Err(unreadable),
            None => self.content(&peek, body, &key_of, links, stamp),
        };
        let (content, unreadable) = match content {
            Ok((content, noted)) => (content, noted),
            Err(unreadable) => {
                let mut content = stand_in(self.definitions, &peek.kind);
                if peek.kind == "Patient" {
                    self.links_of_unreadable(body, links, &mut content);
                }
                (content, Some(unreadable))
            }
        };
        let shared = shared_by(&persons);
        let last_updated = peek.last_updated;
        Ok(Reading::About {
            persons,
            last_updated,
            put: Box::new(Put { key, version, order: self.versions, more: false, shared, content }),
            unreadable,
        })
    }

    /// What a second look can tell of a resource that [`fhir::peek`] refuses: which it is, and of a Patient whose.
    fn without_peek(
        &self,
        body: &[u8],
        given_id: Option<&str>,
        links: Option<&BundleLinks>,
        stamp: Instant,
        why: Unreadable,
    ) -> Result<Reading, Unreadable> {
        if let Some(reading) = self.broken_consent(body, given_id, links, stamp, &why) {
            return reading;
        }
        let Some(Name { kind, id, version_id, last_updated }) = Name::read(body) else { return Err(why) };
        let Some(id) = id.as_deref().or(given_id).filter(|_| self.definitions.reads(&kind)) else { return Err(why) };
        let key = self.keys.resource(self.namespace, &kind, id);
        let version = self.versions.of_put(last_updated, version_id.as_deref(), stamp).unwrap_or(Version::UNORDERED);
        if BROADCAST.contains(&kind.as_str()) {
            let marks = Marks { labels: Labels::unknown(), sensitive: false };
            let shared = Shared { version, stamp, marks, answers: Vec::new(), deleted: false };
            return Ok(Reading::Shared { key, last_updated, shared, unreadable: Some(why) });
        }
        if kind == "Patient" {
            let persons = smallvec![(self.keys.person(self.namespace, id), id.to_owned())];
            let content = stand_in(self.definitions, &kind);
            let put = Put { key, version, order: self.versions, more: false, shared: Vec::new(), content };
            return Ok(Reading::About { persons, last_updated, put: Box::new(put), unreadable: Some(why) });
        }
        self.unclear(&kind, key, version, last_updated, why)
    }

    /// A Consent that is broken may deny, so it closes the gate of whoever it seems to be about. `None`: it is no Consent.
    ///
    /// One without a usable id takes a place of its own among the person's Consents, under [`unnamed`]: no later Consent is its
    /// newer version, and only a delete of that id, or a Consent with it, opens the gate.
    fn broken_consent(
        &self,
        body: &[u8],
        given_id: Option<&str>,
        links: Option<&BundleLinks>,
        stamp: Instant,
        why: &Unreadable,
    ) -> Option<Result<Reading, Unreadable>> {
        let found = fhir::salvage(body);
        if !found.is_consent() {
            return None;
        }
        let person = |kind: &str, id: &str| (kind == "Patient").then(|| (self.keys.person(self.namespace, id), id.to_owned()));
        let mut persons: SmallVec<[(Person, String); 1]> =
            found.patients.iter().filter_map(|text| self.with_target(text, links, person).flatten()).collect();
        persons.sort_unstable();
        persons.dedup();
        let id = if found.has_id() { found.id() } else { given_id };
        let (key, version, order) = match id {
            Some(id) => {
                // Of what was cut off the version may be missing: no whole version may seem older than it.
                let told = found.last_updated.is_some() && self.versions == fhir::Versions::LastUpdated || json::parse(body).is_ok();
                let version = self.versions.of_put(found.last_updated, found.version_id.as_deref(), stamp);
                let version = match version {
                    Ok(version) if told || self.versions == fhir::Versions::Id => version,
                    Ok(_) | Err(_) => Version::UNORDERED,
                };
                (self.keys.resource(self.namespace, "Consent", id), version, self.versions)
            }
            None if persons.is_empty() => return Some(Err(why.clone())),
            None => {
                (self.keys.resource(self.namespace, "Consent", &unnamed(&persons)), Version(stamp.micros()), fhir::Versions::LastUpdated)
            }
        };
        let last_updated = found.last_updated;
        if persons.is_empty() {
            return Some(self.unclear("Consent", key, version, last_updated, why.clone()));
        }
        let shared = shared_by(&persons);
        let put = Put { key, version, order, more: false, shared, content: stand_in(self.definitions, "Consent") };
        Some(Ok(Reading::About { persons, last_updated, put: Box::new(put), unreadable: Some(why.clone()) }))
    }

    /// What is no JSON names nobody; the record is closed all the same.
    fn links_of_unreadable(&self, body: &[u8], links: Option<&BundleLinks>, content: &mut Content) {
        let Ok(tree) = json::parse(body) else { return };
        let facts = fhir::patient::PatientFacts::unreadable_but_for_links(&tree);
        let person = |text: &String| {
            let found = self.with_target(text, links, |kind, id| (kind == "Patient").then(|| self.keys.person(self.namespace, id)));
            found.flatten()
        };
        content.replaces = facts.replaces.iter().filter_map(person).collect();
        content.replaced_by = facts.replaced_by.iter().find_map(person);
    }

    fn unclear(
        &self,
        kind: &str,
        key: ResourceKey,
        version: Version,
        last_updated: Option<Instant>,
        unreadable: Unreadable,
    ) -> Result<Reading, Unreadable> {
        if version == Version::UNORDERED {
            // It can take no other version's place.
            return Err(unreadable);
        }
        Ok(Reading::Unclear { unclear: Unclear { key, version, kind: kind.into(), more: false }, last_updated, unreadable })
    }

    fn shared(
        &self,
        peek: &Peek,
        body: &[u8],
        key: ResourceKey,
        version: Version,
        stamp: Instant,
        meta_unreadable: Option<Unreadable>,
    ) -> Reading {
        let answers = match meta_unreadable {
            Some(why) => Err(why),
            None => self.answers(peek, body),
        };
        let (marks, answers, unreadable) = match answers {
            Ok((marks, answers)) => (marks, answers, None),
            Err(why) => (Marks { labels: Labels::unknown(), sensitive: false }, Vec::new(), Some(why)),
        };
        let shared = Shared { version, stamp, marks, answers, deleted: false };
        Reading::Shared { key, last_updated: peek.last_updated, shared, unreadable }
    }

    fn answers(&self, peek: &Peek, body: &[u8]) -> Result<(Marks, Vec<(RemoteId, Truth)>), Unreadable> {
        let tree = json::parse(body)?;
        Ok((audience::marks(self.definitions, peek, &tree)?, audience::answers(self.definitions, &peek.kind, &tree)?))
    }

    /// The resource that a reference's text means. `None` where it cannot be told.
    fn key_of(&self, text: &str, links: Option<&BundleLinks>) -> Option<ResourceKey> {
        self.with_target(text, links, |kind, id| self.keys.resource(self.namespace, kind, id))
    }

    fn with_target<T>(&self, text: &str, links: Option<&BundleLinks>, f: impl FnOnce(&str, &str) -> T) -> Option<T> {
        if let Some(reference) = links.and_then(|links| links.resolve(text)) {
            return Some(f(reference.kind, reference.id));
        }
        match fhir::target(text) {
            Target::Resource(reference) => Some(f(reference.kind, reference.id)),
            Target::Contained(_) | Target::Uuid(_) | Target::Conditional { .. } | Target::Logical | Target::Unclear => None,
        }
    }

    fn persons(&self, peek: &Peek, id: &str, links: Option<&BundleLinks>) -> Result<SmallVec<[(Person, String); 1]>, Unreadable> {
        let mut persons: SmallVec<[(Person, String); 1]> = SmallVec::new();
        let person = |id: &str| (self.keys.person(self.namespace, id), id.to_owned());
        if peek.kind == "Patient" {
            persons.push(person(id));
            return Ok(persons);
        }
        for text in &peek.patients {
            let found = self.with_target(text, links, |kind, id| (kind == "Patient").then(|| person(id)));
            match found {
                Some(Some(person)) if persons.contains(&person) => {}
                Some(Some(person)) => persons.push(person),
                // About a group, a device, a location: nobody's record.
                Some(None) => {}
                None => {
                    let why = "is a reference that does not lead to a patient here; write it as Patient/<id>";
                    return Err(Unreadable::Element { path: "the patient", why });
                }
            }
        }
        if peek.patients_unclear {
            let why = "is a reference that cannot be followed; write it as Patient/<id>";
            return Err(Unreadable::Element { path: "the patient", why });
        }
        if persons.is_empty() && peek.kind == "Consent" {
            return Err(Unreadable::Element { path: "patient", why: "is missing: nobody's consent" });
        }
        Ok(persons)
    }

    /// With what of it could not be read, where the rest can be.
    fn content(
        &self,
        peek: &Peek,
        body: &[u8],
        key_of: KeyOf,
        links: Option<&BundleLinks>,
        stamp: Instant,
    ) -> Result<(Content, Option<Unreadable>), Unreadable> {
        let definitions = self.definitions;
        match peek.kind.as_ref() {
            "Patient" => {
                let tree = json::parse(body)?;
                let Look { evidence, marks } = audience::look(definitions, peek, Body::Tree(&tree), key_of, stamp)?;
                let mut patient = fhir::patient::read_patient(&tree, definitions.zone())?;
                patient.hold(self.keys);
                let person = |text: &String| {
                    let found = self.with_target(text, links, |kind, id| (kind == "Patient").then(|| self.keys.person(self.namespace, id)));
                    let why = "names a patient that cannot be told";
                    found.flatten().ok_or(Unreadable::Element { path: "Patient.link.other", why })
                };
                let replaces = patient.replaces.iter().map(person).collect::<Result<Vec<_>, _>>()?;
                let replaced_by = patient.replaced_by.first().map(person).transpose()?;
                let noted = patient.noted.drain(..).next();
                Ok((Content { evidence, marks, patient: Some(Box::new(patient)), consent: None, replaces, replaced_by }, noted))
            }
            "Consent" => {
                let tree = json::parse(body)?;
                let Look { evidence, marks } = audience::look(definitions, peek, Body::Tree(&tree), key_of, stamp)?;
                let (consent, noted) = consent::read_noting(&tree, definitions.zone())?;
                Ok((Content { evidence, marks, consent: Some(Box::new(consent)), ..Content::default() }, noted))
            }
            _ => {
                let Look { evidence, marks } = audience::look(definitions, peek, Body::Bytes(body), key_of, stamp)?;
                Ok((Content { evidence, marks, ..Content::default() }, None))
            }
        }
    }
}

/// The id that stands for a broken Consent of these patients that has none: `unnamed` and their ids, sorted. FHIR's ids have no `~`.
fn unnamed(persons: &[(Person, String)]) -> String {
    let mut ids: Vec<&str> = persons.iter().map(|(_, id)| id.as_str()).collect();
    ids.sort_unstable();
    format!("unnamed~{}", ids.join("~"))
}

/// All of several persons, sorted; none of one.
fn shared_by(persons: &[(Person, String)]) -> Vec<Person> {
    let mut shared: Vec<Person> = persons.iter().map(|(person, _)| *person).collect();
    shared.sort_unstable();
    if shared.len() == 1 {
        shared.clear();
    }
    shared
}

/// Where a resource belongs, before anything of it is kept: what a source has to know.
pub enum Route {
    /// Nothing here reads this type.
    Unread,
    /// Nothing here reads this type, and whose it is takes a longer look.
    Kept,
    /// Every partition reads it.
    Everyone {
        kind: String,
        key: ResourceKey,
        version: Option<Version>,
    },
    Persons {
        kind: String,
        key: ResourceKey,
        version: Option<Version>,
        persons: SmallVec<[Person; 1]>,
    },
    /// About nobody: its owners are told.
    Nobody {
        key: ResourceKey,
        version: Option<Version>,
    },
    /// Whose it is cannot be told: its owners are told, and it goes to quarantine.
    Unclear {
        kind: String,
        key: ResourceKey,
        version: Option<Version>,
        why: Unreadable,
    },
    /// It cannot be told which resource it is, or which version: it goes to quarantine.
    Unreadable(Unreadable),
}

impl Origin<'_> {
    /// `version` in what it returns: `None` where the landing stamp is to stand in for it.
    pub fn route(&self, body: &[u8], given_id: Option<&str>, links: Option<&BundleLinks>) -> Route {
        let stamped = |version: Version| (version != STAMP).then_some(version);
        // Whatever cannot be told at a glance is told as the shard would tell it.
        let slowly = || match self.read(body, given_id, links, Instant::from_micros(STAMP.0)) {
            Ok(Reading::Unread) => Route::Unread,
            Ok(Reading::Nobody { key, version, .. }) => Route::Nobody { key, version: stamped(version) },
            Ok(Reading::Unclear { unclear: Unclear { key, version, kind, .. }, unreadable, .. }) => {
                Route::Unclear { kind: kind.into(), key, version: stamped(version), why: unreadable }
            }
            Ok(Reading::Shared { key, shared, .. }) => Route::Everyone { kind: String::new(), key, version: stamped(shared.version) },
            Ok(Reading::About { persons, put, .. }) => {
                let persons = persons.iter().map(|(person, _)| *person).collect();
                Route::Persons { kind: String::new(), key: put.key, version: stamped(put.version), persons }
            }
            Err(why) => Route::Unreadable(why),
        };
        let Ok(peek) = fhir::peek(body) else { return slowly() };
        if !self.definitions.reads(&peek.kind) {
            return Route::Unread;
        }
        self.at_a_glance(&peek, given_id, links).unwrap_or_else(slowly)
    }

    /// As [`Origin::route`], of a type that nothing reads: whose it is, if that can be told at a glance.
    pub fn route_unread(&self, body: &[u8], given_id: Option<&str>, links: Option<&BundleLinks>) -> Route {
        let Ok(peek) = fhir::peek(body) else { return Route::Kept };
        match self.at_a_glance(&peek, given_id, links) {
            Some(route @ (Route::Persons { .. } | Route::Everyone { .. } | Route::Nobody { .. })) => route,
            Some(Route::Unread | Route::Kept | Route::Unclear { .. } | Route::Unreadable(_)) | None => Route::Kept,
        }
    }

    /// `None`: it takes a longer look.
    fn at_a_glance(&self, peek: &Peek, given_id: Option<&str>, links: Option<&BundleLinks>) -> Option<Route> {
        let id = peek.id.as_deref().or(given_id);
        let version = self.versions.of_put(peek.last_updated, peek.version_id.as_deref(), Instant::from_micros(STAMP.0));
        let (Some(id), Ok(version), None) = (id, version, &peek.meta_unreadable) else { return None };
        let version = (version != STAMP).then_some(version);
        let (kind, key) = (peek.kind.to_string(), self.keys.resource(self.namespace, &peek.kind, id));
        if BROADCAST.contains(&peek.kind.as_ref()) {
            return Some(Route::Everyone { kind, key, version });
        }
        Some(match self.persons(peek, id, links) {
            Ok(persons) if persons.is_empty() => Route::Nobody { key, version },
            Ok(persons) => Route::Persons { kind, key, version, persons: persons.into_iter().map(|(person, _)| person).collect() },
            Err(why) => Route::Unclear { kind, key, version, why },
        })
    }
}

/// No version that anything has: it stands where the landing stamp is not known yet.
const STAMP: Version = Version(i64::MIN + 1);

/// In place of what could not be read: evidence that is possible and never sure, a patient who is not known to live, a
/// consent that closes the gate.
pub(super) fn stand_in(definitions: &Definitions, kind: &str) -> Content {
    // Its labels are not known either, and they ride on what links to it.
    let marks = Marks { labels: Labels::unknown(), sensitive: false };
    let mut content = Content { evidence: audience::unknown(definitions, kind), marks, ..Content::default() };
    match kind {
        "Patient" => content.patient = Some(Box::new(fhir::patient::PatientFacts::unreadable())),
        "Consent" => content.consent = Some(Box::new(Consent::unreadable())),
        _ => {}
    }
    content
}

/// Which resource a text says that it is, and which version, where the rest of it says something that cannot be.
struct Name {
    kind: String,
    id: Option<String>,
    version_id: Option<String>,
    last_updated: Option<Instant>,
}

impl Name {
    /// `None`: it cannot be told.
    fn read(body: &[u8]) -> Option<Name> {
        json::check_depth(body).ok()?;
        let tree = json::parse(body).ok()?;
        let text = |parent, key| json::get(parent, key).map(|value| value.and_then(|value| value.as_str()).map(str::to_owned));
        let kind = text(&tree, "resourceType").ok()??;
        let id = match json::get(&tree, "id").ok()? {
            Some(id) => Some(id.as_str().filter(|id| is_id(id))?.to_owned()),
            None => None,
        };
        // A version that cannot be read is one that is not there: the stamp stands in for it, or it is unordered.
        let meta = json::get(&tree, "meta").ok().flatten();
        let of_meta = |key| meta.and_then(|meta| text(meta, key).ok().flatten());
        let last_updated = of_meta("lastUpdated").and_then(|text| Instant::parse(&text).ok());
        Some(Name { kind, id, version_id: of_meta("versionId"), last_updated })
    }
}
