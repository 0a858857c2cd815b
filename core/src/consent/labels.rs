//! Security labels: what a resource carries, and what a consent or the policy withholds.
//!
//! In: `meta.security` of a resource. Out: a small set of labels, and whether it may be disclosed.
//! Never here: a label that is dropped because it is not known; unknown labels are kept as such and withheld.

use super::codes::{Kind, Label, Meaning};
use super::policy::{Policy, Withhold};
use crate::fhir::Unreadable;
use crate::fhir::json::get;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The labels that can matter, sorted, each once. Known harmless ones (purposes of use, `MINEC` and like) are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Labels(SmallVec<[Label; 4]>);

/// How the address of the extension ends that labels an element.
pub const INLINE: &str = "inline-sec-label";

impl Labels {
    /// Reads `meta.security`, the resource's own and that of each contained resource: FHIR forbids it there (dom-5), and it still
    /// speaks of what leaves with the whole. What has not the form of a list of Codings is unreadable: the caller treats the resource as withheld.
    pub fn read(resource: &Value) -> Result<Labels, Unreadable> {
        let mut labels = Labels::default();
        labels.add_of(resource)?;
        if let Some(contained) = get(resource, "contained")? {
            let wrong = Unreadable::Element { path: "contained", why: "is not a list" };
            contained.as_array().ok_or(wrong)?.iter().try_for_each(|inner| labels.add_of(inner))?;
        }
        Ok(labels)
    }

    fn add_of(&mut self, resource: &Value) -> Result<(), Unreadable> {
        const PATH: &str = "meta.security";
        let Some(meta) = get(resource, "meta")? else { return Ok(()) };
        if meta.as_object().is_none() {
            return Err(Unreadable::Element { path: "meta", why: "is not an object" });
        }
        let Some(security) = get(meta, "security")? else { return Ok(()) };
        let codings = security.as_array().ok_or(Unreadable::Element { path: PATH, why: "is not a list" })?;
        for coding in codings.iter() {
            if coding.as_object().is_none() {
                return Err(Unreadable::Element { path: PATH, why: "holds what is no Coding" });
            }
            self.add_coding(coding)?;
        }
        Ok(())
    }

    fn add_coding(&mut self, coding: &Value) -> Result<(), Unreadable> {
        let system = get(coding, "system")?.and_then(|system| system.as_str());
        let code = get(coding, "code")?.and_then(|code| code.as_str());
        if let Meaning::Label(label) = Label::meaning(system, code) {
            self.add(label);
        }
        Ok(())
    }

    /// Adds the labels that stand on elements (DS4P `extension-inline-sec-label`), wherever they are: which element a definition
    /// has looked at is not kept, so each counts for the whole resource.
    pub fn add_inline(&mut self, value: &Value) -> Result<(), Unreadable> {
        if let Some(list) = value.as_array() {
            return list.iter().try_for_each(|item| self.add_inline(item));
        }
        let Some(object) = value.as_object() else { return Ok(()) };
        let is_label = get(value, "url")?.and_then(|url| url.as_str()).is_some_and(|url| url.ends_with(INLINE));
        if is_label {
            let concept = get(value, "valueCodeableConcept")?.map(|concept| get(concept, "coding")).transpose()?.flatten();
            let codings = concept.and_then(|codings| codings.as_array()).into_iter().flat_map(|codings| codings.iter());
            let mut any = false;
            for coding in get(value, "valueCoding")?.into_iter().chain(codings) {
                any = true;
                self.add_coding(coding)?;
            }
            if !any {
                self.add(Label::UNKNOWN);
            }
        }
        object.iter().try_for_each(|(_, inner)| self.add_inline(inner))
    }

    /// The label of what could not be read: it is withheld whatever the policy says.
    pub fn unknown() -> Labels {
        [Label::UNKNOWN].into_iter().collect()
    }

    pub fn add(&mut self, label: Label) {
        if let Err(at) = self.0.binary_search(&label) {
            self.0.insert(at, label);
        }
    }

