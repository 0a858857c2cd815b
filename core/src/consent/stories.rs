//! The rules of consent as tables and short stories, each named after its rule.

use super::*;
use crate::fhir::json::parse;
use crate::time::{Instant, Zone};
use crate::timeline::Steps;

const PRIVACY: &str = r#""scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}"#;
const PRIVACY_R5: &str =
    r#""category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}]"#;
/// What a complete authorization has besides its provision.
const SIGNED: &str = r#""dateTime":"2026-01-05T15:00:00Z","performer":[{"reference":"Patient/ann"}],"sourceAttachment":{"title":"form"}"#;
const CRM: &str = r#""actor":[{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}]},"reference":{"reference":"Organization/crm"}}]"#;
const YEAR: &str = r#""period":{"start":"2026-01-05","end":"2026-12-31"}"#;

fn r4(parts: &[&str]) -> String {
    format!(
        r#"{{"resourceType":"Consent","status":"active","patient":{{"reference":"Patient/ann"}},{}}}"#,
        [&[PRIVACY], parts].concat().join(",")
    )
}

fn r5(parts: &[&str]) -> String {
    format!(
        r#"{{"resourceType":"Consent","status":"active","subject":{{"reference":"Patient/ann"}},{}}}"#,
        [&[PRIVACY_R5], parts].concat().join(",")
    )
}

