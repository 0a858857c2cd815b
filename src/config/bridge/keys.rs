//! The keys of `footbridge.yaml`: one table that validates, gives the defaults, and from which reference and schema are made.
//!
//! In: nothing. Out: names, shapes, defaults and meanings.
//! Never here: a key that only the reader knows, or a secret: secrets stand in files of their own.

/// One key. Its default is written as in the file, and read like it.
pub struct Key {
    pub name: &'static str,
    pub shape: Shape,
    /// Empty where the key has none.
    pub default: &'static str,
    pub about: &'static str,
}

/// What may stand under a key.
pub enum Shape {
    Text,
    /// A file or folder; relative to the folder of the configuration file.
    Path,
    Paths,
    Texts,
    /// Host and port.
    Address,
    Count {
        least: u64,
        most: u64,
    },
    /// At least one second.
    Span,
    Bytes,
    OneOf(&'static [&'static str]),
    Map(&'static [Key]),
    /// The word `none`, or a map.
    NoneOr(&'static [Key]),
    /// A map from names that the operator chooses.
    Named(&'static [Key]),
}

const fn key(name: &'static str, shape: Shape, default: &'static str, about: &'static str) -> Key {
    Key { name, shape, default, about }
}

pub const KEYS: &[Key] = &[
    key(
        "data",
        Shape::Path,
        "footbridge-data",
        "Where log, state and secrets are kept; it is made on the first start. It holds what the EHR sent: put it on an encrypted file system.",
    ),
    key(
        "mappings",
        Shape::Path,
        "",
        "The folder of policy, audiences and value sets. Without the key: `mappings` beside this file if it is there, else the shipped examples.",
    ),
    key("name", Shape::Text, "urn:footbridge", "The CloudEvents `source` of every event: a URI."),
    key(
        "partitions",
        Shape::Count { least: 1, most: 4096 },
        "48",
        "Partitions of the log. Recorded when the data folder is made: another count refuses to start.",
    ),
    key("workers", Shape::Count { least: 1, most: 64 }, "1", "Threads that work on partitions."),
    key(
        "kafka",
        Shape::Map(KAFKA),
        "",
        "With `bootstrap`: landing, state and events are topics of Kafka, and the data folder keeps the secrets and a copy of the state. Without it everything lies in the data folder.",
    ),
    key("listen", Shape::Map(LISTEN), "", "Where requests are answered, and what they may cost."),
    key(
        "sources",
        Shape::Named(SOURCE),
        "",
        "Where resources come from, by name: lower-case letters, digits and dashes. The name stands in addresses, metrics and landing, and must not change. Without the key there is one, `push`, with every default.",
    ),
    key("landing", Shape::Map(LANDING), "", "What the log takes, and how much may wait in it."),
    key("retention", Shape::Map(RETENTION), "", "How long outputs are kept."),
    key("limits", Shape::Map(LIMITS), "", "Bounds of the work on partitions."),
    key("lines", Shape::Map(LINES), "", "The process's own log, on standard error."),
];

const KAFKA: &[Key] = &[
    key("bootstrap", Shape::Text, "", "Brokers to begin with: `host:port`, several with commas."),
    key("prefix", Shape::Text, "", "Stands before the name of every topic, such as `riverside.`. It must not change."),
    key("group", Shape::Text, "footbridge", "The consumer group, and the beginning of transactional ids: one for a bridge."),
    key(
        "instance",
        Shape::Text,
        "footbridge-1",
        "Names this process, the same after each restart: it takes over at once from an earlier process of the same name.",
    ),
    key("replication", Shape::Count { least: 1, most: 9 }, "3", "Replicas of the topics that are made at the first start."),
    key(
        "properties",
        Shape::Path,
        "",
        "A file of client properties, `name=value` a line: security, certificates, passwords. Those that exactly once hangs on are refused.",
    ),
];

const LISTEN: &[Key] = &[
    key("address", Shape::Address, "127.0.0.1:8686", "Beyond a loopback address `token_file` and `tls` have to be set."),
    key(
        "tls",
        Shape::NoneOr(TLS),
        "",
        "`none` says on purpose that there is none: a proxy before the bridge ends TLS. On a loopback address it may be left out.",
    ),
    key(
        "token_file",
        Shape::Path,
        "",
        "A file with the bearer token that every request but `/healthz` has to bring: at least 16 characters.",
    ),
    key("handshake_within", Shape::Span, "10s", "The longest that a TLS handshake may take."),
    key("connections", Shape::Count { least: 1, most: 65536 }, "1000", "Connections that are open at once; more wait unaccepted."),
    key("head_within", Shape::Span, "10s", "The longest that a request's head may take, and that a connection may stand idle."),
    key("body_idle", Shape::Span, "10s", "The longest wait for the next bytes of a body."),
    key("body_rate", Shape::Bytes, "1KiB", "A body that comes slower than this a second, by its bytes on the wire, is cut off."),
    key("body", Shape::Bytes, "64MiB", "The largest body that is one resource or Bundle, unpacked."),
    key("line", Shape::Bytes, "16MiB", "The longest line of NDJSON."),
    key("stream", Shape::Bytes, "64GiB", "The largest body of NDJSON, unpacked."),
    key("busy_wait", Shape::Span, "30s", "The longest that a stream waits for room in landing before it is told to come again."),
    key("drain", Shape::Span, "5s", "The longest that requests in hand are waited for at a stop."),
];

const TLS: &[Key] = &[
    key("certificate", Shape::Path, "", "PEM: the certificate, then those that lead to its authority."),
    key("key", Shape::Path, "", "PEM: its private key (PKCS#8, SEC1 or PKCS#1)."),
];

const SOURCE: &[Key] = &[
    key(
        "kind",
        Shape::OneOf(&["push", "files", "watch", "kafka"]),
        "push",
        "`push`: HTTP, at `/sources/NAME/fhir`. `files`: files that are read once. `watch`: a folder in which files appear. `kafka`: topics on the brokers of the section `kafka` (`docs/kafka.md`).",
    ),
    key(
        "namespace",
        Shape::Text,
        "",
        "Sources of one EHR share a namespace, since they mean the same patients. Recorded: a changed one refuses to start.",
    ),
    key(
        "versions",
        Shape::OneOf(&["last-updated", "id"]),
        "last-updated",
        "What orders the versions of a resource: `meta.lastUpdated`, or a whole `meta.versionId`. Recorded, and the same for all of a namespace.",
    ),
    key(
        "baseline",
        Shape::OneOf(&["marked", "complete-pass", "start"]),
        "",
        "Until when audiences are silent. `marked`: `footbridge baseline NAME` says that the first load is in (the default of push, watch and kafka). `complete-pass`: all files that were there at the start are in (the default of files). `start`: nothing is waited for.",
    ),
    key(
        "freshness",
        Shape::OneOf(&["assumed", "proved"]),
        "assumed",
        "`proved`: nothing enters unless watermarks say that consents are complete; past the policy's `feed.stale_after` they count as stale.",
    ),
    key("files", Shape::Paths, "", "With `kind: files`: NDJSON, Bundles or resources; `.gz` and `.zst` too."),
    key(
        "topics",
        Shape::Texts,
        "",
        "With `kind: kafka`: topics of others whose values are FHIR JSON, a resource or Bundle each. What was committed there is read from the beginning on, each record once.",
    ),
    key("folder", Shape::Path, "", "With `kind: watch`: the folder. Files move to `done` or `failed` in it once they are in landing."),
    key(
        "endings",
        Shape::OneOf(&["fhir", "any"]),
        "fhir",
        "With `kind: watch`: `fhir` takes names that end in `.json` or `.ndjson`, also with `.gz` or `.zst` behind; `any` takes every name. Names that begin with a dot or end in `.part`, `.tmp` or `.reason` are never taken.",
    ),
    key(
        "every",
        Shape::Span,
        "2s",
        "With `kind: watch`: how often the folder is looked at. A file is read once its size and time were the same twice.",
    ),
];

const LANDING: &[Key] = &[
    key(
        "keep",
        Shape::OneOf(&["read", "all"]),
        "read",
        "`read` drops types that no definition, consent or release reads. `all` keeps them, so that later mappings find them from the beginning: set it before the first start.",
    ),
    key("queue", Shape::Bytes, "16MiB", "Appends that may wait for the disk; beyond it senders are told to wait."),
    key("reserve", Shape::Bytes, "256MiB", "Below this much free space nothing is taken, so that what was taken can still be worked off."),
];

const RETENTION: &[Key] = &[
    key("events", Shape::Span, "37d", "Superseded events of an audience. Keep it above the policy's lease by a week."),
    key("disclosures", Shape::Span, "2196d", "The accounting of disclosures (45 CFR 164.528: six years)."),
    key("quarantine", Shape::Span, "30d", "What could not be read."),
];

const LIMITS: &[Key] = &[
    key("members", Shape::Count { least: 2, most: 10_000_000 }, "8192", "Members that are kept in memory, of all partitions together."),
    key(
        "clock_skew",
        Shape::Span,
        "1m",
        "A record stamped this far ahead of the clock is not applied: the bridge stands still until the clock gets there.",
    ),
];

const LINES: &[Key] = &[
    key("form", Shape::OneOf(&["plain", "json"]), "plain", "For people, or one JSON object a line."),
    key("level", Shape::OneOf(&["error", "warn", "info", "debug"]), "info", "The least that is written."),
];
