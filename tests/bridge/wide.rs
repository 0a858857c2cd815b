//! The wide simulation: everything that sources may bring, in any weather, on a clock that nobody can trust.
//!
//! In: a seed, perhaps a fault of the saboteur. Out: nothing, or which invariant was broken.
//! Never here: real time, or an expectation taken from the engine.

use super::acts::{Act, Actor};
use super::bench::{Bench, MEMBER, Told, at};
use super::checks::Checks;
use super::erasures::Erasures;
use super::fleet::Fleet;
use super::naive::Known;
use super::saboteur::{Fault, Orders};
use super::seeds;
use super::tape::{self, Records};
use super::world::{self, AUDIENCES, Kind, PEOPLE, Record, VARIANTS, Variant, patient_id};
use anyhow::Context;
use footbridge::config::files::Files;
use footbridge::config::mappings::{self, Mappings};
use footbridge::log::faulty::{Chance, Odds};
use footbridge::log::{Log, OutTopic, Stored};
use footbridge::pipeline::{Content, Generation, HELD, Held, Holds};
use footbridge::source::intake::Source;
use footbridge::source::landing;
use footbridge_core::time::{Instant, Span};

struct Run {
    fleet: Fleet,
    /// Decides what is brought in; the fleet has dice of its own, and so have retries.
    chance: Chance,
    retries: Chance,
    erasures: Erasures,
    source: Source,
    known: Known,
    /// What the oracle knew since the bridge last rested.
    since: Vec<Known>,
    history: Vec<Record>,
    checks: Checks,
    erased: usize,
    tape: Records,
    now: Instant,
    merges: bool,
    proves: bool,
    /// The policy's line of that name, and all definitions there were, by their generation.
    feed: String,
    variants: Vec<(Generation, Variant)>,
    /// Records come to a worker in the middle of its slices, and holds begin there.
    wild: bool,
    /// Each act is told as it happens, for a reader of one seed.
    tells: bool,
}

/// What a run met.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub events: usize,
    pub halts: u32,
    pub holds: usize,
    pub quarantined: usize,
    pub adopted: usize,
    pub erased: usize,
}

const ODDS: Odds = Odds { commit: 20, append: 40, torn: 20, drained_late: 100, short_poll: 300 };

