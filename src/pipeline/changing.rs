//! Definitions that change in a running instance: the steward at work, its contents and its memory in the log.
//!
//! In: mappings, what operators ask for. Out: orders in landing, the library, how it stands. Never here: a rule of when what is ordered.

use super::{Board, Brake, Content, Generation, Kept, Library, Moves, Outcome, Purpose, Standing, Step, Steward};
use crate::config::files::Files;
use crate::config::mappings::{self, Mappings};
use crate::log::{Landing, LogError, Store};
use crate::source::Keep;
use crate::source::landing::{self, Partitions};
use anyhow::{Context, bail};
use footbridge_core::audience::Definitions;
use footbridge_core::consent::{BlastRadius, Counts};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct Changing {
    log: Store,
    library: Arc<Library>,
    /// The secret that members' names come from.
    members: Vec<u8>,
    partitions: Partitions,
    steward: Mutex<Office>,
}

struct Office {
    steward: Steward,
    /// This instance gives the orders.
    leads: bool,
    /// What this process was started with, until it is on its way.
    wanted: Option<Wanted>,
    /// What is on its way and could not be loaded, and why.
    unread: Option<(Generation, String)>,
    /// Why it stands still.
    trouble: Option<String>,
}

struct Wanted {
    content: Content,
    types: BTreeSet<String>,
    texts: Vec<(String, String)>,
}

impl Wanted {
    fn new(mut mappings: Mappings, members: &[u8]) -> Wanted {
        let texts = std::mem::take(&mut mappings.texts);
        let content = Content::new(mappings, members);
        Wanted { types: types(&content.definitions), content, texts }
    }
}

/// Under which the steward's memory stands among the definitions.
const STEWARD: &[u8] = b"steward";
/// Turns of calm before a count where some partitions are known as they were a moment ago: two seconds of them.
const CALM_ELSEWHERE: u32 = 100;
/// Under which folders of earlier versions have the hash of their mappings.
const IN_FORCE: &[u8] = b"in force";

/// How definitions stand, for people and machines. Small numbers of people are not told.
#[derive(Debug, Serialize)]
pub struct Report {
    pub in_force: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextReport>,
}

#[derive(Debug, Serialize)]
pub struct NextReport {
    pub definitions: String,
    pub generation: Generation,
    /// `preparing`, `counting`, `waits`, `adopting`, `dropping`.
    pub state: &'static str,
    pub only_a_plan: bool,
    /// Records of landing replayed, of so many.
    pub replayed: u64,
    pub landed: u64,
    /// What an operator has to do or to allow.
    pub reasons: Vec<String>,
    pub audiences: Vec<AudienceMoves>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AudienceMoves {
    pub name: String,
    pub present: Shown,
    pub enter: Shown,
    pub leave: Shown,
    pub change: Shown,
}

/// A count of people as policy lets it be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Shown {
    About(u64),
    Few(String),
}

impl Shown {
    pub fn of(count: u64, counts: Counts) -> Shown {
        let (least, round) = (u64::from(counts.least), u64::from(counts.round.max(1)));
        match count {
            0 => Shown::About(0),
            count if count < least => Shown::Few(format!("<{least}")),
            count => Shown::About((count + round / 2) / round * round),
        }
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shown::About(count) => write!(f, "{count}"),
            Shown::Few(few) => f.write_str(few),
        }
    }
}

fn types(definitions: &Definitions) -> BTreeSet<String> {
    definitions.types().map(str::to_owned).collect()
}

/// As texts by file; `None` where they are not right, or not right any more.
pub fn read_texts(texts: &[(String, String)]) -> Option<Mappings> {
    let texts: Vec<(&str, &str)> = texts.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    mappings::read_files(&Files::Texts(&texts)).mappings
}

fn decode(bytes: &[u8]) -> Option<Kept> {
    postcard::from_bytes(bytes).ok()
}

/// As the log keeps it under its hash.
fn content_of(log: &Store, hash: &str, members: &[u8]) -> anyhow::Result<Content> {
    let bytes = log.definition(hash.as_bytes())?.with_context(|| format!("the mappings {hash} are not among its definitions"))?;
    let texts: Vec<(String, String)> = postcard::from_bytes(&bytes).with_context(|| format!("the mappings {hash}"))?;
    let mappings = read_texts(&texts).with_context(|| {
        format!("this version of the program refuses the mappings {hash} that its state was computed with; use the version before")
    })?;
    Ok(Content::new(mappings, members))
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data")
}

