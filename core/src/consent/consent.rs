//! `Consent`: the compact form of a FHIR Consent that a member's state keeps.
//!
//! In: what `read` understood. Out: a tree of provisions with a flag for each thing that could not be understood.
//! Never here: free text, narratives, attachments. Nothing of it prints.

use super::codes::{Label, Purpose};
use super::policy::{Identifier, Scope};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// One Consent. Serialized with its version first, so that a later form can be told from this one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Consent(Version);

#[derive(Clone, PartialEq, Serialize, Deserialize)]
enum Version {
    V1(Body),
}

impl Consent {
    pub(super) fn new(body: Body) -> Consent {
        Consent(Version::V1(body))
    }

    pub(super) fn body(&self) -> &Body {
        match &self.0 {
            Version::V1(body) => body,
        }
    }

    /// Stands for a Consent that could not be read: it speaks, denies everything for ever and never permits (I9).
    pub fn unreadable() -> Consent {
        Consent::new(Body {
            status: Status::Active,
            subject: Subject { scopes: SmallVec::new(), other: false, unreadable: true },
            root: Provision::new(Effect::Deny),
            root_is_base: true,
            unsupported: true,
            unread: true,
            opaque: true,
            id: Box::default(),
            identifiers: SmallVec::new(),
            sources: SmallVec::new(),
            date: None,
            signed_by_patient: false,
            other_signers: SmallVec::new(),
            documented: false,
        })
    }

    /// Whether some part could not be read. It was then taken in the way that permits least; whoever stores it reports it.
    pub fn is_partly_unread(&self) -> bool {
        self.body().unread
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consent [phi]")
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Body {
    pub status: Status,
    pub subject: Subject,
    /// R4: `provision`; R5: `decision` and `period`, with `provision[]` beneath.
    pub root: Provision,
    /// The root's effect is the Consent's base (D1, D3), not a provision's (D2).
    pub root_is_base: bool,
    /// C9: it holds something that this engine does not support, so it cannot permit.
    pub unsupported: bool,
    pub unread: bool,
    /// Nothing of it could be understood (no dialect, or not readable): it denies.
    pub opaque: bool,
    /// The resource's id, for chains of `source`.
    pub id: Box<str>,
    pub identifiers: SmallVec<[Identifier; 1]>,
    /// `sourceReference`: what this Consent is based on.
    pub sources: SmallVec<[Box<str>; 1]>,
    /// The earliest and the first instant past `dateTime` (R4) or `date` (R5).
    pub date: Option<(Instant, Instant)>,
    pub signed_by_patient: bool,
    /// References of performers or grantors that are not the patient.
    pub other_signers: SmallVec<[Box<str>; 0]>,
    /// A source, or a verification that says `verified`.
    pub documented: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    Active,
    /// `inactive`: revoked (C13).
    Inactive,
    /// Another status of FHIR: no consent.
    NotInForce,
    /// Absent or no code of FHIR: it cannot permit, its denies count.
    Unread,
}

/// What a Consent is about (C0).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Subject {
    pub scopes: SmallVec<[Scope; 1]>,
    /// A category says that it is an advance directive or about research.
    pub other: bool,
    /// It stands for a Consent whose subject nobody can tell, whatever the rest says.
    pub unreadable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Effect {
    Permit,
    Deny,
    /// A base that is not computable: it decides nothing by itself.
    Silent,
}

/// One provision. Attributes are AND, the values of one are OR; an absent attribute is no constraint (C3, C4).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Provision {
    pub effect: Effect,
    pub when: When,
    pub purposes: Values<Purpose>,
    pub actors: Values<Actor>,
    pub labels: Values<Label>,
    /// Not compared unless asked; kept for the question that asks.
    pub actions: SmallVec<[Action; 1]>,
    /// Attributes whose rules are not built yet (C5, C6).
    pub what: Option<Box<What>>,
    pub children: Vec<Provision>,
}

impl Provision {
    pub fn new(effect: Effect) -> Provision {
        Provision {
            effect,
            when: When::Always,
            purposes: Values::absent(),
            actors: Values::absent(),
            labels: Values::absent(),
            actions: SmallVec::new(),
            what: None,
            children: Vec::new(),
        }
    }

    /// This provision and all beneath it.
    pub fn for_each<'a>(&'a self, f: &mut impl FnMut(&'a Provision)) {
        f(self);
        self.children.iter().for_each(|child| child.for_each(f));
    }
}

/// The values of one attribute.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Values<T> {
    pub known: SmallVec<[T; 1]>,
    /// At least one value is not known to this engine.
    pub unread: bool,
}

impl<T> Values<T> {
    pub fn absent() -> Self {
        Values { known: SmallVec::new(), unread: false }
    }

    pub fn is_absent(&self) -> bool {
        self.known.is_empty() && !self.unread
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum When {
    Always,
    /// From the first instant, before the second.
    Within(Instant, Instant),
    Unread,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// IRCP, PRCP, or no role named.
    Recipient,
    /// CST, AUT.
    Discloser,
    Unknown,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Actor {
    pub role: Role,
    pub reference: Option<Box<str>>,
    pub identifier: Option<Identifier>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Action {
    Collect,
    Access,
    Use,
    Disclose,
    Correct,
    Unknown,
}

/// What data a provision is about. It is kept whole, so that C5, C6 and C16 need no new form.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct What {
    /// R4 `class`.
    pub classes: Vec<Coding>,
    /// R5 `documentType`, `resourceType`.
    pub document_types: Vec<Coding>,
    pub resource_types: Vec<Coding>,
    /// `code`: each concept with its codings.
    pub codes: Vec<Vec<Coding>>,
    /// `data`: meaning and reference.
    pub data: Vec<(Box<str>, Box<str>)>,
    pub data_period: Option<When>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Coding {
    pub system: Box<str>,
    pub code: Box<str>,
}
