//! `Peek`: what one pass over a resource's top level tells, without a tree.
//!
//! In: a resource's bytes. Out: type, id, version, who it is about, what it refers to, where its elements lie.
//! Never here: proof that the elements passed over are valid. What is read here is read strictly; the rest only as far as [`Scan`] does.

use super::compartment::{self, Element};
use super::json::Unreadable;
use super::members::{Member, Members, members};
use super::reference::{self, Target, target};
use super::scan::Scan;
use crate::time::Instant;
use smallvec::SmallVec;
use std::borrow::Cow;

pub struct Peek<'a> {
    pub kind: Cow<'a, str>,
    pub id: Option<Cow<'a, str>>,
    /// `meta.versionId`.
    pub version_id: Option<Cow<'a, str>>,
    /// `meta.lastUpdated`.
    pub last_updated: Option<Instant>,
    /// What is wrong with `meta`, where something is: whose resource it is can be told all the same.
    pub meta_unreadable: Option<Unreadable>,
    /// `meta.security` is there: labels are to be read.
    pub security: bool,
    /// Texts of the references that say who it is about, as they stand: of a Patient, or of what only its Bundle can
    /// resolve. A Patient is about itself, as `Patient/<id>`.
    pub patients: SmallVec<[Cow<'a, str>; 1]>,
    /// An element that says who it is about has a reference that cannot be followed: by identifier, contained, or unclear.
    pub patients_unclear: bool,
    bytes: &'a [u8],
    members: Members<'a>,
}

/// Why a link matters: the labels of its target ride on whatever points there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    Encounter,
    Reason,
    Medication,
    PartOf,
}

pub struct Link<'a> {
    pub kind: LinkKind,
    /// `None`: by identifier or display only; it cannot be followed.
    pub text: Option<Cow<'a, str>>,
}

/// Reads the top level. Costs about a quarter of a parse.
///
/// # Errors
/// Not one whole JSON object; not UTF-8; nested too deep; no usable `resourceType`; a key that is read here stands twice;
/// `id` or an element of the patient compartment has a form that FHIR does not have.
pub fn peek(bytes: &[u8]) -> Result<Peek<'_>, Unreadable> {
    check_text(bytes)?;
    let members = members(bytes)?;
    let (mut kind, mut id, mut meta) = (None, None, None);
    for member in &members {
        let start = member.start as usize;
        match member.key {
            b"resourceType" => once(&mut kind, start, "resourceType")?,
            b"id" => once(&mut id, start, "id")?,
            b"meta" => once(&mut meta, start, "meta")?,
            _ => {}
        }
    }
    let mut peek = Peek {
        kind: kind_at(bytes, kind)?,
        id: id.map(|at| id_at(bytes, at)).transpose()?,
        version_id: None,
        last_updated: None,
        meta_unreadable: None,
        security: false,
        patients: SmallVec::new(),
        patients_unclear: false,
        bytes,
        members,
    };
    if let Some(at) = meta {
        peek.meta_unreadable = peek.read_meta(at).err();
    }
    peek.read_patients()?;
    Ok(peek)
}

/// The type alone, as soon as it is met: to tell a Bundle from a resource without passing over its entries.
pub fn kind(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable::Empty);
    }
    let mut scan = Scan::new(bytes);
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        if key == b"resourceType" {
            scan.ahead()?;
            return kind_at(bytes, Some(scan.at()));
        }
        scan.skip()?;
    }
    kind_at(bytes, None)
}

pub(super) fn check_text(bytes: &[u8]) -> Result<(), Unreadable> {
    if bytes.len() > u32::MAX as usize {
        return Err(Unreadable::TooLong { bytes: bytes.len(), most: u32::MAX as usize });
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable::Empty);
    }
    if !bytes.is_ascii() {
        std::str::from_utf8(bytes).map_err(|e| Unreadable::NotUtf8 { offset: e.valid_up_to() })?;
    }
    Ok(())
}

pub(super) fn once<T>(slot: &mut Option<T>, value: T, key: &'static str) -> Result<(), Unreadable> {
    if slot.replace(value).is_some() { Err(Unreadable::Duplicate { key }) } else { Ok(()) }
}

