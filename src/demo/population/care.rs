//! What happens to a person: visits, appointments, examinations, vaccines, medicines, plans.
//!
//! In: a person and dice. Out: resources in their chart.
//! Never here: consent; who may be told of this is decided elsewhere.

use super::chart::{Chart, at, days_after};
use super::dice::Dice;
use super::person::Person;
use super::write::{ACT_CODE, CVX, LOINC, RXNORM, Resource, SNOMED, coding, concept, list, object, period, quote, reference};
use jiff::civil::Date;

const CLINICAL: &str = "http://terminology.hl7.org/CodeSystem/condition-clinical";
const VERIFIED: &str = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
const CHECK_UP: &str = "185349003";
const COMPLAINT: &str = "185345009";
const MAMMOGRAPHY: &str = "24623002";
const NAPROXEN: &str = "198014";

/// A lasting condition, and the medicine that it is treated with.
const LASTING: [(&str, &str, i64); 3] = [
    ("38341003", "314076", 28), // hypertension, lisinopril
    ("55822004", "617310", 22), // hyperlipidaemia, atorvastatin
    ("44054006", "861007", 12), // diabetes, metformin
];

/// The days that the window covers.
pub struct Window {
    pub first: Date,
    pub length: i64,
}

impl Window {
    pub fn day(&self, number: i64) -> Date {
        days_after(self.first, number)
    }
}

/// The whole of an ordinary person's care.
pub fn live(person: &Person, dice: &mut Dice, window: &Window, chart: &mut Chart) {
    visits(person, dice, window, chart);
    let age = person.age_on(window.first);
    if person.female && age >= 42 {
        mammograms(person, dice, window, chart);
    }
    influenza(person, dice, window, chart);
    if age >= 30 {
        for (condition, medicine, share) in LASTING {
            if dice.percent(share) {
                let since = person.joined.max(window.day(-dice.between(100, 1200)));
                diagnose(chart, since, condition, None);
                refills(dice, window, chart, since, medicine);
                if dice.percent(50) {
                    plan(dice, window, chart, since);
                }
            }
        }
    }
    if age >= 38 && dice.percent(22) {
        let since = person.joined.max(window.day(-dice.between(50, 900)));
        joint_pain(dice, chart, since, window);
    }
    if age >= 18 && dice.percent(7) {
        let (code, label) = *dice.pick(&[("370143000", "MH"), ("7200002", "ETHUD"), ("86406008", "HIV")]);
        diagnose(chart, person.joined.max(window.day(-300)), code, Some(label));
    }
}

/// The first visit, some before the window, and within it about two a year for most and one in three years for the others;
/// most are booked ahead.
fn visits(person: &Person, dice: &mut Dice, window: &Window, chart: &mut Chart) {
    let first_visit = encounter(chart, "finished", "AMB", COMPLAINT, person.joined);
    chart.put(at(person.joined, 16, 0), first_visit);
    let careful = dice.percent(65);
    let mut day = person.joined.max(window.day(-dice.between(30, 1400)));
    loop {
        day = days_after(day, if careful { dice.between(60, 280) } else { dice.between(400, 1600) });
        if day >= window.day(window.length) {
            return;
        }
        let reason = if dice.percent(if careful { 70 } else { 30 }) { CHECK_UP } else { COMPLAINT };
        if day < window.first {
            let visit = encounter(chart, "finished", "AMB", reason, day);
            chart.put(at(day, 17, 0), visit);
        } else if dice.percent(12) {
            let visit = encounter(chart, "finished", "EMER", COMPLAINT, day);
            chart.put(at(day, 21, 30), visit);
        } else {
            booked(dice, chart, day, reason);
        }
    }
}

/// A booked visit: kept, cancelled, or missed and perhaps booked again.
fn booked(dice: &mut Dice, chart: &mut Chart, day: Date, reason: &str) {
    let id = chart.next_id();
    let ahead = days_after(day, -dice.between(7, 40));
    let booking = appointment(chart, &id, "booked", reason, day);
    chart.put(at(ahead, 15, 20), booking);
    let outcome = dice.between(0, 99);
    if outcome < 78 {
        let kept = appointment(chart, &id, "fulfilled", reason, day);
        chart.put(at(day, 17, 0), kept);
        let visit = encounter(chart, "finished", "AMB", reason, day);
        chart.put(at(day, 17, 5), visit);
    } else if outcome < 86 {
        let cancelled = appointment(chart, &id, "cancelled", reason, day);
        chart.put(at(days_after(day, -2), 18, 0), cancelled);
    } else {
        let missed = appointment(chart, &id, "noshow", reason, day);
        chart.put(at(day, 21, 0), missed);
        if dice.percent(60) {
            let again = chart.next_id();
            let (asked, new_day) = (days_after(day, dice.between(2, 20)), days_after(day, dice.between(25, 55)));
            let booking = appointment(chart, &again, "booked", reason, new_day);
            chart.put(at(asked, 15, 0), booking);
            let kept = appointment(chart, &again, "fulfilled", reason, new_day);
            chart.put(at(new_day, 17, 0), kept);
            let visit = encounter(chart, "finished", "AMB", reason, new_day);
            chart.put(at(new_day, 17, 5), visit);
        }
    }
}

