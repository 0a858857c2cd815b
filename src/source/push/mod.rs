//! Push: FHIR, marks and preferences over HTTP into landing.
//!
//! In: requests on the machines' listener. Out: entries for landing, and answers once it has them.
//! Never here: a decision about a person, or a 2xx for what is not durable.

mod answer;
mod body;
mod fhir;
mod marks;
mod preferences;
mod serve;
mod settings;
mod tls;

pub use serve::serve;
pub use settings::{PushSettings, Token};
pub use tls::Tls;

use crate::log::{Entry, Full, Landing, LogError, Retry};
use crate::observe::{self, EntriesLanded, LogFailed};
use crate::source::intake::{Intake, Source};
use answer::Refusal;
use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use footbridge_core::gate::MemberKey;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

pub struct Push {
    pub intake: Arc<Intake>,
    pub landing: Arc<dyn Landing>,
    /// The recipients of the policy in force, with the key under which each knows its members.
    pub recipients: Recipients,
    /// Called once a baseline is durable in landing, off the threads that answer.
    pub marked: Marked,
    pub settings: Arc<PushSettings>,
}

pub type Recipients = Box<dyn Fn() -> Vec<(String, MemberKey)> + Send + Sync>;

pub type Marked = Box<dyn Fn(&Source) -> Result<(), LogError> + Send + Sync>;

/// An answer, or why there is none of the kind that was asked for.
type Pushed = Result<Response, Refusal>;

pub fn routes(push: Arc<Push>) -> Router {
    Router::new()
        .route("/fhir", post(fhir::receive))
        .route("/fhir/{kind}/{id}", put(fhir::update).delete(fhir::delete))
        .route("/sources/{name}/fhir", post(fhir::receive_from))
        .route("/sources/{name}/fhir/{kind}/{id}", put(fhir::update_from).delete(fhir::delete_from))
        .route("/sources/{name}/baseline", post(marks::baseline))
        .route("/sources/{name}/watermark", post(marks::watermark))
        .route("/preferences", post(preferences::receive))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(|| async { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], observe::render()) }))
        .with_state(push)
}

/// Nothing is known under this address.
pub async fn nowhere() -> Response {
    Refusal::Nowhere("nothing is here; resources go to /fhir".into()).into_response()
}

/// How long a full queue is left alone before the next try.
const AGAIN: Duration = Duration::from_millis(5);

impl Push {
    /// One that may push. Without a name: the only one, or the one named `push`.
    fn source(&self, name: Option<&str>) -> Result<Source, Refusal> {
        let may = |source: &&Source| self.settings.sources.as_ref().is_none_or(|names| names.contains(&source.name));
        let mut pushing = self.intake.sources.iter().filter(may);
        let found = match (name, pushing.clone().count()) {
            (None, 1) => pushing.next(),
            (name, _) => pushing.find(|source| source.name == name.unwrap_or("push")),
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.intake.sources.iter().filter(may).map(|source| source.name.as_str()).collect();
            match names.is_empty() {
                true => Refusal::Nowhere("no source of this bridge takes what is pushed".into()),
                false => Refusal::Nowhere(format!("name a source, as in /sources/NAME/fhir; there is {}", names.join(", "))),
            }
        })
    }

    /// Of any kind: marks of a folder's files come from outside, too.
    fn any_source(&self, name: &str) -> Result<Source, Refusal> {
        self.intake.source(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = self.intake.sources.iter().map(|source| source.name.as_str()).collect();
            Refusal::Nowhere(format!("no source has this name; there is {}", names.join(", ")))
        })
    }

    /// Appends, and waits until it is durable.
    async fn land(&self, source: &str, entries: Vec<Entry>) -> Result<(), Refusal> {
        self.land_until(source, entries, Instant::now()).await
    }

    /// As `land`, but waits for room: what came before of the same stream is in landing already.
    async fn land_patiently(&self, source: &str, entries: Vec<Entry>) -> Result<(), Refusal> {
        self.land_until(source, entries, Instant::now() + self.settings.busy_wait).await
    }

    async fn land_until(&self, source: &str, mut entries: Vec<Entry>, until: Instant) -> Result<(), Refusal> {
        if entries.is_empty() {
            return Ok(());
        }
        let count = entries.len() as u64;
        let (tell, answer) = oneshot::channel();
        // If the request is cut off nobody listens any more.
        let mut done: crate::log::Done = Box::new(move |answer| drop(tell.send(answer)));
        while let Err(Full { entries: back, done: undone }) = self.landing.append(entries, done) {
            if Instant::now() >= until {
                return Err(Refusal::Busy);
            }
            tokio::time::sleep(AGAIN).await;
            (entries, done) = (back, undone);
        }
        match answer.await {
            Ok(Ok(_)) => {
                EntriesLanded { source, entries: count }.emit();
                Ok(())
            }
            Ok(Err(error)) => {
                LogFailed { passes: error.retry == Retry::Later, error: &error }.emit();
                Err(Refusal::NotDurable(error))
            }
            Err(_) => Err(Refusal::Stopping),
        }
    }
}
