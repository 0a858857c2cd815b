//! A story as records: what a source would have sent, and when.
//!
//! In: a story, and who discloses to whom. Out: the first group, the records after it in order, and when time ends.
//! Never here: keys, partitions, the engine.

use super::resource::{reference, set, whole};
use super::{Fields, Happening, Story, json};
use crate::audience::Channel;
use crate::time::{Instant, Zone};
use jiff::civil;
use std::collections::HashMap;

/// A story is fed so: `first` arrives at `begins` as one group with what `rest` has at that instant, followed by the
/// baseline; then the others of `rest` one by one in this order; then time runs up to, not including, `ends`.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// The instant of the first line: nobody is known without what it tells of them.
    pub begins: Instant,
    pub first: Vec<Record>,
    pub rest: Vec<Fed>,
    /// The first instant after the last line, or the story's `until`.
    pub ends: Instant,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Fed {
    pub at: Instant,
    pub person: String,
    pub record: Record,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Resource {
        kind: String,
        id: String,
        json: String,
    },
    /// Said to the recipient, not written in the chart. The person is `Patient/` and the name.
    OptOut {
        channel: Channel,
    },
}

/// Who stands in the Consents that a story makes.
pub struct Parties<'a> {
    pub zone: &'a Zone,
    /// How the policy names the recipient; `None`: no Consent can name it.
    pub recipient: Option<Actor<'a>>,
    /// The same of the organisation that discloses.
    pub organisation: Option<Actor<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor<'a> {
    Reference(&'a str),
    Identifier { system: &'a str, value: &'a str },
}

pub fn feed(story: &Story, parties: &Parties) -> Feed {
    let lines = story.given.iter().map(|given| given.at).chain(story.then.iter().map(|then| then.at));
    let (earliest, latest) = lines.chain(story.until).fold((Instant::END, Instant::BEGIN), |(a, b), at| (a.min(at), b.max(at)));
    let mut teller = Teller { parties, patients: HashMap::new(), consents: Vec::new(), rest: Vec::new() };
    let mut first = Vec::new();
    for person in &story.people {
        teller.patients.insert(&person.name, person.patient.clone());
        first.push(Record::Resource { kind: "Patient".to_owned(), id: person.name.clone(), json: whole(&person.patient) });
    }
    for (index, given) in story.given.iter().enumerate() {
        teller.tell(given.at, &given.person, index + 1, &given.what);
    }
    let ends = story.until.filter(|until| *until > latest).unwrap_or(latest).tick();
    Feed { begins: earliest, first, rest: teller.rest, ends }
}

struct Teller<'a> {
    parties: &'a Parties<'a>,
    /// Each person's Patient as it stands: a death changes it.
    patients: HashMap<&'a str, Fields>,
    /// Consents by person and id, active as far as the story knows.
    consents: Vec<(String, String, Fields)>,
    rest: Vec<Fed>,
}

