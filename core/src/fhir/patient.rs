//! What is kept of a Patient: birth, death, ways to reach, states lived in, merges, identifiers.
//!
//! In: a parsed Patient. Out: facts small enough to stay in state.
//! Never here: which of them is released. What cannot be read keeps a person out and is noted; it never stops the rest.

use super::json::{self, Unreadable};
use super::state::state_code;
use crate::key::{ContactKey, ContactKind, Keys};
use crate::phi::Phi;
use crate::time::{Instant, Moment, Zone};
use crate::timeline::{Steps, Timeline};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::fmt;

#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PatientFacts {
    pub birth: Birth,
    /// False from death; always false where death is stated and cannot be dated, or where the statement cannot be read.
    pub alive: Timeline,
    /// Of e-mail, phone and SMS, in the order of `telecom`.
    pub contacts: Vec<Contact>,
    /// What an opt-out by contact reaches this person by; [`PatientFacts::hold`] fills it.
    pub held: Vec<Held>,
    /// `address.state` of each address that is not old: the USPS code where it is known, else as written in upper case.
    pub states: Vec<String>,
    /// Texts of references: `link.type` replaced-by. This record is not to be used any more.
    pub replaced_by: Vec<String>,
    /// Texts of references: `link.type` replaces.
    pub replaces: Vec<String>,
    /// A link could not be read, or is replaced-by and cannot be followed: treat the record as replaced by an unknown one.
    pub link_unclear: bool,
    /// System and value of each identifier that is not old.
    pub identifiers: Vec<(String, Phi<String>)>,
    /// `Some(false)` too where it cannot be read.
    pub active: Option<bool>,
    /// What could not be read, for quarantine. Not kept in state.
    #[serde(skip)]
    pub noted: Vec<Unreadable>,
    /// Contacts of which not all can be read; `None`: not even which it is. [`PatientFacts::hold`] empties it.
    #[serde(skip)]
    unsure: Vec<Option<(System, Phi<String>)>>,
}

/// A contact that the person has, without saying which. One that is not used, since a part of it cannot be read, is
/// had at all times: it may be the one that somebody opted out by (I11).
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    pub key: ContactKey,
    pub when: Timeline,
}

#[derive(Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "BirthText", try_from = "BirthText")]
pub enum Birth {
    /// Precision of a day or less.
    Known(Moment),
    Absent,
    Unreadable,
}

#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Contact {
    pub system: System,
    /// `use` is mobile.
    pub mobile: bool,
    /// 1 comes first; `u32::MAX` where none is given.
    pub rank: u32,
    /// `use` is old.
    pub old: bool,
    pub value: Phi<String>,
    /// By `period`; never where that, or another part of the contact, cannot be read.
    pub valid: Timeline,
}

/// `ContactPoint.system`; the others are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum System {
    Email,
    Phone,
    Sms,
}

impl System {
    const fn kind(self) -> ContactKind {
        match self {
            System::Email => ContactKind::Email,
            System::Phone | System::Sms => ContactKind::Phone,
        }
    }
}

/// Something to be reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Email,
    /// A contact of system sms, else a mobile phone.
    Sms,
}

/// # Errors
/// Where the value is no Patient; all else that is wrong is in `noted`.
pub fn read_patient(patient: &Value, zone: &Zone) -> Result<PatientFacts, Unreadable> {
    if json::get(patient, "resourceType")?.and_then(|v| v.as_str()) != Some("Patient") {
        return Err(wrong("resourceType", "is not Patient"));
    }
    let noted = &mut Vec::new();
    let birth = read_birth(patient, noted);
    let alive = read_alive(patient, zone, noted);
    let mut unsure = Vec::new();
    let before = noted.len();
    let telecom = items(patient, "telecom", noted);
    if noted.len() > before {
        unsure.push(None);
    }
    let contacts = telecom.iter().filter_map(|contact| read_contact(contact, zone, noted, &mut unsure)).collect();
    let states = read_states(patient, noted);
    let identifiers = read_identifiers(patient, noted);
    let active = match json::get(patient, "active") {
        Ok(None) => None,
        Ok(Some(value)) if value.is_boolean() => value.as_bool(),
        Ok(Some(_)) => Some(note(noted, wrong("Patient.active", "is not a boolean"), false)),
        Err(e) => Some(note(noted, e, false)),
    };
    let mut facts = PatientFacts {
        birth,
        alive,
        contacts,
        held: Vec::new(),
        states,
        replaced_by: Vec::new(),
        replaces: Vec::new(),
        link_unclear: false,
        identifiers,
        active,
        noted: std::mem::take(noted),
        unsure,
    };
    facts.read_links(patient);
    Ok(facts)
}

