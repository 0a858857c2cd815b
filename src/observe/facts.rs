//! The facts: one struct each, with every field that its line or its metric shows.
//!
//! In: what pipeline and sources saw. Out: `emit` writes the line and counts the metric.
//! Never here: a field that could hold a person, an id or content. Names are those of the configuration.

use super::metrics::{Metric, add, set, time};
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

/// One commit: everything that came from the records of some partitions is durable.
pub struct Committed {
    pub records: u64,
    pub took: Duration,
}

impl Committed {
    pub fn emit(self) {
        static RECORDS: Metric = Metric { name: "footbridge_records_applied_total", help: "Landing records committed.", labels: &[] };
        static TIME: Metric = Metric { name: "footbridge_commit_seconds", help: "Time of a commit.", labels: &[] };
        add(&RECORDS, &[], self.records);
        time(&TIME, &[], self.took);
        debug!(records = self.records, seconds = self.took.as_secs_f64(), "committed");
    }
}

/// Events of one commit. `status`: entered, updated or exited.
pub struct EventsSent<'a> {
    pub audience: &'a str,
    pub status: &'static str,
    pub events: u64,
}

impl EventsSent<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_events_total", help: "Events committed.", labels: &["audience", "status"] };
        add(&COUNT, &[self.audience, self.status], self.events);
        debug!(audience = self.audience, status = self.status, events = self.events, "events sent");
    }
}

static HOLD: Metric = Metric { name: "footbridge_hold", help: "1 while a partition is behind and entries wait.", labels: &["partition"] };

/// A partition is behind: exits go out, entries and updates wait.
pub struct HoldBegun {
    pub partition: u16,
}

impl HoldBegun {
    pub fn emit(self) {
        set(&HOLD, &[&self.partition.to_string()], 1);
        info!(partition = self.partition, "hold begun: the partition is behind");
    }
}

pub struct HoldEnded {
    pub partition: u16,
}

impl HoldEnded {
    pub fn emit(self) {
        set(&HOLD, &[&self.partition.to_string()], 0);
        info!(partition = self.partition, "hold ended");
    }
}

static BRAKE: Metric = Metric { name: "footbridge_brake", help: "Moves of an audience that wait for an operator.", labels: &["audience"] };

/// A cut-over would move more of an audience than the policy allows without being asked.
pub struct BrakeHeld<'a> {
    pub audience: &'a str,
    pub moves: u64,
}

impl BrakeHeld<'_> {
    pub fn emit(self) {
        set(&BRAKE, &[self.audience], i64::try_from(self.moves).unwrap_or(i64::MAX));
        warn!(audience = self.audience, moves = self.moves, "the brake holds: look at the plan, then `footbridge proceed`");
    }
}

pub struct BrakeReleased<'a> {
    pub audience: &'a str,
}

impl BrakeReleased<'_> {
    pub fn emit(self) {
        set(&BRAKE, &[self.audience], 0);
        info!(audience = self.audience, "the brake is released");
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
