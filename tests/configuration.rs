//! The reference of `footbridge.yaml`: made here, from the table that reads the file, and held against `docs/configuration.md`.
//!
//! In: the table of keys. Out: a page. `FOOTBRIDGE_REWRITE=1` writes it anew. Never here: a meaning that the table does not have.

use footbridge::config::bridge::keys::{KEYS, Key, Shape};
use footbridge::config::bridge::{self, Kind, Tls};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const HEAD: &str = "\
# footbridge.yaml

`footbridge run --config FILE` reads one file, whole: every problem is told at once, with line, column and a hint, and an unknown key is one.
Without a file every key has its default. Flags of `run` take the place of keys. A relative path begins at the file's own folder.

`${NAME}` in a value is a variable of the environment; one that is not set is a problem. Secrets stand in files of their own, never here.
A length of time is a whole number and a unit (`10s`, `15m`, `12h`, `3d`, `2w`), a size one with `B`, `KiB`, `MiB`, `GiB` or `TiB`.
`schemas/footbridge.schema.json` is for editors, `examples/footbridge.yaml` to begin with. What the business decides, how long a record may wait
before it is a backlog among it, stands in the mappings (`docs/policy.md`).

This page is made from the table that reads the file.
";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn shape(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".into(),
        Shape::Path => "path".into(),
        Shape::Paths => "list of paths".into(),
        Shape::Texts => "list of texts".into(),
        Shape::Address => "address and port".into(),
        Shape::Count { least, most } => format!("number, {least} to {most}"),
        Shape::Span => "time".into(),
        Shape::Bytes => "size".into(),
        Shape::OneOf(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        Shape::Map(_) => "map".into(),
        Shape::NoneOr(_) => "`none`, or a map".into(),
        Shape::Named(_) => "map from names".into(),
    }
}

/// A table for the leaves of a map, then one for each map in it.
fn tables(keys: &[Key], path: &str, out: &mut String) {
    writeln!(out, "\n| key | what may stand there | default | meaning |\n|---|---|---|---|").expect("a text");
    for key in keys {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        writeln!(out, "| `{}` | {} | {default} | {} |", key.name, shape(&key.shape), key.about).expect("a text");
    }
    for key in keys {
        let (inner, path) = match &key.shape {
            Shape::Map(inner) | Shape::NoneOr(inner) => (inner, format!("{path}{}", key.name)),
            Shape::Named(inner) => (inner, format!("{path}{}.NAME", key.name)),
            _ => continue,
        };
        writeln!(out, "\n## {path}").expect("a text");
        tables(inner, &format!("{path}."), out);
    }
}

#[test]
fn the_reference_is_that_of_the_program() {
    let mut made = HEAD.to_owned();
    tables(KEYS, "", &mut made);
    let path = file("docs/configuration.md");
    if std::env::var_os("FOOTBRIDGE_REWRITE").is_some() {
        std::fs::write(&path, &made).expect("the page is written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "docs/configuration.md is another; run this test with FOOTBRIDGE_REWRITE=1 and read the difference");
}

#[test]
fn the_example_is_right() {
    let reading =
        bridge::read_file(&file("examples/footbridge.yaml"), &|name| (name == "FOOTBRIDGE_LISTEN").then(|| "0.0.0.0:8686".to_owned()));
    assert_eq!(reading.problems, []);
    let config = reading.config.expect("there is no problem");
    assert!(matches!(config.tls, Tls::Files { .. }));
    assert_eq!(config.sources.iter().filter(|source| source.kind == Kind::Push).count(), 1);
}
