//! `Transition`: a member's release changes for one audience.

use super::{Closed, Shown};
use crate::time::Instant;

/// Not yet allowed to be told: [`super::gate`] decides.
pub struct Transition {
    /// The audience's position in the catalogue.
    pub audience: usize,
    pub change: Change,
    /// The edge's instant where time alone made the change, else the stamp of the record that did.
    pub effective: Instant,
    /// The `effective` that began this episode.
    pub since: Instant,
    /// The `seq` that began this episode; `None`: this event begins it.
    pub episode: Option<u64>,
    /// The earlier of the next known edge and the end of the lease; exits have none.
    pub until: Option<Instant>,
}

pub enum Change {
    Entered(Enter, Shown),
    Updated(Update, Shown),
    Exited(Leave, Closed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enter {
    Qualified,
    /// What paused the membership is over; the episode goes on.
    Resumed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    Changed,
    Renewed,
}

/// What the recipient is told of why it ended; the whole cause stays on this side ([`Closed`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Ended,
    /// Do not contact again for this.
    Stop,
    Paused,
    Erased,
    Deceased,
    Merged,
}

impl Enter {
    pub const fn name(self) -> &'static str {
        match self {
            Enter::Qualified => "qualified",
            Enter::Resumed => "resumed",
        }
    }
}

impl Update {
    pub const fn name(self) -> &'static str {
        match self {
            Update::Changed => "changed",
            Update::Renewed => "renewed",
        }
    }
}

impl Leave {
    pub const fn name(self) -> &'static str {
        match self {
            Leave::Ended => "ended",
            Leave::Stop => "stop",
            Leave::Paused => "paused",
            Leave::Erased => "erased",
            Leave::Deceased => "deceased",
            Leave::Merged => "merged",
        }
    }
}
