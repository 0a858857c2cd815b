//! `demo`: an invented hospital, two years of it in quickened time, and then a bridge that really runs.
//!
//! In: a seed. Out: a story that a person can follow, read off what the engine really did.
//! Never here: an outcome that is only asserted; a scene that did not happen as told fails the command.

use super::feed::{self, Arrive, Fed, Feed};
use super::rehearsal::{Engine, Rehearsal};
use super::{Exit, load_files};
use crate::config::files::Files;
use crate::demo::population::{self, Arrival, Role, Scene};
use crate::demo::shipped;
use anyhow::{Context, ensure};
use clap::Args;
use footbridge_core::gate::Status;
use footbridge_core::key::Person;
use footbridge_core::shard::Happening;
use footbridge_core::time::{Instant, Zone};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Demo {
    /// The same seed tells the same story
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many people are invented, the four of the story among them
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(50..=100_000))]
    people: u32,
    /// A summary for machines instead of the story
    #[arg(long)]
    json: bool,
    /// Writes what was fed in, and the mappings, into this empty or new folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Runs the bridge on these Kafka brokers instead of its own log; it makes topics under a prefix of its own
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
}

const FILE: &str = "population.ndjson";
const FROM: &str = "2026-01-01T06:00:00Z";
const UNTIL: &str = "2028-01-01T06:00:00Z";
/// The sizes are counted at the beginning of each of these: the year and the month.
const QUARTERS: [(i16, i8); 8] = [(2026, 2), (2026, 5), (2026, 8), (2026, 11), (2027, 2), (2027, 5), (2027, 8), (2027, 11)];

/// All that the story is told from.
struct Telling {
    engine: Engine,
    fed: Counted,
    rehearsal: Rehearsal,
    zone: Zone,
    until: Instant,
    scenes: [Scene; 4],
    seconds: f64,
    seed: u64,
    kafka: Option<String>,
    people: usize,
}

struct Counted {
    lines: usize,
    bytes: usize,
    kinds: BTreeMap<String, usize>,
    refusals: Vec<String>,
    /// When records of whom arrived.
    arrived: HashSet<(Person, Instant)>,
}

pub fn run(args: &Demo) -> anyhow::Result<Exit> {
    let from = Instant::parse(FROM).context("the window's beginning")?;
    let until = Instant::parse(UNTIL).context("the window's end")?;
    let arrivals = population::invent(args.seed, args.people as usize, from, until);
    if let Some(folder) = &args.keep {
        keep(folder, &arrivals)?;
    }
    let Some(mappings) = load_files(&Files::Texts(shipped::MAPPINGS)) else { return Ok(Exit::Failed) };
    let engine = Engine::rehearsing(mappings);
    let zone = engine.definitions.zone().clone();
    let text = joined(&arrivals);
    let start = std::time::Instant::now();
    let (read, refusals) = feed::read_text(&engine, &Feed { from, until, arrive: Arrive::LastUpdated, threads: 1 }, FILE, &text);
    let fed = count(&arrivals, &text, &read);
    let Fed { first, later, .. } = read;
    let rehearsal = engine.rehearse(first, later, from, until);
    let seconds = start.elapsed().as_secs_f64();
    let scenes = population::named(from, until);
    let telling = Telling {
        engine,
        fed: Counted { refusals, ..fed },
        rehearsal,
        zone,
        until,
        scenes,
        seconds,
        seed: args.seed,
        kafka: args.kafka.clone(),
        people: args.people as usize,
    };
    let story = if args.json { telling.summary()? } else { telling.story()? };
    std::io::stdout().lock().write_all(story.as_bytes())?;
    Ok(Exit::Ok)
}

fn joined(arrivals: &[Arrival]) -> String {
    arrivals.iter().flat_map(|arrival| [arrival.json.as_str(), "\n"]).collect()
}

fn count(arrivals: &[Arrival], text: &str, read: &Fed) -> Counted {
    let mut kinds = BTreeMap::new();
    for arrival in arrivals {
        if let Ok(kind) = footbridge_core::fhir::peek::kind(arrival.json.as_bytes()) {
            *kinds.entry(kind.into_owned()).or_default() += 1;
        }
    }
    let arrived = read.first.iter().chain(&read.later).flat_map(|arrival| match &arrival.what {
        footbridge_core::shard::What::Put { persons, .. } => persons.iter().map(|person| (*person, arrival.at)).collect(),
        _ => Vec::new(),
    });
    Counted { lines: arrivals.len(), bytes: text.len(), kinds, refusals: Vec::new(), arrived: arrived.collect() }
}

