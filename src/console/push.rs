//! Push: FHIR over HTTP into landing.
//!
//! `POST /fhir` takes a Bundle, a resource, or NDJSON; `PUT` and `DELETE /fhir/{Type}/{id}` one resource;
//! `POST /sources/{name}/baseline` and `/watermark` what only the sender knows. Never here: a 2xx before landing has it.

use crate::log::{Entry, Full, Landing, LogError, Retry};
use crate::pipeline::{Instance, PUSH};
use crate::source::intake::{Received, Source};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use footbridge_core::fhir::{Unreadable, peek};
use footbridge_core::time::Instant;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A Bundle of 100,000 small entries fits.
pub const BODY_BYTES_MAX: usize = 64 << 20;

pub fn routes(instance: Arc<Instance>) -> Router {
    Router::new()
        .route("/fhir", post(receive))
        .route("/fhir/{kind}/{id}", put(update).delete(delete))
        .route("/sources/{name}/baseline", post(baseline))
        .route("/sources/{name}/watermark", post(watermark))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(instance)
}

/// What the sender hears, as FHIR says it (R4, OperationOutcome).
#[derive(Serialize)]
struct Outcome {
    #[serde(rename = "resourceType")]
    resource_type: &'static str,
    issue: Vec<Issue>,
}

#[derive(Serialize)]
struct Issue {
    severity: &'static str,
    code: &'static str,
    diagnostics: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expression: Vec<String>,
}

fn outcome(status: StatusCode, issue: Vec<Issue>) -> Response {
    let outcome = Outcome { resource_type: "OperationOutcome", issue };
    match sonic_rs::to_vec(&outcome) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/fhir+json")], bytes).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn error(status: StatusCode, code: &'static str, diagnostics: impl Into<String>) -> Response {
    outcome(status, vec![Issue { severity: "error", code, diagnostics: diagnostics.into(), expression: Vec::new() }])
}

fn unreadable(entry: Option<usize>, why: &Unreadable) -> Issue {
    let expression = entry.map(|entry| format!("Bundle.entry[{}]", entry - 1)).into_iter().collect();
    Issue { severity: "error", code: "structure", diagnostics: format!("{why}; it is in quarantine"), expression }
}

/// The one source that pushes without a name.
fn source(instance: &Instance) -> &Source {
    &instance.intake.sources[0]
}

enum Form {
    Whole,
    Lines,
}

/// `None`: nothing that is read here.
fn form(headers: &HeaderMap) -> Option<Form> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "application/fhir+json" | "application/json" => Some(Form::Whole),
        "application/fhir+ndjson" | "application/x-ndjson" | "application/ndjson" => Some(Form::Lines),
        _ => None,
    }
}

async fn receive(
    State(instance): State<Arc<Instance>>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let Some(form) = form(&headers) else { return wrong_type() };
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return not_whole(&rejection),
    };
    let bridge = Arc::clone(&instance);
    let read = tokio::task::spawn_blocking(move || match form {
        Form::Whole => vec![(None, bridge.intake.receive(source(&bridge), &body))],
        Form::Lines => {
            let lines = body.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
            lines.map(|(number, line)| (Some(number + 1), bridge.intake.receive(source(&bridge), line))).collect()
        }
    });
    let Ok(received) = read.await else { return error(StatusCode::INTERNAL_SERVER_ERROR, "exception", "the body could not be worked off") };
    let one = received.iter().map(|(_, received)| received.resources).sum::<u64>() == 1;
    let mut issues: Vec<Issue> = Vec::new();
    let (mut resources, mut unread, mut entries) = (0, 0, Vec::new());
    for (line, Received { entries: mine, resources: count, unread: without, refused, .. }) in received {
        (resources, unread) = (resources + count, unread + without);
        entries.extend(mine);
        issues.extend(refused.iter().map(|(entry, why)| {
            Issue {
                expression: line
                    .map(|line| format!("line {line}"))
                    .or_else(|| entry.map(|entry| format!("Bundle.entry[{}]", entry - 1)))
                    .into_iter()
                    .collect(),
                ..unreadable(*entry, why)
            }
        }));
    }
    let refused = issues.len();
    if let Err(response) = land(&instance, entries).await {
        return response;
    }
    let status = if one && refused == 1 { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let told = format!("{resources} resources, {unread} of no interest, {refused} in quarantine");
    issues.insert(0, Issue { severity: "information", code: "informational", diagnostics: told, expression: Vec::new() });
    outcome(status, issues)
}

