//! `Definitions`: everything that decides, in the form that the engine reads: who reads which type, and by which codes.
//!
//! In: a catalogue, a policy, value sets. Out: for a resource type its readers, and whether a peek rules them out.
//! Never here: a resource's meaning.

use super::codes::{Mention, Vocabulary};
use super::{Catalogue, CriterionId, KindId, LatestId, RemoteId, Rule, Times, ValueId};
use crate::consent::Policy;
use crate::fhir::compartment::BROADCAST;
use crate::fhir::valueset::{Fast, ValueSets};
use crate::fhir::{Peek, Unreadable};
use crate::fhirpath::{Program, Remote, Required};
use crate::time::{Span, Zone};
use std::collections::HashMap;

/// What evidence may refer to by encounter, reason, medication, basedOn or partOf: its labels and versions are kept.
const LINKED: [&str; 14] = [
    "Encounter",
    "EpisodeOfCare",
    "Condition",
    "Observation",
    "Procedure",
    "DiagnosticReport",
    "DocumentReference",
    "ImmunizationRecommendation",
    "AllergyIntolerance",
    "MedicationRequest",
    "MedicationAdministration",
    "MedicationStatement",
    "MedicationDispense",
    "Immunization",
];

pub struct Definitions {
    pub catalogue: Catalogue,
    pub policy: Policy,
    pub vocabulary: Vocabulary,
    readers: HashMap<Box<str>, Readers, Fast>,
    kinds: Vec<Box<str>>,
    remotes: Vec<(RemoteId, Origin)>,
    criterion_remotes: Vec<Vec<RemoteId>>,
    latest_remotes: Vec<Vec<RemoteId>>,
    /// For each audience the criteria, latests and values that it reads.
    pub uses: Vec<Uses>,
    /// The widest spread of any audience: an edge so long past may still move something.
    pub spread_max: Span,
}

/// Which program of the catalogue a remote question stands in.
enum Origin {
    Criterion(CriterionId, usize),
    Latest(LatestId, usize),
}

#[derive(Debug, Default, Clone)]
pub struct Uses {
    pub criteria: Vec<CriterionId>,
    pub latests: Vec<LatestId>,
    pub values: Vec<ValueId>,
}

/// Who reads a resource type. A type that is only referred to has no reader, and its labels and versions are kept.
#[derive(Debug, Default)]
pub struct Readers {
    pub id: KindId,
    pub criteria: Vec<CriterionId>,
    pub latests: Vec<LatestId>,
    pub values: Vec<ValueId>,
    /// For each reader the codes without which it surely says no; `None`: it has to be asked.
    required: Vec<Option<Required>>,
    /// The top-level keys that readers look at, and those that tell the time of the data.
    elements: Vec<Box<str>>,
}

impl Definitions {
    pub fn new(catalogue: Catalogue, policy: Policy, valuesets: ValueSets) -> Definitions {
        let vocabulary = Vocabulary::new(valuesets, &policy.sensitive.valuesets);
        let mut readers: HashMap<Box<str>, Readers, Fast> = HashMap::default();
        let mut remotes = Vec::new();
        let mut number = |program: &Program, origin: &dyn Fn(usize) -> Origin| -> Vec<RemoteId> {
            let each = 0..program.remotes().len();
            each.map(|n| {
                let id = remotes.len() as RemoteId;
                remotes.push((id, origin(n)));
                id
            })
            .collect()
        };
        let mut criterion_remotes = Vec::new();
        for (id, criterion) in (0..).zip(&catalogue.criteria) {
            let readers = readers.entry(criterion.kind.as_str().into()).or_default();
            readers.criteria.push(id);
            readers.required.push(criterion.program.required_codes());
            criterion_remotes.push(number(&criterion.program, &|n| Origin::Criterion(id, n)));
        }
        let mut latest_remotes = Vec::new();
        for (id, latest) in (0..).zip(&catalogue.latests) {
            let readers = readers.entry(latest.kind.as_str().into()).or_default();
            readers.latests.push(id);
            readers.required.push(latest.which.required_codes());
            latest_remotes.push(number(&latest.holds, &|n| Origin::Latest(id, n)));
        }
        for (id, value) in (0..).zip(&catalogue.values) {
            let readers = readers.entry(value.kind.as_str().into()).or_default();
            readers.values.push(id);
            readers.required.push(None);
        }
        for kind in LINKED {
            readers.entry(kind.into()).or_default();
        }
        readers.entry("Patient".into()).or_default();
        let mut kinds: Vec<Box<str>> = readers.keys().cloned().collect();
        // The Patient first, then by name: the numbers stand in the state.
        kinds.sort_by_key(|kind| (kind.as_ref() != "Patient", kind.clone()));
        for (kind, readers) in &mut readers {
            readers.id = kinds.iter().position(|name| name == kind).expect("every reader's type is listed") as KindId;
            readers.elements = readers.looked_at(&catalogue);
        }
        let uses = catalogue.audiences.iter().map(|audience| {
            let mut uses = Uses::default();
            collect(&audience.members, &mut uses);
            uses.values.extend(audience.release.iter().map(|released| released.value));
            uses
        });
        let uses = uses.collect();
        let spreads = catalogue.audiences.iter().map(|audience| match audience.times {
            Times::Exact => Span::ZERO,
            Times::Spread(span) => span,
        });
        let spread_max = spreads.max().unwrap_or(Span::ZERO);
        Definitions { catalogue, policy, vocabulary, readers, kinds, remotes, criterion_remotes, latest_remotes, uses, spread_max }
    }

