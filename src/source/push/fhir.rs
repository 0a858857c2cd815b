//! FHIR over HTTP into landing.
//!
//! In: Bundles, resources, lines of them. Out: answers, once landing has what was sent.
//! Never here: a 2xx before that, or what a resource means.

use super::answer::{Issue, Outcome, Refusal, fhir, outcome};
use super::body::{Form, Reader, form};
use super::{Push, Pushed};
use crate::observe::{Quarantined, RecordUnreadable};
use crate::source::intake::{Received, Source};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use footbridge_core::fhir::bundle::BundleKind;
use footbridge_core::fhir::peek;
use serde::Serialize;
use std::sync::Arc;

/// Issues that one answer lists; more are counted.
const LISTED_MAX: usize = 100;

pub async fn receive(State(push): State<Arc<Push>>, headers: HeaderMap, body: Body) -> Response {
    whichever(&push, push.source(None), headers, body).await
}

pub async fn receive_from(State(push): State<Arc<Push>>, Path(name): Path<String>, headers: HeaderMap, body: Body) -> Response {
    whichever(&push, push.source(Some(&name)), headers, body).await
}

async fn whichever(push: &Arc<Push>, source: Result<Source, Refusal>, headers: HeaderMap, body: Body) -> Response {
    let (source, form) = match source.and_then(|source| Ok((source, form(&headers)?))) {
        Ok(known) => known,
        Err(refusal) => return refusal.into_response(),
    };
    match form {
        Form::Whole => whole(push, source, &headers, body).await.unwrap_or_else(Refusal::into_response),
        Form::Lines => lines(push, source, &headers, body).await,
    }
}

