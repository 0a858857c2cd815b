//! The steward: which definitions are to be in force, and what all partitions are told on the way there.
//!
//! In: what is wanted, how far the partitions have come. Out: the next order for all of them, and what must be kept before it is given.
//! Never here: a thread, a log, a person.

use super::board::{Progress, Standing};
use super::{Generation, Moves};
use crate::source::landing::Order;
use footbridge_core::consent::BlastRadius;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Durable before an order that follows from it is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub in_force: (Generation, String),
    pub next: Option<Next>,
    /// The newest generation ever prepared.
    pub last: Generation,
    /// The types that landing has from the beginning, or that an operator let pass without.
    pub types: BTreeSet<String>,
    /// It has all from the beginning (`landing.keep: all`).
    pub keeps_all: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Next {
    pub generation: Generation,
    pub hash: String,
    pub purpose: Purpose,
    pub step: Step,
    /// An operator said that it may move what it moves.
    pub proceed: bool,
    /// Types that it reads and that landing does not have from the beginning.
    pub missing: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    Adopt,
    /// Only to know what would move.
    Plan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    Preparing,
    Counting,
    Adopting,
    Dropping,
}

/// What a turn of the steward brought about, besides an order.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Adopted(Generation),
    Dropped(Generation),
}

pub struct Steward {
    pub kept: Kept,
    /// The present step's order was given by this process.
    given: bool,
    /// Messages heard by all partitions when all had caught up, as of the last turn; for how many turns these were all that was sent.
    heard: Option<(u64, u32)>,
    /// What was last counted, by audience.
    pub counted: Option<(Generation, BTreeMap<String, Moves>)>,
}

/// Why an adoption waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Brake {
    /// It would move so many of so many.
    Moves { audience: String, moved: u64, present: u64 },
    /// Landing does not have this type from the beginning.
    Missing { resource_type: String },
}

impl Steward {
    pub fn new(kept: Kept) -> Steward {
        Steward { kept, given: false, heard: None, counted: None }
    }

    /// Definitions that are to be prepared, `types`: those that they read. Where others are on their way, those come to their
    /// end first, or are dropped where they may be. `false`: not yet, ask again.
    pub fn want(&mut self, hash: &str, purpose: Purpose, types: &BTreeSet<String>) -> bool {
        match &mut self.kept.next {
            Some(next) if next.hash == hash && next.purpose == purpose && next.step != Step::Dropping => true,
            Some(next) => {
                if purpose == Purpose::Adopt && matches!(next.step, Step::Preparing | Step::Counting) {
                    next.step = Step::Dropping;
                    self.given = false;
                }
                false
            }
            None if self.kept.in_force.1 == hash && purpose == Purpose::Adopt => true,
            None => {
                self.kept.last += 1;
                let known = |name: &&String| self.kept.keeps_all || self.kept.types.contains(*name);
                let missing = types.iter().filter(|name| !known(name)).cloned().collect();
                let (generation, hash) = (self.kept.last, hash.to_owned());
                self.kept.next = Some(Next { generation, hash, purpose, step: Step::Preparing, proceed: false, missing });
                (self.given, self.heard) = (false, None);
                true
            }
        }
    }

    /// Lets what is prepared pass the brake. `false`: nothing waits.
    pub fn proceed(&mut self) -> bool {
        let Some(next) = &mut self.kept.next else { return false };
        let waits = next.purpose == Purpose::Adopt && next.step == Step::Counting;
        next.proceed |= waits;
        waits
    }

