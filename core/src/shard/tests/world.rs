//! A small random world: what may happen to a few people's records, and the same as JSON.
//!
//! In: a seed. Out: a feed in order of time. Never here: what follows from it.

use super::kit::{World, about, at, audience, consent, meta, patient, policy, purpose};
use crate::consent::{Label, Withhold};
use crate::time::{Instant, Span};

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for n in (1..list.len()).rev() {
            list.swap(n, self.below(n + 1));
        }
    }
}

/// Hours since [`start`].
pub type Hour = i64;

pub fn start() -> Instant {
    at("2026-01-01T00:00:00Z")
}

pub fn instant(hour: Hour) -> Instant {
    start().plus(Span::hours(hour))
}

pub const PEOPLE: [&str; 4] = ["ann", "bea", "cat", "dot"];
pub const HOURS: Hour = 24 * 120;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Patient,
    Procedure,
    Observation,
    Encounter,
    Appointment,
    Request,
    Medication,
    Consent,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Patient => "Patient",
            Kind::Procedure => "Procedure",
            Kind::Observation => "Observation",
            Kind::Encounter => "Encounter",
            Kind::Appointment => "Appointment",
            Kind::Request => "MedicationRequest",
            Kind::Medication => "Medication",
            Kind::Consent => "Consent",
        }
    }
}

/// Withheld by the policy (HIV), or by a consent that redacts what is restricted (R).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    None,
    Hiv,
    Restricted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    DeniesTreat,
    DeniesMarketing,
    PermitsMarketing,
    RedactsRestricted,
    /// It once said the above and is over.
    Inactive,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    pub mark: Mark,
    /// An element that definitions read stands twice.
    pub unreadable: bool,
    pub whose: Whose,
    pub what: What,
}

/// How the record says whom it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Told,
    /// No subject.
    Nobody,
    /// By an identifier that leads nowhere.
    Unclear,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Patient {
        female: bool,
        email: bool,
        birth: &'static str,
        dead: Option<Hour>,
        replaced_by: Option<usize>,
        replaces: Vec<usize>,
    },
    /// Of a Procedure, an Observation, an Encounter or an Appointment.
    Event {
        good: bool,
        hour: Hour,
        encounter: Option<usize>,
    },
    Request {
        active: bool,
        medication: usize,
    },
    Medication {
        active: bool,
    },
    Consent(Says),
}

#[derive(Debug, Clone)]
pub struct Record {
    pub at: Hour,
    pub version: Hour,
    pub kind: Kind,
    pub id: usize,
    /// Places in [`PEOPLE`].
    pub persons: Vec<usize>,
    /// `None`: a delete.
    pub body: Option<Body>,
    pub more: bool,
}

pub const AUDIENCES: [&str; 8] = ["due", "had", "twice", "booked", "drug", "band", "seminar", "spread"];

