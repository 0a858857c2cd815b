//! From a member's state to the release of each audience: the one place where evidence, consent and policy meet.
//!
//! In: definitions and one member. Out: a `Release` an audience. Never here: what was told before.

use super::{Broadcast, Member, Suppression, Versions, member};
use crate::audience::{
    self, Audience, Channel, Communication, Definitions, Form, Kept, Marks, Offer, Offered, Pick, Remuneration, Times, View,
};
use crate::consent::{self, Basis, Cause, Consent, Decision, Grant, Labels, Permission, Purpose, Question, Unresolved};
use crate::fhir::patient::{self, Birth, PatientFacts};
use crate::gate::{Closed, MemberKey, Reach, Release};
use crate::key::{Keys, Person, ResourceKey};
use crate::phi::Phi;
use crate::time::{Instant, Period, Span};
use crate::timeline::{Steps, Timeline, Truth};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What the whole shard shares: definitions, keys, what every member may refer to.
pub struct Setting<'a> {
    pub definitions: &'a Definitions,
    pub keys: &'a Keys,
    /// One for each of the policy's recipients, in their order.
    pub member_keys: &'a [MemberKey],
    pub broadcast: &'a Broadcast,
    /// Audiences that an order has stopped: nobody is in them until it is lifted.
    pub stopped: &'a BTreeSet<String>,
}

/// What consent says to one recipient for one purpose.
struct Decided {
    question: (usize, Purpose),
    steps: Steps<Decision>,
    /// The evidence, by its position, that must not be told to that recipient, and when; mostly none.
    withheld: Vec<(usize, Timeline)>,
}

impl Decided {
    fn hides(&self, position: usize) -> Option<&Timeline> {
        self.withheld.iter().find(|(hidden, _)| *hidden == position).map(|(_, when)| when)
    }
}

/// One member laid out for reading: own records and those received from merged persons, together.
pub(super) struct Desk<'a> {
    setting: &'a Setting<'a>,
    person: Person,
    member: &'a Member,
    versions: &'a Versions,
    evidence: Cow<'a, [(ResourceKey, Kept)]>,
    consents: Vec<(ResourceKey, &'a Consent)>,
    decisions: Vec<Decided>,
}

