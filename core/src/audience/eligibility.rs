//! From evidence to eligibility: when the members' rule of an audience surely holds for a person.
//!
//! In: a rule, the evidence on file, what of it is withheld. Out: truth over all of time.
//! Never here: consent's own decision, the present instant.

use super::{Candidate, CriterionId, Evidence, LatestId, RemoteId, Rule};
use crate::key::ResourceKey;
use crate::timeline::{self, Steps, Timeline, Truth};
use std::borrow::Cow;

/// A person's evidence as one audience may use it.
pub struct View<'a> {
    pub evidence: &'a [(ResourceKey, Evidence)],
    /// When the evidence at this position is withheld from the audience's recipient; `None`: never.
    pub withheld: &'a dyn Fn(usize) -> Option<Timeline>,
    /// What a broadcast resource answers; `Unknown` where it is not on file.
    pub answer: &'a dyn Fn(RemoteId, Option<ResourceKey>) -> Truth,
}

/// The truth of `rule` over time: sure where `True`, possible where not `False`.
pub fn eligible(rule: &Rule, view: &View) -> Steps<Truth> {
    // Worked out one by one: the first part that settles the whole is the last.
    match rule {
        Rule::All(parts) => timeline::all(each(parts, view)),
        Rule::Any(parts) => timeline::any(each(parts, view)),
        Rule::None(parts) => timeline::none(each(parts, view)),
        Rule::AtLeast(count, parts) => timeline::at_least(*count, each(parts, view)),
        Rule::Criterion(id) => timeline::any(view.satisfying(*id)),
        Rule::AtLeastResources(count, id) => timeline::at_least(*count, view.satisfying(*id)),
        Rule::Latest(id) => view.latest(*id),
    }
}

fn each<'r>(parts: &'r [Rule], view: &'r View) -> impl Iterator<Item = Cow<'r, Steps<Truth>>> {
    parts.iter().map(|part| Cow::Owned(eligible(part, view)))
}

impl View<'_> {
    /// Each resource's truth for a criterion, where it has any.
    fn satisfying(&self, id: CriterionId) -> impl Iterator<Item = Cow<'_, Steps<Truth>>> {
        self.evidence.iter().enumerate().filter_map(move |(position, (_, evidence))| {
            let (_, held) = evidence.criteria.iter().find(|(criterion, _)| *criterion == id)?;
            let truth = held.settled(self.answer);
            Some(match (self.withheld)(position) {
                None => truth,
                Some(hidden) => Cow::Owned(truth.zip(&hidden, |truth, hidden| if *hidden { truth.withheld() } else { *truth })),
            })
        })
    }

    /// Decided among all candidates. One that only may be a candidate leaves sure only what it agrees with,
    /// and a decider that is withheld leaves nothing sure, either way.
    fn latest(&self, id: LatestId) -> Steps<Truth> {
        let mut candidates: Vec<(&Candidate, usize)> = Vec::new();
        for (position, (_, evidence)) in self.evidence.iter().enumerate() {
            candidates.extend(evidence.latests.iter().filter(|(latest, _)| *latest == id).map(|(_, candidate)| (candidate, position)));
        }
        // A time that could not be read may be the latest: it comes first.
        candidates.sort_by(|(a, _), (b, _)| {
            let rank = |candidate: &Candidate| (candidate.by.is_none(), candidate.by);
            rank(b).cmp(&rank(a)).then_with(|| b.id.reveal().cmp(a.id.reveal()))
        });
        let mut doubtful: Vec<Steps<Truth>> = Vec::new();
        let mut decided = Steps::always(Truth::False);
        for (candidate, position) in candidates {
            let holds = candidate.holds.settled(self.answer);
            let told = match (self.withheld)(position) {
                None => holds.into_owned(),
                Some(hidden) => holds.zip(&hidden, |truth, hidden| if *hidden { Truth::Unknown } else { *truth }),
            };
            if candidate.which == Truth::True && candidate.by.is_some() {
                decided = told;
                break;
            }
            doubtful.push(told);
        }
        let agree = |a: &Truth, b: &Truth| if a == b { *a } else { Truth::Unknown };
        doubtful.iter().fold(decided, |sum, other| sum.zip(other, agree))
    }
}
