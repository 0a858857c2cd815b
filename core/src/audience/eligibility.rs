//! From evidence to eligibility: when the members' rule of an audience surely holds for a person.
//!
//! In: a rule, the evidence on file, what of it is withheld. Out: truth over all of time.
//! Never here: consent's own decision, the present instant.

use super::{Candidate, CriterionId, Kept, LatestId, RemoteId, Rule};
use crate::key::ResourceKey;
use crate::time::{Instant, Span};
use crate::timeline::{self, Steps, Timeline, Truth};
use std::borrow::Cow;

/// A person's evidence as one audience may use it.
pub struct View<'a> {
    pub evidence: &'a [(ResourceKey, Kept)],
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

    /// Decided among all that may be the latest. Where they do not agree, one of them is withheld, or may be no candidate
    /// at all, nothing is sure, either way.
    fn latest(&self, id: LatestId) -> Steps<Truth> {
        let mut candidates: Vec<(&Candidate, usize)> = Vec::new();
        for (position, (_, evidence)) in self.evidence.iter().enumerate() {
            candidates.extend(evidence.latests.iter().filter(|(latest, _)| *latest == id).map(|(_, candidate)| (candidate, position)));
        }
        let sure: Vec<&Candidate> =
            candidates.iter().map(|(candidate, _)| *candidate).filter(|c| c.which == Truth::True && c.by.is_some()).collect();
        // All that lies before the greatest first instant of a sure one is surely not the latest.
        let bar = sure.iter().filter_map(|candidate| candidate.by).map(|(first, _)| first).max();
        let rivals: Vec<&Candidate> = sure.iter().copied().filter(|candidate| !is_past(candidate, bar)).collect();
        candidates.retain(|(candidate, _)| !is_past(candidate, bar) && !rivals.iter().any(|rival| wins_tie(rival, candidate)));
        let told = candidates.into_iter().map(|(candidate, position)| {
            let holds = candidate.holds.settled(self.answer);
            match (self.withheld)(position) {
                None => holds.into_owned(),
                Some(hidden) => holds.zip(&hidden, |truth, hidden| if *hidden { Truth::Unknown } else { *truth }),
            }
        });
        let agree = |a: &Truth, b: &Truth| if a == b { *a } else { Truth::Unknown };
        // Where none is surely a candidate there may be none.
        let none = sure.is_empty().then(|| Steps::always(Truth::False));
        none.into_iter().chain(told).reduce(|sum, other| sum.zip(&other, agree)).unwrap_or_else(|| Steps::always(Truth::False))
    }
}

fn is_past(candidate: &Candidate, bar: Option<Instant>) -> bool {
    matches!((candidate.by, bar), (Some((first, span)), Some(bar)) if first.plus(span) <= bar)
}

/// Of equal times the greater id is the later. Two of one month or year are not equal: either may be.
fn wins_tie(rival: &Candidate, candidate: &Candidate) -> bool {
    let a_day = Span::hours(26);
    rival.by == candidate.by && rival.by.is_some_and(|(_, span)| span <= a_day) && rival.id.reveal() > candidate.id.reveal()
}
