//! Story files: what they may say, what they stand for, and for each mistake the exact words and place.

use footbridge::config::yaml;
use footbridge_core::audience::Channel;
use footbridge_core::audience::story::{self, Actor, Feed, Known, Parties, Record, Status, Story};
use footbridge_core::fhir;
use footbridge_core::problem::Problem;
use footbridge_core::time::Zone;

fn read(text: &str) -> (Vec<Story>, Vec<String>) {
    let mut problems = Vec::new();
    let document = yaml::read("a.test.yaml", text, &mut problems).expect("YAML");
    let first = |name: &str| (name == "mammography").then(|| (Some("http://snomed.info/sct".to_owned()), "71651007".to_owned()));
    let known = Known { valuesets: &["mammography"], first_code: &first };
    let stories = story::read(&document, &known, &mut problems);
    (stories, problems.iter().map(Problem::to_string).collect())
}

fn fed(text: &str) -> Feed {
    let (stories, problems) = read(text);
    assert_eq!(problems, Vec::<String>::new());
    let zone = Zone::named("America/Chicago").expect("zone");
    let parties = Parties {
        zone: &zone,
        recipient: Some(Actor::Identifier { system: "urn:example:recipients", value: "crm" }),
        organisation: Some(Actor::Reference("Organization/riverside")),
    };
    story::feed(&stories[0], &parties)
}

/// One line a record: instant, person, what.
fn lines(feed: &Feed) -> Vec<String> {
    let what = |record: &Record| match record {
        Record::Resource { kind, id, json } => {
            fhir::json::parse(json.as_bytes()).expect("a resource of a story is JSON");
            format!("{kind}/{id} {json}")
        }
        Record::OptOut { channel: Channel::Email } => "opts out email".to_owned(),
        Record::OptOut { channel: Channel::Sms } => "opts out sms".to_owned(),
    };
    let first = feed.first.iter().map(|record| format!("{} {}", feed.begins, what(record)));
    first.chain(feed.rest.iter().map(|fed| format!("{} {} {}", fed.at, fed.person, what(&fed.record)))).collect()
}

const TURNS_FIFTY: &str = "- story: turns fifty
  people: { ann: { gender: female, birthDate: 1976-03-01, email: ann@example.org } }
  given:
    - 2026-06-01T10:00Z ann denies TREAT
    - 2026-02-01T10:00Z ann: { resourceType: Procedure, status: completed, code: mammography, performedDateTime: 2023-05-01 }
  then:
    - 2026-03-01T06:00Z ann entered
    - 2026-06-01T10:00Z ann exited stop
";

#[test]
fn a_story_is_read() {
    let (stories, problems) = read(TURNS_FIFTY);
    assert_eq!(problems, Vec::<String>::new());
    let story = &stories[0];
    assert_eq!((story.name.as_str(), story.place.line, story.renewals, story.until), ("turns fifty", 1, false, None));
    let then: Vec<_> = story.then.iter().map(|t| (t.at.to_string(), t.person.as_str(), t.status, t.reason.as_deref())).collect();
    assert_eq!(
        then,
        [
            ("2026-03-01T06:00:00Z".to_owned(), "ann", Status::Entered, None),
            ("2026-06-01T10:00:00Z".to_owned(), "ann", Status::Exited, Some("stop")),
        ]
    );
}

#[test]
fn a_story_becomes_records() {
    let feed = fed(TURNS_FIFTY);
    assert_eq!(
        lines(&feed),
        [
            r#"2026-02-01T10:00:00Z Patient/ann {"resourceType":"Patient","id":"ann","gender":"female","birthDate":"1976-03-01","telecom":[{"system":"email","value":"ann@example.org"}]}"#,
            r#"2026-02-01T10:00:00Z ann Procedure/ann-2 {"resourceType":"Procedure","status":"completed","code":{"coding":[{"system":"http://snomed.info/sct","code":"71651007"}]},"performedDateTime":"2023-05-01","id":"ann-2","subject":{"reference":"Patient/ann"}}"#,
            r#"2026-06-01T10:00:00Z ann Consent/ann-consent-2 {"resourceType":"Consent","id":"ann-consent-2","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":"Patient/ann"},"dateTime":"2026-06-01T10:00:00Z","performer":[{"reference":"Patient/ann"}],"policy":[{"uri":"urn:example:privacy-policy"}],"verification":[{"verified":true,"verifiedWith":{"reference":"Patient/ann"},"verificationDate":"2026-06-01T10:00:00Z"}],"provision":{"type":"deny","purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"}]},"organization":[{"reference":"Organization/riverside"}]}"#,
        ]
    );
    // The people arrive with the first line; time runs through the last line.
    assert_eq!((feed.begins.to_string().as_str(), feed.ends.to_string().as_str()), ("2026-02-01T10:00:00Z", "2026-06-01T10:00:00.000001Z"));
}

