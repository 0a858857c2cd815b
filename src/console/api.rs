//! Routes for commands and probes beside `/fhir`.
//!
//! `GET /status`; `POST /erase`; `POST /definitions/proceed`; `POST /definitions/plan`, then `GET` with its generation; `GET /audiences/{name}/events?from=OFFSET&max=N&wait=SECONDS` and `GET /quarantine?from=…&max=…`: one JSON object
//! a line, the offset to go on from in the header `footbridge-next`. Never here: a record's own bytes without being asked for one.

use crate::log::{LogError, OutTopic, Outputs, Stored};
use crate::observe::{PersonErased, RecordRetried};
use crate::pipeline::{AudienceMoves, Instance, Report, read_texts};
use crate::source::intake::Received;
use crate::source::landing;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use footbridge_core::time::Instant;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

pub fn routes(instance: Arc<Instance>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/audiences/{name}/events", get(events))
        .route("/audiences/{name}/stop", post(stop))
        .route("/audiences/{name}/resume", post(resume))
        .route("/quarantine", get(quarantine))
        .route("/quarantine/item", get(item))
        .route("/quarantine/retry", post(retry))
        .route("/readyz", get(ready))
        .route("/erase", post(erase))
        .route("/definitions/proceed", post(proceed))
        .route("/definitions/plan", get(planned).post(plan).layer(DefaultBodyLimit::max(MAPPINGS_BYTES_MAX)))
        .with_state(instance)
}

#[derive(Serialize)]
struct Status {
    /// Why the bridge stands still; empty while it works.
    troubles: Vec<String>,
    /// Whether all that landing has was worked off.
    worked_off: bool,
    /// What nobody proves.
    assumed: Vec<String>,
    /// Sources whose baseline is waited for.
    unmarked: Vec<String>,
    audiences: Vec<Audience>,
    quarantined: u64,
    /// Of several instances this one gives the orders: `proceed` and `plan` are asked of it.
    leads: bool,
    definitions: Report,
}

#[derive(Serialize)]
struct Audience {
    name: String,
    title: String,
    recipient: String,
    /// Events since the folder was made.
    events: u64,
    /// An order has stopped it: nobody is in it.
    stopped: bool,
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: u64,
    #[serde(default = "most")]
    max: usize,
    /// Seconds to wait for the first.
    #[serde(default)]
    wait: u64,
}

const fn most() -> usize {
    1000
}

/// The longest that a request may wait for news.
const WAIT_MAX: u64 = 30;

#[derive(Serialize)]
struct Line<'a> {
    offset: u64,
    stamp: String,
    key: String,
    headers: std::collections::BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<sonic_rs::Value>,
}

async fn status(State(instance): State<Arc<Instance>>) -> Response {
    blocking(move || {
        let log = &instance.log;
        let next = |topic: &OutTopic| log.end_of(topic);
        let orders = instance.bridge.board.stopped();
        let mut audiences = Vec::new();
        for definition in &instance.bridge.library.in_force().definitions.catalogue.audiences {
            let events = next(&OutTopic::Audience(definition.name.as_str().into()))?;
            let (name, title, recipient) = (definition.name.clone(), definition.title.clone(), definition.recipient.clone());
            let stopped = orders.contains(&name);
            audiences.push(Audience { name, title, recipient, events, stopped });
        }
        let status = Status {
            troubles: instance.troubles(),
            worked_off: instance.is_worked_off()?,
            assumed: instance.assumed(),
            unmarked: instance.unmarked()?.into_iter().map(str::to_owned).collect(),
            audiences,
            quarantined: next(&OutTopic::Quarantine)?,
            leads: instance.changing.leads(),
            definitions: instance.changing.report(&instance.bridge.board),
        };
        Ok(json(&status))
    })
    .await
}

/// 503 with the reasons while anything keeps the bridge from telling what is true.
async fn ready(State(instance): State<Arc<Instance>>) -> Response {
    blocking(move || {
        let unmarked = instance.unmarked()?;
        let mut reasons = instance.troubles();
        reasons
            .extend(unmarked.iter().map(|source| format!("the baseline of source `{source}` is not marked: nothing enters an audience")));
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        #[derive(Serialize)]
        struct Ready {
            ready: bool,
            reasons: Vec<String>,
            assumed: Vec<String>,
        }
        let assumed = instance.assumed();
        Ok((status, json(&Ready { ready: reasons.is_empty(), reasons, assumed })).into_response())
    })
    .await
}

