//! Commands that ask a running bridge: `tail`, `status`, `quarantine`, `baseline`.
//!
//! In: its address. Out: lines for people or `--json` for machines. Never here: the bridge's folder.

use super::Exit;
use crate::console::client::{Client, value};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::io::Write;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Bridge {
    /// The bridge's address: host and port, or https://HOST:PORT
    #[arg(long, value_name = "ADDRESS", visible_alias = "url", default_value = "127.0.0.1:8686")]
    at: String,
    /// With https: a PEM file with the authority of the bridge's certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A file with the bridge's token, where it asks for one
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Bridge {
    pub fn client(&self) -> anyhow::Result<Client> {
        let token = match &self.token_file {
            Some(file) => Some(std::fs::read_to_string(file).with_context(|| file.display().to_string())?.trim().to_owned()),
            None => None,
        };
        match &self.ca {
            Some(file) => {
                let authority = std::fs::read(file).with_context(|| file.display().to_string())?;
                Client::trusting(&self.at, token, &authority).with_context(|| file.display().to_string())
            }
            None if self.at.starts_with("https://") => {
                bail!("{}: name the authority of its certificate with --ca FILE; none is built in", self.at)
            }
            None => Ok(Client::new(&self.at, token)),
        }
    }
}

#[derive(Args, Debug)]
pub struct Tail {
    /// The audience whose events are shown
    audience: String,
    /// Begin at this offset
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Wait for more, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// The whole event as JSON, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bridge: Bridge,
}

pub fn tail(args: &Tail) -> anyhow::Result<Exit> {
    let client = args.bridge.client()?;
    let mut from = args.from;
    loop {
        let wait = if args.follow { 20 } else { 0 };
        let answer = client.get(&format!("/audiences/{}/events?from={from}&wait={wait}", args.audience))?;
        let mut out = std::io::stdout().lock();
        for line in answer.lines() {
            if args.json {
                out.write_all(line)?;
                out.write_all(b"\n")?;
            } else {
                writeln!(out, "{}", event(line)?)?;
            }
        }
        out.flush()?;
        let more = answer.next.is_some_and(|next| next > from);
        from = answer.next.unwrap_or(from);
        if !more && !args.follow {
            return Ok(Exit::Ok);
        }
    }
}

pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(|value| value.as_str()).unwrap_or("")
}

pub fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(sonic_rs::JsonValueTrait::as_u64).unwrap_or(0)
}

/// Whether it says yes.
pub fn is(value: &Value, key: &str) -> bool {
    value.get(key).and_then(JsonValueTrait::as_bool) == Some(true)
}

/// The items of a list; none, where there is no list.
pub fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(|list| list.as_array()).into_iter().flatten()
}

/// One event on one line, without addresses or values.
fn event(line: &[u8]) -> anyhow::Result<String> {
    let line = value(line)?;
    let Some(data) = line.get("data") else { return Ok(format!("{} {} removed", number(&line, "offset"), text(&line, "key"))) };
    let until = match text(data, "until") {
        "" => String::new(),
        until => format!(" until {until}"),
    };
    let (offset, seq) = (number(&line, "offset"), number(data, "seq"));
    Ok(format!(
        "{offset:>6}  {}  {}  {:<7} {}{until}  #{seq}",
        text(data, "effective"),
        text(data, "member"),
        text(data, "status"),
        text(data, "reason")
    ))
}

#[derive(Args, Debug)]
pub struct Status {
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bridge: Bridge,
}

pub fn status(args: &Status) -> anyhow::Result<Exit> {
    let answer = args.bridge.client()?.get("/status")?;
    let status = answer.value()?;
    let troubles: Vec<&str> = list(&status, "troubles").filter_map(|trouble| trouble.as_str()).collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        out.write_all(&answer.body)?;
        out.write_all(b"\n")?;
    } else {
        match troubles.is_empty() {
            true => writeln!(out, "works{}", if is(&status, "worked_off") { ", and has nothing left to do" } else { "" })?,
            false => troubles.iter().try_for_each(|trouble| writeln!(out, "stands still: {trouble}"))?,
        }
        for source in list(&status, "unmarked").filter_map(|source| source.as_str()) {
            writeln!(out, "nothing enters an audience before the baseline of `{source}`: footbridge baseline {source}")?;
        }
        for assumed in list(&status, "assumed").filter_map(|assumed| assumed.as_str()) {
            writeln!(out, "assumed: {assumed}")?;
        }
        for audience in list(&status, "audiences") {
            let (name, to) = (text(audience, "name"), text(audience, "recipient"));
            let mark = if is(audience, "stopped") { ", stopped" } else { "" };
            writeln!(out, "{:>10} events  {name:<40} to {to}{mark}", number(audience, "events"))?;
        }
        writeln!(out, "{:>10} records went to quarantine", number(&status, "quarantined"))?;
        if let Some(next) = status.get("definitions").and_then(|definitions| definitions.get("next")) {
            super::change::told(&mut out, next)?;
        }
    }
    Ok(if troubles.is_empty() { Exit::Ok } else { Exit::Problems })
}

