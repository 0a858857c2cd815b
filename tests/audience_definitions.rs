//! Audience files, right and wrong: every key, and for each mistake the exact words and place.

use footbridge::config::yaml;
use footbridge_core::audience::{
    self, Around, Audience, Catalogue, Channel, Communication, Form, Pick, Remuneration, Rule, Times, Written,
};
use footbridge_core::problem::Problem;
use footbridge_core::time::{Instant, Span, Zone};

const GOOD: &str = "audience: a
title: A title
communication: treatment
remuneration: none
recipient: crm
ends: 2027-12-31
times: exact
members:
  Patient: gender = 'female'
";

fn read_with(files: &[(&str, &str)], policy: &str) -> (Catalogue, Vec<Problem>) {
    let zone = Zone::named("America/Chicago").expect("zone");
    let mut problems = Vec::new();
    let documents: Vec<_> =
        files.iter().map(|(stem, text)| yaml::read(&format!("{stem}.yaml"), text, &mut problems).expect("YAML")).collect();
    let written: Vec<_> = files.iter().zip(&documents).map(|((stem, text), document)| Written { stem, text, document }).collect();
    let around = Around {
        zone: &zone,
        recipients: &["crm", "portal"],
        times: Times::Spread(Span::days(3)),
        policy,
        valuesets: &[("mammography", "the set"), ("sensitive-x", "another")],
        sensitive: &[1],
    };
    let catalogue = audience::read(&written, &around, &mut problems);
    (catalogue, problems)
}

fn read(text: &str) -> (Option<Audience>, Vec<String>) {
    let (mut catalogue, problems) = read_with(&[("a", text)], "policy");
    (catalogue.audiences.pop(), problems.iter().map(Problem::to_string).collect())
}

/// The good file with one line replaced, or lines added at its end.
fn with(line: &str, other: &str) -> String {
    assert!(line.is_empty() || GOOD.contains(line), "{line}");
    if line.is_empty() { format!("{GOOD}{other}\n") } else { GOOD.replace(line, other) }
}

#[test]
fn every_key_is_read() {
    let text = "audience: a
title: Mammogram due
summary: >-
  Women with no
  mammogram.
owner: screening@riverside.example
communication: marketing
remuneration: cost
recipient: portal
channels: [email, sms]
action: https://riverside.example/book?service=mammography
starts: 2026-01-01
ends: 2026-03-08
times: { spread: 12h }
outcome: { Procedure: status = 'completed' and code.memberOf(%mammography) }
holdout: { share: 2.5%, wait: 60 days }
members:
  all:
    - Patient: gender = 'female'
    - any: [ { Condition: recordedDate.exists() }, { Encounter: status = 'finished' } ]
    - none:
        Procedure: status = 'completed' and code.memberOf(%mammography)
    - none: [ { Patient: gender = 'female' } ]
    - at_least: { count: 2, of: { Encounter: status = 'finished' } }
    - at_least: { count: 1, of: [ { Patient: gender = 'female' } ] }
    - latest: { Appointment: status = 'noshow', by: start, where: status = 'noshow' }
release:
  language: { Patient: communication.language.coding.code.first() }
  age_band: { Patient: birthDate, as: age-band }
  last_visit: { Encounter: period.start, pick: latest, as: month }
  zip: { Patient: address.postalCode.first(), as: zip3 }
";
    let (audience, problems) = read(text);
    assert_eq!(problems, Vec::<String>::new());
    let audience = audience.expect("an audience");
    assert_eq!(
        (
            audience.name.as_str(),
            audience.title.as_str(),
            audience.summary.as_deref(),
            audience.owner.as_deref(),
            audience.recipient.as_str()
        ),
        ("a", "Mammogram due", Some("Women with no mammogram."), Some("screening@riverside.example"), "portal")
    );
    assert_eq!((audience.communication, audience.remuneration), (Communication::Marketing, Remuneration::Cost));
    assert_eq!(audience.channels, Some(vec![Channel::Email, Channel::Sms]));
    assert_eq!(audience.action.as_deref(), Some("https://riverside.example/book?service=mammography"));
    // Days of the organisation's zone; the last day is whole, and this one has 23 hours.
    assert_eq!(audience.starts, Some(Instant::parse("2026-01-01T06:00:00Z").expect("instant")));
    assert_eq!(audience.ends, Some(Instant::parse("2026-03-09T05:00:00Z").expect("instant")));
    assert_eq!(audience.times, Times::Spread(Span::hours(12)));
    assert_eq!(audience.holdout.map(|h| (h.share, h.wait)), Some((25, Span::days(60))));
    assert_eq!(audience.outcome, Some(0));
    let expected = Rule::All(vec![
        Rule::Criterion(1),
        Rule::Any(vec![Rule::Criterion(2), Rule::Criterion(3)]),
        // The outcome's text again, and the first rule's: compiled once.
        Rule::None(vec![Rule::Criterion(0)]),
        Rule::None(vec![Rule::Criterion(1)]),
        Rule::AtLeastResources(2, 3),
        Rule::AtLeast(1, vec![Rule::Criterion(1)]),
        Rule::Latest(0),
    ]);
    assert_eq!(audience.members, expected);
    let names: Vec<_> = audience.release.iter().map(|r| (r.name.as_str(), r.value)).collect();
    assert_eq!(names, [("language", 0), ("age_band", 1), ("last_visit", 2), ("zip", 3)]);
    let (catalogue, _) = read_with(&[("a", text)], "policy");
    let forms: Vec<_> = catalogue.values.iter().map(|v| (v.kind.as_str(), v.form, v.pick)).collect();
    assert_eq!(
        forms,
        [
            ("Patient", Form::AsIs, Pick::First),
            ("Patient", Form::AgeBand, Pick::First),
            ("Encounter", Form::Month, Pick::Latest),
            ("Patient", Form::Zip3, Pick::First),
        ]
    );
    assert_eq!((catalogue.criteria.len(), catalogue.latests.len()), (4, 1));
}