async fn whole(push: &Arc<Push>, source: Source, headers: &HeaderMap, body: Body) -> Pushed {
    let bytes = Reader::new(headers, body, &push.settings)?.whole(push.settings.body_bytes_max).await?;
    let received = read(push, &source, bytes).await?;
    let Received { entries, resources, unread, refused, bundle, .. } = received;
    push.land(&source.name, entries).await?;
    refused.iter().for_each(|(_, why)| RecordUnreadable { source: &source.name, reason: Quarantined::of(why) }.emit());
    if let Some((kind @ (BundleKind::Transaction | BundleKind::Batch), count)) = bundle {
        return Ok(response_bundle(kind, count, &refused));
    }
    let mut issues = vec![counts(resources, unread, refused.len())];
    let at = |entry: Option<usize>| entry.map(|entry| format!("Bundle.entry[{}]", entry - 1));
    issues.extend(refused.iter().take(LISTED_MAX).map(|(entry, why)| Issue::unreadable(why).at(at(*entry))));
    // Of a Bundle whose frame cannot be read nothing is used, as of a single resource.
    let nothing = bundle.is_none() && !refused.is_empty();
    let status = if nothing { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(fhir(status, &outcome(issues)))
}

fn counts(resources: u64, unread: u64, refused: usize) -> Issue {
    Issue::told(format!("{resources} resources, {unread} of no interest, {refused} in quarantine"))
}

/// Reading a large Bundle takes long enough to hold up others.
async fn read(push: &Arc<Push>, source: &Source, bytes: Vec<u8>) -> Result<Received, Refusal> {
    const SMALL: usize = 32 << 10;
    if bytes.len() <= SMALL {
        return Ok(push.intake.receive(source, &bytes));
    }
    let (push, source) = (Arc::clone(push), source.clone());
    tokio::task::spawn_blocking(move || push.intake.receive(&source, &bytes)).await.map_err(|_| Refusal::Failed)
}

#[derive(Serialize)]
struct ResponseBundle {
    #[serde(rename = "resourceType")]
    resource_type: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    entry: Vec<ResponseEntry>,
}

#[derive(Serialize)]
struct ResponseEntry {
    response: EntryResponse,
}

#[derive(Serialize)]
struct EntryResponse {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

/// An answer for each entry, in their order.
fn response_bundle(kind: BundleKind, count: usize, refused: &[(Option<usize>, footbridge_core::fhir::Unreadable)]) -> Response {
    let kind = if kind == BundleKind::Transaction { "transaction-response" } else { "batch-response" };
    let mut entry: Vec<_> = (0..count).map(|_| ResponseEntry { response: EntryResponse { status: "200", outcome: None } }).collect();
    for (place, why) in refused {
        if let Some(one) = place.and_then(|place| entry.get_mut(place - 1)) {
            one.response = EntryResponse { status: "422", outcome: Some(outcome(vec![Issue::unreadable(why)])) };
        }
    }
    fhir(StatusCode::OK, &ResponseBundle { resource_type: "Bundle", kind, entry })
}

/// What became of a stream so far.
#[derive(Default)]
struct Tally {
    lines: u64,
    resources: u64,
    unread: u64,
    refused: usize,
    issues: Vec<Issue>,
}

impl Tally {
    fn issues(mut self) -> Vec<Issue> {
        self.issues.insert(0, counts(self.resources, self.unread, self.refused));
        self.issues
    }
}

/// A stream that breaks off leaves what was appended; the answer says how much that is.
async fn lines(push: &Arc<Push>, source: Source, headers: &HeaderMap, body: Body) -> Response {
    let mut tally = Tally::default();
    match stream(push, &source, headers, body, &mut tally).await {
        Ok(()) => fhir(StatusCode::OK, &outcome(tally.issues())),
        Err(refusal) => {
            let told = Issue::told(format!("{} lines were taken before that, and need not be sent again", tally.lines));
            let before = std::iter::once(told).chain(tally.issues()).collect();
            refusal.respond(before)
        }
    }
}

async fn stream(push: &Arc<Push>, source: &Source, headers: &HeaderMap, body: Body, tally: &mut Tally) -> Result<(), Refusal> {
    let settings = &push.settings;
    let mut reader = Reader::new(headers, body, settings)?;
    let (mut bytes, mut total) = (Vec::new(), 0u64);
    // Where the whole lines end.
    let mut end = 0;
    loop {
        let before = bytes.len();
        let more = reader.more(&mut bytes).await?;
        total += (bytes.len() - before) as u64;
        if total > settings.stream_bytes_max {
            return Err(Refusal::TooLong { what: "a stream", most: settings.stream_bytes_max });
        }
        match memchr::memrchr(b'\n', &bytes[before..]) {
            Some(at) => end = before + at + 1,
            // The last line of a stream needs no line feed.
            None if !more => end = bytes.len(),
            None => {}
        }
        if bytes.len() - end > settings.line_bytes_max {
            return Err(Refusal::TooLong { what: "a line", most: settings.line_bytes_max as u64 });
        }
        if !more {
            return take(push, source, bytes, tally).await;
        }
        if end > 0 && bytes.len() >= settings.part_bytes {
            let rest = bytes.split_off(end);
            take(push, source, std::mem::replace(&mut bytes, rest), tally).await?;
            end = 0;
        }
    }
}

/// Appends whole lines, and counts them once they are durable.
async fn take(push: &Arc<Push>, source: &Source, bytes: Vec<u8>, tally: &mut Tally) -> Result<(), Refusal> {
    if bytes.is_empty() {
        return Ok(());
    }
    let (bridge, from) = (Arc::clone(push), source.clone());
    let most = push.settings.line_bytes_max;
    let read = move || -> Result<(u64, Vec<(u64, Received)>), Refusal> {
        let mut received = Vec::new();
        let mut count = 0;
        for line in bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|byte| *byte == b'\n') {
            count += 1;
            if line.len() > most {
                return Err(Refusal::TooLong { what: "a line", most: most as u64 });
            }
            if !line.trim_ascii().is_empty() {
                received.push((count, bridge.intake.receive(&from, line)));
            }
        }
        Ok((count, received))
    };
    let (count, received) = tokio::task::spawn_blocking(read).await.map_err(|_| Refusal::Failed)??;
    let (mut entries, mut refused) = (Vec::new(), Vec::new());
    let (mut resources, mut unread) = (0, 0);
    for (line, one) in received {
        entries.extend(one.entries);
        refused.extend(one.refused.into_iter().map(|(_, why)| (tally.lines + line, why)));
        resources += one.resources;
        unread += one.unread;
    }
    push.land_patiently(&source.name, entries).await?;
    tally.lines += count;
    tally.resources += resources;
    tally.unread += unread;
    tally.refused += refused.len();
    for (line, why) in &refused {
        RecordUnreadable { source: &source.name, reason: Quarantined::of(why) }.emit();
        if tally.issues.len() < LISTED_MAX {
            tally.issues.push(Issue::unreadable(why).at(Some(format!("line {line}"))));
        }
    }
    Ok(())
}

pub async fn update(State(push): State<Arc<Push>>, Path((kind, id)): Path<(String, String)>, headers: HeaderMap, body: Body) -> Pushed {
    put(&push, push.source(None)?, &kind, &id, &headers, body).await
}

pub async fn update_from(
    State(push): State<Arc<Push>>,
    Path((name, kind, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Pushed {
    put(&push, push.source(Some(&name))?, &kind, &id, &headers, body).await
}

async fn put(push: &Arc<Push>, source: Source, kind: &str, id: &str, headers: &HeaderMap, body: Body) -> Pushed {
    if form(headers)? != Form::Whole {
        return Err(Refusal::WrongType);
    }
    let bytes = Reader::new(headers, body, &push.settings)?.whole(push.settings.body_bytes_max).await?;
    // What cannot even be peeked at is unreadable, and goes to quarantine below.
    if let Ok(peek) = peek::peek(&bytes)
        && (peek.kind != kind || peek.id.as_deref() != Some(id))
    {
        return Err(Refusal::Invalid("type and id of the body must be those of the address"));
    }
    let received = read(push, &source, bytes).await?;
    push.land(&source.name, received.entries).await?;
    for (_, why) in &received.refused {
        RecordUnreadable { source: &source.name, reason: Quarantined::of(why) }.emit();
    }
    if received.refused.is_empty() {
        return Ok(StatusCode::OK.into_response());
    }
    Ok(fhir(StatusCode::UNPROCESSABLE_ENTITY, &outcome(received.refused.iter().map(|(_, why)| Issue::unreadable(why)).collect())))
}

pub async fn delete(State(push): State<Arc<Push>>, Path((kind, id)): Path<(String, String)>) -> Pushed {
    gone(&push, push.source(None)?, &kind, &id).await
}

pub async fn delete_from(State(push): State<Arc<Push>>, Path((name, kind, id)): Path<(String, String, String)>) -> Pushed {
    gone(&push, push.source(Some(&name))?, &kind, &id).await
}

async fn gone(push: &Arc<Push>, source: Source, kind: &str, id: &str) -> Pushed {
    // FHIR R4, datatype id.
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    if !is_id || kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(Refusal::Invalid("the address must be /fhir/{Type}/{id}"));
    }
    push.land(&source.name, push.intake.delete(&source, kind, id).entries).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