#[test]
fn an_authorization_is_whole_and_can_be_taken_back() {
    let feed = fed("- story: s
  people: { bo: { birthDate: 1970-01-01 } }
  given:
    - 2026-02-01T03:00Z bo consents HMARKT
    - 2026-03-01T10:00Z bo consents HMARKT until 2026-04-30
    - 2026-04-01T10:00Z bo revokes
  then: []
");
    let lines = lines(&feed);
    let provision = |start: &str, end: &str| {
        format!(
            r#""provision":{{"type":"permit","period":{{"start":"{start}","end":"{end}"}},"actor":[{{"role":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}}]}},"reference":{{"identifier":{{"system":"urn:example:recipients","value":"crm"}}}}}}],"purpose":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HMARKT"}}]}}"#
        )
    };
    // At three in the morning of UTC it is still January in Chicago.
    assert!(lines[1].contains(&provision("2026-02-01T03:00:00Z", "2027-01-31")), "{}", lines[1]);
    assert!(lines[2].contains(&provision("2026-03-01T10:00:00Z", "2026-04-30")), "{}", lines[2]);
    for (line, id) in [(&lines[3], "bo-consent-1"), (&lines[4], "bo-consent-2")] {
        assert!(line.starts_with(&format!("2026-04-01T10:00:00Z bo Consent/{id} ")) && line.contains(r#""status":"inactive""#), "{line}");
    }
    assert_eq!(lines.len(), 5);
}

#[test]
fn people_die_opt_out_and_change() {
    let feed = fed("- story: s
  people:
    cy: { phone: 3125550100, sms: ['+13125550101', '+13125550102'], telecom: [{ system: email, value: cy@example.org, rank: 1 }], active: true }
    di: {}
  until: 2026-12-31T00:00Z
  given:
    - 2026-02-01T10:00Z cy opts out sms
    - 2026-02-02T10:00Z cy: { resourceType: Patient, gender: male }
    - 2026-02-03T10:00Z cy dies
    - 2026-02-04T10:00Z di: { resourceType: Appointment, id: x, start: '2026-03-01T10:00:00Z' }
    - 2026-02-05T10:00Z di: { resourceType: Immunization, patient: { reference: Patient/other } }
    - 2026-02-06T10:00Z di: { resourceType: Observation, valueQuantity: { value: 1.10 }, code: { text: x } }
  then: []
");
    assert_eq!(
        lines(&feed),
        [
            r#"2026-02-01T10:00:00Z Patient/cy {"resourceType":"Patient","id":"cy","active":true,"telecom":[{"system":"phone","value":"3125550100"},{"system":"sms","value":"+13125550101"},{"system":"sms","value":"+13125550102"},{"system":"email","value":"cy@example.org","rank":1}]}"#,
            r#"2026-02-01T10:00:00Z Patient/di {"resourceType":"Patient","id":"di"}"#,
            "2026-02-01T10:00:00Z cy opts out sms",
            r#"2026-02-02T10:00:00Z cy Patient/cy {"resourceType":"Patient","gender":"male","id":"cy"}"#,
            r#"2026-02-03T10:00:00Z cy Patient/cy {"resourceType":"Patient","gender":"male","id":"cy","deceasedDateTime":"2026-02-03T10:00:00Z"}"#,
            r#"2026-02-04T10:00:00Z di Appointment/x {"resourceType":"Appointment","id":"x","start":"2026-03-01T10:00:00Z","participant":[{"actor":{"reference":"Patient/di"},"status":"accepted"}]}"#,
            r#"2026-02-05T10:00:00Z di Immunization/di-5 {"resourceType":"Immunization","patient":{"reference":"Patient/other"},"id":"di-5"}"#,
            r#"2026-02-06T10:00:00Z di Observation/di-6 {"resourceType":"Observation","valueQuantity":{"value":1.10},"code":{"text":"x"},"id":"di-6","subject":{"reference":"Patient/di"}}"#,
        ]
    );
    assert_eq!(feed.ends.to_string(), "2026-12-31T00:00:00.000001Z");
}

#[test]
fn each_mistake_is_told_with_its_place_and_a_way_out() {
    let given = |line: &str| format!("- story: s\n  people: {{ ann: {{}} }}\n  given:\n    - {line}\n  then: []\n");
    let then = |line: &str| format!("- story: s\n  people: {{ ann: {{}} }}\n  then:\n    - {line}\n");
    let verbs =
        "write consents PURPOSE [until DAY], denies PURPOSE, revokes, opts out email, opts out sms, dies, or a resource after `NAME:`";
    let table: Vec<(String, Vec<String>)> = vec![
        ("story: s\n".into(), vec!["a.test.yaml:1:1  expected a list of stories, each beginning with `- story:`, found a map".into()]),
        ("[]".into(), vec!["a.test.yaml:1:1  warning: no story is told here".into()]),
        ("- story: s\n  people: {}\n  then: []\n".into(), vec![
            "a.test.yaml:2:11  a story needs at least one person\n  hint: write people: { ann: { gender: female } }".into(),
            "a.test.yaml:1:3  nothing gives this story a time\n  hint: add a line under `given` or `then`, or `until`".into(),
        ]),
        ("- story: s\n  peeple: { ann: {} }\n  then: []\n  until: 2026-01-01T00:00Z\n".into(), vec![
            "a.test.yaml:2:3  unknown key `peeple`\n  hint: did you mean `people`?".into(),
            "a.test.yaml:1:3  the story needs the key `people`\n  hint: add `people: …` (docs/stories.md)".into(),
        ]),
        (given("2026-06-01 ann denies TREAT"), vec!["a.test.yaml:4:7  `2026-06-01` is not an instant\n  hint: write it with its zone, as 2026-06-01T10:00Z or 2026-06-01T05:00-05:00".into()]),
        (given("2026-06-01T10:00Z"), vec!["a.test.yaml:4:7  a line begins with an instant and a name\n  hint: write it as `2026-06-01T10:00Z ann denies TREAT`".into()]),
        (given("2026-06-01T10:00Z anna denies TREAT"), vec!["a.test.yaml:4:7  nobody here is named `anna`\n  hint: did you mean `ann`?".into()]),
        (given("2026-06-01T10:00Z ann denies TREATMENT"), vec!["a.test.yaml:4:7  unknown purpose `TREATMENT`\n  hint: write a code of PurposeOfUse, as TREAT, HOPERAT or HMARKT".into()]),
        (given("2026-06-01T10:00Z ann deny TREAT"), vec![format!("a.test.yaml:4:7  `deny TREAT` is not understood\n  hint: {verbs}")]),
        (given("2026-06-01T10:00Z ann consent HMARKT"), vec!["a.test.yaml:4:7  `consent HMARKT` is not understood\n  hint: did you mean `consents`?".into()]),
        (given("2026-06-01T10:00Z ann opts out fax"), vec![format!("a.test.yaml:4:7  `opts out fax` is not understood\n  hint: {verbs}")]),
        (given("2026-06-01T10:00Z ann consents HMARKT until tomorrow"), vec!["a.test.yaml:4:7  `tomorrow` is not a day\n  hint: write it as 2026-12-31; the whole of it counts".into()]),
        (given("2026-06-01T10:00Z ann revokes"), vec!["a.test.yaml:4:7  ann has no Consent to revoke\n  hint: add an earlier line `consents` or `denies`".into()]),
        (given("2026-06-01T10:00Z ann: { status: completed }"), vec!["a.test.yaml:4:30  the resource has no `resourceType`\n  hint: add `resourceType: Procedure`, or another of FHIR".into()]),
        (given("2026-06-01T10:00Z ann: { resourceType: Procedure, code: mammografy }"), vec!["a.test.yaml:4:63  no value set `mammografy` gives a code\n  hint: did you mean `mammography`?".into()]),
        (given("2026-06-01T10:00Z ann: { resourceType: Procedure, status: }"), vec!["a.test.yaml:4:63  nothing stands here\n  hint: write a value, or leave the key out".into()]),
        (given("2026-06-01T10:00Z ann: { resourceType: Patient, id: bob }"), vec!["a.test.yaml:4:30  this Patient is not ann\n  hint: leave the id out, or put the line under that person's name".into()]),
        (then("2026-06-01T10:00Z ann joined"), vec!["a.test.yaml:4:7  `joined` is not what can leave\n  hint: write entered, updated or exited, and a reason if it matters".into()]),
        (then("2026-06-01T10:00Z ann exited qualified"), vec!["a.test.yaml:4:7  `qualified` is no reason to have exited\n  hint: write one of ended, stop, paused, erased, deceased, merged".into()]),
        (format!("{TURNS_FIFTY}{TURNS_FIFTY}"), vec!["a.test.yaml:9:10  a story named `turns fifty` is already told".into()]),
        ("- story: s\n  people: { 'a b': {} }\n  then: []\n  until: 2026-01-01T00:00Z\n".into(), vec!["a.test.yaml:2:14  `a b` is no name for a person of a story\n  hint: use letters, digits and `-`".into()]),
        ("- story: s\n  people: { ann: { id: x } }\n  then: []\n  until: 2026-01-01T00:00Z\n".into(), vec!["a.test.yaml:2:20  `id` is given by the story\n  hint: leave it out: a person is a Patient whose id is the name".into()]),
    ];
    let wrong: Vec<_> = table.into_iter().map(|(text, expected)| (read(&text).1, expected, text)).filter(|(a, b, _)| a != b).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