impl PatientFacts {
    /// What stands for a Patient that could not be read: nobody is known to live or to be reached.
    pub fn unreadable() -> PatientFacts {
        PatientFacts {
            birth: Birth::Unreadable,
            alive: Steps::always(false),
            contacts: Vec::new(),
            held: vec![Held { key: ContactKey::unknown(), when: Timeline::always(true) }],
            states: Vec::new(),
            replaced_by: Vec::new(),
            replaces: Vec::new(),
            link_unclear: true,
            identifiers: Vec::new(),
            active: Some(false),
            noted: Vec::new(),
            unsure: Vec::new(),
        }
    }

    /// Works out `held`, once, after reading. A text that is no contact is not held: nobody can opt out by it.
    pub fn hold(&mut self, keys: &Keys) {
        let key = |system: System, value: &Phi<String>| keys.contact(system.kind(), value.reveal());
        let sure = self.contacts.iter().filter(|contact| !contact.old);
        let sure = sure.filter_map(|contact| Some(Held { key: key(contact.system, &contact.value)?, when: contact.valid.clone() }));
        let mut held: Vec<Held> = sure.collect();
        for unsure in std::mem::take(&mut self.unsure) {
            let key = match unsure {
                None => Some(ContactKey::unknown()),
                Some((system, value)) => key(system, &value),
            };
            held.extend(key.map(|key| Held { key, when: Timeline::always(true) }));
        }
        self.held = held;
    }

    /// The contact to use at each instant, as an index of `contacts`: valid then, not old, of the lowest rank, else the first.
    pub fn reach(&self, by: Reach) -> Steps<Option<u16>> {
        let mut candidates: Vec<(u8, u32, u16)> = Vec::new();
        for (index, contact) in (0u16..).zip(&self.contacts) {
            let choice = match (by, contact.system) {
                (Reach::Email, System::Email) | (Reach::Sms, System::Sms) => 0,
                (Reach::Sms, System::Phone) if contact.mobile => 1,
                (Reach::Email, System::Phone | System::Sms) | (Reach::Sms, System::Email | System::Phone) => continue,
            };
            if !contact.old {
                candidates.push((choice, contact.rank, index));
            }
        }
        candidates.sort_unstable();
        // From the last choice to the first: a better one that is valid covers the others.
        candidates.iter().rev().fold(Steps::always(None), |chosen, (.., index)| {
            let valid = &self.contacts[usize::from(*index)].valid;
            chosen.zip(valid, |other, valid| if *valid { Some(*index) } else { *other })
        })
    }

    /// As [`PatientFacts::unreadable`], with the links that can be read: whom it replaces must not come back because
    /// another element broke (I11).
    pub fn unreadable_but_for_links(patient: &Value) -> PatientFacts {
        let mut facts = PatientFacts::unreadable();
        facts.read_links(patient);
        facts
    }

    fn read_links(&mut self, patient: &Value) {
        let before = self.noted.len();
        for link in items(patient, "link", &mut self.noted) {
            if let Err(e) = self.read_link(link) {
                self.noted.push(e);
            }
        }
        self.link_unclear |= self.noted.len() > before;
    }

    fn read_link(&mut self, link: &Value) -> Result<(), Unreadable> {
        let kind = json::get(link, "type")?.and_then(|v| v.as_str()).ok_or(wrong("Patient.link.type", "is not a code"))?;
        let list = match kind {
            "replaced-by" => &mut self.replaced_by,
            "replaces" => &mut self.replaces,
            // Never merged on these.
            "refer" | "seealso" => return Ok(()),
            _ => return Err(wrong("Patient.link.type", "is not a code of FHIR")),
        };
        let other = json::get(link, "other")?.ok_or(wrong("Patient.link.other", "is missing"))?;
        match json::get(other, "reference")?.and_then(|v| v.as_str()) {
            Some(text) => list.push(text.to_owned()),
            None => return Err(wrong("Patient.link.other", "has no reference that can be followed")),
        }
        Ok(())
    }
}

