//! The overlay: what Synthea's patients lack, invented with seeded dice.
//!
//! In: the corpus. Out: lines for four files. Never here: what any of it means for an audience.

use super::consents::{self, Window, day, later};
use super::dice::Dice;
use super::json::{id, kind, list, text};
use super::labels::{ACT_CODE, CONFIDENTIALITY};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub struct Files {
    /// A transaction Bundle a line, one for each of half of the patients.
    pub bundles: Vec<String>,
    /// Plain resources of the other half.
    pub resources: Vec<String>,
    /// Consents, and later versions of all kinds.
    pub overlay: Vec<String>,
    /// History Bundles with deletions.
    pub changes: Vec<String>,
}

pub fn invent(corpus: Vec<Vec<Value>>, window: &Window, seed: u64) -> Files {
    let mut files = Files { bundles: Vec::new(), resources: Vec::new(), overlay: Vec::new(), changes: Vec::new() };
    let ids: Vec<String> = corpus.iter().map(|resources| id(&resources[0]).to_owned()).collect();
    for (number, resources) in corpus.into_iter().enumerate() {
        let dice = Dice::of(seed, &ids[number]);
        let neighbour = ids[(number + 1) % ids.len()].clone();
        let mut chart = Chart { dice, window, patient: ids[number].clone(), neighbour, resources, later: Vec::new(), deleted: Vec::new() };
        chart.newcomer(number);
        chart.leaver(number);
        chart.person(number);
        let keen = chart.joint_pain(number);
        chart.appointments();
        chart.prescriptions();
        chart.plans();
        chart.small_things();
        chart.label();
        chart.stamp();
        chart.change();
        let consents = consents::invent(&mut chart.dice, &chart.patient, window, keen);
        chart.later.extend(consents);
        chart.write(number, &mut files);
    }
    files
}

struct Chart<'w> {
    dice: Dice,
    window: &'w Window,
    patient: String,
    neighbour: String,
    resources: Vec<Value>,
    /// Later versions, each resource's in order.
    later: Vec<Value>,
    /// Type, id, and when; `None`: the Bundle's next entry says when.
    deleted: Vec<(String, String, Option<Timestamp>, Timestamp)>,
}

/// When the thing itself was.
fn happened(resource: &Value) -> Option<Timestamp> {
    let paths = [
        "period.end",
        "performedPeriod.end",
        "performedDateTime",
        "occurrenceDateTime",
        "authoredOn",
        "recordedDate",
        "issued",
        "created",
        "period.start",
    ];
    paths.iter().find_map(|path| text(resource, path)).and_then(|text| text.parse().ok())
}

