//! `footbridge.yaml`: what an operator decides about a bridge.
//!
//! In: one file's text, the environment. Out: `Config`, or every problem at once, each with its place and a way out.
//! Never here: a file that the configuration names being opened, or what the business decides: that stands in the mappings.

pub mod keys;
mod tree;

use super::render::{self, Sources};
use super::{files, yaml};
use crate::log::{embedded, kafka};
use crate::observe::Form;
use crate::source::Keep;
use crate::source::intake::Source;
use crate::source::push::PushSettings;
use footbridge_core::fhir::Versions;
use footbridge_core::problem::{Place, Problem};
use footbridge_core::time::Span;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tree::{Node, Value};

/// There is no error in it, but what it names may not be there.
#[derive(Debug, Clone)]
pub struct Config {
    pub data: PathBuf,
    pub mappings: Option<PathBuf>,
    /// The CloudEvents `source`.
    pub name: String,
    pub workers: usize,
    pub address: SocketAddr,
    pub tls: Tls,
    pub token_file: Option<PathBuf>,
    /// Without its token and TLS.
    pub push: PushSettings,
    pub sources: Vec<SourceConfig>,
    pub keep: Keep,
    /// The count of partitions with it.
    pub log: embedded::Settings,
    pub kafka: Option<KafkaConfig>,
    pub members_max: usize,
    pub clock_skew_max: Span,
    pub form: Form,
    pub level: tracing::Level,
}

/// The log is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Without its properties and the count of partitions.
    pub settings: kafka::Settings,
    pub properties: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Nothing is said: right for a loopback address only.
    Unsaid,
    /// There is none on purpose.
    None,
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