impl<'a> Desk<'a> {
    pub fn new(setting: &'a Setting<'a>, person: Person, member: &'a Member, versions: &'a Versions) -> Desk<'a> {
        let received = || member.merge.received.iter().map(|(_, _, parts)| parts);
        let mut evidence = Cow::Borrowed(member.evidence.as_slice());
        for parts in received().filter(|parts| !parts.evidence.is_empty()) {
            evidence.to_mut().extend(parts.evidence.iter().cloned());
        }
        let consents = member.consents.iter().chain(received().flat_map(|parts| &parts.consents));
        let mut consents: Vec<(ResourceKey, &Consent)> = consents.map(|(key, consent)| (*key, consent)).collect();
        if !member.merge.received.is_empty() {
            // In an order that does not hang on who handed over first. A resource about both persons counts once; of a
            // consent that stands here in two versions both are heard.
            let evidence = evidence.to_mut();
            evidence.sort_by_key(|(key, _)| *key);
            evidence.dedup_by_key(|(key, _)| *key);
            consents.sort_by_key(|(key, _)| *key);
            consents.dedup();
        }
        Desk { setting, person, member, versions, evidence, consents, decisions: Vec::new() }
    }

    /// The consents that decided about the audience at `at`.
    pub fn consents_behind(&mut self, audience: usize, at: Instant) -> Vec<ResourceKey> {
        let place = self.decide(self.question_of(audience));
        let basis = self.decisions[place].steps.at(at).basis.clone();
        basis.iter().map(|place| self.consents[usize::from(*place)].0).collect()
    }

    /// When the person would be eligible if nothing were withheld. Where that is never, eligible is never (I11), whatever
    /// consent says.
    pub fn unhidden(&self, audience: usize) -> Timeline {
        self.eligible(&self.setting.definitions.catalogue.audiences[audience], &|_| None).sure()
    }

    /// `unhidden`: what that gave for this audience.
    pub fn release(&mut self, audience: usize, unhidden: Timeline) -> Release {
        let definition = &self.setting.definitions.catalogue.audiences[audience];
        let question = self.question_of(audience);
        let place = self.decide(question);
        let decision = &self.decisions[place];
        let basis = basis_of(definition, self.setting.definitions);
        let granted = consent::granted(&decision.steps, basis);
        let sure = match decision.withheld.is_empty() {
            true => unhidden.clone(),
            false => self.eligible(definition, &|position| decision.hides(position).cloned()).sure(),
        };
        let (alive, adult) = self.alive_and_adult();
        let mut running = Steps::always(definition.starts.is_none());
        if let Some(starts) = definition.starts {
            running.push(starts, true);
        }
        if let Some(ends) = definition.ends {
            running = running.and(&Timeline::between(Instant::BEGIN, ends));
        }
        // Both move by one amount: who comes in on a birthday shows the new age.
        let later = match definition.times {
            Times::Exact => Span::ZERO,
            Times::Spread(span) => self.amount(span, &definition.name),
        };
        let eligible = moved_inwards(&sure, later);
        Release {
            barred: self.barred(definition),
            unhidden,
            eligible,
            consent: granted.map(closed),
            alive,
            adult,
            running,
            channels: definition.channels.as_ref().map(|channels| self.reaches(channels, decision)),
            suppressed: match definition.channels {
                Some(_) => Steps::always(false),
                None => self.opted_out(Channel::Email, question).or(&self.opted_out(Channel::Sms, question)),
            },
            values: definition.release.iter().map(|released| self.value(released.value, decision, question.0, later)).collect(),
        }
    }

    fn barred(&self, audience: &Audience) -> Option<Closed> {
        let cycle = self.member.goes_round(self.person);
        if self.member.erased {
            return Some(Closed::Erased);
        }
        if self.setting.stopped.contains(&audience.name) {
            return Some(Closed::Stopped);
        }
        let patient = self.member.patient.as_deref();
        // A link that cannot be followed may say that another record stands for this one.
        if self.member.survivor().is_some() || patient.is_some_and(|patient| patient.link_unclear) {
            return Some(Closed::Merged);
        }
        if patient.is_some_and(|patient| patient.active == Some(false)) {
            return Some(Closed::Inactive);
        }
        if cycle {
            return Some(Closed::MergePending);
        }
        let received = self.member.merge.received.iter().any(|(_, _, parts)| parts.stale_restriction);
        if !self.member.stale_restrictions.is_empty() || received {
            return Some(Closed::ConsentDenied);
        }
        if patient.is_none() {
            // Deleted or not there yet: that says nothing of a death.
            return Some(Closed::NoLongerQualified);
        }
        let recipient = &self.setting.definitions.policy.recipients[self.recipient_of(audience)];
        if super::decide::lacks_identity(self.member, recipient) {
            return Some(Closed::NoIdentity);
        }
        let held_back = audience
            .holdout
            .is_some_and(|holdout| self.setting.keys.amount(self.person, &audience.name, "holdout") % 1000 < u64::from(holdout.share));
        held_back.then_some(Closed::HeldBack)
    }

    fn question_of(&self, audience: usize) -> (usize, Purpose) {
        let audience = &self.setting.definitions.catalogue.audiences[audience];
        (self.recipient_of(audience), purpose_of(audience))
    }

    fn recipient_of(&self, audience: &Audience) -> usize {
        let recipients = &self.setting.definitions.policy.recipients;
        let place = recipients.iter().position(|recipient| recipient.key == audience.recipient);
        place.expect("an audience's recipient is checked when it is read")
    }

    /// Works out what consent says, once a question; where it stands in `decisions`.
    fn decide(&mut self, question: (usize, Purpose)) -> usize {
        if let Some(place) = self.decisions.iter().position(|decided| decided.question == question) {
            return place;
        }
        let policy = &self.setting.definitions.policy;
        let consents: Vec<&Consent> = self.consents.iter().map(|(_, consent)| *consent).collect();
        let asked = Question { recipient: &policy.recipients[question.0], organisation: &policy.organisation, purpose: question.1 };
        let steps = consent::decide(&consents, &asked, policy);
        let redacts =
            std::iter::once(steps.first()).chain(steps.changes().map(|(_, decision)| decision)).any(|decision| !decision.redact.is_empty());
        let hidden = |position| Some((position, self.withheld(position, &steps, redacts)?));
        let withheld = (0..self.evidence.len()).filter_map(hidden).collect();
        self.decisions.push(Decided { question, steps, withheld });
        self.decisions.len() - 1
    }

    fn eligible(&self, audience: &Audience, withheld: &dyn Fn(usize) -> Option<Timeline>) -> Steps<Truth> {
        let answer = |remote, key| self.setting.broadcast.answer(remote, key);
        audience::eligible(&audience.members, &View { evidence: &self.evidence, withheld, answer: &answer })
    }

    /// When the evidence at `position` must not be told to the recipient: by its own marks or by those that ride on it.
    /// `None`: never.
    fn withheld(&self, position: usize, steps: &Steps<Decision>, redacts: bool) -> Option<Timeline> {
        let (key, evidence) = &self.evidence[position];
        let policy = &self.setting.definitions.policy;
        let mut loose = evidence.loose_link;
        let mut marks: Vec<&Marks> = self.marks_of(*key).collect();
        for link in &evidence.links {
            marks.extend(self.marks_of(*link));
            marks.extend(self.setting.broadcast.marks(*link));
            loose |= !self.knows(*link);
        }
        let unresolved = loose && policy.sensitive.unresolved == Unresolved::Withhold;
        if unresolved || marks.iter().any(|marks| marks.sensitive || consent::withheld_by_policy(&marks.labels, policy)) {
            return Some(Steps::always(true));
        }
        if !redacts {
            return None;
        }
        let bare = Labels::default();
        // Its own labels count, or that it has none, whatever it refers to: a label elsewhere lifts nothing (I11).
        let mut labels: Vec<&Labels> = marks.iter().map(|marks| &marks.labels).collect();
        if self.marks_of(*key).next().is_none() {
            labels.push(&bare);
        }
        let hidden = steps.map(|decision| labels.iter().any(|labels| decision.redact.covers(labels)));
        (hidden.constant() != Some(&false)).then_some(hidden)
    }

    fn marks_of(&self, key: ResourceKey) -> impl Iterator<Item = &Marks> {
        let received = self.member.merge.received.iter();
        // Those of a merged person hold its own and all that came through it, one after the other.
        let handed = received.flat_map(|(_, _, parts)| &parts.marks).filter(move |(of, _)| *of == key).map(|(_, marks)| marks);
        member::find(&self.member.marks, key).into_iter().chain(handed)
    }

    fn knows(&self, key: ResourceKey) -> bool {
        self.versions.knows(key)
            || self.setting.broadcast.knows(key)
            || self.member.merge.received.iter().any(|(_, _, parts)| parts.known.contains(&key))
    }

    fn alive_and_adult(&self) -> (Timeline, Timeline) {
        // No Patient on file: nobody to speak of, and no birth date.
        let Some(patient) = &self.member.patient else { return (Steps::always(false), Steps::always(false)) };
        let received = self.member.merge.received.iter().filter_map(|(_, _, parts)| parts.alive.as_ref());
        let alive = received.fold(patient.alive.clone(), |alive, theirs| alive.and(theirs));
        (alive, adult(patient, self.setting.definitions))
    }

    /// By how much edges of time are moved: fixed for a person and an audience, up to the span. An edge on the wire then
    /// does not tell the instant that made it.
    fn amount(&self, span: Span, audience: &str) -> Span {
        let amount = self.setting.keys.amount(self.person, audience, "spread") % (span.0.unsigned_abs() + 1);
        Span(i64::try_from(amount).expect("an amount is within its span"))
    }

    fn reaches(&self, channels: &[Channel], decision: &Decided) -> Vec<Reach> {
        let policy = &self.setting.definitions.policy;
        let reach = |channel: &Channel| {
            let address = match &self.member.patient {
                None => Steps::always(None),
                Some(patient) => {
                    patient.reach(way(*channel)).map(|place| place.map(|place| patient.contacts[usize::from(place)].value.clone()))
                }
            };
            let permitted = match channel.rule(policy).permission {
                Permission::ContactOnFile => Steps::always(true),
                Permission::Permit => decision.steps.map(|decision| decision.outcome == consent::Outcome::Permit),
                Permission::WrittenPermit => decision.steps.map(|decision| decision.written),
            };
            Reach { channel: *channel, address, permitted, opted_out: self.opted_out(*channel, decision.question) }
        };
        channels.iter().map(reach).collect()
    }

    /// Where nothing may be sent on this channel (C17): what was reported of the person, and of any contact that the person
    /// has, whichever would be used.
    fn opted_out(&self, channel: Channel, question: (usize, Purpose)) -> Timeline {
        let recipient = &self.setting.definitions.policy.recipients[question.0].key;
        let counts = |one: &&Suppression| one.channel == channel && one.recipient.as_deref().is_none_or(|name| name == recipient);
        let mut out = Steps::always(false);
        for suppression in self.member.suppressions().filter(counts) {
            out = out.or(&self.stands(suppression, question));
        }
        for held in self.member.held() {
            for suppression in self.setting.broadcast.opt_outs.of(held, channel).filter(counts) {
                out = out.or(&held.when.and(&self.stands(suppression, question)));
            }
        }
        out
    }

    /// A suppression ends with a later Consent of the patient for that purpose, and comes back where that one ends.
    fn stands(&self, suppression: &Suppression, question: (usize, Purpose)) -> Timeline {
        let policy = &self.setting.definitions.policy;
        let consents: Vec<&Consent> = self.consents.iter().map(|(_, consent)| *consent).collect();
        let asked = Question { recipient: &policy.recipients[question.0], organisation: &policy.organisation, purpose: question.1 };
        consent::renewed(&consents, &asked, policy, suppression.since).not()
    }

    /// What time alone changes, as an age, changes by `later` after that; what consent hides is hidden at once.
    fn value(&self, id: audience::ValueId, decision: &Decided, recipient: usize, later: Span) -> Steps<Option<Phi<String>>> {
        let audience::Value { pick, form, .. } = &self.setting.definitions.catalogue.values[usize::from(id)];
        let better = |best: &Option<Offer>, other: &Option<Offer>| match (best, other) {
            (Some(a), Some(b)) if *pick == Pick::Latest => Some(audience::later(a, b).clone()),
            (Some(first), _) => Some(first.clone()),
            (None, other) => other.clone(),
        };
        // Most offers stand for all time: the best of them needs no timeline.
        let mut constant: Option<(usize, &Offer)> = None;
        let mut others: Vec<(usize, Cow<Steps<Option<Offer>>>)> = Vec::new();
        for (position, (_, evidence)) in self.evidence.iter().enumerate() {
            let Some((_, offers)) = evidence.values.iter().find(|(value, _)| *value == id) else { continue };
            match (decision.hides(position), offers) {
                (None, Offered::Always(offer)) => {
                    let replaces =
                        constant.is_none_or(|(_, best)| *pick == Pick::Latest && !std::ptr::eq(audience::later(best, offer), best));
                    if replaces {
                        constant = Some((position, offer));
                    }
                }
                (None, Offered::Over(offers)) if later == Span::ZERO => others.push((position, Cow::Borrowed(offers.as_ref()))),
                (None, Offered::Over(offers)) => others.push((position, Cow::Owned(moved_later(offers, later)))),
                (Some(hidden), Offered::Always(offer)) => {
                    others.push((position, Cow::Owned(hidden.map(|hidden| (!hidden).then(|| offer.clone())))));
                }
                (Some(hidden), Offered::Over(offers)) => {
                    let told = moved_later(offers, later).zip(hidden, |offer, hidden| if *hidden { None } else { offer.clone() });
                    others.push((position, Cow::Owned(told)));
                }
            }
        }
        // In the order of the evidence: of equal values, and of values picked by their place, the first counts.
        let mut best: Steps<Option<Offer>> = Steps::always(None);
        let mut constant = constant.map(|(place, offer)| (place, Steps::always(Some(offer.clone()))));
        for (position, offers) in others {
            if let Some((_, steps)) = constant.take_if(|(place, _)| *place < position) {
                best = best.zip(&steps, better);
            }
            best = best.zip(&offers, better);
        }
        if let Some((_, steps)) = constant {
            best = best.zip(&steps, better);
        }
        let zone = self.setting.definitions.zone();
        let text = |offer: &Offer| match (form, offer.text(*form, zone)) {
            (Form::Hash, text) => Phi::new(self.setting.member_keys[recipient].hash(text.reveal())),
            (Form::AsIs | Form::Month | Form::Year | Form::AgeBand | Form::Zip3, text) => text,
        };
        best.map(|offer| offer.as_ref().map(text))
    }
}