fn read_birth(patient: &Value, noted: &mut Vec<Unreadable>) -> Birth {
    let text = match json::get(patient, "birthDate") {
        Ok(None) => return Birth::Absent,
        Ok(Some(value)) => value.as_str(),
        Err(e) => return note(noted, e, Birth::Unreadable),
    };
    match text.map(Moment::parse) {
        Some(Ok(moment)) if !moment.has_time() => Birth::Known(moment),
        _ => note(noted, wrong("Patient.birthDate", "is not a date"), Birth::Unreadable),
    }
}

fn read_alive(patient: &Value, zone: &Zone, noted: &mut Vec<Unreadable>) -> Timeline {
    let never = || Timeline::always(false);
    let mut alive = Timeline::always(true);
    match json::get(patient, "deceasedBoolean") {
        Ok(None) => {}
        Ok(Some(value)) if value.is_boolean() => {
            if value.as_bool() != Some(false) {
                return never();
            }
        }
        Ok(Some(_)) => return note(noted, wrong("Patient.deceasedBoolean", "is not a boolean"), never()),
        Err(e) => return note(noted, e, never()),
    }
    match json::get(patient, "deceasedDateTime") {
        Ok(None) => {}
        Ok(Some(value)) => match value.as_str().map(Moment::parse) {
            Some(Ok(moment)) => alive = alive.and(&until(moment.earliest(zone))),
            _ => return note(noted, wrong("Patient.deceasedDateTime", "is not a dateTime"), never()),
        },
        Err(e) => return note(noted, e, never()),
    }
    // A value that is only an extension, such as data-absent-reason, says that there is one: of a date, that there was a death.
    let hidden = |key, value| Ok::<_, Unreadable>(json::get(patient, key)?.is_some() && json::get(patient, value)?.is_none());
    match (hidden("_deceasedBoolean", "deceasedBoolean"), hidden("_deceasedDateTime", "deceasedDateTime")) {
        (Ok(false), Ok(false)) => alive,
        (Ok(_), Ok(_)) => note(noted, wrong("Patient.deceased", "has no value"), never()),
        (Err(e), _) | (_, Err(e)) => note(noted, e, never()),
    }
}

/// True before `end`.
fn until(end: Instant) -> Timeline {
    Timeline::between(Instant::BEGIN, end)
}

fn read_contact(
    contact: &Value,
    zone: &Zone,
    noted: &mut Vec<Unreadable>,
    unsure: &mut Vec<Option<(System, Phi<String>)>>,
) -> Option<Contact> {
    let mut untold = |e| {
        unsure.push(None);
        note(noted, e, None)
    };
    if !contact.is_object() {
        return untold(wrong("Patient.telecom", "is not a contact"));
    }
    let system = match json::get(contact, "system").map(|v| v.map(|v| v.as_str())) {
        Ok(Some(Some("email"))) => System::Email,
        Ok(Some(Some("phone"))) => System::Phone,
        Ok(Some(Some("sms"))) => System::Sms,
        Ok(Some(None)) => return untold(wrong("Patient.telecom.system", "is not a code")),
        Ok(_) => return None,
        Err(e) => return untold(e),
    };
    let value = match read_contact_value(contact) {
        Ok(Some(value)) => value,
        Ok(None) => return None,
        Err(e) => return untold(e),
    };
    match read_contact_parts(contact, system, value.clone(), zone) {
        Ok(contact) => Some(contact),
        Err(e) => {
            unsure.push(Some((system, value)));
            note(noted, e, None)
        }
    }
}

/// `None`: it has none.
fn read_contact_value(contact: &Value) -> Result<Option<Phi<String>>, Unreadable> {
    let Some(value) = json::get(contact, "value")? else { return Ok(None) };
    let value = value.as_str().ok_or(wrong("Patient.telecom.value", "is not a string"))?.trim();
    Ok((!value.is_empty()).then(|| Phi::new(value.to_owned())))
}

