//! A small world of its own for the simulation: audiences, a few people, and what may be said of them.
//!
//! In: dice. Out: records, and the same as FHIR JSON in three dialects of Consent. Never here: what follows from them.

use footbridge::log::faulty::Chance;
use footbridge_core::time::{Instant, Span};

pub const PEOPLE: usize = 5;
pub const AUDIENCES: [&str; 7] = ["due", "had", "twice", "drug", "medicated", "band", "seminar"];
/// Numbers that several may have, as somebody or other writes them.
pub const NUMBERS: [[&str; 3]; 3] = [
    ["+1 312 555 0100", "(312) 555-0100", "1-312-555-0100"],
    ["+1 312 555 0199", "3125550199", "001 312 555 0199"],
    ["+44 20 7946 0958", "020 7946 0958", "0044 20 7946 0958"],
];

/// Stands in every body that nobody can read, so that quarantine can be compared with landing.
pub const SPOILT: &str = "spoilt";

/// What changes from one set of definitions of this world to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// For so many days after a Procedure nobody is due; for so many somebody is among those who had one.
    pub due_days: i64,
    pub had_days: i64,
    /// So many final Observations make `twice`.
    pub finals: usize,
    /// Who takes an active drug is in `drug`, or else in `medicated`; the other is not there.
    pub drug: bool,
    /// The policy withholds what is labelled.
    pub withholds: bool,
}

pub const VARIANTS: [Variant; 3] = [
    Variant { due_days: 30, had_days: 60, finals: 2, drug: true, withholds: true },
    Variant { due_days: 10, had_days: 60, finals: 1, drug: false, withholds: true },
    Variant { due_days: 30, had_days: 20, finals: 2, drug: true, withholds: false },
];

/// `mappings/` of this world; `feed`: the policy's line of that name.
pub fn mappings(feed: &str, variant: Variant) -> Vec<(String, String)> {
    let Variant { due_days, had_days, finals, drug, withholds } = variant;
    let had = format!("status = 'completed' and performed.ofType(dateTime) > now() - {had_days} days");
    let withhold = if withholds { "HIV" } else { "" };
    let audience = |name: &str, class: &str, rest: &str| {
        let head = format!(
            "audience: {name}\ntitle: T\ncommunication: {class}\nremuneration: none\nrecipient: crm\ntimes: exact\nends: 2099-12-31\n"
        );
        (format!("audiences/{name}.yaml"), format!("{head}{rest}\n"))
    };
    let policy = format!(
        "organisation: {{ name: Riverside, zone: UTC, references: [], identifiers: [] }}\n\
         recipients:\n  crm: {{ name: CRM, address: a, references: [], identifiers: [], \
         agreement: {{ kind: business-associate, until: 2099-12-31 }}, identify: pseudonym, may_know: [] }}\n\
         authorization: purpose-only\n\
         sensitive: {{ valuesets: [], withhold: [{withhold}], unresolved: withhold, places: [], sources: {{}} }}\n{feed}\n"
    );
    vec![
        audience(
            "due",
            "treatment",
            &format!(
                "members:\n  all:\n    - Patient: gender = 'female'\n    - none:\n        Procedure: status = 'completed' and \
                 performed.ofType(dateTime) > now() - {due_days} days"
            ),
        ),
        audience(
            "had",
            "treatment",
            &format!(
                "channels: [email]\naction: https://riverside.example/x\nmembers:\n  Procedure: {had}\nrelease:\n  last: {{ Procedure: \
                 performed.ofType(dateTime), pick: latest, as: month }}"
            ),
        ),
        audience("twice", "treatment", &format!("members:\n  at_least: {{ count: {finals}, of: {{ Observation: status = 'final' }} }}")),
        audience(
            if drug { "drug" } else { "medicated" },
            "treatment",
            "members:\n  MedicationRequest: status = 'active' and \
             medication.ofType(Reference).resolve().ofType(Medication).where(status = 'active').exists()",
        ),
        audience(
            "band",
            "treatment",
            "members:\n  Patient: birthDate <= today() - 50 years\nrelease:\n  age: { Patient: birthDate, as: age-band }",
        ),
        audience("seminar", "marketing", "members:\n  Patient: gender.exists()"),
        ("policy.yaml".to_owned(), policy),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Patient,
    Procedure,
    Observation,
    Request,
    Medication,
    Consent,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Patient => "Patient",
            Kind::Procedure => "Procedure",
            Kind::Observation => "Observation",
            Kind::Request => "MedicationRequest",
            Kind::Medication => "Medication",
            Kind::Consent => "Consent",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    DeniesAll,
    DeniesMarketing,
    PermitsMarketing,
    /// It is over.
    Inactive,
}

/// How a Consent is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// IHE PCF: the root provision carries the type.
    Root,
    /// R4's text: a base in `policyRule`, exceptions nested.
    Rule,
    /// R5: a decision, and exceptions from it.
    Decision,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Patient {
        female: bool,
        email: bool,
        /// One of [`NUMBERS`], and how it is written.
        number: Option<(usize, usize)>,
        birth: &'static str,
        dead: Option<Instant>,
        replaced_by: Option<usize>,
        replaces: Option<usize>,
    },
    Procedure {
        done: bool,
        when: Instant,
    },
    Observation {
        good: bool,
    },
    Request {
        active: bool,
        medication: usize,
    },
    Medication {
        active: bool,
    },
    Consent(Says, Dialect),
}

