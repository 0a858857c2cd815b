//! The facts: one struct each, with every field that its line or its metric shows.
//!
//! In: what sources saw. Out: `emit` writes the line and counts the metric.
//! Never here: a field that could hold a person, an id or content. Names are those of the configuration.

use super::metrics::{Metric, add, time};
use std::fmt;
use std::time::Duration;
use tracing::{debug, error, info, warn};

/// A request was answered. `route` is the pattern of the address, never the address.
pub struct RequestAnswered<'a> {
    pub route: &'a str,
    pub status: u16,
    pub took: Duration,
}

impl RequestAnswered<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_http_requests_total", help: "Requests answered.", labels: &["route", "status"] };
        static TIME: Metric = Metric { name: "footbridge_http_request_seconds", help: "Time to answer a request.", labels: &["route"] };
        let RequestAnswered { route, status, took } = self;
        add(&COUNT, &[route, &status.to_string()], 1);
        time(&TIME, &[route], took);
        debug!(route, status, seconds = took.as_secs_f64(), "request answered");
    }
}

/// A peer did not get through the TLS handshake.
pub struct HandshakeFailed {
    /// It took too long; else it was no TLS, or the two had nothing in common.
    pub slow: bool,
}

impl HandshakeFailed {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_tls_failures_total", help: "TLS handshakes that failed.", labels: &["reason"] };
        let reason = if self.slow { "slow" } else { "refused" };
        add(&COUNT, &[reason], 1);
        debug!(reason, "handshake failed");
    }
}

/// Entries of a source are durable in landing.
pub struct EntriesLanded<'a> {
    pub source: &'a str,
    pub entries: u64,
}

impl EntriesLanded<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_landed_total", help: "Entries durable in landing.", labels: &["source"] };
        add(&COUNT, &[self.source], self.entries);
        debug!(source = self.source, entries = self.entries, "entries landed");
    }
}

/// A source has read a file to its end. Its name is not told: it may hold a patient's.
pub struct FileTaken<'a> {
    pub source: &'a str,
    /// The shelf that it went to.
    pub outcome: &'static str,
    pub resources: u64,
    pub quarantined: u64,
    /// Records that could not be taken at all.
    pub lost: u64,
}

impl FileTaken<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_files_total", help: "Files read to their end.", labels: &["source", "outcome"] };
        let FileTaken { source, outcome, resources, quarantined, lost } = self;
        add(&COUNT, &[source, outcome], 1);
        info!(source, outcome, resources, quarantined, lost, "file taken");
    }
}

/// Why something is in quarantine: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantined {
    /// It is no JSON, no UTF-8, too deep or too long.
    Form,
    /// An element has not the form that FHIR gives it.
    Element,
}

impl Quarantined {
    pub const fn of(why: &footbridge_core::fhir::Unreadable) -> Quarantined {
        use footbridge_core::fhir::Unreadable;
        match why {
            Unreadable::Syntax { .. }
            | Unreadable::NotUtf8 { .. }
            | Unreadable::TooDeep
            | Unreadable::TooLong { .. }
            | Unreadable::Empty => Quarantined::Form,
            Unreadable::Duplicate { .. } | Unreadable::Element { .. } => Quarantined::Element,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Quarantined::Form => "form",
            Quarantined::Element => "element",
        }
    }
}

/// What could not be read is in quarantine, or on its way there.
pub struct RecordQuarantined<'a> {
    pub source: &'a str,
    pub reason: Quarantined,
}

impl RecordQuarantined<'_> {
    pub fn emit(self) {
        static COUNT: Metric =
            Metric { name: "footbridge_quarantined_total", help: "Records that could not be read.", labels: &["source", "reason"] };
        add(&COUNT, &[self.source, self.reason.name()], 1);
        warn!(source = self.source, reason = self.reason.name(), "record quarantined");
    }
}

/// A record of quarantine was sent into landing again.
pub struct RecordRetried<'a> {
    pub source: &'a str,
}

impl RecordRetried<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_retried_total", help: "Records of quarantine sent again.", labels: &["source"] };
        add(&COUNT, &[self.source], 1);
        info!(source = self.source, "record retried");
    }
}

/// The log could not do what was asked.
pub struct LogFailed<'a> {
    /// Whether the same may go well later.
    pub passes: bool,
    pub error: &'a dyn fmt::Display,
}

impl LogFailed<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_log_errors_total", help: "Failures of the log.", labels: &["retry"] };
        let retry = if self.passes { "later" } else { "never" };
        add(&COUNT, &[retry], 1);
        error!(retry, "{}", self.error);
    }
}