fn mammograms(person: &Person, dice: &mut Dice, window: &Window, chart: &mut Chart) {
    let mut day = person.joined.max(window.day(-dice.between(0, 1100)));
    let faithful = dice.percent(75);
    while day < window.day(window.length) {
        if faithful || dice.percent(30) {
            let done = procedure(chart, MAMMOGRAPHY, day);
            chart.put(at(day, 18, 0), done);
        }
        day = days_after(day, dice.between(700, 900));
    }
}

/// Each year from the middle of September to the end of October.
fn influenza(person: &Person, dice: &mut Dice, window: &Window, chart: &mut Chart) {
    let willing = dice.percent(80);
    let years = window.first.year() - 1..=window.day(window.length).year();
    for year in years {
        let Ok(opens) = Date::new(year, 9, 15) else { continue };
        let day = days_after(opens, dice.between(0, 45));
        let fate = dice.between(0, 99);
        if day <= person.joined || !willing || fate >= 90 {
            continue;
        }
        let given = Resource::new("Immunization", &chart.next_id())
            .text("status", if fate < 4 { "not-done" } else { "completed" })
            .raw("vaccineCode", concept(CVX, "150"))
            .reference("patient", &chart.patient)
            .text("occurrenceDateTime", &day.to_string());
        chart.put(at(day, 16, 30), given);
    }
}

/// Orders of 90 days each; the next one is sometimes late, and sometimes never comes.
fn refills(dice: &mut Dice, window: &Window, chart: &mut Chart, since: Date, medicine: &str) {
    let mut day = since;
    while day < window.day(window.length) {
        let id = chart.next_id();
        let order = prescription(chart, &id, "active", medicine, day, Some(90));
        chart.put(at(day, 19, 0), order);
        let late = if dice.percent(15) { dice.between(5, 100) } else { -dice.between(1, 6) };
        let next = days_after(day, 90 + late);
        if dice.percent(3) {
            let stopped = prescription(chart, &id, "stopped", medicine, day, Some(90));
            chart.put(at(days_after(day, 60), 19, 0), stopped);
            return;
        }
        let replaced = prescription(chart, &id, "completed", medicine, day, Some(90));
        chart.put(at(next, 18, 55), replaced);
        day = next;
    }
}

/// A plan with two activities that have dates, done in time, late or never.
fn plan(dice: &mut Dice, window: &Window, chart: &mut Chart, since: Date) {
    let id = chart.next_id();
    let made = since.max(window.day(dice.between(-60, window.length / 2)));
    let (first_due, second_due) = (days_after(made, dice.between(40, 90)), days_after(made, dice.between(120, 300)));
    let first = care_plan(chart, &id, made, [("scheduled", first_due), ("not-started", second_due)]);
    chart.put(at(made, 18, 30), first);
    // In time, late or never.
    let mut done_on = |due: Date| match dice.between(0, 99) {
        0..70 => Some(days_after(due, -dice.between(1, 20))),
        70..85 => Some(days_after(due, dice.between(3, 70))),
        _ => None,
    };
    let (mut states, dues) = (["scheduled", "not-started"], [first_due, second_due]);
    let mut done: Vec<(Date, usize)> = Vec::new();
    for (number, due) in dues.iter().enumerate() {
        if let Some(day) = done_on(*due) {
            done.push((day, number));
        }
    }
    done.sort();
    for (day, number) in done {
        states[number] = "completed";
        let newer = care_plan(chart, &id, made, [(states[0], dues[0]), (states[1], dues[1])]);
        chart.put(at(day, 18, 45), newer);
    }
}