/// Each entry edge later and each exit edge earlier.
fn moved_inwards(eligible: &Timeline, amount: Span) -> Timeline {
    if eligible.constant().is_some() || amount == Span::ZERO {
        return eligible.clone();
    }
    let mut out = Steps::always(*eligible.first());
    let mut from = Instant::BEGIN;
    let close = |from: Instant, to: Instant, out: &mut Timeline| {
        let (later, earlier) = (from.plus(amount), to.minus(amount));
        if later < earlier {
            out.push(later, true);
            out.push(earlier, false);
        } else if from == Instant::BEGIN {
            *out = Steps::always(false);
        }
    };
    let mut open = *eligible.first();
    for (at, value) in eligible.changes() {
        if open {
            close(from, at, &mut out);
        }
        (from, open) = (at, *value);
    }
    if open {
        close(from, Instant::END, &mut out);
    }
    out
}

/// Each change later.
fn moved_later<T: Clone + PartialEq>(steps: &Steps<T>, amount: Span) -> Steps<T> {
    let mut out = Steps::always(steps.first().clone());
    for (at, value) in steps.changes() {
        out.push(at.plus(amount), value.clone());
    }
    out
}

fn way(channel: Channel) -> patient::Reach {
    match channel {
        Channel::Email => patient::Reach::Email,
        Channel::Sms => patient::Reach::Sms,
    }
}