    pub fn union(&mut self, other: &Labels) {
        other.iter().for_each(|label| self.add(label));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Label> {
        self.0.iter().copied()
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        let mut out = Labels::default();
        labels.into_iter().for_each(|label| out.add(label));
        out
    }
}

/// Whether the policy's `sensitive.withhold` keeps a resource with these labels from every recipient.
/// Psychotherapy notes (45 CFR 164.508(a)(2)) and labels that are not known always are.
pub fn withheld_by_policy(labels: &Labels, policy: &Policy) -> bool {
    labels.iter().any(|label| match (label.kind(), label.code()) {
        (Kind::Unknown, _) | (_, "PSYTHPN" | "HIPAAPsyNotes") => true,
        (kind, _) => match (&policy.sensitive.withhold, kind) {
            (Withhold::List(denied), _) => denied.iter().any(|denied| denied.covers(label)),
            (Withhold::All, Kind::Confidentiality(level)) => level >= RESTRICTED,
            (Withhold::All, Kind::Sensitivity | Kind::Law | Kind::Handling | Kind::Unknown) => true,
        },
    })
}

/// The rank of `R` in [`Kind::Confidentiality`].
const RESTRICTED: u8 = 4;

/// The labels and levels that consents remove from what is otherwise permitted (C12). Empty: nothing is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Redact(Labels);

impl Redact {
    pub(super) fn of(labels: Labels) -> Redact {
        Redact(labels)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn labels(&self) -> &Labels {
        &self.0
    }

    pub(super) fn union(&mut self, other: &Redact) {
        self.0.union(&other.0);
    }

    /// Whether all that `other` removes is removed here too.
    pub fn removes_all_of(&self, other: &Redact) -> bool {
        other.0.iter().all(|label| self.0.iter().any(|mine| mine.covers(label)))
    }

    /// Whether a resource with these labels is removed. Without a confidentiality it is N (C15); a label that is not known
    /// may be any of the removed ones, so it is removed with them.
    pub fn covers(&self, labels: &Labels) -> bool {
        if self.is_empty() {
            return false;
        }
        let is_level = |label: Label| matches!(label.kind(), Kind::Confidentiality(_));
        let normal = (!labels.iter().any(is_level)).then_some(Label::NORMAL);
        labels.iter().chain(normal).any(|label| label == Label::UNKNOWN || self.0.iter().any(|denied| denied.covers(label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::codes::{ACT_CODE, ACT_REASON, CONFIDENTIALITY};
    use crate::fhir::json::parse;

    fn labels(codings: &[(&str, &str)]) -> Labels {
        let list: Vec<String> = codings.iter().map(|(system, code)| format!(r#"{{"system":"{system}","code":"{code}"}}"#)).collect();
        read(&format!(r#"{{"meta":{{"security":[{}]}}}}"#, list.join(","))).expect("readable")
    }

    fn read(text: &str) -> Result<Labels, Unreadable> {
        Labels::read(&parse(text.as_bytes()).expect("json"))
    }

    #[test]
    fn withhold_all_withholds_whatever_is_sensitive_or_not_known() {
        let policy = Policy::default();
        for (system, code, withheld) in [
            (ACT_CODE, "HIV", true),
            (ACT_CODE, "OPIOIDUD", true),
            (ACT_CODE, "VIP", true),
            (ACT_CODE, "42CFRPart2", true),
            (ACT_CODE, "NODSCLCD", true),
            (ACT_CODE, "DEID", true),
            (ACT_CODE, "AOD", false),
            (ACT_CODE, "NOREDISCL", true),
            (ACT_CODE, "R", true),
            (CONFIDENTIALITY, "R", true),
            (CONFIDENTIALITY, "V", true),
            (CONFIDENTIALITY, "N", false),
            (CONFIDENTIALITY, "M", false),
            (CONFIDENTIALITY, "L", false),
            (CONFIDENTIALITY, "U", false),
            (CONFIDENTIALITY, "X", true),
            (ACT_REASON, "HTEST", false),
            (ACT_REASON, "TREAT", false),
            (ACT_REASON, "NEW", true),
            ("urn:example:local", "N", true),
            ("", "N", true),
        ] {
            assert_eq!(withheld_by_policy(&labels(&[(system, code)]), &policy), withheld, "{system} {code}");
        }
        assert!(!withheld_by_policy(&Labels::default(), &policy));
    }

    #[test]
    fn a_list_withholds_what_it_names_and_always_the_notes_and_the_unknown() {
        let mut policy = Policy::default();
        policy.sensitive.withhold = Withhold::List([Label::named("ETH"), Label::named("V")].into_iter().flatten().collect());
        for (system, code, withheld) in [
            (ACT_CODE, "ETHUD", true),
            (ACT_CODE, "HIV", false),
            (CONFIDENTIALITY, "R", false),
            (CONFIDENTIALITY, "V", true),
            (ACT_CODE, "PSYTHPN", true),
            (ACT_CODE, "HIPAAPsyNotes", true),
            ("urn:example:local", "x", true),
        ] {
            assert_eq!(withheld_by_policy(&labels(&[(system, code)]), &policy), withheld, "{code}");
        }
    }

    #[test]
    fn c15_a_resource_without_confidentiality_is_normal() {
        let redact = |code| Redact::of(Label::named(code).into_iter().collect());
        let plain = Labels::default();
        let low = labels(&[(CONFIDENTIALITY, "L"), (ACT_CODE, "HIV")]);
        for (denied, carried, covered) in [
            ("N", &plain, true),
            ("R", &plain, false),
            ("N", &low, false),
            ("L", &low, true),
            ("HIV", &low, true),
            ("ETH", &low, false),
            ("HIV", &Labels::unknown(), true),
        ] {
            assert_eq!(redact(denied).covers(carried), covered, "{denied}");
        }
        assert!(!Redact::default().covers(&Labels::unknown()));
    }

    #[test]
    fn malformed_labels_are_unreadable() {
        for text in [
            r#"{"meta":[]}"#,
            r#"{"meta":{"security":{}}}"#,
            r#"{"meta":{"security":["R"]}}"#,
            r#"{"meta":{"security":[{"code":"N","code":"R"}]}}"#,
            r#"{"meta":{"security":[]},"meta":{}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read(r#"{"meta":{"security":[{}]}}"#), Ok(Labels::unknown()));
        assert_eq!(read("{}"), Ok(Labels::default()));
    }
}
