//! The validated form of `audiences/*.yaml` (see docs/audiences.md). It cannot be wrong: only `read` makes it.

use crate::consent::{ChannelRule, Policy};
use crate::fhirpath::Program;
use crate::time::{Instant, Span};

/// All audiences of one set of mappings. Programs stand in tables, each text once; rules name them by number.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub audiences: Vec<Audience>,
    pub criteria: Vec<Criterion>,
    pub latests: Vec<Latest>,
    pub values: Vec<Value>,
}

impl Catalogue {
    pub fn audience(&self, name: &str) -> Option<&Audience> {
        self.audiences.iter().find(|audience| audience.name == name)
    }
}

#[derive(Debug, Clone)]
pub struct Audience {
    pub name: String,
    pub title: String,
    pub summary: Option<String>,
    pub owner: Option<String>,
    pub communication: Communication,
    pub remuneration: Remuneration,
    /// A key of the policy's `recipients`.
    pub recipient: String,
    /// `None`: no address is needed and none is released.
    pub channels: Option<Vec<Channel>>,
    pub action: Option<String>,
    pub starts: Option<Instant>,
    pub ends: Option<Instant>,
    pub times: Times,
    pub outcome: Option<CriterionId>,
    pub holdout: Option<Holdout>,
    pub members: Rule,
    pub release: Vec<Released>,
    /// `sha256:` and the hex digest of all that decides this audience: its text, its value sets, the policy.
    pub definition: String,
}

/// The class of the message (45 CFR 164.501).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Communication {
    Treatment,
    Operations,
    Marketing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remuneration {
    None,
    Cost,
    Financial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Email,
    Sms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    Exact,
    /// The most by which an edge of eligibility is moved.
    Spread(Span),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdout {
    /// In thousandths of all members.
    pub share: u32,
    pub wait: Span,
}

pub type CriterionId = u16;
pub type LatestId = u16;
pub type ValueId = u16;

/// A node of `members`.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    All(Vec<Rule>),
    Any(Vec<Rule>),
    None(Vec<Rule>),
    /// Of the listed parts, so many hold.
    AtLeast(usize, Vec<Rule>),
    /// So many resources satisfy the criterion.
    AtLeastResources(usize, CriterionId),
    /// While at least one resource satisfies the criterion.
    Criterion(CriterionId),
    Latest(LatestId),
}

/// `{Type: expression}`.
#[derive(Debug)]
pub struct Criterion {
    pub kind: String,
    pub text: String,
    pub program: Program,
}

/// `latest: {Type: which, by: path, where: expression}`.
#[derive(Debug)]
pub struct Latest {
    pub kind: String,
    /// Free of time.
    pub which: Program,
    /// Gives a date, dateTime, instant or Period start.
    pub by: Program,
    pub holds: Program,
}

/// A path whose values are released, with the resource type that it reads.
#[derive(Debug)]
pub struct Value {
    pub kind: String,
    pub text: String,
    pub program: Program,
    pub form: Form,
    pub pick: Pick,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The key under `attributes`.
    pub name: String,
    pub value: ValueId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    AsIs,
    Month,
    Year,
    AgeBand,
    Zip3,
    Hash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pick {
    First,
    Latest,
}

impl Channel {
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Sms => "sms",
        }
    }

    /// What the policy asks of this channel.
    pub const fn rule(self, policy: &Policy) -> ChannelRule {
        match self {
            Channel::Email => policy.channels.email,
            Channel::Sms => policy.channels.sms,
        }
    }
}