pub fn run(seed: u64, fault: Option<Fault>) -> anyhow::Result<Tally> {
    let mut chance = Chance::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let merges = chance.happens(300);
    let proves = chance.happens(300);
    let exit_now = chance.happens(500);
    let feed = match (proves, exit_now) {
        (false, _) => String::new(),
        (true, exit_now) => format!("feed: {{ stale_after: 5d, on_stale: {} }}", if exit_now { "exit-now" } else { "lease" }),
    };
    let from = at("2026-01-01T06:00:00Z");
    let bench = Bench::of(mappings_of(&feed, VARIANTS[0])?, from, seed, proves);
    bench.log.odds(ODDS);
    let source = bench.intake.sources[0].clone();
    let checks = Checks::new(&bench, proves.then_some(exit_now));
    let fleet = Fleet::new(bench, Chance::new(seed), Orders::new(fault, seed));
    let (known, since) = (Known::default(), Vec::new());
    let tells = std::env::var_os("FOOTBRIDGE_SIM_SEED").is_some();
    let mut run = Run {
        fleet,
        chance,
        retries: Chance::new(seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15),
        erasures: Erasures::new(Chance::new(seed.rotate_left(16) ^ 0x51ed_270b_7f4a_9e37)),
        source,
        known,
        since,
        history: Vec::new(),
        checks,
        erased: 0,
        tape: Records::new(),
        now: from,
        merges,
        proves,
        feed,
        variants: vec![(0, VARIANTS[0])],
        wild: seed.is_multiple_of(4),
        tells,
    };
    run.checks.tells = tells;
    run.whole()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

pub fn mappings_of(feed: &str, variant: Variant) -> anyhow::Result<Mappings> {
    let texts = world::mappings(feed, variant);
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    mappings::read_files(&Files::Texts(&texts)).mappings.context("the small world's mappings are right")
}

impl Run {
    fn whole(&mut self) -> anyhow::Result<Tally> {
        for person in 0..PEOPLE {
            if self.chance.happens(850) {
                let record = world::patient(&mut self.chance, person, self.now, false);
                self.bring(|actor, _| actor.one(record));
            }
        }
        let (acts, baseline) = (25 + self.chance.below(25), self.chance.below(8));
        for number in 0..acts {
            if number == baseline {
                self.fleet.settle()?;
                self.check(false)?;
                self.append(Act { entries: self.fleet.bench.intake.baseline(&self.source), ..Act::default() });
                self.checks.marked = true;
            }
            match self.chance.below(100) {
                0..=69 => self.calm()?,
                70..=87 => self.backlog()?,
                88..=93 => self.clock_back()?,
                _ => self.clock_ahead()?,
            }
        }
        let rest = self.now.plus(Span::days(45));
        self.fleet.pass(rest)?;
        self.now = rest;
        self.fleet.settle()?;
        self.check(true)?;
        self.record();
        self.fleet.bench.log.compact();
        self.erasures.landing(&self.fleet, &self.source.namespace)?;
        let holds = self.holds()?;
        let told = self.fleet.bench.told_of(&AUDIENCES);
        self.play_again(&holds, &told)?;
        let quarantined = self.checks.quarantine(&self.fleet.bench, &self.tape)?;
        let events = told.values().map(Vec::len).sum();
        Ok(Tally { events, halts: self.fleet.halts, holds: holds.len(), quarantined, adopted: self.fleet.adopted, erased: self.erased })
    }

    fn play_again(&self, holds: &Holds, told: &Told) -> anyhow::Result<()> {
        let mut shelf = Vec::new();
        for (generation, variant) in &self.variants {
            shelf.push((*generation, Content::new(mappings_of(&self.feed, *variant)?, MEMBER)));
        }
        let again = tape::play(&self.fleet.bench, shelf, &self.tape, holds, self.chance.clone())?;
        for (member, events) in told {
            let other = again.get(member).map_or(&[][..], Vec::as_slice);
            let differs = events.iter().zip(other).position(|(one, other)| one != other).unwrap_or(events.len().min(other.len()));
            anyhow::ensure!(
                events == other,
                "I5: played again it differs for {} at event {differs}:\n  {:?}\n  {:?}",
                member.0,
                events.get(differs),
                other.get(differs)
            );
        }
        anyhow::ensure!(again.len() == told.len(), "I5: played again, it tells more members");
        Ok(())
    }

    /// Minutes, hours or days.
    fn gap(&mut self) -> Span {
        let minutes = match self.chance.below(3) {
            0 => 1 + self.chance.below(90),
            1 => 60 * (1 + self.chance.below(24)),
            _ => 24 * 60 * (1 + self.chance.below(6)),
        };
        Span::minutes(minutes as i64)
    }

    fn bring(&mut self, act: impl FnOnce(&Actor, &mut Chance) -> Act) -> (bool, bool) {
        let actor = Actor {
            intake: &self.fleet.bench.intake,
            source: &self.source,
            history: &self.history,
            merges: self.merges,
            proves: self.proves,
            now: self.now,
            stamp: self.fleet.bench.clock.now(),
        };
        let act = act(&actor, &mut self.chance);
        // A Consent's delete reaches its signer by way of the owners.
        let crosses = act.records.iter().any(|record| record.kind == Kind::Consent && record.what.is_none());
        let kinds = (act.simple, crosses);
        self.append(act);
        kinds
    }

    /// An operator sends one record of quarantine again. It can be read no better than before: it takes the place of itself.
    fn retry(&mut self) {
        let list = self.fleet.bench.log.outputs(&OutTopic::Quarantine, 0, usize::MAX).list;
        let Some(Stored { key, headers, value: Some(value), .. }) = list.get(self.retries.below(list.len())) else { return };
        let key = std::str::from_utf8(key).expect("a position is text");
        let stamp = headers.iter().find(|(name, _)| name == "stamp").map(|(_, text)| at(text)).expect("it says when it was taken");
        let received = self.fleet.bench.intake.retry(&self.source, key, stamp, value).expect("it was taken before");
        let is_it = |record: &&Record| record.unreadable && record.what.is_some() && contains(value, record.json().as_bytes());
        let records = self.history.iter().rfind(is_it).cloned().into_iter().collect();
        if self.tells {
            eprintln!("{} {key} is sent again", self.fleet.bench.clock.now());
        }
        self.append(Act { entries: received.entries, records, ..Act::default() });
    }

    /// `at_rest`: all before it is decided.
    fn bring_any(&mut self, at_rest: bool) -> (bool, bool) {
        // Between persons that are being merged or parted it would depend on who hears of it first.
        if self.erasures.chance.happens(30) && (at_rest || !self.merges) && !self.known.is_contested() {
            return self.erase(at_rest);
        }
        if self.retries.happens(60) {
            self.retry();
        }
        if self.chance.happens(80) && self.fleet.steward.kept.next.is_none() {
            return self.other_definitions();
        }
        if self.chance.happens(50) {
            return self.stop_order();
        }
        self.bring(|actor: &Actor, chance: &mut Chance| Actor::act(actor, chance))
    }

    /// An operator has somebody erased.
    fn erase(&mut self, at_rest: bool) -> (bool, bool) {
        let person = self.erasures.chance.below(PEOPLE);
        let simple = !self.known.is_merged(person);
        self.since.push(self.known.clone());
        let gone = self.known.erase(person);
        if self.tells {
            eprintln!("{} erased: {gone:?}", self.fleet.bench.clock.now());
        }
        self.checks.erase(&gone, at_rest);
        self.erasures.ask(&gone, at_rest);
        self.erased += 1;
        let bridge = &self.fleet.bench.bridge;
        let key = bridge.keys.person(&self.source.namespace, &patient_id(person));
        self.fleet.bench.append(vec![landing::erase(bridge.partitions, key, &self.source.name)]);
        (simple, !simple)
    }

    /// Somebody stops an audience, or lets it go on.
    fn stop_order(&mut self) -> (bool, bool) {
        let audience = AUDIENCES[self.chance.below(AUDIENCES.len())];
        let stopped = !self.known.stopped.contains(audience);
        if self.tells {
            eprintln!("{} {audience} stopped: {stopped}", self.fleet.bench.clock.now());
        }
        self.since.push(self.known.clone());
        match stopped {
            true => _ = self.known.stopped.insert(audience),
            false => _ = self.known.stopped.remove(audience),
        }
        let partitions = self.fleet.bench.bridge.partitions;
        self.fleet.bench.append(partitions.all().map(|place| landing::stop(place, audience, stopped)).collect());
        (false, false)
    }

    /// The business changes its mind.
    fn other_definitions(&mut self) -> (bool, bool) {
        let variant = VARIANTS[self.chance.below(VARIANTS.len())];
        let mappings = mappings_of(&self.feed, variant).expect("the small world's mappings are right");
        if self.tells {
            eprintln!("{} definitions: {variant:?}", self.fleet.bench.clock.now());
        }
        self.fleet.want(mappings);
        self.since.push(self.known.clone());
        self.known.variant = variant;
        self.variants.extend(self.fleet.steward.kept.next.as_ref().map(|next| (next.generation, variant)));
        (false, true)
    }

    fn append(&mut self, act: Act) {
        if self.tells {
            let brought: Vec<String> = act.records.iter().map(Record::tell).collect();
            let (clock, entries) = (self.fleet.bench.clock.now(), act.entries.len());
            eprintln!("{clock} {entries} entries: {} {:?} {:?} {:?}", brought.join("; "), act.opt_out, act.number_out, act.complete_to);
        }
        self.since.push(self.known.clone());
        act.records.iter().for_each(|record| self.known.hear(record));
        if let Some((person, out)) = act.opt_out {
            self.known.opt_out(person, out);
        }
        if let Some((number, of_anybody, out)) = act.number_out {
            self.known.number_out(number, of_anybody, out);
        }
        self.checks.complete_to = self.checks.complete_to.max(act.complete_to);
        self.history.extend(act.records);
        self.fleet.bench.append(act.entries);
    }

    /// Compares what came out with the oracle, at rest.
    fn check(&mut self, strict: bool) -> anyhow::Result<()> {
        self.since.push(self.known.clone());
        self.checks.events(&self.fleet.bench, &self.since, strict, self.now)?;
        self.since.clear();
        self.erasures.state(&self.fleet, &self.source.namespace)?;
        self.checks.rest(&self.known, self.now)
    }

    /// Time passes, one thing happens.
    fn calm(&mut self) -> anyhow::Result<()> {
        let next = self.now.plus(self.gap());
        self.fleet.settle()?;
        self.check(false)?;
        self.fleet.pass(next)?;
        self.now = next;
        self.fleet.settle()?;
        self.check(true)?;
        self.disturb();
        let (simple, _) = self.bring_any(true);
        self.fleet.settle()?;
        self.check(simple)
    }

    fn disturb(&mut self) {
        self.fleet.disturb();
        if self.chance.happens(20) {
            self.record();
            self.fleet.bench.log.compact();
        }
    }

    /// Many things happen while nobody works, or nearly so.
    fn backlog(&mut self) -> anyhow::Result<()> {
        self.fleet.settle()?;
        self.check(false)?;
        let whole = self.chance.happens(600);
        let mut crosses = self.merges;
        for _ in 0..2 + self.chance.below(6) {
            self.now = self.now.plus(if self.chance.happens(300) { self.gap() } else { Span::seconds(1 + self.chance.below(30) as i64) });
            self.fleet.bench.clock.set(self.now);
            crosses |= self.bring_any(false).1;
            self.disturb();
            match (whole, self.wild) {
                (true, _) => {}
                (false, true) => (0..self.chance.below(3)).try_for_each(|_| self.fleet.round().map(drop))?,
                (false, false) => while !self.fleet.round()? {},
            }
        }
        // Older than `hold_after`, all of it.
        self.now = self.now.plus(Span::seconds(6));
        self.fleet.bench.clock.set(self.now);
        self.fleet.settle()?;
        if whole && !crosses {
            // Nothing is told but what the whole backlog leaves true.
            self.checks.only(&self.fleet.bench, &self.known)?;
        }
        self.check(false)
    }

    /// The instance's clock is set back for a while.
    fn clock_back(&mut self) -> anyhow::Result<()> {
        self.fleet.settle()?;
        self.check(false)?;
        let back = Span::seconds(1 + self.chance.below(3600) as i64);
        for _ in 0..1 + self.chance.below(3) {
            self.now = self.now.plus(Span::minutes(1));
            self.fleet.bench.clock.set(self.now.minus(back));
            self.bring_any(false);
            self.disturb();
            self.fleet.settle()?;
        }
        self.fleet.bench.clock.set(self.now);
        self.fleet.settle()?;
        self.check(false)
    }

    /// Landing stamps an hour ahead of the worker's clock: nothing of it is applied before its time.
    fn clock_ahead(&mut self) -> anyhow::Result<()> {
        self.fleet.settle()?;
        self.check(false)?;
        let (before, ahead) = (self.now, self.now.plus(Span::hours(1)));
        self.fleet.bench.clock.set(ahead);
        self.now = ahead;
        self.bring_any(false);
        self.fleet.bench.clock.set(before);
        for _ in 0..20 {
            self.fleet.round()?;
        }
        self.checks.none_after(&self.fleet.bench, before)?;
        self.fleet.bench.clock.set(ahead);
        self.fleet.settle()?;
        self.check(false)
    }

    /// Before anything is compacted away.
    fn record(&mut self) {
        let partitions = self.fleet.bench.bridge.partitions;
        for record in partitions.all().flat_map(|place| self.fleet.bench.log.records(place)) {
            self.tape.insert((record.place, record.offset), record);
        }
    }

    /// As the state keeps them.
    fn holds(&mut self) -> anyhow::Result<Holds> {
        let mut holds = Holds::new();
        let log = self.fleet.bench.log.sessions(1).remove(0);
        for place in self.fleet.bench.bridge.partitions.all() {
            let mut read = |key: &[u8], value: &[u8]| {
                let (from, held) = Held::decode(place, key, value).expect("the pipeline wrote it");
                holds.insert((place, from), held);
            };
            log.scan(place, &[HELD], &mut read).map_err(anyhow::Error::from)?;
        }
        Ok(holds)
    }
}

/// So many in a plain `cargo test`; `FOOTBRIDGE_SIM_SEEDS` asks for more, `FOOTBRIDGE_SIM_SEED` for one.
const SEEDS: u64 = 200;

/// Seeds beyond those that broke an invariant once: of a hold, of a survivor's review, of a group with a Medication in its middle, of a
/// Bundle that deletes a Consent, of erased survivors (393, 726), of a hold that follows another (436, 1208), of late Consents in a
/// compacted landing (2497, 5686), of Medications that an erased person had referred to (6078, 6972, 4842), of a timer of an audience
/// that was gone (4027).
const ONCE_BROKEN: [u64; 18] = [357, 427, 441, 745, 779, 3749, 2115, 3110, 393, 726, 436, 1208, 2497, 5686, 6078, 6972, 4842, 4027];

#[test]
fn whatever_comes_in_and_whatever_fails_the_invariants_hold() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("FOOTBRIDGE_SIM_SEED") {
        let tally = run(seed, None).unwrap_or_else(|why| panic!("seed {seed}: {why:#}"));
        eprintln!("seed {seed}: {tally:?}");
        return;
    }
    let first = number("FOOTBRIDGE_SIM_FROM").unwrap_or(0);
    let many = number("FOOTBRIDGE_SIM_SEEDS").unwrap_or(SEEDS);
    let mut sum = Tally::default();
    let mut broken = Vec::new();
    let again = if number("FOOTBRIDGE_SIM_SEEDS").is_some() { &[][..] } else { &ONCE_BROKEN };
    let before = again.iter().map(|seed| (*seed, run(*seed, None)));
    for (seed, came) in before.chain(seeds::each(first..first + many, |seed| run(seed, None))) {
        match came {
            Ok(tally) => {
                sum.events += tally.events;
                sum.halts += tally.halts;
                sum.holds += tally.holds;
                sum.quarantined += tally.quarantined;
                sum.adopted += tally.adopted;
                sum.erased += tally.erased;
            }
            Err(why) => broken.push(format!("seed {seed}: {why:#}")),
        }
    }
    eprintln!("{many} seeds: {sum:?}");
    broken.iter().take(20).for_each(|line| eprintln!("{line}"));
    assert!(broken.is_empty(), "{} of {many} seeds broke an invariant; run one again with `just sim SEED`", broken.len());
    let many = many as usize;
    assert!(
        sum.events > 10 * many
            && sum.halts as usize > many
            && sum.holds > many
            && sum.quarantined > many
            && sum.adopted > many
            && sum.erased > many / 4,
        "it shows nothing: {sum:?}"
    );
}
