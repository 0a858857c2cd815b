//! Evaluation at an instant, straight off the parsed JSON.
//!
//! In: a compiled tree, a resource, an instant. Out: truth or items, and until when they stay so.
//! Never here: names being looked up, a second way of treating time, content in an error.

mod collection;
mod compute;
mod reference;
mod truth;

use super::clock::{Clock, Passage};
use super::model::TypeId;
use super::moments::Relation;
use super::node::Node;
use super::program::{Env, Remote};
use super::value::{Collection, Content, Item, Stop};
use crate::time::{Instant, Moment};
use smallvec::SmallVec;
use sonic_rs::Value;
use std::cell::{Cell, RefCell};

pub struct Eval<'a> {
    pub resource: &'a Value,
    pub root: Item<'a>,
    pub env: &'a Env<'a>,
    pub remotes: &'a [Remote],
    pub at: Cell<Instant>,
    /// The first instant after `at` at which anything that was looked at may change.
    pub until: Cell<Instant>,
    /// Comparisons with the clock that were worked out: evaluation at the next instant meets them again.
    passages: RefCell<Passages<'a>>,
    /// Parts of the whole that were worked out, and until when they hold: at the next instant only what has changed is asked again.
    parts: RefCell<Parts<'a>>,
}

type Parts<'a> = SmallVec<[(&'a Node, Result<Option<bool>, Undecided>, Instant); 4]>;

/// An execution error, remembered.
#[derive(Clone, Copy)]
struct Undecided;

type Passages<'a> = SmallVec<[(&'a Node, Moment, Passage); 2]>;

/// A list of a thousand dates is not remembered.
const PASSAGES_MAX: usize = 32;

impl<'a> Eval<'a> {
    pub fn new(resource: &'a Value, kind: TypeId, env: &'a Env<'a>, remotes: &'a [Remote]) -> Self {
        let root = Item::new(Content::Complex(resource), kind);
        let (at, until) = (Cell::new(Instant::BEGIN), Cell::new(Instant::END));
        Eval { resource, root, env, remotes, at, until, passages: RefCell::default(), parts: RefCell::default() }
    }

    pub fn go_to(&self, at: Instant) {
        self.at.set(at);
        self.until.set(Instant::END);
    }

    fn timed(&self, node: &'a Node, moment: &Moment, relation: Relation, clock: Clock) -> (Option<bool>, Instant) {
        let mut passages = self.passages.borrow_mut();
        if let Some((_, _, passage)) = passages.iter().find(|(of, own, _)| std::ptr::eq(*of, node) && own == moment) {
            return passage.at(self.at.get());
        }
        // Evaluation goes on in time, never back.
        let passage = Passage::from(self.at.get(), moment, relation, clock, self.env.zone);
        let answer = passage.at(self.at.get());
        if passages.len() < PASSAGES_MAX {
            passages.push((node, *moment, passage));
        }
        answer
    }

    /// The truth of a part of the whole expression: as [`Eval::truth`], remembered for as long as it holds.
    fn part(&self, node: &'a Node, this: &Item<'a>) -> Result<Option<bool>, Stop> {
        if !std::ptr::eq(this, &raw const self.root) {
            return self.truth(node, this);
        }
        let at = self.at.get();
        let known = self.parts.borrow().iter().find(|(of, _, until)| std::ptr::eq(*of, node) && at < *until).map(|part| (part.1, part.2));
        if let Some((truth, until)) = known {
            self.lower_until(until);
            return truth.map_err(|Undecided| Stop::Undecided);
        }
        let outer = self.until.replace(Instant::END);
        let truth = self.truth(node, this);
        let until = self.until.get();
        self.lower_until(outer);
        let kept = match &truth {
            Ok(truth) => Ok(*truth),
            Err(Stop::Undecided) => Err(Undecided),
            Err(Stop::Unreadable(_)) => return truth,
        };
        let mut parts = self.parts.borrow_mut();
        match parts.iter_mut().find(|(of, ..)| std::ptr::eq(*of, node)) {
            Some(part) => (part.1, part.2) = (kept, until),
            None => parts.push((node, kept, until)),
        }
        truth
    }

    fn lower_until(&self, until: Instant) {
        self.until.set(self.until.get().min(until));
    }

    /// The items of `node`, apart.
    pub fn items(&self, node: &'a Node, this: &Item<'a>) -> Result<Collection<'a>, Stop> {
        let mut out = Collection::new();
        self.collect(node, this, &mut out)?;
        Ok(out)
    }

    /// The one item; `None` of none. More than one is an error of FHIRPath.
    fn single(&self, node: &'a Node, this: &Item<'a>) -> Result<Option<Item<'a>>, Stop> {
        let mut items = self.items(node, this)?;
        match items.len() {
            0 => Ok(None),
            1 => Ok(items.pop()),
            _ => Err(Stop::Undecided),
        }
    }
}

/// FHIRPath's singleton evaluation of collections as a Boolean.
fn as_boolean(items: &Collection) -> Result<Option<bool>, Stop> {
    match items.as_slice() {
        [] => Ok(None),
        [one] => match one.content {
            Content::Boolean(value) => Ok(Some(value)),
            // Extensions without a value do not say which.
            Content::Missing => Ok(None),
            _ => Ok(Some(true)),
        },
        _ => Err(Stop::Undecided),
    }
}
