//! The code systems that a consent decision turns on, as trees of codes.
//!
//! In: a system and a code. Out: a small number that stands for it, and what is at or under what.
//! Never here: a guess. A code that is not in these tables is unknown, and unknown never permits.
//!
//! Sources: THO v3-ActReason (PurposeOfUse), v3-ActCode (sensitivity, laws, obligations, refrain), v3-Confidentiality.

pub(super) const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
pub(super) const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
pub(super) const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
pub(super) const OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
pub(super) const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
pub(super) const SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
pub(super) const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/consentcategorycodes";
pub(super) const ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";

/// A purpose of use: its row in [`PURPOSES`]. The number is kept in member states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Purpose(u8);

/// Code and parent (`""` at the top). Rows are only ever added at the end: states hold their numbers.
const PURPOSES: &[(&str, &str)] = &[
    ("TREAT", ""),
    ("HOPERAT", ""),
    ("HMARKT", ""),
    ("HPAYMT", ""),
    ("HRESCH", ""),
    ("PATRQT", ""),
    ("PUBHLTH", ""),
    ("CLINTRL", "TREAT"),
    ("COC", "TREAT"),
    ("ETREAT", "TREAT"),
    ("BTG", "ETREAT"),
    ("ERTREAT", "ETREAT"),
    ("POPHLTH", "TREAT"),
    ("TREATDS", "TREAT"),
    ("CAREMGT", "HOPERAT"),
    ("DONAT", "HOPERAT"),
    ("FRAUD", "HOPERAT"),
    ("GOV", "HOPERAT"),
    ("HACCRED", "HOPERAT"),
    ("HCOMPL", "HOPERAT"),
    ("HDECD", "HOPERAT"),
    ("HDIRECT", "HOPERAT"),
    ("HDM", "HOPERAT"),
    ("HLEGAL", "HOPERAT"),
    ("HOUTCOMS", "HOPERAT"),
    ("HPRGRP", "HOPERAT"),
    ("HQUALIMP", "HOPERAT"),
    ("HSYSADMIN", "HOPERAT"),
    ("LABELING", "HOPERAT"),
    ("MEMADMIN", "HOPERAT"),
    ("METAMGT", "HOPERAT"),
    ("MILCDM", "HOPERAT"),
    ("PATADMIN", "HOPERAT"),
    ("PATSFTY", "HOPERAT"),
    ("PERFMSR", "HOPERAT"),
    ("RECORDMGT", "HOPERAT"),
    ("SYSDEV", "HOPERAT"),
    ("HTEST", "SYSDEV"),
    ("TRAIN", "HOPERAT"),
    ("CLMATTCH", "HPAYMT"),
    ("COVAUTH", "HPAYMT"),
    ("COVERAGE", "HPAYMT"),
    ("ELIGDTRM", "COVERAGE"),
    ("ELIGVER", "COVERAGE"),
    ("ENROLLM", "COVERAGE"),
    ("MILDCRG", "ENROLLM"),
    ("REMITADV", "HPAYMT"),
    ("BIORCH", "HRESCH"),
    ("CLINTRCH", "HRESCH"),
    ("CLINTRCHNPC", "CLINTRCH"),
    ("CLINTRCHPC", "CLINTRCH"),
    ("PRECLINTRCH", "CLINTRCH"),
    ("DSRCH", "HRESCH"),
    ("POARCH", "HRESCH"),
    ("TRANSRCH", "HRESCH"),
    ("FAMRQT", "PATRQT"),
    ("PWATRNY", "PATRQT"),
    ("SUPNWK", "PATRQT"),
    ("DISASTER", "PUBHLTH"),
    ("THREAT", "PUBHLTH"),
];

impl Purpose {
    pub const TREAT: Purpose = Purpose(0);
    pub const HOPERAT: Purpose = Purpose(1);
    pub const HMARKT: Purpose = Purpose(2);

    /// A code of v3-ActReason; `None` for any other. `MARKT` is one of those: it is not an alias by itself.
    pub fn named(code: &str) -> Option<Purpose> {
        row(PURPOSES.iter().map(|(name, _)| *name), code).map(Purpose)
    }

    pub fn code(self) -> &'static str {
        PURPOSES.get(usize::from(self.0)).map_or("", |(name, _)| name)
    }

    /// Whether `other` is this purpose or one below it (C8).
    pub fn covers(self, other: Purpose) -> bool {
        let mut at = Some(other);
        while let Some(purpose) = at {
            if purpose == self {
                return true;
            }
            at = PURPOSES.get(usize::from(purpose.0)).and_then(|(_, parent)| Purpose::named(parent));
        }
        false
    }
}

/// A security label: its row in [`LABELS`]. The number is kept in member states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Label(u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not in the tables: withheld, because what it forbids cannot be told.
    Unknown,
    /// In the order of C7: U is 0, V is 5.
    Confidentiality(u8),
    Sensitivity,
    Law,
    /// Forbids disclosure, or asks for a change that this engine does not prove.
    Handling,
}

use Kind::{Handling, Law, Sensitivity, Unknown};

