//! `Input`: what a landing record says, once it is read.

use crate::audience::{Channel, Evidence, Marks};
use crate::consent::Consent;
use crate::fhir::patient::PatientFacts;
use crate::fhir::{Version, Versions};
use crate::key::{ContactKey, Person, ResourceKey};
use crate::time::Instant;
use serde::{Deserialize, Serialize};

use super::merge::Message;
use super::{Adopt, Suppression};

/// One input to one member. What a whole partition hears is [`Baseline`] and [`Watermark`].
#[derive(Clone)]
pub enum Input {
    Put(Box<Put>),
    Delete(Delete),
    Unclear(Unclear),
    Preference(Preference),
    /// The owners have said all that they know of a resource that was asked about.
    Confirmed(ResourceKey),
    /// The same Bundle said something of a Consent of which only the owners know whose it is: until they have answered, only exits
    /// are told.
    Awaits(ResourceKey),
    /// From another member, by way of its partition.
    Message(Box<Message>),
    /// Forget the person and tell every recipient.
    Erase,
    /// New definitions are in force: what they made of the person takes the place of what the old ones made.
    Adopt(Box<Adopt>),
    /// Something shared changed, or a wait is over: compare everything.
    Review,
    /// Time alone.
    Tick,
}

impl Input {
    /// Whether it may change which contacts the person has.
    pub fn may_move_contacts(&self) -> bool {
        match self {
            Input::Put(put) => put.content.patient.is_some(),
            Input::Delete(_) | Input::Unclear(_) | Input::Message(_) | Input::Erase | Input::Adopt(_) | Input::Confirmed(_) => true,
            Input::Preference(_) | Input::Awaits(_) | Input::Review | Input::Tick => false,
        }
    }

    /// Resources that what it brings may look up; each perhaps more than once. What a merged person hands over looks them up, too.
    pub fn refers_to(&self) -> Vec<ResourceKey> {
        match self {
            Input::Put(put) => put.content.evidence.iter().flat_map(Evidence::refers_to).collect(),
            Input::Message(message) => match &**message {
                Message::HandOver(hand_over) => {
                    let evidence = hand_over.parts.iter().flat_map(|parts| &parts.evidence);
                    evidence.flat_map(|(_, evidence)| evidence.refers_to()).collect()
                }
                Message::Replaced { .. } => Vec::new(),
            },
            Input::Delete(_)
            | Input::Unclear(_)
            | Input::Preference(_)
            | Input::Confirmed(_)
            | Input::Awaits(_)
            | Input::Erase
            | Input::Adopt(_)
            | Input::Review
            | Input::Tick => Vec::new(),
        }
    }

    /// The same as one of a group of which more is to come, where it can be.
    pub fn with_more(self, more: bool) -> Input {
        match self {
            Input::Put(put) => Input::Put(Box::new(Put { more, ..*put })),
            Input::Delete(delete) => Input::Delete(Delete { more, ..delete }),
            Input::Unclear(unclear) => Input::Unclear(Unclear { more, ..unclear }),
            other @ (Input::Preference(_)
            | Input::Confirmed(_)
            | Input::Awaits(_)
            | Input::Message(_)
            | Input::Erase
            | Input::Adopt(_)
            | Input::Review
            | Input::Tick) => other,
        }
    }
}

/// A source has made its first complete pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    pub source: String,
}

/// A source of consents has proved that it delivered all it had up to an instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watermark {
    pub source: String,
    pub complete_to: Instant,
}

/// A resource, reduced to what definitions, consent and release read of it.
#[derive(Clone)]
pub struct Put {
    pub key: ResourceKey,
    pub version: Version,
    /// What orders the versions where it came from.
    pub order: Versions,
    /// More records of this person belong to the same group: compare once, after the last.
    pub more: bool,
    /// All persons the resource is about, where it is more than this one; sorted.
    pub shared: Vec<Person>,
    pub content: Content,
}

#[derive(Clone, Default)]
pub struct Content {
    pub evidence: Option<Evidence>,
    pub marks: Marks,
    pub patient: Option<Box<PatientFacts>>,
    pub consent: Option<Box<Consent>>,
    /// Persons whose record this Patient replaces, and the one by whom it is replaced.
    pub replaces: Vec<Person>,
    pub replaced_by: Option<Person>,
}

/// The resource is gone: deleted, or moved to another person.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Delete {
    pub key: ResourceKey,
    pub version: Version,
    pub more: bool,
}

/// A version of which nobody can tell whose it is, for one who has an older version.
///
/// It takes the older one's place as what cannot be read: evidence that is possible and never sure, a consent that
/// denies. Were the older one only taken away, an old denial would vanish because something broken came (I9, I11); were it
/// left, an old permit would stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unclear {
    pub key: ResourceKey,
    pub version: Version,
    /// The resource's type.
    pub kind: Box<str>,
    pub more: bool,
}

/// What the CRM reports of a contact or member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// A key of the policy's `recipients`; `None`: whoever contacts the person.
    pub recipient: Option<String>,
    pub channel: Channel,
    /// `false` lifts an earlier opt-out of the same recipient and channel.
    pub opted_out: bool,
}

impl Preference {
    /// Of the same recipient, or absence of one, and channel.
    pub(super) fn is_about(&self, suppression: &Suppression) -> bool {
        suppression.channel == self.channel && suppression.recipient.as_deref() == self.recipient.as_deref()
    }

    pub(super) fn suppression(&self, since: Instant) -> Suppression {
        Suppression { recipient: self.recipient.as_deref().map(Into::into), channel: self.channel, since }
    }
}

/// A report of a number or an address: for everyone who has it. Every partition hears it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactPreference {
    pub contact: ContactKey,
    pub preference: Preference,
}