#[derive(Args, Debug)]
pub struct Quarantine {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// What could not be read, with its position and the reason
    List {
        #[command(flatten)]
        bridge: Bridge,
    },
    /// Send records into the bridge again, after the mappings, the configuration or the program were mended
    Retry {
        /// The position of one, as `list` names it
        #[arg(required_unless_present = "all")]
        key: Option<String>,
        /// Every one that stands there now
        #[arg(long, conflicts_with = "key")]
        all: bool,
        #[command(flatten)]
        bridge: Bridge,
    },
    /// The record itself, as it landed: for those who may see it
    Show {
        /// Its position, as `list` names it
        key: String,
        #[command(flatten)]
        bridge: Bridge,
    },
}

pub fn quarantine(args: &Quarantine) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    match &args.what {
        What::List { bridge } => {
            let mut count = 0;
            bridge.client()?.each_line("/quarantine", &mut |line| {
                let line = value(line)?;
                let Some(headers) = line.get("headers") else { return Ok(()) };
                count += 1;
                writeln!(
                    out,
                    "{:<20} {}  {:<18} {}  {}{}",
                    text(&line, "key"),
                    text(headers, "stamp"),
                    text(headers, "source"),
                    text(headers, "type"),
                    text(headers, "reason"),
                    headers.get("origin").and_then(JsonValueTrait::as_str).map_or_else(String::new, |origin| format!("  from {origin}"))
                )?;
                Ok(())
            })?;
            Ok(if count == 0 { Exit::Ok } else { Exit::Problems })
        }
        What::Retry { key, bridge, .. } => retry(&bridge.client()?, key.as_deref(), &mut out),
        What::Show { key, bridge } => {
            let path = format!("/quarantine/item?key={}", key.replace('/', "%2F"));
            out.write_all(&bridge.client()?.get(&path)?.body)?;
            Ok(Exit::Ok)
        }
    }
}

/// Without a key: all that stand there now; what fails again has a new position and is not tried twice.
fn retry(client: &Client, key: Option<&str>, out: &mut impl Write) -> anyhow::Result<Exit> {
    let mut keys: Vec<String> = key.map(str::to_owned).into_iter().collect();
    if key.is_none() {
        client.each_line("/quarantine", &mut |line| {
            let line = value(line)?;
            keys.push(text(&line, "key").to_owned());
            Ok(())
        })?;
    }
    let mut all_well = true;
    for key in keys {
        match client.post(&format!("/quarantine/retry?key={}", key.replace('/', "%2F")), "application/json", b"") {
            Ok(answer) => {
                let answer = answer.value()?;
                let what = match (number(&answer, "refused"), number(&answer, "unread")) {
                    (0, 0) => "is on its way again",
                    (0, _) => "is on its way again; nothing reads some or all of its types",
                    _ => "cannot be read yet: it gets a new position in quarantine",
                };
                all_well &= number(&answer, "refused") == 0;
                writeln!(out, "{key:<20} {what}")?;
            }
            Err(why) => {
                all_well = false;
                writeln!(out, "{key:<20} {why:#}")?;
            }
        }
    }
    Ok(if all_well { Exit::Ok } else { Exit::Problems })
}

#[derive(Args, Debug)]
pub struct Baseline {
    /// The source whose first complete pass is in landing
    #[arg(default_value = crate::pipeline::PUSH)]
    source: String,
    #[command(flatten)]
    bridge: Bridge,
}

pub fn baseline(args: &Baseline) -> anyhow::Result<Exit> {
    args.bridge.client()?.post(&format!("/sources/{}/baseline", args.source), "application/json", b"")?;
    eprintln!("the baseline of `{}` is marked: what waited for it is told", args.source);
    Ok(Exit::Ok)
}
