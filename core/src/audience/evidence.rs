//! What one resource says to every definition: Steps and small facets, not the resource.
//!
//! In: definitions and one resource. Out: evidence, the same whenever it is read, for it holds all of time.
//! Never here: other resources of the person, consent, the present instant.

use super::codes::Mention;
use super::{CriterionId, Definitions, KindId, LatestId, Offer, RemoteId, ValueId, offer};
use crate::consent::Labels;
use crate::fhir::{Peek, Unreadable, json};
use crate::fhirpath::{Env, Program, Scalar};
use crate::key::ResourceKey;
use crate::phi::Phi;
use crate::time::{Instant, Moment, Span};
use crate::timeline::{Steps, Truth};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use sonic_rs::{JsonValueTrait, Value};
use std::borrow::Cow;

/// What is kept of a resource that matched something, or that carries labels. A member may have thousands.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub criteria: SmallVec<[(CriterionId, Held); 2]>,
    pub latests: Vec<(LatestId, Candidate)>,
    pub values: Vec<(ValueId, Offered)>,
    /// The resources whose labels ride on this one: encounter, reason, medication, partOf.
    pub links: SmallVec<[ResourceKey; 1]>,
    /// A link that names nothing that could be found: what it carries is not known.
    pub loose_link: bool,
    pub facet: Facet,
}

/// The little that later questions about a piece of evidence need (labels stand with the member).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Facet {
    /// See [`Definitions::kind`].
    pub kind: KindId,
    /// Value sets of the definitions that its codes belong to.
    pub codes: SmallVec<[u16; 4]>,
    /// The time of the data: its earliest instant, and how long after it all that it may mean is past.
    pub time: Option<(Instant, Span)>,
}

/// A criterion's truth.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Held {
    /// The same at all times: of what lies long back, almost always.
    Always(Truth),
    Over(Box<Steps<Truth>>),
    Asks(Box<Asks>),
}

/// A criterion's truth in each case of what its references may turn out to be.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Asks {
    /// The remote questions and the resources they are put to, never more than [`REMOTES_MAX`].
    pub on: SmallVec<[(RemoteId, Option<ResourceKey>); 1]>,
    /// 3ⁿ timelines for n questions: the first question is the lowest digit, False, Unknown, True.
    pub cases: Vec<Steps<Truth>>,
}

/// So many references may decide one criterion.
pub const REMOTES_MAX: usize = 2;

/// What a resource offers for release.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Offered {
    Always(Offer),
    Over(Box<Steps<Option<Offer>>>),
}

/// A resource that `latest` may choose.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Whether it is one at all: never `False` here.
    pub which: Truth,
    /// The first instant that its time may mean, and how long after it all that it may mean is past: a tick, unless it is
    /// a date. `None` where the time cannot be told: it may be the latest.
    pub by: Option<(Instant, Span)>,
    /// Decides between equal times.
    pub id: Phi<Box<str>>,
    pub holds: Held,
}

impl Evidence {
    /// All resources that what it says depends on.
    pub fn refers_to(&self) -> impl Iterator<Item = ResourceKey> {
        let held = self.criteria.iter().map(|(_, held)| held).chain(self.latests.iter().map(|(_, candidate)| &candidate.holds));
        self.links.iter().copied().chain(held.flat_map(Held::asks).filter_map(|(_, key)| *key))
    }
}

impl Held {
    pub fn plain(steps: Steps<Truth>) -> Held {
        match steps.constant() {
            Some(truth) => Held::Always(*truth),
            None => Held::Over(Box::new(steps)),
        }
    }

    fn asks(&self) -> &[(RemoteId, Option<ResourceKey>)] {
        match self {
            Held::Always(_) | Held::Over(_) => &[],
            Held::Asks(asks) => &asks.on,
        }
    }