impl Changing {
    /// As the log kept it; `mappings` are to be in force. What decides until then is in the library.
    pub fn open(
        log: &Store,
        mappings: Mappings,
        members: &[u8],
        partitions: Partitions,
        keep: Keep,
        folder: &str,
    ) -> anyhow::Result<Changing> {
        let wanted = Wanted::new(mappings, members);
        let other_version = || format!("{folder}: its definitions were kept by another version of the program");
        if log.definition(STEWARD)?.is_none() {
            // Of several that start at once one is the first.
            log.take_lead()?;
        }
        let mut kept: Kept = match log.definition(STEWARD)? {
            Some(bytes) => decode(&bytes).with_context(other_version)?,
            None => {
                if log.definition(IN_FORCE)?.is_some_and(|before| before[..] != *wanted.content.hash.as_bytes()) {
                    bail!(
                        "{folder}: an earlier version kept its state, and not the mappings that it was computed with: start once with those"
                    );
                }
                let kept = Kept {
                    in_force: (0, wanted.content.hash.clone()),
                    next: None,
                    last: 0,
                    types: wanted.types.clone(),
                    keeps_all: keep == Keep::All,
                };
                log.keep(kept.in_force.1.as_bytes(), Some(encode(&wanted.texts)))?;
                log.keep(STEWARD, Some(encode(&kept)))?;
                kept
            }
        };
        if kept.keeps_all && keep == Keep::Read {
            // From here on it has not all any more.
            log.take_lead()?;
            let newest = log.definition(STEWARD)?.with_context(other_version)?;
            kept = Kept { keeps_all: false, ..decode(&newest).with_context(other_version)? };
            log.keep(STEWARD, Some(encode(&kept)))?;
        }
        let read = |hash: &str| content_of(log, hash, members).with_context(|| folder.to_owned());
        let library = Library::new(kept.in_force.0, read(&kept.in_force.1)?, keep);
        let mut unread = None;
        if let Some(next) = &kept.next {
            // Without it those in force go on, and partitions say what they lack.
            match read(&next.hash) {
                Ok(content) => library.add(next.generation, content),
                Err(why) => unread = Some((next.generation, format!("{why:#}"))),
            }
        }
        let steward = Mutex::new(Office { steward: Steward::new(kept), leads: false, wanted: Some(wanted), unread, trouble: None });
        Ok(Changing { log: log.clone(), library: Arc::new(library), members: members.to_vec(), partitions, steward })
    }

    pub fn library(&self) -> Arc<Library> {
        Arc::clone(&self.library)
    }