async fn events(State(instance): State<Arc<Instance>>, Path(name): Path<String>, Query(from): Query<From>) -> Response {
    let content = instance.bridge.library.in_force();
    if content.definitions.catalogue.audience(&name).is_none() {
        let names: Vec<&str> = content.definitions.catalogue.audiences.iter().map(|audience| audience.name.as_str()).collect();
        return (StatusCode::NOT_FOUND, format!("no audience is named `{name}`; there are {}\n", names.join(", "))).into_response();
    }
    blocking(move || {
        let topic = OutTopic::Audience(name.into());
        let wait = Duration::from_secs(from.wait.min(WAIT_MAX));
        instance.log.follow(&topic, from.from, from.max.min(10_000), wait).map(|outputs| lines(&outputs, true))
    })
    .await
}

async fn quarantine(State(instance): State<Arc<Instance>>, Query(from): Query<From>) -> Response {
    blocking(move || {
        let outputs = instance.log.outputs(&OutTopic::Quarantine, from.from, from.max.min(10_000))?;
        Ok(lines(&outputs, false))
    })
    .await
}

async fn stop(State(instance): State<Arc<Instance>>, Path(name): Path<String>) -> Response {
    order(instance, name, true).await
}

async fn resume(State(instance): State<Arc<Instance>>, Path(name): Path<String>) -> Response {
    order(instance, name, false).await
}

