//! The facts: one struct each, with every field that its line or its metric shows.
//!
//! In: what sources saw. Out: `emit` writes the line and counts the metric.
//! Never here: a field that could hold a person, an id or content. Names are those of the configuration.

use super::metrics::{Metric, add, set, shift, time};
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

/// The files of the certificate hold another one.
pub struct CertificateChanged {
    /// Why it cannot be used: the one before stays.
    pub why_not: Option<String>,
}

impl CertificateChanged {
    pub fn emit(self) {
        static COUNT: Metric =
            Metric { name: "footbridge_certificates_total", help: "Changes of the listener's certificate.", labels: &["outcome"] };
        match self.why_not {
            None => {
                add(&COUNT, &["used"], 1);
                info!("certificate renewed");
            }
            Some(why) => {
                add(&COUNT, &["refused"], 1);
                error!("the renewed certificate cannot be used, and the one before stays: {why}");
            }
        }
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

    pub const fn name(self) -> &'static str {
        match self {
            Quarantined::Form => "form",
            Quarantined::Element => "element",
        }
    }
}

/// A source could not read what it received: it is on its way to quarantine.
pub struct RecordUnreadable<'a> {
    pub source: &'a str,
    pub reason: Quarantined,
}

impl RecordUnreadable<'_> {
    pub fn emit(self) {
        static COUNT: Metric =
            Metric { name: "footbridge_unreadable_total", help: "Records that a source could not read.", labels: &["source", "reason"] };
        add(&COUNT, &[self.source, self.reason.name()], 1);
        debug!(source = self.source, reason = self.reason.name(), "unreadable");
    }
}

/// What could not be read is in quarantine, by its commit.
pub struct RecordsQuarantined<'a> {
    pub source: &'a str,
    /// The name of a [`Quarantined`].
    pub reason: &'a str,
    pub records: u64,
}

impl RecordsQuarantined<'_> {
    pub fn emit(self) {
        static COUNT: Metric =
            Metric { name: "footbridge_quarantined_total", help: "Records put into quarantine.", labels: &["source", "reason"] };
        add(&COUNT, &[self.source, self.reason], self.records);
        warn!(source = self.source, reason = self.reason, records = self.records, "records quarantined");
    }
}

/// A worker has committed: all that follows from these records is durable, in one act.
pub struct Committed {
    pub records: u64,
    /// From handing it over until it was durable.
    pub took: Duration,
}

impl Committed {
    pub fn emit(self) {
        static RECORDS: Metric = Metric { name: "footbridge_records_total", help: "Landing and owners records worked off.", labels: &[] };
        static TIME: Metric = Metric { name: "footbridge_commit_seconds", help: "Time until a commit is durable.", labels: &[] };
        add(&RECORDS, &[], self.records);
        time(&TIME, &[], self.took);
        debug!(records = self.records, seconds = self.took.as_secs_f64(), "committed");
    }
}

/// Events are durable on their audience's topic.
pub struct EventsTold<'a> {
    pub audience: &'a str,
    /// The CloudEvents type.
    pub kind: &'a str,
    pub events: u64,
}

impl EventsTold<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_events_total", help: "Events told.", labels: &["audience", "type"] };
        add(&COUNT, &[self.audience, self.kind], self.events);
        debug!(audience = self.audience, kind = self.kind, events = self.events, "events told");
    }
}

/// A partition is behind and holds back what enters, or it has caught up.
pub struct HoldChanged<'a> {
    pub place: &'a dyn fmt::Display,
    pub began: bool,
}

impl HoldChanged<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_holds_total", help: "Holds of partitions that were behind.", labels: &["what"] };
        static NOW: Metric = Metric { name: "footbridge_partitions_held", help: "Partitions that hold back what enters.", labels: &[] };
        let (what, by) = if self.began { ("begun", 1) } else { ("ended", -1) };
        add(&COUNT, &[what], 1);
        shift(&NOW, &[], by);
        info!(place = %self.place, what, "hold");
    }
}

/// How a worker stands after a commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Members with any state.
    pub members: u64,
    /// Of them in memory.
    pub in_memory: u64,
    /// Timers that are reached and not worked off, and members to be compared again.
    pub due: u64,
    /// Looks at a member since the worker began, and those of them that had to read the disk.
    pub looks: u64,
    pub loads: u64,
}

impl Standing {
    pub const fn plus(self, other: Standing) -> Standing {
        Standing {
            members: self.members + other.members,
            in_memory: self.in_memory + other.in_memory,
            due: self.due + other.due,
            looks: self.looks + other.looks,
            loads: self.loads + other.loads,
        }
    }

    /// `before`: as it stood when it was told last; another worker's part is not touched.
    pub fn emit(self, before: Standing) {
        static MEMBERS: Metric = Metric { name: "footbridge_members", help: "Members with any state.", labels: &[] };
        static IN_MEMORY: Metric = Metric { name: "footbridge_members_in_memory", help: "Members kept in memory.", labels: &[] };
        static DUE: Metric =
            Metric { name: "footbridge_due", help: "Members that time has reached and that are not looked at yet.", labels: &[] };
        static LOOKS: Metric =
            Metric { name: "footbridge_member_looks_total", help: "Looks at a member, by where it was.", labels: &["from"] };
        let moved = |now: u64, before: u64| now.cast_signed() - before.cast_signed();
        shift(&MEMBERS, &[], moved(self.members, before.members));
        shift(&IN_MEMORY, &[], moved(self.in_memory, before.in_memory));
        shift(&DUE, &[], moved(self.due, before.due));
        let (looks, loads) = (self.looks.saturating_sub(before.looks), self.loads.saturating_sub(before.loads));
        add(&LOOKS, &["memory"], looks.saturating_sub(loads));
        add(&LOOKS, &["disk"], loads);
        debug!(members = self.members, in_memory = self.in_memory, due = self.due, looks, loads, "standing");
    }
}

/// How far the work is behind what landing has.
pub struct Backlog {
    /// At most: compaction leaves gaps.
    pub records: u64,
}

impl Backlog {
    pub fn emit(self) {
        static STANDS: Metric = Metric { name: "footbridge_backlog_records", help: "Records not worked off yet, at most.", labels: &[] };
        set(&STANDS, &[], self.records.cast_signed());
        debug!(records = self.records, "backlog");
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

/// An operator had a person erased. Who it was is told nowhere.
pub struct PersonErased<'a> {
    pub source: &'a str,
}

impl PersonErased<'_> {
    pub fn emit(self) {
        static COUNT: Metric = Metric { name: "footbridge_erasures_total", help: "Erasures that were asked for.", labels: &["source"] };
        add(&COUNT, &[self.source], 1);
        info!(source = self.source, "person erased");
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
