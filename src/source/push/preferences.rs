//! Preferences: what people told the CRM, and what it met when it wrote to them (rule C17).
//!
//! In: reports by member. Out: entries for landing, of all reports or of none.
//! Never here: a member id of another bridge, a report that is only nearly understood, or its words in an answer.

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
use footbridge_core::key::Person;
use footbridge_core::shard::Preference;
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

/// What landing calls their source: no source of resources may have this name.
const PREFERENCES: &str = "preferences";

pub async fn receive(State(push): State<Arc<Push>>, headers: HeaderMap, body: Body) -> Pushed {
    let bytes = Reader::new(&headers, body, &push.settings)?.whole(BODY_BYTES_MAX).await?;
    let reports =
        reports(&bytes).ok_or(Refusal::Invalid("the body must be a preference, or a list of them, as docs/preferences.md has them"))?;
    if reports.iter().any(|report| report.contact.is_some()) {
        return Err(Refusal::NotSupported("a preference by `contact` is not taken yet, and none of these was: name the `member`"));
    }
    let (mut entries, mut issues) = (Vec::new(), Vec::new());
    for (number, report) in reports.iter().enumerate() {
        match entry(&push, PREFERENCES, report) {
            Ok(entry) => entries.push(entry),
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

fn entry(push: &Push, source: &str, report: &Report) -> Result<Entry, Wrong> {
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
    let member = report.member.as_deref().ok_or(("required", "`member` must say who it is".to_owned()))?;
    let person = person(push, report.recipient.as_deref(), member)?;
    // The newest of a person, recipient and channel stands for those before it.
    let number = number_of(&[report.recipient.as_deref().unwrap_or("").as_bytes(), &[channel as u8]]);
    let preference = Preference { recipient: report.recipient.clone(), channel, opted_out };
    Ok(push.intake.preference(source, person, preference, number))
}

/// Without a recipient the member may be one that any of them knows.
fn person(push: &Push, recipient: Option<&str>, member: &str) -> Result<Person, Wrong> {
    let mut keys = push.recipients.iter().filter(|(name, _)| recipient.is_none_or(|recipient| recipient == name)).peekable();
    if keys.peek().is_none() {
        return Err(("not-found", "`recipient` must be one of the policy's recipients".into()));
    }
    let mut why = String::new();
    for (_, key) in keys {
        match key.person(member) {
            Ok(person) => return Ok(person),
            Err(bad) => why = format!("`member` is {bad}"),
        }
    }
    Err(("not-found", why))
}
