//! Provisions as R4 and R5 write them → `Provision`.
//!
//! In: the JSON of one provision and the effect of its parent. Out: the same as a tree; flags for what is not understood.
//! Never here: a comparison with a question.

use super::codes::{ACT_REASON, ACTION, Label, Meaning, PARTICIPATION, Purpose};
use super::consent::{Action, Actor, Coding, Effect, Provision, Role, Values, What, When};
use super::elements::{Coded, code, coding, concept, has_other_keys, object, objects, text};
use super::read::{identifier, unversioned};
use crate::fhir::Unreadable;
use crate::fhir::json::get;
use crate::time::{Instant, Moment, Zone};
use sonic_rs::Value;

/// Provisions and values of attributes in one Consent; more are refused, so that a decision stays bounded.
pub(super) const PARTS_MAX: usize = 2000;

const PROVISION: &[&str] = &[
    "type",
    "period",
    "actor",
    "action",
    "securityLabel",
    "purpose",
    "class",
    "documentType",
    "resourceType",
    "code",
    "dataPeriod",
    "data",
    "expression",
    "provision",
];

/// What is gathered over one whole Consent.
pub(super) struct Reader<'a> {
    pub zone: &'a Zone,
    /// C9: something that this engine does not support was seen.
    pub unsupported: bool,
    /// Something could not be read.
    pub unread: bool,
    /// The first value that has not the form that FHIR requires, though the rest of the Consent can be read.
    pub malformed: Option<Unreadable>,
    parts_left: usize,
}

impl<'a> Reader<'a> {
    pub fn new(zone: &'a Zone) -> Self {
        Reader { zone, unsupported: false, unread: false, malformed: None, parts_left: PARTS_MAX }
    }

    fn count(&mut self, parts: usize) -> Result<(), Unreadable> {
        let left = self.parts_left.checked_sub(parts);
        self.parts_left = left.ok_or(Unreadable::Element { path: "Consent.provision", why: "has more parts than one consent can need" })?;
        Ok(())
    }

    /// No modifier extension is known here, and an implicit rule set may change what anything means.
    pub fn modifiers(&mut self, element: &Value) -> Result<(), Unreadable> {
        if get(element, "modifierExtension")?.is_some() || get(element, "implicitRules")?.is_some() {
            self.unsupported = true;
        }
        Ok(())
    }

    /// The explicit type. One that cannot be read may have been a denial; nor may provisions beneath it then negate it into a permit.
    pub fn effect(&mut self, provision: &Value) -> Result<Option<Effect>, Unreadable> {
        Ok(match code(provision, "type", "_type")? {
            Coded::Text("permit") => Some(Effect::Permit),
            Coded::Text("deny") => Some(Effect::Deny),
            Coded::Text(_) | Coded::Unread => Some(self.unread_effect()),
            Coded::Absent => None,
        })
    }

    /// A nested provision: its own type, or where it has none the other direction than its parent's.
    pub fn provision(&mut self, value: &Value, parent: Effect) -> Result<Provision, Unreadable> {
        let effect = match (self.effect(value)?, parent) {
            (Some(explicit), _) => explicit,
            (None, Effect::Deny) => Effect::Permit,
            // Under a base that is not computable the direction cannot be told.
            (None, Effect::Permit | Effect::Silent) => Effect::Deny,
        };
        self.provision_with(value, effect)
    }

    pub fn provision_with(&mut self, value: &Value, effect: Effect) -> Result<Provision, Unreadable> {
        self.count(1)?;
        self.modifiers(value)?;
        if has_other_keys(value, PROVISION) || get(value, "expression")?.is_some() {
            self.unsupported = true;
        }
        let mut out = Provision::new(effect);
        out.when = self.period(value, "period")?;
        out.purposes = self.values(objects(value, "purpose")?, |coding| {
            Ok(match self::coding(coding)? {
                (Some(ACT_REASON), Some(code)) => Purpose::named(code),
                _other_system => None,
            })
        })?;
        out.labels = self.values(objects(value, "securityLabel")?, |coding| {
            let (system, code) = self::coding(coding)?;
            Ok(match Label::meaning(system, code) {
                Meaning::Label(label) if label != Label::UNKNOWN => Some(label),
                // A label that is not tracked on resources cannot be matched with them.
                Meaning::Label(_) | Meaning::Harmless => None,
            })
        })?;
        for actor in objects(value, "actor")? {
            self.count(1)?;
            out.actors.known.push(self.actor(actor)?);
        }
        for concept in objects(value, "action")? {
            self.count(1)?;
            out.actions.push(action(concept)?);
        }
        out.what = self.what(value)?;
        let data_period = out.what.as_ref().and_then(|what| what.data_period.as_ref());
        if out.when == When::Unread || data_period == Some(&When::Unread) {
            // Somebody said something here, and for when cannot be told: that is no permit, and may not pass for silence (I9).
            out.effect = self.unread_effect();
        }
        for child in objects(value, "provision")? {
            out.children.push(self.provision(child, effect)?);
        }
        Ok(out)
    }

    /// In place of a direction, or of bounds, that cannot be read: a denial; nothing of the Consent permits any more.
    pub fn unread_effect(&mut self) -> Effect {
        self.unread = true;
        self.unsupported = true;
        Effect::Deny
    }