/// Code, parent, kind. Row 0 is every label that is not listed. Rows are only ever added at the end: states hold their numbers.
/// Behavioural health (`BH`) is kept as the parent of all its kinds, also of those that some listings show beside it: the wider reading hides more.
const LABELS: &[(&str, &str, Kind)] = &[
    ("", "", Unknown),
    ("U", "", Kind::Confidentiality(0)),
    ("L", "", Kind::Confidentiality(1)),
    ("M", "", Kind::Confidentiality(2)),
    ("N", "", Kind::Confidentiality(3)),
    ("R", "", Kind::Confidentiality(4)),
    ("V", "", Kind::Confidentiality(5)),
    ("ETH", "", Sensitivity),
    ("GDIS", "", Sensitivity),
    ("HIV", "", Sensitivity),
    ("MST", "", Sensitivity),
    ("PREGNANT", "", Sensitivity),
    ("SCA", "", Sensitivity),
    ("SDV", "", Sensitivity),
    ("SEX", "", Sensitivity),
    ("STD", "", Sensitivity),
    ("TBOO", "", Sensitivity),
    ("VIO", "", Sensitivity),
    ("IDS", "", Sensitivity),
    ("SICKLE", "", Sensitivity),
    ("SPI", "", Sensitivity),
    ("BH", "SPI", Sensitivity),
    ("COGN", "BH", Sensitivity),
    ("DVD", "BH", Sensitivity),
    ("EMOTDIS", "BH", Sensitivity),
    ("MH", "BH", Sensitivity),
    ("PSY", "BH", Sensitivity),
    ("PSYTHPN", "BH", Sensitivity),
    ("SUD", "BH", Sensitivity),
    ("ETHUD", "SUD", Sensitivity),
    ("OPIOIDUD", "SUD", Sensitivity),
    ("DEMO", "", Sensitivity),
    ("DOB", "DEMO", Sensitivity),
    ("GENDER", "DEMO", Sensitivity),
    ("LIVARG", "DEMO", Sensitivity),
    ("MARST", "DEMO", Sensitivity),
    ("RACE", "DEMO", Sensitivity),
    ("REL", "DEMO", Sensitivity),
    ("PATLOC", "", Sensitivity),
    ("ADOL", "", Sensitivity),
    ("CEL", "", Sensitivity),
    ("VIP", "CEL", Sensitivity),
    ("DIA", "", Sensitivity),
    ("DRGIS", "", Sensitivity),
    ("EMP", "", Sensitivity),
    ("EMPL", "", Sensitivity),
    ("LOCIS", "", Sensitivity),
    ("SSP", "", Sensitivity),
    ("42CFRPart2", "", Law),
    ("HIPAAPsyNotes", "", Law),
    ("HIPAASelfPay", "", Law),
    ("42CFRPart2CD", "", Law),
    ("NOAUTH", "", Handling),
    ("NOCOLLECT", "", Handling),
    ("NODSCLCD", "", Handling),
    ("NODSCLCDS", "", Handling),
    ("NOINTEGRATE", "", Handling),
    ("NOLIST", "", Handling),
    ("NOMOU", "", Handling),
    ("NOPERSISTP", "", Handling),
    ("NORDSCLCD", "", Handling),
    ("NORDSCLCDS", "", Handling),
    ("NORDSCLW", "", Handling),
    ("NORELINK", "", Handling),
    ("NOREUSE", "", Handling),
    ("REDACT", "", Handling),
    ("MASK", "", Handling),
    ("DEID", "", Handling),
    ("PSEUD", "", Handling),
    ("ANONY", "", Handling),
    ("DELAU", "", Handling),
    ("CPLYCD", "", Handling),
    ("PERSISTLABEL", "", Handling),
];

/// Codes of v3-ActCode that ask for nothing that an audience event could break: minimum necessary, accounting, audit, encryption.
const HARMLESS_ACT_CODES: &[&str] = &["MINEC", "AOD", "AUDTR", "ENCRYPT"];

/// Codes of v3-ObservationValue that tell what was done to a resource; they forbid nothing.
const HARMLESS_VALUES: &[&str] =
    &["SUBSETTED", "ABSTRED", "AGGRED", "ANONYED", "MAPPED", "MASKED", "PSEUDED", "REDACTED", "DIGSIGN", "HRELIABLE", "RELIABLE"];

/// What a coding means as a security label.
pub(super) enum Meaning {
    Label(Label),
    /// Known, and no reason to withhold.
    Harmless,
}

impl Label {
    pub(super) const UNKNOWN: Label = Label(0);
    pub(super) const NORMAL: Label = Label(4);

    pub(super) fn meaning(system: Option<&str>, code: Option<&str>) -> Meaning {
        let (Some(system), Some(code)) = (system, code) else { return Meaning::Label(Label::UNKNOWN) };
        let harmless = match system {
            CONFIDENTIALITY | ACT_CODE => system == ACT_CODE && HARMLESS_ACT_CODES.contains(&code),
            ACT_REASON => Purpose::named(code).is_some(),
            OBSERVATION_VALUE => HARMLESS_VALUES.contains(&code),
            _unknown_system => false,
        };
        if harmless {
            return Meaning::Harmless;
        }
        let listed = row(LABELS.iter().map(|(name, ..)| *name), code).map(Label);
        Meaning::Label(match listed {
            Some(label) if matches!(label.kind(), Kind::Confidentiality(_)) => {
                if system == CONFIDENTIALITY {
                    label
                } else {
                    Label::UNKNOWN
                }
            }
            Some(label) if system == ACT_CODE => label,
            Some(_) | None => Label::UNKNOWN,
        })
    }