    /// Settles the references. `answer` is `Unknown` for what is not on file.
    pub fn settled(&self, answer: impl Fn(RemoteId, Option<ResourceKey>) -> Truth) -> Cow<'_, Steps<Truth>> {
        match self {
            Held::Always(truth) => Cow::Owned(Steps::always(*truth)),
            Held::Over(steps) => Cow::Borrowed(steps),
            Held::Asks(asks) => {
                let case = asks.on.iter().rev().fold(0, |case, (remote, key)| case * 3 + answer(*remote, *key) as usize);
                Cow::Borrowed(&asks.cases[case])
            }
        }
    }

    fn never(&self) -> bool {
        match self {
            Held::Always(truth) => *truth == Truth::False,
            Held::Over(_) => false,
            Held::Asks(asks) => asks.cases.iter().all(|steps| steps.constant() == Some(&Truth::False)),
        }
    }
}

/// A resource, parsed already or not.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    Bytes(&'a [u8]),
    Tree(&'a Value),
}

/// Names the resource that a reference's text means.
pub type KeyOf<'a> = &'a dyn Fn(&str) -> Option<ResourceKey>;

/// What a look at one resource found.
#[derive(Default)]
pub struct Look {
    pub evidence: Option<Evidence>,
    pub marks: Marks,
}

/// Why a resource may have to be withheld. Kept for every resource of a read type that has any.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    pub labels: Labels,
    /// One of its codes is in a value set that the policy calls sensitive.
    pub sensitive: bool,
}

impl Marks {
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && !self.sensitive
    }
}

/// Reads `body` for every definition that reads its type. `key_of` names the resource that a reference text means;
/// `from` is the record's stamp: what would only have held before is not kept.
///
/// Costs a peek where no reader can be interested. An element that some definition reads and that is unreadable
/// is an error; the caller then keeps [`unknown`] in its place.
pub fn look(definitions: &Definitions, peek: &Peek, body: Body, key_of: KeyOf, from: Instant) -> Result<Look, Unreadable> {
    let Some(readers) = definitions.readers(&peek.kind) else { return Ok(Look::default()) };
    let mention = definitions.vocabulary.mention(peek);
    let (codes, sensitive) = coded(definitions, peek, mention)?;
    let matches = readers.may_match(definitions, peek, mention)?;
    let inline = definitions.vocabulary.may_label_elements(peek);
    let inside = inline || peek.elements().any(|(element, _)| element == b"contained");
    if !matches && !peek.security && !inside {
        return Ok(Look { evidence: None, marks: Marks { labels: Labels::default(), sensitive } });
    }
    let parsed;
    let tree = match body {
        Body::Tree(tree) => tree,
        Body::Bytes(bytes) => {
            // Where the part is no JSON the whole is none, and says better where.
            parsed = json::parse(&readers.part(peek)).map_err(|why| json::parse(bytes).err().unwrap_or(why))?;
            &parsed
        }
    };
    let whole;
    let labelled = match body {
        Body::Bytes(bytes) if inside => {
            whole = json::parse(bytes)?;
            &whole
        }
        Body::Bytes(_) | Body::Tree(_) => tree,
    };
    let marks = Marks { labels: labels_of(labelled, inline)?, sensitive };
    if !matches {
        return Ok(Look { evidence: None, marks });
    }
    let lookup = |set, system: Option<&str>, code: &str| definitions.vocabulary.contains(set, system, code);
    let from = from.minus(definitions.spread_max);
    let reading = Reading { definitions, tree, key_of, lookup: &lookup, from };
    let mut evidence = Evidence {
        criteria: SmallVec::new(),
        latests: Vec::new(),
        values: Vec::new(),
        links: SmallVec::new(),
        loose_link: false,
        facet: Facet { kind: readers.id, codes, time: None },
    };
    for id in &readers.criteria {
        let criterion = &definitions.catalogue.criteria[usize::from(*id)];
        let held = reading.held(&criterion.program, definitions.criterion_remotes(*id))?;
        if !held.never() {
            evidence.criteria.push((*id, held));
        }
    }
    for id in &readers.latests {
        if let Some(candidate) = reading.candidate(*id, peek)? {
            evidence.latests.push((*id, candidate));
        }
    }
    for id in &readers.values {
        let value = &definitions.catalogue.values[usize::from(*id)];
        let scalars = value.program.values_from(tree, &reading.env(&|_, _| Truth::Unknown), from)?;
        let offers = offer::offers(&scalars, value.form, value.pick, definitions.zone(), from);
        match offers.constant() {
            Some(None) => {}
            Some(Some(offer)) => evidence.values.push((*id, Offered::Always(offer.clone()))),
            None => evidence.values.push((*id, Offered::Over(Box::new(offers)))),
        }
    }
    if evidence.criteria.is_empty() && evidence.latests.is_empty() && evidence.values.is_empty() {
        return Ok(Look { evidence: None, marks });
    }
    for link in peek.links()? {
        match &link.text {
            // What a contained resource carries is read with the whole.
            Some(text) if text.starts_with('#') => {}
            Some(text) => match key_of(text) {
                Some(key) => evidence.links.push(key),
                None => evidence.loose_link = true,
            },
            None => evidence.loose_link = true,
        }
    }
    evidence.links.sort_unstable();
    evidence.links.dedup();
    evidence.facet.time = time_of(tree, definitions.zone())?;
    Ok(Look { evidence: Some(evidence), marks })
}

