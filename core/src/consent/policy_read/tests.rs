//! The policy file, key by key.

use super::*;
use crate::document::{Content, Key};
use crate::fhir::json::parse;
use crate::problem::Place;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// A document from JSON; every part stands in line 1 at the depth of its nesting.
fn document(text: &str) -> Document {
    convert(&parse(text.as_bytes()).expect("json"), 1)
}

fn convert(value: &Value, depth: u32) -> Document {
    let place = || Place::new("policy.yaml", 1, depth);
    let content = if let Some(object) = value.as_object() {
        let entry = |(name, member): (&str, &Value)| (Key { place: place(), name: name.to_owned() }, convert(member, depth + 1));
        Content::Map(object.iter().map(entry).collect())
    } else if let Some(list) = value.as_array() {
        Content::List(list.iter().map(|item| convert(item, depth + 1)).collect())
    } else if value.is_null() {
        Content::Null
    } else if let Some(text) = value.as_str() {
        Content::Text { text: text.to_owned(), quoted: true }
    } else {
        Content::Text { text: value.to_string(), quoted: false }
    };
    Document { place: place(), content }
}

fn read(text: &str) -> (Option<Policy>, Vec<Problem>) {
    let mut problems = Vec::new();
    (read_policy(&document(text), &mut problems), problems)
}

const SHOWN: &str = r#"{
  "organisation": { "name": "Riverside Health", "zone": "America/Chicago", "references": ["Organization/riverside"], "identifiers": [] },
  "recipients": { "crm": { "name": "Riverside CRM", "address": "1 Main Street, Riverside", "references": ["Organization/crm"],
    "identifiers": [{ "system": "urn:example:recipients", "value": "crm" }],
    "agreement": { "kind": "business-associate", "until": "2027-12-31" }, "identify": "pseudonym", "may_know": [] } },
  "consents": { "speak": ["patient-privacy"], "conflict": "deny-overrides", "base_deny": "literal" },
  "bases": { "treatment": "no-denial", "operations": "no-denial", "marketing": "authorization" },
  "authorization": "complete",
  "channels": { "email": { "permission": "contact-on-file" }, "sms": { "permission": "permit", "hours": ["08:00", "20:00"] } },
  "sensitive": { "valuesets": ["sensitive-*"], "withhold": "all", "unresolved": "withhold", "places": [], "sources": {} },
  "minors": { "majority": 18, "by_state": { "AL": 19, "NE": 19, "MS": 21 } },
  "lease": "30d", "times": { "spread": "3d" }, "feed": { "stale_after": "15m", "on_stale": "lease" }, "hold_after": "5s",
  "counts": { "least": 11, "round": 10 }, "blast_radius": { "share": "10%", "least": 1000 } }"#;

#[test]
fn the_policy_of_the_documentation_is_the_default_with_names() {
    let (policy, problems) = read(SHOWN);
    assert_eq!(problems, []);
    let policy = policy.expect("read");
    let named = Policy { organisation: policy.organisation.clone(), recipients: policy.recipients.clone(), ..Policy::default() };
    assert_eq!(policy, named);
    let crm = policy.recipient("crm").expect("crm");
    assert_eq!((crm.name.as_str(), crm.references.as_slice()), ("Riverside CRM", &["Organization/crm".to_owned()][..]));
    assert_eq!(crm.agreement.as_ref().and_then(|a| a.until), Some(civil::date(2027, 12, 31)));
    assert_eq!((policy.organisation.zone.name(), policy.blast_radius.share), ("America/Chicago", 100));
}

#[test]
fn an_empty_policy_is_the_default_and_warns_of_the_zone() {
    let (policy, problems) = read("{}");
    assert_eq!(policy, Some(Policy::default()));
    assert_eq!(problems.iter().map(Problem::is_error).collect::<Vec<_>>(), [false]);
}

#[test]
fn every_other_value_is_read() {
    let (policy, problems) = read(
        r#"{"organisation":{"zone":"UTC"},
        "recipients":{"lab":{"name":"Lab","address":"x","references":["Organization/lab"],"agreement":{"kind":"contract"},
          "identify":{"identifier":"urn:example:mrn"},"may_know":["merged","deceased"]}},
        "consents":{"speak":["research","adr"],"conflict":"most-recent","base_deny":"own-purposes"},
        "bases":{"treatment":"permit","operations":"authorization"},"authorization":"purpose-only",
        "signers":[{"relationship":"GUARD","authority":"court order"}],
        "channels":{"email":{"permission":"written-permit","hours":["09:30","17:00"]}},
        "sensitive":{"valuesets":[],"withhold":["HIV","V"],"unresolved":"ignore","places":["Location/9"],"sources":{"clinic":["SUD"]}},
        "minors":{"majority":16,"by_state":{}},"lease":"60 days","times":{"spread":"0d"},
        "feed":{"stale_after":"1h","on_stale":"exit-now"},"hold_after":"1 minute","counts":{"least":0,"round":1},
        "blast_radius":{"share":"0.5%","least":0}}"#,
    );
    assert_eq!(problems, []);
    let policy = policy.expect("read");
    let label = |code| Label::named(code).expect(code);
    assert_eq!(policy.recipients[0].identify, Identify::Identifier { system: "urn:example:mrn".to_owned() });
    assert_eq!(policy.recipients[0].may_know, MayKnow { deceased: true, merged: true });
    let rules = ConsentRules { speak: vec![Scope::Research, Scope::Adr], conflict: Conflict::MostRecent, base_deny: BaseDeny::OwnPurposes };
    assert_eq!(policy.consents, rules);
    assert_eq!(policy.bases, Bases { treatment: Basis::Permit, operations: Basis::Authorization, marketing: Basis::Authorization });
    assert_eq!((policy.authorization, policy.signers.len()), (Authorization::PurposeOnly, 1));
    let hours = Some((civil::time(9, 30, 0, 0), civil::time(17, 0, 0, 0)));
    assert_eq!(policy.channels.email, ChannelRule { permission: Permission::WrittenPermit, hours });
    assert_eq!(policy.channels.sms, Policy::default().channels.sms);
    assert_eq!(policy.sensitive.withhold, Withhold::List(vec![label("HIV"), label("V")]));
    assert_eq!(
        (policy.sensitive.unresolved, &policy.sensitive.sources[0]),
        (Unresolved::Ignore, &("clinic".to_owned(), vec![label("SUD")]))
    );
    assert_eq!((policy.minors.majority, policy.minors.by_state.len(), policy.lease), (16, 0, Span::days(60)));
    assert_eq!((policy.times.spread, policy.feed.stale_after, policy.feed.on_stale), (Span::ZERO, Span::hours(1), OnStale::ExitNow));
    assert_eq!((policy.hold_after, policy.counts, policy.blast_radius.share), (Span::minutes(1), Counts { least: 0, round: 1 }, 5));
}

