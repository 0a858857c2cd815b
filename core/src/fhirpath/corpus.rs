//! The R4 FHIRPath test suite, case by case: inside the subset and passed, or outside and why.
//!
//! In: the suite and its inputs. Out: the table in docs/fhirpath.md, which must be the one committed.
//! Never here: a case inside that fails.

use super::program::{Env, compile};
use super::value::Stop;
use super::{Remark, Scalar};
use crate::fhir::json;
use crate::time::{Instant, Moment, Precision, Zone};
use crate::timeline::Truth;
use rust_decimal::Decimal;
use sonic_rs::{JsonValueTrait, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Cases that compile and differ on purpose.
const DIFFERENT: [(&str, &str); 11] = [
    ("testQuantity1", UNITS),
    ("testQuantity2", UNITS),
    ("testQuantity3", UNITS),
    ("testQuantity4", UNITS),
    ("testNEquality24", UNITS),
    ("testNotEquivalent22", UNITS),
    ("testEquality23", ZONE),
    ("testNEquality17", ZONE),
    ("testFHIRPathIsFunction8", INPUT),
    ("testFHIRPathIsFunction9", INPUT),
    ("testFHIRPathIsFunction10", INPUT),
];
const UNITS: &str = "units other than of time are not converted: two different ones are unknown";
const ZONE: &str = "a dateTime without offset is read in the organisation's zone";
const INPUT: &str = "the input in JSON lacks the extension that the one in XML has";

struct Case {
    group: String,
    name: String,
    input: String,
    expression: String,
    invalid: Option<String>,
    /// Type and text of each expected item.
    outputs: Vec<(String, String)>,
}

enum Verdict {
    Passed,
    Failed(String),
    Outside(String),
}

#[test]
fn every_case_of_the_suite_inside_the_subset_passes() {
    let cases = read_suite();
    assert!(cases.len() > 900, "the suite is whole: {}", cases.len());
    let mut table: BTreeMap<String, (usize, usize, BTreeMap<String, usize>)> = BTreeMap::new();
    let mut order = Vec::new();
    let mut failed = Vec::new();
    for case in &cases {
        if !order.contains(&case.group) {
            order.push(case.group.clone());
        }
        let row = table.entry(case.group.clone()).or_default();
        row.0 += 1;
        match judge(case) {
            Verdict::Passed => row.1 += 1,
            Verdict::Failed(why) => failed.push(format!("{}/{}: {why}\n    {}", case.group, case.name, case.expression)),
            Verdict::Outside(why) => *row.2.entry(why).or_default() += 1,
        }
    }
    assert!(failed.is_empty(), "{} cases inside the subset fail:\n{}", failed.len(), failed.join("\n"));
    let mut lines = vec!["| group | cases | inside, all passed | outside, and why |".to_owned(), "|---|---|---|---|".to_owned()];
    let (mut all, mut inside) = (0, 0);
    for group in order {
        let (count, passed, outside) = &table[&group];
        let why: Vec<String> = outside.iter().map(|(why, count)| format!("{why} ({count})")).collect();
        lines.push(format!("| {group} | {count} | {passed} | {} |", why.join("; ")));
        all += count;
        inside += passed;
    }
    lines.push(format!("| **all** | **{all}** | **{inside}** | {} |", all - inside));
    let made = lines.join("\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fhirpath.md");
    let page = std::fs::read_to_string(path).expect("docs/fhirpath.md is there");
    if std::env::var_os("FOOTBRIDGE_REWRITE").is_some() {
        let start = page.find("| group |").expect("the page holds the table");
        std::fs::write(path, format!("{}{made}\n", &page[..start])).expect("docs/fhirpath.md is written");
        return;
    }
    assert!(page.contains(&made), "docs/fhirpath.md holds another table; run this test with FOOTBRIDGE_REWRITE=1 and read the difference");
}

fn shared(name: &str) -> String {
    let folder = std::env::var("FOOTBRIDGE_SHARED").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").to_owned());
    let path = PathBuf::from(folder).join("data/fhirpath").join(name);
    assert!(path.exists(), "the FHIRPath suite is missing: {}; set FOOTBRIDGE_SHARED", path.display());
    std::fs::read_to_string(&path).expect("the FHIRPath suite is a text")
}

fn read_suite() -> Vec<Case> {
    let text = shared("tests-fhir-r4.xml");
    let document = roxmltree::Document::parse(&text).expect("the suite is XML");
    let mut cases = Vec::new();
    for group in document.descendants().filter(|node| node.has_tag_name("group")) {
        for test in group.children().filter(|node| node.has_tag_name("test")) {
            let expression = test.children().find(|node| node.has_tag_name("expression")).expect("a test has an expression");
            let own = |name: &str| test.attribute(name).unwrap_or_default().to_owned();
            cases.push(Case {
                group: group.attribute("name").unwrap_or_default().to_owned(),
                name: own("name"),
                input: own("inputfile"),
                expression: expression.text().unwrap_or_default().to_owned(),
                invalid: expression.attribute("invalid").map(str::to_owned),
                outputs: test
                    .children()
                    .filter(|node| node.has_tag_name("output"))
                    .map(|node| (node.attribute("type").unwrap_or_default().to_owned(), node.text().unwrap_or_default().to_owned()))
                    .collect(),
            });
        }
    }
    cases
}

fn input(name: &str) -> Option<Value> {
    let name = match name {
        "" | "patient-example.xml" => "patient-example.json",
        "observation-example.xml" => "observation-example.json",
        "questionnaire-example.xml" => "questionnaire-example.json",
        _ => return None,
    };
    Some(json::parse(shared(name).as_bytes()).expect("an input is JSON"))
}

fn judge(case: &Case) -> Verdict {
    let Some(resource) = input(&case.input) else { return Verdict::Outside("its input is not among the data".to_owned()) };
    let kind = resource.get("resourceType").and_then(|kind| kind.as_str()).expect("an input has a type").to_owned();
    let compiled = compile(&case.expression, &kind, &|_| None);
    if let Some((_, why)) = DIFFERENT.iter().find(|(name, _)| *name == case.name) {
        return match compiled {
            Ok(_) => Verdict::Outside((*why).to_owned()),
            Err(_) => Verdict::Failed("listed as different, and does not compile".to_owned()),
        };
    }
    let program = match compiled {
        Ok((program, _)) => program,
        Err(remarks) => return refused(case, &remarks[0]),
    };
    let zone = Zone::utc();
    let env = Env { zone: &zone, valuesets: &|_, _, _| false, remote: &|_, _| Truth::Unknown };
    let at = Instant::parse("2026-03-01T12:00:00Z").expect("instant");
    let values = program.values_at(&resource, &env, at);
    let (truth, _) = program.truth_at(&resource, &env, at).expect("the inputs are readable");
    match (values, &case.invalid) {
        (Err(Stop::Undecided), Some(_)) => Verdict::Passed,
        (Err(Stop::Undecided), None) => Verdict::Failed("undecided".to_owned()),
        (Err(Stop::Unreadable(why)), _) => Verdict::Failed(why.to_string()),
        (Ok(_), Some(invalid)) => Verdict::Failed(format!("should be refused: {invalid}")),
        (Ok(values), None) => {
            // `predicate`: the answer is whether there is something.
            if let [(kind, text)] = case.outputs.as_slice()
                && kind == "boolean"
                && !matches!(values.as_slice(), [Scalar::Boolean(_)])
            {
                let wanted = Truth::known(text == "true");
                return if truth == wanted { Verdict::Passed } else { Verdict::Failed(format!("{truth:?}, not {wanted:?}")) };
            }
            let given: Vec<String> = values.iter().map(shown).collect();
            let wanted: Vec<String> = case.outputs.iter().map(|(kind, text)| normal(kind, text)).collect();
            if given == wanted { Verdict::Passed } else { Verdict::Failed(format!("{given:?}, not {wanted:?}")) }
        }
    }
}

/// Refused as the suite wants it, or because we do not support it.
fn refused(case: &Case, remark: &Remark) -> Verdict {
    let unsupported = remark.what.contains("not supported");
    match (&case.invalid, unsupported) {
        (Some(_), false) => Verdict::Passed,
        _ => Verdict::Outside(remark.what.replace('|', "\\|")),
    }
}

fn shown(value: &Scalar) -> String {
    match value {
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Text(text) => text.clone(),
        Scalar::Integer(value) => value.to_string(),
        Scalar::Decimal(value) => value.normalize().to_string(),
        Scalar::Moment(moment) => written(moment),
        Scalar::Time(time, _) => time.to_string(),
        Scalar::Quantity { value, unit } => format!("{} '{unit}'", value.normalize()),
    }
}

fn normal(kind: &str, text: &str) -> String {
    match kind {
        "decimal" => text.parse::<Decimal>().expect("a decimal").normalize().to_string(),
        "date" | "dateTime" => written(&Moment::parse(text.trim_start_matches('@').trim_end_matches('T')).expect("a date")),
        _ => text.to_owned(),
    }
}

fn written(moment: &Moment) -> String {
    match moment.precision {
        Precision::Year => moment.local.strftime("%Y").to_string(),
        Precision::Month => moment.local.strftime("%Y-%m").to_string(),
        Precision::Day => moment.local.strftime("%Y-%m-%d").to_string(),
        Precision::Minute | Precision::Second => format!("{} {:?}", moment.local, moment.offset),
    }
}
