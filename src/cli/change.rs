//! Commands that change what a running bridge tells: `plan`, `proceed`, `stop`, `erase`.
//!
//! In: the bridge's address, a mappings folder. Out: what would move, in counts that policy lets be told.
//! Never here: who would move.

use super::ask::{Bridge, is, list, number, text};
use super::output::Progress;
use super::{Exit, load};
use clap::Args;
use sonic_rs::{JsonValueTrait, Value};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Plan {
    /// The folder of policy, audiences and value sets
    #[arg(long, value_name = "DIR")]
    mappings: PathBuf,
    /// For machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bridge: Bridge,
}

pub fn plan(args: &Plan) -> anyhow::Result<Exit> {
    let Some(mappings) = load(&args.mappings)? else { return Ok(Exit::Problems) };
    let client = args.bridge.client()?;
    let asked = client.post("/definitions/plan", "application/json", &sonic_rs::to_vec(&mappings.texts)?)?;
    let generation = number(&asked.value()?, "generation");
    let progress = Progress::new("replaying landing");
    let answer = loop {
        let answer = client.get(&format!("/definitions/plan?generation={generation}"))?.value()?;
        if is(&answer, "done") {
            break answer;
        }
        let status = client.get("/status")?.value()?;
        if let Some(next) = status.get("definitions").and_then(|definitions| definitions.get("next")) {
            progress.at(number(next, "replayed"), number(next, "landed"));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    progress.done();
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", sonic_rs::to_string(&answer)?)?,
        false => moves(&mut out, &answer)?,
    }
    Ok(Exit::Ok)
}

/// A count, or what is told in its place.
fn count(value: &Value, key: &str) -> String {
    match text(value, key) {
        "" => number(value, key).to_string(),
        few => few.to_owned(),
    }
}

fn moves(out: &mut impl Write, of: &Value) -> std::io::Result<()> {
    for audience in list(of, "audiences") {
        let [present, enter, leave, change] = ["present", "enter", "leave", "change"].map(|key| count(audience, key));
        writeln!(out, "{:<40} {present:>8} in it  {enter:>8} would enter  {leave:>8} leave  {change:>8} change", text(audience, "name"))?;
    }
    Ok(())
}

/// How definitions that are on their way stand.
pub fn told(out: &mut impl Write, next: &Value) -> std::io::Result<()> {
    let what = if is(next, "only_a_plan") { "a plan" } else { "new definitions" };
    match text(next, "state") {
        "preparing" => writeln!(out, "{what}: {} of {} records of landing replayed", number(next, "replayed"), number(next, "landed"))?,
        "counting" => writeln!(out, "{what}: what they would move is being counted")?,
        "waits" => writeln!(out, "{what}: wait for `footbridge proceed`")?,
        "adopting" => writeln!(out, "{what}: are being adopted")?,
        _ => writeln!(out, "{what}: are dropped")?,
    }
    for reason in list(next, "reasons") {
        writeln!(out, "  {}", reason.as_str().unwrap_or(""))?;
    }
    moves(out, next)
}

#[derive(Args, Debug)]
pub struct Proceed {
    #[command(flatten)]
    bridge: Bridge,
}

pub fn proceed(args: &Proceed) -> anyhow::Result<Exit> {
    args.bridge.client()?.post("/definitions/proceed", "application/json", b"")?;
    eprintln!("what was prepared is being adopted; `footbridge status` says when it is done");
    Ok(Exit::Ok)
}

#[derive(Args, Debug)]
pub struct Erase {
    /// The patient's id in its source, as Patient/123
    patient: String,
    /// A source in whose namespace the patient is
    #[arg(long, value_name = "SOURCE", default_value = crate::pipeline::PUSH)]
    source: String,
    /// It cannot be taken back: say so
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    bridge: Bridge,
}

pub fn erase(args: &Erase) -> anyhow::Result<Exit> {
    if !args.yes {
        eprintln!(
            "this erases the patient, and whoever was merged into this record: exits everywhere, and everything that is kept goes but for \
             the accounting of disclosures. It cannot be taken back; say --yes"
        );
        return Ok(Exit::Usage);
    }
    let asked = sonic_rs::json!({ "source": args.source.as_str(), "patient": args.patient.as_str() });
    args.bridge.client()?.post("/erase", "application/json", sonic_rs::to_string(&asked)?.as_bytes())?;
    eprintln!("the erasure is durable: exits and tombstones follow at once. Erase the patient at its source, too, or it comes again");
    Ok(Exit::Ok)
}

#[derive(Args, Debug)]
pub struct Stop {
    /// The audience
    audience: String,
    /// Lift the order: who still belongs to it comes back
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    bridge: Bridge,
}

pub fn stop(args: &Stop) -> anyhow::Result<Exit> {
    let Stop { audience, resume, bridge } = args;
    let what = if *resume { "resume" } else { "stop" };
    bridge.client()?.post(&format!("/audiences/{audience}/{what}"), "application/json", b"")?;
    match resume {
        true => eprintln!("`{audience}` goes on: who still belongs to it comes back"),
        false => eprintln!("`{audience}` is stopped: everybody leaves it, and nobody enters before `footbridge stop {audience} --resume`"),
    }
    Ok(Exit::Ok)
}