fn rule(code: &str) -> String {
    format!(r#""policyRule":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"{code}"}}]}}"#)
}

fn root(parts: &[&str]) -> String {
    format!(r#""provision":{{{}}}"#, parts.join(","))
}

fn nested(provisions: &[&[&str]]) -> String {
    let list: Vec<String> = provisions.iter().map(|parts| format!("{{{}}}", parts.join(","))).collect();
    format!(r#""provision":[{}]"#, list.join(","))
}

fn purpose(code: &str) -> String {
    format!(r#""purpose":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"{code}"}}]"#)
}

fn labels(system: &str, code: &str) -> String {
    format!(r#""securityLabel":[{{"system":"http://terminology.hl7.org/CodeSystem/{system}","code":"{code}"}}]"#)
}

fn actor(role: &str, reference: &str) -> String {
    format!(
        r#""actor":[{{"role":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"{role}"}}]}},"reference":{{"reference":"{reference}"}}}}]"#
    )
}

const PERMIT: &str = r#""type":"permit""#;
const DENY: &str = r#""type":"deny""#;

pub(super) fn policy() -> Policy {
    let recipient = |key: &str| Recipient {
        key: key.to_owned(),
        name: key.to_owned(),
        address: String::new(),
        references: vec![format!("Organization/{key}")],
        identifiers: vec![Identifier { system: "urn:example:recipients".to_owned(), value: key.to_owned() }],
        agreement: None,
        identify: Identify::Pseudonym,
        may_know: MayKnow::default(),
    };
    let mut policy = Policy { recipients: vec![recipient("crm"), recipient("lab")], ..Policy::default() };
    policy.organisation.zone = chicago();
    policy.organisation.references = vec!["Organization/riverside".to_owned()];
    policy
}

fn chicago() -> Zone {
    Zone::named("America/Chicago").expect("zone")
}

fn consent(text: &str) -> Consent {
    let resource = parse(text.as_bytes()).expect(text);
    read(&resource, &chicago()).expect(text)
}

fn ask(consents: &[&str], code: &str, policy: &Policy) -> Steps<Decision> {
    let consents: Vec<Consent> = consents.iter().map(|text| consent(text)).collect();
    let recipient = policy.recipient("crm").expect("crm");
    let question = Question { recipient, organisation: &policy.organisation, purpose: Purpose::named(code).expect(code) };
    decide(&consents.iter().collect::<Vec<_>>(), &question, policy)
}

fn word(decision: &Decision) -> String {
    let mut said = match decision.outcome {
        Outcome::Permit => "permit".to_owned(),
        Outcome::Deny => "deny".to_owned(),
        Outcome::NoConsent => "none".to_owned(),
    };
    if decision.authorized {
        said += " authorized";
    }
    for label in decision.redact.labels().iter() {
        said += " -";
        said += label.code();
    }
    said
}

/// The decision in the middle of 2026.
fn now(consents: &[&str], code: &str, policy: &Policy) -> String {
    word(ask(consents, code, policy).at(Instant::parse("2026-06-15T12:00:00Z").expect("instant")))
}

fn check(consent: &str, code: &str, expected: &str) {
    assert_eq!(now(&[consent], code, &policy()), expected, "{code} {consent}");
}

fn all_time(consents: &[&str], code: &str) -> String {
    let steps = ask(consents, code, &policy()).map(word);
    let changes = steps.changes().map(|(at, word)| format!(" | {at} {word}"));
    [steps.first().clone()].into_iter().chain(changes).collect()
}

#[test]
fn dialect_d1_takes_its_base_from_the_policy_rule() {
    for (code, base) in [
        ("OPTIN", "permit"),
        ("OPTINR", "permit"),
        ("OPTOUT", "deny"),
        ("OPTOUTE", "deny"),
        ("NOCONSENT", "deny"),
        ("HIPAAAuthCD", "none"),
        ("IMPLIED", "none"),
    ] {
        check(&r4(&[&rule(code)]), "TREAT", base);
    }
    let opt_out = r4(&[&rule("OPTOUT"), &root(&[&nested(&[&[PERMIT, &purpose("TREAT")]])])]);
    check(&opt_out, "TREAT", "permit");
    check(&opt_out, "HOPERAT", "deny");
    let opt_in = r4(&[&rule("OPTIN"), &root(&[&nested(&[&[DENY, &purpose("HMARKT")]])])]);
    check(&opt_in, "HMARKT", "deny");
    check(&opt_in, "TREAT", "permit");
    // A denial counts whatever its system, a permit does not.
    check(&r4(&[r#""policyRule":{"coding":[{"code":"OPTOUT"}]}"#]), "TREAT", "deny");
    check(&r4(&[r#""policyRule":{"coding":[{"code":"OPTIN"}]}"#]), "TREAT", "none");
}

#[test]
fn dialect_d2_root_decides_only_what_its_attributes_match() {
    let root_permit = r4(&[&root(&[PERMIT, &purpose("TREAT")])]);
    check(&root_permit, "TREAT", "permit");
    check(&root_permit, "HOPERAT", "none");
    check(&r4(&[&root(&[DENY])]), "TREAT", "deny");
    // PCF nests permit under permit: no flip where a type is written.
    check(&r4(&[&root(&[PERMIT, &nested(&[&[PERMIT, &purpose("TREAT")]])])]), "TREAT", "permit");
    check(&r4(&[&root(&[PERMIT, &nested(&[&[DENY, &purpose("TREAT")]])])]), "TREAT", "deny");
    // The policy's address beside it is information only.
    check(&r4(&[r#""policy":[{"uri":"urn:example:policy"}]"#, &root(&[PERMIT])]), "TREAT", "permit");
}

#[test]
fn dialect_d3_negates_its_parent_at_each_level() {
    let levels = r5(&[r#""decision":"deny""#, &nested(&[&[&purpose("HOPERAT"), &nested(&[&[&purpose("HDIRECT")]])]])]);
    check(&levels, "TREAT", "deny");
    check(&levels, "HOPERAT", "permit");
    check(&levels, "HDIRECT", "deny");
    check(&r5(&[r#""decision":"permit""#]), "TREAT", "permit");
    check(&r5(&[r#""decision":"deny""#, r#""period":{"end":"2026-01-31"}"#]), "TREAT", "none");
}

#[test]
fn a_base_and_a_type_that_disagree_deny_and_agreement_changes_nothing() {
    check(&r4(&[&rule("OPTOUT"), &root(&[PERMIT])]), "TREAT", "deny");
    check(&r4(&[&rule("OPTIN"), &root(&[DENY])]), "TREAT", "deny");
    check(&r4(&[&rule("OPTIN"), &root(&[PERMIT])]), "TREAT", "permit");
}

#[test]
fn a_rule_that_denies_denies_whatever_the_root_is_narrower_about() {
    for kind in [PERMIT, DENY, r#""type":"perhaps""#] {
        for narrower in [purpose("HMARKT"), actor("IRCP", "Organization/lab"), r#""securityLabel":[{"code":"HIV"}]"#.to_owned()] {
            let consent = r4(&[&rule("OPTOUT"), &root(&[kind, &narrower])]);
            check(&consent, "TREAT", "deny");
            check(&consent, "HMARKT", "deny");
        }
    }
    // In D1 what is beneath is an exception from the rule; the root's period bounds both.
    let excepted = r4(&[&rule("OPTOUT"), &root(&[PERMIT, &purpose("TREAT"), &nested(&[&[PERMIT, CRM]])])]);
    check(&excepted, "TREAT", "permit");
    check(&excepted, "HMARKT", "deny");
    let bounded = r4(&[&rule("OPTOUT"), &root(&[PERMIT, &purpose("HMARKT"), r#""period":{"start":"2026-03-01","end":"2026-03-31"}"#])]);
    assert_eq!(all_time(&[&bounded], "TREAT"), "none | 2026-03-01T06:00:00Z deny | 2026-04-01T05:00:00Z none");
    // An opt-in takes nothing from a narrower denial, and gives nothing beside it.
    let opted_in = r4(&[&rule("OPTIN"), &root(&[DENY, &purpose("HMARKT")])]);
    check(&opted_in, "HMARKT", "deny");
    check(&opted_in, "TREAT", "none");
}

#[test]
fn an_unknown_dialect_denies() {
    for parts in [
        &[r#""except":[{"type":"deny"}]"#][..],
        &[r#""policyRule":"http://example.org/opt-in""#],
        &[r#""decision":"permit""#, r#""policyRule":{}"#],
        &[r#""decision":"permit""#, r#""provision":{"type":"permit"}"#],
        &[r#""provision":[{"type":"permit"}]"#, r#""policyRule":{}"#],
    ] {
        check(&r4(parts), "TREAT", "deny");
    }
}

#[test]
fn an_effect_that_cannot_be_read_is_a_denial() {
    check(&r4(&[&root(&[r#""type":"permits""#])]), "TREAT", "deny");
    check(&r4(&[&root(&[r#""_type":{"extension":[]}"#])]), "TREAT", "deny");
    check(&r4(&[&root(&[r#""type":"permits""#, &nested(&[&[&purpose("TREAT")]])])]), "TREAT", "deny");
    check(&r5(&[r#""decision":"yes""#]), "TREAT", "deny");
    check(&r5(&[r#""_decision":{}"#]), "TREAT", "deny");
}

#[test]
fn c0_a_consent_about_something_else_says_nothing_and_an_untold_one_only_denies() {
    let with =
        |scope: &str, effect: &str| format!(r#"{{"resourceType":"Consent","status":"active",{scope}"provision":{{"type":"{effect}"}}}}"#);
    let coded = |code: &str| {
        format!(r#""scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"{code}"}}]}},"#)
    };
    let category = |system: &str, code: &str| {
        format!(r#""category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/{system}","code":"{code}"}}]}}],"#)
    };
    for (scope, permit, deny) in [
        (coded("patient-privacy"), "permit", "deny"),
        (coded("research"), "none", "none"),
        (coded("adr"), "none", "none"),
        (coded("treatment"), "none", "none"),
        (coded("something"), "none", "deny"),
        (String::new(), "none", "deny"),
        (r#""scope":{"text":"privacy"},"#.to_owned(), "none", "deny"),
        (category("consentcategorycodes", "dnr"), "none", "none"),
        (category("consentcategorycodes", "npp"), "none", "deny"),
        (category("v3-ActCode", "RESEARCH"), "none", "none"),
    ] {
        check(&with(&scope, "permit"), "TREAT", permit);
        check(&with(&scope, "deny"), "TREAT", deny);
    }
    let mut research = policy();
    research.consents.speak = vec![Scope::Research];
    assert_eq!(now(&[&with(&coded("research"), "permit")], "TREAT", &research), "permit");
    assert_eq!(now(&[&with(&coded("patient-privacy"), "deny")], "TREAT", &research), "none");
}

#[test]
fn c1_only_active_permits_and_only_a_known_status_silences() {
    let with = |status: &str, effect: &str| r4(&[&root(&[effect])]).replace(r#""status":"active","#, status);
    for (status, permit, deny) in [
        (r#""status":"active","#, "permit", "deny"),
        (r#""status":"draft","#, "none", "none"),
        (r#""status":"proposed","#, "none", "none"),
        (r#""status":"rejected","#, "none", "none"),
        (r#""status":"inactive","#, "none", "none"),
        (r#""status":"not-done","#, "none", "none"),
        (r#""status":"unknown","#, "none", "none"),
        (r#""status":"entered-in-error","#, "none", "none"),
        (r#""status":"Active","#, "none", "deny"),
        (r#""_status":{},"#, "none", "deny"),
        ("", "none", "deny"),
    ] {
        check(&with(status, PERMIT), "TREAT", permit);
        check(&with(status, DENY), "TREAT", deny);
    }
}

#[test]
fn c2_a_consent_holds_from_its_first_instant_through_its_last_day() {
    let year = r4(&[&root(&[PERMIT, YEAR])]);
    assert_eq!(all_time(&[&year], "TREAT"), "none | 2026-01-05T06:00:00Z permit | 2027-01-01T06:00:00Z none");
    let exact = r4(&[&root(&[DENY, r#""period":{"end":"2026-06-01T10:00:00Z"}"#])]);
    assert_eq!(all_time(&[&exact], "TREAT"), "deny | 2026-06-01T10:00:00Z none");
    let r5 = r5(&[r#""decision":"permit""#, r#""period":{"start":"2026-02","end":"2026"}"#]);
    assert_eq!(all_time(&[&r5], "TREAT"), "none | 2026-02-01T06:00:00Z permit | 2027-01-01T06:00:00Z none");
}

#[test]
fn c2_the_end_of_a_nested_provision_gives_the_base_back() {
    let nested = r4(&[&rule("OPTIN"), &root(&[&nested(&[&[DENY, r#""period":{"start":"2026-03-01","end":"2026-03-31"}"#]])])]);
    assert_eq!(all_time(&[&nested], "TREAT"), "permit | 2026-03-01T06:00:00Z deny | 2026-04-01T05:00:00Z permit");
}

#[test]
fn c3_siblings_are_or_attributes_are_and() {
    let two = r4(&[
        &rule("OPTOUT"),
        &root(&[&nested(&[&[PERMIT, &purpose("TREAT"), CRM], &[PERMIT, &purpose("HMARKT"), &actor("IRCP", "Organization/lab")]])]),
    ]);
    check(&two, "TREAT", "permit");
    // Purpose from the one and recipient from the other never add up (C15).
    check(&two, "HMARKT", "deny");
    let both = r4(&[&rule("OPTOUT"), &root(&[&nested(&[&[PERMIT, &purpose("TREAT")], &[DENY, CRM]])])]);
    check(&both, "TREAT", "deny");
}

#[test]
fn c3_the_root_sets_applicability() {
    let root_only = r4(&[&rule("OPTOUT"), &root(&[&purpose("TREAT"), &nested(&[&[PERMIT, &purpose("HMARKT")]])])]);
    check(&root_only, "TREAT", "deny");
    check(&root_only, "HMARKT", "none");
}

#[test]
fn c4_an_attribute_that_cannot_be_read_widens_a_deny_and_stops_a_permit() {
    let odd = r#""purpose":[{"system":"urn:example","code":"MARKT"}]"#;
    let bad_period = r#""period":{"end":"soon"}"#;
    let backwards = r#""period":{"start":"2026-12-01","end":"2026-01-01"}"#;
    let hidden = r#""period":{"_end":{"extension":[]}}"#;
    let odd_label = labels("v3-ActCode", "NEWLABEL");
    let odd_role = actor("XYZ", "Organization/lab");
    for part in [odd, &odd_label, &odd_role] {
        check(&r4(&[&root(&[DENY, part])]), "TREAT", "deny");
        check(&r4(&[&root(&[PERMIT, part])]), "TREAT", "none");
    }
    for part in [bad_period, backwards, hidden] {
        check(&r4(&[&root(&[DENY, part])]), "TREAT", "deny");
    }
    check(&r4(&[&root(&[PERMIT, r#""purpose":[]"#])]), "TREAT", "permit");
    // Of a deny whose label is not known it cannot be told what a permit beneath it lifts.
    check(&r4(&[&root(&[DENY, &odd_label, &nested(&[&[PERMIT]])])]), "TREAT", "deny");
}

#[test]
fn c8_treatment_never_reaches_marketing() {
    for code in ["TREAT", "HPAYMT", "HOPERAT"] {
        check(&r4(&[&root(&[PERMIT, &purpose(code)])]), "HMARKT", "none");
    }
    check(&r4(&[&root(&[PERMIT, &purpose("HMARKT")])]), "TREAT", "none");
    check(&r4(&[&root(&[DENY, &purpose("HOPERAT")])]), "CAREMGT", "deny");
    check(&r4(&[&root(&[DENY, &purpose("CAREMGT")])]), "HOPERAT", "none");
}

#[test]
fn c9_what_is_not_supported_cannot_permit_and_still_denies() {
    for (part, at_root) in [
        (r#""modifierExtension":[{"url":"urn:example:x"}]"#, true),
        (r#""implicitRules":"urn:example:rules""#, true),
        (r#""surprise":1"#, true),
        (r#""patient":{"reference":"Group/7"}"#, true),
        (r#""modifierExtension":[{"url":"urn:example:x"}]"#, false),
        (r#""surprise":1"#, false),
        (r#""expression":{"language":"text/cql"}"#, false),
        (r#""class":[{"code":"Encounter"}]"#, false),
        (r#""resourceType":[{"code":"Encounter"}]"#, false),
        (r#""documentType":[{"code":"application/pdf"}]"#, false),
        (r#""code":[{"coding":[{"code":"1"}]}]"#, false),
        (r#""dataPeriod":{"start":"2020"}"#, false),
        (r#""data":[{"meaning":"instance","reference":{"reference":"Observation/1"}}]"#, false),
    ] {
        for (effect, expected) in [(PERMIT, "none"), (DENY, "deny")] {
            let text = match at_root {
                true => r4(&[part, &root(&[effect])])
                    .replace(if part.contains("Group") { r#""patient":{"reference":"Patient/ann"},"# } else { "\n" }, ""),
                false => r4(&[&root(&[effect, part])]),
            };
            check(&text, "TREAT", expected);
        }
    }
}

#[test]
fn c9_an_unresolved_actor_anywhere_means_that_the_consent_cannot_permit() {
    let stranger = actor("IRCP", "Practitioner/77");
    check(&r4(&[&root(&[PERMIT, &nested(&[&[DENY, &purpose("HMARKT"), &stranger]])])]), "TREAT", "none");
    check(&r4(&[&root(&[PERMIT, &nested(&[&[DENY, &purpose("HMARKT"), &actor("IRCP", "Organization/lab")]])])]), "TREAT", "permit");
    // Who cannot be told from the recipient is met by a deny.
    check(&r4(&[&root(&[DENY, &stranger])]), "TREAT", "deny");
}

#[test]
fn c10_deny_overrides_and_only_a_link_supersedes() {
    let dated = |id: &str, date: &str, effect: &str, more: &str| {
        r4(&[&format!(r#""id":"{id}","dateTime":"{date}"{more}"#), &root(&[effect, &purpose("TREAT")])])
    };
    let number = r#","identifier":[{"system":"urn:example:consents","value":"1"}]"#;
    let old_deny = dated("a", "2026-01-01", DENY, number);
    for (more, expected) in [("", "deny"), (number, "permit"), (r#","sourceReference":{"reference":"Consent/a"}"#, "permit")] {
        let new_permit = dated("b", "2026-02-01", PERMIT, more);
        assert_eq!(now(&[&old_deny, &new_permit], "TREAT", &policy()), expected, "{more}");
        assert_eq!(now(&[&new_permit, &old_deny], "TREAT", &policy()), expected, "{more}");
    }
    // The same day cannot be told apart, so nothing is replaced.
    assert_eq!(now(&[&old_deny, &dated("b", "2026-01-01", PERMIT, number)], "TREAT", &policy()), "deny");
    // One that cannot permit lifts no denial; a draft replaces nothing; a revocation takes the permit back.
    let broken = dated("b", "2026-02-01", PERMIT, &format!(r#"{number},"surprise":1"#));
    assert_eq!(now(&[&old_deny, &broken], "TREAT", &policy()), "deny");
    let old_permit = dated("a", "2026-01-01", PERMIT, number);
    for (status, expected) in [("draft", "permit"), ("inactive", "none"), ("entered-in-error", "permit")] {
        let newer = dated("b", "2026-02-01", PERMIT, number).replace(r#""status":"active""#, &format!(r#""status":"{status}""#));
        assert_eq!(now(&[&old_permit, &newer], "TREAT", &policy()), expected, "{status}");
    }
}

#[test]
fn c10_a_circle_of_sources_supersedes_nothing() {
    let one = |id: &str, other: &str, effect: &str| {
        r4(&[&format!(r#""id":"{id}","sourceReference":{{"reference":"Consent/{other}"}}"#), &root(&[effect])])
    };
    assert_eq!(now(&[&one("a", "b", DENY), &one("b", "a", PERMIT)], "TREAT", &policy()), "deny");
}

#[test]
fn c15_most_recent_compares_provisions_and_leaves_doubt_to_the_deny() {
    let mut policy = policy();
    policy.consents.conflict = Conflict::MostRecent;
    let dated = |date: &str, effect: &str| r4(&[&format!(r#"{date}"id":"a""#), &root(&[effect, &purpose("TREAT")])]);
    let (may, june, no_date) = (r#""dateTime":"2026-05-01","#, r#""dateTime":"2026-06-01","#, "");
    for (deny, permit, expected) in [
        (may, june, "permit"),
        (june, may, "deny"),
        (may, may, "deny"),
        (no_date, june, "deny"),
        (may, no_date, "deny"),
        (r#""dateTime":"2026","#, june, "deny"),
    ] {
        assert_eq!(now(&[&dated(deny, DENY), &dated(permit, PERMIT)], "TREAT", &policy), expected, "{deny} {permit}");
    }
    let base = r4(&[june, &rule("OPTIN")].map(|part| part.trim_end_matches(',')));
    assert_eq!(now(&[&dated(may, DENY), &base], "TREAT", &policy), "deny");
}

#[test]
fn c11_without_a_consent_marketing_is_closed_and_treatment_is_not_denied() {
    let decision = ask(&[], "HMARKT", &policy());
    assert_eq!(granted(&decision, Basis::Authorization), Steps::always(Grant::Closed(Cause::NoConsent)));
    assert_eq!(granted(&decision, Basis::Permit), Steps::always(Grant::Closed(Cause::NoConsent)));
    assert_eq!(granted(&decision, Basis::NoDenial), Steps::always(Grant::Open));
}

#[test]
fn c12_a_deny_of_labels_redacts_what_carries_them() {
    let hiv = labels("v3-ActCode", "HIV");
    let restricted = labels("v3-Confidentiality", "R");
    check(&r4(&[&root(&[PERMIT, &nested(&[&[DENY, &hiv]])])]), "TREAT", "permit -HIV");
    check(&r4(&[&root(&[DENY, &restricted])]), "TREAT", "none -R");
    check(&r4(&[&root(&[PERMIT, &nested(&[&[DENY, &purpose("HMARKT"), &hiv]])])]), "TREAT", "permit");
    check(&r4(&[&root(&[DENY, &hiv, &nested(&[&[PERMIT, &purpose("TREAT")]])])]), "TREAT", "none");
    check(&r4(&[&root(&[DENY, &hiv, r#""class":[{"code":"Encounter"}]"#])]), "TREAT", "none -HIV");
    // A permit of labels is narrower than the question; beside a wider permit it takes nothing away.
    check(&r4(&[&root(&[PERMIT, &hiv])]), "TREAT", "none");
    check(&r4(&[&root(&[PERMIT, &nested(&[&[PERMIT, &restricted]])])]), "TREAT", "permit");
}

#[test]
fn c15_redactions_of_all_consents_unite() {
    let permit = r4(&[&root(&[PERMIT])]);
    let hiv = r4(&[&root(&[DENY, &labels("v3-ActCode", "HIV")])]);
    let psy = r4(&[&root(&[PERMIT, &nested(&[&[DENY, &labels("v3-ActCode", "PSY")]])])]);
    assert_eq!(now(&[&permit, &hiv, &psy], "TREAT", &policy()), "permit -HIV -PSY");
}

fn complete() -> String {
    r4(&[SIGNED, &root(&[PERMIT, YEAR, CRM, &purpose("HMARKT")])])
}

#[test]
fn c14_a_complete_authorization_opens_marketing_until_it_ends() {
    assert_eq!(all_time(&[&complete()], "HMARKT"), "none | 2026-01-05T15:00:00Z permit authorized | 2027-01-01T06:00:00Z none");
    let opt_out = r4(&[SIGNED, &rule("OPTOUT"), &root(&[YEAR, &nested(&[&[PERMIT, CRM, &purpose("HMARKT")]])])]);
    check(&opt_out, "HMARKT", "permit authorized");
    let r5 = r5(&[
        r#""date":"2026-01-05","grantor":[{"reference":"Patient/ann"}],"verification":[{"verified":true}],"decision":"deny""#,
        YEAR,
        &nested(&[&[CRM, &purpose("HMARKT")]]),
    ]);
    check(&r5, "HMARKT", "permit authorized");
    check(&r5, "TREAT", "deny");
}

#[test]
fn c14_without_any_one_element_it_is_no_authorization() {
    for (gone, instead) in [
        (r#""dateTime":"2026-01-05T15:00:00Z","#, ""),
        (r#""dateTime":"2026-01-05T15:00:00Z","#, r#""dateTime":"lately","#),
        (r#""performer":[{"reference":"Patient/ann"}],"#, ""),
        ("Patient/ann\"}],", "RelatedPerson/mother\"}],"),
        (r#","sourceAttachment":{"title":"form"}"#, ""),
        (r#""sourceAttachment":{"title":"form"}"#, r#""verification":[{"verified":false}]"#),
        (r#","end":"2026-12-31""#, ""),
        (&format!("{CRM},"), ""),
        (&format!(",{}", purpose("HMARKT")), ""),
    ] {
        assert!(complete().contains(gone), "{gone}");
        check(&complete().replace(gone, instead), "HMARKT", "permit");
    }
    check(&complete().replace("IRCP", "CST"), "HMARKT", "none");
}

#[test]
fn c14_a_base_decision_never_authorizes() {
    check(&r4(&[SIGNED, &rule("OPTIN"), &root(&[YEAR, CRM, &purpose("HMARKT")])]), "HMARKT", "permit");
    check(&r5(&[r#""decision":"permit""#, YEAR]), "HMARKT", "permit");
}

#[test]
fn c14_purpose_only_asks_for_the_purpose() {
    let mut policy = policy();
    policy.authorization = Authorization::PurposeOnly;
    assert_eq!(now(&[&r4(&[&root(&[PERMIT, &purpose("HMARKT")])])], "HMARKT", &policy), "permit authorized");
    assert_eq!(now(&[&r4(&[&root(&[PERMIT])])], "HMARKT", &policy), "permit");
}

#[test]
fn c15_roles_match_the_recipient_or_the_discloser() {
    let both = format!("{},{}", CRM.trim_end_matches(']'), actor("CST", "Organization/riverside").trim_start_matches(r#""actor":["#));
    let lab_and_us = both.replace("Organization/crm", "Organization/lab");
    let no_role = r#""actor":[{"reference":{"reference":"Organization/crm"}}]"#;
    let by_identifier = r#""actor":[{"reference":{"identifier":{"system":"urn:example:recipients","value":"crm"}}}]"#;
    for (actors, permit, deny) in [
        (actor("IRCP", "Organization/crm"), "permit", "deny"),
        (actor("PRCP", "Organization/crm"), "permit", "deny"),
        (no_role.to_owned(), "permit", "deny"),
        (by_identifier.to_owned(), "permit", "deny"),
        (actor("IRCP", "Organization/crm/_history/3"), "permit", "deny"),
        (actor("IRCP", "Organization/lab"), "none", "none"),
        (actor("CST", "Organization/riverside"), "permit", "deny"),
        (actor("AUT", "Organization/riverside"), "permit", "deny"),
        (actor("CST", "Organization/crm"), "none", "none"),
        (actor("GUARD", "Organization/lab"), "none", "deny"),
        (both, "permit", "deny"),
        (lab_and_us, "none", "deny"),
        (r#""actor":[{"role":{"text":"someone"},"reference":{"reference":"Organization/crm"}}]"#.to_owned(), "none", "deny"),
        (r#""actor":[{}]"#.to_owned(), "none", "deny"),
    ] {
        check(&r4(&[&root(&[PERMIT, &actors])]), "TREAT", permit);
        check(&r4(&[&root(&[DENY, &actors])]), "TREAT", deny);
    }
}

#[test]
fn base_deny_own_purposes_denies_only_what_the_consent_is_about() {
    let mut policy = policy();
    policy.consents.base_deny = BaseDeny::OwnPurposes;
    let about_treatment = r4(&[&rule("OPTOUT"), &root(&[&nested(&[&[PERMIT, CRM, &purpose("COC")]])])]);
    for (code, expected) in [("COC", "permit"), ("TREAT", "deny"), ("HMARKT", "none")] {
        assert_eq!(now(&[&about_treatment], code, &policy), expected, "{code}");
    }
    check(&about_treatment, "HMARKT", "deny");
    assert_eq!(now(&[&r4(&[&rule("OPTOUT")])], "HMARKT", &policy), "deny");
    let explicit = r4(&[&rule("OPTOUT"), &root(&[&nested(&[&[DENY, &purpose("HMARKT")]])])]);
    assert_eq!(now(&[&explicit], "HMARKT", &policy), "deny");
}

#[test]
fn i9_what_of_a_consent_closes_the_gate_when_it_cannot_be_read_and_what_is_only_noted() {
    let treat = purpose("TREAT");
    let bad = r#""period":{"start":"2026-01-05","end":"until further notice"}"#;
    let backwards = r#""period":{"start":"2026-12-01","end":"2026-01-01"}"#;
    let untold = r#""period":{"_end":{"extension":[]}}"#;
    let permit = |part: &str| root(&[PERMIT, &treat, part]);
    let beneath = |part: &str| root(&[PERMIT, &nested(&[&[PERMIT, &treat, part]])]);
    let inactive = |text: String| text.replace("active", "inactive");
    let research = |text: String| text.replace("patient-privacy", "research");
    let undated = |text: &str| r4(&[text, r#""dateTime":"last spring""#]);
    // The Consent; whether it is noted; what stands behind TREAT and behind HMARKT.
    let table = [
        (r4(&[&permit(bad)]), true, "deny", "none"),
        (r4(&[&permit(backwards)]), true, "deny", "none"),
        (r4(&[&permit(untold)]), true, "deny", "none"),
        (r4(&[&permit(r#""dataPeriod":{"end":"soon"}"#)]), true, "deny", "none"),
        (r4(&[&beneath(bad)]), true, "deny", "none"),
        (r4(&[&root(&[PERMIT, bad])]), true, "deny", "deny"),
        (r4(&[&rule("OPTIN"), &root(&[bad])]), true, "deny", "deny"),
        (r4(&[&rule("OPTIN"), &root(&[&nested(&[&[DENY, &purpose("HMARKT"), bad]])])]), true, "none", "deny"),
        (r5(&[r#""decision":"permit""#, bad]), true, "deny", "deny"),
        // Who says nothing here says nothing with a broken period either; a date only orders, and shows that it is written.
        (inactive(r4(&[&permit(bad)])), true, "none", "none"),
        (research(r4(&[&permit(bad)])), true, "none", "none"),
        (undated(&permit(YEAR)), true, "permit", "none"),
        (undated(&root(&[DENY, &treat])), true, "deny", "none"),
        // A code that is not known is no broken record: it does not permit (C4).
        (r4(&[&root(&[PERMIT, &purpose("NEWREASON")])]), false, "none", "none"),
        (r4(&[&permit(YEAR)]), false, "permit", "none"),
    ];
    for (text, noted, for_treatment, for_marketing) in table {
        check(&text, "TREAT", for_treatment);
        check(&text, "HMARKT", for_marketing);
        let (_, malformed) = read_noting(&parse(text.as_bytes()).expect(&text), &chicago()).expect(&text);
        assert_eq!(malformed.is_some(), noted, "{text}");
        let open = granted(&ask(&[&text], "TREAT", &policy()), Basis::NoDenial);
        let at = Instant::parse("2026-06-15T12:00:00Z").expect("instant");
        assert_eq!(open.at(at).is_open(), for_treatment != "deny", "{text}");
    }
}

#[test]
fn an_unreadable_consent_denies_for_ever() {
    let (policy, permit) = (policy(), consent(&complete()));
    let question = Question { recipient: &policy.recipients[0], organisation: &policy.organisation, purpose: Purpose::HMARKT };
    let decision = decide(&[&permit, &Consent::unreadable()], &question, &policy);
    assert!(decision.constant().is_none_or(|decision| decision.outcome == Outcome::Deny));
    assert!(granted(&decision, Basis::NoDenial).constant() == Some(&Grant::Closed(Cause::ConsentUnreadable)));
    for text in [
        "[]",
        "{}",
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Consent","provision":3}"#,
        r#"{"resourceType":"Consent","provision":{"purpose":{}}}"#,
        r#"{"resourceType":"Consent","provision":{"type":"deny","type":"permit"}}"#,
        r#"{"resourceType":"Consent","status":"active","status":"inactive"}"#,
        r#"{"resourceType":"Consent","policyRule":[]}"#,
    ] {
        assert!(read(&parse(text.as_bytes()).expect(text), &chicago()).is_err(), "{text}");
    }
    let many = vec![r#"{"type":"permit"}"#; 2001].join(",");
    let text = format!(r#"{{"resourceType":"Consent","provision":{{"provision":[{many}]}}}}"#);
    assert!(read(&parse(text.as_bytes()).expect("json"), &chicago()).is_err());
}

#[test]
fn the_cause_tells_revoked_from_expired_from_never() {
    let cause = |consents: &[&str], at: &str| {
        let grants = granted(&ask(consents, "HMARKT", &policy()), Basis::Authorization);
        match grants.at(Instant::parse(at).expect(at)) {
            Grant::Open => "open",
            Grant::Closed(cause) => cause.word(),
        }
    };
    let revoked = complete().replace(r#""status":"active""#, r#""status":"inactive""#);
    let deny = r4(&[&root(&[DENY])]);
    let purposeless = r4(&[&root(&[PERMIT])]);
    for (consents, at, expected) in [
        (&[complete().as_str()][..], "2025-06-01T00:00:00Z", "no-consent"),
        (&[&complete()], "2026-06-01T00:00:00Z", "open"),
        (&[&complete()], "2027-06-01T00:00:00Z", "consent-expired"),
        (&[&revoked], "2026-06-01T00:00:00Z", "consent-revoked"),
        (&[&complete(), &deny], "2026-06-01T00:00:00Z", "consent-denied"),
        (&[&purposeless], "2026-06-01T00:00:00Z", "not-authorized"),
        (&[&deny, &revoked], "2026-06-01T00:00:00Z", "consent-denied"),
    ] {
        assert_eq!(cause(consents, at), expected);
    }
}

#[test]
fn written_is_what_is_dated_signed_and_documented() {
    let written = |text: &str| ask(&[text], "TREAT", &policy()).at(Instant::parse("2026-06-01T00:00:00Z").expect("instant")).written;
    assert!(written(&r4(&[SIGNED, &root(&[PERMIT, &purpose("TREAT")])])));
    assert!(!written(&r4(&[&root(&[PERMIT, &purpose("TREAT")])])));
    assert!(!written(&r4(&[SIGNED, &root(&[DENY, &purpose("TREAT")])])));
}

#[test]
fn a_stale_consent_that_restricts_more_is_seen() {
    let policy = policy();
    let question = || Question { recipient: &policy.recipients[0], organisation: &policy.organisation, purpose: Purpose::HMARKT };
    let more = |stale: &str, current: Option<&str>, from: &str| {
        let current = current.map(consent);
        restricts_more(&consent(stale), current.as_ref(), &[question()], &policy, Instant::parse(from).expect(from))
    };
    let (deny, now) = (r4(&[&root(&[DENY])]), "2026-06-01T00:00:00Z");
    let redacting = r4(&[SIGNED, &root(&[PERMIT, YEAR, CRM, &purpose("HMARKT"), &nested(&[&[DENY, &labels("v3-ActCode", "HIV")]])])]);
    assert!(more(&deny, Some(&complete()), now));
    assert!(more(&deny, None, now));
    assert!(more(&redacting, Some(&complete()), now));
    assert!(more(&complete().replace("active", "inactive"), Some(&complete()), now));
    assert!(!more(&complete(), Some(&complete()), now));
    assert!(!more(&complete(), Some(&redacting), now));
    assert!(!more(&complete(), Some(&deny), now));
    // What differs only in the past does not matter any more.
    let shorter = complete().replace("2026-12-31", "2026-03-31");
    assert!(more(&shorter, Some(&complete()), now));
    assert!(!more(&shorter, Some(&complete()), "2027-06-01T00:00:00Z"));
}

#[test]
fn the_compact_form_survives_storage_and_prints_nothing() {
    let kept = consent(&complete());
    let bytes = postcard::to_stdvec(&kept).expect("serializes");
    assert!(bytes.len() < 200, "{} bytes", bytes.len());
    let back: Consent = postcard::from_bytes(&bytes).expect("reads");
    assert!(back == kept);
    assert_eq!(format!("{kept:?}"), "Consent [phi]");
}
