//! `Policy`: what the organisation decided, from `mappings/policy.yaml` (see docs/policy.md).
//!
//! In: nothing; `policy_read` makes it. Out: validated settings with their defaults.
//! Never here: a key that is not documented, or a setting that widens what a consent permits without being named.

use super::codes::Label;
use crate::time::{Span, Zone};
use jiff::civil;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The discloser.
    pub organisation: Organisation,
    pub recipients: Vec<Recipient>,
    pub consents: ConsentRules,
    pub bases: Bases,
    pub authorization: Authorization,
    /// Who besides the patient has standing to sign. Nobody by default.
    pub signers: Vec<Signer>,
    pub channels: Channels,
    pub sensitive: Sensitive,
    pub minors: Minors,
    pub lease: Span,
    pub times: PolicyTimes,
    pub feed: Feed,
    pub hold_after: Span,
    pub counts: Counts,
    pub blast_radius: BlastRadius,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Organisation {
    pub name: String,
    pub zone: Zone,
    pub references: Vec<String>,
    pub identifiers: Vec<Identifier>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    pub system: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Recipient {
    /// The key under `recipients`, by which audiences name it.
    pub key: String,
    pub name: String,
    /// For the accounting of disclosures (45 CFR 164.528); empty where it is not known.
    pub address: String,
    pub references: Vec<String>,
    pub identifiers: Vec<Identifier>,
    pub agreement: Option<Agreement>,
    pub identify: Identify,
    pub may_know: MayKnow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    pub kind: String,
    /// Its last day; `None`: no end.
    pub until: Option<civil::Date>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identify {
    Pseudonym,
    /// The patient's identifier of this system is sent.
    Identifier {
        system: String,
    },
}

/// Reasons of an exit that a recipient may be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MayKnow {
    pub deceased: bool,
    pub merged: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRules {
    /// Consents with one of these scopes speak here (C0).
    pub speak: Vec<Scope>,
    pub conflict: Conflict,
    pub base_deny: BaseDeny,
}

/// Codes of consentscope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    PatientPrivacy,
    Research,
    Treatment,
    Adr,
}

impl Scope {
    pub const CODES: [(&'static str, Scope); 4] =
        [("patient-privacy", Scope::PatientPrivacy), ("research", Scope::Research), ("treatment", Scope::Treatment), ("adr", Scope::Adr)];
}

/// Which of several applicable Consents decides (C10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    DenyOverrides,
    MostRecent,
}

/// What a denying base denies that no nested provision permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseDeny {
    /// Everything.
    Literal,
    /// Only the purposes that the Consent itself names; everything where it names none.
    OwnPurposes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bases {
    pub treatment: Basis,
    pub operations: Basis,
    pub marketing: Basis,
}

/// What a class of message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    NoDenial,
    Permit,
    Authorization,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    Complete,
    PurposeOnly,
}

/// A standing to sign for a patient (C14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    pub relationship: String,
    pub authority: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    pub email: ChannelRule,
    pub sms: ChannelRule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelRule {
    pub permission: Permission,
    /// Sending hours in the recipient's zone: from, before.
    pub hours: Option<(civil::Time, civil::Time)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    ContactOnFile,
    Permit,
    WrittenPermit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sensitive {
    /// Patterns of value set names, `*` for any text.
    pub valuesets: Vec<String>,
    pub withhold: Withhold,
    pub unresolved: Unresolved,
    /// References of places and services whose resources are sensitive.
    pub places: Vec<String>,
    /// Labels that every resource of a source carries.
    pub sources: Vec<(String, Vec<Label>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withhold {
    All,
    List(Vec<Label>),
}

/// Evidence whose link is not resolved, where a label of the target could be withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unresolved {
    Withhold,
    Ignore,
}

/// Ages of majority in years.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minors {
    pub majority: u8,
    /// By the two letters of a state of residence.
    pub by_state: Vec<(String, u8)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyTimes {
    /// The most by which edges of eligibility move where an audience says nothing.
    pub spread: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    pub stale_after: Span,
    pub on_stale: OnStale,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStale {
    /// Members leave as their leases end.
    Lease,
    ExitNow,
}

/// How counts are shown: none below `least`, the rest rounded to `round`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub least: u32,
    pub round: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlastRadius {
    /// In thousandths of an audience.
    pub share: u32,
    /// Fewer members than this never brake.
    pub least: u32,
}

impl Default for Policy {
    /// What holds where `policy.yaml` is silent: nobody to disclose to, days of UTC.
    fn default() -> Policy {
        let hours = Some((civil::time(8, 0, 0, 0), civil::time(20, 0, 0, 0)));
        Policy {
            organisation: Organisation { name: String::new(), zone: Zone::utc(), references: Vec::new(), identifiers: Vec::new() },
            recipients: Vec::new(),
            consents: ConsentRules { speak: vec![Scope::PatientPrivacy], conflict: Conflict::DenyOverrides, base_deny: BaseDeny::Literal },
            bases: Bases { treatment: Basis::NoDenial, operations: Basis::NoDenial, marketing: Basis::Authorization },
            authorization: Authorization::Complete,
            signers: Vec::new(),
            channels: Channels {
                email: ChannelRule { permission: Permission::ContactOnFile, hours: None },
                sms: ChannelRule { permission: Permission::Permit, hours },
            },
            sensitive: Sensitive {
                valuesets: vec!["sensitive-*".to_owned()],
                withhold: Withhold::All,
                unresolved: Unresolved::Withhold,
                places: Vec::new(),
                sources: Vec::new(),
            },
            minors: Minors {
                majority: 18,
                by_state: [("AL", 19), ("NE", 19), ("MS", 21)].map(|(state, age)| (state.to_owned(), age)).to_vec(),
            },
            lease: Span::days(30),
            times: PolicyTimes { spread: Span::days(3) },
            feed: Feed { stale_after: Span::minutes(15), on_stale: OnStale::Lease },
            hold_after: Span::seconds(5),
            counts: Counts { least: 11, round: 10 },
            blast_radius: BlastRadius { share: 100, least: 1000 },
        }
    }
}

impl Policy {
    pub fn recipient(&self, key: &str) -> Option<&Recipient> {
        self.recipients.iter().find(|recipient| recipient.key == key)
    }
}
