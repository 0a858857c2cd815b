//! `read`: a FHIR Consent → `Consent`. Three dialects: D1 (the R4 text), D2 (IHE PCF, HL7 FAST), D3 (R5).
//!
//! In: the JSON of one Consent and the organisation's zone. Out: the compact form, or why it cannot be read at all.
//! Never here: a decision; or a part dropped because it is not known: it leaves a flag.

use super::codes::{ACT_CODE, CATEGORY, SCOPE};
use super::consent::{Body, Consent, Effect, Provision, Status, Subject, When};
use super::elements::{Coded, code, concept, has_other_keys, object, objects, one_or_more, text};
use super::policy::{Identifier, Scope};
use super::read_provision::Reader;
use crate::fhir::Unreadable;
use crate::fhir::json::get;
use crate::time::{Instant, Moment, Zone};
use smallvec::SmallVec;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// Elements of Consent in R4, R4B and R5. Any other means that the Consent cannot permit (C9).
const ELEMENTS: &[&str] = &[
    "resourceType",
    "meta",
    "language",
    "text",
    "contained",
    "identifier",
    "status",
    "scope",
    "category",
    "patient",
    "dateTime",
    "performer",
    "organization",
    "sourceAttachment",
    "sourceReference",
    "policy",
    "policyRule",
    "verification",
    "provision",
    "subject",
    "date",
    "period",
    "grantor",
    "grantee",
    "manager",
    "controller",
    "regulatoryBasis",
    "policyBasis",
    "policyText",
    "decision",
];

/// Reads one Consent; times without a zone are `zone`'s. An error means that nothing can be told:
/// the caller keeps [`Consent::unreadable`] in its place. Values that are not known are no errors: they leave flags.
pub fn read(resource: &Value, zone: &Zone) -> Result<Consent, Unreadable> {
    read_noting(resource, zone).map(|(consent, _)| consent)
}

/// As [`read`], with what makes the record one for quarantine all the same: a date that is none leaves a flag in the
/// Consent, and somebody has to hear of it.
pub fn read_noting(resource: &Value, zone: &Zone) -> Result<(Consent, Option<Unreadable>), Unreadable> {
    if resource.as_object().is_none() {
        return Err(Unreadable::Element { path: "Consent", why: "is not an object" });
    }
    if text(resource, "resourceType")? != Some("Consent") {
        return Err(Unreadable::Element { path: "resourceType", why: "is not Consent" });
    }
    let mut reader = Reader::new(zone);
    reader.modifiers(resource)?;
    if has_other_keys(resource, ELEMENTS) {
        reader.unsupported = true;
    }
    let status = status(resource)?;
    let base = base(resource, &mut reader)?;
    let patient = [object(resource, "patient")?, object(resource, "subject")?];
    for reference in patient.into_iter().flatten() {
        let target = text(reference, "reference")?.unwrap_or_default();
        // A Group, or whoever is no patient: whom it binds cannot be told.
        let kind = text(reference, "type")?;
        let is_urn = target.is_empty() || target.starts_with("urn:") || target.starts_with('#');
        if kind.is_some_and(|kind| kind != "Patient") || !(is_urn || target.split('/').any(|part| part == "Patient")) {
            reader.unsupported = true;
        }
    }
    let (signed_by_patient, other_signers) = signers(resource, patient)?;
    let body = Body {
        status,
        subject: subject(resource)?,
        root: base.root,
        root_is_base: base.root_is_base,
        opaque: base.opaque,
        id: text(resource, "id")?.unwrap_or_default().into(),
        identifiers: identifiers(resource)?,
        sources: references(&one_or_more(resource, "sourceReference")?)?,
        date: date(resource, &mut reader)?,
        signed_by_patient,
        other_signers,
        documented: documented(resource)?,
        unsupported: reader.unsupported,
        unread: reader.unread || status == Status::Unread || base.opaque,
    };
    Ok((Consent::new(body), reader.malformed))
}

fn status(resource: &Value) -> Result<Status, Unreadable> {
    Ok(match code(resource, "status", "_status")? {
        Coded::Text("active") => Status::Active,
        Coded::Text("inactive") => Status::Inactive,
        Coded::Text("draft" | "proposed" | "rejected" | "not-done" | "entered-in-error" | "unknown") => Status::NotInForce,
        Coded::Text(_) | Coded::Absent | Coded::Unread => Status::Unread,
    })
}

