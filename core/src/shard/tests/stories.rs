//! Stories of the shard, named after their rules: who, when, what left.

use super::kit::{Rig, World, about, at, audience, consent, meta, patient, policy, purpose};
use crate::audience::Channel;
use crate::consent::OnStale;
use crate::fhir::Version;
use crate::gate::{self, Change, Closed, Enter, Leave, Shown, Transition};
use crate::shard::{Fact, Input, Member, Versions, Waiting};
use crate::time::{Instant, Span};

const JAN: &str = "2026-01-01T00:00:00Z";

fn day(text: &str) -> Instant {
    at(&format!("2026-{text}T00:00:00Z"))
}

/// In while an Observation is final; one audience of treatment.
fn seen() -> World {
    World::new(policy(), &[audience("seen", r#""members":{"Observation":"status = 'final'"}"#)])
}

fn had() -> World {
    let members = r#""members":{"Procedure":"status = 'completed' and performed.ofType(dateTime) > now() - 60 days"}"#;
    World::new(policy(), &[audience("had", members)])
}

fn observation(id: &str, whom: &str, rest: &str) -> String {
    about("Observation", id, &[whom], &format!(r#","status":"final"{rest}"#))
}

fn procedure(id: &str, whom: &str, day: &str, rest: &str) -> String {
    about("Procedure", id, &[whom], &format!(r#","status":"completed","performedDateTime":"2026-{day}T00:00:00Z"{rest}"#))
}

fn ann(rig: &mut Rig) {
    rig.put(at(JAN), &patient("ann", "1980-01-01", ""));
}

fn denies(updated: &str) -> String {
    consent("c", "ann", "active", &purpose("deny", "TREAT"), &meta(Some(day(updated)), None))
}

fn permits(updated: &str) -> String {
    consent("c", "ann", "active", &purpose("permit", "TREAT"), &meta(Some(day(updated)), None))
}

#[test]
fn a_put_brings_in_and_a_delete_takes_out() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-02"), &observation("o", "ann", ""));
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann seen entered qualified"]);
    rig.delete(day("01-03"), "Observation", "o");
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann seen exited no-longer-qualified"]);
    rig.put(day("01-04"), &observation("o", "ann", &meta(Some(day("01-02")), None)));
    assert!(rig.told().is_empty(), "older than the delete");
}

#[test]
fn of_equal_versions_the_later_record_wins_and_an_older_one_says_nothing() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    let version = |day_of: &str, status: &str| {
        about("Observation", "o", &["ann"], &format!(r#","status":"{status}"{}"#, meta(Some(day(day_of)), None)))
    };
    rig.put(day("01-05"), &version("01-05", "preliminary"));
    rig.put(day("01-06"), &version("01-05", "final"));
    assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann seen entered qualified"]);
    rig.put(day("01-07"), &version("01-04", "cancelled"));
    assert!(rig.told().is_empty());
    assert_eq!(rig.facts, [Fact::Stale]);
}

#[test]
fn a_group_is_compared_once_and_a_denial_in_it_stops_at_once() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.more(day("01-02"), &observation("o", "ann", ""));
    assert!(rig.told().is_empty(), "the group is open");
    rig.review();
    assert!(rig.told().is_empty(), "what all share may change in its middle");
    rig.put(day("01-02"), &observation("p", "ann", ""));
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann seen entered qualified"]);
    rig.more(day("01-03"), &denies("01-03"));
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann seen exited consent-denied"]);
}

#[test]
fn a_group_that_was_cut_ends_with_the_next_record_or_tick() {
    let world = seen();
    for by_tick in [true, false] {
        let mut rig = Rig::new(&world);
        ann(&mut rig);
        rig.more(day("01-02"), &observation("o", "ann", ""));
        match by_tick {
            true => rig.input(world.person("ann"), day("01-03"), Input::Tick),
            false => rig.opt_out(day("01-03"), "ann", Channel::Sms, false),
        }
        assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann seen entered qualified"], "by tick: {by_tick}");
    }
}

#[test]
fn while_a_group_is_open_nothing_else_enters_with_what_must_stop() {
    let fifty = audience("fifty", r#""members":{"Patient":"birthDate <= today() - 50 years"}"#);
    let marketing = audience("offer", r#""communication":"marketing","members":{"Patient":"gender.exists()"}"#);
    let world = World::new(policy(), &[fifty, marketing]);
    let mut rig = Rig::new(&world);
    rig.put(at(JAN), &patient("ann", "1976-03-01", ""));
    rig.put(at(JAN), &consent("c", "ann", "active", &purpose("permit", "HMARKT"), ""));
    assert_eq!(rig.told(), ["2026-01-01T00:00:00Z ann offer entered qualified"]);
    rig.more(day("03-01"), &consent("c", "ann", "active", &purpose("deny", "HMARKT"), ""));
    assert_eq!(rig.told(), ["2026-03-01T00:00:00Z ann offer exited consent-denied"]);
    rig.put(day("03-01"), &consent("d", "ann", "active", &purpose("deny", "TREAT"), ""));
    assert!(rig.told().is_empty(), "the group's last record denied");
}

#[test]
fn until_the_baseline_nothing_enters_and_exits_pass() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-02"), &observation("o", "ann", ""));
    rig.told();
    rig.silent = true;
    rig.put(day("01-03"), &denies("01-03"));
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann seen exited consent-denied"]);
    rig.put(day("01-04"), &permits("01-04"));
    assert!(rig.told().is_empty());
    assert_eq!(rig.member("ann").emitted("seen").and_then(|emitted| emitted.waiting), Some(Waiting::Baseline));
    rig.silent = false;
    rig.review();
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann seen entered qualified"]);
}

#[test]
fn behind_entries_wait_and_what_a_later_record_takes_back_is_never_told() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.hold = true;
    rig.put(day("01-02"), &observation("o", "ann", ""));
    rig.put(day("01-03"), &denies("01-03"));
    rig.hold = false;
    rig.review();
    assert!(rig.told().is_empty());
}

#[test]
fn a_stale_feed_renews_nothing_and_members_leave_with_their_lease() {
    let world = seen();
    let mut rig = Rig::new(&world);
    rig.fresh_until = day("01-10");
    ann(&mut rig);
    rig.put(day("01-02"), &observation("o", "ann", ""));
    assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann seen entered qualified"]);
    rig.run(day("03-01"));
    assert_eq!(rig.told(), ["2026-02-01T00:00:00Z ann seen exited feed-stale"]);
    rig.fresh_until = Instant::END;
    rig.review();
    assert_eq!(rig.told(), ["2026-03-01T00:00:00Z ann seen entered resumed"]);
}

#[test]
fn on_stale_exit_now_all_leave_the_moment_the_feed_is_stale_and_resume_when_it_is_fresh() {
    let mut policy = policy();
    policy.feed.on_stale = OnStale::ExitNow;
    let world = World::new(policy, &[audience("seen", r#""members":{"Observation":"status = 'final'"}"#)]);
    for held in [false, true] {
        let mut rig = Rig::new(&world);
        rig.fresh_until = day("01-10");
        ann(&mut rig);
        rig.put(day("01-02"), &observation("o", "ann", ""));
        assert_eq!(rig.told(), ["2026-01-02T00:00:00Z ann seen entered qualified"]);
        // Exits never wait, whatever an entry would wait for.
        rig.hold = held;
        rig.silent = held;
        rig.run(day("01-20"));
        assert_eq!(rig.told(), ["2026-01-10T00:00:00Z ann seen exited feed-stale"]);
        rig.put(day("01-21"), &observation("p", "ann", ""));
        assert!(rig.told().is_empty(), "nothing enters");
        (rig.hold, rig.silent, rig.fresh_until) = (false, false, Instant::END);
        rig.now = day("01-22");
        rig.review();
        assert_eq!(rig.told(), ["2026-01-22T00:00:00Z ann seen entered resumed"]);
    }
}

#[test]
fn a_lease_ends_while_the_feed_is_stale_also_behind_a_backlog() {
    let world = seen();
    let mut rig = Rig::new(&world);
    rig.fresh_until = day("01-10");
    ann(&mut rig);
    rig.put(day("01-02"), &observation("o", "ann", ""));
    rig.told();
    rig.hold = true;
    rig.run(day("03-01"));
    assert_eq!(rig.told(), ["2026-02-01T00:00:00Z ann seen exited feed-stale"]);
}

#[test]
fn a_lease_is_renewed_in_its_last_quarter_and_never_past_a_known_edge() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-01"), &observation("o", "ann", ""));
    rig.run(day("02-01"));
    let lines = std::mem::take(&mut rig.lines);
    let (entered, renewed) = (&lines[0], &lines[1]);
    let waited = renewed.effective.since(entered.effective);
    assert!(renewed.text.ends_with("updated renewed") && waited.0 >= Span::hours(540).0 && waited < Span::days(30), "{waited:?}");
    assert!(entered.json.contains(r#""until":"2026-01-31T00:00:00Z""#), "{}", entered.json);

    let world = had();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    // 60 days after 15 December is 13 February; that is more than 30 days off, then less.
    rig.put(day("01-20"), &procedure("p", "ann", "01-01", "").replace("2026-01-01T", "2025-12-15T"));
    rig.run(day("06-01"));
    let lines = std::mem::take(&mut rig.lines);
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["2026-01-20T00:00:00Z ann had entered qualified", "2026-02-13T00:00:00Z ann had exited no-longer-qualified"]);
    assert!(lines[0].json.contains(r#""until":"2026-02-13T00:00:00Z""#), "{}", lines[0].json);
}

#[test]
fn an_end_that_was_told_and_moved_away_is_told_again_before_it() {
    let world = had();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("02-20"), &procedure("p", "ann", "01-01", ""));
    rig.put(day("02-21"), &procedure("q", "ann", "02-21", ""));
    rig.run(day("03-02"));
    let lines = std::mem::take(&mut rig.lines);
    assert!(lines[0].json.contains(r#""until":"2026-03-02T00:00:00Z""#), "{}", lines[0].json);
    assert!(lines.len() == 2 && lines[1].text.ends_with("updated renewed"), "{lines:?}");
}

#[test]
fn an_episode_begins_with_an_entry_and_a_pause_keeps_it() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-02"), &observation("o", "ann", ""));
    rig.delete(day("01-03"), "Observation", "o");
    rig.put(day("01-04"), &observation("o", "ann", ""));
    let events = rig.events();
    for (event, (seq, episode, since)) in events.iter().zip([(1, 1, "02"), (2, 1, "02"), (3, 3, "04")]) {
        assert!(event.contains(&format!(r#""seq":{seq},"episode":{episode},"since":"2026-01-{since}T00:00:00Z""#)), "{event}");
    }
}

#[test]
fn a_stale_consent_that_restricts_more_closes_until_that_consent_is_renewed() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-02"), &observation("o", "ann", ""));
    rig.put(day("01-05"), &permits("01-05"));
    rig.told();
    rig.put(day("01-06"), &denies("01-04"));
    assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann seen exited consent-denied"]);
    assert!(rig.facts.contains(&Fact::StaleRestriction));
    rig.put(day("01-07"), &permits("01-05"));
    assert!(rig.told().is_empty(), "the current one delivered again is no newer one");
    rig.put(day("01-08"), &consent("another", "ann", "active", &purpose("permit", "TREAT"), ""));
    assert!(rig.told().is_empty(), "nor is another consent");
    rig.put(day("01-09"), &permits("01-09"));
    assert_eq!(rig.told(), ["2026-01-09T00:00:00Z ann seen entered qualified"]);
}

#[test]
fn i9_a_consent_that_cannot_be_read_or_understood_closes() {
    let world = seen();
    for (provision, rest) in
        [(purpose("permit", "TREAT"), r#","status":"inactive""#), (purpose("allow", "TREAT"), ""), (purpose("deny", "NOSUCHCODE"), "")]
    {
        let mut rig = Rig::new(&world);
        ann(&mut rig);
        rig.put(day("01-02"), &observation("o", "ann", ""));
        rig.told();
        rig.put(day("01-03"), &consent("c", "ann", "active", &provision, rest));
        let told = rig.told();
        assert!(told.len() == 1 && told[0].contains("seen exited consent-"), "{provision}: {told:?}");
    }
}

#[test]
fn labels_ride_on_links_in_either_order_of_arrival() {
    let world = seen();
    let link = r#","encounter":{"reference":"Encounter/e"}"#;
    let encounter = |label| about("Encounter", "e", &["ann"], &meta(None, label));
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-02"), &observation("o", "ann", link));
    assert!(rig.told().is_empty(), "where it leads is not known");
    rig.put(day("01-03"), &encounter(None));
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann seen entered qualified"]);
    rig.put(day("01-04"), &encounter(Some("HIV")));
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann seen exited sensitive"]);
    rig.put(day("01-05"), &encounter(None));
    assert_eq!(rig.told(), ["2026-01-05T00:00:00Z ann seen entered qualified"]);
    rig.delete(day("01-06"), "Encounter", "e");
    assert_eq!(rig.told(), ["2026-01-06T00:00:00Z ann seen exited sensitive"], "a link to what is gone leads nowhere");
}

#[test]
fn an_encounter_that_cannot_be_read_keeps_what_links_to_it_out() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-02"), &about("Encounter", "e", &["ann"], ""));
    rig.put(day("01-02"), &observation("o", "ann", r#","encounter":{"reference":"Encounter/e"}"#));
    rig.told();
    assert!(rig.put(day("01-03"), &about("Encounter", "e", &["ann"], r#","meta":{"security":7}"#)));
    assert_eq!(rig.told(), ["2026-01-03T00:00:00Z ann seen exited sensitive"]);
}

#[test]
fn a_medication_answers_before_or_after_its_request_and_carries_its_labels() {
    let asks = "status = 'active' and medication.ofType(Reference).resolve().ofType(Medication).where(status = 'active').exists()";
    let world = World::new(policy(), &[audience("drug", &format!(r#""members":{{"MedicationRequest":"{asks}"}}"#))]);
    let medication = |status: &str, meta: &str| format!(r#"{{"resourceType":"Medication","id":"m","status":"{status}"{meta}}}"#);
    let request = about("MedicationRequest", "r", &["ann"], r#","status":"active","medicationReference":{"reference":"Medication/m"}"#);
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-02"), &request);
    assert!(rig.told().is_empty());
    for (on, body, told) in [
        ("03", medication("active", ""), "entered qualified"),
        ("04", medication("active", &meta(None, Some("HIV"))), "exited sensitive"),
        ("05", medication("active", ""), "entered qualified"),
        ("06", medication("inactive", ""), "exited no-longer-qualified"),
        ("07", medication("active", ""), "entered qualified"),
        ("08", medication("active", r#","status":"active""#), "exited no-longer-qualified"),
        ("09", medication("active", ""), "entered qualified"),
    ] {
        rig.put(day(&format!("01-{on}")), &body);
        assert_eq!(rig.told(), [format!("2026-01-{on}T00:00:00Z ann drug {told}")]);
    }
    rig.delete(day("01-10"), "Medication", "m");
    assert_eq!(rig.told().len(), 1, "deleted, it answers nothing");
}

#[test]
fn a_latest_that_is_withheld_or_cannot_be_read_leaves_nothing_sure() {
    let rule = r#""members":{"latest":{"Appointment":"status = 'booked' or status = 'noshow'","by":"start","where":"status = 'booked'"}}"#;
    let world = World::new(policy(), &[audience("booked", rule)]);
    let visit = |id: &str, start: &str, rest: &str| {
        about("Appointment", id, &["ann"], &format!(r#","status":"booked","start":"2026-{start}T00:00:00Z"{rest}"#))
    };
    for (rest, cause) in [(meta(None, Some("HIV")), "sensitive"), (r#","status":"booked""#.to_owned(), "no-longer-qualified")] {
        let mut rig = Rig::new(&world);
        ann(&mut rig);
        rig.put(day("01-02"), &visit("a", "02-01", ""));
        rig.told();
        rig.put(day("01-03"), &visit("b", "03-01", &rest));
        assert_eq!(rig.told(), [format!("2026-01-03T00:00:00Z ann booked exited {cause}")]);
    }
}

#[test]
fn so_many_resources_are_counted_and_one_about_two_persons_counts_once() {
    let world =
        World::new(policy(), &[audience("twice", r#""members":{"at_least":{"count":2,"of":{"Appointment":"status = 'booked'"}}}"#)]);
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(at(JAN), &patient("bea", "1980-01-01", ""));
    rig.put(day("01-02"), &about("Appointment", "a", &["ann", "bea"], r#","status":"booked""#));
    rig.put(day("01-03"), &patient("ann", "1980-01-01", r#","link":[{"type":"replaces","other":{"reference":"Patient/bea"}}]"#));
    assert!(rig.told().is_empty());
    rig.put(day("01-04"), &about("Appointment", "b", &["bea"], r#","status":"booked""#));
    assert_eq!(rig.told(), ["2026-01-04T00:00:00Z ann twice entered qualified"]);
}

#[test]
fn a_resource_that_moves_away_and_back_is_only_ever_one_persons() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(at(JAN), &patient("bea", "1980-01-01", ""));
    for (on, whom) in [("02", "ann"), ("03", "bea"), ("04", "ann")] {
        rig.put(day(&format!("01-{on}")), &observation("o", whom, ""));
    }
    assert_eq!(
        rig.told(),
        [
            "2026-01-02T00:00:00Z ann seen entered qualified",
            "2026-01-03T00:00:00Z bea seen entered qualified",
            "2026-01-03T00:00:00Z ann seen exited no-longer-qualified",
            "2026-01-04T00:00:00Z ann seen entered qualified",
            "2026-01-04T00:00:00Z bea seen exited no-longer-qualified",
        ]
    );
}

#[test]
fn a_spread_moves_edges_inward_and_never_a_consent() {
    let members =
        r#""times":{"spread":"5d"},"members":{"Procedure":"status = 'completed' and performed.ofType(dateTime) > now() - 60 days"}"#;
    let world = World::new(
        policy(),
        &[
            audience("had", members),
            audience("fifty", r#""times":{"spread":"5d"},"members":{"Patient":"birthDate <= today() - 50 years"}"#),
        ],
    );
    let mut moved = 0;
    for n in 0..20 {
        let name = format!("person-{n}");
        let mut rig = Rig::new(&world);
        rig.put(at(JAN), &patient(&name, "1976-03-01", ""));
        rig.put(day("01-01"), &procedure("p", &name, "01-01", ""));
        rig.run(day("04-01"));
        let (entered, left) = (day("03-01"), day("03-02"));
        for line in &rig.lines {
            let within = match (line.audience.as_str(), line.exited) {
                ("fifty", false) => line.effective >= entered,
                ("had", true) => line.effective <= left && line.effective >= left.minus(Span::days(5)),
                _ => true,
            };
            assert!(within, "{}", line.text);
            moved += usize::from(line.entered && line.audience == "fifty" && line.effective > entered);
        }
        rig.lines.clear();
        rig.put(day("04-02"), &consent("c", &name, "active", &purpose("deny", "TREAT"), ""));
        assert_eq!(rig.told(), [format!("2026-04-02T00:00:00Z {name} fifty exited consent-denied")]);
    }
    assert!(moved > 10, "{moved}");
}

#[test]
fn who_is_held_back_is_never_told_of() {
    let rule = r#""outcome":{"Observation":"status = 'final'"},"holdout":{"share":"50%","wait":"60 days"},"members":{"Patient":"gender.exists()"}"#;
    let world = World::new(policy(), &[audience("half", rule)]);
    let mut rig = Rig::new(&world);
    for n in 0..100 {
        rig.put(at(JAN), &patient(&format!("person-{n}"), "1980-01-01", ""));
    }
    let told = rig.told().len();
    assert!((30..=70).contains(&told), "{told}");
}

#[test]
fn of_age_by_the_strictest_state_and_on_1_march_for_29_february() {
    let world = World::new(policy(), &[audience("all", r#""members":{"Patient":"gender.exists()"}"#)]);
    for (birth, state, entered) in [
        ("2008-02-29", "IL", "2026-03-01"),
        ("2008-03-15", "IL", "2026-03-15"),
        ("2008-03", "IL", "2026-03-31"),
        ("2007-03-15", "AL", "2026-03-15"),
        ("2005-03-15", "MS", "2026-03-15"),
    ] {
        let mut rig = Rig::new(&world);
        rig.put(at(JAN), &patient("ann", birth, &format!(r#","address":[{{"state":"{state}"}}]"#)));
        rig.run(day("12-31"));
        assert_eq!(
            rig.told().first().map(String::as_str),
            Some(format!("{entered}T00:00:00Z ann all entered qualified").as_str()),
            "{birth} {state}"
        );
    }
}

#[test]
fn the_dead_the_unreachable_and_the_deleted_leave_each_for_its_own_reason() {
    let world = World::new(policy(), &[audience("all", r#""channels":["email"],"members":{"Patient":"gender.exists()"}"#)]);
    for (rest, cause) in
        [(r#","deceasedBoolean":true"#, "deceased"), (r#","telecom":[]"#, "unreachable"), (r#","active":false"#, "inactive")]
    {
        let mut rig = Rig::new(&world);
        ann(&mut rig);
        rig.told();
        rig.put(day("01-02"), &patient("ann", "1980-01-01", rest));
        assert_eq!(rig.told(), [format!("2026-01-02T00:00:00Z ann all exited {cause}")]);
    }
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.opt_out(day("01-02"), "ann", Channel::Email, true);
    rig.opt_out(day("01-03"), "ann", Channel::Email, false);
    rig.delete(day("01-04"), "Patient", "ann");
    assert_eq!(
        rig.told()[1..],
        [
            "2026-01-02T00:00:00Z ann all exited opted-out",
            "2026-01-03T00:00:00Z ann all entered qualified",
            "2026-01-04T00:00:00Z ann all exited no-longer-qualified",
        ]
    );
}

#[test]
fn erased_forgets_all_but_the_count() {
    let world = seen();
    let mut rig = Rig::new(&world);
    ann(&mut rig);
    rig.put(day("01-02"), &observation("o", "ann", ""));
    rig.input(world.person("ann"), day("01-03"), Input::Erase);
    assert_eq!(rig.told()[1..], ["2026-01-03T00:00:00Z ann seen exited erased"]);
    let (member, versions) = &rig.members[&world.person("ann")];
    let emitted = member.emitted.clone();
    assert!(*member == Member { emitted, ..Member::default() } && *versions == Versions::default());
    rig.put(day("01-04"), &patient("ann", "1980-01-01", ""));
    rig.put(day("01-04"), &observation("o", "ann", ""));
    assert_eq!(rig.lines[0].seq, 3);
}

#[test]
fn the_gate_lets_no_entry_through_without_a_grant_for_its_instant() {
    let world = World::new(policy(), &[audience("fifty", r#""members":{"Patient":"birthDate <= today() - 50 years"}"#)]);
    let mut rig = Rig::new(&world);
    rig.put(at(JAN), &patient("ann", "1976-03-01", ""));
    let release = rig.release(world.person("ann"), 0);
    let shown = || Shown { channels: Vec::new(), values: Vec::new() };
    let moved = |change, effective| Transition { audience: 0, change, effective, since: effective, episode: None, until: None };
    let enters = || Change::Entered(Enter::Qualified, shown());
    let (before, after) = (day("02-28"), day("03-01"));
    assert!(gate::Grant::at(&release, before).is_none());
    let grant = gate::Grant::at(&release, after);
    assert!(gate::gate(moved(enters(), after), grant.as_ref()).is_ok());
    assert!(gate::gate(moved(enters(), before), grant.as_ref()).is_err(), "another instant");
    assert!(gate::gate(moved(enters(), after), None).is_err());
    assert!(gate::gate(moved(Change::Exited(Leave::Stop, Closed::OptedOut), before), None).is_ok(), "an exit needs none");
    let other = Shown { channels: Vec::new(), values: vec![None] };
    assert!(gate::gate(moved(Change::Entered(Enter::Qualified, other), after), grant.as_ref()).is_err(), "shows something else");
}

#[test]
fn a_delete_of_what_is_linked_keeps_its_version() {
    let mut versions = Versions::default();
    let key = crate::key::ResourceKey::from_u64(7);
    versions.leave(key, Version(3));
    assert!(!versions.knows(key) && versions.of(key) == Some(Version(3)) && versions.keys().next().is_none());
}