/// The value sets that its codes belong to, and whether one of them anywhere is sensitive.
fn coded(definitions: &Definitions, peek: &Peek, mention: Mention) -> Result<(SmallVec<[u16; 4]>, bool), Unreadable> {
    let vocabulary = &definitions.vocabulary;
    Ok(match mention {
        Mention::None => (SmallVec::new(), false),
        Mention::Listed => (vocabulary.sets_of(peek)?, false),
        Mention::Sensitive => (vocabulary.sets_of(peek)?, vocabulary.is_sensitive_within(peek)?),
    })
}

/// Why a resource may have to be withheld, whether or not a definition reads its type.
pub fn marks(definitions: &Definitions, peek: &Peek, tree: &Value) -> Result<Marks, Unreadable> {
    let (_, sensitive) = coded(definitions, peek, definitions.vocabulary.mention(peek))?;
    Ok(Marks { labels: labels_of(tree, definitions.vocabulary.may_label_elements(peek))?, sensitive })
}

fn labels_of(resource: &Value, inline: bool) -> Result<Labels, Unreadable> {
    let mut labels = Labels::read(resource)?;
    if inline {
        labels.add_inline(resource)?;
    }
    Ok(labels)
}

/// What stands for a resource that could not be read: possible for every reader of its type, sure for none.
pub fn unknown(definitions: &Definitions, kind: &str) -> Option<Evidence> {
    let readers = definitions.readers(kind)?;
    let held = || Held::plain(Steps::always(Truth::Unknown));
    let candidate = || Candidate { which: Truth::Unknown, by: None, id: Phi::new("".into()), holds: held() };
    Some(Evidence {
        criteria: readers.criteria.iter().map(|id| (*id, held())).collect(),
        latests: readers.latests.iter().map(|id| (*id, candidate())).collect(),
        values: Vec::new(),
        links: SmallVec::new(),
        loose_link: false,
        facet: Facet { kind: readers.id, codes: SmallVec::new(), time: None },
    })
}

/// What a broadcast resource answers to the remote questions that can be put to its type.
pub fn answers(definitions: &Definitions, kind: &str, tree: &Value) -> Result<Vec<(RemoteId, Truth)>, Unreadable> {
    let lookup = |set, system: Option<&str>, code: &str| definitions.vocabulary.contains(set, system, code);
    let reading = Reading { definitions, tree, key_of: &|_| None, lookup: &lookup, from: Instant::BEGIN };
    let mut out = Vec::new();
    for (id, remote) in definitions.remotes_for(kind) {
        let steps = remote.program.truth(tree, &reading.env(&|_, _| Truth::Unknown))?;
        // A remote question is free of time (checked when it was compiled).
        out.push((id, *steps.first()));
    }
    Ok(out)
}