/// A part that cannot be read is an error: such a contact is not used at all.
fn read_contact_parts(contact: &Value, system: System, value: Phi<String>, zone: &Zone) -> Result<Contact, Unreadable> {
    let usage = match json::get(contact, "use")? {
        None => "",
        Some(code) => code.as_str().ok_or(wrong("Patient.telecom.use", "is not a code"))?,
    };
    let rank = match json::get(contact, "rank")? {
        None => u32::MAX,
        Some(rank) => {
            let rank = rank.as_raw_number().and_then(|n| n.as_str().parse().ok());
            rank.filter(|rank| *rank > 0).ok_or(wrong("Patient.telecom.rank", "is not a positive whole number"))?
        }
    };
    let valid = match json::get(contact, "period")? {
        None => Timeline::always(true),
        Some(period) => read_period(period, zone)?,
    };
    Ok(Contact { system, mobile: usage == "mobile", rank, old: usage == "old", value, valid })
}

/// Both ends belong to it: a partial date means all that it may mean.
fn read_period(period: &Value, zone: &Zone) -> Result<Timeline, Unreadable> {
    let not = || wrong("Patient.telecom.period", "is not a period");
    if !period.is_object() {
        return Err(not());
    }
    let end = |key| match json::get(period, key)? {
        None => Ok(None),
        Some(value) => value.as_str().and_then(|text| Moment::parse(text).ok()).map(Some).ok_or_else(not),
    };
    let start = end("start")?.map_or(Instant::BEGIN, |moment| moment.earliest(zone));
    let past = end("end")?.map_or(Instant::END, |moment| moment.ends(zone));
    Ok(Timeline::between(start, past))
}

fn read_states(patient: &Value, noted: &mut Vec<Unreadable>) -> Vec<String> {
    let mut states = Vec::new();
    for address in items(patient, "address", noted) {
        let parts = || Ok::<_, Unreadable>((json::get(address, "use")?, json::get(address, "state")?));
        match parts() {
            Ok((usage, _)) if usage.and_then(|v| v.as_str()) == Some("old") => {}
            Ok((_, None)) => {}
            Ok((_, Some(state))) => match state.as_str() {
                Some(text) => {
                    let code = state_code(text);
                    if !code.is_empty() && !states.contains(&code) {
                        states.push(code);
                    }
                }
                None => noted.push(wrong("Patient.address.state", "is not a string")),
            },
            Err(e) => noted.push(e),
        }
    }
    states
}

fn read_identifiers(patient: &Value, noted: &mut Vec<Unreadable>) -> Vec<(String, Phi<String>)> {
    let mut out = Vec::new();
    for identifier in items(patient, "identifier", noted) {
        let text = |key| Ok::<_, Unreadable>(json::get(identifier, key)?.and_then(|v| v.as_str()));
        let parts = || Ok::<_, Unreadable>((text("use")?, text("system")?, text("value")?));
        match parts() {
            Ok((usage, Some(system), Some(value))) if usage != Some("old") => out.push((system.to_owned(), Phi::new(value.to_owned()))),
            Ok(_) => {}
            Err(e) => noted.push(e),
        }
    }
    out
}

/// The items of a list element; none where it is absent, or no list (noted).
fn items<'a>(value: &'a Value, key: &'static str, noted: &mut Vec<Unreadable>) -> &'a [Value] {
    match json::get(value, key) {
        Ok(None) => &[],
        Ok(Some(list)) => match list.as_array() {
            Some(list) => list.as_slice(),
            None => note(noted, wrong(key, "is not a list"), &[]),
        },
        Err(e) => note(noted, e, &[]),
    }
}

fn wrong(path: &'static str, why: &'static str) -> Unreadable {
    Unreadable::Element { path, why }
}

/// Notes what is wrong and goes on with what stands for it.
fn note<T>(noted: &mut Vec<Unreadable>, e: Unreadable, instead: T) -> T {
    noted.push(e);
    instead
}

/// How a birth lies in state: the date as FHIR writes it.
#[derive(serde::Serialize, serde::Deserialize)]
enum BirthText {
    Known(String),
    Absent,
    Unreadable,
}

impl From<Birth> for BirthText {
    fn from(birth: Birth) -> BirthText {
        use crate::time::Precision;
        match birth {
            Birth::Absent => BirthText::Absent,
            Birth::Unreadable => BirthText::Unreadable,
            Birth::Known(moment) => {
                let mut text = moment.local.date().to_string();
                match moment.precision {
                    Precision::Year => text.truncate(4),
                    Precision::Month => text.truncate(7),
                    Precision::Day | Precision::Minute | Precision::Second => {}
                }
                BirthText::Known(text)
            }
        }
    }
}