    fn office(&self) -> MutexGuard<'_, Office> {
        self.steward.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, steward: &Steward) -> Result<(), LogError> {
        self.log.keep(STEWARD, Some(encode(&steward.kept)))
    }

    /// Puts definitions on their way, where they may go now; then nothing is wanted any more.
    fn want(&self, steward: &mut Steward, wanted: &mut Option<Wanted>, purpose: Purpose) -> Result<(), LogError> {
        let Some(Wanted { content, types, texts }) = wanted else { return Ok(()) };
        let before = steward.kept.clone();
        let on_its_way = steward.want(&content.hash, purpose, types);
        if steward.kept != before {
            let kept = match before.next {
                Some(_) => Ok(()),
                // The texts first: what the steward remembers can be read.
                None => self.log.keep(content.hash.as_bytes(), Some(encode(texts))),
            };
            if let Err(error) = kept.and_then(|()| self.keep(steward)) {
                steward.kept = before;
                return Err(error);
            }
        }
        if on_its_way {
            let begun = steward.kept.next.as_ref().filter(|_| before.next.is_none()).map(|next| next.generation);
            if let (Some(generation), Some(wanted)) = (begun, wanted.take()) {
                self.library.add(generation, wanted.content);
            }
            *wanted = None;
        }
        Ok(())
    }

    /// One turn; whether something is on its way.
    pub fn turn(&self, board: &Board) -> bool {
        let mut office = self.office();
        let done = self.try_turn(&mut office, board);
        office.trouble = done.as_ref().err().map(|error| format!("definitions: {error}"));
        match done {
            Ok(busy) => busy,
            Err(_) => {
                // What became of it is known when the lead is taken again.
                office.leads = false;
                office.steward.again();
                true
            }
        }
    }

    /// What another instance keeps of definitions is what this one goes by.
    fn hear(&self, office: &mut Office) -> Result<(), LogError> {
        let Some(bytes) = self.log.definition(STEWARD)? else { return Ok(()) };
        let kept = decode(&bytes).ok_or_else(|| LogError::damaged("definitions", "they were kept by another version of the program"))?;
        if kept != office.steward.kept {
            let before = office.steward.kept.next.as_ref().map(|next| next.generation);
            let after = kept.next.as_ref().map(|next| (next.generation, next.hash.as_str()));
            for (generation, hash) in [(kept.in_force.0, kept.in_force.1.as_str())].into_iter().chain(after) {
                if self.library.get(generation).is_some_and(|content| content.hash == hash) {
                    continue;
                }
                match content_of(&self.log, hash, &self.members) {
                    Ok(content) => self.library.add(generation, content),
                    // Without it those in force go on, and partitions say what they lack.
                    Err(why) => office.unread = Some((generation, format!("{why:#}"))),
                }
            }
            self.library.adopted(kept.in_force.0, after.map(|(generation, _)| generation));
            if let Some(before) = before.filter(|before| after.is_none_or(|(after, _)| after != *before)) {
                self.library.remove(before);
            }
            office.steward = Steward::new(kept);
        }
        // What it was started with may be there by now.
        let kept = &office.steward.kept;
        let is_there = |wanted: &Wanted| match &kept.next {
            Some(next) => next.purpose == Purpose::Adopt && next.hash == wanted.content.hash,
            None => kept.in_force.1 == wanted.content.hash,
        };
        if office.wanted.as_ref().is_some_and(is_there) {
            office.wanted = None;
        }
        Ok(())
    }

    fn try_turn(&self, office: &mut Office, board: &Board) -> Result<bool, LogError> {
        if !self.log.leads() {
            office.leads = false;
            self.hear(office)?;
            return Ok(false);
        }
        if !office.leads {
            self.log.take_lead()?;
            self.hear(office)?;
            office.steward.again();
            office.leads = true;
        }
        self.want(&mut office.steward, &mut office.wanted, Purpose::Adopt)?;
        let steward = &mut office.steward;
        let Some(next) = &steward.kept.next else { return Ok(office.wanted.is_some()) };
        let (hash, before) = (next.hash.clone(), steward.kept.clone());
        let types = self.library.get(next.generation).map_or_else(BTreeSet::new, |content| types(&content.definitions));
        let (progress, here) = board.read_all(&self.log, self.partitions)?;
        let calm = if here == progress.len() { 1 } else { CALM_ELSEWHERE };
        let (order, outcome) = steward.turn(self.partitions.0, calm, &progress, self.radius(), &types);
        if steward.kept != before {
            self.keep(steward)?;
        }
        match outcome {
            Some(Outcome::Adopted(generation)) => self.library.adopted(generation, None),
            Some(Outcome::Dropped(generation)) => {
                self.library.remove(generation);
                if hash != steward.kept.in_force.1 {
                    self.log.keep(hash.as_bytes(), None)?;
                }
            }
            None => {}
        }
        if let Some(order) = order {
            let entries = self.partitions.all().map(|place| landing::order(place, &order)).collect();
            match self.log.append_durably(entries) {
                Ok(done) => _ = done?,
                Err(_full) => steward.again(),
            }
        }
        Ok(true)
    }

    fn radius(&self) -> BlastRadius {
        self.library.in_force().definitions.policy.blast_radius
    }

    /// Whether this instance gives the orders.
    pub fn leads(&self) -> bool {
        self.office().leads
    }

    /// Lets what waits pass the brake. `false`: nothing waits.
    pub fn proceed(&self) -> Result<bool, LogError> {
        let mut office = self.office();
        let before = office.steward.kept.clone();
        let passes = office.steward.proceed();
        // Where it is not the leader the log refuses, and says whom to ask.
        if passes && let Err(error) = self.keep(&office.steward) {
            office.steward.kept = before;
            return Err(error);
        }
        Ok(passes)
    }

    /// Prepares these only to know what they would move. `None`: others are on their way.
    pub fn plan(&self, mappings: Mappings) -> Result<Option<Generation>, LogError> {
        let mut office = self.office();
        if office.wanted.is_some() || office.steward.kept.next.is_some() {
            return Ok(None);
        }
        self.want(&mut office.steward, &mut Some(Wanted::new(mappings, &self.members)), Purpose::Plan)?;
        Ok(office.steward.kept.next.as_ref().map(|next| next.generation))
    }

    /// What a plan has counted, once it has.
    pub fn planned(&self, generation: Generation) -> Option<Vec<AudienceMoves>> {
        let office = self.office();
        let (of, counted) = office.steward.counted.as_ref()?;
        (*of == generation).then(|| self.shown(counted))
    }

    pub fn trouble(&self) -> Option<String> {
        let office = self.office();
        let next = office.steward.kept.next.as_ref().map(|next| next.generation);
        let unread = office.unread.as_ref().filter(|(generation, _)| next == Some(*generation)).map(|(_, why)| why.clone());
        let is_other = |wanted: &Wanted| {
            let kept = &office.steward.kept;
            kept.in_force.1 != wanted.content.hash && kept.next.as_ref().is_none_or(|next| next.hash != wanted.content.hash)
        };
        let others = office.wanted.as_ref().is_some_and(is_other) && !self.log.leads();
        let others =
            others.then(|| "it was started with other definitions than those that decide: they are adopted when it leads".to_owned());
        office.trouble.clone().or(unread).or(others)
    }

    /// Whether what this process was started with decides by now.
    pub fn is_settled(&self) -> bool {
        let office = self.office();
        office.wanted.is_none() && office.steward.kept.next.is_none()
    }

    fn shown(&self, counted: &BTreeMap<String, Moves>) -> Vec<AudienceMoves> {
        let counts = self.library.in_force().definitions.policy.counts;
        let one = |(name, moves): (&String, &Moves)| AudienceMoves {
            name: name.clone(),
            present: Shown::of(moves.present, counts),
            enter: Shown::of(moves.entered, counts),
            leave: Shown::of(moves.left + moves.left_freely, counts),
            change: Shown::of(moves.updated, counts),
        };
        counted.iter().map(one).collect()
    }

    pub fn report(&self, board: &Board) -> Report {
        let office = self.office();
        let kept = &office.steward.kept;
        let next = kept.next.as_ref().map(|next| {
            let counts = self.library.in_force().definitions.policy.counts;
            let brakes = if next.proceed || next.purpose == Purpose::Plan { Vec::new() } else { office.steward.brakes(self.radius()) };
            let why = |brake: &Brake| match brake {
                Brake::Moves { audience, moved, present } => {
                    let (moved, present) = (Shown::of(*moved, counts), Shown::of(*present, counts));
                    format!("audience {audience}: {moved} members would enter or leave, and {present} are in it; `footbridge proceed` lets that pass")
                }
                Brake::Missing { resource_type } => {
                    format!("landing has no {resource_type} from before: send all of them again, then `footbridge proceed`")
                }
            };
            let (mut replayed, mut landed) = (0, 0);
            for one in board.read().values() {
                if let Standing::Preparing { replayed: to, landed: of, .. } = one.standing {
                    (replayed, landed) = (replayed + to, landed + of);
                }
            }
            let counted = office.steward.counted.as_ref().filter(|(generation, _)| *generation == next.generation);
            NextReport {
                definitions: next.hash.clone(),
                generation: next.generation,
                state: match next.step {
                    Step::Preparing => "preparing",
                    Step::Counting if !brakes.is_empty() => "waits",
                    Step::Counting => "counting",
                    Step::Adopting => "adopting",
                    Step::Dropping => "dropping",
                },
                only_a_plan: next.purpose == Purpose::Plan,
                replayed,
                landed,
                reasons: if next.step == Step::Counting { brakes.iter().map(why).collect() } else { Vec::new() },
                audiences: counted.map_or_else(Vec::new, |(_, counted)| self.shown(counted)),
            }
        });
        Report { in_force: kept.in_force.1.clone(), next }
    }
}
