//! The naive oracle: who is in which audience at an instant, from whole records, with no timeline and no state.
//!
//! In: records as they came. Out: yes or no for one person, audience and instant. Never here: code of the engine.

use super::world::{Body, HOURS, Hour, Kind, Mark, PEOPLE, Record, Says, What, Whose};
use std::collections::{BTreeMap, BTreeSet};

/// The newest version of each resource; of equal ones the later.
#[derive(Default, Clone)]
pub struct Known {
    newest: BTreeMap<(Kind, usize), Record>,
    /// Of those that say whose they are.
    told: BTreeMap<(Kind, usize), Record>,
    unclear: BTreeMap<(Kind, usize), Record>,
}

impl Known {
    pub fn hear(&mut self, record: &Record) {
        let key = (record.kind, record.id);
        let is_unclear = record.body.as_ref().is_some_and(|body| body.whose == Whose::Unclear);
        let of_its_kind = if is_unclear { &mut self.unclear } else { &mut self.told };
        if of_its_kind.get(&key).is_none_or(|newest| newest.version <= record.version) {
            of_its_kind.insert(key, record.clone());
        }
        if !is_unclear && self.unclear.get(&key).is_some_and(|unclear| unclear.version <= record.version) {
            self.unclear.remove(&key);
        }
        let told = self.told.get(&key);
        let unclear = self.unclear.get(&key).filter(|unclear| told.is_none_or(|told| told.version <= unclear.version));
        let mut newest = unclear.or(told).expect("one was just heard").clone();
        let is_about_nobody = |record: &Record| record.body.as_ref().is_some_and(|body| body.whose == Whose::Nobody);
        if let (Some(unclear), Some(body)) = (unclear, &mut newest.body) {
            // Whoever had it has something unreadable in its place.
            newest.persons = told.filter(|told| !is_about_nobody(told)).map_or(Vec::new(), |told| told.persons.clone());
            body.unreadable = true;
            newest.version = unclear.version;
        }
        if is_about_nobody(&newest) {
            newest.persons = Vec::new();
        }
        self.newest.insert(key, newest);
    }

    /// The records that count, as they came.
    pub fn records(&self) -> Vec<Record> {
        self.told.values().chain(self.unclear.values()).cloned().collect()
    }

    fn body(&self, kind: Kind, id: usize) -> Option<&Body> {
        self.newest.get(&(kind, id))?.body.as_ref()
    }

    fn survivor(&self, person: usize) -> Option<usize> {
        let What::Patient { replaced_by, .. } = &self.body(Kind::Patient, person).map(|body| body.what.clone())? else { return None };
        let claims = |other: &usize| match self.body(Kind::Patient, *other).map(|body| &body.what) {
            Some(What::Patient { replaces, .. }) => replaces.contains(&person),
            _ => false,
        };
        // Several who claim a person: one of them is chosen by its key, which this oracle does not know.
        replaced_by.or_else(|| (0..PEOPLE.len()).find(claims))
    }

    /// More than one says that it replaces this person.
    pub fn is_contested(&self) -> bool {
        (0..PEOPLE.len()).any(|person| {
            let claims = |other: &usize| match self.body(Kind::Patient, *other).map(|body| &body.what) {
                Some(What::Patient { replaces, .. }) => replaces.contains(&person),
                _ => false,
            };
            (0..PEOPLE.len()).filter(claims).count() > 1
                || self.body(Kind::Patient, person).is_none() && (0..PEOPLE.len()).any(|other| claims(&other))
        })
    }

    /// The person and all who were merged into it.
    pub fn group(&self, person: usize) -> BTreeSet<usize> {
        let mut group = BTreeSet::from([person]);
        while let Some(old) =
            (0..PEOPLE.len()).find(|old| !group.contains(old) && self.survivor(*old).is_some_and(|survivor| group.contains(&survivor)))
        {
            group.insert(old);
        }
        group
    }

    pub fn is_member(&self, person: usize, audience: &str, at: Hour) -> bool {
        let Some(Body { what: What::Patient { female, email, birth, .. }, .. }) = self.body(Kind::Patient, person) else { return false };
        if self.survivor(person).is_some() || *birth == "2010-01-01" {
            return false;
        }
        let group = self.group(person);
        let dead = |person: &usize| match self.body(Kind::Patient, *person).map(|body| &body.what) {
            Some(What::Patient { dead, .. }) => dead.is_some_and(|hour| hour <= at),
            _ => false,
        };
        if group.iter().any(dead) {
            return false;
        }
        let theirs = |kind: Kind| {
            let about = move |record: &&Record| record.kind == kind && record.persons.iter().any(|person| group.contains(person));
            self.newest.values().filter(about).filter_map(|record| Some((record.id, record.body.as_ref()?))).collect::<Vec<_>>()
        };
        let consents = theirs.clone()(Kind::Consent);
        let says = |what: Says| consents.iter().any(|(_, body)| body.what == What::Consent(what));
        if consents.iter().any(|(_, body)| body.unreadable) {
            return false;
        }
        let permitted = match audience {
            "seminar" => says(Says::PermitsMarketing) && !says(Says::DeniesMarketing),
            _ => !says(Says::DeniesTreat),
        };
        if !permitted {
            return false;
        }
        let redacts = says(Says::RedactsRestricted);
        let encounters: BTreeMap<usize, &Body> = theirs.clone()(Kind::Encounter).into_iter().collect();
        let hidden = |body: &Body| body.unreadable || body.mark == Mark::Hiv || body.mark == Mark::Restricted && redacts;
        let withheld = |body: &Body| {
            let link = match &body.what {
                What::Event { encounter: Some(to), .. } => encounters.get(to).is_none_or(|encounter| hidden(encounter)),
                What::Request { medication, .. } => self.body(Kind::Medication, *medication).is_none_or(hidden),
                _ => false,
            };
            hidden(body) || link
        };
        let within = |body: &Body, days: Hour| matches!(body.what, What::Event { good: true, hour, .. } if hour > at - 24 * days);
        match audience {
            "due" => *female && !theirs(Kind::Procedure).iter().any(|(_, body)| body.unreadable || within(body, 30)),
            "had" => *email && theirs(Kind::Procedure).iter().any(|(_, body)| within(body, 60) && !withheld(body)),
            "spread" => theirs(Kind::Procedure).iter().any(|(_, body)| within(body, 60) && !withheld(body)),
            "twice" => {
                let finals = theirs(Kind::Observation);
                finals.iter().filter(|(_, body)| within(body, HOURS) && !withheld(body)).count() >= 2
            }
            "booked" => {
                let all = theirs(Kind::Appointment);
                let start = |body: &Body| if let What::Event { hour, .. } = body.what { hour } else { 0 };
                let latest = all.iter().max_by_key(|(id, body)| (start(body), *id));
                !all.iter().any(|(_, body)| body.unreadable) && latest.is_some_and(|(_, body)| within(body, 20) && !withheld(body))
            }
            "drug" => theirs(Kind::Request).iter().any(|(_, body)| {
                let What::Request { active, medication } = body.what else { return false };
                let drug = self.body(Kind::Medication, medication).map(|drug| &drug.what);
                active && !withheld(body) && drug == Some(&What::Medication { active: true })
            }),
            // 1 March is day 59 of 2026; who was born on 29 February is fifty on that day.
            "band" => {
                at >= 24
                    * match *birth {
                        "1970-06-01" => Hour::MIN / 24,
                        "1976-02-29" => 59,
                        _ => 73,
                    }
            }
            "seminar" => true,
            other => panic!("no such audience: {other}"),
        }
    }
}
