//! The eight shipped audiences by hand, at one instant, resource by resource.
//!
//! In: a chart, the clock. Out: truth of each rule as `mappings/audiences` states it, and who is told.
//! Never here: the YAML, FHIRPath, or time beyond the instant asked about.

use super::chart::{Chart, Live, is_withheld};
use super::clock::{Clock, Written, zone};
use super::gate::{self, Purpose, Says};
use super::json::{at, codings, id, list, text, written};
use super::labels::{Redact, Vocabulary};
use super::truth::{Truth, and, at_least, none, not, or};
use jiff::civil::Date;
use jiff::{Span, ToSpan};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Audience {
    AnnualWellness,
    CarePlan,
    Influenza,
    JointPain,
    Mammogram,
    Refill,
    Missed,
    Portal,
}

pub const ALL: [Audience; 8] = [
    Audience::AnnualWellness,
    Audience::CarePlan,
    Audience::Influenza,
    Audience::JointPain,
    Audience::Mammogram,
    Audience::Refill,
    Audience::Missed,
    Audience::Portal,
];

impl Audience {
    pub fn name(self) -> &'static str {
        match self {
            Audience::AnnualWellness => "annual-wellness-visit-due",
            Audience::CarePlan => "care-plan-activity-overdue",
            Audience::Influenza => "influenza-vaccine-this-season",
            Audience::JointPain => "joint-pain-seminar",
            Audience::Mammogram => "mammogram-due",
            Audience::Refill => "medication-refill-overdue",
            Audience::Missed => "missed-appointment-to-rebook",
            Audience::Portal => "portal-invitation-after-first-visit",
        }
    }

    pub fn named(name: &str) -> Audience {
        *ALL.iter().find(|audience| audience.name() == name).unwrap_or_else(|| unreachable!("{name} is not one of the eight"))
    }

    /// `times: { spread: 3d }`.
    pub fn is_spread(self) -> bool {
        matches!(self, Audience::AnnualWellness | Audience::Influenza | Audience::JointPain | Audience::Portal)
    }

    pub fn has_holdout(self) -> bool {
        self == Audience::Portal
    }

    pub fn purpose(self) -> Purpose {
        match self {
            Audience::JointPain => Purpose::Hmarkt,
            Audience::Portal => Purpose::Hoperat,
            _ => Purpose::Treat,
        }
    }

    /// `None`: no address is needed.
    fn channels(self) -> Option<&'static [&'static str]> {
        match self {
            Audience::Mammogram | Audience::Missed => Some(&["email", "sms"]),
            Audience::JointPain | Audience::Portal => Some(&["email"]),
            Audience::AnnualWellness | Audience::CarePlan | Audience::Influenza | Audience::Refill => None,
        }
    }
}

impl Audience {
    fn released(self) -> &'static [&'static str] {
        match self {
            Audience::AnnualWellness => &["language", "age_band", "last_visit"],
            Audience::CarePlan | Audience::Influenza | Audience::Mammogram => &["language", "age_band"],
            Audience::JointPain => &["language", "area"],
            Audience::Refill | Audience::Missed | Audience::Portal => &["language"],
        }
    }
}

/// Why a patient is out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Out {
    NoPatient,
    Merged,
    Dead,
    Denied,
    NoAuthorization,
    Minor,
    NotEligible,
    OnlyPossible,
    Unreachable,
}

/// One patient at one instant, with what every audience asks again.
pub struct Asked<'w> {
    pub chart: &'w Chart<'w>,
    pub clock: &'w Clock,
    pub vocabulary: &'w Vocabulary,
}

