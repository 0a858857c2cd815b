//! The faults that a simulator can ask for, and the clock that it turns.
//!
//! In: nothing. Out: names for what can go wrong.
//! Never here: the doing; `world` does it.

use crate::log::Clock;
use footbridge_core::time::{Instant, Span};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where a commit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// Nothing was done.
    Before,
    /// The outputs are with the log, and never become part of it.
    Staged,
    /// All was done, and the answer is lost.
    Durable,
}

/// What the session meets after such an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Its process is gone.
    Crash,
    /// An error: it aborts and goes on.
    Error,
}

/// How an append fails; its source appends it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFault {
    /// Nothing was taken.
    Refused,
    /// A part was taken: more than the promise of `Landing` allows, as a log may that is not of ours.
    Torn,
    /// All was taken, and the answer is lost.
    AnswerLost,
}

/// Faults by chance, each so often in a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Odds {
    /// A commit fails, anywhere; half of these are crashes.
    pub commit: u32,
    /// An append is refused, or its answer is lost.
    pub append: u32,
    /// An append is torn.
    pub torn: u32,
    /// An end is told a poll late.
    pub drained_late: u32,
    /// A poll brings fewer records than there are.
    pub short_poll: u32,
}

/// A clock that stands until it is turned, forward or back.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<AtomicI64>);

impl VirtualClock {
    pub fn at(now: Instant) -> VirtualClock {
        VirtualClock(Arc::new(AtomicI64::new(now.micros())))
    }

    pub fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::SeqCst))
    }

    pub fn set(&self, now: Instant) {
        self.0.store(now.micros(), Ordering::SeqCst);
    }

    pub fn advance(&self, by: Span) {
        self.set(self.now().plus(by));
    }

    pub fn clock(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}