pub(super) fn kind_at(bytes: &[u8], at: Option<usize>) -> Result<Cow<'_, str>, Unreadable> {
    let wrong = |why| Unreadable::Element { path: "resourceType", why };
    let at = at.ok_or(wrong("is missing; it is no FHIR resource"))?;
    let kind = Scan::from(bytes, at).text()?.ok_or(wrong("is not a string"))?;
    if reference::is_type_name(&kind) { Ok(kind) } else { Err(wrong("is not the name of a type")) }
}

pub(super) fn id_at(bytes: &[u8], at: usize) -> Result<Cow<'_, str>, Unreadable> {
    let wrong = |why| Unreadable::Element { path: "id", why };
    let id = Scan::from(bytes, at).text()?.ok_or(wrong("is not a string"))?;
    if reference::is_id(&id) { Ok(id) } else { Err(wrong("is not an id of FHIR")) }
}

impl<'a> Peek<'a> {
    /// The bytes of one top-level element. A name that stands twice is unreadable.
    pub fn element(&self, name: &str) -> Result<Option<&'a [u8]>, Unreadable> {
        Ok(self.find(name, "an element that a definition reads")?.map(|(start, end)| &self.bytes[start..end]))
    }

    /// The whole resource.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Every top-level element, with its bytes, as they stand.
    pub fn elements(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.members.iter().map(|member| (member.key, &self.bytes[member.start as usize..member.end as usize]))
    }

    fn find(&self, name: &str, called: &'static str) -> Result<Option<(usize, usize)>, Unreadable> {
        let mut found = None;
        for Member { key, start, end } in &self.members {
            if *key == name.as_bytes() {
                once(&mut found, (*start as usize, *end as usize), called)?;
            }
        }
        Ok(found)
    }

    fn read_meta(&mut self, at: usize) -> Result<(), Unreadable> {
        let wrong = |path, why| Unreadable::Element { path, why };
        let bytes = self.bytes;
        let mut scan = Scan::from(bytes, at);
        if scan.ahead()? != b'{' {
            return Err(wrong("meta", "is not an object"));
        }
        scan.enter(b'{')?;
        let mut updated = None;
        while let Some(key) = scan.key()? {
            match key {
                b"versionId" => {
                    let text = scan.text()?.ok_or(wrong("meta.versionId", "is not a string"))?;
                    once(&mut self.version_id, text, "versionId")?;
                }
                b"lastUpdated" => {
                    let text = scan.text()?.ok_or(wrong("meta.lastUpdated", "is not a string"))?;
                    let instant = Instant::parse(&text).map_err(|_| wrong("meta.lastUpdated", "is not an instant"))?;
                    once(&mut updated, instant, "lastUpdated")?;
                }
                b"security" => {
                    if self.security {
                        return Err(Unreadable::Duplicate { key: "security" });
                    }
                    self.security = true;
                    scan.skip()?;
                }
                _ => {
                    scan.skip()?;
                }
            }
        }
        self.last_updated = updated;
        Ok(())
    }

    fn read_patients(&mut self) -> Result<(), Unreadable> {
        if self.kind == "Patient" {
            let id = self.id.as_ref().map(|id| Cow::Owned(format!("Patient/{id}")));
            self.patients.extend(id);
            return Ok(());
        }
        for element in compartment::elements(&self.kind) {
            let Some((start, _)) = self.find(element.name, element.name)? else { continue };
            let mut scan = Scan::from(self.bytes, start);
            let (patients, unclear) = (&mut self.patients, &mut self.patients_unclear);
            each_reference(&mut scan, element, &mut |text| {
                let Some(text) = text else {
                    *unclear = true;
                    return;
                };
                match target(&text) {
                    Target::Resource(to) if to.kind != "Patient" => {}
                    Target::Conditional { kind, .. } if kind != "Patient" => {}
                    Target::Resource(_) | Target::Uuid(_) | Target::Conditional { .. } => {
                        if !patients.contains(&text) {
                            patients.push(text);
                        }
                    }
                    Target::Contained(_) | Target::Logical | Target::Unclear => *unclear = true,
                }
            })?;
        }
        Ok(())
    }

    /// What its labels also come from: R4's `encounter`, `context`, `reasonReference`, `medicationReference`, `partOf`,
    /// R5's CodeableReferences `reason` and `medication`, what a CarePlan `addresses`, an Encounter's `diagnosis`.
    pub fn links(&self) -> Result<SmallVec<[Link<'a>; 2]>, Unreadable> {
        let mut links = SmallVec::new();
        let mut seen = 0u16;
        for Member { key, start, .. } in &self.members {
            let Some((number, (element, kind))) = link_element(key) else { continue };
            if seen & 1 << number != 0 {
                return Err(Unreadable::Duplicate { key: element.name });
            }
            seen |= 1 << number;
            let mut scan = Scan::from(self.bytes, *start as usize);
            each_reference(&mut scan, &element, &mut |text| links.push(Link { kind, text }))?;
        }
        Ok(links)
    }
}

