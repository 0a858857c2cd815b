//! `Person`: who somebody is, where they live and how they can be reached.
//!
//! In: dice. Out: the versions of their Patient resource.
//! Never here: a real name, address, number or zip code with its street; telephone numbers are from the range kept for fiction.

use super::chart::{Chart, at, days_after};
use super::dice::Dice;
use super::write::{Resource, coding, list, object, quote};
use jiff::ToSpan;
use jiff::civil::Date;

const GIVEN_FEMALE: [&str; 12] =
    ["Amela", "Brisa", "Corvina", "Delphine", "Esra", "Fiorella", "Greta", "Hadley", "Ilse", "Junia", "Kalea", "Lorna"];
const GIVEN_MALE: [&str; 12] =
    ["Anton", "Bram", "Caspian", "Dario", "Emeka", "Fabian", "Gideon", "Hugo", "Ivo", "Jorah", "Kaspar", "Lionel"];
const FAMILY: [&str; 14] = [
    "Ashgrove",
    "Brookfen",
    "Calderwick",
    "Dunmarrow",
    "Elmstead",
    "Fernhollow",
    "Glasswater",
    "Hartsmere",
    "Inglethorn",
    "Juniperson",
    "Kestrelby",
    "Larkenfield",
    "Millrace",
    "Northlea",
];
/// State, zip code, area code.
const HOMES: [(&str, &str, &str); 8] = [
    ("IL", "60601", "312"),
    ("IL", "60614", "773"),
    ("IL", "61602", "309"),
    ("IL", "62701", "217"),
    ("IN", "46320", "219"),
    ("WI", "53140", "262"),
    ("IA", "52801", "563"),
    ("AL", "35203", "205"),
];
const LANGUAGES: [&str; 10] = ["en", "en", "en", "en", "en", "en", "es", "es", "pl", "zh"];
pub const PORTAL: &str = "https://riverside.example/portal-account";

pub struct Person {
    pub id: String,
    pub female: bool,
    pub birth: Date,
    pub given: &'static str,
    pub family: &'static str,
    pub home: (&'static str, &'static str, &'static str),
    /// `None`: not recorded.
    pub language: Option<&'static str>,
    pub email: Option<String>,
    pub mobile: Option<String>,
    /// An address that is no longer theirs.
    pub old_email: Option<String>,
    /// The day of the first visit here.
    pub joined: Date,
    /// The day on which they opened an account of the portal.
    pub portal: Option<Date>,
    pub died: Option<Date>,
}

impl Person {
    /// `length`: days from the first day of the window to its end.
    pub fn roll(dice: &mut Dice, number: usize, first: Date, length: i64) -> Person {
        let female = dice.percent(52);
        let birth = birth(dice, female, first, length);
        let given = *dice.pick(if female { &GIVEN_FEMALE } else { &GIVEN_MALE });
        let family = *dice.pick(&FAMILY);
        let home = *dice.pick(&HOMES);
        let address = format!("{}.{}.{number}@example.org", given.to_lowercase(), family.to_lowercase());
        let known_before = dice.percent(75);
        let joined =
            if known_before { days_after(first, -dice.between(40, 3000)) } else { days_after(first, dice.between(10, length - 10)) };
        let joined = joined.max(days_after(birth, 3));
        let portal_day = days_after(joined, dice.between(3, 45));
        Person {
            id: format!("inv-{number:06}"),
            female,
            birth,
            given,
            family,
            home,
            language: if dice.percent(95) { Some(*dice.pick(&LANGUAGES)) } else { None },
            old_email: if dice.percent(10) { Some(format!("before.{address}")) } else { None },
            email: if dice.percent(82) { Some(address) } else { None },
            mobile: if dice.percent(75) { Some(format!("+1{}55501{:02}", home.2, dice.between(0, 99))) } else { None },
            joined,
            portal: if dice.percent(45) { Some(portal_day) } else { None },
            died: if dice.percent(3) { Some(days_after(first, dice.between(-200, length - 1)).max(days_after(joined, 30))) } else { None },
        }
    }

    pub fn age_on(&self, day: Date) -> i16 {
        let had_birthday = (day.month(), day.day()) >= (self.birth.month(), self.birth.day());
        day.year() - self.birth.year() - i16::from(!had_birthday)
    }

    /// All versions of the Patient, in the order of time. From the day of death on nothing more is written.
    pub fn write(&self, chart: &mut Chart) {
        chart.put(at(self.joined, 14, 5), self.patient(false, None));
        if let Some(day) = self.portal.filter(|day| self.died.is_none_or(|died| *day < died)) {
            chart.put(at(day, 20, 30), self.patient(true, None));
        }
        if let Some(day) = self.died {
            chart.put(at(day, 21, 0), self.patient(self.portal.is_some_and(|opened| opened < day), Some(day)));
            chart.until = chart.until.min(at(day, 14, 0));
        }
    }

    fn patient(&self, account: bool, died: Option<Date>) -> Resource {
        let name = object(&[("family", quote(self.family)), ("given", list(&[quote(self.given)]))]);
        let home =
            object(&[("use", quote("home")), ("state", quote(self.home.0)), ("postalCode", quote(self.home.1)), ("country", quote("US"))]);
        let mut patient = Resource::new("Patient", &self.id)
            .raw("name", list(&[name]))
            .text("gender", if self.female { "female" } else { "male" })
            .text("birthDate", &self.birth.to_string())
            .raw("address", list(&[home]));
        if account {
            let account = object(&[("system", quote(PORTAL)), ("value", quote(&format!("account-{}", self.id)))]);
            patient = patient.raw("identifier", list(&[account]));
        }
        if let Some(language) = self.language {
            let spoken = object(&[
                ("language", object(&[("coding", list(&[coding("urn:ietf:bcp:47", language)]))])),
                ("preferred", "true".to_owned()),
            ]);
            patient = patient.raw("communication", list(&[spoken]));
        }
        let telecom = self.telecom();
        if !telecom.is_empty() {
            patient = patient.raw("telecom", list(&telecom));
        }
        match died {
            Some(day) => patient.text("deceasedDateTime", &at(day, 13, 30).to_string()),
            None => patient,
        }
    }

    fn telecom(&self) -> Vec<String> {
        let mut points = Vec::new();
        if let Some(address) = &self.old_email {
            points.push(object(&[("system", quote("email")), ("value", quote(address)), ("use", quote("old"))]));
        }
        if let Some(address) = &self.email {
            points.push(object(&[("system", quote("email")), ("value", quote(address)), ("use", quote("home")), ("rank", "1".to_owned())]));
        }
        if let Some(number) = &self.mobile {
            points.push(object(&[
                ("system", quote("phone")),
                ("value", quote(number)),
                ("use", quote("mobile")),
                ("rank", "2".to_owned()),
            ]));
        }
        points
    }
}

/// Mostly adults; some women turn fifty within the window, and more people than in nature were born on 29 February.
fn birth(dice: &mut Dice, female: bool, first: Date, length: i64) -> Date {
    let kind = dice.between(0, 99);
    if female && kind < 8 {
        return days_after(first, dice.between(5, length - 30)).saturating_sub(50.years());
    }
    let age = match kind {
        8..20 => dice.between(1, 17),
        20..45 => dice.between(18, 44),
        45..80 => dice.between(45, 69),
        _ => dice.between(70, 95),
    };
    let day = days_after(first.saturating_sub(age.years()), -dice.between(0, 364));
    if dice.percent(2) {
        let leap = day.year() - day.year() % 4;
        return Date::new(leap, 2, 29).unwrap_or(day);
    }
    day
}