#[derive(Debug, Clone)]
pub struct SourceConfig {
    pub source: Source,
    pub kind: Kind,
    pub baseline: Baseline,
    /// It proves with watermarks that its consents are complete.
    pub proves: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Push,
    Files(Vec<PathBuf>),
    Watch {
        folder: PathBuf,
        any_ending: bool,
        every: Duration,
    },
    /// Topics of the log's own brokers.
    Kafka(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    Marked,
    CompletePass,
    Start,
}

/// The outcome of reading: problems sorted by place, with the text to show them in.
pub struct Reading {
    /// `None` where a problem is an error.
    pub config: Option<Config>,
    pub problems: Vec<Problem>,
    pub sources: Sources,
}

pub fn read_file(file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Reading {
    let name = file.display().to_string();
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    match files::read_bounded(file, yaml::BYTES_MAX as u64) {
        Ok(text) => read(&name, &text, &folder, env),
        Err(why) => Reading { config: None, problems: vec![Problem::error(Place::new(name, 0, 0), why)], sources: Sources::new() },
    }
}

/// `folder`: what relative paths in the file begin at.
pub fn read(name: &str, text: &str, folder: &Path, env: &dyn Fn(&str) -> Option<String>) -> Reading {
    let mut problems = Vec::new();
    let config = yaml::read(name, text, &mut problems).and_then(|document| {
        let root = tree::read(Some(&document), keys::KEYS, &document.place, env, &mut problems);
        build(&root, &document.place, folder, &mut problems)
    });
    render::sort(&mut problems);
    let config = config.filter(|_| !problems.iter().any(Problem::is_error));
    Reading { config, problems, sources: Sources::from([(name.to_owned(), text.to_owned())]) }
}

impl Default for Config {
    /// As an empty file, with paths that begin where the process stands.
    fn default() -> Config {
        let reading = read("footbridge.yaml", "", Path::new(""), &|_| None);
        reading.config.expect("a test reads an empty file")
    }
}

/// `None` where a value could not be read: its problem is told already.
fn build(root: &Node, at: &Place, folder: &Path, problems: &mut Vec<Problem>) -> Option<Config> {
    let kafka = kafka(root, at, folder, problems);
    let sources = sources(root, folder, kafka.as_ref().map(|kafka| kafka.as_ref().map(|kafka| &kafka.settings)), problems);
    let (listen, landing, retention) = (root.map("listen")?, root.map("landing")?, root.map("retention")?);
    let (limits, lines) = (root.map("limits")?, root.map("lines")?);
    let kafka = kafka?;
    let pushing = sources.iter().filter(|source| source.kind == Kind::Push).map(|source| source.source.name.clone()).collect();
    let config = Config {
        data: folder.join(root.text("data")?),
        mappings: root.text("mappings").map(|path| folder.join(path)),
        name: root.text("name")?.to_owned(),
        workers: whole(root.count("workers")?),
        address: listen.address("address")?,
        tls: tls(listen, folder, problems)?,
        token_file: listen.text("token_file").map(|path| folder.join(path)),
        push: PushSettings {
            token: None,
            body_bytes_max: whole(listen.count("body")?),
            line_bytes_max: whole(listen.count("line")?),
            stream_bytes_max: listen.count("stream")?,
            connections_max: whole(listen.count("connections")?),
            handshake_within: duration(listen.span("handshake_within")?),
            head_within: duration(listen.span("head_within")?),
            body_idle: duration(listen.span("body_idle")?),
            body_bytes_per_second: listen.count("body_rate")?,
            busy_wait: duration(listen.span("busy_wait")?),
            drain: duration(listen.span("drain")?),
            sources: Some(pushing),
            ..PushSettings::default()
        },
        keep: if landing.text("keep")? == "all" { Keep::All } else { Keep::Read },
        log: embedded::Settings {
            partitions: root.count("partitions").and_then(|count| u16::try_from(count).ok())?,
            queue_bytes_max: whole(landing.count("queue")?),
            reserve_bytes: landing.count("reserve")?,
            superseded_for: retention.span("events")?,
            disclosures_for: retention.span("disclosures")?,
            quarantine_for: retention.span("quarantine")?,
            ..embedded::Settings::default()
        },
        kafka,
        members_max: whole(limits.count("members")?),
        clock_skew_max: limits.span("clock_skew")?,
        form: if lines.text("form")? == "json" { Form::Json } else { Form::Plain },
        level: match lines.text("level")? {
            "error" => tracing::Level::ERROR,
            "warn" => tracing::Level::WARN,
            "info" => tracing::Level::INFO,
            _ => tracing::Level::DEBUG,
        },
        sources,
    };
    let place = listen.get("address").map_or(at, |found| &found.place);
    problems.extend(config.open_to_others().into_iter().map(|(what, hint)| Problem::error(place.clone(), what).hint(hint)));
    Some(config)
}

fn kafka(root: &Node, at: &Place, folder: &Path, problems: &mut Vec<Problem>) -> Option<Option<KafkaConfig>> {
    let node = root.map("kafka")?;
    let Some(bootstrap) = node.text("bootstrap").map(str::to_owned) else {
        // A map that is absent has the file's own place.
        let place = root.get("kafka").map(|found| found.place.clone()).filter(|place| place != at);
        problems.extend(place.map(|place| {
            Problem::error(place, "`kafka` has no `bootstrap`").hint("name brokers to begin with as `host:port`, or leave `kafka` out")
        }));
        return Some(None);
    };
    let (landing, retention) = (root.map("landing")?, root.map("retention")?);
    let settings = kafka::Settings {
        bootstrap,
        prefix: node.text("prefix").unwrap_or_default().to_owned(),
        group: node.text("group")?.to_owned(),
        instance: node.text("instance")?.to_owned(),
        replication: node.count("replication").and_then(|count| u16::try_from(count).ok())?,
        queue_bytes_max: whole(landing.count("queue")?),
        superseded_for: retention.span("events")?,
        disclosures_for: retention.span("disclosures")?,
        quarantine_for: retention.span("quarantine")?,
        ..kafka::Settings::default()
    };
    Some(Some(KafkaConfig { settings, properties: node.text("properties").map(|path| folder.join(path)) }))
}

impl KafkaConfig {
    /// With the client properties of its file, if it names one.
    pub fn read(self) -> anyhow::Result<kafka::Settings> {
        let KafkaConfig { mut settings, properties } = self;
        let Some(file) = properties else { return Ok(settings) };
        let name = file.display();
        let text = files::read_bounded(&file, yaml::BYTES_MAX as u64).map_err(|why| anyhow::anyhow!("{name}: {why}"))?;
        for (number, line) in (1..).zip(text.lines()).map(|(number, line)| (number, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
                anyhow::bail!("{name}:{number}: expected `name=value`");
            };
            if kafka::OURS.contains(&key) {
                anyhow::bail!("{name}:{number}: `{key}` is set by Footbridge: take the line out");
            }
            settings.properties.push((key.to_owned(), value.to_owned()));
        }
        Ok(settings)
    }
}

impl Config {
    /// What an address needs that other machines can reach, with a hint each.
    pub fn open_to_others(&self) -> Vec<(&'static str, &'static str)> {
        let mut missing = Vec::new();
        if self.address.ip().is_loopback() {
            return missing;
        }
        if self.token_file.is_none() {
            let hint = "name a file with a token, or listen on a loopback address";
            missing.push(("other machines can reach this address, and `token_file` is not set", hint));
        }
        if self.tls == Tls::Unsaid {
            let hint = "name `certificate` and `key` in the configuration file, or write `tls: none` if a proxy before the bridge ends TLS";
            missing.push(("other machines can reach this address, and `tls` is not set", hint));
        }
        missing
    }
}

fn tls(listen: &Node, folder: &Path, problems: &mut Vec<Problem>) -> Option<Tls> {
    let Some(found) = listen.get("tls") else { return Some(Tls::Unsaid) };
    let Value::Map(tls) = &found.value else { return Some(Tls::None) };
    match (tls.text("certificate"), tls.text("key")) {
        (Some(certificate), Some(key)) => Some(Tls::Files { certificate: folder.join(certificate), key: folder.join(key) }),
        _ => {
            problems.push(Problem::error(found.place.clone(), "`tls` needs `certificate` and `key`").hint("or write `tls: none`"));
            None
        }
    }
}

/// Names that landing uses for records of the bridge itself.
const TAKEN: [&str; 4] = ["clock", "owners", "shard", "preferences"];

/// `kafka`: nothing where it cannot be told whether there is one.
fn sources(root: &Node, folder: &Path, kafka: Option<Option<&kafka::Settings>>, problems: &mut Vec<Problem>) -> Vec<SourceConfig> {
    let Some(found) = root.get("sources") else {
        let source = Source { name: "push".into(), namespace: String::new(), versions: Versions::LastUpdated };
        return vec![SourceConfig { source, kind: Kind::Push, baseline: Baseline::Marked, proves: false }];
    };
    let Value::Named(named) = &found.value else { return Vec::new() };
    if named.is_empty() {
        problems.push(Problem::error(found.place.clone(), "no source is named").hint("leave `sources` out for the one named `push`"));
    }
    let mut sources: Vec<SourceConfig> = Vec::new();
    for (name, place, node) in named {
        let fits = (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !fits || name.starts_with('-') || TAKEN.contains(&name.as_str()) {
            let what = format!("`{name}` cannot be the name of a source");
            let hint = "use lower-case letters, digits and dashes, at most 63, and none of clock, owners, shard, preferences";
            problems.push(Problem::error(place.clone(), what).hint(hint));
        }
        let Some(source) = source(name, node, folder, place, problems) else { continue };
        if let Kind::Kafka(topics) = &source.kind {
            let read = sources.iter().filter_map(|other| if let Kind::Kafka(topics) = &other.kind { Some(topics) } else { None });
            let read: Vec<&String> = read.flatten().collect();
            let wrong = topics_wrong(topics, &read, kafka);
            problems.extend(wrong.into_iter().map(|(what, hint)| Problem::error(place.clone(), what).hint(hint)));
        }
        let other = sources.iter().find(|other| other.source.namespace == source.source.namespace);
        if let Some(other) = other.filter(|other| other.source.versions != source.source.versions) {
            let what = format!("`{name}` and `{}` share a namespace and order its versions differently", other.source.name);
            problems.push(Problem::error(place.clone(), what).hint("give both the same `versions`, or each a namespace of its own"));
        }
        sources.push(source);
    }
    sources
}

/// What is wrong with the topics of one source. `read`: those of the sources before it.
fn topics_wrong(topics: &[String], read: &[&String], kafka: Option<Option<&kafka::Settings>>) -> Vec<(String, &'static str)> {
    let mut wrong = Vec::new();
    if kafka == Some(None) {
        let what = "a source of kind `kafka` needs the section `kafka` with its `bootstrap`".to_owned();
        wrong.push((what, "for now landing has to lie on the brokers that the topics are on"));
    }
    for (number, topic) in topics.iter().enumerate() {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if topic.is_empty() || topic.len() > 249 || topic == "." || topic == ".." || !topic.bytes().all(fits) {
            wrong.push((
                format!("`{topic}` cannot be the name of a topic"),
                "use letters, digits, dots, dashes and underscores; at most 249",
            ));
        }
        if topics[..number].contains(topic) || read.contains(&topic) {
            wrong.push((format!("the topic `{topic}` is named twice"), "one source reads all of a topic: name it once"));
        }
        if kafka.flatten().is_some_and(|kafka| kafka.is_ours(topic)) {
            wrong.push((format!("the topic `{topic}` is the bridge's own"), "name topics of the EHR or its interface engine"));
        }
    }
    wrong
}

fn source(name: &str, node: &Node, folder: &Path, place: &Place, problems: &mut Vec<Problem>) -> Option<SourceConfig> {
    let kind = match node.text("kind")? {
        "push" => Kind::Push,
        "files" => Kind::Files(node.texts("files").iter().map(|file| folder.join(file)).collect()),
        "kafka" => Kind::Kafka(node.texts("topics").to_vec()),
        _ => Kind::Watch {
            folder: node.text("folder").map_or_else(PathBuf::new, |path| folder.join(path)),
            any_ending: node.text("endings")? == "any",
            every: duration(node.span("every")?),
        },
    };
    let mut wrong = |what: &str, hint: &str| problems.push(Problem::error(place.clone(), what).hint(hint));
    match &kind {
        Kind::Files(files) if files.is_empty() => wrong("a source of kind `files` needs `files`", "list the files"),
        Kind::Watch { folder, .. } if folder.as_os_str().is_empty() => wrong("a source of kind `watch` needs `folder`", "name the folder"),
        Kind::Kafka(topics) if topics.is_empty() => wrong("a source of kind `kafka` needs `topics`", "list the topics"),
        _ => {}
    }
    if !matches!(kind, Kind::Files(_)) && node.get("files").is_some() {
        wrong("`files` stands without `kind: files`", "write `kind: files`, or leave `files` out");
    }
    if !matches!(kind, Kind::Kafka(_)) && node.get("topics").is_some() {
        wrong("`topics` stands without `kind: kafka`", "write `kind: kafka`, or leave `topics` out");
    }
    if !matches!(kind, Kind::Watch { .. }) && node.get("folder").is_some() {
        wrong("`folder` stands without `kind: watch`", "write `kind: watch`, or leave `folder` out");
    }
    let baseline = match (node.text("baseline"), &kind) {
        (Some("start"), _) => Baseline::Start,
        (Some("complete-pass"), Kind::Push) => {
            wrong("nobody but the sender knows when a push is complete", "write `baseline: marked` and run `footbridge baseline`");
            Baseline::Marked
        }
        (Some("complete-pass"), Kind::Kafka(_)) => {
            wrong("nobody but who writes to a topic knows when it is complete", "write `baseline: marked` and run `footbridge baseline`");
            Baseline::Marked
        }
        (Some("complete-pass"), _) | (None, Kind::Files(_)) => Baseline::CompletePass,
        (Some(_) | None, _) => Baseline::Marked,
    };
    let source = Source {
        name: name.to_owned(),
        namespace: node.text("namespace").unwrap_or("").to_owned(),
        versions: if node.text("versions")? == "id" { Versions::Id } else { Versions::LastUpdated },
    };
    Some(SourceConfig { source, kind, baseline, proves: node.text("freshness")? == "proved" })
}

/// The table bounds it.
fn whole(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(span.0.unsigned_abs())
}

#[cfg(test)]
mod tests;