/// Eight audiences that have one rule of the engine each.
pub fn world() -> World {
    let mut policy = policy();
    policy.sensitive.withhold = Withhold::List(Label::named("HIV").into_iter().collect());
    let had = "status = 'completed' and performed.ofType(dateTime) > now() - 60 days";
    let rules = [
        r#""members":{"all":[{"Patient":"gender = 'female'"},{"none":[{"Procedure":"status = 'completed' and performed.ofType(dateTime) > now() - 30 days"}]}]}"#.to_owned(),
        format!(
            r#""channels":["email"],"action":"https://riverside.example/x","release":{{"last":{{"Procedure":"performed.ofType(dateTime)","pick":"latest","as":"month"}}}},"members":{{"Procedure":"{had}"}}"#
        ),
        r#""members":{"at_least":{"count":2,"of":{"Observation":"status = 'final'"}}}"#.to_owned(),
        r#""members":{"latest":{"Appointment":"status = 'booked' or status = 'cancelled'","by":"start","where":"status = 'booked' and start > now() - 20 days"}}"#.to_owned(),
        r#""members":{"MedicationRequest":"status = 'active' and medication.ofType(Reference).resolve().ofType(Medication).where(status = 'active').exists()"}"#.to_owned(),
        r#""release":{"age":{"Patient":"birthDate","as":"age-band"}},"members":{"Patient":"birthDate <= today() - 50 years"}"#.to_owned(),
        r#""communication":"marketing","members":{"Patient":"gender.exists()"}"#.to_owned(),
        format!(r#""times":{{"spread":"5d"}},"members":{{"Procedure":"{had}"}}"#),
    ];
    let audiences: Vec<String> = AUDIENCES.iter().zip(rules).map(|(name, rule)| audience(name, &rule)).collect();
    World::new(policy, &audiences)
}

pub fn id_of(kind: Kind, id: usize) -> String {
    if kind == Kind::Patient { PEOPLE[id].to_owned() } else { format!("{}-{id}", kind.name().to_lowercase()) }
}

impl Record {
    pub fn id(&self) -> String {
        id_of(self.kind, self.id)
    }

    pub fn json(&self) -> String {
        let body = self.body.as_ref().expect("a delete has no body");
        let label = match body.mark {
            Mark::None => None,
            Mark::Hiv => Some("HIV"),
            Mark::Restricted => Some("R"),
        };
        // Of an Encounter only the labels are read.
        let meta = match body.unreadable && self.kind == Kind::Encounter {
            true => format!(r#","meta":{{"lastUpdated":"{}","security":7}}"#, instant(self.version)),
            false => meta(Some(instant(self.version)), label),
        };
        let id = self.id();
        let whom: Vec<&str> = self.persons.iter().map(|person| PEOPLE[*person]).collect();
        let twice = |element: &str| if body.unreadable { format!(r#","{element}":"x","{element}":"y""#) } else { String::new() };
        let about = |rest: String| {
            let text = about(self.kind.name(), &id, &whom, &format!("{meta}{rest}"));
            body.whose.told_in(text)
        };
        match &body.what {
            What::Patient { female, email, birth, dead, replaced_by, replaces } => {
                let link =
                    |kind: &str, other: &usize| format!(r#"{{"type":"{kind}","other":{{"reference":"Patient/{}"}}}}"#, PEOPLE[*other]);
                let mut links: Vec<String> = replaced_by.iter().map(|other| link("replaced-by", other)).collect();
                links.extend(replaces.iter().map(|other| link("replaces", other)));
                let mut rest = meta;
                if !links.is_empty() {
                    rest.push_str(&format!(r#","link":[{}]"#, links.join(",")));
                }
                rest.extend(dead.map(|hour| format!(r#","deceasedDateTime":"{}""#, instant(hour))));
                if !email {
                    rest.push_str(r#","telecom":[]"#);
                }
                rest.push_str(&twice("gender"));
                let text = patient(&id, birth, &rest);
                if *female { text } else { text.replace(r#""gender":"female""#, r#""gender":"male""#) }
            }
            What::Event { good, hour, encounter } => {
                let when = instant(*hour);
                let mut rest = match self.kind {
                    Kind::Procedure => {
                        format!(r#","status":"{}","performedDateTime":"{when}""#, if *good { "completed" } else { "stopped" })
                    }
                    Kind::Observation => format!(r#","status":"{}""#, if *good { "final" } else { "cancelled" }),
                    Kind::Appointment => format!(r#","status":"{}","start":"{when}""#, if *good { "booked" } else { "cancelled" }),
                    _ => format!(r#","status":"{}""#, if *good { "finished" } else { "planned" }),
                };
                rest.extend(encounter.map(|to| format!(r#","encounter":{{"reference":"Encounter/encounter-{to}"}}"#)));
                if self.kind != Kind::Encounter {
                    rest.push_str(&twice("status"));
                }
                about(rest)
            }
            What::Request { active, medication } => {
                let status = if *active { "active" } else { "stopped" };
                let reference = format!(r#""medicationReference":{{"reference":"Medication/medication-{medication}"}}"#);
                about(format!(r#","status":"{status}",{reference}{}"#, twice("status")))
            }
            What::Medication { active } => {
                let status = if *active { "active" } else { "inactive" };
                format!(r#"{{"resourceType":"Medication","id":"{id}","status":"{status}"{meta}{}}}"#, twice("status"))
            }
            What::Consent(says) => {
                let restricted = r#""securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]"#;
                let provision = match says {
                    Says::DeniesTreat | Says::Inactive => purpose("deny", "TREAT"),
                    Says::DeniesMarketing => purpose("deny", "HMARKT"),
                    Says::PermitsMarketing => purpose("permit", "HMARKT"),
                    Says::RedactsRestricted => format!(r#""type":"deny",{restricted}"#),
                };
                let status = if *says == Says::Inactive { "inactive" } else { "active" };
                body.whose.told_in(consent(&id, whom[0], status, &provision, &format!("{meta}{}", twice("status"))))
            }
        }
    }
}

impl Whose {
    /// Takes the persons out of a text of the kit.
    fn told_in(self, mut text: String) -> String {
        let unclear = match self {
            Whose::Told => return text,
            Whose::Nobody => r#"{"display":"a ward"}"#,
            Whose::Unclear => r#"{"identifier":{"value":"x"}}"#,
        };
        for name in PEOPLE {
            text = text.replace(&format!(r#"{{"reference":"Patient/{name}"}}"#), unclear);
        }
        if self == Whose::Nobody { text.replace(r#""subject":"#, r#""note":"#) } else { text }
    }
}

/// What may happen in a feed.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub records: usize,
    pub merges: bool,
    pub stale: bool,
    pub moves: bool,
    pub groups: bool,
}

pub fn feed(dice: &mut Dice, shape: Shape) -> Vec<Record> {
    let mut out: Vec<Record> = Vec::new();
    for (person, _) in PEOPLE.iter().enumerate() {
        let body = patient_body(dice, person, Shape { merges: false, ..shape });
        out.push(Record { at: 0, version: 0, kind: Kind::Patient, id: person, persons: vec![person], body: Some(body), more: false });
    }
    let mut now = 0;
    let mut open = None;
    while out.len() < shape.records {
        // No two instants are the same, but for those of a group: then no version is the same by chance.
        if open.is_none() {
            now += 1 + dice.below(HOURS as usize / shape.records) as Hour;
        }
        let mut record = one(dice, &out, now, shape);
        record.persons = open.take().unwrap_or(record.persons);
        if record.kind == Kind::Patient {
            record.persons = vec![record.id];
        }
        if record.kind != Kind::Appointment {
            record.persons.truncate(1);
        }
        if shape.groups && record.persons.len() == 1 && record.body.is_some() && record.kind != Kind::Medication && dice.chance(30) {
            record.more = true;
            open = Some(record.persons.clone());
        }
        out.push(record);
    }
    out
}

fn one(dice: &mut Dice, before: &[Record], now: Hour, shape: Shape) -> Record {
    if shape.stale && dice.chance(15) {
        // Something delivered again, however old.
        let old = before[dice.below(before.len())].clone();
        return Record { at: now, more: false, ..old };
    }
    let kinds = [
        Kind::Patient,
        Kind::Procedure,
        Kind::Procedure,
        Kind::Observation,
        Kind::Observation,
        Kind::Encounter,
        Kind::Appointment,
        Kind::Request,
        Kind::Medication,
        Kind::Consent,
    ];
    let kind = dice.pick(&kinds);
    let mut id = dice.below(if kind == Kind::Patient { PEOPLE.len() } else { 5 });
    let person = dice.below(PEOPLE.len());
    let mut persons = vec![person];
    if kind == Kind::Appointment && dice.chance(20) && person > 0 {
        persons = vec![person - 1, person];
    }
    if kind == Kind::Patient {
        persons = vec![id];
    } else if kind == Kind::Medication {
        persons = Vec::new();
    } else if !shape.moves {
        // Each person has ids of its own.
        id = id % 2 + 2 * person;
        persons = vec![person];
    }
    let known = before.iter().any(|record| record.kind == kind && record.id == id && record.body.is_some());
    let body = if known && dice.chance(15) { None } else { Some(body(dice, kind, person, now, shape)) };
    let persons = if body.is_none() { Vec::new() } else { persons };
    // Late: a version that was overtaken, or not, on its way.
    let late = shape.stale && !shape.moves && kind != Kind::Medication && dice.chance(10);
    let version = if late { dice.below(now as usize) as Hour } else { now };
    Record { at: now, version, kind, id, persons, body, more: false }
}

fn body(dice: &mut Dice, kind: Kind, person: usize, now: Hour, shape: Shape) -> Body {
    if kind == Kind::Patient {
        return patient_body(dice, person, shape);
    }
    let encounter = |dice: &mut Dice| {
        let own = if shape.moves { dice.below(5) } else { dice.below(2) + 2 * person };
        dice.chance(40).then_some(own)
    };
    let what = match kind {
        Kind::Procedure | Kind::Observation => {
            let hour = now - dice.below(24 * 40) as Hour + 24 * 5;
            What::Event { good: dice.chance(75), hour, encounter: encounter(dice) }
        }
        Kind::Encounter | Kind::Appointment => {
            What::Event { good: dice.chance(70), hour: now + dice.below(24 * 20) as Hour, encounter: None }
        }
        Kind::Request => What::Request { active: dice.chance(80), medication: dice.below(5) },
        Kind::Medication => What::Medication { active: dice.chance(80) },
        Kind::Consent => What::Consent(dice.pick(&[
            Says::DeniesTreat,
            Says::DeniesMarketing,
            Says::PermitsMarketing,
            Says::PermitsMarketing,
            Says::RedactsRestricted,
            Says::Inactive,
            Says::Inactive,
        ])),
        Kind::Patient => unreachable!("made above"),
    };
    let mark = if dice.chance(25) { dice.pick(&[Mark::Hiv, Mark::Restricted]) } else { Mark::None };
    let mark = if kind == Kind::Consent { Mark::None } else { mark };
    let whose = match (kind, dice.below(20)) {
        (Kind::Medication, _) => Whose::Told,
        (Kind::Procedure | Kind::Observation | Kind::Encounter | Kind::Request, 0) => Whose::Nobody,
        (_, 1) => Whose::Unclear,
        _ => Whose::Told,
    };
    Body { mark, unreadable: dice.chance(6), whose, what }
}

fn patient_body(dice: &mut Dice, person: usize, shape: Shape) -> Body {
    let other = |dice: &mut Dice| (person + 1 + dice.below(PEOPLE.len() - 1)) % PEOPLE.len();
    let replaced_by = (shape.merges && dice.chance(20)).then(|| other(dice));
    let replaces = if shape.merges && dice.chance(35) { vec![other(dice)] } else { Vec::new() };
    let dead = dice.chance(4).then(|| dice.below(HOURS as usize) as Hour);
    let birth = dice.pick(&["1976-02-29", "1970-06-01", "2010-01-01", "1976-03-15"]);
    let what = What::Patient { female: dice.chance(80), email: dice.chance(75), birth, dead, replaced_by, replaces };
    Body { mark: Mark::None, unreadable: false, whose: Whose::Told, what }
}