    fn values<T>(&mut self, items: Vec<&Value>, read: impl Fn(&Value) -> Result<Option<T>, Unreadable>) -> Result<Values<T>, Unreadable> {
        self.count(items.len())?;
        let mut out = Values::absent();
        for item in items {
            match read(item)? {
                Some(value) => out.known.push(value),
                None => out.unread = true,
            }
        }
        self.unread |= out.unread;
        Ok(out)
    }

    /// A Period. A day without a time that ends it means the whole of that day in the organisation's zone (C2).
    pub fn period(&mut self, parent: &Value, key: &'static str) -> Result<When, Unreadable> {
        let Some(period) = object(parent, key)? else { return Ok(When::Always) };
        let start = self.bound(period, "start", "_start")?;
        let end = self.bound(period, "end", "_end")?;
        let when = match (start, end) {
            (Bound::Unread, _) | (_, Bound::Unread) => When::Unread,
            (Bound::Open, Bound::Open) => When::Always,
            (start, end) => {
                let from = if let Bound::At(moment) = start { moment.earliest(self.zone) } else { Instant::BEGIN };
                let to = if let Bound::At(moment) = end { moment.ends(self.zone) } else { Instant::END };
                if from < to { When::Within(from, to) } else { When::Unread }
            }
        };
        if when == When::Unread {
            self.unread = true;
            // Where a bound is no date, that is noted already.
            let why = "has a bound that is not told, or ends before it begins";
            self.malformed.get_or_insert(Unreadable::Element { path: "Consent.provision.period", why });
        }
        Ok(when)
    }

    fn bound(&mut self, period: &Value, key: &'static str, hidden: &'static str) -> Result<Bound, Unreadable> {
        Ok(match code(period, key, hidden)? {
            Coded::Absent => Bound::Open,
            Coded::Unread => Bound::Unread,
            Coded::Text(text) => match Moment::parse(text) {
                Ok(moment) => Bound::At(moment),
                Err(_) => {
                    self.malformed.get_or_insert(Unreadable::Element { path: "Consent.provision.period", why: "is not a period" });
                    Bound::Unread
                }
            },
        })
    }

    fn actor(&mut self, value: &Value) -> Result<Actor, Unreadable> {
        self.modifiers(value)?;
        let role = match object(value, "role")? {
            None => Role::Recipient,
            Some(role) => self::role(&concept(role)?),
        };
        let (mut reference, mut known) = (None, None);
        if let Some(target) = object(value, "reference")? {
            reference = text(target, "reference")?.map(|text| unversioned(text).into());
            known = match object(target, "identifier")? {
                Some(value) => identifier(value)?,
                None => None,
            };
        }
        Ok(Actor { role, reference, identifier: known })
    }

    /// Attributes whose rules are not built yet: with one of them the Consent cannot permit (C9).
    fn what(&mut self, value: &Value) -> Result<Option<Box<What>>, Unreadable> {
        let mut what = What {
            classes: self.codings(objects(value, "class")?)?,
            document_types: self.codings(objects(value, "documentType")?)?,
            resource_types: self.codings(objects(value, "resourceType")?)?,
            ..What::default()
        };
        for concept in objects(value, "code")? {
            let codings = self.codings(objects(concept, "coding")?)?;
            what.codes.push(codings);
        }
        for data in objects(value, "data")? {
            self.count(1)?;
            self.modifiers(data)?;
            let target = match object(data, "reference")? {
                Some(reference) => text(reference, "reference")?,
                None => None,
            };
            what.data.push((text(data, "meaning")?.unwrap_or_default().into(), target.unwrap_or_default().into()));
        }
        if get(value, "dataPeriod")?.is_some() {
            what.data_period = Some(self.period(value, "dataPeriod")?);
        }
        let absent = what == What::default();
        self.unsupported |= !absent;
        Ok((!absent).then(|| Box::new(what)))
    }

    fn codings(&mut self, items: Vec<&Value>) -> Result<Vec<Coding>, Unreadable> {
        self.count(items.len())?;
        let one = |item| {
            let (system, code) = coding(item)?;
            Ok(Coding { system: system.unwrap_or_default().into(), code: code.unwrap_or_default().into() })
        };
        items.into_iter().map(one).collect()
    }
}

enum Bound {
    Open,
    At(Moment),
    Unread,
}

/// C15. Codings of one concept are translations of each other: where known ones disagree, the role is not known.
fn role(codings: &[(Option<&str>, Option<&str>)]) -> Role {
    let mut role = Role::Unknown;
    for coding in codings {
        let this = match coding {
            (Some(PARTICIPATION), Some("IRCP" | "PRCP")) => Role::Recipient,
            (Some(PARTICIPATION), Some("CST" | "AUT")) => Role::Discloser,
            // Another role of the same system contradicts; a code of another system may be a translation.
            (Some(PARTICIPATION), _) => return Role::Unknown,
            _translation => continue,
        };
        if role != Role::Unknown && role != this {
            return Role::Unknown;
        }
        role = this;
    }
    role
}

fn action(concept_value: &Value) -> Result<Action, Unreadable> {
    let found = concept(concept_value)?.into_iter().find_map(|coding| match coding {
        (Some(ACTION), Some("collect")) => Some(Action::Collect),
        (Some(ACTION), Some("access")) => Some(Action::Access),
        (Some(ACTION), Some("use")) => Some(Action::Use),
        (Some(ACTION), Some("disclose")) => Some(Action::Disclose),
        (Some(ACTION), Some("correct")) => Some(Action::Correct),
        _unknown => None,
    });
    Ok(found.unwrap_or(Action::Unknown))
}