impl TryFrom<BirthText> for Birth {
    type Error = &'static str;

    fn try_from(text: BirthText) -> Result<Birth, &'static str> {
        match text {
            BirthText::Absent => Ok(Birth::Absent),
            BirthText::Unreadable => Ok(Birth::Unreadable),
            BirthText::Known(text) => Moment::parse(&text).map(Birth::Known).map_err(|_| "a birth in state is not a date"),
        }
    }
}

impl fmt::Debug for PatientFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientFacts([phi])")
    }
}

impl fmt::Debug for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Birth::Known(_) => "Known([phi])",
            Birth::Absent => "Absent",
            Birth::Unreadable => "Unreadable",
        })
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contact({:?}, [phi])", self.system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(rest: &str) -> PatientFacts {
        let text = format!(r#"{{"resourceType":"Patient"{rest}}}"#);
        let zone = Zone::named("America/Chicago").expect("zone");
        read_patient(&json::parse(text.as_bytes()).expect("json"), &zone).expect("a Patient")
    }

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    #[test]
    fn death_ends_life_and_what_cannot_be_read_counts_as_death() {
        let always = Timeline::always(true);
        for (rest, alive) in [
            ("", always.clone()),
            (r#","deceasedBoolean":false"#, always.clone()),
            (r#","deceasedDateTime":"2026-03-01T10:00:00Z""#, until(at("2026-03-01T10:00:00Z"))),
            (r#","deceasedDateTime":"2026-03""#, until(at("2026-03-01T06:00:00Z"))),
            (r#","deceasedDateTime":"2026""#, until(at("2026-01-01T06:00:00Z"))),
        ] {
            let facts = facts(rest);
            assert_eq!((facts.alive, facts.noted.len()), (alive, 0), "{rest}");
        }
        for rest in [
            r#","deceasedBoolean":true"#,
            r#","deceasedBoolean":"no""#,
            r#","deceasedBoolean":null"#,
            r#","deceasedDateTime":"2026-02-30""#,
            r#","deceasedDateTime":7"#,
            r#","deceasedBoolean":false,"deceasedBoolean":true"#,
            r#","_deceasedDateTime":{"extension":[{"url":"x","valueCode":"unknown"}]}"#,
        ] {
            assert_eq!(facts(rest).alive, Timeline::always(false), "{rest}");
        }
    }

    #[test]
    fn a_birth_is_known_absent_or_unreadable() {
        assert!(matches!(facts(r#","birthDate":"1976-03""#).birth, Birth::Known(_)));
        assert!(matches!(facts("").birth, Birth::Absent));
        for bad in [r#""1976-3-1""#, "1976", r#""1976-03-01T10:00:00Z""#, "null"] {
            let facts = facts(&format!(r#","birthDate":{bad}"#));
            assert!(matches!(facts.birth, Birth::Unreadable) && facts.noted.len() == 1, "{bad}");
        }
    }

    #[test]
    fn the_contact_is_the_best_that_is_valid_then() {
        let facts = facts(
            r#","telecom":[{"system":"email","value":"old@example.org","use":"old","rank":1},
            {"system":"email","value":"b@example.org","rank":2},
            {"system":"email","value":"a@example.org","rank":1,"period":{"start":"2026-03-01","end":"2026-03-31"}},
            {"system":"phone","value":"1","use":"home"},{"system":"phone","value":"2","use":"mobile"},
            {"system":"sms","value":"3","period":{"start":"2027"}},{"system":"fax","value":"4"}]"#,
        );
        let email = facts.reach(Reach::Email);
        for (when, expected) in
            [("2026-03-01T05:59:59Z", 1), ("2026-03-01T06:00:00Z", 2), ("2026-04-01T04:59:59Z", 2), ("2026-04-01T05:00:00Z", 1)]
        {
            assert_eq!(*email.at(at(when)), Some(expected), "{when}");
        }
        let sms = facts.reach(Reach::Sms);
        assert_eq!((*sms.at(at("2026-06-01T00:00:00Z")), *sms.at(at("2027-06-01T00:00:00Z"))), (Some(4), Some(5)));
    }

    #[test]
    fn a_contact_with_an_unreadable_part_is_not_used() {
        for bad in [r#""rank":"first""#, r#""rank":0"#, r#""period":{"end":"soon"}"#, r#""use":1"#, r#""period":7"#, r#""value":"b""#] {
            let facts = facts(&format!(r#","telecom":[{{"system":"email","value":"a",{bad}}}]"#));
            assert!(facts.contacts.is_empty() && facts.noted.len() == 1, "{bad}");
        }
    }

    fn held(telecom: &str) -> Vec<Held> {
        let mut facts = facts(&format!(r#","telecom":{telecom}"#));
        facts.hold(&Keys::new(b"a secret of the tests, invented"));
        facts.held
    }

    #[test]
    fn held_is_what_an_opt_out_may_come_by() {
        let keys = Keys::new(b"a secret of the tests, invented");
        let key = |kind, text| keys.contact(kind, text).expect("a contact");
        let (number, address) = (key(ContactKind::Phone, "312-555-0100"), key(ContactKind::Email, "ann@example.org"));
        let always = |key: &ContactKey| vec![Held { key: key.clone(), when: Timeline::always(true) }];
        let table = [
            (r#"[{"system":"phone","value":"+1 (312) 555-0100","use":"home"}]"#, always(&number)),
            (r#"[{"system":"sms","value":"3125550100"},{"system":"fax","value":"3125550199"}]"#, always(&number)),
            (r#"[{"system":"email","value":"Ann@Example.org"},{"system":"email","value":"none"}]"#, always(&address)),
            (r#"[{"system":"email","value":"ann@example.org","use":"old"}]"#, Vec::new()),
            (r#"[{"system":"email","value":"ann@example.org","rank":"first"}]"#, always(&address)),
            (r#"[{"system":"email","value":"ann@example.org","use":"old","period":7}]"#, always(&address)),
            (r#"[{"system":"email","value":7}]"#, always(&ContactKey::unknown())),
            (r#"[{"system":7,"value":"ann@example.org"}]"#, always(&ContactKey::unknown())),
            (r#"[7]"#, always(&ContactKey::unknown())),
            ("7", always(&ContactKey::unknown())),
        ];
        for (telecom, expected) in table {
            assert!(held(telecom) == expected, "{telecom}");
        }
        let ended = held(r#"[{"system":"sms","value":"3125550100","period":{"end":"2026-03-31"}}]"#);
        assert!(ended[0].when == until(at("2026-04-01T05:00:00Z")));
    }

    #[test]
    fn links_states_identifiers_and_what_is_active() {
        let read = facts(
            r#","link":[{"type":"replaced-by","other":{"reference":"Patient/2"}},{"type":"replaces","other":{"reference":"Patient/3"}},
            {"type":"seealso","other":{"reference":"Patient/4"}}],"address":[{"state":"Alabama"},{"state":"NE","use":"old"},{"state":"ms"}],
            "identifier":[{"system":"mrn","value":"9"},{"system":"mrn","value":"8","use":"old"},{"value":"7"}],"active":true"#,
        );
        assert_eq!((read.replaced_by.as_slice(), read.replaces.as_slice()), (&["Patient/2".to_owned()][..], &["Patient/3".to_owned()][..]));
        assert_eq!(read.states, ["AL", "MS"]);
        assert_eq!(read.identifiers, [("mrn".to_owned(), Phi::new("9".to_owned()))]);
        assert_eq!((read.active, read.link_unclear), (Some(true), false));
        for bad in [r#"{"type":"replaced-by","other":{"identifier":{"value":"2"}}}"#, r#"{"other":{"reference":"Patient/2"}}"#, "7"] {
            assert!(facts(&format!(r#","link":[{bad}]"#)).link_unclear, "{bad}");
        }
        assert_eq!(facts(r#","active":"yes""#).active, Some(false));
    }

    #[test]
    fn facts_come_back_from_state_and_never_print() {
        let facts = facts(r#","birthDate":"1976-03","telecom":[{"system":"email","value":"ann@example.org"}],"deceasedDateTime":"2026""#);
        let bytes = postcard::to_stdvec(&facts).expect("written");
        let back: PatientFacts = postcard::from_bytes(&bytes).expect("read");
        assert!(back == facts && bytes.len() < 61, "{}", bytes.len());
        let printed = format!("{facts:?} {:?} {:?}", facts.birth, facts.contacts);
        assert!(!printed.contains("1976") && !printed.contains("ann"), "{printed}");
    }
}
