//! What holds for a whole partition: baselines and watermarks heard, audiences stopped, the feed gone stale.
//!
//! In: control records. Out: the terms from there on, and who is to be compared again. Never here: one member.

use super::Bridge;
use super::change::Phase;
use super::position::Position;
use super::reviews::Who;
use super::shard::{Shard, exits_when_stale};
use super::terms::Terms;
use crate::log::{LogError, Record};
use crate::source::landing;
use footbridge_core::audience::Definitions;
use footbridge_core::shard::{Baseline, Watermark};
use footbridge_core::time::Instant;
use std::sync::Arc;

impl Position {
    /// What baselines, watermarks and orders make of these definitions.
    pub fn terms_under(&self, bridge: &Bridge, definitions: &Definitions) -> Terms {
        let marked = bridge.feeds.iter().filter(|feed| feed.marked).map(|feed| feed.source.name.as_str());
        let silent = self.heard.is_silent(marked);
        let proves = bridge.feeds.iter().filter(|feed| feed.proves).map(|feed| feed.source.name.as_str());
        let fresh_until = self.heard.fresh_until(proves, definitions.policy.feed.stale_after);
        Terms { silent: vec![silent; definitions.catalogue.audiences.len()], fresh_until, stopped: self.stopped.clone() }
    }
}

impl Shard {
    pub(super) fn baseline(&mut self, bridge: &Bridge, record: &Record) {
        self.position.heard.baseline(Baseline { source: record.source().to_owned() });
        self.heard(bridge);
    }

    pub(super) fn watermark(&mut self, bridge: &Bridge, record: &Record) -> Result<(), LogError> {
        let Ok(complete_to) = landing::complete_to(record) else { return Err(self.damaged(record)) };
        self.position.heard.watermark(Watermark { source: record.source().to_owned(), complete_to });
        self.heard(bridge);
        Ok(())
    }

    fn heard(&mut self, bridge: &Bridge) {
        let now = self.position.now;
        let before = self.history.now.clone();
        self.listen(bridge);
        let heard = &self.history.now;
        if heard.silent != before.silent || (heard.fresh_until <= now) != (before.fresh_until <= now) {
            self.reviews.ask(self.at(), Who::Waiting);
        }
    }

    /// An order stops an audience, or lifts that: everybody is compared again.
    pub(super) fn stop(&mut self, bridge: &Bridge, audience: &str, stopped: bool) {
        if self.position.stopped.contains(audience) == stopped {
            return;
        }
        match stopped {
            true => _ = self.position.stopped.insert(audience.to_owned()),
            false => _ = self.position.stopped.remove(audience),
        }
        self.listen(bridge);
        self.reviews.ask(self.at(), Who::All);
    }

    /// Works out anew what is in force from this record on.
    pub(super) fn listen(&mut self, bridge: &Bridge) {
        let definitions = Arc::clone(&self.running.content.definitions);
        let terms = self.position.terms_under(bridge, &definitions);
        let (offset, expecting) = (self.at().offset, self.oldest().is_some());
        self.history.change(offset, terms, expecting);
        if !exits_when_stale(&definitions) {
            self.told.clear();
        }
    }

    /// Members have to leave when the feed is stale: one instant for all, since a timer of each member's own would have to move
    /// with every watermark.
    pub(super) fn look_at_feed(&mut self) {
        let fresh_until = self.history.now.fresh_until;
        if fresh_until <= self.position.now && self.leaves_when_stale() {
            self.reviews.ask(self.at(), Who::Told);
            self.position.stale_since = Some(fresh_until);
        }
    }

    /// The end of this freshness has not been heard of.
    fn leaves_when_stale(&self) -> bool {
        exits_when_stale(&self.running.content.definitions) && self.position.stale_since != Some(self.history.now.fresh_until)
    }

    /// When members have to leave because the feed is stale, if any has.
    pub(super) fn goes_stale_at(&self) -> Instant {
        let leaves = !self.told.is_empty() && self.leaves_when_stale();
        if leaves { self.history.now.fresh_until } else { Instant::END }
    }

    /// Something is still to be decided as of earlier records, and may set timers that this one reaches.
    pub(super) fn is_reviewing(&self) -> bool {
        !self.reviews.is_empty() || matches!(self.change.phase, Phase::Adopting { .. })
    }

    /// The first record as of which something may be left to decide.
    pub(super) fn oldest(&self) -> Option<u64> {
        let adopted = match &self.change.phase {
            Phase::Adopting { at, .. } => Some(at.offset),
            Phase::Steady | Phase::Clearing { .. } | Phase::Preparing(_) => None,
        };
        let reached = self.timers.oldest().map(|at| at.offset);
        let reviewed = self.reviews.front().map(|review| review.at.offset);
        adopted.into_iter().chain(reached).chain(reviewed).min()
    }
}
