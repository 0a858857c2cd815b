//! The pipeline: from landing records to committed events, one plain thread for a set of partitions.
//!
//! In: a log, definitions, keys. Out: commits: events, disclosures, state and positions in one act.
//! Never here: what a record means for a person (the core's), or how a log keeps what it is given.

mod adoption;
mod board;
mod change;
mod changing;
mod control;
mod feeding;
mod holders;
mod holds;
mod instance;
mod library;
mod members;
mod outputs;
mod owners;
mod position;
mod reading;
mod reviews;
mod shard;
mod side;
mod slices;
mod steward;
mod terms;
mod timers;
mod worker;

pub use board::{Board, Counted, Progress, Standing};
pub use change::Moves;
pub use changing::{AudienceMoves, Changing, Report, read_texts};
pub use feeding::Feeding;
pub use holds::{HELD, Held, Holding, Holds};
pub use instance::{Instance, Options, PUSH};
pub use library::{Content, Library};
pub use position::{Position, Stage};
pub use steward::{Brake, Kept, Next, Outcome, Purpose, Step, Steward};
pub use worker::{Halt, Worker};

use crate::source::intake::Source;
use crate::source::landing::Partitions;
use footbridge_core::key::Keys;
use footbridge_core::time::Span;
use std::sync::Arc;

/// Numbers definitions in the order in which they were prepared; the first ones are 0.
pub type Generation = u64;

/// What all partitions of an instance have in common.
pub struct Bridge {
    pub library: Arc<Library>,
    pub keys: Keys,
    /// How far each partition has come with its definitions.
    pub board: Board,
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
    pub holding: Holding,
    /// A stamp this far ahead of the clock is not applied.
    pub clock_skew_max: Span,
    /// Members that are kept in memory, of all partitions together.
    pub members_max: usize,
    /// Timers and reviews that a worker works off between two polls, of all its partitions.
    pub slice: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { holding: Holding::ByAge, clock_skew_max: Span::minutes(1), members_max: 8192, slice: 250 }
    }
}
