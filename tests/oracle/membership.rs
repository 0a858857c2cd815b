//! Who is a member when: the wire against the recomputation, at sampled instants and around every event and arrival.
//!
//! In: the overlay's files. Out: each disagreement with what decided it here. Never here: a tolerance, but for `spread` and `holdout`.

use super::audiences::{ALL, Asked, Audience, Out};
use super::chart::{Arrival, World, midnights};
use super::clock::{Clock, instant};
use super::consents::Window;
use super::dice::Dice;
use super::gate;
use super::labels::Vocabulary;
use super::wire::{self, Run, Wire};
use super::{corpus, invent};
use jiff::{Timestamp, ToSpan};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The overlay's seed; FOOTBRIDGE_SEED gives another one.
pub fn seed() -> u64 {
    std::env::var("FOOTBRIDGE_SEED").map_or(20_260_301, |text| text.parse().expect("FOOTBRIDGE_SEED is a whole number"))
}

const FROM: &str = "2017-06-01T00:00:00Z";
const UNTIL: &str = "2019-06-01T00:00:00Z";

pub struct Setup {
    pub world: World,
    pub vocabulary: Vocabulary,
    pub folder: PathBuf,
    /// In the order in which they are given.
    pub files: Vec<PathBuf>,
    /// The shipped mappings, with every edge told at its instant and nobody held out.
    pub exact: PathBuf,
    pub shipped: PathBuf,
}

pub fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(make)
}

fn make() -> Setup {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
    fs::create_dir_all(&folder).expect("a folder for the overlay");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    let vocabulary = Vocabulary::read(&shipped.join("valuesets"));
    let window = Window { from: instant(FROM), until: instant(UNTIL) };
    let invented = invent::invent(corpus::read(seed()), &window, seed());
    let mut world = World::new(window.from, window.until);
    let mut files = Vec::new();
    let all =
        [("bundles", invented.bundles), ("resources", invented.resources), ("overlay", invented.overlay), ("changes", invented.changes)];
    for (name, lines) in all {
        lines.iter().for_each(|line| world.read(line, &vocabulary));
        let path = folder.join(format!("{name}.ndjson"));
        fs::write(&path, lines.join("\n") + "\n").expect("room for the overlay");
        files.push(path);
    }
    let exact = folder.join("mappings");
    copy_exact(&shipped, &exact);
    Setup { world, vocabulary, folder, files, exact, shipped }
}

fn copy_exact(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the mappings") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_exact(&path, &target);
            continue;
        }
        let mut text = fs::read_to_string(&path).expect("a text");
        let name = path.to_string_lossy();
        if name.contains("audiences") && !name.ends_with(".test.yaml") {
            let keep = |line: &&str| !line.starts_with("times:") && !line.starts_with("holdout:");
            text = text.lines().filter(keep).collect::<Vec<_>>().join("\n") + "\ntimes: exact\n";
        }
        // Stories tell the shipped edges.
        if !name.ends_with(".test.yaml") {
            fs::write(target, text).expect("room for the mappings");
        }
    }
}

/// Fifty instants: both ends, midnights at which birthdays and dates fall, and any others.
fn instants(world: &World) -> Vec<Timestamp> {
    let mut dice = Dice::of(seed(), "instants");
    let days = midnights(world.from, world.until);
    let mut out = BTreeSet::from([world.from, second_before(world.until)]);
    while out.len() < 18 {
        out.insert(*dice.pick(&days));
    }
    let length = u64::try_from(world.until.as_second() - world.from.as_second()).expect("a window");
    while out.len() < 50 {
        let at = world.from.as_second() + i64::try_from(dice.below(length)).expect("a second");
        out.insert(Timestamp::from_second(at).expect("a second"));
    }
    out.into_iter().collect()
}

fn second_before(at: Timestamp) -> Timestamp {
    at.checked_sub(1.second()).expect("not the beginning of time")
}

#[derive(Default)]
struct Findings {
    asked: usize,
    members: BTreeMap<Audience, BTreeSet<String>>,
    outs: BTreeMap<(Audience, Out), usize>,
    /// By audience, side and what the oracle says: how often, and the first few.
    wrong: BTreeMap<String, (usize, Vec<String>)>,
}

