//! What slices of time work off: timers that were reached, reviews, members to be taken over; and holds, which depend on how far they came.
//!
//! In: time to work in, the end of the log. Out: steps of members, in the order of the records that asked for them.
//! Never here: what a record says.

use super::Bridge;
use super::Stage;
use super::holds::{Held, Hold, Holding, Item};
use super::reviews::{Review, Who};
use super::shard::Shard;
use crate::log::{Kind, Log, LogError, Record};
use crate::source::landing;
use footbridge_core::key::Person;
use footbridge_core::shard::Input;
use footbridge_core::time::Instant;
use std::collections::BTreeSet;
use std::ops::Bound;

impl Shard {
    /// Works off timers and reviews, at most as many as are `left`, which it counts down; whether there may be more.
    pub fn work(&mut self, bridge: &Bridge, log: &impl Log, left: &mut usize, stage: &mut Stage) -> Result<bool, LogError> {
        while *left > 0 {
            // Asked each time: a recorded hold may end within this slice, and another follow it.
            if self.position.hold.is_none() && bridge.settings.holding.has_one_after(self.place, self.next) {
                return Ok(false);
            }
            if !self.slice_one(bridge, log, left, stage)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there was something to do.
    fn slice_one(&mut self, bridge: &Bridge, log: &impl Log, left: &mut usize, stage: &mut Stage) -> Result<bool, LogError> {
        let worked = self.work_one(bridge, log, stage)? || self.end_hold(&bridge.settings.holding);
        *left -= usize::from(worked);
        Ok(worked)
    }

    /// Before an order that turns the spaces of state round, all that earlier records have asked for is decided by the definitions
    /// that were in force then, a slice at a time. `false`: the record has to wait, and all behind it.
    pub fn makes_way(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<bool, LogError> {
        match record.kind {
            Kind::Prepare | Kind::Adopt => {
                // There is more to read: no hold ends here.
                self.drained = false;
                let mut left = bridge.settings.slice;
                while left > 0 {
                    if !self.slice_one(bridge, log, &mut left, stage)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Kind::Put
            | Kind::Delete
            | Kind::Message
            | Kind::Preference
            | Kind::ContactPreference
            | Kind::Erase
            | Kind::Claim
            | Kind::Baseline
            | Kind::Watermark
            | Kind::Tick
            | Kind::Retry
            | Kind::Stop => Ok(true),
        }
    }

    /// A recorded hold ends where it ended: only when the log is played again.
    fn finish(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<(), LogError> {
        while self.work_one(bridge, log, stage)? {}
        Ok(())
    }

    /// What is next, in the order of the records as of which it is decided.
    pub(super) fn next_item(&mut self, log: &impl Log) -> Result<Item, LogError> {
        if let Some(person) = self.next_to_adopt(log)? {
            return Ok(Item::Adoption(person));
        }
        loop {
            let review = self.reviews.front();
            let timer = self.timers.front(review.map(|review| review.at));
            match (timer, review) {
                (Some((due, person, at)), review) if review.is_none_or(|review| at <= review.at) => return Ok(Item::Timer(due, person)),
                (_, None) => return Ok(Item::Nothing),
                (_, Some(review)) => match self.next_to_review(log, review)? {
                    Some(person) => return Ok(Item::Review(review.number, person)),
                    None => self.reviews.pop(),
                },
            }
        }
    }

    /// One of them; whether there was one.
    fn work_one(&mut self, bridge: &Bridge, log: &impl Log, stage: &mut Stage) -> Result<bool, LogError> {
        match self.next_item(log)? {
            Item::Nothing => return Ok(false),
            Item::Adoption(person) => self.take_over(bridge, log, person, stage)?,
            Item::Timer(_, person) => {
                let Some((_, _, at)) = self.timers.front(None) else { return Ok(false) };
                self.step(bridge, log, person, at, Input::Tick, stage)?;
            }
            Item::Review(_, person) => {
                let Some(review) = self.reviews.front() else { return Ok(false) };
                self.reviews.pass(person);
                self.step(bridge, log, person, review.at, Input::Review, stage)?;
            }
        }
        Ok(true)
    }

    /// Whom a review comes to next.
    fn next_to_review(&mut self, log: &impl Log, review: Review) -> Result<Option<Person>, LogError> {
        let mut done = review.done;
        loop {
            let behind = (done.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            let next = match review.who {
                Who::Waiting => self.waiting.range(behind).next().copied(),
                Who::Told => self.told.range(behind).next().copied(),
                Who::All => self.next_of_all(log, review.number, done)?,
            };
            let Some(person) = next else { return Ok(None) };
            if self.reviews.looked(&person) < review.number && self.is_meant(log, review.who, person)? {
                return Ok(Some(person));
            }
            self.reviews.pass(person);
            done = Some(person);
        }
    }

    fn is_meant(&mut self, log: &impl Log, who: Who, person: Person) -> Result<bool, LogError> {
        match who {
            Who::Waiting => Ok(self.waiting.contains(&person)),
            Who::Told => Ok(self.told.contains(&person)),
            Who::All => {
                let one = self.running.members.look(log, person)?;
                Ok(!one.member.is_empty(&one.versions))
            }
        }
    }

    /// The next of all members: a bucket of them at a time.
    fn next_of_all(&mut self, log: &impl Log, number: u64, done: Option<Person>) -> Result<Option<Person>, LogError> {
        let first = done.map_or(0, |done| done.as_bytes()[0]);
        for bucket in first..=u8::MAX {
            let persons: &BTreeSet<Person> = match &mut self.ahead {
                Some((of, at, persons)) if (*of, *at) == (number, bucket) => persons,
                ahead => &ahead.insert((number, bucket, self.running.members.bucket(log, bucket)?)).2,
            };
            let behind = (done.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            if let Some(person) = persons.range(behind).next() {
                return Ok(Some(*person));
            }
        }
        self.ahead = None;
        Ok(None)
    }

    /// What is due to one member as of records before this one.
    pub(super) fn catch_up(&mut self, bridge: &Bridge, log: &impl Log, person: Person, stage: &mut Stage) -> Result<(), LogError> {
        self.take_over(bridge, log, person, stage)?;
        let offset = self.at().offset;
        let mut looked = self.reviews.looked(&person);
        loop {
            let timer = self.timers.missed(person, offset);
            match (timer, self.reviews.owed(person, looked)) {
                (Some(at), review) if review.is_none_or(|review| at <= review.at) => {
                    self.step(bridge, log, person, at, Input::Tick, stage)?;
                }
                (_, None) => break,
                (_, Some(review)) => {
                    looked = review.number;
                    if self.is_meant(log, review.who, person)? {
                        self.step(bridge, log, person, review.at, Input::Review, stage)?;
                    }
                }
            }
        }
        self.reviews.made_up(person);
        Ok(())
    }

    pub fn holds(&self) -> bool {
        self.position.hold.is_some()
    }

    /// Before a record is applied: whether a backlog ends before it, or begins with it.
    pub(super) fn look_behind(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        record: &Record,
        clock: Instant,
        stage: &mut Stage,
    ) -> Result<(), LogError> {
        match &bridge.settings.holding {
            Holding::ByAge => {
                let hold_after = self.running.content.definitions.policy.hold_after;
                if self.position.hold.is_none() && clock.since(record.stamp) > hold_after {
                    let next = self.next_item(log)?;
                    self.position.hold = Some(Hold { from: record.offset, next });
                }
            }
            Holding::Recorded(holds) => {
                if self.has_read_all_held(&bridge.settings.holding) {
                    self.finish(bridge, log, stage)?;
                    self.end_hold(&bridge.settings.holding);
                }
                if let Some(held) = holds.get(&(self.place, record.offset)) {
                    while self.next_item(log)? != held.next {
                        if !self.work_one(bridge, log, stage)? {
                            let what = format!("the hold from offset {} cannot have begun as it was recorded", record.offset);
                            return Err(LogError::damaged(self.place, what));
                        }
                    }
                    self.position.hold = Some(Hold { from: record.offset, next: held.next });
                }
            }
        }
        Ok(())
    }

    fn has_read_all_held(&self, holding: &Holding) -> bool {
        let Some(hold) = self.position.hold else { return false };
        match holding {
            Holding::ByAge => self.drained,
            Holding::Recorded(holds) => holds.get(&(self.place, hold.from)).is_some_and(|held| self.next >= held.until),
        }
    }

    /// The backlog ends where the log does, once all that it reached is decided; whether there was one. What waited for it
    /// is looked at then.
    fn end_hold(&mut self, holding: &Holding) -> bool {
        if !self.has_read_all_held(holding) {
            return false;
        }
        let Some(Hold { from, next }) = self.position.hold.take() else { return false };
        let held = Held { next, until: self.next };
        self.state.push((self.place, Held::key(from), Some(held.encode())));
        self.reviews.ask(self.at(), Who::Waiting);
        self.moved = true;
        true
    }

    /// The log's end was seen: time may go on by itself.
    pub fn drained(&mut self) {
        self.drained = true;
    }

    /// When time alone may change something next; [`Instant::BEGIN`] where a tick is wanted at once.
    pub fn due(&self) -> Instant {
        if self.open.is_empty() { self.timers.next().min(self.goes_stale_at()) } else { Instant::BEGIN }
    }

    /// The tick that a timer or an open group waits for, once a wait.
    pub fn tick(&mut self, clock: Instant, stage: &mut Stage) {
        if self.drained && !self.tick_sent && self.due() <= clock {
            self.tick_sent = true;
            stage.appends.push(landing::control(self.place, Kind::Tick, "clock", Vec::new()));
        }
    }
}