    pub fn zone(&self) -> &Zone {
        &self.policy.organisation.zone
    }

    /// `None` for a type that no definition reads and that no read type refers to: it is dropped after a peek.
    pub fn readers(&self, kind: &str) -> Option<&Readers> {
        self.readers.get(kind)
    }

    /// Whether the engine keeps anything of this type.
    pub fn reads(&self, kind: &str) -> bool {
        matches!(kind, "Patient" | "Consent") || self.readers.contains_key(kind) || BROADCAST.contains(&kind)
    }

    /// The types that a definition reads, or that one which is read may refer to; beside them Patient, Consent and what every shard has.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.readers.keys().map(Box::as_ref)
    }

    /// The name of a type that is read.
    pub fn kind(&self, id: KindId) -> Option<&str> {
        self.kinds.get(usize::from(id)).map(Box::as_ref)
    }

    pub fn is_sensitive(&self, set: u16) -> bool {
        self.vocabulary.is_sensitive(set)
    }

    pub fn criterion_remotes(&self, id: CriterionId) -> &[RemoteId] {
        &self.criterion_remotes[usize::from(id)]
    }

    pub fn latest_remotes(&self, id: LatestId) -> &[RemoteId] {
        &self.latest_remotes[usize::from(id)]
    }

    /// The questions that may be put to a broadcast resource of this type.
    pub fn remotes_for(&self, kind: &str) -> impl Iterator<Item = (RemoteId, &Remote)> {
        self.remotes
            .iter()
            .map(|(id, origin)| match *origin {
                Origin::Criterion(criterion, n) => (*id, &self.catalogue.criteria[usize::from(criterion)].program.remotes()[n]),
                Origin::Latest(latest, n) => (*id, &self.catalogue.latests[usize::from(latest)].holds.remotes()[n]),
            })
            .filter(move |(_, remote)| remote.kinds.iter().any(|name| name == kind))
    }
}

fn collect(rule: &Rule, uses: &mut Uses) {
    match rule {
        Rule::All(parts) | Rule::Any(parts) | Rule::None(parts) | Rule::AtLeast(_, parts) => {
            parts.iter().for_each(|part| collect(part, uses));
        }
        Rule::Criterion(id) | Rule::AtLeastResources(_, id) => uses.criteria.push(*id),
        Rule::Latest(id) => uses.latests.push(*id),
    }
}

impl Readers {
    fn looked_at(&self, catalogue: &Catalogue) -> Vec<Box<str>> {
        let criteria = self.criteria.iter().map(|id| &catalogue.criteria[usize::from(*id)].program);
        let latests = self.latests.iter().map(|id| &catalogue.latests[usize::from(*id)]).flat_map(|l| [&l.which, &l.by, &l.holds]);
        let values = self.values.iter().map(|id| &catalogue.values[usize::from(*id)].program);
        let mut elements: Vec<Box<str>> = super::evidence::TIMES.map(Into::into).into();
        elements.extend(criteria.chain(latests).chain(values).flat_map(Program::elements).map(|name| name.as_str().into()));
        elements.sort_unstable();
        elements.dedup();
        elements
    }

    /// The part of a resource that readers look at, as an object of its own; what stands beside a primitive under `_` included.
    pub fn part<'p>(&'p self, peek: &'p Peek) -> Vec<u8> {
        let read = |key: &[u8]| {
            let bare = key.strip_prefix(b"_").unwrap_or(key);
            // Where no label stands, what else `meta` holds is read by nobody but a definition.
            bare == b"meta" && peek.security || self.elements.iter().any(|name| name.as_bytes() == bare)
        };
        let mut part = Vec::with_capacity(512);
        part.push(b'{');
        for (key, value) in peek.elements().filter(|(key, _)| read(key)) {
            if part.len() > 1 {
                part.push(b',');
            }
            part.push(b'"');
            part.extend_from_slice(key);
            part.extend_from_slice(b"\":");
            part.extend_from_slice(value);
        }
        part.push(b'}');
        part
    }

    /// `false` only where no reader can find anything but "no" in the resource.
    pub fn may_match(&self, definitions: &Definitions, peek: &Peek, mention: Mention) -> Result<bool, Unreadable> {
        for required in &self.required {
            match required {
                None => return Ok(true),
                Some(required) if definitions.vocabulary.may_have(peek, required, mention)? => return Ok(true),
                Some(_) => {}
            }
        }
        Ok(false)
    }
}