struct Base {
    root: Provision,
    root_is_base: bool,
    opaque: bool,
}

impl Base {
    /// No dialect that we know: it denies, within no bounds.
    fn opaque() -> Base {
        Base { root: Provision::new(Effect::Deny), root_is_base: true, opaque: true }
    }
}

fn base(resource: &Value, reader: &mut Reader) -> Result<Base, Unreadable> {
    let provision = get(resource, "provision")?;
    let rule = get(resource, "policyRule")?;
    let is_list = provision.is_some_and(|value| value.as_array().is_some());
    let decision = code(resource, "decision", "_decision")?;
    let is_r5 =
        is_list || !matches!(decision, Coded::Absent) || (provision.is_none() && rule.is_none() && get(resource, "subject")?.is_some());
    let is_r4 = rule.is_some() || (provision.is_some() && !is_list);
    // `except` and a policyRule that is a text are of STU3.
    let is_older = get(resource, "except")?.is_some() || rule.is_some_and(|rule| rule.as_str().is_some());
    if is_older || (is_r4 && is_r5) {
        return Ok(Base::opaque());
    }
    if is_r5 { base_r5(resource, decision, reader) } else { base_r4(resource, rule, reader) }
}

/// D3: the decision is the base; each level of provisions without a type negates its parent.
fn base_r5(resource: &Value, decision: Coded, reader: &mut Reader) -> Result<Base, Unreadable> {
    let effect = match decision {
        Coded::Text("permit") => Effect::Permit,
        Coded::Text("deny") => Effect::Deny,
        Coded::Text(_) | Coded::Unread => {
            // A decision that cannot be read may have been a denial.
            reader.unread_effect()
        }
        Coded::Absent => {
            reader.unsupported = true;
            Effect::Silent
        }
    };
    let mut root = Provision::new(effect);
    root.when = reader.period(resource, "period")?;
    if root.when == When::Unread {
        root.effect = reader.unread_effect();
    }
    for child in objects(resource, "provision")? {
        root.children.push(reader.provision(child, effect)?);
    }
    Ok(Base { root, root_is_base: true, opaque: false })
}

/// D2 where the root provision has a type, D1 where the policyRule gives the direction. Where both do and disagree: deny.
fn base_r4(resource: &Value, rule: Option<&Value>, reader: &mut Reader) -> Result<Base, Unreadable> {
    let rule_effect = match rule {
        Some(rule) => directive(rule)?,
        None => Effect::Silent,
    };
    let provision = object(resource, "provision")?;
    let typed = match provision {
        Some(provision) => reader.effect(provision)?,
        None => None,
    };
    let (effect, root_is_base) = match (typed, rule_effect) {
        (Some(typed), Effect::Silent) => (typed, false),
        (Some(typed), rule) if typed == rule => (typed, false),
        (Some(_), _disagrees) => (Effect::Deny, true),
        (None, rule) => (rule, true),
    };
    if effect == Effect::Silent {
        reader.unsupported = true;
    }
    let root = match provision {
        Some(provision) => reader.provision_with(provision, effect)?,
        None => Provision::new(effect),
    };
    if typed.is_some() && rule_effect == Effect::Deny {
        // The rule denies within the Consent's period; that the provision below it is narrower takes nothing of that back.
        let base = Provision { when: root.when, children: vec![root], ..Provision::new(Effect::Deny) };
        return Ok(Base { root: base, root_is_base: true, opaque: false });
    }
    Ok(Base { root, root_is_base, opaque: false })
}

/// The direction of a policyRule. Codes that are no directive only name the basis. A denial counts whatever its system:
/// a denial lost for want of a system would permit.
fn directive(rule: &Value) -> Result<Effect, Unreadable> {
    if rule.as_object().is_none() {
        return Err(Unreadable::Element { path: "policyRule", why: "is not an object" });
    }
    let mut effect = Effect::Silent;
    for (system, code) in concept(rule)? {
        match code {
            Some("OPTOUT" | "OPTOUTE" | "NOCONSENT") => return Ok(Effect::Deny),
            Some("OPTIN" | "OPTINR") if system == Some(ACT_CODE) => effect = Effect::Permit,
            _names_the_basis => {}
        }
    }
    Ok(effect)
}