impl Asked<'_> {
    /// Whether the patient is a member now.
    pub fn member(&self, audience: Audience) -> Result<(), Out> {
        let patient = self.chart.patient().ok_or(Out::NoPatient)?;
        if self.chart.merged_away {
            return Err(Out::Merged);
        }
        if !self.alive(patient) || !self.chart.olds.iter().all(|old| self.alive(old)) {
            return Err(Out::Dead);
        }
        let says = gate::decide(self.chart, audience.purpose(), self.clock);
        if says.denies {
            return Err(Out::Denied);
        }
        if audience.purpose() == Purpose::Hmarkt && !says.authorized {
            return Err(Out::NoAuthorization);
        }
        if !self.adult(patient) {
            return Err(Out::Minor);
        }
        match self.eligible(audience, &says.redact) {
            Some(true) => {}
            Some(false) => return Err(Out::NotEligible),
            None => return Err(Out::OnlyPossible),
        }
        match audience.channels() {
            Some(channels) if !channels.iter().any(|channel| self.reachable(patient, channel, &says)) => Err(Out::Unreachable),
            _ => Ok(()),
        }
    }

    fn alive(&self, patient: &Value) -> bool {
        let died = match &patient["deceasedDateTime"] {
            Value::Null => false,
            _ => written(patient, "deceasedDateTime").is_none_or(|at| at.earliest() <= self.clock.now.timestamp()),
        };
        !died && matches!(patient["deceasedBoolean"], Value::Null | Value::Bool(false))
    }

    /// Of age by the youngest birth date that is allowed; Massachusetts and most others say 18.
    fn adult(&self, patient: &Value) -> bool {
        let late = |state: &str| match state {
            "AL" | "Alabama" | "NE" | "Nebraska" => 19,
            "MS" | "Mississippi" => 21,
            _ => 18,
        };
        let years = list(patient, "address").iter().filter_map(|address| text(address, "state")).map(late).max().unwrap_or(18);
        written(patient, "birthDate").is_some_and(|birth| birth.last_day() <= self.clock.years_ago(years))
    }

    fn reachable(&self, patient: &Value, channel: &str, says: &Says) -> bool {
        self.address(patient, channel, says).is_some()
    }

    /// The address of the lowest rank that is valid now; of equal ranks the first.
    fn address<'v>(&self, patient: &'v Value, channel: &str, says: &Says) -> Option<&'v str> {
        let now = self.clock.now.timestamp();
        let valid = |telecom: &Value| {
            let begun = written(telecom, "period.start").is_none_or(|start| start.earliest() <= now);
            let over = written(telecom, "period.end").is_some_and(|end| end.ends() <= now);
            text(telecom, "value").is_some() && text(telecom, "use") != Some("old") && begun && !over
        };
        let best = |is: &dyn Fn(&Value) -> bool| {
            let all = list(patient, "telecom").iter().filter(|telecom| is(telecom) && valid(telecom));
            all.min_by_key(|telecom| telecom["rank"].as_u64().unwrap_or(u64::MAX)).and_then(|telecom| text(telecom, "value"))
        };
        let system = |telecom: &Value, name: &str| text(telecom, "system") == Some(name);
        if channel == "email" {
            return best(&|telecom| system(telecom, "email"));
        }
        // Policy: a text message needs a consent that permits it.
        let number = best(&|telecom| system(telecom, "sms"))
            .or_else(|| best(&|telecom| system(telecom, "phone") && text(telecom, "use") == Some("mobile")));
        number.filter(|_| says.permits)
    }

    /// What an event shows of a member: attributes, and the address of each channel.
    pub fn shown(&self, audience: Audience) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let says = gate::decide(self.chart, audience.purpose(), self.clock);
        let (mut attributes, mut channels) = (BTreeMap::new(), BTreeMap::new());
        let Some(patient) = self.chart.of("Patient").next() else { return (attributes, channels) };
        for channel in audience.channels().unwrap_or(&[]) {
            if let Some(address) = self.address(patient.body, channel, &says) {
                channels.insert((*channel).to_owned(), address.to_owned());
            }
        }
        for name in audience.released() {
            let visible = |live: &Live| !is_withheld(self.chart, live, &says.redact);
            let value = match *name {
                "last_visit" => self
                    .chart
                    .of("Encounter")
                    .filter(|live| visible(live))
                    .filter_map(|live| written(live.body, "period.start"))
                    .max_by_key(|start| start.earliest())
                    .map(month),
                _ if !visible(patient) => None,
                "language" => {
                    let preferred = list(patient.body, "communication").iter().filter(|one| one["preferred"] == Value::Bool(true));
                    preferred.flat_map(|one| codings(&one["language"])).map(|(_, code)| code.to_owned()).next()
                }
                "age_band" => written(patient.body, "birthDate").and_then(|birth| self.age_band(birth)),
                "area" => {
                    list(patient.body, "address").iter().find_map(|address| text(address, "postalCode")).map(|code| code[..3].to_owned())
                }
                other => unreachable!("no audience releases {other}"),
            };
            value.map(|value| attributes.insert((*name).to_owned(), value));
        }
        (attributes, channels)
    }

    /// The decade of age, where every day that the birth date may mean gives the same.
    fn age_band(&self, birth: Written) -> Option<String> {
        let reached = |day: Date| (0..=9).rev().find(|band| day <= self.clock.years_ago(band * 10));
        let (oldest, youngest) = (reached(birth.first_day()?)?, reached(birth.last_day())?);
        let text = if oldest == 9 { "90+".to_owned() } else { format!("{}-{}", oldest * 10, oldest * 10 + 9) };
        (oldest == youngest).then_some(text)
    }

    pub fn eligible(&self, audience: Audience, redact: &Redact) -> Truth {
        let rule = Rules { asked: self, redact };
        match audience {
            Audience::AnnualWellness => rule.annual_wellness(),
            Audience::CarePlan => rule.care_plan(),
            Audience::Influenza => rule.influenza(),
            Audience::JointPain => rule.joint_pain(),
            Audience::Mammogram => rule.mammogram(),
            Audience::Refill => or(&["bloodpressure", "cholesterol", "diabetes"].map(|set| rule.refill(set))),
            Audience::Missed => rule.missed(),
            Audience::Portal => rule.portal(),
        }
    }
}