/// A version of a resource, or its delete.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub kind: Kind,
    pub id: usize,
    /// Of a Medication: nobody's.
    pub person: usize,
    pub version: Instant,
    /// A label that the policy withholds.
    pub labelled: bool,
    /// An element that definitions read stands twice.
    pub unreadable: bool,
    /// `None`: a delete.
    pub what: Option<What>,
}

pub fn patient_id(person: usize) -> String {
    format!("p{person}")
}

impl Record {
    pub fn id(&self) -> String {
        match self.kind {
            Kind::Patient => patient_id(self.id),
            kind => format!("{}-{}", kind.name().to_lowercase(), self.id),
        }
    }

    /// For a reader of one seed.
    pub fn tell(&self) -> String {
        let marks = [(self.labelled, " labelled"), (self.unreadable, " unreadable")];
        let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
        let what = self.what.as_ref().map_or_else(|| "deleted".to_owned(), |what| format!("{what:?}"));
        format!("{} of p{} version {}{marks}: {what}", self.id(), self.person, self.version)
    }

    pub fn json(&self) -> String {
        let what = self.what.as_ref().expect("a delete has no body");
        let spoil = |element: &str| if self.unreadable { format!(r#","{element}":"{SPOILT}","{element}":"twice""#) } else { String::new() };
        let label =
            if self.labelled { r#","security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]"# } else { "" };
        let head =
            format!(r#"{{"resourceType":"{}","id":"{}","meta":{{"lastUpdated":"{}"{label}}}"#, self.kind.name(), self.id(), self.version);
        let whose = format!(r#"{{"reference":"Patient/{}"}}"#, patient_id(self.person));
        let rest = match what {
            What::Patient { female, email, number, birth, dead, replaced_by, replaces } => {
                let link =
                    |kind: &str, other: usize| format!(r#"{{"type":"{kind}","other":{{"reference":"Patient/{}"}}}}"#, patient_id(other));
                let links: Vec<String> = replaced_by
                    .map(|other| link("replaced-by", other))
                    .into_iter()
                    .chain(replaces.map(|other| link("replaces", other)))
                    .collect();
                let links = if links.is_empty() { String::new() } else { format!(r#","link":[{}]"#, links.join(",")) };
                let dead = dead.map_or_else(String::new, |at| format!(r#","deceasedDateTime":"{at}""#));
                let email = email.then(|| format!(r#"{{"system":"email","value":"{}@example.org"}}"#, self.id()));
                let number = number.map(|(number, form)| format!(r#"{{"system":"phone","value":"{}"}}"#, NUMBERS[number][form]));
                let telecom: Vec<String> = email.into_iter().chain(number).collect();
                let telecom = if telecom.is_empty() { String::new() } else { format!(r#","telecom":[{}]"#, telecom.join(",")) };
                let gender = if *female { "female" } else { "male" };
                format!(r#","gender":"{gender}","birthDate":"{birth}"{telecom}{links}{dead}{}"#, spoil("gender"))
            }
            What::Procedure { done, when } => {
                let status = if *done { "completed" } else { "stopped" };
                format!(r#","subject":{whose},"status":"{status}","performedDateTime":"{when}"{}"#, spoil("status"))
            }
            What::Observation { good } => {
                format!(r#","subject":{whose},"status":"{}"{}"#, if *good { "final" } else { "cancelled" }, spoil("status"))
            }
            What::Request { active, medication } => {
                let reference = format!(r#""medicationReference":{{"reference":"Medication/medication-{medication}"}}"#);
                let status = if *active { "active" } else { "stopped" };
                format!(r#","subject":{whose},"status":"{status}",{reference}{}"#, spoil("status"))
            }
            What::Medication { active } => {
                format!(r#","status":"{}"{}"#, if *active { "active" } else { "inactive" }, spoil("status"))
            }
            What::Consent(says, dialect) => format!("{}{}", consent(*says, *dialect, &whose), spoil("status")),
        };
        format!("{head}{rest}}}")
    }
}

fn consent(says: Says, dialect: Dialect, whose: &str) -> String {
    const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
    let scope = r#"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}"#;
    let status = if says == Says::Inactive { "inactive" } else { "active" };
    let purposes = |codes: &[&str]| {
        let list: Vec<String> = codes.iter().map(|code| format!(r#"{{"system":"{REASON}","code":"{code}"}}"#)).collect();
        format!(r#""purpose":[{}]"#, list.join(","))
    };
    let denied: &[&str] = if says == Says::DeniesMarketing { &["HMARKT"] } else { &["TREAT", "HMARKT"] };
    let r4 = format!(r#","status":"{status}","scope":{scope},"patient":{whose}"#);
    match (dialect, says) {
        (Dialect::Root | Dialect::Rule, Says::PermitsMarketing) => {
            format!(r#"{r4},"provision":{{"type":"permit",{}}}"#, purposes(&["HMARKT"]))
        }
        (Dialect::Root, _) => format!(r#"{r4},"provision":{{"type":"deny",{}}}"#, purposes(denied)),
        (Dialect::Rule, _) => {
            let base = r#"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTIN"}]}"#;
            format!(r#"{r4},"policyRule":{base},"provision":{{"provision":[{{"type":"deny",{}}}]}}"#, purposes(denied))
        }
        (Dialect::Decision, says) => {
            let (decision, except): (_, &[&str]) = match says {
                Says::PermitsMarketing => ("deny", &["HMARKT", "TREAT", "HOPERAT"]),
                _ => ("permit", denied),
            };
            format!(
                r#","status":"{status}","category":[{scope}],"subject":{whose},"decision":"{decision}","provision":[{{{}}}]"#,
                purposes(except)
            )
        }
    }
}

fn pick<T: Copy>(chance: &mut Chance, from: &[T]) -> T {
    from[chance.below(from.len())]
}

/// Without dice, so that seeds go on telling what they told before there were numbers.
fn number(person: usize, version: Instant) -> Option<(usize, usize)> {
    let mix = version.micros().unsigned_abs() as usize / 1_000_000 + 7 * person;
    (mix % 5 < 3).then_some((mix / 5 % NUMBERS.len(), mix / 15 % 3))
}

pub fn patient(chance: &mut Chance, person: usize, now: Instant, merges: bool) -> Record {
    let other = |chance: &mut Chance| (person + 1 + chance.below(PEOPLE - 1)) % PEOPLE;
    let what = What::Patient {
        female: chance.happens(800),
        email: chance.happens(750),
        number: number(person, now),
        birth: pick(chance, &["1976-02-29", "1970-06-01", "2010-01-01", "1976-03-15"]),
        dead: chance.happens(40).then(|| now.plus(Span::days(chance.below(40) as i64))),
        replaced_by: (merges && chance.happens(200)).then(|| other(chance)),
        replaces: (merges && chance.happens(250)).then(|| other(chance)),
    };
    // What links an unreadable Patient has, only the engine remembers.
    let (labelled, unreadable) = (false, !merges && chance.happens(30));
    Record { kind: Kind::Patient, id: person, person, version: now, labelled, unreadable, what: Some(what) }
}

/// A version of something, written at `now`. Ids are few and everybody's: resources move.
pub fn record(chance: &mut Chance, now: Instant, merges: bool) -> Record {
    let kinds = [
        Kind::Patient,
        Kind::Procedure,
        Kind::Procedure,
        Kind::Observation,
        Kind::Observation,
        Kind::Request,
        Kind::Medication,
        Kind::Consent,
        Kind::Consent,
    ];
    let person = chance.below(PEOPLE);
    let kind = pick(chance, &kinds);
    let what = match kind {
        Kind::Patient => return patient(chance, person, now, merges),
        Kind::Procedure => {
            // On whole minutes, as sources write it.
            let when = now.minus(Span::minutes(chance.below(24 * 60 * 70) as i64));
            What::Procedure { done: chance.happens(750), when }
        }
        Kind::Observation => What::Observation { good: chance.happens(750) },
        Kind::Request => What::Request { active: chance.happens(800), medication: chance.below(3) },
        Kind::Medication => What::Medication { active: chance.happens(750) },
        Kind::Consent => {
            let says =
                [Says::DeniesAll, Says::DeniesMarketing, Says::PermitsMarketing, Says::PermitsMarketing, Says::Inactive, Says::Inactive];
            What::Consent(pick(chance, &says), pick(chance, &[Dialect::Root, Dialect::Rule, Dialect::Decision]))
        }
    };
    // A Consent stays its signer's.
    let id = match kind {
        Kind::Consent => person * 2 + chance.below(2),
        Kind::Medication => chance.below(3),
        _ => chance.below(7),
    };
    let labelled = kind != Kind::Consent && chance.happens(150);
    Record { kind, id, person, version: now, labelled, unreadable: chance.happens(50), what: Some(what) }
}