impl Findings {
    fn compare(&mut self, setup: &Setup, wire: &Wire, arrival: Arrival, patient: &str, at: Timestamp, audiences: &[Audience]) {
        if at < setup.world.from || at >= setup.world.until {
            return;
        }
        let chart = setup.world.chart(patient, arrival, at);
        let clock = Clock::at(at);
        let asked = Asked { chart: &chart, clock: &clock, vocabulary: &setup.vocabulary };
        for audience in audiences {
            self.asked += 1;
            let truth = asked.member(*audience);
            match truth {
                Ok(()) => _ = self.members.entry(*audience).or_default().insert(patient.to_owned()),
                Err(out) => *self.outs.entry((*audience, out)).or_default() += 1,
            }
            let last = wire.last(audience.name(), patient, at);
            let told = last.is_some_and(wire::Event::is_in);
            if let (true, Ok(()), Some(event)) = (told, truth, last) {
                let shown = asked.shown(*audience);
                if (event.attributes(), event.channels()) != shown {
                    let (count, examples) = self.wrong.entry(format!("{}: something else is shown", audience.name())).or_default();
                    *count += 1;
                    if examples.len() < 4 {
                        examples.push(format!(
                            "Patient/{patient} at {at}: {:?} since {}, {shown:?} here",
                            (event.attributes(), event.channels()),
                            event.effective
                        ));
                    }
                }
            }
            if told == truth.is_ok() {
                continue;
            }
            let side = if told { "told, but out here" } else { "in here, but not told" };
            let (count, examples) = self.wrong.entry(format!("{}: {side}: {truth:?}", audience.name())).or_default();
            *count += 1;
            if examples.len() < 4 {
                let last =
                    last.map_or("never told".to_owned(), |event| format!("last {} at {} {}", event.status, event.effective, event.cause));
                examples.push(format!("Patient/{patient} at {at}; {last}"));
            }
        }
    }

    fn report(&self) -> String {
        let mut out = String::new();
        for (what, (count, examples)) in &self.wrong {
            _ = writeln!(out, "{count} times {what}");
            examples.iter().for_each(|example| _ = writeln!(out, "    {example}"));
        }
        out
    }
}

fn compare_all(arrival: Arrival) {
    let setup = setup();
    let run = Run { mappings: &setup.exact, files: &setup.files, arrival, from: setup.world.from, until: setup.world.until };
    let output = wire::simulate(&run);
    let events = wire::events(&output);
    let wire = Wire::new(&events);
    let mut findings = Findings::default();
    let instants = instants(&setup.world);
    let mut dice = Dice::of(seed(), "arrivals");
    for patient in setup.world.patients() {
        instants.iter().for_each(|at| findings.compare(setup, &wire, arrival, patient, *at, &ALL));
        let arrivals = setup.world.arrivals(patient);
        for _ in 0..if arrivals.is_empty() { 0 } else { 8 } {
            let at = *dice.pick(&arrivals);
            findings.compare(setup, &wire, arrival, patient, at, &ALL);
            findings.compare(setup, &wire, arrival, patient, second_before(at), &ALL);
        }
    }
    for event in &events {
        let audience = [Audience::named(&event.audience)];
        findings.compare(setup, &wire, arrival, &event.patient, event.effective, &audience);
        findings.compare(setup, &wire, arrival, &event.patient, second_before(event.effective), &audience);
    }
    let counts: Vec<String> =
        ALL.iter().map(|audience| format!("{} {}", audience.name(), findings.members.get(audience).map_or(0, BTreeSet::len))).collect();
    eprintln!("{arrival:?}: {} events, {} answers compared; members: {}", events.len(), findings.asked, counts.join(", "));
    eprintln!("out: {:?}", findings.outs);
    assert!(findings.wrong.is_empty(), "the engine and the oracle disagree (seed {}):\n{}", seed(), findings.report());
    wire::check(&events, setup.world.until);
    // An oracle that never says yes, or never for some reason no, shows nothing.
    for audience in ALL {
        assert!(findings.members.get(&audience).map_or(0, BTreeSet::len) >= 5, "{} has too few members to show anything", audience.name());
        for out in [Out::Dead, Out::Denied, Out::Minor, Out::NotEligible, Out::OnlyPossible] {
            assert!(findings.outs.contains_key(&(audience, out)), "nobody is out of {} for {out:?}", audience.name());
        }
    }
    for out in [Out::NoAuthorization, Out::Merged] {
        assert!(findings.outs.contains_key(&(Audience::JointPain, out)), "nobody is out for {out:?}");
    }
    for audience in [Audience::Mammogram, Audience::Missed, Audience::Portal, Audience::JointPain] {
        assert!(findings.outs.contains_key(&(audience, Out::Unreachable)), "everybody in {} has an address", audience.name());
    }
}