impl<'a> Teller<'a> {
    fn tell(&mut self, at: Instant, person: &'a str, number: usize, what: &Happening) {
        match what {
            Happening::Resource { kind, id, fields } => {
                match kind.as_str() {
                    "Patient" => drop(self.patients.insert(person, fields.clone())),
                    "Consent" => self.remember(person, id, fields),
                    _ => {}
                }
                self.put(at, person, kind, id, fields);
            }
            Happening::Consents { purpose, until } => {
                let provision = self.permit(at, purpose, *until);
                self.consent(at, person, number, provision);
            }
            Happening::Denies { purpose } => {
                let provision = json::object(&[("type", "\"deny\""), ("purpose", &format!("[{}]", purpose_coding(purpose)))]);
                self.consent(at, person, number, provision);
            }
            Happening::Revokes => {
                let (revoked, kept): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.consents).into_iter().partition(|(owner, _, _)| owner == person);
                self.consents = kept;
                for (_, id, mut fields) in revoked {
                    set(&mut fields, "status", json::string("inactive"));
                    self.put(at, person, "Consent", &id, &fields);
                }
            }
            Happening::OptsOut(channel) => {
                self.rest.push(Fed { at, person: person.to_owned(), record: Record::OptOut { channel: *channel } });
            }
            Happening::Dies => {
                let mut patient = self.patients.get(person).cloned().expect("`read` refuses a name that is not among the people");
                patient.retain(|(name, _)| name != "deceasedBoolean");
                set(&mut patient, "deceasedDateTime", json::string(&at.to_string()));
                self.put(at, person, "Patient", person, &patient);
                self.patients.insert(person, patient);
            }
        }
    }

    fn put(&mut self, at: Instant, person: &str, kind: &str, id: &str, fields: &Fields) {
        let record = Record::Resource { kind: kind.to_owned(), id: id.to_owned(), json: whole(fields) };
        self.rest.push(Fed { at, person: person.to_owned(), record });
    }

    fn remember(&mut self, person: &str, id: &str, fields: &Fields) {
        self.consents.retain(|(_, known, _)| known != id);
        self.consents.push((person.to_owned(), id.to_owned(), fields.clone()));
    }

    /// A permit as IHE PCF writes it, with all that a marketing authorization needs (45 CFR 164.508(c)).
    fn permit(&self, at: Instant, purpose: &str, until: Option<civil::Date>) -> String {
        let signed = self.parties.zone.local(at).map(jiff::civil::DateTime::date);
        // A day at the calendar's end has no year after it; then the permit has no end, and the gate stays closed.
        let end = until.or_else(|| signed?.checked_add(jiff::Span::new().years(1)).ok());
        let start = json::string(&at.to_string());
        let period = match end.map(|end| json::string(&end.to_string())) {
            Some(end) => json::object(&[("start", &start), ("end", &end)]),
            None => json::object(&[("start", &start)]),
        };
        let mut members = vec![("type", "\"permit\"".to_owned()), ("period", period)];
        if let Some(recipient) = self.parties.recipient {
            let role = coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP");
            let role = json::object(&[("coding", &format!("[{role}]"))]);
            let actor = json::object(&[("role", &role), ("reference", &actor(recipient))]);
            members.push(("actor", format!("[{actor}]")));
        }
        members.push(("purpose", format!("[{}]", purpose_coding(purpose))));
        let members: Vec<(&str, &str)> = members.iter().map(|(name, text)| (*name, text.as_str())).collect();
        json::object(&members)
    }

    fn consent(&mut self, at: Instant, person: &str, number: usize, provision: String) {
        let patient = reference(&format!("Patient/{person}"));
        let concept = |system: &str, code: &str| json::object(&[("coding", &format!("[{}]", coding(system, code)))]);
        let stamp = json::string(&at.to_string());
        let verification = json::object(&[("verified", "true"), ("verifiedWith", &patient), ("verificationDate", &stamp)]);
        let policy = json::object(&[("uri", "\"urn:example:privacy-policy\"")]);
        let id = format!("{person}-consent-{number}");
        let mut fields: Fields = vec![
            ("resourceType".to_owned(), json::string("Consent")),
            ("id".to_owned(), json::string(&id)),
            ("status".to_owned(), json::string("active")),
            ("scope".to_owned(), concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")),
            ("category".to_owned(), format!("[{}]", concept("http://loinc.org", "59284-0"))),
            ("patient".to_owned(), patient.clone()),
            ("dateTime".to_owned(), stamp),
            ("performer".to_owned(), format!("[{patient}]")),
            ("policy".to_owned(), format!("[{policy}]")),
            ("verification".to_owned(), format!("[{verification}]")),
            ("provision".to_owned(), provision),
        ];
        if let Some(organisation) = self.parties.organisation {
            fields.push(("organization".to_owned(), format!("[{}]", actor(organisation))));
        }
        self.remember(person, &id, &fields);
        self.put(at, person, "Consent", &id, &fields);
    }
}

fn coding(system: &str, code: &str) -> String {
    json::object(&[("system", &json::string(system)), ("code", &json::string(code))])
}

fn purpose_coding(code: &str) -> String {
    coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", code)
}

fn actor(actor: Actor) -> String {
    match actor {
        Actor::Reference(to) => reference(to),
        Actor::Identifier { system, value } => {
            let identifier = json::object(&[("system", &json::string(system)), ("value", &json::string(value))]);
            json::object(&[("identifier", &identifier)])
        }
    }
}