/// C0. R4 says it in `scope`; R5 says it in `category`, with the same codes.
fn subject(resource: &Value) -> Result<Subject, Unreadable> {
    let mut subject = Subject { scopes: SmallVec::new(), other: false, unreadable: false };
    let mut concepts = objects(resource, "category")?;
    concepts.extend(object(resource, "scope")?);
    for value in concepts {
        for (system, code) in concept(value)? {
            match (system, code) {
                (Some(SCOPE), Some(code)) => {
                    subject.scopes.extend(Scope::CODES.iter().filter(|(name, _)| *name == code).map(|(_, scope)| *scope));
                }
                (Some(CATEGORY), Some("acd" | "dnr" | "hcd" | "polst" | "research" | "rsdid" | "rsreid")) => subject.other = true,
                (Some(ACT_CODE), Some("RESEARCH")) => subject.other = true,
                _says_nothing => {}
            }
        }
    }
    Ok(subject)
}

fn date(resource: &Value, reader: &mut Reader) -> Result<Option<(Instant, Instant)>, Unreadable> {
    let Some(written) = text(resource, "dateTime")?.or(text(resource, "date")?) else { return Ok(None) };
    match Moment::parse(written) {
        Ok(moment) => Ok(Some((moment.earliest(reader.zone), moment.past(reader.zone)))),
        Err(_) => {
            reader.unread = true;
            reader.malformed.get_or_insert(Unreadable::Element { path: "Consent.dateTime", why: "is not a date" });
            Ok(None)
        }
    }
}

fn identifiers(resource: &Value) -> Result<SmallVec<[Identifier; 1]>, Unreadable> {
    objects(resource, "identifier")?.into_iter().filter_map(|value| identifier(value).transpose()).collect()
}

/// An identifier with both system and value; with one of them it identifies nothing.
pub(super) fn identifier(value: &Value) -> Result<Option<Identifier>, Unreadable> {
    Ok(match (text(value, "system")?, text(value, "value")?) {
        (Some(system), Some(value)) if !value.is_empty() => Some(Identifier { system: system.to_owned(), value: value.to_owned() }),
        _half => None,
    })
}

fn references<A: smallvec::Array<Item = Box<str>>>(values: &[&Value]) -> Result<SmallVec<A>, Unreadable> {
    values.iter().filter_map(|value| text(value, "reference").map(|found| found.map(Box::from)).transpose()).collect()
}

type OtherSigners = SmallVec<[Box<str>; 0]>;

/// Who agreed: `performer` in R4, `grantor` in R5. Whether it was the patient, and the references of all others.
fn signers(resource: &Value, patient: [Option<&Value>; 2]) -> Result<(bool, OtherSigners), Unreadable> {
    let mut by_patient = false;
    let mut others = Vec::new();
    let mut all = objects(resource, "performer")?;
    all.extend(objects(resource, "grantor")?);
    for signer in all {
        let mut is_patient = false;
        for patient in patient.into_iter().flatten() {
            is_patient |= same_target(signer, patient)?;
        }
        match is_patient {
            true => by_patient = true,
            false => others.push(signer),
        }
    }
    Ok((by_patient, references(&others)?))
}

fn same_target(a: &Value, b: &Value) -> Result<bool, Unreadable> {
    if let (Some(a), Some(b)) = (text(a, "reference")?, text(b, "reference")?) {
        return Ok(!a.is_empty() && unversioned(a) == unversioned(b));
    }
    let of = |value| Ok(object(value, "identifier")?.map(identifier).transpose()?.flatten());
    let (a, b): (Option<Identifier>, Option<Identifier>) = (of(a)?, of(b)?);
    Ok(a.is_some() && a == b)
}

/// A reference without the version that it may name.
pub(super) fn unversioned(reference: &str) -> &str {
    reference.split_once("/_history/").map_or(reference, |(target, _)| target)
}

/// A source, or a verification that was done: `verified` and not merely planned.
fn documented(resource: &Value) -> Result<bool, Unreadable> {
    if !one_or_more(resource, "sourceAttachment")?.is_empty() || !one_or_more(resource, "sourceReference")?.is_empty() {
        return Ok(true);
    }
    for verification in objects(resource, "verification")? {
        if get(verification, "verified")?.and_then(sonic_rs::JsonValueTrait::as_bool) == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}