#[test]
fn members_are_those_of_a_naive_recomputation_when_all_arrives_at_the_start() {
    compare_all(Arrival::Start);
}

#[test]
fn members_are_those_of_a_naive_recomputation_when_each_arrives_as_it_was_updated() {
    compare_all(Arrival::LastUpdated);
}

/// The shipped audiences, as they are: spread by up to three days, a tenth of one held out.
#[test]
fn the_shipped_wire_lies_inside_the_truth_and_lacks_only_what_is_spread_or_held_out() {
    let setup = setup();
    let arrival = Arrival::LastUpdated;
    let run = Run { mappings: &setup.shipped, files: &setup.files, arrival, from: setup.world.from, until: setup.world.until };
    let output = wire::simulate(&run);
    let events = wire::events(&output);
    wire::check(&events, setup.world.until);
    let wire = Wire::new(&events);
    let mut wrong = Vec::new();
    let (mut spread, mut settled, mut held_out) = (0, BTreeSet::new(), BTreeSet::new());
    let mut ask = |patient: &str, at: Timestamp, audiences: &[Audience]| {
        let chart = setup.world.chart(patient, arrival, at);
        let clock = Clock::at(at);
        let asked = Asked { chart: &chart, clock: &clock, vocabulary: &setup.vocabulary };
        for audience in audiences {
            let (truth, told) = (asked.member(*audience), wire.has(audience.name(), patient, at));
            let far = || is_settled(setup, &asked, *audience, at);
            match (truth.is_ok(), told) {
                (false, true) => wrong.push(format!("{} Patient/{patient} at {at}: told, but {truth:?}", audience.name())),
                (true, false) if !audience.is_spread() => wrong.push(format!("{} Patient/{patient} at {at}: not told", audience.name())),
                (true, false) if !far() => spread += 1,
                (true, false) if !audience.has_holdout() => {
                    wrong.push(format!("{} Patient/{patient} at {at}: not told, far from an edge", audience.name()));
                }
                (true, false) => _ = held_out.insert(patient.to_owned()),
                (true, true) if audience.has_holdout() => _ = settled.insert(patient.to_owned()),
                _ => {}
            }
        }
    };
    for patient in setup.world.patients() {
        instants(&setup.world).iter().for_each(|at| ask(patient, *at, &ALL));
        // A visit opens thirty days: every fourth day, so that nobody's are missed.
        let mut at = setup.world.from;
        while at < setup.world.until {
            ask(patient, at, &[Audience::Portal]);
            at = at.checked_add(96.hours()).expect("not the end of time");
        }
    }
    for event in &events {
        ask(&event.patient, event.effective, &[Audience::named(&event.audience)]);
    }
    assert!(wrong.is_empty(), "{} times the wire left the truth:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(spread > 0, "nothing was spread");
    eprintln!("{spread} answers within the span of an edge; {} held out, {} not", held_out.len(), settled.len());
    assert!(held_out.is_disjoint(&settled), "who is held out is held out always");
    let (out, all) = (held_out.len(), held_out.len() + settled.len());
    assert!(out > 0 && out * 4 < all, "of {all} who were invited {out} are held out, not about a tenth");
}

/// Whether eligibility, by what is on file, holds from three days before to three days after.
fn is_settled(setup: &Setup, asked: &Asked, audience: Audience, at: Timestamp) -> bool {
    (-73..=73i64).all(|hours| {
        let clock = Clock::at(at.checked_add(hours.hours()).expect("not the end of time"));
        // Consent is not spread: what it redacts is asked at each instant, as eligibility is.
        let redact = gate::decide(asked.chart, audience.purpose(), &clock).redact;
        let there = Asked { chart: asked.chart, clock: &clock, vocabulary: &setup.vocabulary };
        there.eligible(audience, &redact) == Some(true)
    })
}
