//! From a resource's bytes to an input: who it is about, which version it is, what definitions read of it.
//!
//! In: definitions, keys, one resource. Out: a `Put` for each person, a broadcast resource, or a reason to quarantine.
//! Never here: a person's other records.

use super::{Content, Put, Shared};
use crate::audience::{self, Body, Definitions, KeyOf, Look, Marks, RemoteId};
use crate::consent::{self, Consent, Labels};
use crate::fhir::compartment::BROADCAST;
use crate::fhir::{self, BundleLinks, Peek, Target, Unreadable, Version, json};
use crate::key::{Keys, Person, ResourceKey};
use crate::time::Instant;
use crate::timeline::Truth;
use smallvec::SmallVec;

/// What one source of resources has in common.
pub struct Origin<'a> {
    pub definitions: &'a Definitions,
    pub keys: &'a Keys,
    /// Sources of one EHR share a namespace.
    pub namespace: &'a str,
}

pub enum Reading {
    /// Nothing here reads this type, or it is about no patient.
    Unread,
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
    /// An error means that it cannot even be told whose or what it is.
    pub fn read(&self, body: &[u8], given_id: Option<&str>, links: Option<&BundleLinks>, stamp: Instant) -> Result<Reading, Unreadable> {
        let peek = fhir::peek(body)?;
        if !self.definitions.reads(&peek.kind) {
            return Ok(Reading::Unread);
        }
        let Some(id) = peek.id.as_deref().or(given_id) else {
            return Err(Unreadable::Element { path: "id", why: "is missing" });
        };
        let key = self.keys.resource(self.namespace, &peek.kind, id);
        let version = Version(peek.last_updated.unwrap_or(stamp).micros());
        if BROADCAST.contains(&peek.kind.as_ref()) {
            return self.shared(&peek, body, key, version);
        }
        let key_of = |text: &str| self.key_of(text, links);
        let persons = self.persons(&peek, id, links)?;
        if persons.is_empty() {
            return Ok(Reading::Unread);
        }
        let content = match &peek.meta_unreadable {
            // Neither its version nor its labels can be told; whose it is can.
            Some(unreadable) => Err(unreadable.clone()),
            None => self.content(&peek, body, &key_of, links, stamp),
        };
        let (content, unreadable) = match content {
            Ok((content, noted)) => (content, noted),
            Err(unreadable) => (self.stand_in(&peek.kind), Some(unreadable)),
        };
        let mut shared: Vec<Person> = persons.iter().map(|(person, _)| *person).collect();
        shared.sort_unstable();
        if shared.len() == 1 {
            shared.clear();
        }
        let last_updated = peek.last_updated;
        Ok(Reading::About { persons, last_updated, put: Box::new(Put { key, version, more: false, shared, content }), unreadable })
    }

    fn shared(&self, peek: &Peek, body: &[u8], key: ResourceKey, version: Version) -> Result<Reading, Unreadable> {
        let (marks, answers, unreadable) = match self.answers(peek, body) {
            Ok((marks, answers)) => (marks, answers, None),
            Err(why) => (Marks { labels: Labels::unknown(), sensitive: false }, Vec::new(), Some(why)),
        };
        Ok(Reading::Shared { key, last_updated: peek.last_updated, shared: Shared { version, marks, answers, deleted: false }, unreadable })
    }

    fn answers(&self, peek: &Peek, body: &[u8]) -> Result<(Marks, Vec<(RemoteId, Truth)>), Unreadable> {
        if let Some(unreadable) = &peek.meta_unreadable {
            return Err(unreadable.clone());
        }
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

    /// In place of what could not be read: evidence that is possible and never sure, a patient who is not known to
    /// live, a consent that closes the gate.
    fn stand_in(&self, kind: &str) -> Content {
        // Its labels are not known either, and they ride on what links to it.
        let marks = Marks { labels: Labels::unknown(), sensitive: false };
        let mut content = Content { evidence: audience::unknown(self.definitions, kind), marks, ..Content::default() };
        match kind {
            "Patient" => content.patient = Some(Box::new(fhir::patient::PatientFacts::unreadable())),
            "Consent" => content.consent = Some(Box::new(Consent::unreadable())),
            _ => {}
        }
        content
    }
}
