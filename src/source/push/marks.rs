//! What only the sender knows: that a first pass is complete, or that all consents up to an instant were sent.
//!
//! In: marks of a source. Out: entries in every partition. Never here: a mark that nobody made.

use super::answer::Refusal;
use super::body::Reader;
use super::{Push, Pushed};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use footbridge_core::time::Instant;
use serde::Deserialize;
use std::sync::Arc;

pub async fn baseline(State(push): State<Arc<Push>>, Path(name): Path<String>) -> Pushed {
    let source = push.any_source(&name)?;
    push.land(&source.name, push.intake.baseline(&source)).await?;
    let marked = tokio::task::spawn_blocking(move || (push.marked)(&source)).await.map_err(|_| Refusal::Failed)?;
    marked.map_err(Refusal::NotDurable)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Complete {
    complete_to: String,
}

/// A mark is a line.
const MARK_BYTES_MAX: usize = 1 << 12;

pub async fn watermark(State(push): State<Arc<Push>>, Path(name): Path<String>, headers: HeaderMap, body: Body) -> Pushed {
    const FORM: Refusal = Refusal::Invalid("the body must be {\"completeTo\": \"2026-01-01T00:00:00Z\"}");
    let source = push.any_source(&name)?;
    let bytes = Reader::new(&headers, body, &push.settings)?.whole(MARK_BYTES_MAX).await?;
    let complete: Complete = sonic_rs::from_slice(&bytes).map_err(|_| FORM)?;
    let complete_to = Instant::parse(&complete.complete_to).map_err(|_| FORM)?;
    push.land(&source.name, push.intake.watermark(&source, complete_to)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
