//! Preferences: what people told the CRM, and what it met when it wrote to them (rule C17).
//!
//! In: reports by member or by contact. Out: entries for landing, of all reports or of none.
//! Never here: a member id of another bridge, a report that is only nearly understood, or its words in an answer; a contact
//! goes no further than to its hash.

use super::answer::{Issue, Refusal, fhir, outcome};
use super::body::Reader;
use super::{Push, Pushed};
use crate::log::Entry;
use crate::source::intake::number_of;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use footbridge_core::audience::Channel;
use footbridge_core::gate::MemberKey;
use footbridge_core::key::{ContactKey, ContactKind, Person};
use footbridge_core::shard::{ContactPreference, Preference};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    recipient: Option<String>,
    channel: Option<String>,
    what: Option<String>,
    member: Option<String>,
    contact: Option<String>,
}

const BODY_BYTES_MAX: usize = 4 << 20;
/// Each goes to every partition.
const CONTACTS_MAX: usize = 1000;

/// What landing calls their source: no source of resources may have this name.
const PREFERENCES: &str = "preferences";

pub async fn receive(State(push): State<Arc<Push>>, headers: HeaderMap, body: Body) -> Pushed {
    let bytes = Reader::new(&headers, body, &push.settings)?.whole(BODY_BYTES_MAX).await?;
    let reports =
        reports(&bytes).ok_or(Refusal::Invalid("the body must be a preference, or a list of them, as docs/preferences.md has them"))?;
    let contacts = reports.iter().filter(|report| report.contact.is_some()).count();
    if contacts > CONTACTS_MAX {
        return Err(Refusal::TooMany { what: "reports by contact", most: CONTACTS_MAX });
    }
    let (mut entries, mut issues) = (Vec::new(), Vec::new());
    for (number, report) in reports.iter().enumerate() {
        match read(&push, report) {
            Ok(read) => entries.extend(read),
            Err((code, why)) => issues.push(Issue::error(code, why).at(Some(format!("[{number}]")))),
        }
    }
    // All or none: a sender should not have to find out which were taken.
    if !issues.is_empty() {
        return Ok(fhir(StatusCode::UNPROCESSABLE_ENTITY, &outcome(issues)));
    }
    push.land(PREFERENCES, entries).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn reports(bytes: &[u8]) -> Option<Vec<Report>> {
    match bytes.trim_ascii_start().first()? {
        b'[' => sonic_rs::from_slice(bytes).ok(),
        _ => sonic_rs::from_slice(bytes).ok().map(|one| vec![one]),
    }
}

type Wrong = (&'static str, String);

fn read(push: &Push, report: &Report) -> Result<Vec<Entry>, Wrong> {
    let channel = match report.channel.as_deref() {
        Some("email") => Channel::Email,
        Some("sms") => Channel::Sms,
        _ => return Err(("invalid", "`channel` must be email or sms".into())),
    };
    let opted_out = match report.what.as_deref() {
        Some("opt-out" | "bounce" | "complaint") => true,
        Some("opt-in") => false,
        _ => return Err(("invalid", "`what` must be opt-out, opt-in, bounce or complaint".into())),
    };
    // The newest of a person or contact, recipient and channel stands for those before it.
    let number = number_of(&[report.recipient.as_deref().unwrap_or("").as_bytes(), &[channel as u8]]);
    let preference = Preference { recipient: report.recipient.clone(), channel, opted_out };
    match (report.member.as_deref(), report.contact.as_deref()) {
        (Some(member), None) => {
            let person = person(push, report.recipient.as_deref(), member)?;
            Ok(vec![push.intake.preference(PREFERENCES, person, preference, number)])
        }
        (None, Some(contact)) => {
            recipients(push, report.recipient.as_deref())?;
            let contact = hash(push, channel, contact)?;
            Ok(push.intake.contact_preference(PREFERENCES, &ContactPreference { contact, preference }, number))
        }
        _ => Err(("required", "either `member` or `contact` must say who it is".to_owned())),
    }
}

fn hash(push: &Push, channel: Channel, contact: &str) -> Result<ContactKey, Wrong> {
    let (kind, what) = match channel {
        Channel::Email => (ContactKind::Email, "`contact` must be an e-mail address"),
        Channel::Sms => (ContactKind::Phone, "`contact` must be a telephone number of at least seven digits"),
    };
    push.intake.keys.contact(kind, contact).ok_or_else(|| ("invalid", what.to_owned()))
}

/// That of the report's recipient; without one, those of all.
fn recipients(push: &Push, recipient: Option<&str>) -> Result<Vec<MemberKey>, Wrong> {
    let meant = (push.recipients)().into_iter().filter(|(name, _)| recipient.is_none_or(|recipient| recipient == name));
    let keys: Vec<MemberKey> = meant.map(|(_, key)| key).collect();
    match keys.is_empty() {
        true => Err(("not-found", "`recipient` must be one of the policy's recipients".into())),
        false => Ok(keys),
    }
}

/// Without a recipient the member may be one that any of them knows.
fn person(push: &Push, recipient: Option<&str>, member: &str) -> Result<Person, Wrong> {
    let mut why = String::new();
    for key in recipients(push, recipient)? {
        match key.person(member) {
            Ok(person) => return Ok(person),
            Err(bad) => why = format!("`member` is {bad}"),
        }
    }
    Err(("not-found", why))
}