/// Purpose follows from the class; whatever is paid for is marketing.
fn purpose_of(audience: &Audience) -> Purpose {
    match (audience.communication, audience.remuneration) {
        (Communication::Treatment, Remuneration::None) => Purpose::TREAT,
        (Communication::Operations, Remuneration::None) => Purpose::HOPERAT,
        (Communication::Marketing, _) | (_, Remuneration::Cost | Remuneration::Financial) => Purpose::HMARKT,
    }
}

fn basis_of(audience: &Audience, definitions: &Definitions) -> Basis {
    let bases = &definitions.policy.bases;
    match (audience.communication, audience.remuneration) {
        (Communication::Treatment, Remuneration::None) => bases.treatment,
        (Communication::Operations, Remuneration::None) => bases.operations,
        (Communication::Marketing, _) | (_, Remuneration::Cost | Remuneration::Financial) => bases.marketing,
    }
}

fn closed(grant: &Grant) -> Option<Closed> {
    match grant {
        Grant::Open => None,
        Grant::Closed(Cause::ConsentDenied) => Some(Closed::ConsentDenied),
        Grant::Closed(Cause::ConsentUnreadable) => Some(Closed::ConsentUnreadable),
        Grant::Closed(Cause::ConsentRevoked) => Some(Closed::ConsentRevoked),
        Grant::Closed(Cause::ConsentExpired) => Some(Closed::ConsentExpired),
        Grant::Closed(Cause::NotAuthorized) => Some(Closed::NotAuthorized),
        Grant::Closed(Cause::NoConsent) => Some(Closed::NoConsent),
    }
}

/// From the day on which the person surely has come of age in every state of residence on file; without a birth date
/// never, with a partial one as the youngest that it allows.
fn adult(patient: &PatientFacts, definitions: &Definitions) -> Timeline {
    let minors = &definitions.policy.minors;
    let by_state = minors.by_state.iter().filter(|(state, _)| patient.states.contains(state));
    let years = by_state.fold(minors.majority, |most, (_, years)| most.max(*years));
    let birth = match &patient.birth {
        Birth::Known(moment) => moment,
        Birth::Absent | Birth::Unreadable => return Steps::always(false),
    };
    let youngest = birth.last_day().unwrap_or(birth.local.date());
    let period = Period::months(i32::from(years) * 12);
    let Some(day) = period.add_to_date(youngest) else { return Steps::always(false) };
    // 29 February comes of age on 1 March.
    let day = if period.negated().add_to_date(day).is_some_and(|back| back < youngest) { day.tomorrow().ok() } else { Some(day) };
    let Some(day) = day else { return Steps::always(false) };
    let mut out = Steps::always(false);
    out.push(definitions.zone().start_of_day(day), true);
    out
}