#[test]
fn what_is_left_out_has_its_default() {
    let (audience, problems) = read(&with("times: exact\n", ""));
    assert_eq!(problems, Vec::<String>::new());
    let audience = audience.expect("an audience");
    assert_eq!(audience.times, Times::Spread(Span::days(3)), "the policy's");
    assert_eq!((audience.channels, audience.action, audience.outcome, audience.holdout), (None, None, None, None));
    assert_eq!((audience.summary, audience.owner, audience.starts, audience.release), (None, None, None, vec![]));
    let (audience, problems) = read(&with("remuneration: none\n", ""));
    assert_eq!(audience.map(|a| a.remuneration), Some(Remuneration::Financial));
    assert_eq!(
        problems,
        [
            "a.yaml:3:16  warning: `remuneration` is not stated and counts as financial: the marketing basis applies\n  hint: add `remuneration: none` if nobody is paid for the message"
        ]
    );
    let (audience, problems) = read(&with("ends: 2027-12-31\n", ""));
    assert_eq!(audience.map(|a| a.ends), Some(None));
    assert_eq!(
        problems,
        [
            "a.yaml:1:11  warning: the audience has no `ends`: it runs until somebody stops it\n  hint: add the last day, as `ends: 2027-12-31`"
        ]
    );
}

#[test]
fn each_mistake_is_told_with_its_place_and_a_way_out() {
    let table: &[(&str, &str, &[&str])] = &[
        ("title: A title\n", "", &["a.yaml:1:1  the key `title` is missing\n  hint: add `title: …` (docs/audiences.md)"]),
        (
            "title: A title",
            "titl: A title",
            &[
                "a.yaml:2:1  unknown key `titl`\n  hint: did you mean `title`?",
                "a.yaml:1:1  the key `title` is missing\n  hint: add `title: …` (docs/audiences.md)",
            ],
        ),
        ("title: A title", "title:", &["a.yaml:2:6  expected a text, found nothing"]),
        ("title: A title", "title: ' '", &["a.yaml:2:9  an empty text\n  hint: write it in words"]),
        ("title: A title", "title: [A]", &["a.yaml:2:8  expected a text, found a list"]),
        (
            "audience: a",
            "audience: A b",
            &[
                "a.yaml:1:11  `A b` is no name for an audience\n  hint: use small letters, digits and `-`, beginning with a letter: it becomes the topic's name",
            ],
        ),
        (
            "audience: a",
            "audience: b",
            &["a.yaml:1:11  the audience `b` stands in a file of another name\n  hint: rename the file to b.yaml, or the audience to a"],
        ),
        (
            "communication: treatment",
            "communication: fundraising",
            &[
                "a.yaml:3:16  fundraising is not supported\n  hint: 45 CFR 164.514(f) asks for notices and opt-outs of its own; use treatment, operations or marketing only where the message is one",
            ],
        ),
        (
            "communication: treatment",
            "communication: marketting",
            &["a.yaml:3:16  unknown value `marketting`\n  hint: did you mean `marketing`?"],
        ),
        ("remuneration: none", "remuneration: 12", &["a.yaml:4:15  unknown value `12`\n  hint: write one of none, cost, financial"]),
        ("recipient: crm", "recipient: crn", &["a.yaml:5:12  the policy has no recipient `crn`\n  hint: did you mean `crm`?"]),
        (
            "recipient: crm",
            "recipient: warehouse",
            &["a.yaml:5:12  the policy has no recipient `warehouse`\n  hint: policy.yaml has crm, portal"],
        ),
        (
            "",
            "channels: []",
            &["a.yaml:10:11  no channel is listed\n  hint: list email or sms, or leave the key out if no address is needed"],
        ),
        ("", "channels: email", &["a.yaml:10:11  expected a list of channels, as [email, sms], found a text"]),
        (
            "",
            "channels: [email, fax, email]",
            &[
                "a.yaml:10:19  unknown value `fax`\n  hint: write one of email, sms",
                "a.yaml:10:24  the channel is listed twice\n  hint: leave one of them",
            ],
        ),
        (
            "",
            "action: riverside.example/book",
            &["a.yaml:10:9  not a link\n  hint: write the whole address, as https://riverside.example/book"],
        ),
        (
            "",
            "action: javascript:alert(1)",
            &["a.yaml:10:9  not a link\n  hint: write the whole address, as https://riverside.example/book"],
        ),
        (
            "",
            "action: https://a:b@riverside.example/",
            &["a.yaml:10:9  not a link\n  hint: write the whole address, as https://riverside.example/book"],
        ),
        (
            "",
            "action: https://riverside.example/{id}",
            &[
                "a.yaml:10:9  `{` in a link: a link may hold no placeholder\n  hint: the link is fixed and the same for all members; no patient data goes into it",
            ],
        ),
        (
            "",
            "action: https://riverside.example/?p=$mrn",
            &[
                "a.yaml:10:9  `$` in a link: a link may hold no placeholder\n  hint: the link is fixed and the same for all members; no patient data goes into it",
            ],
        ),
        (
            "",
            "action: https://riverside.example/a b",
            &[
                "a.yaml:10:9  a link may hold no blanks and only ASCII\n  hint: percent-encode what is neither a letter, a digit nor punctuation of a link",
            ],
        ),
        ("", "action: http://riverside.example/a%20b", &["a.yaml:10:9  warning: the link is not encrypted\n  hint: use https"]),
        (
            "",
            "starts: 2026",
            &[
                "a.yaml:10:9  `2026` is neither a day nor an instant\n  hint: write a day as 2026-01-31, or an instant as 2026-01-31T08:00:00Z",
            ],
        ),
        ("", "starts: 2028-01-01", &["a.yaml:6:7  the audience ends before it starts\n  hint: `ends` is the last day on which it runs"]),
        (
            "times: exact",
            "times: loose",
            &["a.yaml:7:8  expected `exact` or a spread, found a text\n  hint: write `times: exact` or `times: { spread: 3d }`"],
        ),
        (
            "times: exact",
            "times: { spread: 3 months }",
            &["a.yaml:7:18  `3 months` is no length of time\n  hint: a month has no fixed length: write it in days, as 90 days"],
        ),
        (
            "times: exact",
            "times: {}",
            &["a.yaml:7:8  `times` needs the key `spread`\n  hint: write `times: exact` or `times: { spread: 3d }`"],
        ),
        (
            "",
            "outcome: { all: [] }",
            &["a.yaml:10:10  an outcome is one `Type: expression`\n  hint: write it as { Procedure: status = 'completed' }"],
        ),
        (
            "",
            "outcome: { Procedure: status = 'completed' }\nholdout: { share: 10 }",
            &[
                "a.yaml:11:10  `holdout` needs the key `wait`\n  hint: write it as { share: 10%, wait: 60 days }",
                "a.yaml:11:19  `10` is no share\n  hint: write a percentage with at most one decimal, as 10% or 2.5%",
            ],
        ),
        (
            "",
            "outcome: { Procedure: status = 'completed' }\nholdout: { share: 100%, wait: 60 days }",
            &["a.yaml:11:19  `100%` leaves nobody to compare with\n  hint: write a share above 0% and below 100%"],
        ),
        (
            "",
            "holdout: { share: 10%, wait: 60 days }",
            &[
                "a.yaml:10:10  warning: a group is held back, but nothing says what is measured\n  hint: add `outcome: { Type: expression }`",
            ],
        ),
        (
            "  Patient: gender = 'female'",
            "  - Patient: gender = 'female'",
            &["a.yaml:9:3  expected a rule, as `Patient: gender = 'female'`, found a list"],
        ),
        ("  Patient: gender = 'female'", "  {}", &["a.yaml:9:3  an empty rule\n  hint: write a rule, as `Patient: gender = 'female'`"]),
        (
            "  Patient: gender = 'female'",
            "  patient: gender = 'female'",
            &["a.yaml:9:3  unknown key `patient`\n  hint: write all, any, none, at_least, latest or a FHIR type, as Patient"],
        ),
        (
            "  Patient: gender = 'female'",
            "  atleast: gender = 'female'",
            &["a.yaml:9:3  unknown key `atleast`\n  hint: did you mean `at_least`?"],
        ),
        (
            "  Patient: gender = 'female'",
            "  Patient: gender = 'female'\n  Encounter: status = 'finished'",
            &["a.yaml:10:3  a rule has exactly one key; `Encounter` is one too many\n  hint: put the rules as a list under `all` or `any`"],
        ),
        ("  Patient: gender = 'female'", "  all: []", &["a.yaml:9:8  `all` of no rules\n  hint: list at least one rule"]),
        (
            "  Patient: gender = 'female'",
            "  any: { Patient: gender = 'female' }",
            &["a.yaml:9:8  expected a list of rules, found a map\n  hint: begin each rule under `any` with `- `"],
        ),
        (
            "  Patient: gender = 'female'",
            "  none: 3",
            &["a.yaml:9:9  expected a list of rules or one rule, found a text\n  hint: begin each rule under `none` with `- `"],
        ),
        (
            "  Patient: gender = 'female'",
            "  at_least: { count: 3, of: [{ Patient: gender = 'female' }] }",
            &["a.yaml:9:13  3 of 1 rules can never hold\n  hint: lower `count` or list more rules"],
        ),
        (
            "  Patient: gender = 'female'",
            "  at_least: { count: 0, of: { Patient: gender = 'female' }, by: x }",
            &[
                "a.yaml:9:61  unknown key `by`\n  hint: known keys here: count, of",
                "a.yaml:9:22  `0` is no count\n  hint: write a whole number from 1 to 65535",
            ],
        ),
        (
            "  Patient: gender = 'female'",
            "  at_least: { of: { any: [] } }",
            &[
                "a.yaml:9:13  `at_least` needs the key `count`\n  hint: add `count: …` beside the others (docs/audiences.md)",
                "a.yaml:9:21  `any` cannot be counted\n  hint: give `of` a list of rules, or one `Type: expression` whose resources are counted",
            ],
        ),
        (
            "  Patient: gender = 'female'",
            "  latest: { Encounter: status = 'finished' }",
            &[
                "a.yaml:9:11  `latest` needs the key `by`\n  hint: add `by: …` beside the others (docs/audiences.md)",
                "a.yaml:9:11  `latest` needs the key `where`\n  hint: add `where: …` beside the others (docs/audiences.md)",
            ],
        ),
        (
            "  Patient: gender = 'female'",
            "  latest: { by: start, where: status = 'noshow' }",
            &["a.yaml:9:11  `latest` names no type\n  hint: add which resources are candidates, as `Appointment: status = 'booked'`"],
        ),
        (
            "  Patient: gender = 'female'",
            "  Medication: status = 'active'",
            &[
                "a.yaml:9:3  a Medication belongs to no patient, so nobody can be a member by it\n  hint: begin at the resource that refers to it and use `resolve()`",
            ],
        ),
        ("  Patient: gender = 'female'", "  Patient:", &["a.yaml:9:10  expected a FHIRPath expression, found nothing"]),
        (
            "  Patient: gender = 'female'",
            "  Patient: ''",
            &["a.yaml:9:13  an empty expression never holds\n  hint: write a FHIRPath expression, as status = 'completed'"],
        ),
        (
            "",
            "release: { Age: { Patient: birthDate } }",
            &["a.yaml:10:12  `Age` is no name for an attribute\n  hint: use small letters, digits and `_`, beginning with a letter"],
        ),
        (
            "",
            "release: { age: { Patient: birthDate, as: age-bond, pick: last } }",
            &[
                "a.yaml:10:43  unknown value `age-bond`\n  hint: did you mean `age-band`?",
                "a.yaml:10:59  unknown value `last`\n  hint: did you mean `latest`?",
            ],
        ),
        (
            "",
            "release: { age: { as: year } }",
            &["a.yaml:10:17  `age` names no type\n  hint: write where the value comes from, as `Patient: birthDate`"],
        ),
        ("", "release: { age: birthDate }", &["a.yaml:10:17  expected a map with `Type: path`, found a text"]),
        (
            "",
            "release: { age: { Patient: birthDate, Encounter: period.start } }",
            &["a.yaml:10:39  `age` comes from one type; `Encounter` is one too many\n  hint: write one attribute for each type"],
        ),
        ("", "release: [age]", &["a.yaml:10:10  expected a map of the attributes that are released, found a list"]),
    ];
    let mut wrong = Vec::new();
    for (line, other, expected) in table {
        let text = with(line, other);
        let (audience, problems) = read(&text);
        if problems != *expected {
            wrong.push((text.clone(), problems.clone(), expected));
        }
        let has_error = problems.iter().any(|p| !p.contains("  warning: "));
        assert_eq!(audience.is_none(), has_error, "{text}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let (_, problems) = read("audience: a\ntitle: x\ncommunication: spam\nrecipient: nobody\nmembers: { all: [] }\nextra: 1\n");
    assert_eq!(problems.len(), 5, "{problems:#?}");
    assert_eq!(read("[1]").1, ["a.yaml:1:1  expected an audience, found a list\n  hint: begin with `audience:` and a name"]);
    assert_eq!(read("").1, ["a.yaml:1:1  expected an audience, found nothing\n  hint: begin with `audience:` and a name"]);
}

#[test]
fn a_window_that_the_spread_could_swallow_is_a_warning() {
    let spread = with("times: exact", "times: { spread: 3d }");
    let warning = "warning: this can hold for less than twice the spread of times, so that some members may never be told of\n  hint: widen the window, narrow `times: { spread: … }`, or say `times: exact`";
    let short = spread.replace("Patient: gender = 'female'", "Encounter: period.start > now() - 5 days");
    assert_eq!(read(&short).1, [format!("a.yaml:9:14  {warning}")]);
    let long = spread.replace("Patient: gender = 'female'", "Encounter: period.start > now() - 6 days");
    assert_eq!(read(&long).1, Vec::<String>::new());
    // What ends early within `none` only makes the membership longer.
    let none = spread.replace("Patient: gender = 'female'", "none: { Encounter: period.start > now() - 5 days }");
    assert_eq!(read(&none).1, Vec::<String>::new());
    let latest = spread.replace(
        "Patient: gender = 'female'",
        "latest: { Encounter: status = 'finished', by: period.start, where: period.start > now() - 5 days }",
    );
    assert_eq!(read(&latest).1, [format!("a.yaml:9:70  {warning}")]);
    assert_eq!(read(&short.replace("{ spread: 3d }", "exact")).1, Vec::<String>::new());
}

#[test]
fn one_name_is_one_audience() {
    let (catalogue, problems) = read_with(&[("a", GOOD), ("a", GOOD)], "policy");
    assert_eq!(
        problems.iter().map(Problem::to_string).collect::<Vec<_>>(),
        ["a.yaml:1:11  an audience named `a` is already defined\n  hint: the first is in a.yaml"]
    );
    assert_eq!(catalogue.audiences.len(), 1);
}

#[test]
fn the_definition_changes_with_all_that_decides_it_and_nothing_else() {
    let hash = |text: &str, policy: &str| read_with(&[("a", text)], policy).0.audiences[0].definition.clone();
    let first = hash(GOOD, "policy");
    assert_eq!(first, hash(GOOD, "policy"));
    assert_ne!(first, hash(GOOD, "another policy"));
    assert_ne!(first, hash(&with("title: A title", "title: B title"), "policy"));
    // Its neighbours do not matter.
    let other = GOOD.replace("audience: a", "audience: b");
    assert_eq!(first, read_with(&[("b", &other), ("a", GOOD)], "policy").0.audiences[1].definition);
}

#[test]
fn a_mistake_within_an_expression_is_told_at_its_character() {
    let long = "  all:
    - Procedure: >-
        status = 'completed' and
        kode.memberOf(%mammography)
    - Patient: 'gender = ''female'' and age > 3'
    - Procedure: code.memberOf(%mamography)
    - Patient: gender = 'female' and
        deceased
        .foo()
    - Nonsense: status = 'x'
    - latest: { Encounter: period.start > now(), by: period.start, where: status = 'finished' }";
    let (_, problems) = read(&with("  Patient: gender = 'female'", long));
    let places: Vec<_> = problems.iter().map(|p| p.lines().next().expect("a line")).collect();
    let expected = [
        "a.yaml:12:9  `kode` is not an element of Procedure",
        "a.yaml:13:41  `age` is not an element of Patient",
        "a.yaml:14:32  there is no value set `%mamography`",
        "a.yaml:17:10  there is no function `foo()`",
        "a.yaml:18:17  `Nonsense` is not a resource type of R4",
        "a.yaml:19:28  which resources are candidates may not depend on the time of asking",
    ];
    assert_eq!(places, expected);
}
