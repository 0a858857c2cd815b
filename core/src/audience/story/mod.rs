//! Stories: what an audience must do, told with invented people (`audiences/NAME.test.yaml`, docs/stories.md).
//!
//! In: documents of stories; later what the engine did with one. Out: stories, the records that tell them, differences in words.
//! Never here: the engine, a file, a real person.

mod compare;
mod feed;
mod json;
mod read;
mod resource;

pub use compare::{Happened, compare};
pub use feed::{Actor, Fed, Feed, Parties, Record, feed};
pub use read::{KEYS, Known, read};

use super::Channel;
use crate::problem::Place;
use crate::time::Instant;
use jiff::civil;

#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    pub name: String,
    pub place: Place,
    pub people: Vec<Person>,
    /// By instant; of one instant in the order of the file.
    pub given: Vec<Given>,
    pub then: Vec<Then>,
    /// Whether renewals stand in `then`.
    pub renewals: bool,
    /// How long time runs on after the last line, at least.
    pub until: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    pub name: String,
    pub patient: Fields,
}

/// A resource's elements, each with its JSON text, in the order of the file.
pub type Fields = Vec<(String, String)>;

#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    pub at: Instant,
    pub person: String,
    pub what: Happening,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// A new resource, or a new version of one with the same type and id.
    Resource {
        kind: String,
        id: String,
        fields: Fields,
    },
    /// A signed authorization for the purpose; without a day it lasts a year.
    Consents {
        purpose: String,
        until: Option<civil::Date>,
    },
    Denies {
        purpose: String,
    },
    /// Takes back every Consent that the person gave so far, permits and denials alike.
    Revokes,
    OptsOut(Channel),
    Dies,
}

/// A line of `then`.
#[derive(Debug, Clone, PartialEq)]
pub struct Then {
    pub at: Instant,
    pub person: String,
    pub status: Status,
    /// `None`: any reason is right.
    pub reason: Option<String>,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Entered,
    Updated,
    Exited,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Entered => "entered",
            Status::Updated => "updated",
            Status::Exited => "exited",
        }
    }
}
