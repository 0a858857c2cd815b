//! An invented hospital: some hundred people, and what happens to them over two years.
//!
//! In: a seed, a number of people, a window of time. Out: FHIR R4 resources in the order in which they arrive.
//! Never here: a clock, a file, a real person. The same arguments give the same bytes.

mod care;
mod chart;
mod consents;
mod dice;
mod person;
mod write;

use care::Window;
use chart::{Chart, at};
use dice::Dice;
use footbridge_core::time::{Instant, Zone};
use jiff::ToSpan;
use jiff::civil::Date;
use person::Person;
use std::fmt;

/// The zone of `mappings/policy.yaml`: where a birthday begins.
const ZONE: &str = "America/Chicago";

/// So many people are named.
const NAMED: usize = 4;

/// One resource as text. One of them is cut off in the middle, on purpose.
#[derive(PartialEq, Eq)]
pub struct Arrival {
    /// Never before the window: what is older arrives when it opens, with the `meta.lastUpdated` that it has.
    pub at: Instant,
    pub json: String,
}

/// The size only: what is invented looks like what is not, and is treated alike.
impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} bytes", self.at, self.json.len())
    }
}

/// What a named person is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A woman turns fifty, has e-mail and denied nothing.
    TurnsFifty,
    /// A man's authorization for marketing ends at an instant.
    AuthorizationExpires,
    /// A woman takes back her authorization for marketing.
    Withdraws,
    /// A record of this person breaks off in the middle.
    CutOff,
}

#[derive(Debug)]
pub struct Scene {
    pub role: Role,
    /// The id of the Patient; the same for every seed.
    pub patient: &'static str,
    /// When it happens.
    pub at: Instant,
}

/// All resources that arrive in `[from, until)`, sorted by arrival; of equal instants, those of one person keep their order.
/// The four named people are always there, so there are at least four.
/// A window shorter than sixty days has room for the named people only.
pub fn invent(seed: u64, people: usize, from: Instant, until: Instant) -> Vec<Arrival> {
    let window = window(from, until);
    let mut arrivals = Vec::new();
    for scene in named(from, until) {
        arrivals.append(&mut act(&scene, from, until, &window));
    }
    let ordinary = if window.length < 60 { 0 } else { people.saturating_sub(NAMED) };
    for number in 1..=ordinary {
        let mut dice = Dice::of_person(seed, number as u64);
        arrivals.append(&mut life(number, &mut dice, from, until, &window));
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

/// Who plays a fixed part in every seed, and when it happens within the window.
pub fn named(from: Instant, until: Instant) -> [Scene; NAMED] {
    let window = window(from, until);
    let share = |percent: i64| window.day(window.length * percent / 100);
    let birthday = match Zone::named(ZONE) {
        Ok(zone) => zone.start_of_day(share(30)),
        Err(_) => at(share(30), 14, 0),
    };
    [
        Scene { role: Role::TurnsFifty, patient: "inv-turns-fifty", at: birthday },
        Scene { role: Role::AuthorizationExpires, patient: "inv-authorization-expires", at: at(share(60), 19, 45) },
        Scene { role: Role::Withdraws, patient: "inv-withdraws", at: at(share(40), 16, 20) },
        Scene { role: Role::CutOff, patient: "inv-cut-off", at: at(share(20), 15, 10) },
    ]
}

/// Days in UTC; what is left of the first and the last day is cut off when resources are put.
fn window(from: Instant, until: Instant) -> Window {
    let day = |instant: Instant| match instant.to_jiff() {
        Some(stamp) => jiff::tz::Offset::UTC.to_datetime(stamp).date(),
        None => Date::new(2026, 1, 1).expect("a day of the calendar"),
    };
    let (first, last) = (day(from), day(until));
    Window { first, length: i64::from((last - first).get_days()).max(1) }
}

fn life(number: usize, dice: &mut Dice, from: Instant, until: Instant, window: &Window) -> Vec<Arrival> {
    let person = Person::roll(dice, number, window.first, window.length);
    let mut chart = Chart::new(&person.id, from, until);
    person.write(&mut chart);
    care::live(&person, dice, window, &mut chart);
    if person.age_on(window.first) >= 18 {
        let joint = chart.arrivals.iter().any(|arrival| arrival.json.contains("72514-3"));
        consents::sign(dice, window, &mut chart, person.joined, joint);
    }
    chart.arrivals
}

/// A named person's life, the same whatever the seed.
fn act(scene: &Scene, from: Instant, until: Instant, window: &Window) -> Vec<Arrival> {
    let mut dice = Dice::new(0);
    let mut person = Person::roll(&mut dice, 0, window.first, window.length.max(60));
    person.id = scene.patient.to_owned();
    person.email = Some(format!("{}@example.org", scene.patient));
    (person.old_email, person.mobile, person.portal, person.died) = (None, None, None, None);
    person.language = Some("en");
    person.joined = window.day(-700);
    (person.given, person.female) = match scene.role {
        Role::TurnsFifty => ("Ottilie", true),
        Role::AuthorizationExpires => ("Rufus", false),
        Role::Withdraws => ("Verena", true),
        Role::CutOff => ("Wendel", false),
    };
    person.birth = match scene.role {
        Role::TurnsFifty => window.day(window.length * 30 / 100).saturating_sub(50.years()),
        _ => window.day(-100).saturating_sub(61.years()),
    };
    let mut chart = Chart::new(scene.patient, from, until);
    person.write(&mut chart);
    let signed = at(window.day(window.length * 5 / 100), 17, 0);
    match scene.role {
        Role::TurnsFifty => care::mammogram(&mut chart, window.day(-1500)),
        Role::AuthorizationExpires => {
            care::diagnose(&mut chart, window.day(-300), "239873007", None);
            care::naproxen(&mut chart, window.day(-300));
            consents::authorize(&mut chart, signed, &scene.at.to_string(), None);
        }
        Role::Withdraws => {
            care::diagnose(&mut chart, window.day(-300), "239872002", None);
            care::naproxen(&mut chart, window.day(-300));
            let end = window.day(window.length + 400).to_string();
            consents::authorize(&mut chart, signed, &end, Some(scene.at));
        }
        Role::CutOff => {
            let visit = care::encounter(&mut chart, "finished", "AMB", "185345009", window.day(window.length * 20 / 100));
            chart.put_cut_off(scene.at, visit);
        }
    }
    chart.arrivals
}

#[cfg(test)]
mod tests;