fn link_element(key: &[u8]) -> Option<(u16, (Element, LinkKind))> {
    let direct = |name| Element { name, inner: None };
    let within = |name, inner| Element { name, inner: Some(inner) };
    Some(match key {
        b"encounter" => (0, (direct("encounter"), LinkKind::Encounter)),
        b"context" => (1, (direct("context"), LinkKind::Encounter)),
        b"reasonReference" => (2, (direct("reasonReference"), LinkKind::Reason)),
        b"reason" => (3, (direct("reason"), LinkKind::Reason)),
        b"addresses" => (4, (direct("addresses"), LinkKind::Reason)),
        b"diagnosis" => (5, (within("diagnosis", "condition"), LinkKind::Reason)),
        b"medicationReference" => (6, (direct("medicationReference"), LinkKind::Medication)),
        b"medication" => (7, (direct("medication"), LinkKind::Medication)),
        b"partOf" => (8, (direct("partOf"), LinkKind::PartOf)),
        _ => return None,
    })
}

/// Calls `found` with each reference under an element: a Reference, a CodeableReference, or a list of either.
/// `None` stands for a Reference without a text; a CodeableReference that only has a concept refers to nothing.
fn each_reference<'a>(scan: &mut Scan<'a>, element: &Element, found: &mut impl FnMut(Option<Cow<'a, str>>)) -> Result<(), Unreadable> {
    let wrong = || Unreadable::Element { path: element.name, why: "is not a reference" };
    match scan.ahead()? {
        b'{' => match element.inner {
            None => one_reference(scan, element.name, found),
            Some(inner) => inner_reference(scan, inner, found),
        },
        b'[' => {
            scan.enter(b'[')?;
            while scan.item()? {
                match (scan.ahead()?, element.inner) {
                    (b'{', None) => one_reference(scan, element.name, found)?,
                    (b'{', Some(inner)) => inner_reference(scan, inner, found)?,
                    _ => return Err(wrong()),
                }
            }
            Ok(())
        }
        _ => Err(wrong()),
    }
}

fn inner_reference<'a>(scan: &mut Scan<'a>, inner: &'static str, found: &mut impl FnMut(Option<Cow<'a, str>>)) -> Result<(), Unreadable> {
    let mut seen = None;
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        if key == inner.as_bytes() {
            once(&mut seen, (), inner)?;
            each_reference(scan, &Element { name: inner, inner: None }, found)?;
        } else {
            scan.skip()?;
        }
    }
    Ok(())
}