struct Reading<'a> {
    definitions: &'a Definitions,
    tree: &'a Value,
    key_of: KeyOf<'a>,
    lookup: &'a dyn Fn(u16, Option<&str>, &str) -> bool,
    from: Instant,
}

impl<'a> Reading<'a> {
    fn env<'e>(&'e self, remote: &'e dyn Fn(usize, Option<&str>) -> Truth) -> Env<'e> {
        Env { zone: self.definitions.zone(), valuesets: self.lookup, remote }
    }

    fn held(&self, program: &Program, remotes: &[RemoteId]) -> Result<Held, Unreadable> {
        let count = program.remotes().len();
        if count == 0 {
            return Ok(Held::plain(program.truth_from(self.tree, &self.env(&|_, _| Truth::Unknown), self.from)?));
        }
        let asked = std::cell::RefCell::new(vec![None; count]);
        let mut cases = Vec::new();
        for case in 0..3usize.pow(count as u32) {
            let remote = |index: usize, reference: Option<&str>| {
                let Some(text) = reference else { return Truth::Unknown };
                asked.borrow_mut()[index] = (self.key_of)(text);
                [Truth::False, Truth::Unknown, Truth::True][case / 3usize.pow(index as u32) % 3]
            };
            cases.push(program.truth_from(self.tree, &self.env(&remote), self.from)?);
        }
        let on: SmallVec<_> = remotes.iter().copied().zip(asked.into_inner()).collect();
        Ok(Held::Asks(Box::new(Asks { on, cases })))
    }

    fn candidate(&self, id: LatestId, peek: &Peek) -> Result<Option<Candidate>, Unreadable> {
        let latest = &self.definitions.catalogue.latests[usize::from(id)];
        let which = *latest.which.truth(self.tree, &self.env(&|_, _| Truth::Unknown))?.first();
        if which == Truth::False {
            return Ok(None);
        }
        let env = self.env(&|_, _| Truth::Unknown);
        let by = latest.by.values(self.tree, &env)?;
        let zone = self.definitions.zone();
        let moments = by.first().iter().filter_map(|scalar| match scalar {
            Scalar::Moment(moment) => Some((moment.earliest(zone), moment.past(zone))),
            _ => None,
        });
        // Of several the greatest counts, wherever it lies within what each may mean.
        let by = moments.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))).map(|(first, past)| (first, past.since(first)));
        if by.is_none() && !latest.by.finds(self.tree, &env)? {
            return Ok(None);
        }
        let holds = self.held(&latest.holds, self.definitions.latest_remotes(id))?;
        let id = peek.id.as_deref().unwrap_or("").into();
        Ok(Some(Candidate { which, by, id: Phi::new(id), holds }))
    }
}

/// The elements that carry the time of the data, most exact first (consent rule C6 reads them).
pub(super) const TIMES: [&str; 9] = [
    "effectiveDateTime",
    "effectivePeriod",
    "performedDateTime",
    "performedPeriod",
    "occurrenceDateTime",
    "period",
    "onsetDateTime",
    "authoredOn",
    "recordedDate",
];

fn time_of(tree: &Value, zone: &crate::time::Zone) -> Result<Option<(Instant, Span)>, Unreadable> {
    let moment = |value: &Value| value.as_str().and_then(|text| Moment::parse(text).ok());
    for element in TIMES {
        let Some(value) = json::get(tree, element)? else { continue };
        if let Some(moment) = moment(value) {
            return Ok(Some((moment.earliest(zone), moment.past(zone).since(moment.earliest(zone)))));
        }
        let start = json::get(value, "start")?.and_then(moment);
        let end = json::get(value, "end")?.and_then(moment);
        if start.is_some() || end.is_some() {
            let from = start.map_or(Instant::BEGIN, |moment| moment.earliest(zone));
            return Ok(Some((from, end.map_or(Instant::END, |moment| moment.past(zone)).since(from))));
        }
    }
    Ok(None)
}
