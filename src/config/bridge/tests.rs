use super::keys::{KEYS, Key, Shape};
use super::*;

/// `OPEN` is set to an address, `WORD` to a word.
fn told(text: &str) -> (Option<Config>, Vec<String>) {
    let env = |name: &str| match name {
        "OPEN" => Some("0.0.0.0:8686".to_owned()),
        "WORD" => Some("secret".to_owned()),
        _ => None,
    };
    let Reading { config, problems, .. } = read("f.yaml", text, Path::new("/etc/bridge"), &env);
    (config, problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn right(text: &str) -> Config {
    let (config, problems) = told(text);
    assert_eq!(problems, Vec::<String>::new());
    config.expect("there is no problem")
}

#[test]
fn an_empty_file_is_the_bridge_without_a_file() {
    let config = right("");
    assert_eq!(config.address, "127.0.0.1:8686".parse().expect("an address"));
    assert_eq!((config.tls, config.token_file, config.mappings), (Tls::Unsaid, None, None));
    assert_eq!(config.data, Path::new("/etc/bridge/footbridge-data"));
    let [push] = &config.sources[..] else { panic!("{:?}", config.sources) };
    assert_eq!((push.source.name.as_str(), push.source.namespace.as_str()), ("push", ""));
    assert_eq!((&push.kind, push.baseline, push.proves), (&Kind::Push, Baseline::Marked, false));
    assert_eq!(Config::default().data, Path::new("footbridge-data"));
}

/// What the table says and what the rooms take without a file are the same.
#[test]
fn the_defaults_of_the_table_are_those_of_the_rooms() {
    let config = right("");
    let push = PushSettings { sources: Some(vec!["push".into()]), ..PushSettings::default() };
    assert_eq!(format!("{:?}", config.push), format!("{push:?}"));
    assert_eq!(format!("{:?}", config.log), format!("{:?}", embedded::Settings::default()));
}

#[test]
fn every_default_of_the_table_can_be_read() {
    fn walk(keys: &'static [Key], path: &str, count: &mut usize) {
        let none = |_: &str| None;
        let node = tree::read(None, keys, &Place::new("t", 1, 1), &none, &mut Vec::new());
        for key in keys {
            let path = format!("{path}.{}", key.name);
            assert!(key.default.is_empty() || node.get(key.name).is_some(), "{path}: {}", key.default);
            assert!(key.about.ends_with('.'), "{path}: {}", key.about);
            *count += 1;
            if let Shape::Map(inner) | Shape::NoneOr(inner) | Shape::Named(inner) = key.shape {
                walk(inner, &path, count);
            }
        }
    }
    let mut count = 0;
    walk(KEYS, "", &mut count);
    assert!(count > 40, "{count}");
}

#[test]
fn each_value_goes_where_it_belongs() {
    let config = right(
        "data: /srv/data\nmappings: m\nname: urn:riverside\npartitions: 8\nworkers: 2\n\
         listen: { address: '${OPEN}', token_file: token, tls: { certificate: c.pem, key: k.pem }, body: 2MiB, head_within: 1m }\n\
         sources:\n  ehr: { namespace: epic, versions: id, freshness: proved }\n\
         \x20 history: { kind: files, namespace: epic, versions: id, files: [a.ndjson, /b.gz] }\n\
         \x20 drop: { kind: watch, folder: in, baseline: complete-pass, endings: any, every: 5s }\n\
         landing: { queue: 1MiB, keep: all }\nretention: { quarantine: 9d }\nlimits: { members: 10, clock_skew: 2m }\nlines: { form: json, level: debug }\n",
    );
    assert_eq!((config.data.as_path(), config.mappings.as_deref()), (Path::new("/srv/data"), Some(Path::new("/etc/bridge/m"))));
    assert_eq!((config.name.as_str(), config.workers, config.log.partitions), ("urn:riverside", 2, 8));
    assert_eq!(config.address, "0.0.0.0:8686".parse().expect("an address"));
    let file = |name: &str| Path::new("/etc/bridge").join(name);
    assert_eq!(config.tls, Tls::Files { certificate: file("c.pem"), key: file("k.pem") });
    assert_eq!(config.token_file, Some(file("token")));
    assert_eq!((config.push.body_bytes_max, config.push.head_within), (2 << 20, Duration::from_secs(60)));
    assert_eq!(config.push.sources, Some(vec!["ehr".to_owned()]));
    let [ehr, history, drop] = &config.sources[..] else { panic!("{:?}", config.sources) };
    assert_eq!((ehr.source.namespace.as_str(), ehr.source.versions, ehr.proves), ("epic", Versions::Id, true));
    assert_eq!((&history.kind, history.baseline), (&Kind::Files(vec![file("a.ndjson"), "/b.gz".into()]), Baseline::CompletePass));
    let watch = Kind::Watch { folder: file("in"), any_ending: true, every: Duration::from_secs(5) };
    assert_eq!((&drop.kind, drop.baseline), (&watch, Baseline::CompletePass));
    assert_eq!((config.log.queue_bytes_max, config.log.quarantine_for, config.keep), (1 << 20, Span::days(9), Keep::All));
    assert_eq!((config.members_max, config.clock_skew_max), (10, Span::minutes(2)));
    assert_eq!((config.form, config.level), (Form::Json, tracing::Level::DEBUG));
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let (config, problems) = told("adress: 1\nworkers: 0\nlisten: { adress: x, drain: soon }\nsources:\n  ehr: { kind: pull }\n  B: {}\n");
    assert!(config.is_none());
    assert_eq!(
        problems,
        [
            "f.yaml:1:1  unknown key `adress`\n  hint: known keys here: data, mappings, name, partitions, workers, kafka, listen, sources, landing, retention, limits, lines",
            "f.yaml:2:10  expected a whole number from 1 to 64",
            "f.yaml:3:11  unknown key `adress`\n  hint: did you mean `address`?",
            "f.yaml:3:29  expected a length of time of a second or more, as 10s, 15m, 12h, 3d or 2w",
            "f.yaml:5:16  expected one of push, files, watch, kafka\n  hint: did you mean `push`?",
            "f.yaml:6:3  `B` cannot be the name of a source\n  hint: use lower-case letters, digits and dashes, at most 63, and none of clock, owners, shard, preferences",
        ]
    );
}

#[test]
fn what_is_wrong_alone_is_told_with_a_way_out() {
    for (text, expected) in [
        ("name: ${NONE}", "1:7  the environment has no variable `NONE`"),
        ("name: ${NONE", "1:7  `${` without its `}`"),
        // The text of a variable may be a secret that went astray.
        ("workers: ${WORD}", "1:10  expected a whole number from 1 to 64"),
        ("lines: { form: jso }", "did you mean `json`?"),
        ("listen: { address: '${OPEN}', tls: none }", "1:21  other machines can reach this address, and `token_file` is not set"),
        ("listen: { address: '${OPEN}', token_file: t }", "1:21  other machines can reach this address, and `tls` is not set"),
        ("listen: { tls: { key: k } }", "1:16  `tls` needs `certificate` and `key`"),
        ("listen: { tls: on }", "expected `none` or a map"),
        ("sources: {}", "no source is named"),
        ("sources: { clock: {} }", "`clock` cannot be the name of a source"),
        ("sources: { a: { kind: watch } }", "a source of kind `watch` needs `folder`"),
        ("sources: { a: { kind: files } }", "a source of kind `files` needs `files`"),
        ("sources: { a: { folder: x } }", "`folder` stands without `kind: watch`"),
        ("sources: { a: { baseline: complete-pass } }", "nobody but the sender knows when a push is complete"),
        ("sources: { a: {}, b: { versions: id } }", "`b` and `a` share a namespace and order its versions differently"),
        ("sources: { a: { kind: kafka, topics: [t] } }", "a source of kind `kafka` needs the section `kafka` with its `bootstrap`"),
        ("kafka: { bootstrap: b }\nsources: { a: { kind: kafka } }", "a source of kind `kafka` needs `topics`"),
        ("sources: { a: { topics: [t] } }", "`topics` stands without `kind: kafka`"),
        ("kafka: { bootstrap: b }\nsources: { a: { kind: kafka, topics: [t, t] } }", "the topic `t` is named twice"),
        (
            "kafka: { bootstrap: b }\nsources:\n  a: { kind: kafka, topics: [t] }\n  b: { kind: kafka, topics: [t] }",
            "the topic `t` is named twice",
        ),
        ("kafka: { bootstrap: b, prefix: r. }\nsources: { a: { kind: kafka, topics: [r.landing] } }", "`r.landing` is the bridge's own"),
        ("kafka: { bootstrap: b }\nsources: { a: { kind: kafka, topics: [audience.x] } }", "`audience.x` is the bridge's own"),
        ("kafka: { bootstrap: b }\nsources: { a: { kind: kafka, topics: [^ehr] } }", "`^ehr` cannot be the name of a topic"),
        (
            "kafka: { bootstrap: b }\nsources: { a: { kind: kafka, topics: [t], baseline: complete-pass } }",
            "nobody but who writes to a topic knows",
        ),
        ("landing: { reserve: 5 }", "expected a size of a byte or more"),
    ] {
        let (config, problems) = told(text);
        assert!(config.is_none(), "{text}");
        assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
        assert!(!problems[0].contains("secret"), "{problems:?}");
    }
}

#[test]
fn topics_of_others_are_a_source() {
    let config = right("kafka: { bootstrap: b, prefix: r. }\nsources: { ehr: { kind: kafka, topics: [ehr.fhir, landing] } }");
    let [ehr] = &config.sources[..] else { panic!("{:?}", config.sources) };
    assert_eq!((&ehr.kind, ehr.baseline), (&Kind::Kafka(vec!["ehr.fhir".into(), "landing".into()]), Baseline::Marked));
    assert_eq!(config.push.sources, Some(Vec::new()));
}

#[test]
fn a_proxy_may_end_tls() {
    let config = right("listen: { address: '${OPEN}', tls: none, token_file: /t }");
    assert_eq!((config.tls, config.token_file.as_deref()), (Tls::None, Some(Path::new("/t"))));
}