struct Rules<'r> {
    asked: &'r Asked<'r>,
    redact: &'r Redact,
}

impl Rules<'_> {
    /// What each resource of a type says. One that is withheld is possible, never sure.
    fn each(&self, kind: &str, says: impl Fn(&Value) -> Truth) -> Vec<Truth> {
        let seen = |live: &Live| match says(live.body) {
            Some(true) if is_withheld(self.asked.chart, live, self.redact) => None,
            said => said,
        };
        self.asked.chart.of(kind).map(seen).collect()
    }

    fn some(&self, kind: &str, says: impl Fn(&Value) -> Truth) -> Truth {
        or(&self.each(kind, says))
    }

    /// `latest`: every candidate, seen or not, that none surely follows may decide; they have to agree.
    fn latest(&self, kind: &str, which: impl Fn(&Value) -> Truth, by: &str, holds: impl Fn(&Value) -> Truth) -> Truth {
        let mut candidates: Vec<(Written, &str, Truth, Truth)> = Vec::new();
        for live in self.asked.chart.of(kind) {
            let (which, Some(time)) = (which(live.body), written(live.body, by)) else { continue };
            if which == Some(false) {
                continue;
            }
            let told = if is_withheld(self.asked.chart, live, self.redact) { None } else { holds(live.body) };
            candidates.push((time, id(live.body), which, told));
        }
        let follows = |later: &(Written, &str, Truth, Truth), one: &(Written, &str, Truth, Truth)| {
            let tied = later.0 == one.0 && !matches!(one.0, Written::Month(..) | Written::Year(_)) && later.1 > one.1;
            later.2 == Some(true) && (tied || later.0.is_after(one.0))
        };
        let mut deciders: Vec<Truth> =
            candidates.iter().filter(|one| !candidates.iter().any(|later| follows(later, one))).map(|(.., told)| *told).collect();
        if !candidates.iter().any(|(_, _, which, _)| *which == Some(true)) {
            deciders.push(Some(false));
        }
        let first = deciders[0];
        if deciders.iter().all(|told| *told == first) { first } else { None }
    }

    fn before(&self, when: Option<Written>, span: Span) -> Truth {
        self.compare(when, span, Ordering::Less)
    }

    fn after(&self, when: Option<Written>, span: Span) -> Truth {
        self.compare(when, span, Ordering::Greater)
    }

    fn compare(&self, when: Option<Written>, span: Span, wanted: Ordering) -> Truth {
        let order = when?.order(&self.asked.clock.ago(span))?;
        Some(order == wanted)
    }

    /// Born `years` ago or more.
    fn aged(&self, years: i32) -> Truth {
        let day = self.asked.clock.years_ago(years);
        self.some("Patient", |patient| written(patient, "birthDate")?.order_day(day).map(|order| order != Ordering::Greater))
    }

    /// `memberOf` on one CodeableConcept: where no coding is in the set, one without a code may be.
    fn member_of(&self, concept: &Value, set: &str) -> Truth {
        let mut all = codings(concept).peekable();
        let told = all.peek().is_some() && codings(concept).all(|(_, code)| !code.is_empty());
        if all.any(|(system, code)| self.asked.vocabulary.has(set, system, code)) { Some(true) } else { told.then_some(false) }
    }

    /// `exists(memberOf(…))`: a hidden code is not filtered away.
    fn one_of(&self, concepts: &[Value], set: &str) -> Truth {
        or(&concepts.iter().map(|concept| self.member_of(concept, set)).collect::<Vec<_>>())
    }

    fn annual_wellness(&self) -> Truth {
        let wellness = |body: &Value| self.one_of(list(body, "type"), "wellness");
        let start = |body: &Value| written(body, "period.start");
        and(&[
            self.aged(18),
            self.some("Encounter", |body| and(&[is(body, "status", &["finished"]), self.after(start(body), 3.years())])),
            none(&[
                self.some("Encounter", |body| {
                    and(&[is(body, "status", &["finished"]), wellness(body), self.after(start(body), 12.months())])
                }),
                self.some("Appointment", |body| {
                    let service = self.one_of(list(body, "serviceType"), "wellness");
                    and(&[is(body, "status", &["booked"]), service, self.after(written(body, "start"), Span::new())])
                }),
            ]),
        ])
    }

    fn influenza(&self) -> Truth {
        let vaccine = |status: &'static str| {
            self.some("Immunization", move |body| {
                and(&[
                    is(body, "status", &[status]),
                    self.member_of(&body["vaccineCode"], "influenza"),
                    self.after(written(body, "occurrenceDateTime"), 10.months()),
                ])
            })
        };
        and(&[
            self.aged(18),
            self.some("Encounter", |body| {
                and(&[is(body, "status", &["finished"]), self.after(written(body, "period.start"), 24.months())])
            }),
            none(&[vaccine("completed"), vaccine("not-done")]),
        ])
    }

    fn mammogram(&self) -> Truth {
        let today = &self.asked.clock;
        let age = self.some("Patient", |patient| {
            let birth = written(patient, "birthDate")?;
            and(&[
                birth.order_day(today.years_ago(50)).map(|order| order != Ordering::Greater),
                birth.order_day(today.years_ago(75)).map(|order| order == Ordering::Greater),
            ])
        });
        let performed = |body: &Value| written(body, "performedDateTime").or(written(body, "performedPeriod.start"));
        and(&[
            self.some("Patient", |patient| is(patient, "gender", &["female"])),
            age,
            none(&[
                self.some("Procedure", |body| {
                    let done = and(&[is(body, "status", &["completed"]), self.member_of(&body["code"], "mammography")]);
                    and(&[done, self.after(performed(body), 27.months())])
                }),
                self.some("Procedure", |body| and(&[is(body, "status", &["completed"]), self.member_of(&body["code"], "mastectomy")])),
            ]),
        ])
    }

    fn joint_pain(&self) -> Truth {
        let performed = |body: &Value| written(body, "performedDateTime").or(written(body, "performedPeriod.start"));
        let has = |body: &Value, path: &str, codes: &[&str]| {
            list(at(body, path), "coding").iter().any(|c| codes.contains(&text(c, "code").unwrap_or("")))
        };
        let complaint = self.some("Condition", |body| {
            let active = has(body, "clinicalStatus", &["active", "recurrence", "relapse"]);
            let refuted = has(body, "verificationStatus", &["refuted", "entered-in-error"]);
            and(&[Some(active), Some(!refuted), self.member_of(&body["code"], "jointpain")])
        });
        let relief = self.some("MedicationRequest", |body| {
            and(&[is(body, "status", &["active"]), self.member_of(&body["medicationCodeableConcept"], "painrelief")])
        });
        let scores = self.each("Observation", |body| {
            and(&[
                is(body, "status", &["final", "amended", "corrected"]),
                self.member_of(&body["code"], "painscore"),
                at(body, "valueQuantity.value").as_f64().map(|value| value >= 4.0),
                self.after(written(body, "effectiveDateTime"), 24.months()),
            ])
        });
        let replaced = self.some("Procedure", |body| {
            let done = and(&[is(body, "status", &["completed"]), self.member_of(&body["code"], "jointreplacement")]);
            and(&[done, self.after(performed(body), 12.months())])
        });
        and(&[self.aged(40), complaint, or(&[relief, at_least(2, &scores)]), none(&[replaced])])
    }

    fn care_plan(&self) -> Truth {
        let activities = |body: &Value, holds: &dyn Fn(&Value) -> Truth| {
            // `exists` counts only what surely meets its condition.
            Some(list(body, "activity").iter().any(|activity| !activity["detail"].is_null() && holds(&activity["detail"]) == Some(true)))
        };
        let late = self.some("CarePlan", |body| {
            let overdue = |detail: &Value| {
                let end = written(detail, "scheduledPeriod.end");
                and(&[is(detail, "status", &["not-started", "scheduled"]), self.before(end, Span::new()), self.after(end, 180.days())])
            };
            and(&[is(body, "status", &["active"]), activities(body, &overdue)])
        });
        let open = self.some("CarePlan", |body| {
            let start = written(body, "period.start");
            let undated = |detail: &Value| {
                let scheduled = ["scheduledTiming", "scheduledPeriod", "scheduledString"].iter().any(|key| !detail[*key].is_null());
                and(&[is(detail, "status", &["not-started", "in-progress"]), Some(!scheduled)])
            };
            and(&[
                is(body, "status", &["active"]),
                not(self.after(start, 6.months())),
                self.after(start, 24.months()),
                activities(body, &undated),
            ])
        });
        or(&[late, open])
    }

    fn refill(&self, set: &str) -> Truth {
        let which = |body: &Value| {
            let real = not(is(body, "status", &["draft", "entered-in-error"]));
            and(&[is(body, "intent", &["order"]), real, self.member_of(&body["medicationCodeableConcept"], set)])
        };
        let lapsed = |body: &Value| {
            let (end, authored) = (written(body, "dispenseRequest.validityPeriod.end"), written(body, "authoredOn"));
            let stated = and(&[self.before(end, Span::new()), self.after(end, 90.days())]);
            let assumed = and(&[Some(end.is_none()), not(self.after(authored, 90.days())), self.after(authored, 180.days())]);
            and(&[is(body, "status", &["active"]), or(&[stated, assumed])])
        };
        self.latest("MedicationRequest", which, "authoredOn", lapsed)
    }

    fn missed(&self) -> Truth {
        let stands = |body: &Value| is(body, "status", &["booked", "arrived", "checked-in", "fulfilled", "noshow"]);
        let missed = |body: &Value| and(&[is(body, "status", &["noshow"]), self.after(written(body, "start"), 60.days())]);
        self.latest("Appointment", stands, "start", missed)
    }

    fn portal(&self) -> Truth {
        let start = |body: &Value| written(body, "period.start");
        let visit = self.some("Encounter", |body| {
            and(&[is(body, "status", &["finished"]), is(body, "class.code", &["AMB"]), self.after(start(body), 30.days())])
        });
        let earlier = self.some("Encounter", |body| and(&[is(body, "status", &["finished"]), not(self.after(start(body), 30.days()))]));
        let account = self.some("Patient", |patient| {
            let portal = |identifier: &Value| text(identifier, "system") == Some("https://riverside.example/portal-account");
            Some(list(patient, "identifier").iter().any(portal))
        });
        and(&[visit, none(&[earlier, account])])
    }
}

/// The month in which an instant falls in the organisation's zone.
fn month(at: Written) -> String {
    at.earliest().to_zoned(zone().clone()).strftime("%Y-%m").to_string()
}

/// One of these codes; empty where there is none.
fn is(body: &Value, path: &str, codes: &[&str]) -> Truth {
    text(body, path).map(|code| codes.contains(&code))
}