impl Chart<'_> {
    fn subject(&self) -> Value {
        json!({ "reference": format!("Patient/{}", self.patient) })
    }

    fn add(&mut self, name: &str, mut resource: Value) {
        resource["id"] = json!(format!("{name}-{}", self.patient));
        self.resources.push(resource);
    }

    /// Every fourth patient came here first within the window: what is older is not on file, though references to it may be.
    fn newcomer(&mut self, number: usize) {
        if number % 4 != 2 {
            return;
        }
        let not_before = self.window.throw(&mut self.dice, 20).to_string();
        let mut visits: Vec<&str> = self
            .resources
            .iter()
            .filter(|r| kind(r) == "Encounter" && text(r, "class.code") == Some("AMB"))
            .filter_map(|r| text(r, "period.start"))
            .collect();
        visits.sort_unstable();
        let Some(first) = visits.into_iter().find(|start| *start >= not_before.as_str()).map(str::to_owned) else { return };
        let cut: Timestamp = first.parse().expect("Synthea's instants");
        self.resources.retain(|r| kind(r) == "Patient" || happened(r).is_none_or(|at| at >= cut));
    }

    /// Every third patient was last seen within the window: of the others Synthea's visits go on past its end.
    fn leaver(&mut self, number: usize) {
        if number.is_multiple_of(3) {
            let last = self.window.throw(&mut self.dice, 0);
            self.resources.retain(|r| kind(r) == "Patient" || happened(r).is_none_or(|at| at <= last));
        }
    }

    fn person(&mut self, number: usize) {
        let patient = self.patient.clone();
        let window = self.window;
        let dice = &mut self.dice;
        let resource = &mut self.resources[0];
        let mut telecom = list(resource, "telecom").to_vec();
        if dice.percent(85) {
            let mut email = json!({ "system": "email", "value": format!("{patient}@example.org") });
            match dice.below(12) {
                0 => email["use"] = json!("old"),
                1 => email["period"] = json!({ "end": day(window.throw(dice, 0)) }),
                2 => email["period"] = json!({ "start": window.throw(dice, 0).to_string() }),
                3 => {
                    email["rank"] = json!(2);
                    telecom.push(json!({ "system": "email", "value": format!("work-{patient}@example.org"), "rank": 1, "period": { "end": day(window.throw(dice, 0)) } }));
                }
                _ => {}
            }
            telecom.push(email);
        }
        if dice.percent(75) {
            let mobile = match dice.percent(20) {
                true => json!({ "system": "sms", "value": "+13125550101" }),
                false => json!({ "system": "phone", "use": "mobile", "value": "+13125550102" }),
            };
            telecom.push(mobile);
        }
        resource["telecom"] = Value::Array(telecom);
        if dice.percent(40) {
            let spoken = |code: &str| json!({ "coding": [{ "system": "urn:ietf:bcp:47", "code": code }] });
            resource["communication"] = json!([{ "language": spoken("en") }, { "language": spoken("es"), "preferred": true }]);
        }
        let account = json!({ "system": "https://riverside.example/portal-account", "value": patient });
        if dice.percent(8) {
            let mut identifiers = list(resource, "identifier").to_vec();
            identifiers.push(account.clone());
            resource["identifier"] = Value::Array(identifiers);
        }
        // Birth dates that say less.
        let birth = text(resource, "birthDate").expect("Synthea's birth dates").to_owned();
        match number % 40 {
            7 => resource["birthDate"] = json!(birth[..4]),
            17 => resource["birthDate"] = json!(birth[..7]),
            27 if number < 100 => _ = resource.as_object_mut().expect("an object").remove("birthDate"),
            37 if number < 100 => resource["deceasedBoolean"] = json!(true),
            38 => resource["address"][0]["state"] = json!("AL"),
            _ => {}
        }
        // Later versions of the person.
        let made = match number % 9 {
            // Known only later.
            4 => window.throw(dice, 0),
            _ => window
                .from
                .checked_sub(i64::try_from(1 + dice.below(900_000)).expect("small").seconds())
                .expect("not the beginning of time"),
        };
        resource["meta"]["lastUpdated"] = json!(made.to_string());
        if number % 9 == 5 {
            resource["meta"].as_object_mut().expect("an object").remove("lastUpdated");
        }
        let mut version = resource.clone();
        let mut at = made.max(window.from);
        // Merged with a neighbour, as one side of the two says it.
        let side = match number % 22 {
            11 => Some("replaced-by"),
            17 => Some("replaces"),
            _ => None,
        };
        if let Some(side) = side {
            at = later(at, 400, dice);
            version["meta"]["lastUpdated"] = json!(at.to_string());
            version["link"] = json!([{ "other": { "reference": format!("Patient/{}", self.neighbour) }, "type": side }]);
            self.later.push(version.clone());
            if dice.percent(40) {
                // A mistake: taken back.
                at = later(at, 200, dice);
                version["meta"]["lastUpdated"] = json!(at.to_string());
                version.as_object_mut().expect("an object").remove("link");
                self.later.push(version.clone());
            }
        }
        for _ in 0..3 {
            if !dice.percent(35) {
                break;
            }
            at = later(at, 300, dice);
            version["meta"]["lastUpdated"] = json!(at.to_string());
            match dice.below(8) {
                0 => {
                    let died = at.checked_sub(50.hours()).expect("not the beginning of time");
                    version["deceasedDateTime"] = if dice.percent(50) { json!(day(died)) } else { json!(died.to_string()) };
                }
                1 => {
                    // Reported ahead of time, by mistake; a later version may take it back.
                    version["deceasedDateTime"] = json!(later(at, 90, dice).to_string());
                }
                2 => _ = version.as_object_mut().expect("an object").remove("deceasedDateTime"),
                3 | 4 => {
                    let mut telecom = list(&version, "telecom").to_vec();
                    let had = telecom.len();
                    telecom.retain(|one| text(one, "system") != Some("email"));
                    if telecom.len() == had {
                        telecom.push(json!({ "system": "email", "value": format!("new-{patient}@example.org") }));
                    }
                    version["telecom"] = Value::Array(telecom);
                }
                5 => {
                    let mut identifiers = list(&version, "identifier").to_vec();
                    identifiers.push(account.clone());
                    version["identifier"] = Value::Array(identifiers);
                }
                6 => version["meta"]["security"] = json!([{ "system": CONFIDENTIALITY, "code": *dice.pick(&["R", "N", "V"]) }]),
                _ => version["gender"] = json!(*dice.pick(&["female", "male", "unknown"])),
            }
            self.later.push(version.clone());
        }
    }

    /// A joint complaint for some; whether the patient is one who may sign an authorization.
    fn joint_pain(&mut self, number: usize) -> bool {
        if number % 2 != 1 {
            return false;
        }
        let at = self.window.throw(&mut self.dice, 500);
        let status = *self.dice.pick(&["active", "active", "active", "recurrence", "resolved"]);
        let sure = *self.dice.pick(&["confirmed", "confirmed", "confirmed", "provisional", "refuted"]);
        let mut condition = json!({
            "resourceType": "Condition", "subject": self.subject(), "recordedDate": at.to_string(),
            "clinicalStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": status }] },
            "verificationStatus": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": sure }] },
            "code": { "coding": [{ "system": "http://snomed.info/sct", "code": *self.dice.pick(&["239873007", "239872002", "396275006"]) }] },
        });
        if self.dice.percent(20) {
            condition.as_object_mut().expect("an object").remove("verificationStatus");
        }
        if self.dice.percent(5) {
            condition.as_object_mut().expect("an object").remove("code");
        }
        if self.dice.percent(50) {
            condition["encounter"] = self.some("Encounter");
        }
        self.add("joint", condition);
        let pill = json!({
            "resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": self.subject(), "authoredOn": at.to_string(),
            "medicationCodeableConcept": { "coding": [{ "system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "310965" }] },
            "reasonReference": [{ "reference": format!("Condition/joint-{}", self.patient) }],
        });
        if self.dice.percent(85) {
            self.add("relief", pill);
        }
        true
    }

    /// A reference to one of the patient's own resources of a type, or to none that anybody knows.
    fn some(&mut self, wanted: &str) -> Value {
        let ids: Vec<String> = self.resources.iter().filter(|r| kind(r) == wanted).map(|r| id(r).to_owned()).collect();
        let reference = match ids.is_empty() || self.dice.percent(10) {
            true => format!("{wanted}/nobody-knows"),
            false => format!("{wanted}/{}", self.dice.pick(&ids)),
        };
        json!({ "reference": reference })
    }

    fn appointments(&mut self) {
        let mut tie = None;
        for number in 0..self.dice.below(5) {
            let start = self.window.throw(&mut self.dice, 90);
            let start = if self.dice.percent(15) { tie.unwrap_or(start) } else { start };
            tie = Some(start);
            let status = *self.dice.pick(&["booked", "noshow", "noshow", "fulfilled", "cancelled", "arrived", "proposed"]);
            let created = start
                .checked_sub(i64::try_from(self.dice.below(60 * 86_400)).expect("small").seconds())
                .expect("not the beginning of time");
            let mut appointment = json!({
                "resourceType": "Appointment", "status": status, "start": start.to_string(), "created": created.to_string(),
                "participant": [{ "actor": self.subject(), "status": "accepted" }],
            });
            if self.dice.percent(40) {
                appointment["serviceType"] = json!([{ "coding": [{ "system": "http://snomed.info/sct", "code": "162673000" }] }]);
            }
            if self.dice.percent(6) {
                appointment.as_object_mut().expect("an object").remove("start");
            }
            if self.dice.percent(15) {
                appointment["reasonReference"] = json!([self.some("Condition")]);
            }
            self.add(&format!("appointment-{number}"), appointment);
        }
    }

    fn prescriptions(&mut self) {
        for number in 0..self.dice.below(4) {
            let authored = self.window.throw(&mut self.dice, 200);
            let code = *self.dice.pick(&["314076", "197361", "617310", "259255", "861007"]);
            let mut request = json!({
                "resourceType": "MedicationRequest", "status": *self.dice.pick(&["active", "active", "active", "stopped", "draft", "on-hold"]),
                "intent": *self.dice.pick(&["order", "order", "order", "plan"]), "subject": self.subject(), "authoredOn": authored.to_string(),
                "medicationCodeableConcept": { "coding": [{ "system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code }] },
            });
            if self.dice.percent(60) {
                let end = later(authored, 120, &mut self.dice);
                let end = if self.dice.percent(30) { day(end) } else { end.to_string() };
                request["dispenseRequest"] = json!({ "validityPeriod": { "start": day(authored), "end": end } });
            }
            match self.dice.below(20) {
                0 => {
                    request.as_object_mut().expect("an object").remove("medicationCodeableConcept");
                    request["medicationReference"] = json!({ "reference": "Medication/nobody-knows" });
                }
                1 => _ = request.as_object_mut().expect("an object").remove("authoredOn"),
                2 => request["authoredOn"] = json!(day(authored)),
                3 => request["encounter"] = self.some("Encounter"),
                4 => request["reasonReference"] = json!([self.some("Condition")]),
                _ => {}
            }
            self.add(&format!("prescription-{number}"), request);
        }
    }

    fn plans(&mut self) {
        if self.dice.percent(30) {
            let begun = self.window.throw(&mut self.dice, 700);
            let end = later(begun, 300, &mut self.dice);
            let end = match self.dice.below(4) {
                0 => day(end),
                1 => day(end)[..7].to_owned(),
                _ => end.to_string(),
            };
            let status = *self.dice.pick(&["not-started", "scheduled", "in-progress", "completed"]);
            let mut plan = json!({
                "resourceType": "CarePlan", "status": *self.dice.pick(&["active", "active", "revoked"]), "intent": "plan",
                "subject": self.subject(), "period": { "start": begun.to_string() },
                "activity": [
                    { "detail": { "status": status, "scheduledPeriod": { "start": day(begun), "end": end } } },
                    { "detail": { "status": *self.dice.pick(&["not-started", "completed", "in-progress"]) } },
                ],
            });
            match self.dice.below(8) {
                0 => {
                    plan["activity"][0]["detail"]["code"] =
                        json!({ "coding": [{ "system": "http://snomed.info/sct", "code": "266707007" }] });
                }
                1 => plan["encounter"] = self.some("Encounter"),
                2 => _ = plan.as_object_mut().expect("an object").remove("period"),
                3 => plan["addresses"] = json!([self.some("Condition")]),
                _ => {}
            }
            self.add("plan", plan);
        }
    }

    fn small_things(&mut self) {
        if self.dice.percent(12) {
            let at = self.window.throw(&mut self.dice, 300);
            let mut vaccine = json!({
                "resourceType": "Immunization", "status": *self.dice.pick(&["not-done", "completed"]), "patient": self.subject(),
                "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "140" }] }, "occurrenceDateTime": at.to_string(),
            });
            match self.dice.below(4) {
                0 => {
                    vaccine.as_object_mut().expect("an object").remove("occurrenceDateTime");
                    vaccine["occurrenceString"] = json!("last autumn");
                }
                1 => vaccine["occurrenceDateTime"] = json!(day(at)),
                2 => vaccine["occurrenceDateTime"] = json!(day(at)[..7]),
                _ => {}
            }
            self.add("vaccine", vaccine);
        }
        if self.dice.percent(55) {
            let at = self.window.throw(&mut self.dice, 900);
            let code = *self
                .dice
                .pick(&["24623002", "24623002", "24623002", "24623002", "24623002", "71651007", "71651007", "27865001", "52734007"]);
            let mut procedure = json!({
                "resourceType": "Procedure", "status": *self.dice.pick(&["completed", "completed", "preparation"]), "subject": self.subject(),
                "code": { "coding": [{ "system": "http://snomed.info/sct", "code": code }] }, "performedDateTime": at.to_string(),
            });
            match self.dice.below(6) {
                0 => _ = procedure.as_object_mut().expect("an object").remove("performedDateTime"),
                1 => procedure["performedDateTime"] = json!(day(at)),
                2 => procedure["partOf"] = json!([self.some("Procedure")]),
                _ => {}
            }
            self.add("procedure", procedure);
        }
        for resource in &mut self.resources {
            // Elements that are not there.
            if kind(resource) == "Encounter" && self.dice.percent(1) {
                resource["period"].as_object_mut().expect("an object").remove("start");
            }
        }
    }

    fn some_label(dice: &mut Dice) -> Value {
        let labels = [
            (CONFIDENTIALITY, "L"),
            (CONFIDENTIALITY, "L"),
            (CONFIDENTIALITY, "M"),
            (CONFIDENTIALITY, "N"),
            (CONFIDENTIALITY, "R"),
            (ACT_CODE, "ETH"),
            (ACT_CODE, "HIV"),
            (ACT_CODE, "BRANDNEW"),
            ("urn:example:local-labels", "N"),
        ];
        let (system, code) = *dice.pick(&labels);
        json!([{ "system": system, "code": code }])
    }

    fn label(&mut self) {
        for resource in &mut self.resources {
            let chance = match kind(resource) {
                "Patient" => 1,
                "Encounter" => 6,
                _ => 5,
            };
            if self.dice.percent(chance) {
                resource["meta"]["security"] = Self::some_label(&mut self.dice);
            }
        }
    }

    /// When each was last updated: mostly soon after it happened, some late, some never said.
    fn stamp(&mut self) {
        for resource in &mut self.resources[1..] {
            let at = happened(resource).unwrap_or_else(|| self.window.throw(&mut self.dice, 400));
            let stamped = match self.dice.below(20) {
                0 => continue,
                1..=3 => later(at, 60, &mut self.dice),
                _ => later(at, 2, &mut self.dice),
            };
            let written = match self.dice.below(4) {
                0 => stamped.to_string().replace('Z', "+00:00"),
                1 => format!("{}.250Z", &stamped.to_string()[..19]),
                _ => stamped.to_string(),
            };
            resource["meta"]["lastUpdated"] = json!(written);
        }
    }

    /// Later versions, deletions, a move to another patient.
    fn change(&mut self) {
        let linked: BTreeSet<&str> = ["Encounter", "Condition"].into();
        for place in 1..self.resources.len() {
            let resource = &self.resources[place];
            let stamped = text(resource, "meta.lastUpdated").map_or(self.window.from, |text| text.parse().expect("written here"));
            let soon = later(stamped.max(self.window.from), 300, &mut self.dice);
            let mut version = resource.clone();
            version["meta"]["lastUpdated"] = json!(soon.to_string());
            let own = id(resource).contains(&self.patient);
            match self.dice.below(if own { 8 } else { 40 }) {
                0 => {
                    let statuses: &[&str] = match kind(resource) {
                        "Encounter" => &["entered-in-error", "finished", "cancelled"],
                        "Appointment" => &["noshow", "fulfilled", "booked", "cancelled"],
                        "MedicationRequest" => &["stopped", "active", "completed", "entered-in-error"],
                        "CarePlan" => &["active", "completed", "revoked"],
                        _ => &["entered-in-error", "completed", "not-done", "final"],
                    };
                    version["status"] = json!(*self.dice.pick(statuses));
                    self.later.push(version);
                }
                1 => {
                    version["meta"]["security"] = match resource["meta"]["security"].is_null() {
                        true => Self::some_label(&mut self.dice),
                        false => json!([]),
                    };
                    self.later.push(version);
                }
                2 if self.dice.percent(40) => {
                    let at = self.dice.percent(70).then_some(soon);
                    self.deleted.push((kind(resource).to_owned(), id(resource).to_owned(), at, soon));
                }
                3 if self.dice.percent(10) && !linked.contains(kind(resource)) => {
                    let there = json!({ "reference": format!("Patient/{}", self.neighbour) });
                    match kind(resource) {
                        "Immunization" => version["patient"] = there,
                        "Appointment" => version["participant"][0]["actor"] = there,
                        _ => version["subject"] = there,
                    }
                    self.later.push(version);
                }
                _ => {}
            }
        }
    }

    fn write(mut self, number: usize, files: &mut Files) {
        if number.is_multiple_of(2) {
            let ids: BTreeSet<String> = self.resources.iter().map(|r| format!("{}/{}", kind(r), id(r))).collect();
            self.resources.iter_mut().for_each(|resource| within(resource, &ids));
            let entry = |resource: &Value| json!({ "fullUrl": format!("urn:uuid:{}", id(resource)), "resource": resource, "request": { "method": "POST", "url": kind(resource) } });
            let entries: Vec<Value> = self.resources.iter().map(entry).collect();
            files.bundles.push(json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }).to_string());
        } else {
            files.resources.extend(self.resources.iter().map(Value::to_string));
        }
        files.overlay.extend(self.later.iter().map(Value::to_string));
        for (kind, id, at, next) in self.deleted {
            let mut gone = json!({ "request": { "method": "DELETE", "url": format!("{kind}/{id}") }, "response": { "status": "204" } });
            let mut entries = Vec::new();
            match at {
                Some(at) => gone["response"]["lastModified"] = json!(at.to_string()),
                None => entries.push(json!({
                    "fullUrl": format!("urn:example:Observation/after-{id}"),
                    "resource": { "resourceType": "Observation", "id": format!("after-{id}"), "status": "final", "meta": { "lastUpdated": next.to_string() },
                        "code": { "text": "nothing that matters" }, "subject": { "reference": format!("Patient/{}", self.patient) } },
                    "request": { "method": "PUT", "url": format!("Observation/after-{id}") }, "response": { "status": "200" },
                })),
            }
            entries.insert(0, gone);
            files.changes.push(json!({ "resourceType": "Bundle", "type": "history", "entry": entries }).to_string());
        }
    }
}

/// References to what stands in the same Bundle, as Synthea writes them.
fn within(value: &mut Value, ids: &BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("reference")
                && ids.contains(reference)
            {
                *reference = format!("urn:uuid:{}", reference.split_once('/').expect("Type/id").1);
            }
            fields.values_mut().for_each(|field| within(field, ids));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| within(item, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