    /// A label by its code alone, as a policy names it.
    pub fn named(code: &str) -> Option<Label> {
        row(LABELS.iter().map(|(name, ..)| *name), code).map(Label)
    }

    pub fn codes() -> impl Iterator<Item = &'static str> {
        LABELS.iter().skip(1).map(|(code, ..)| *code)
    }

    pub fn code(self) -> &'static str {
        LABELS.get(usize::from(self.0)).map_or("", |(code, ..)| code)
    }

    pub(super) fn kind(self) -> Kind {
        LABELS.get(usize::from(self.0)).map_or(Unknown, |(.., kind)| *kind)
    }

    /// Whether a denial of this label covers `other` (C7): a level covers itself and all above it, any other label what is at or
    /// under it. Beside the tree, ETH covers what SUD covers, and MH and PSY cover each other.
    pub fn covers(self, other: Label) -> bool {
        if let (Kind::Confidentiality(level), Kind::Confidentiality(higher)) = (self.kind(), other.kind()) {
            return higher >= level;
        }
        let under = |code: &str| Label::named(code).is_some_and(|top| other.is_at_or_under(top));
        match self.code() {
            "ETH" => under("ETH") || under("SUD"),
            "MH" | "PSY" => under("MH") || under("PSY"),
            _plain => other.is_at_or_under(self),
        }
    }

    fn is_at_or_under(self, top: Label) -> bool {
        let mut at = Some(self);
        while let Some(label) = at {
            if label == top {
                return true;
            }
            at = LABELS.get(usize::from(label.0)).and_then(|(_, parent, _)| Label::named(parent));
        }
        false
    }
}

/// The row that holds `code`; the empty code has none.
fn row(mut rows: impl Iterator<Item = &'static str>, code: &str) -> Option<u8> {
    let at = if code.is_empty() { None } else { rows.position(|name| name == code) };
    at.and_then(|at| u8::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c8_purposes_match_by_subsumption_and_marketing_stands_alone() {
        let purpose = |code| Purpose::named(code).expect(code);
        for (above, below, expected) in [
            ("TREAT", "TREAT", true),
            ("TREAT", "BTG", true),
            ("ETREAT", "TREAT", false),
            ("HOPERAT", "CAREMGT", true),
            ("HOPERAT", "HTEST", true),
            ("HOPERAT", "HMARKT", false),
            ("TREAT", "HMARKT", false),
            ("HMARKT", "TREAT", false),
            ("HPAYMT", "ELIGVER", true),
        ] {
            assert_eq!(purpose(above).covers(purpose(below)), expected, "{above} {below}");
        }
        for unknown in ["MARKT", "HMK", "PAY", "PurposeOfUse", "treat", ""] {
            assert_eq!(Purpose::named(unknown), None, "{unknown}");
        }
        assert_eq!([Purpose::TREAT, Purpose::HOPERAT, Purpose::HMARKT].map(Purpose::code), ["TREAT", "HOPERAT", "HMARKT"]);
    }

    #[test]
    fn c7_labels_match_by_subsumption_and_levels_by_order() {
        let label = |code| Label::named(code).expect(code);
        for (denied, carried, expected) in [
            ("ETH", "SUD", true),
            ("ETH", "OPIOIDUD", true),
            ("SUD", "ETH", false),
            ("SUD", "ETHUD", true),
            ("SPI", "ETHUD", true),
            ("MH", "PSY", true),
            ("PSY", "MH", true),
            ("HIV", "STD", false),
            ("R", "V", true),
            ("R", "N", false),
            ("M", "N", true),
            ("R", "HIV", false),
            ("HIV", "R", false),
        ] {
            assert_eq!(label(denied).covers(label(carried)), expected, "{denied} {carried}");
        }
        assert_eq!((Label::NORMAL.code(), Label::UNKNOWN.code()), ("N", ""));
    }

    #[test]
    fn every_row_has_a_known_parent_and_stands_once() {
        for (at, (code, parent)) in PURPOSES.iter().enumerate() {
            assert_eq!(Purpose::named(code).map(|p| usize::from(p.0)), Some(at), "{code}");
            assert!(parent.is_empty() || Purpose::named(parent).is_some(), "{code}");
        }
        for (at, (code, parent, _)) in LABELS.iter().enumerate().skip(1) {
            assert_eq!(Label::named(code).map(|l| usize::from(l.0)), Some(at), "{code}");
            assert!(parent.is_empty() || Label::named(parent).is_some(), "{code}");
        }
        // States hold the numbers: a row that moves would change what they mean.
        assert_eq!((Purpose::named("THREAT"), Label::named("PERSISTLABEL")), (Some(Purpose(59)), Some(Label(72))));
    }
}