fn one_reference<'a>(scan: &mut Scan<'a>, name: &'static str, found: &mut impl FnMut(Option<Cow<'a, str>>)) -> Result<(), Unreadable> {
    let wrong = || Unreadable::Element { path: name, why: "is not a reference" };
    let (mut text, mut nested, mut other) = (None, false, false);
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        match key {
            b"reference" if scan.ahead()? == b'{' => {
                once(&mut text, None, "reference")?;
                nested = true;
                one_reference(scan, name, found)?;
            }
            b"reference" => {
                let value = scan.text()?.ok_or_else(wrong)?;
                once(&mut text, Some(value), "reference")?;
            }
            // R5's Encounter.reason and R4's DocumentReference.context hold their references one level down.
            b"value" if name == "reason" && scan.ahead()? == b'[' => {
                nested = true;
                each_reference(scan, &Element { name, inner: None }, found)?;
            }
            b"encounter" if name == "context" => {
                nested = true;
                each_reference(scan, &Element { name, inner: None }, found)?;
            }
            // A CodeableReference or CodeableConcept that names no resource; the other parts of those two.
            b"concept" | b"coding" | b"text" | b"use" | b"event" | b"period" | b"facilityType" | b"practiceSetting" => {
                other = true;
                scan.skip()?;
            }
            _ => {
                scan.skip()?;
            }
        }
    }
    match text {
        Some(Some(text)) => found(Some(text)),
        _ if nested || other => {}
        _ => found(None),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(text: &str) -> (Vec<String>, bool) {
        let peek = peek(text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
        (peek.patients.iter().map(std::string::ToString::to_string).collect(), peek.patients_unclear)
    }

    #[test]
    fn the_patient_is_found_in_each_release() {
        for (text, patients, unclear) in [
            (r#"{"resourceType":"Patient","id":"7"}"#, &["Patient/7"][..], false),
            (r#"{"resourceType":"Patient"}"#, &[], false),
            (
                r#"{"subject":{"reference":"Patient/1"},"resourceType":"Observation","performer":[{"reference":"Patient/2"}]}"#,
                &["Patient/1"],
                false,
            ),
            (r#"{"resourceType":"Observation","subject":{"reference":"Location/1"}}"#, &[], false),
            (r#"{"resourceType":"Immunization","patient":{"reference":"urn:uuid:a"}}"#, &["urn:uuid:a"], false),
            (
                r#"{"resourceType":"Consent","subject":{"reference":"https://h/fhir/Patient/1/_history/3"}}"#,
                &["https://h/fhir/Patient/1/_history/3"],
                false,
            ),
            (r#"{"resourceType":"Consent","patient":{"identifier":{"value":"9"}}}"#, &[], true),
            (r##"{"resourceType":"Consent","patient":{"reference":"#p"}}"##, &[], true),
            (
                r#"{"resourceType":"Appointment","participant":[{"actor":{"reference":"Practitioner/1"}},{"status":"accepted","actor":{"reference":"Patient/1"}}]}"#,
                &["Patient/1"],
                false,
            ),
            (
                r#"{"resourceType":"Appointment","subject":{"reference":"Patient/1"},"participant":[{"actor":{"reference":"Patient/1"}}]}"#,
                &["Patient/1"],
                false,
            ),
            (
                r#"{"resourceType":"Coverage","beneficiary":{"reference":"Patient/1"},"subscriber":{"reference":"Patient/2"}}"#,
                &["Patient/1"],
                false,
            ),
            (r#"{"resourceType":"ResearchSubject","individual":{"reference":"Patient/1"}}"#, &["Patient/1"], false),
            (r#"{"resourceType":"Task","for":{"reference":"Patient/1"}}"#, &["Patient/1"], false),
            (
                r#"{"resourceType":"Account","subject":[{"reference":"Patient/1"},{"reference":"Patient/2"}]}"#,
                &["Patient/1", "Patient/2"],
                false,
            ),
            (r#"{"resourceType":"Organization","partOf":{"reference":"Organization/2"}}"#, &[], false),
            (r#"{"resourceType":"Telepathy","subject":{"reference":"Patient\/1"}}"#, &["Patient/1"], false),
            (r#"{"resourceType":"Encounter","subject":{"reference":"Patient?identifier=s|1"}}"#, &["Patient?identifier=s|1"], false),
        ] {
            assert_eq!(about(text), (patients.iter().map(std::string::ToString::to_string).collect(), unclear), "{text}");
        }
    }

    #[test]
    fn meta_and_elements_are_read_and_a_label_is_seen() {
        let text = br#"{"resourceType":"Observation","id":"o-1","meta":{"versionId":"3","lastUpdated":"2026-03-01T10:00:00.5+01:00","security":[{"code":"R"}]},"code":{"coding":[{"code":"1"}]}}"#;
        let peek = peek(text).expect("a resource");
        assert_eq!((&*peek.kind, peek.id.as_deref(), peek.version_id.as_deref()), ("Observation", Some("o-1"), Some("3")));
        assert_eq!(peek.last_updated.map(|i| i.to_string()).as_deref(), Some("2026-03-01T09:00:00.5Z"));
        assert!(peek.security);
        assert_eq!(peek.element("code").expect("once"), Some(&br#"{"coding":[{"code":"1"}]}"#[..]));
        assert_eq!(peek.element("status").expect("once"), None);
    }

    #[test]
    fn links_of_each_release() {
        for (text, expected) in [
            (r#""encounter":{"reference":"Encounter/1"}"#, vec![(LinkKind::Encounter, Some("Encounter/1"))]),
            (r#""context":{"reference":"Encounter/1"}"#, vec![(LinkKind::Encounter, Some("Encounter/1"))]),
            (r#""context":{"encounter":[{"reference":"Encounter/1"}],"period":{}}"#, vec![(LinkKind::Encounter, Some("Encounter/1"))]),
            (
                r#""reasonReference":[{"reference":"Condition/1"},{"identifier":{"value":"2"}}]"#,
                vec![(LinkKind::Reason, Some("Condition/1")), (LinkKind::Reason, None)],
            ),
            (
                r#""reason":[{"reference":{"reference":"Condition/1"}},{"concept":{"text":"x"}}]"#,
                vec![(LinkKind::Reason, Some("Condition/1"))],
            ),
            (r#""reason":[{"use":[],"value":[{"reference":{"reference":"Condition/1"}}]}]"#, vec![(LinkKind::Reason, Some("Condition/1"))]),
            (r#""diagnosis":[{"condition":{"reference":"Condition/1"}}]"#, vec![(LinkKind::Reason, Some("Condition/1"))]),
            (r#""diagnosis":[{"condition":[{"reference":{"reference":"Condition/1"}}]}]"#, vec![(LinkKind::Reason, Some("Condition/1"))]),
            (r#""medication":{"reference":{"reference":"Medication/1"}}"#, vec![(LinkKind::Medication, Some("Medication/1"))]),
            (r#""medicationReference":{"reference":"Medication/1"}"#, vec![(LinkKind::Medication, Some("Medication/1"))]),
            (r#""partOf":[{"reference":"Procedure/1"}]"#, vec![(LinkKind::PartOf, Some("Procedure/1"))]),
            (r#""medicationCodeableConcept":{"text":"x"}"#, vec![]),
        ] {
            let whole = format!(r#"{{"resourceType":"Procedure",{text}}}"#);
            let peek = peek(whole.as_bytes()).expect("a resource");
            let links = peek.links().expect("links");
            let links: Vec<_> = links.iter().map(|link| (link.kind, link.text.as_deref())).collect();
            assert_eq!(links, expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_trusted_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("[]", "not JSON at line 1, column 1"),
            ("{}", "`resourceType` is missing; it is no FHIR resource"),
            (r#"{"resourceType":7}"#, "`resourceType` is not a string"),
            (r#"{"resourceType":"a b"}"#, "`resourceType` is not the name of a type"),
            (r#"{"resourceType":"Patient","resourceType":"Consent"}"#, "the key `resourceType` stands twice in one object"),
            (r#"{"resourceType":"Patient","id":"1","id":"2"}"#, "the key `id` stands twice in one object"),
            (r#"{"resourceType":"Patient","id":"a/b"}"#, "`id` is not an id of FHIR"),
            (r#"{"resourceType":"Consent","patient":"Patient/1"}"#, "`patient` is not a reference"),
            (
                r#"{"resourceType":"Consent","patient":{"reference":"Patient/1"},"patient":{"reference":"Patient/2"}}"#,
                "the key `patient` stands twice in one object",
            ),
            (
                r#"{"resourceType":"Consent","patient":{"reference":"Patient/1","reference":"Patient/2"}}"#,
                "the key `reference` stands twice in one object",
            ),
            (r#"{"resourceType":"Patient","\u0069d":"1"}"#, "`(a key)` is written with escapes; write it plainly"),
            (r#"{"resourceType":"Patient"} x"#, "not JSON at line 1, column 28"),
        ] {
            assert_eq!(peek(text.as_bytes()).err().map(|e| e.to_string()).as_deref(), Some(reason), "{text}");
        }
        for (meta, reason) in [
            (r#"{"lastUpdated":"2026-02-30T00:00:00Z"}"#, "`meta.lastUpdated` is not an instant"),
            (r#"{"lastUpdated":"2026-02-03"}"#, "`meta.lastUpdated` is not an instant"),
            (r#"{"versionId":1}"#, "`meta.versionId` is not a string"),
            ("[]", "`meta` is not an object"),
        ] {
            // Whose it is can be told all the same.
            let text = format!(r#"{{"meta":{meta},"resourceType":"Consent","patient":{{"reference":"Patient/1"}}}}"#);
            let peek = peek(text.as_bytes()).expect("the rest is whole");
            assert_eq!(peek.meta_unreadable.map(|e| e.to_string()).as_deref(), Some(reason));
            assert_eq!(peek.patients.as_slice(), ["Patient/1"]);
        }
        let twice = br#"{"resourceType":"Observation","code":{},"code":{}}"#;
        assert!(matches!(peek(twice).expect("not read").element("code"), Err(Unreadable::Duplicate { .. })));
    }
}
