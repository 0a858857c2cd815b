//! The JSON Schemas of everything public: made here, from the constants of the readers and writers, and held against
//! the files in `schemas/`. `FOOTBRIDGE_REWRITE=1` writes them anew.
//!
//! In: the program's constants, the shipped mappings, what the program prints. Out: a failed test that names the place.
//! Never here: a schema library; `check` below knows the few keywords that these schemas use.

use footbridge::config::bridge::keys::{KEYS, Key, Shape};
use footbridge::config::yaml;
use footbridge_core::audience::{self, Channel, story};
use footbridge_core::consent;
use footbridge_core::document::{Content, Document};
use footbridge_core::gate::{DATA_SCHEMA, Enter, Leave, Status, Update};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const INSTANT: &str = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// An object whose keys are exactly these; the second list names those that must be there.
fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: BTreeMap<&str, &Value> = properties.iter().map(|(name, schema)| (*name, schema)).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn map_of(value: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": value })
}

fn list_of(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn one_of(names: &[&str]) -> Value {
    json!({ "enum": names })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn number(least: u64) -> Value {
    json!({ "type": "integer", "minimum": least })
}

fn whole(title: &str, schema: &Value, defs: &[(&str, Value)]) -> Value {
    let mut members: BTreeMap<&str, Value> =
        schema.as_object().expect("an object").iter().map(|(key, value)| (key, value.clone())).collect();
    members.insert("$schema", json!(DIALECT));
    members.insert("title", json!(title));
    if !defs.is_empty() {
        let defs: BTreeMap<&str, &Value> = defs.iter().map(|(name, schema)| (*name, schema)).collect();
        members.insert("$defs", json!(defs));
    }
    json!(members)
}

fn event() -> Value {
    let statuses = [(Status::Entered, "entered"), (Status::Updated, "updated"), (Status::Exited, "exited")];
    let types: Vec<&str> = statuses.iter().map(|(status, _)| status.event_type()).collect();
    let reasons =
        [Enter::Qualified, Enter::Resumed].map(Enter::name).into_iter().chain([Update::Changed, Update::Renewed].map(Update::name));
    let leaves = [Leave::Ended, Leave::Stop, Leave::Paused, Leave::Erased, Leave::Deceased, Leave::Merged].map(Leave::name);
    let reasons: Vec<&str> = reasons.chain(leaves).collect();
    let instant = json!({ "type": "string", "format": "date-time", "pattern": INSTANT });
    let hours = json!({ "type": "array", "items": { "type": "string", "pattern": r"^\d{2}:\d{2}$" }, "minItems": 2, "maxItems": 2 });
    let address = object(
        &[("address", text("where the message may be sent")), ("zone", text("the zone of the hours")), ("hours", hours)],
        &["address"],
    );
    let channels: Vec<(&str, Value)> = [Channel::Email, Channel::Sms].iter().map(|channel| (channel.name(), address.clone())).collect();
    let data = object(
        &[
            ("audience", text("the audience's name")),
            ("definition", json!({ "type": "string", "pattern": "^sha256:[0-9a-f]+$" })),
            ("member", text("the person as this recipient knows them")),
            ("seq", number(1)),
            ("episode", number(1)),
            ("since", instant.clone()),
            ("status", one_of(&statuses.map(|(_, name)| name))),
            ("reason", one_of(&reasons)),
            ("effective", instant.clone()),
            ("until", instant.clone()),
            ("communication", one_of(&["treatment", "operations", "marketing"])),
            (
                "identity",
                object(&[("system", text("an identifier system")), ("value", text("the patient's value in it"))], &["system", "value"]),
            ),
            ("channels", object(&channels, &[])),
            ("action", text("the audience's link")),
            ("attributes", map_of(&json!({ "type": "string" }))),
            ("patient", text("under --reveal: Patient/<id>")),
            ("cause", text("under --reveal: the whole reason")),
        ],
        &["audience", "definition", "member", "seq", "episode", "since", "status", "reason", "effective", "communication"],
    );
    let envelope = object(
        &[
            ("specversion", json!({ "const": "1.0" })),
            ("id", text("member, audience and seq, joined by dots")),
            ("source", text("the bridge")),
            ("type", one_of(&types)),
            ("time", instant),
            ("subject", text("the member")),
            ("dataschema", json!({ "const": DATA_SCHEMA })),
            ("datacontenttype", json!({ "const": "application/json" })),
            ("traceparent", json!({ "type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$" })),
            ("data", json!({ "$ref": "#/$defs/data" })),
        ],
        &["specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype", "traceparent", "data"],
    );
    whole("An event, in CloudEvents structured mode; its data is the value in Kafka's binary mode", &envelope, &[("data", data)])
}

/// Keys of which exactly one is a FHIR type, beside the named ones.
fn typed(value: &Value, beside: &[(&str, Value)], required: &[&str]) -> Value {
    let mut schema: BTreeMap<&str, Value> = BTreeMap::new();
    let properties: BTreeMap<&str, &Value> = beside.iter().map(|(name, schema)| (*name, schema)).collect();
    schema.insert("type", json!("object"));
    schema.insert("properties", json!(properties));
    schema.insert("required", json!(required));
    schema.insert("patternProperties", json!({ "^[A-Z][A-Za-z0-9]*$": value }));
    schema.insert("additionalProperties", json!(false));
    schema.insert("minProperties", json!(required.len() + 1));
    json!(schema)
}

fn audience() -> Value {
    let expression = text("FHIRPath on one resource");
    let rule = json!({ "$ref": "#/$defs/rule" });
    let rules = json!({ "type": "array", "items": rule, "minItems": 1 });
    let one_or_rules = json!({ "anyOf": [rule, rules] });
    let latest = typed(&expression, &[("by", expression.clone()), ("where", expression.clone())], &["by", "where"]);
    let rule = json!({ "anyOf": [
        object(&[("all", rules.clone())], &["all"]),
        object(&[("any", rules)], &["any"]),
        object(&[("none", one_or_rules.clone())], &["none"]),
        object(&[("at_least", object(&[("count", number(1)), ("of", one_or_rules)], &["count", "of"]))], &["at_least"]),
        object(&[("latest", latest)], &["latest"]),
        typed(&expression, &[], &[]),
    ] });
    let forms = audience::FORMS.map(|(name, _)| name);
    let picks = audience::PICKS.map(|(name, _)| name);
    let released = typed(&expression, &[("pick", one_of(&picks)), ("as", one_of(&forms))], &[]);
    let times = json!({ "anyOf": [{ "const": "exact" }, object(&[("spread", text("a length of time, as 3d"))], &["spread"])] });
    let parts = [
        ("audience", text("the name, as the file's")),
        ("title", text("for people")),
        ("summary", text("for people")),
        ("owner", text("who answers for it")),
        ("communication", one_of(&["treatment", "operations", "marketing"])),
        ("remuneration", one_of(&["none", "cost", "financial"])),
        ("recipient", text("a key of the policy's recipients")),
        ("channels", json!({ "type": "array", "items": { "enum": [Channel::Email.name(), Channel::Sms.name()] }, "minItems": 1 })),
        ("action", text("a fixed link, no patient data")),
        ("starts", text("a day or an instant")),
        ("ends", text("a day or an instant")),
        ("times", times),
        ("outcome", typed(&expression, &[], &[])),
        ("holdout", object(&[("share", text("as 10%")), ("wait", text("a length of time"))], &["share", "wait"])),
        ("members", json!({ "$ref": "#/$defs/rule" })),
        ("release", map_of(&released)),
    ];
    assert_eq!(parts.each_ref().map(|(name, _)| *name), audience::KEYS, "the reader knows other keys than the schema");
    whole(
        "mappings/audiences/NAME.yaml",
        &object(&parts, &["audience", "title", "communication", "recipient", "members"]),
        &[("rule", rule)],
    )
}

fn policy() -> Value {
    let references = list_of(&text("as Organization/1"));
    let identifiers = list_of(&object(&[("system", text("a URI")), ("value", text("the value"))], &["system", "value"]));
    let span = text("a length of time, as 30d");
    let labels = list_of(&text("a security label, as HIV"));
    let identify = json!({ "anyOf": [{ "const": "pseudonym" }, object(&[("identifier", text("an identifier system"))], &["identifier"])] });
    let recipient = object(
        &[
            ("name", text("whom disclosures name")),
            ("address", text("for the accounting of disclosures")),
            ("references", references.clone()),
            ("identifiers", identifiers.clone()),
            ("agreement", object(&[("kind", text("as business-associate")), ("until", text("a day"))], &["kind"])),
            ("identify", identify),
            ("may_know", list_of(&one_of(&["deceased", "merged"]))),
        ],
        &["name"],
    );
    let basis = one_of(&["no-denial", "permit", "authorization"]);
    let hours = json!({ "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2 });
    let channel = object(&[("permission", one_of(&["contact-on-file", "permit", "written-permit"])), ("hours", hours)], &[]);
    let scopes = consent::Scope::CODES.map(|(name, _)| name);
    let parts = [
        (
            "organisation",
            object(
                &[("name", text("the discloser")), ("zone", text("of its days")), ("references", references), ("identifiers", identifiers)],
                &[],
            ),
        ),
        ("recipients", map_of(&recipient)),
        (
            "consents",
            object(
                &[
                    ("speak", json!({ "type": "array", "items": one_of(&scopes), "minItems": 1 })),
                    ("conflict", one_of(&["deny-overrides", "most-recent"])),
                    ("base_deny", one_of(&["literal", "own-purposes"])),
                ],
                &[],
            ),
        ),
        ("bases", object(&[("treatment", basis.clone()), ("operations", basis.clone()), ("marketing", basis)], &[])),
        ("authorization", one_of(&["complete", "purpose-only"])),
        (
            "signers",
            list_of(&object(&[("relationship", text("a code")), ("authority", text("what gives it"))], &["relationship", "authority"])),
        ),
        ("channels", object(&[("email", channel.clone()), ("sms", channel)], &[])),
        (
            "sensitive",
            object(
                &[
                    ("valuesets", list_of(&text("a name, * for any text"))),
                    ("withhold", json!({ "anyOf": [{ "const": "all" }, labels] })),
                    ("unresolved", one_of(&["withhold", "ignore"])),
                    ("places", list_of(&text("as Location/1"))),
                    ("sources", map_of(&labels)),
                ],
                &[],
            ),
        ),
        ("minors", object(&[("majority", number(1)), ("by_state", map_of(&number(1)))], &[])),
        ("lease", span.clone()),
        ("times", object(&[("spread", span.clone())], &[])),
        ("feed", object(&[("stale_after", span.clone()), ("on_stale", one_of(&["lease", "exit-now"]))], &[])),
        ("hold_after", span),
        ("counts", object(&[("least", number(0)), ("round", number(1))], &[])),
        ("blast_radius", object(&[("share", text("as 10%")), ("least", number(0))], &[])),
    ];
    assert_eq!(parts.each_ref().map(|(name, _)| *name), consent::POLICY_KEYS, "the reader knows other keys than the schema");
    whole("mappings/policy.yaml", &object(&parts, &[]), &[])
}

fn stories() -> Value {
    let line = text("as 2026-06-01T10:00Z ann denies TREAT");
    let resource = json!({ "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": { "type": "object" } });
    let parts = [
        ("story", text("its name")),
        ("people", json!({ "type": "object", "minProperties": 1, "additionalProperties": { "type": "object" } })),
        ("given", list_of(&json!({ "anyOf": [line, resource] }))),
        ("then", list_of(&text("as 2026-03-01T06:00Z ann entered"))),
        ("renewals", json!({ "type": "boolean" })),
        ("until", text("an instant")),
    ];
    assert_eq!(parts.each_ref().map(|(name, _)| *name), story::KEYS, "the reader knows other keys than the schema");
    whole("mappings/audiences/NAME.test.yaml", &list_of(&object(&parts, &["story", "people", "then"])), &[])
}

/// Any value may come from the environment.
fn or_variable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": r"\$\{.+\}" }] })
}

fn configuration_keys(keys: &[Key]) -> Value {
    let properties: Vec<(&str, Value)> = keys.iter().map(|key| (key.name, configuration_key(key))).collect();
    object(&properties, &[])
}

fn configuration_key(key: &Key) -> Value {
    match &key.shape {
        Shape::Text | Shape::Path | Shape::Address | Shape::Span | Shape::Bytes => text(key.about),
        Shape::Paths => list_of(&text("a path")),
        Shape::Texts => list_of(&text("a text")),
        Shape::Count { least, .. } => or_variable(&number(*least)),
        Shape::OneOf(names) => or_variable(&one_of(names)),
        Shape::Map(keys) => configuration_keys(keys),
        Shape::NoneOr(keys) => json!({ "anyOf": [{ "const": "none" }, configuration_keys(keys)] }),
        Shape::Named(keys) => map_of(&configuration_keys(keys)),
    }
}

fn configuration() -> Value {
    whole("footbridge.yaml", &configuration_keys(KEYS), &[])
}

fn problem() -> Value {
    let parts = [
        ("severity", one_of(&["error", "warning"])),
        ("file", text("below the mappings folder")),
        ("line", number(0)),
        ("column", number(0)),
        ("what", text("what is wrong")),
        ("hint", text("a way out")),
    ];
    whole("A line of check --json", &object(&parts, &["severity", "file", "line", "column", "what"]), &[])
}

fn outcome() -> Value {
    let parts = [
        ("audience", text("its name")),
        ("story", text("its name")),
        ("passed", json!({ "type": "boolean" })),
        ("difference", text("what was expected beside what happened")),
    ];
    whole("A line of test --json", &object(&parts, &["audience", "story", "passed"]), &[])
}

/// Two spaces a level, keys in order: a difference is read line by line.
fn pretty(value: &Value, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent + 1);
    if let Some(members) = value.as_object().filter(|members| !members.is_empty()) {
        let members: BTreeMap<&str, &Value> = members.iter().collect();
        let last = members.len() - 1;
        out.push_str("{\n");
        for (n, (key, member)) in members.iter().enumerate() {
            write!(out, "{pad}{}: ", json!(key)).expect("a text");
            pretty(member, indent + 1, out);
            out.push_str(if n == last { "\n" } else { ",\n" });
        }
        write!(out, "{}}}", "  ".repeat(indent)).expect("a text");
    } else if let Some(items) = value.as_array() {
        for (n, item) in items.iter().enumerate() {
            out.push_str(if n == 0 { "[" } else { ", " });
            pretty(item, indent, out);
        }
        out.push_str(if items.is_empty() { "[]" } else { "]" });
    } else {
        write!(out, "{value}").expect("a text");
    }
}

fn all() -> [(&'static str, Value); 7] {
    [
        ("footbridge", configuration()),
        ("event", event()),
        ("audience", audience()),
        ("policy", policy()),
        ("stories", stories()),
        ("check-line", problem()),
        ("test-line", outcome()),
    ]
}

#[test]
fn the_schemas_are_those_of_the_program() {
    for (name, schema) in all() {
        let mut made = String::new();
        pretty(&schema, 0, &mut made);
        made.push('\n');
        let path = folder("schemas").join(format!("{name}.schema.json"));
        if std::env::var_os("FOOTBRIDGE_REWRITE").is_some() {
            std::fs::create_dir_all(folder("schemas")).expect("a folder");
            std::fs::write(&path, &made).expect("a schema is written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == made, "{} is another; run this test with FOOTBRIDGE_REWRITE=1 and read the difference", path.display());
    }
}

/// What is looked at: JSON has types; YAML's scalars are texts, whatever they look like.
enum Seen<'a> {
    Map(Vec<(&'a str, Seen<'a>)>),
    List(Vec<Seen<'a>>),
    Text(&'a str),
    Scalar(&'a str),
    Number(u64),
    Boolean,
    Other,
}

fn of_json(value: &Value) -> Seen<'_> {
    if let Some(members) = value.as_object() {
        return Seen::Map(members.iter().map(|(key, value)| (key, of_json(value))).collect());
    }
    if let Some(items) = value.as_array() {
        return Seen::List(items.iter().map(of_json).collect());
    }
    match (value.as_str(), value.as_u64(), value.as_bool()) {
        (Some(text), _, _) => Seen::Text(text),
        (_, Some(number), _) => Seen::Number(number),
        (_, _, Some(_)) => Seen::Boolean,
        _ => Seen::Other,
    }
}

fn of_yaml(document: &Document) -> Seen<'_> {
    match &document.content {
        Content::Map(entries) => Seen::Map(entries.iter().map(|(key, value)| (key.name.as_str(), of_yaml(value))).collect()),
        Content::List(items) => Seen::List(items.iter().map(of_yaml).collect()),
        Content::Text { text, .. } => Seen::Scalar(text),
        Content::Null => Seen::Other,
    }
}

/// Whether `seen` is as `schema` says; the first thing that is not, with its path.
fn check(root: &Value, schema: &Value, seen: &Seen, path: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{path}: {what}"));
    if let Some(reference) = schema.get("$ref").and_then(|v| v.as_str()) {
        let name = reference.strip_prefix("#/$defs/").expect("a reference into $defs");
        return check(root, root.get("$defs").and_then(|defs| defs.get(name)).expect("it is defined"), seen, path);
    }
    if let Some(choices) = schema.get("anyOf").and_then(|v| v.as_array()) {
        let found = choices.iter().any(|choice| check(root, choice, seen, path).is_ok());
        return if found { Ok(()) } else { wrong("fits none of the choices") };
    }
    let as_text = match seen {
        Seen::Text(text) | Seen::Scalar(text) => Some(*text),
        _ => None,
    };
    if let Some(choices) = schema.get("enum").and_then(|v| v.as_array()) {
        let found = choices.iter().any(|choice| choice.as_str() == as_text && as_text.is_some());
        return if found { Ok(()) } else { wrong("is none of the enum") };
    }
    if let Some(constant) = schema.get("const").and_then(|v| v.as_str()) {
        return if as_text == Some(constant) { Ok(()) } else { wrong("is not the const") };
    }
    let number_of = |key: &str| schema.get(key).and_then(JsonValueTrait::as_u64);
    match (schema.get("type").and_then(|v| v.as_str()).expect("a type"), seen) {
        ("string", Seen::Text(_) | Seen::Scalar(_)) => Ok(()),
        ("boolean", Seen::Boolean | Seen::Scalar("true" | "false")) => Ok(()),
        ("integer", Seen::Number(number)) if *number >= number_of("minimum").unwrap_or(0) => Ok(()),
        ("integer", Seen::Scalar(text)) if text.parse().is_ok_and(|n: u64| n >= number_of("minimum").unwrap_or(0)) => Ok(()),
        ("array", Seen::List(items)) => {
            let (least, most) = (number_of("minItems").unwrap_or(0), number_of("maxItems").unwrap_or(u64::MAX));
            if !(least..=most).contains(&(items.len() as u64)) {
                return wrong("has too many or too few items");
            }
            let schema = schema.get("items").expect("items");
            items.iter().enumerate().try_for_each(|(n, item)| check(root, schema, item, &format!("{path}[{n}]")))
        }
        ("object", Seen::Map(members)) => {
            let (least, most) = (number_of("minProperties").unwrap_or(0), number_of("maxProperties").unwrap_or(u64::MAX));
            if !(least..=most).contains(&(members.len() as u64)) {
                return wrong("has too many or too few keys");
            }
            let required = schema.get("required").and_then(|v| v.as_array());
            for key in required.into_iter().flat_map(|keys| keys.iter()).filter_map(|key| key.as_str()) {
                if !members.iter().any(|(name, _)| *name == key) {
                    return wrong(&format!("has no `{key}`"));
                }
            }
            for (name, member) in members {
                let named = schema.get("properties").and_then(|properties| properties.get(name));
                let is_type = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
                let pattern = schema.get("patternProperties").and_then(|p| p.get("^[A-Z][A-Za-z0-9]*$")).filter(|_| is_type);
                let rest = schema.get("additionalProperties").filter(JsonValueTrait::is_object);
                let open = schema.get("additionalProperties").is_none();
                match named.or(pattern).or(rest) {
                    Some(schema) => check(root, schema, member, &format!("{path}.{name}"))?,
                    None if open => {}
                    None => return wrong(&format!("`{name}` is not a key of it")),
                }
            }
            Ok(())
        }
        (kind, _) => wrong(&format!("is no {kind}")),
    }
}

fn fits(schema: &Value, seen: &Seen) -> Result<(), String> {
    check(schema, schema, seen, "")
}

fn document(text: &str) -> Document {
    let mut problems = Vec::new();
    let document = yaml::read("a.yaml", text, &mut problems).expect("YAML");
    assert!(problems.is_empty(), "{problems:?}");
    document
}

#[test]
fn the_shipped_mappings_fit_their_schemas() {
    let (audience, policy, stories) = (audience(), policy(), stories());
    let mut count = 0;
    for entry in std::fs::read_dir(folder("mappings/audiences")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let schema = if path.to_string_lossy().ends_with(".test.yaml") { &stories } else { &audience };
        fits(schema, &of_yaml(&document(&text))).unwrap_or_else(|why| panic!("{}{why}", path.display()));
        count += 1;
    }
    assert!(count >= 16, "{count}");
    let text = std::fs::read_to_string(folder("mappings/policy.yaml")).expect("a text");
    fits(&policy, &of_yaml(&document(&text))).expect("the policy fits");
    let text = std::fs::read_to_string(folder("examples/footbridge.yaml")).expect("a text");
    fits(&configuration(), &of_yaml(&document(&text))).expect("the example fits");
}

#[test]
fn what_is_wrong_does_not_fit() {
    let good = "{ audience: a, title: A, communication: treatment, recipient: crm, members: { Patient: gender = 'female' } }";
    let audience = audience();
    assert_eq!(fits(&audience, &of_yaml(&document(good))), Ok(()));
    for (from, to, why) in [
        ("title: A, ", "", ": has no `title`"),
        ("title: A", "titel: A, title: A", ": `titel` is not a key of it"),
        ("treatment", "spam", ".communication: is none of the enum"),
        ("Patient:", "patient:", ".members: fits none of the choices"),
        ("{ Patient: gender = 'female' }", "{ all: [] }", ".members: fits none of the choices"),
        ("title: A", "title: [A]", ".title: is no string"),
    ] {
        assert_eq!(fits(&audience, &of_yaml(&document(&good.replace(from, to)))), Err(why.to_owned()));
    }
}

fn printed(args: &[&str], input: Option<&Path>) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    let out = command.args(args).args(input).output().expect("the program runs");
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    text.lines().map(|line| sonic_rs::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn what_the_program_prints_fits() {
    let mappings = folder("mappings");
    let mappings = mappings.to_str().expect("a path in UTF-8");
    let mut people = String::new();
    for n in 0..20 {
        let gone = if n % 3 == 0 { r#","deceasedDateTime":"2026-04-01""# } else { "" };
        writeln!(
            people,
            r#"{{"resourceType":"Patient","id":"p{n}","gender":"female","birthDate":"1976-03-{:02}","communication":[{{"preferred":true,"language":{{"coding":[{{"code":"es"}}]}}}}],"telecom":[{{"system":"email","value":"p{n}@example.org"}}]{gone}}}"#,
            n + 1
        )
        .expect("a text");
    }
    let file = std::env::temp_dir().join(format!("footbridge-schemas-{}.ndjson", std::process::id()));
    std::fs::write(&file, people).expect("a temporary file");
    let event = event();
    let period = ["--from", "2026-02-01T00:00:00Z", "--until", "2026-06-01T00:00:00Z"];
    for reveal in [&[][..], &["--reveal"]] {
        let args = [&["simulate", "--mappings", mappings], &period[..], reveal].concat();
        let events = printed(&args, Some(&file));
        for status in ["entered", "updated", "exited"] {
            let is = |value: &&Value| value.get("data").and_then(|data| data.get("status")).and_then(|v| v.as_str()) == Some(status);
            assert!(events.iter().find(is).is_some(), "no event is {status}");
        }
        for value in &events {
            fits(&event, &of_json(value)).unwrap_or_else(|why| panic!("{why}: {value}"));
        }
    }
    let _ = std::fs::remove_file(&file);
    let lines = printed(&["test", "--json", "--mappings", mappings], None);
    assert!(!lines.is_empty());
    lines.iter().for_each(|line| fits(&outcome(), &of_json(line)).expect("a line of test --json"));
    // A folder without a policy has something to say.
    let lines = printed(&["check", "--json", "--mappings", folder("docs").to_str().expect("UTF-8")], None);
    assert!(!lines.is_empty());
    lines.iter().for_each(|line| fits(&problem(), &of_json(line)).expect("a line of check --json"));
}
