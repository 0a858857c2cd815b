//! `decide` against the naive oracle, and the invariants I9 and I11 at this level, on random Consents.

use super::oracle;
use super::stories::policy;
use super::*;
use crate::fhir::json::parse;
use crate::time::{Instant, Zone};
use proptest::prelude::*;

const SYSTEMS: &str = "http://terminology.hl7.org/CodeSystem/";

/// One attribute or none, as JSON members; `""` for none.
fn attribute() -> impl Strategy<Value = String> {
    let coding =
        |key: &'static str, system: &'static str, code: &str| format!(r#""{key}":[{{"system":"{SYSTEMS}{system}","code":"{code}"}}]"#);
    prop_oneof![
        3 => prop::sample::select(&["TREAT", "HMARKT", "HOPERAT", "COC", "NEWCODE"][..]).prop_map(move |code| coding("purpose", "v3-ActReason", code)),
        1 => (prop::sample::select(&["IRCP", "CST", "GUARD"][..]), prop::sample::select(&["crm", "lab", "riverside", "stranger"][..])).prop_map(
            |(role, who)| format!(
                r#""actor":[{{"role":{{"coding":[{{"system":"{SYSTEMS}v3-ParticipationType","code":"{role}"}}]}},"reference":{{"reference":"Organization/{who}"}}}}]"#
            )
        ),
        1 => prop::sample::select(&["HIV", "ETH", "NEWLABEL"][..]).prop_map(move |code| coding("securityLabel", "v3-ActCode", code)),
        2 => (1..12u8, 1..12u8).prop_map(|(a, b)| format!(r#""period":{{"start":"2026-{a:02}-01","end":"2026-{b:02}-20"}}"#)),
        1 => Just(r#""class":[{"code":"Encounter"}]"#.to_owned()),
    ]
}

/// The members of a provision, of different kinds, with or without a type and children.
fn provision() -> impl Strategy<Value = String> {
    let kinds = prop::sample::select(&["", r#""type":"permit""#, r#""type":"deny""#, r#""type":"perhaps""#][..]);
    let leaf = (kinds.clone(), prop::collection::vec(attribute(), 0..3)).prop_map(|(kind, parts)| members(kind, &parts, &[]));
    leaf.prop_recursive(2, 6, 3, move |inner| {
        (kinds.clone(), prop::collection::vec(attribute(), 0..2), prop::collection::vec(inner, 0..3))
            .prop_map(|(k, parts, c)| members(k, &parts, &c))
    })
}

fn members(kind: &str, parts: &[String], children: &[String]) -> String {
    let mut out: Vec<String> = Vec::new();
    let key = |part: &str| part.split(':').next().map(str::to_owned);
    for part in [kind.to_owned()].iter().chain(parts) {
        if !part.is_empty() && !out.iter().any(|had| key(had) == key(part)) {
            out.push(part.clone());
        }
    }
    if !children.is_empty() {
        out.push(format!(r#""provision":[{}]"#, children.iter().map(|child| format!("{{{child}}}")).collect::<Vec<_>>().join(",")));
    }
    out.join(",")
}

/// A Consent of one of the three dialects; never linked to another.
fn any_consent() -> impl Strategy<Value = String> {
    let status = prop_oneof![6 => Just("active"), 1 => Just("inactive"), 1 => Just("draft"), 1 => Just("odd")];
    let scope = prop_oneof![6 => Just("patient-privacy"), 1 => Just("research"), 1 => Just("odd")];
    let base = prop::sample::select(&["r4", "OPTIN", "OPTOUT", "OTHER", "permit", "deny", "perhaps", ""][..]);
    (status, scope, base, provision(), 1..12u8).prop_map(|(status, scope, base, provision, month)| {
        let coded = |system: &str, code: &str| format!(r#"{{"coding":[{{"system":"{SYSTEMS}{system}","code":"{code}"}}]}}"#);
        let (scope, date) = (coded("consentscope", scope), format!("2026-{month:02}-02"));
        let rest = match base {
            "r4" => format!(r#""scope":{scope},"dateTime":"{date}","provision":{{{provision}}}"#),
            "OPTIN" | "OPTOUT" | "OTHER" => {
                format!(r#""scope":{scope},"policyRule":{},"provision":{{{provision}}}"#, coded("v3-ActCode", base))
            }
            "" => format!(r#""category":[{scope}],"provision":[{{{provision}}}]"#),
            decision => format!(r#""category":[{scope}],"date":"{date}","decision":"{decision}","provision":[{{{provision}}}]"#),
        };
        format!(r#"{{"resourceType":"Consent","status":"{status}",{rest}}}"#)
    })
}

fn consent(text: &str) -> Consent {
    read(&parse(text.as_bytes()).expect(text), &zone()).expect(text)
}

fn zone() -> Zone {
    Zone::named("America/Chicago").expect("zone")
}

fn settings() -> impl Strategy<Value = (Policy, Purpose)> {
    let purposes = [Purpose::TREAT, Purpose::HOPERAT, Purpose::HMARKT, Purpose::named("COC").expect("COC")];
    (any::<bool>(), prop::sample::select(purposes.to_vec())).prop_map(|(purpose_only, purpose)| {
        let mut policy = policy();
        if purpose_only {
            policy.authorization = Authorization::PurposeOnly;
        }
        (policy, purpose)
    })
}

/// Every tenth day of the year and around it, and the first instant of months, where periods begin.
fn samples() -> Vec<Instant> {
    let start = Instant::parse("2025-12-25T06:00:00Z").expect("instant");
    let firsts = (1..=12i8).map(|month| zone().start_of_day(jiff::civil::date(2026, month, 1)));
    (0..40).map(|n| start.plus(crate::time::Span::days(10 * n))).chain(firsts).chain([Instant::BEGIN]).collect()
}

fn answers(consents: &[&Consent], policy: &Policy, purpose: Purpose) -> Vec<Decision> {
    let question = Question { recipient: &policy.recipients[0], organisation: &policy.organisation, purpose };
    let steps = decide(consents, &question, policy);
    samples().into_iter().map(|at| steps.at(at).clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decide_agrees_with_the_naive_oracle(texts in prop::collection::vec(any_consent(), 0..4), (policy, purpose) in settings()) {
        let consents: Vec<Consent> = texts.iter().map(|text| consent(text)).collect();
        let decided = answers(&consents.iter().collect::<Vec<_>>(), &policy, purpose);
        for (at, decision) in samples().into_iter().zip(decided) {
            let naive = oracle::decide(&texts, purpose.code(), at, &zone());
            let redact: Vec<&str> = decision.redact.labels().iter().map(super::codes::Label::code).collect();
            prop_assert_eq!((decision.outcome, redact), (naive.outcome, naive.redact.iter().map(String::as_str).collect()), "at {}", at);
            prop_assert_eq!(decision.authorized, naive.names_purpose && policy.authorization == Authorization::PurposeOnly, "at {}", at);
        }
    }

    #[test]
    fn i11_one_more_denial_redaction_or_unreadable_consent_never_adds_permission(
        texts in prop::collection::vec(any_consent(), 0..4), extra in any_consent(), kind in 0..3u8, (policy, purpose) in settings(),
    ) {
        let before: Vec<Consent> = texts.iter().map(|text| consent(text)).collect();
        // Whatever the added one says, it is made one that cannot permit.
        let added = match kind {
            0 => Consent::unreadable(),
            1 => consent(&extra.replacen("{", r#"{"modifierExtension":[{"url":"urn:example:x"}],"#, 1)),
            _ => consent(&extra.replace("permit", "deny").replace("OPTIN", "OPTOUT").replace(r#""decision":"deny""#, r#""decision":"odd""#)),
        };
        let mut after: Vec<&Consent> = before.iter().collect();
        let first = answers(&after, &policy, purpose);
        let permits = answers(&[&added], &policy, purpose).iter().any(|decision| decision.outcome == Outcome::Permit);
        prop_assume!(!permits);
        after.push(&added);
        for (before, after) in first.iter().zip(answers(&after, &policy, purpose)) {
            prop_assert!(after.outcome != Outcome::Permit || before.outcome == Outcome::Permit);
            prop_assert!(after.outcome == Outcome::Deny || before.outcome != Outcome::Deny);
            prop_assert!(!after.authorized || before.authorized);
            prop_assert!(!after.written || before.written);
            prop_assert!(after.redact.removes_all_of(&before.redact));
        }
    }

    #[test]
    fn i9_an_unknown_code_never_adds_permission(text in any_consent(), (policy, purpose) in settings()) {
        let known = answers(&[&consent(&text)], &policy, purpose);
        for code in ["HMARKT", "TREAT", "HOPERAT", "COC", "IRCP", "patient-privacy", "HIV", "permit", "active"] {
            let odd = text.replace(&format!(r#""{code}""#), r#""never-heard-of""#);
            for (known, odd) in known.iter().zip(answers(&[&consent(&odd)], &policy, purpose)) {
                prop_assert!(odd.outcome != Outcome::Permit || known.outcome == Outcome::Permit, "{} in {}", code, text);
            }
        }
    }
}