/// A worn joint, a medicine against it or scores of pain, and for a few a new joint.
pub fn joint_pain(dice: &mut Dice, chart: &mut Chart, since: Date, window: &Window) {
    let joint = *dice.pick(&["239873007", "239872002", "396275006"]);
    diagnose(chart, since, joint, None);
    if dice.percent(60) {
        naproxen(chart, since);
    }
    for _ in 0..dice.between(1, 4) {
        let day = since.max(window.day(dice.between(-200, window.length - 5)));
        let score = Resource::new("Observation", &chart.next_id())
            .text("status", "final")
            .raw("code", concept(LOINC, "72514-3"))
            .reference("subject", &chart.patient)
            .text("effectiveDateTime", &at(day, 16, 0).to_string())
            .raw("valueQuantity", object(&[("value", dice.between(1, 9).to_string()), ("unit", quote("{score}"))]));
        chart.put(at(day, 16, 10), score);
    }
    if dice.percent(8) {
        let day = since.max(window.day(dice.between(50, window.length - 5)));
        let replaced = procedure(chart, "609588000", day);
        chart.put(at(day, 21, 0), replaced);
    }
}

pub fn naproxen(chart: &mut Chart, since: Date) {
    let id = chart.next_id();
    let order = prescription(chart, &id, "active", NAPROXEN, since, None);
    chart.put(at(since, 19, 0), order);
}

pub fn diagnose(chart: &mut Chart, since: Date, code: &str, label: Option<&'static str>) {
    let condition = Resource::new("Condition", &chart.next_id())
        .raw("clinicalStatus", concept(CLINICAL, "active"))
        .raw("verificationStatus", concept(VERIFIED, "confirmed"))
        .raw("code", concept(SNOMED, code))
        .reference("subject", &chart.patient)
        .text("recordedDate", &since.to_string());
    let condition = match label {
        Some(label) => condition.label(label),
        None => condition,
    };
    chart.put(at(since, 18, 0), condition);
}

pub fn mammogram(chart: &mut Chart, day: Date) {
    let done = procedure(chart, MAMMOGRAPHY, day);
    chart.put(at(day, 18, 0), done);
}

pub fn encounter(chart: &mut Chart, status: &str, class: &str, reason: &str, day: Date) -> Resource {
    Resource::new("Encounter", &chart.next_id())
        .text("status", status)
        .raw("class", coding(ACT_CODE, class))
        .raw("type", list(&[concept(SNOMED, reason)]))
        .reference("subject", &chart.patient)
        .raw("period", period(&at(day, 15, 30).to_string(), &at(day, 16, 0).to_string()))
}

fn appointment(chart: &Chart, id: &str, status: &str, reason: &str, day: Date) -> Resource {
    let patient = object(&[("actor", reference(&chart.patient)), ("status", quote("accepted"))]);
    Resource::new("Appointment", id)
        .text("status", status)
        .raw("serviceType", list(&[concept(SNOMED, reason)]))
        .text("start", &at(day, 15, 30).to_string())
        .text("end", &at(day, 16, 0).to_string())
        .raw("participant", list(&[patient]))
}

fn procedure(chart: &mut Chart, code: &str, day: Date) -> Resource {
    Resource::new("Procedure", &chart.next_id())
        .text("status", "completed")
        .raw("code", concept(SNOMED, code))
        .reference("subject", &chart.patient)
        .raw("performedPeriod", period(&at(day, 15, 0).to_string(), &at(day, 15, 40).to_string()))
}

fn prescription(chart: &Chart, id: &str, status: &str, medicine: &str, day: Date, supply_days: Option<i64>) -> Resource {
    let order = Resource::new("MedicationRequest", id)
        .text("status", status)
        .text("intent", "order")
        .raw("medicationCodeableConcept", concept(RXNORM, medicine))
        .reference("subject", &chart.patient)
        .text("authoredOn", &at(day, 19, 0).to_string());
    let Some(days) = supply_days else { return order };
    let supply = object(&[
        ("value", days.to_string()),
        ("unit", quote("days")),
        ("system", quote("http://unitsofmeasure.org")),
        ("code", quote("d")),
    ]);
    let valid = period(&day.to_string(), &days_after(day, days - 1).to_string());
    order.raw("dispenseRequest", object(&[("validityPeriod", valid), ("expectedSupplyDuration", supply)]))
}

fn care_plan(chart: &Chart, id: &str, made: Date, activities: [(&str, Date); 2]) -> Resource {
    let activities = activities.map(|(status, due)| {
        let window = period(&days_after(due, -14).to_string(), &due.to_string());
        object(&[("detail", object(&[("status", quote(status)), ("scheduledPeriod", window)]))])
    });
    Resource::new("CarePlan", id)
        .text("status", "active")
        .text("intent", "plan")
        .reference("subject", &chart.patient)
        .raw("period", object(&[("start", quote(&made.to_string()))]))
        .raw("activity", list(&activities))
}
