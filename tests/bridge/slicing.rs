//! Work that concerns everybody goes in slices: what one person takes back does not wait for it (I8).
//!
//! In: invented patients, orders. Out: nothing. Never here: real time; turns of a worker are counted.

use super::bench::{Bench, at};
use super::lacking::{DENIES, PATIENT};
use super::settle;
use footbridge::source::landing;

/// An audience that none of them is in.
const EMPTY: &str = "care-plan-activity-overdue";

#[test]
fn a_long_stop_order_does_not_delay_a_revocation() {
    const PEOPLE: usize = 80;
    let bench = Bench::new(at("2026-01-01T06:00:00Z"), 1);
    let mut worker = bench.worker();
    let source = &bench.intake.sources[0];
    let bring = |json: &str, id: &str| bench.append(bench.intake.receive(source, json.replace("ID", id).as_bytes()).entries);
    let left = || bench.told().values().flatten().filter(|event| event.contains(r#""status":"exited""#)).count();
    bench.append(bench.intake.baseline(source));
    (0..PEOPLE).for_each(|number| bring(PATIENT, &format!("p{number}")));
    settle(&mut worker);
    assert!(bench.told().len() >= PEOPLE, "all of them are in an audience");

    // Nobody is in this one: everybody is compared again, and nobody leaves.
    bench.append(bench.bridge.partitions.all().map(|place| landing::stop(place, EMPTY, true)).collect());
    worker.turn().expect("no fault was asked for");
    bring(DENIES, "p7");
    let mut turns = 0;
    while left() == 0 {
        worker.turn().expect("no fault was asked for");
        turns += 1;
        assert!(turns <= 3, "the revocation waits for the stop order");
    }
    let mut more = 0;
    while !worker.is_idle() {
        worker.turn().expect("no fault was asked for");
        more += 1;
    }
    assert!(more > turns + 3, "the order was carried out before, and this shows nothing: {more} turns");
}