    /// Goes on where the partitions allow it. What follows in `kept` must be durable before the order is given to all
    /// partitions; an order that could not be given is asked for again with [`Steward::again`].
    /// `calm`: for so many turns nothing may be on its way between members before they are counted; 1 where all partitions are
    /// known as they are now, more where some are known as they were a moment ago.
    pub fn turn(
        &mut self,
        partitions: u16,
        calm: u32,
        progress: &BTreeMap<u16, Progress>,
        radius: BlastRadius,
        types: &BTreeSet<String>,
    ) -> (Option<Order>, Option<Outcome>) {
        let Some(next) = &self.kept.next else { return (None, None) };
        if !std::mem::replace(&mut self.given, true) {
            return (Some(next.order()), None);
        }
        if progress.len() < usize::from(partitions) {
            return (None, None);
        }
        let (generation, step) = (next.generation, next.step);
        let all = |is: &dyn Fn(&Progress) -> bool| progress.values().all(is);
        match step {
            Step::Preparing => {
                let caught_up = all(&|one| one.has_caught_up(generation));
                let heard: u64 = progress.values().map(|one| one.messages().1).sum();
                let sent: u64 = progress.values().map(|one| one.messages().0).sum();
                // Heard a turn ago was all that is sent by now: nothing is on its way between members.
                let turns = match self.heard {
                    Some((heard, turns)) if caught_up && heard == sent => turns + 1,
                    Some(_) | None => 0,
                };
                if turns >= calm {
                    return self.go_to(Step::Counting);
                }
                self.heard = caught_up.then_some((heard, turns));
                (None, None)
            }
            Step::Counting => {
                if !all(&|one| one.is_counted(generation)) {
                    return (None, None);
                }
                let mut counted: BTreeMap<String, Moves> = BTreeMap::new();
                for (audience, moves) in progress.values().flat_map(Progress::counted) {
                    counted.entry(audience.clone()).or_default().add(moves);
                }
                self.counted = Some((generation, counted));
                match next.purpose {
                    Purpose::Plan => self.go_to(Step::Dropping),
                    Purpose::Adopt if next.proceed || self.brakes(radius).is_empty() => self.go_to(Step::Adopting),
                    Purpose::Adopt => (None, None),
                }
            }
            Step::Adopting if all(&|one| one.has_adopted(generation)) => {
                self.kept.in_force = (generation, next.hash.clone());
                self.kept.types = types.clone();
                self.kept.next = None;
                (None, Some(Outcome::Adopted(generation)))
            }
            Step::Dropping if all(&|one| one.has_dropped(generation)) => {
                self.kept.next = None;
                (None, Some(Outcome::Dropped(generation)))
            }
            Step::Adopting | Step::Dropping => (None, None),
        }
    }

    fn go_to(&mut self, step: Step) -> (Option<Order>, Option<Outcome>) {
        let next = self.kept.next.as_mut().map(|next| {
            next.step = step;
            next.order()
        });
        (next, None)
    }

    /// The last order did not get to all partitions.
    pub fn again(&mut self) {
        self.given = false;
    }

    /// What keeps it from being adopted, once it is counted.
    pub fn brakes(&self, radius: BlastRadius) -> Vec<Brake> {
        let Some(next) = &self.kept.next else { return Vec::new() };
        let Some((_, counted)) = self.counted.as_ref().filter(|(generation, _)| *generation == next.generation) else { return Vec::new() };
        let moved = counted.iter().filter(|(_, moves)| is_braked(moves, radius)).map(|(audience, moves)| Brake::Moves {
            audience: audience.clone(),
            moved: moves.entered + moves.left,
            present: moves.present,
        });
        moved.chain(next.missing.iter().map(|name| Brake::Missing { resource_type: name.clone() })).collect()
    }
}

/// More than the least number, and more than the share of those who are in it.
fn is_braked(moves: &Moves, radius: BlastRadius) -> bool {
    let moved = moves.entered + moves.left;
    moved > u64::from(radius.least) && moved.saturating_mul(1000) > moves.present.saturating_mul(u64::from(radius.share))
}

impl Next {
    const fn order(&self) -> Order {
        let generation = self.generation;
        match self.step {
            Step::Preparing => Order::Prepare { generation },
            Step::Counting => Order::Count { generation },
            Step::Adopting => Order::Adopt { generation },
            Step::Dropping => Order::Drop { generation },
        }
    }
}

impl Progress {
    fn has_caught_up(&self, of: Generation) -> bool {
        let replayed_all =
            matches!(&self.standing, Standing::Preparing { generation, replayed, landed, .. } if *generation == of && replayed >= landed);
        replayed_all && !self.lacks_content
    }

    fn messages(&self) -> (u64, u64) {
        match &self.standing {
            Standing::Preparing { sent, received, .. } => (*sent, *received),
            Standing::Steady | Standing::Clearing { .. } | Standing::Adopting { .. } => (0, 0),
        }
    }

    fn is_counted(&self, of: Generation) -> bool {
        matches!(&self.standing, Standing::Preparing { generation, counted: Some(counted), .. } if *generation == of && counted.done)
    }

    fn counted(&self) -> impl Iterator<Item = (&String, &Moves)> {
        let counted = match &self.standing {
            Standing::Preparing { counted, .. } => counted.as_ref(),
            Standing::Steady | Standing::Clearing { .. } | Standing::Adopting { .. } => None,
        };
        counted.into_iter().flat_map(|counted| &counted.audiences)
    }

    fn has_adopted(&self, generation: Generation) -> bool {
        self.running == generation && !matches!(self.standing, Standing::Adopting { .. })
    }

    fn has_dropped(&self, of: Generation) -> bool {
        let is_there = match &self.standing {
            Standing::Preparing { generation, .. } => *generation == of,
            Standing::Clearing { next } => *next == Some(of),
            Standing::Steady | Standing::Adopting { .. } => false,
        };
        self.seen >= of && !is_there
    }
}
