//! Stories of what a recipient may read of who comes and goes: reasons, instants, identities.

use super::kit::{Rig, World, about, at, audience, consent, meta, patient, policy, purpose};
use crate::consent::Identify;
use crate::shard::Fact;
use crate::time::{Instant, Span};

fn day(text: &str) -> Instant {
    at(&format!("2026-{text}T00:00:00Z"))
}

fn seen() -> World {
    World::new(policy(), &[audience("seen", r#""members":{"Observation":"status = 'final'"}"#)])
}

fn observation(rest: &str) -> String {
    about("Observation", "o", &["ann"], &format!(r#","status":"final"{rest}"#))
}

/// What the recipient reads as the reason of each event.
fn reasons(rig: &mut Rig) -> Vec<String> {
    let reason = |event: String| event.split(r#""reason":""#).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
    rig.events().into_iter().filter_map(reason).collect()
}

#[test]
fn who_leaves_for_a_new_label_is_not_to_be_contacted_again_for_this() {
    let world = seen();
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    rig.put(day("01-02"), &observation(""));
    rig.put(day("01-03"), &observation(&meta(None, Some("HIV"))));
    assert_eq!(reasons(&mut rig), ["qualified", "stop"]);
    rig.put(day("01-04"), &observation(""));
    rig.put(day("01-05"), &about("Observation", "o", &["ann"], r#","status":"cancelled""#));
    assert_eq!(reasons(&mut rig), ["qualified", "ended"]);
}

/// Only a pause keeps an episode: who was denied and consents again begins a new one, and the journey begins anew.
#[test]
fn after_a_denial_a_new_consent_begins_a_new_episode() {
    let world = seen();
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    rig.put(day("01-02"), &observation(""));
    let says = |effect: &str, on: &str| consent("c", "ann", "active", &purpose(effect, "TREAT"), &meta(Some(day(on)), None));
    rig.put(day("01-03"), &says("deny", "01-03"));
    rig.put(day("01-04"), &says("permit", "01-04"));
    let events = rig.events();
    let [_, stopped, again] = events.as_slice() else { panic!("{events:?}") };
    assert!(stopped.contains(r#""episode":1"#) && stopped.contains(r#""reason":"stop""#), "{stopped}");
    assert!(again.contains(r#""episode":3"#) && again.contains(r#""reason":"qualified""#), "{again}");
}

#[test]
fn a_record_that_is_not_in_use_is_in_no_audience() {
    let world = seen();
    let mut rig = Rig::new(&world);
    for (active, told) in [("", 1), (r#","active":false"#, 1), (r#","active":true"#, 1), (r#","active":"yes""#, 1)] {
        rig.put(day("01-02"), &patient("ann", "1980-01-01", active));
        rig.put(day("01-02"), &observation(""));
        assert_eq!(rig.told().len(), told, "{active}");
    }
}

#[test]
fn a_consent_that_is_dated_ahead_opens_at_its_instant_and_denies_at_once() {
    let offer = audience("offer", r#""communication":"marketing","members":{"Patient":"gender.exists()"}"#);
    let care = audience("care", r#""members":{"Patient":"gender.exists()"}"#);
    let world = World::new(policy(), &[care, offer]);
    let mut rig = Rig::new(&world);
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    rig.told();
    rig.put(day("01-02"), &consent("c", "ann", "active", &purpose("permit", "HMARKT"), r#","dateTime":"2026-03-01T12:00:00Z""#));
    rig.put(day("01-02"), &consent("d", "ann", "active", &purpose("deny", "TREAT"), r#","dateTime":"2026-04-01""#));
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann care exited consent-denied"]);
    rig.run(day("03-02"));
    assert_eq!(rig.told(), ["2026-03-01T12:00:00Z ann offer entered qualified"]);
}

#[test]
fn who_cannot_be_named_to_the_recipient_does_not_enter_and_is_counted() {
    let mut policy = policy();
    policy.recipients[0].identify = Identify::Identifier { system: "urn:mrn".to_owned() };
    let world = World::new(policy, &[audience("seen", r#""members":{"Observation":"status = 'final'"}"#)]);
    let mut rig = Rig::new(&world);
    let named = |identifier: &str| patient("ann", "1980-01-01", &format!(r#","identifier":[{identifier}]"#));
    rig.put(day("01-01"), &patient("ann", "1980-01-01", ""));
    rig.put(day("01-02"), &observation(""));
    for unusable in [
        r#"{"system":"urn:other","value":"7"}"#,
        r#"{"system":"urn:mrn"}"#,
        r#"{"system":"urn:mrn","value":""}"#,
        r#"{"value":"7"}"#,
        r#"{"system":"urn:mrn","value":" "}"#,
        r#"{"system":"urn:mrn","value":"7","use":"old"}"#,
    ] {
        rig.facts.clear();
        rig.put(day("01-03"), &named(unusable));
        assert!(rig.told().is_empty(), "{unusable}");
        assert_eq!(rig.facts, [Fact::NoIdentity], "{unusable}");
    }
    rig.put(day("01-04"), &named(r#"{"system":"urn:mrn","value":"7"}"#));
    let events = rig.events();
    assert!(events.len() == 1 && events[0].contains(r#""identity":{"system":"urn:mrn","value":"7"}"#), "{events:?}");
    rig.put(day("01-05"), &patient("ann", "1980-01-01", ""));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann seen exited no-identity"]);
}

#[test]
fn a_birthday_is_not_told_by_the_instant_of_an_update() {
    let rest =
        r#""times":{"spread":"20d"},"members":{"Patient":"gender.exists()"},"release":{"age":{"Patient":"birthDate","as":"age-band"}}"#;
    let fifty = r#""times":{"spread":"20d"},"members":{"Patient":"birthDate <= today() - 50 years"},"release":{"age":{"Patient":"birthDate","as":"age-band"}}"#;
    let world = World::new(policy(), &[audience("all", rest), audience("fifty", fifty)]);
    let mut away = 0;
    for name in ["ann", "bea", "cleo", "dora", "eve"] {
        let mut rig = Rig::new(&world);
        rig.put(day("01-01"), &patient(name, "1976-03-01", ""));
        assert_eq!(rig.told().len(), 1);
        rig.run(day("04-01"));
        let lines: Vec<_> = std::mem::take(&mut rig.lines).into_iter().filter(|line| !line.text.contains("renewed")).collect();
        assert_eq!(lines.len(), 2, "{name}: older in one, and in the other");
        for line in lines {
            let after = line.effective.since(day("03-01"));
            assert!(after >= Span::ZERO && after <= Span::days(20), "{}", line.text);
            // Whoever comes in by age shows that age.
            assert!(line.json.contains(r#""age":"50-59""#), "{}", line.json);
            away += usize::from(after > Span::hours(1));
        }
    }
    assert!(away > 5, "nothing was moved");
}