fn keep(folder: &PathBuf, arrivals: &[Arrival]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let empty = std::fs::read_dir(folder)?.next().is_none();
    ensure!(empty, "{} is not empty; name a new folder", folder.display());
    std::fs::write(folder.join(FILE), joined(arrivals))?;
    for (name, text) in shipped::MAPPINGS {
        let file = folder.join("mappings").join(name);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, text)?;
    }
    Ok(())
}

impl Telling {
    fn summary(&self) -> anyhow::Result<String> {
        #[derive(serde::Serialize)]
        struct Summary<'a> {
            records: usize,
            refused: usize,
            events: usize,
            records_per_second: u64,
            members: BTreeMap<&'a str, Vec<usize>>,
        }
        let summary = Summary {
            records: self.fed.lines,
            refused: self.fed.refusals.len(),
            events: self.rehearsal.happenings.len(),
            records_per_second: (self.fed.lines as f64 / self.seconds) as u64,
            members: self.sizes(),
        };
        Ok(sonic_rs::to_string(&summary)? + "\n")
    }

    fn story(&self) -> anyhow::Result<String> {
        let mut out = String::new();
        writeln!(out, "An invented hospital, {FROM} to {UNTIL}. Nobody in it is real.\n")?;
        self.what_went_in(&mut out)?;
        self.chart(&mut out)?;
        self.entered(&mut out)?;
        for scene in &self.scenes {
            self.scene(&mut out, scene)?;
        }
        super::demo_live::tell(self.seed, self.people, self.kafka.as_deref(), &mut out)?;
        writeln!(out, "To look further")?;
        writeln!(out, "  footbridge demo --keep DIR            writes what was fed in, and the mappings")?;
        writeln!(out, "  footbridge simulate --mappings DIR/mappings --arrival last-updated --reveal \\")?;
        writeln!(out, "    --from {FROM} --until {UNTIL} DIR/{FILE}")?;
        writeln!(out, "                                        prints each event (exit code 1: one record is broken on purpose)")?;
        writeln!(out, "  footbridge check | footbridge test    the mappings' problems; their stories")?;
        writeln!(out, "  footbridge run                        a bridge of your own; footbridge tail AUDIENCE --follow shows its events")?;
        Ok(out)
    }

    fn what_went_in(&self, out: &mut String) -> anyhow::Result<()> {
        let fed = &self.fed;
        writeln!(out, "What went in: {} FHIR resources of {} people, {:.1} MB", fed.lines, self.rehearsal.persons, fed.bytes as f64 / 1e6)?;
        let kinds: Vec<String> = fed.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(out, "  {}", kinds.join(", "))?;
        writeln!(out, "What came out: {} events", self.rehearsal.happenings.len())?;
        let rate = fed.lines as f64 / self.seconds;
        writeln!(out, "  measured on this machine: {:.2} s, {rate:.0} records a second, one thread\n", self.seconds)?;
        Ok(())
    }

    /// Members of each audience at the beginning of each quarter's second month.
    fn sizes(&self) -> BTreeMap<&str, Vec<usize>> {
        let audiences = self.engine.definitions.catalogue.audiences.iter();
        let at = QUARTERS.map(|(year, month)| self.zone.start_of_day(jiff::civil::date(year, month, 1)));
        audiences.map(|audience| (audience.name.as_str(), at.iter().map(|at| self.members(&audience.name, *at)).collect())).collect()
    }

    fn members(&self, audience: &str, at: Instant) -> usize {
        let mut members = HashSet::new();
        for happening in &self.rehearsal.happenings {
            let event = &happening.told.event;
            if event.audience() == audience && event.effective() <= at {
                match event.status() {
                    Status::Entered | Status::Updated => members.insert(happening.person),
                    Status::Exited => members.remove(&happening.person),
                };
            }
        }
        members.len()
    }

    fn chart(&self, out: &mut String) -> anyhow::Result<()> {
        let heads: Vec<String> = QUARTERS.iter().map(|(year, month)| format!("{:>5}", format!("{:02}/{month}", year % 100))).collect();
        writeln!(out, "{:<40}{}", "Members on the first of (year/month)", heads.concat())?;
        for (audience, sizes) in self.sizes() {
            let cells: String = sizes.iter().map(|size| format!("{size:>5}")).collect();
            let bar = "#".repeat(sizes.last().copied().unwrap_or(0).div_ceil(25).min(20));
            writeln!(out, "  {audience:<38}{cells}  {bar}")?;
        }
        writeln!(out)?;
        Ok(())
    }

    /// Someone who came in because a record arrived, and for no special reason.
    fn entered(&self, out: &mut String) -> anyhow::Result<()> {
        let named: Vec<Person> = self.scenes.iter().map(|scene| self.engine.person(scene.patient)).collect();
        let by_record = |happening: &&Happening| {
            let event = &happening.told.event;
            event.reason() == "qualified"
                && event.audience() == "missed-appointment-to-rebook"
                && !named.contains(&happening.person)
                && self.fed.arrived.contains(&(happening.person, event.effective()))
        };
        let found = self.rehearsal.happenings.iter().find(by_record).context("nobody missed an appointment; try another --seed")?;
        writeln!(out, "Someone misses an appointment")?;
        self.tell(out, found)?;
        writeln!(out, "  Why: {}\n", self.words(found.told.event.audience()))?;
        Ok(())
    }

    fn words(&self, audience: &str) -> &str {
        let found = self.engine.definitions.catalogue.audience(audience);
        found.and_then(|definition| definition.summary.as_deref()).unwrap_or("")
    }

    fn scene(&self, out: &mut String, scene: &Scene) -> anyhow::Result<()> {
        let person = self.engine.person(scene.patient);
        match scene.role {
            Role::TurnsFifty => {
                let found = self.find(person, "mammogram-due", "qualified", scene)?;
                ensure!(!self.fed.arrived.contains(&(person, scene.at)), "a record arrived at midnight of the birthday");
                writeln!(out, "A woman turns fifty, and no record arrives that day")?;
                self.tell(out, found)?;
                writeln!(out, "  Why: {}\n", self.words("mammogram-due"))?;
            }
            Role::AuthorizationExpires => {
                let found = self.find(person, "joint-pain-seminar", "consent-expired", scene)?;
                ensure!(!self.fed.arrived.contains(&(person, scene.at)), "a record arrived when the authorization expired");
                writeln!(out, "A man's authorization ends, and nobody has to do anything")?;
                self.tell(out, found)?;
                writeln!(out)?;
            }
            Role::Withdraws => {
                let found = self.find(person, "joint-pain-seminar", "consent-revoked", scene)?;
                ensure!(self.fed.arrived.contains(&(person, scene.at)), "the withdrawal did not arrive");
                writeln!(out, "A woman takes her authorization back, and is out at the instant at which that arrives")?;
                self.tell(out, found)?;
                writeln!(out)?;
            }
            Role::CutOff => {
                let [refusal] = self.fed.refusals.as_slice() else {
                    anyhow::bail!("one record is broken, but {} were refused", self.fed.refusals.len());
                };
                writeln!(out, "A record breaks off in the middle: it is refused with its place, and nothing else is lost")?;
                writeln!(out, "  {refusal}\n")?;
            }
        }
        Ok(())
    }

    /// The event that a scene tells of, at its very instant.
    fn find(&self, person: Person, audience: &str, cause: &str, scene: &Scene) -> anyhow::Result<&Happening> {
        let mine = |happening: &&Happening| happening.person == person && happening.told.event.audience() == audience;
        let fits = |happening: &&Happening| happening.told.event.cause() == cause && happening.told.event.effective() == scene.at;
        let found = self.rehearsal.happenings.iter().filter(mine).find(fits);
        found.with_context(|| format!("{:?}: no event of {audience} with the cause {cause} at {}", scene.role, scene.at))
    }

    fn tell(&self, out: &mut String, happening: &Happening) -> anyhow::Result<()> {
        let event = &happening.told.event;
        let local = self.zone.local(event.effective()).map_or_else(String::new, |local| local.strftime("%-d %B %Y, %H:%M:%S").to_string());
        writeln!(out, "  {local} in {} ({})", self.zone.name(), event.effective())?;
        let status = match event.status() {
            Status::Entered => "entered",
            Status::Updated => "updated",
            Status::Exited => "exited",
        };
        write!(out, "  {} {status}, reason {}", event.audience(), event.reason())?;
        if event.cause() != event.reason() {
            write!(out, " (on this side of the bridge: {})", event.cause())?;
        }
        writeln!(out)?;
        writeln!(out, "  what leaves: {}", sonic_rs::to_string(event)?)?;
        ensure!(event.effective() < self.until, "an event after the end");
        Ok(())
    }
}
