//! The pipeline: from landing records to committed events, one plain thread for a set of partitions.
//!
//! In: a log, definitions, keys. Out: commits: events, disclosures, state and positions in one act.
//! Never here: what a record means for a person (the core's), or how a log keeps what it is given.

mod feeding;
mod holders;
mod instance;
mod members;
mod outputs;
mod owners;
mod position;
mod shard;
mod timers;
mod worker;

pub use feeding::Feeding;
pub use instance::{Instance, Options, PUSH};
pub use position::{Position, Stage};
pub use worker::{Halt, Worker};

use crate::source::intake::Source;
use crate::source::landing::Partitions;
use footbridge_core::audience::Definitions;
use footbridge_core::gate::MemberKey;
use footbridge_core::key::Keys;
use footbridge_core::time::Span;
use std::sync::Arc;

/// What all partitions of an instance have in common.
pub struct Bridge {
    pub definitions: Arc<Definitions>,
    pub keys: Keys,
    /// One for each of the policy's recipients, in their order.
    pub member_keys: Vec<MemberKey>,
    /// The CloudEvents `source`.
    pub name: String,
    pub partitions: Partitions,
    pub feeds: Vec<Feed>,
    pub settings: Settings,
}

/// A source of landing records.
#[derive(Debug, Clone)]
pub struct Feed {
    pub source: Source,
    /// Nothing enters before its baseline is marked.
    pub marked: bool,
    /// It proves that its consents are complete, with watermarks; else it is taken for fresh.
    pub proves: bool,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// A record older than this is part of a backlog.
    pub hold_after: Span,
    /// A stamp this far ahead of the clock is not applied.
    pub clock_skew_max: Span,
    /// Members that are kept in memory, a partition.
    pub members_max: usize,
    /// Timers and reviews worked off between two polls.
    pub slice: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hold_after: Span::seconds(5), clock_skew_max: Span::minutes(1), members_max: 4096, slice: 500 }
    }
}
