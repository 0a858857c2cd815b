//! A process that does not have the definitions that it is to decide by: exits go on, nothing enters, and once it has them all is made up for.
//!
//! In: orders, a few invented patients. Out: nothing. Never here: how a process comes by definitions (the steward's).

use super::bench::{Bench, MEMBER, at, shipped_mappings};
use super::settle;
use footbridge::pipeline::{Content, Progress};
use footbridge::source::landing::{self, Order};
use footbridge_core::time::Span;

pub const PATIENT: &str = r#"{"resourceType":"Patient","id":"ID","gender":"female","birthDate":"1960-01-01","active":true,
    "telecom":[{"system":"email","value":"ID@example.org"}]}"#;
pub const DENIES: &str = r#"{"resourceType":"Consent","id":"c-ID","status":"active","patient":{"reference":"Patient/ID"},
    "scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
    "provision":{"type":"deny","purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"}]}}"#;

fn statuses(bench: &Bench) -> Vec<&'static str> {
    let told = bench.told().into_iter().filter(|((audience, _), _)| audience == "mammogram-due").flat_map(|(_, events)| events);
    let mut found: Vec<&str> = told.map(|event| if event.contains(r#""status":"entered""#) { "entered" } else { "exited" }).collect();
    found.sort_unstable();
    found
}

#[test]
fn without_the_definitions_only_exits_leave_and_with_them_the_rest_follows() {
    let bench = Bench::new(at("2026-01-01T06:00:00Z"), 1);
    let mut worker = bench.worker();
    let source = &bench.intake.sources[0];
    let bring = |json: &str, id: &str| bench.append(bench.intake.receive(source, json.replace("ID", id).as_bytes()).entries);
    let order = |order: Order| bench.append(bench.bridge.partitions.all().map(|place| landing::order(place, &order)).collect());
    let all = |is: fn(&Progress) -> bool| bench.bridge.board.read().values().all(is);
    bench.append(bench.intake.baseline(source));
    bring(PATIENT, "p1");
    settle(&mut worker);
    bench.clock.set(bench.clock.now().plus(Span::days(4)));
    settle(&mut worker);
    assert_eq!(statuses(&bench), ["entered"]);

    order(Order::Prepare { generation: 1 });
    settle(&mut worker);
    assert!(all(|one| one.lacks_content && !one.tells_exits_only), "those before decide");
    order(Order::Adopt { generation: 1 });
    bring(PATIENT, "p2");
    bring(DENIES, "p1");
    settle(&mut worker);
    bench.clock.set(bench.clock.now().plus(Span::days(4)));
    settle(&mut worker);
    assert_eq!(statuses(&bench), ["entered", "exited"], "the denial is told, the second patient is not");
    assert!(all(|one| one.lacks_content && one.tells_exits_only));
    // Another process, as little in possession of them.
    worker = bench.worker();
    settle(&mut worker);
    assert!(all(|one| one.lacks_content && one.tells_exits_only));

    bench.bridge.library.add(1, Content::new(shipped_mappings(), MEMBER));
    worker.turn().expect("no fault was asked for");
    settle(&mut worker);
    assert!(all(|one| one.running == 1 && !one.lacks_content && !one.tells_exits_only));
    assert_eq!(statuses(&bench), ["entered", "entered", "exited"]);
}