/// A stop order, or its end.
async fn order(instance: Arc<Instance>, name: String, stopped: bool) -> Response {
    blocking(move || {
        let content = instance.bridge.library.in_force();
        // One that is gone may still be lifted.
        if stopped && content.definitions.catalogue.audience(&name).is_none() {
            return Ok((StatusCode::NOT_FOUND, format!("no audience is named `{name}`\n")).into_response());
        }
        instance.stop_audience(&name, stopped)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erase {
    /// A source in whose namespace the patient is.
    source: String,
    /// The id, with or without `Patient/` before it.
    patient: String,
}

/// Erases a person: durable in landing when it is answered. The id stands in the body, where no address shows it.
async fn erase(State(instance): State<Arc<Instance>>, body: Bytes) -> Response {
    blocking(move || {
        let Ok(Erase { source, patient }) = sonic_rs::from_slice(&body) else {
            return Ok((StatusCode::BAD_REQUEST, "the body must be {\"source\": NAME, \"patient\": ID}\n").into_response());
        };
        let Some(known) = instance.intake.source(&source) else {
            let names: Vec<&str> = instance.intake.sources.iter().map(|source| source.name.as_str()).collect();
            return Ok((StatusCode::NOT_FOUND, format!("no source has this name; there is {}\n", names.join(", "))).into_response());
        };
        let id = patient.strip_prefix("Patient/").unwrap_or(&patient);
        if !footbridge_core::fhir::reference::is_id(id) {
            return Ok((StatusCode::BAD_REQUEST, "this is no id of a Patient\n").into_response());
        }
        let person = instance.intake.keys.person(&known.namespace, id);
        instance.append(vec![landing::erase(instance.intake.partitions, person, &source)])?;
        PersonErased { source: &source }.emit();
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// Lets definitions that wait for it pass the brake.
async fn proceed(State(instance): State<Arc<Instance>>) -> Response {
    blocking(move || {
        Ok(match instance.changing.proceed()? {
            true => StatusCode::NO_CONTENT.into_response(),
            false => (StatusCode::CONFLICT, "nothing waits for it\n").into_response(),
        })
    })
    .await
}

/// The longest body that holds mappings, as texts by file.
const MAPPINGS_BYTES_MAX: usize = 64 << 20;

#[derive(Serialize, Deserialize)]
pub struct Planned {
    pub generation: u64,
}

/// Prepares mappings, given as `[[FILE, TEXT], ...]`, only to know what they would move.
async fn plan(State(instance): State<Arc<Instance>>, body: Bytes) -> Response {
    blocking(move || {
        let Ok(texts) = sonic_rs::from_slice::<Vec<(String, String)>>(&body) else {
            return Ok((StatusCode::BAD_REQUEST, "the body is no list of files and their texts\n").into_response());
        };
        let Some(mappings) = read_texts(&texts) else {
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, "the mappings are not right: footbridge check says why\n").into_response());
        };
        Ok(match instance.changing.plan(mappings)? {
            Some(generation) => json(&Planned { generation }),
            None => (StatusCode::CONFLICT, "other definitions are on their way; footbridge status says how far\n").into_response(),
        })
    })
    .await
}

#[derive(Serialize)]
struct Plan {
    done: bool,
    audiences: Vec<AudienceMoves>,
}

async fn planned(State(instance): State<Arc<Instance>>, Query(Planned { generation }): Query<Planned>) -> Response {
    blocking(move || {
        let audiences = instance.changing.planned(generation);
        if audiences.is_none() && instance.changing.is_settled() {
            return Ok((StatusCode::NOT_FOUND, "nothing of this plan is known any more; make it again\n").into_response());
        }
        Ok(json(&Plan { done: audiences.is_some(), audiences: audiences.unwrap_or_default() }))
    })
    .await
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

/// The whole of one record in quarantine, for those who may see it.
async fn item(State(instance): State<Arc<Instance>>, Query(Key { key }): Query<Key>) -> Response {
    blocking(move || {
        let found = instance.log.newest(&OutTopic::Quarantine, key.as_bytes())?;
        Ok(match found.and_then(|stored| stored.value) {
            Some(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
            None => (StatusCode::NOT_FOUND, "nothing in quarantine has this key\n").into_response(),
        })
    })
    .await
}

#[derive(Serialize)]
struct Retried {
    resources: u64,
    /// Of types that nothing reads.
    unread: u64,
    /// Still unreadable: in quarantine again, under their new position.
    refused: usize,
}

/// Sends one record of quarantine into landing again, after the mappings, the configuration or the program were mended.
async fn retry(State(instance): State<Arc<Instance>>, Query(Key { key }): Query<Key>) -> Response {
    blocking(move || {
        let found = instance.log.newest(&OutTopic::Quarantine, key.as_bytes())?;
        let Some(Stored { headers, value: Some(value), .. }) = found else {
            return Ok((StatusCode::NOT_FOUND, "nothing in quarantine has this key\n").into_response());
        };
        let header = |name: &str| headers.iter().find(|(named, _)| named == name).map_or("", |(_, text)| text.as_str());
        let Some(source) = instance.intake.source(header("source")) else {
            let why = format!("its source `{}` is not in the configuration\n", header("source"));
            return Ok((StatusCode::CONFLICT, why).into_response());
        };
        let Ok(stamp) = Instant::parse(header("stamp")) else {
            return Ok((StatusCode::CONFLICT, "it does not say when it was taken\n").into_response());
        };
        match instance.intake.retry(source, &key, stamp, &value) {
            Ok(received) => {
                let Received { resources, unread, refused, entries, .. } = received;
                instance.append(entries)?;
                RecordRetried { source: &source.name }.emit();
                Ok(json(&Retried { resources, unread, refused: refused.len() }))
            }
            Err(why) => Ok((StatusCode::CONFLICT, format!("{why}\n")).into_response()),
        }
    })
    .await
}

/// Off the threads that answer requests: the store may have to read its disk.
async fn blocking(work: impl FnOnce() -> Result<Response, LogError> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the request could not be worked off\n").into_response(),
    }
}

fn json<T: Serialize>(value: &T) -> Response {
    match sonic_rs::to_vec(value) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn lines(outputs: &Outputs, with_data: bool) -> Response {
    let mut body = Vec::new();
    for Stored { offset, stamp, key, headers, value } in &outputs.list {
        let line = Line {
            offset: *offset,
            stamp: stamp.to_string(),
            key: String::from_utf8_lossy(key).into_owned(),
            headers: headers.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect(),
            data: value.as_ref().filter(|_| with_data).and_then(|bytes| sonic_rs::from_slice(bytes).ok()),
        };
        match sonic_rs::to_vec(&line) {
            Ok(bytes) => body.extend(bytes),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
        body.push(b'\n');
    }
    ([("content-type", "application/x-ndjson".to_owned()), ("footbridge-next", outputs.next.to_string())], body).into_response()
}