fn wrong_type() -> Response {
    let what = "the body must be application/fhir+json or application/fhir+ndjson, and its content-type must say so";
    error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", what)
}

fn not_whole(rejection: &axum::extract::rejection::BytesRejection) -> Response {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let what = format!("more than {BODY_BYTES_MAX} bytes; send it in parts");
            error(StatusCode::PAYLOAD_TOO_LARGE, "too-long", what)
        }
        status => error(status, "incomplete", "the body did not come whole; nothing of it was taken"),
    }
}

async fn update(
    State(instance): State<Arc<Instance>>,
    Path((kind, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    if !matches!(form(&headers), Some(Form::Whole)) {
        return wrong_type();
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return not_whole(&rejection),
    };
    // A resource that says to be another than its address is refused: nothing of it is taken.
    if let Ok(peek) = peek::peek(&body)
        && (peek.kind != kind || peek.id.as_deref().is_some_and(|own| own != id))
    {
        return error(StatusCode::BAD_REQUEST, "invalid", "type and id of the body must be those of the address");
    }
    let received = instance.intake.receive(source(&instance), &body);
    let issues: Vec<Issue> = received.refused.iter().map(|(entry, why)| unreadable(*entry, why)).collect();
    if let Err(response) = land(&instance, received.entries).await {
        return response;
    }
    match issues.is_empty() {
        true => StatusCode::OK.into_response(),
        false => outcome(StatusCode::UNPROCESSABLE_ENTITY, issues),
    }
}

async fn delete(State(instance): State<Arc<Instance>>, Path((kind, id)): Path<(String, String)>) -> Response {
    let received = instance.intake.delete(source(&instance), &kind, &id);
    match land(&instance, received.entries).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(response) => response,
    }
}

async fn baseline(State(instance): State<Arc<Instance>>, Path(name): Path<String>) -> Response {
    if instance.intake.source(&name).is_none() {
        return no_source(&name);
    }
    let marked = tokio::task::spawn_blocking(move || match instance.intake.source(&name) {
        Some(source) => instance.mark_baseline(source),
        None => Ok(()),
    });
    match marked.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(failed)) => not_durable(&failed),
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "exception", "the baseline could not be marked"),
    }
}

fn no_source(name: &str) -> Response {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(40).collect();
    error(StatusCode::NOT_FOUND, "not-found", format!("no source is named `{name}`; there is `{PUSH}`"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Complete {
    complete_to: String,
}

async fn watermark(State(instance): State<Arc<Instance>>, Path(name): Path<String>, body: Bytes) -> Response {
    let Some(source) = instance.intake.source(&name) else { return no_source(&name) };
    let complete = sonic_rs::from_slice::<Complete>(&body).ok().and_then(|complete| Instant::parse(&complete.complete_to).ok());
    let Some(complete_to) = complete else {
        return error(StatusCode::BAD_REQUEST, "invalid", "the body must be {\"completeTo\": \"2026-01-01T00:00:00Z\"}");
    };
    match land(&instance, instance.intake.watermark(source, complete_to)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(response) => response,
    }
}

/// Appends, and waits until it is durable.
async fn land(instance: &Instance, entries: Vec<Entry>) -> Result<(), Response> {
    if entries.is_empty() {
        return Ok(());
    }
    let (told, answer) = oneshot::channel();
    // The receiver waits below; if the sender of the request is gone, nobody listens.
    if let Err(Full { .. }) = instance.log.append(entries, Box::new(move |done| drop(told.send(done)))) {
        let busy = error(StatusCode::TOO_MANY_REQUESTS, "throttled", "the bridge is busy; send it again in a moment");
        return Err(([(header::RETRY_AFTER, "1")], busy).into_response());
    }
    match answer.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(failed)) => Err(not_durable(&failed)),
        Err(_) => Err(error(StatusCode::SERVICE_UNAVAILABLE, "transient", "the bridge is stopping")),
    }
}

fn not_durable(failed: &LogError) -> Response {
    let response = error(StatusCode::SERVICE_UNAVAILABLE, "transient", failed.to_string());
    match failed.retry {
        Retry::Later => ([(header::RETRY_AFTER, "5")], response).into_response(),
        Retry::Never => response,
    }
}

/// Nothing is known under this address.
pub async fn nowhere() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "not-found", "nothing is here; resources go to /fhir")
}