#[test]
fn each_mistake_is_a_problem_that_says_what_and_what_next() {
    for (text, said) in [
        (r#""#, "null"),
        (r#""lese":"30d""#, "unknown key `lese`|did you mean `lease`?"),
        (r#""lease":"soon""#, "`soon` is not a length of time"),
        (r#""lease":"0s""#, "`lease` is too short"),
        (r#""authorization":"purpose""#, "unknown value `purpose`"),
        (r#""bases":{"marketing":"no-denial"}"#, "marketing goes out without an authorization"),
        (r#""bases":{"marketin":"permit"}"#, "did you mean `marketing`?"),
        (r#""consents":{"speak":["privacy"]}"#, "unknown value `privacy`"),
        (r#""consents":{"speak":[]}"#, "no consent speaks here"),
        (r#""consents":{"conflict":"own-purposes"}"#, "unknown value `own-purposes`"),
        (r#""consents":[]"#, "expected a map with `speak`"),
        (r#""channels":{"fax":{}}"#, "unknown key `fax`"),
        (r#""channels":{"sms":{"hours":["20:00","08:00"]}}"#, "end before they begin"),
        (r#""channels":{"sms":{"hours":["8:00","20:00"]}}"#, "`8:00` is not a time of day"),
        (r#""channels":{"sms":{"hours":["08:00"]}}"#, "sending hours are two times"),
        (r#""sensitive":{"withhold":["OPIODUD"]}"#, "did you mean `OPIOIDUD`?"),
        (r#""sensitive":{"withhold":"some"}"#, "unknown value `some`"),
        (r#""sensitive":{"sources":{"a":"SUD"}}"#, "expected a list of security labels"),
        (r#""minors":{"majority":0}"#, "`0` is not a whole number from 1 to 25"),
        (r#""minors":{"by_state":{"Alabama":19}}"#, "`Alabama` is not a state"),
        (r#""blast_radius":{"share":"150%"}"#, "`150%` is not a share"),
        (r#""blast_radius":{"share":"10"}"#, "`10` is not a share"),
        (r#""counts":{"round":0}"#, "`0` is not a whole number from 1"),
        (r#""signers":[{"relationship":"GUARD"}]"#, "needs both `relationship` and `authority`"),
        (
            r#""recipients":{"crm":{}}"#,
            "recipient `crm` has no `name`|no consent can name recipient `crm`|has no `agreement`|has no `address`",
        ),
        (
            r#""recipients":{"a":{"name":"A","references":["Organization/1"]},"b":{"name":"B","references":["Organization/1"]}}"#,
            "share a reference",
        ),
        (r#""recipients":{"a":{"name":"A","identify":"name"}}"#, "unknown value `name`"),
        (r#""recipients":{"a":{"name":"A","identify":{"identifer":"x"}}}"#, "did you mean `identifier`?|names no identifier system"),
        (r#""recipients":{"a":{"name":"A","may_know":["died"]}}"#, "unknown value `died`"),
        (r#""recipients":{"a":{"name":"A","agreement":{"until":"2027-13-01"}}}"#, "has no `kind`|`2027-13-01` is not a day"),
        (r#""recipients":{"a":{"name":"A","identifiers":[{"system":"x"}]}}"#, "needs both `system` and `value`"),
        (r#""organisation":{"zone":"Chicago"}"#, "not a zone of the IANA database"),
    ] {
        if said == "null" {
            assert!(read("null").0.is_none() && read("[]").0.is_none());
            continue;
        }
        let (policy, problems) = read(&format!("{{{text}}}"));
        let shown: Vec<String> = problems.iter().map(Problem::to_string).collect();
        for part in said.split('|') {
            assert!(shown.iter().any(|problem| problem.contains(part)), "{text}: {shown:?}");
        }
        assert_eq!(policy.is_none(), problems.iter().any(Problem::is_error), "{text}");
    }
}

#[test]
fn all_problems_come_at_once() {
    let (policy, problems) = read(r#"{"lese":1,"lease":"x","bases":{"treatment":"y"},"organisation":{"zone":"UTC"}}"#);
    assert_eq!((policy, problems.len()), (None, 3));
}
