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
}

type Passages<'a> = SmallVec<[(&'a Node, Moment, Passage); 2]>;

/// A list of a thousand dates is not remembered.
const PASSAGES_MAX: usize = 32;

impl<'a> Eval<'a> {
    pub fn new(resource: &'a Value, kind: TypeId, env: &'a Env<'a>, remotes: &'a [Remote]) -> Self {
        let root = Item::new(Content::Complex(resource), kind);
        let (at, until) = (Cell::new(Instant::BEGIN), Cell::new(Instant::END));
        Eval { resource, root, env, remotes, at, until, passages: RefCell::default() }
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
        let passage = Passage::of(moment, relation, clock, self.env.zone);
        let answer = passage.at(self.at.get());
        if passages.len() < PASSAGES_MAX {
            passages.push((node, *moment, passage));
        }
        answer
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
