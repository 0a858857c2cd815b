//! Answers: what the sender hears, as FHIR says it (R4, OperationOutcome).
//!
//! In: what became of a request. Out: responses. Never here: a word of what was sent.

use crate::log::{LogError, Retry};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use footbridge_core::fhir::Unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub struct Outcome {
    #[serde(rename = "resourceType")]
    resource_type: &'static str,
    pub issue: Vec<Issue>,
}

#[derive(Serialize)]
pub struct Issue {
    severity: &'static str,
    /// Of the value set issue-type.
    code: &'static str,
    diagnostics: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expression: Vec<String>,
}

impl Issue {
    pub fn error(code: &'static str, diagnostics: impl Into<String>) -> Issue {
        Issue { severity: "error", code, diagnostics: diagnostics.into(), expression: Vec::new() }
    }

    pub fn told(diagnostics: String) -> Issue {
        Issue { severity: "information", code: "informational", diagnostics, expression: Vec::new() }
    }

    /// `at`: a line, an entry of a Bundle, an element.
    pub fn at(mut self, at: Option<String>) -> Issue {
        self.expression.extend(at);
        self
    }

    pub fn unreadable(why: &Unreadable) -> Issue {
        let code = match why {
            Unreadable::TooLong { .. } => "too-long",
            Unreadable::Element { .. } => "invalid",
            Unreadable::Syntax { .. }
            | Unreadable::NotUtf8 { .. }
            | Unreadable::TooDeep
            | Unreadable::Empty
            | Unreadable::Duplicate { .. } => "structure",
        };
        Issue::error(code, format!("{why}; it is in quarantine"))
    }
}

pub fn outcome(issue: Vec<Issue>) -> Outcome {
    Outcome { resource_type: "OperationOutcome", issue }
}

pub fn fhir<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match sonic_rs::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/fhir+json")], bytes).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Why a request was not done.
#[derive(Debug)]
pub enum Refusal {
    Token,
    WrongType,
    WrongEncoding,
    TooLong {
        what: &'static str,
        most: u64,
    },
    TooMany {
        what: &'static str,
        most: usize,
    },
    /// The body ended before its end, or is no gzip.
    Cut,
    Slow,
    Invalid(&'static str),
    /// The address names nothing.
    Nowhere(String),
    Busy,
    NotDurable(LogError),
    Stopping,
    Failed,
}

impl Refusal {
    fn parts(&self) -> (StatusCode, &'static str, String) {
        let (status, code, what) = match self {
            Refusal::Token => (StatusCode::UNAUTHORIZED, "login", "a bearer token is needed, the one of this bridge"),
            Refusal::WrongType => {
                let what = "the body must be application/fhir+json or application/fhir+ndjson, and its content-type must say so";
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", what)
            }
            Refusal::WrongEncoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", "the only content-encoding read here is gzip"),
            Refusal::TooLong { what, most } => {
                return (StatusCode::PAYLOAD_TOO_LARGE, "too-long", format!("{what} of more than {most} bytes; send it in parts"));
            }
            Refusal::TooMany { what, most } => {
                return (StatusCode::PAYLOAD_TOO_LARGE, "too-long", format!("more than {most} {what}; send them in parts"));
            }
            Refusal::Cut => (StatusCode::BAD_REQUEST, "incomplete", "the body did not come whole"),
            Refusal::Slow => (StatusCode::REQUEST_TIMEOUT, "timeout", "the body came too slowly"),
            Refusal::Invalid(what) => (StatusCode::BAD_REQUEST, "invalid", *what),
            Refusal::Nowhere(what) => return (StatusCode::NOT_FOUND, "not-found", what.clone()),
            Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "throttled", "the bridge is busy; send it again in a moment"),
            Refusal::NotDurable(error) => return (StatusCode::SERVICE_UNAVAILABLE, "transient", error.to_string()),
            Refusal::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "transient", "the bridge is stopping; send it again"),
            Refusal::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "exception", "the request could not be worked off"),
        };
        (status, code, what.to_owned())
    }

    /// After these the rest of the body is not read: the connection ends.
    const fn ends_connection(&self) -> bool {
        matches!(self, Refusal::TooLong { .. } | Refusal::Cut | Refusal::Slow)
    }

    /// `before`: what stands already, for a stream that broke off.
    pub fn respond(self, before: Vec<Issue>) -> Response {
        let (status, code, what) = self.parts();
        let mut issues = vec![Issue::error(code, what)];
        issues.extend(before);
        let mut response = fhir(status, &outcome(issues));
        self.mark(response.headers_mut());
        response
    }

    fn mark(&self, headers: &mut HeaderMap) {
        let after = match self {
            Refusal::Busy => Some("1"),
            Refusal::NotDurable(LogError { retry: Retry::Later, .. }) | Refusal::Stopping => Some("5"),
            _ => None,
        };
        if let Some(after) = after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(after));
        }
        if matches!(self, Refusal::Token) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.ends_connection() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.respond(Vec::new())
    }
}
