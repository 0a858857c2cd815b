//! `step`: an input applied to one member.

use super::adopt::take_over;
use super::decide::decide;
use super::input::{Content, Delete, Preference};
use super::member::{self, Merge, Waiting};
use super::merge::{Message, Parts};
use super::read::stand_in;
use super::release::Setting;
use super::touched::Touched;
use super::versions::Accepted;
use super::{Claim, Erased, Fact, HandOver, Input, Member, Ownership, Put, Step, Unclear, Versions};
use crate::audience::{Audience, Definitions, Evidence, Kept};
use crate::consent::{self, Purpose, Question};
use crate::fhir::{self, Version};
use crate::gate::Closed;
use crate::key::{Person, ResourceKey};
use crate::time::{Instant, Span};
use smallvec::smallvec;

/// When a step happens, and what may not be told then.
pub struct Moment<'a> {
    /// The stamp of the record, or the instant that the tick has reached.
    pub now: Instant,
    /// Behind: entries and updates wait for the end of the backlog.
    pub hold: bool,
    /// By audience: sources that feed it have not all made a first pass.
    pub silent: &'a [bool],
    /// Up to which instant the consent sources proved completeness, with the allowed age added.
    pub fresh_until: Instant,
}

impl Moment<'_> {
    /// A consent source has not proved itself for too long.
    pub(super) fn is_stale(&self) -> bool {
        self.now >= self.fresh_until
    }

    /// Why an entry or update of this audience must wait. Exits never do.
    pub(super) fn waits(&self, audience: usize) -> Option<Waiting> {
        if self.hold {
            return Some(Waiting::Hold);
        }
        if self.silent.get(audience).copied().unwrap_or(true) {
            return Some(Waiting::Baseline);
        }
        self.is_stale().then_some(Waiting::Feed)
    }
}

/// Applies one input to one member. Total: every input in every state has an outcome.
pub fn step(setting: &Setting, person: Person, member: &mut Member, versions: &mut Versions, moment: &Moment, input: Input) -> Step {
    let mut step = Step::default();
    let definitions = setting.definitions;
    let mut touched = Touched::default();
    let mut more = false;
    let (marks, known, survivor) = (member.survivor().map(|_| member.marks.clone()), versions.count(), member.survivor());
    let went_round = member.goes_round(person);
    match input {
        Input::Put(put) => {
            more = put.more;
            apply_put(setting, person, member, versions, moment, *put, &mut touched, &mut step);
        }
        Input::Delete(delete) => {
            // Gone to a person who was merged into this one, it comes back with a hand-over that may still be on its way: a
            // denial must not be missing in between. The next tick compares.
            more = delete.more || !member.merge.received.is_empty() && member.patient_key != Some(delete.key);
            apply_delete(definitions, person, member, versions, delete, &mut touched, &mut step);
        }
        Input::Unclear(unclear) => {
            more = unclear.more;
            apply_unclear(setting, person, member, versions, moment, unclear, &mut touched, &mut step);
        }
        Input::Preference(preference) => {
            apply_preference(member, moment.now, preference);
            touched = Touched::all(definitions);
        }
        Input::Confirmed(key) => {
            member.unconfirmed.retain(|waits| *waits != key);
            // It ends no group.
            more = member.open_group;
            touched = Touched::all(definitions);
        }
        Input::Awaits(key) => {
            // Before the baseline nothing enters, so that nobody need wait.
            if !moment.silent.iter().all(|silent| *silent) {
                if !member.unconfirmed.contains(&key) {
                    member.unconfirmed.push(key);
                }
                step.claims.push(Ownership::Asked { resource: key, person });
            }
            more = member.open_group;
        }
        Input::Message(message) => {
            apply_message(person, member, *message, &mut step);
            touched = Touched::all(definitions);
        }
        Input::Erase => {
            erase(setting, person, member, versions, moment, &mut step);
            return step;
        }
        Input::Adopt(adopt) => {
            take_over(definitions, person, member, versions, moment.now, *adopt, &mut step);
            touched = Touched::all(definitions);
            touched.by_definitions = true;
        }
        Input::Review => {
            touched = Touched::all(definitions);
            // A resource that all share may stand between two records of a group.
            more = member.open_group;
        }
        Input::Tick => {}
    }
    // The survivor has to hear of labels and of what links may lead to, too, whatever they are to this person's own records.
    let told = !touched.is_empty() || marks.is_some_and(|marks| marks != member.marks) || known != versions.count();
    if told {
        hand_over_again(person, member, versions, survivor.filter(|_| went_round), &mut step);
    }
    if more {
        member.open_group = true;
        if !touched.is_empty() {
            stops(setting, person, member, versions, moment, touched, &mut step);
        }
        return step;
    }
    if std::mem::take(&mut member.open_group) {
        // What the group touched is not kept: it may have begun before a restart.
        touched = Touched::all(definitions);
    }
    decide(setting, person, member, versions, moment, touched, &mut step);
    step
}

/// Within an open group only what must stop at once is told: a denial, an opt-out, a death. The rest is compared once,
/// after the group's last record.
fn stops(setting: &Setting, person: Person, member: &mut Member, versions: &Versions, moment: &Moment, moved: Touched, step: &mut Step) {
    let audiences = &setting.definitions.catalogue.audiences;
    let told = |audience: &usize| member.emitted(&audiences[*audience].name).is_some_and(|emitted| emitted.shown.is_some());
    let members: Vec<usize> = (0..audiences.len()).filter(|audience| moved.has(*audience)).filter(told).collect();
    if members.is_empty() {
        return;
    }
    let mut touched = Touched::default();
    {
        let mut desk = super::release::Desk::new(setting, person, member, versions);
        for audience in members {
            let unhidden = desk.unhidden(audience);
            if desk.release(audience, unhidden).at(moment.now).is_err_and(stops_at_once) {
                touched.add(audience);
            }
        }
    }
    if !touched.is_empty() {
        // Whatever else is due now waits for the group's end, unless it is an exit.
        decide(setting, person, member, versions, &Moment { hold: true, ..*moment }, touched, step);
    }
}

fn stops_at_once(closed: Closed) -> bool {
    match closed {
        Closed::Erased
        | Closed::Deceased
        | Closed::ConsentDenied
        | Closed::ConsentRevoked
        | Closed::ConsentExpired
        | Closed::NoConsent
        | Closed::NotAuthorized
        | Closed::ConsentUnreadable
        | Closed::OptedOut
        | Closed::Sensitive
        | Closed::Minor => true,
        Closed::Merged
        | Closed::MergePending
        | Closed::Inactive
        | Closed::Unreachable
        | Closed::NoIdentity
        | Closed::NoLongerQualified
        | Closed::DefinitionChanged
        | Closed::AudienceEnded
        | Closed::FeedStale
        | Closed::HeldBack
        | Closed::Stopped => false,
    }
}

#[expect(clippy::too_many_arguments, reason = "one member's state is two records; a struct for the call would only rename them")]
fn apply_put(
    setting: &Setting,
    person: Person,
    member: &mut Member,
    versions: &mut Versions,
    moment: &Moment,
    put: Put,
    touched: &mut Touched,
    step: &mut Step,
) {
    let definitions = setting.definitions;
    let accepted = versions.accept(put.key, put.version);
    if accepted == Accepted::Stale {
        step.facts.push(Fact::Stale);
        stale_consent(setting, member, versions, &put, moment.now, touched, step);
        return;
    }
    claim(person, member, accepted, &put, moment, step);
    take_in(definitions, person, member, accepted, put, touched, step);
}

/// What stood for the resource until now gives way to a version that was accepted.
fn take_in(
    definitions: &Definitions,
    person: Person,
    member: &mut Member,
    accepted: Accepted,
    put: Put,
    touched: &mut Touched,
    step: &mut Step,
) {
    if accepted == Accepted::First {
        // A link that pointed nowhere until now may have found its target.
        touch_linking(definitions, member, put.key, touched);
    }
    let Content { evidence, marks, patient, consent, replaces, replaced_by } = put.content;
    let marks = (!marks.is_empty()).then_some(marks);
    if marks.is_some() || member::find(&member.marks, put.key).is_some() {
        let before = member::place(&mut member.marks, put.key, marks.clone());
        if before != marks {
            touch_linking(definitions, member, put.key, touched);
            member::find(&member.evidence, put.key).iter().for_each(|evidence| touched.by(evidence, definitions));
        }
    }
    replace_evidence(definitions, member, put.key, evidence, touched);
    if let Some(patient) = patient {
        let links = (&member.merge.replaces, member.merge.replaced_by) != (&replaces, replaced_by);
        if member.patient.as_ref() != Some(&patient) || links {
            *touched = Touched::all(definitions);
        }
        // A link that cannot be read takes none back: what it was stays until it can be read.
        let (replaces, replaced_by) = match patient.link_unclear {
            true => (union(replaces, &member.merge.replaces), replaced_by.or(member.merge.replaced_by)),
            false => (replaces, replaced_by),
        };
        member.patient = Some(patient);
        member.patient_key = Some(put.key);
        relink(person, member, replaces, replaced_by, step);
    }
    if let Some(consent) = consent {
        lift_stale_restriction(definitions, member, put.key, put.version, touched);
        // A record whose version cannot be told is judged anew each time.
        if put.version != Version::UNORDERED && !member.superseded.contains(&(put.key, put.version)) {
            if member.superseded.len() == member::SUPERSEDED_MAX {
                member.superseded.remove(0);
            }
            member.superseded.push((put.key, put.version));
        }
        if member::place(&mut member.consents, put.key, Some((*consent).clone())).as_ref() != Some(&consent) {
            *touched = Touched::all(definitions);
        }
    }
}

fn union(mut persons: Vec<Person>, more: &[Person]) -> Vec<Person> {
    persons.extend(more);
    persons.sort_unstable();
    persons.dedup();
    persons
}

fn replace_evidence(definitions: &Definitions, member: &mut Member, key: ResourceKey, evidence: Option<Evidence>, touched: &mut Touched) {
    if evidence.is_none() && member.evidence.is_empty() {
        return;
    }
    if member::find(&member.evidence, key).map(|kept| &**kept) == evidence.as_ref() {
        return;
    }
    evidence.iter().for_each(|evidence| touched.by(evidence, definitions));
    let before = member::place(&mut member.evidence, key, evidence.map(Kept::new));
    before.iter().for_each(|before| touched.by(before, definitions));
    if !member.merge.received.is_empty() {
        // The same resource, on its way from one of two merged persons to the other, counts once: another copy may show now.
        *touched = Touched::all(definitions);
    }
}

fn touch_linking(definitions: &Definitions, member: &Member, target: ResourceKey, touched: &mut Touched) {
    let received = member.merge.received.iter().flat_map(|(_, _, parts)| &parts.evidence);
    for (_, evidence) in member.evidence.iter().chain(received) {
        if evidence.links.contains(&target) {
            touched.by(evidence, definitions);
        }
    }
}

/// A consent that comes late and would restrict more than what is on file closes the gate until a newer one comes.
fn stale_consent(
    setting: &Setting,
    member: &mut Member,
    versions: &Versions,
    put: &Put,
    now: Instant,
    touched: &mut Touched,
    step: &mut Step,
) {
    let Some(stale) = &put.content.consent else { return };
    let policy = &setting.definitions.policy;
    if member.superseded.contains(&(put.key, put.version)) {
        return;
    }
    // Deleted or moved away, there is nothing that it could restrict.
    let Some(current) = member::find(&member.consents, put.key) else { return };
    let purposes = [Purpose::TREAT, Purpose::HOPERAT, Purpose::HMARKT];
    let question = |recipient, purpose| Question { recipient, organisation: &policy.organisation, purpose };
    let questions: Vec<Question> =
        policy.recipients.iter().flat_map(|recipient| purposes.map(|purpose| question(recipient, purpose))).collect();
    let restricts = consent::restricts_more(stale, Some(current), &questions, policy, now);
    if restricts && let Some(version) = versions.of(put.key) {
        member::place(&mut member.stale_restrictions, put.key, Some(version));
        *touched = Touched::all(setting.definitions);
        step.facts.push(Fact::StaleRestriction);
    }
}

/// A newer version than the one that a late one met; the same one delivered again lifts nothing.
fn lift_stale_restriction(definitions: &Definitions, member: &mut Member, key: ResourceKey, version: Version, touched: &mut Touched) {
    if member::find(&member.stale_restrictions, key).is_some_and(|met| version > *met) {
        member::place(&mut member.stale_restrictions, key, None);
        *touched = Touched::all(definitions);
    }
}

/// Tells the owners of a resource accepted first, or of one whose persons changed.
fn claim(person: Person, member: &mut Member, accepted: Accepted, put: &Put, moment: &Moment, step: &mut Step) {
    let alone = put.shared.is_empty();
    let before = if member.shared.is_empty() { None } else { member::find(&member.shared, put.key).copied() };
    let digest = (!alone).then(|| digest_of(&put.shared));
    if accepted == Accepted::Newer && before == digest && put.order == fhir::Versions::LastUpdated {
        return;
    }
    if before != digest {
        member::place(&mut member.shared, put.key, digest);
    }
    let persons = if alone { smallvec![person] } else { put.shared.iter().copied().collect() };
    let asks = (accepted == Accepted::First && may_be_overtaken(put, moment)).then_some(person);
    if asks.is_some() && !member.unconfirmed.contains(&put.key) {
        member.unconfirmed.push(put.key);
    }
    step.claims.push(Ownership::Claim(Claim { resource: put.key, version: put.version, stamp: moment.now, persons, asks }));
}

/// A version younger than this arrives in time: what the owners heard before it is not newer.
const IN_TIME: Span = Span::minutes(1);

/// Whether the owners may know more than this version says: that it was deleted since, that it moved, or that nobody can
/// tell whose it is. Before the baseline nothing enters, so that nobody need wait.
fn may_be_overtaken(put: &Put, moment: &Moment) -> bool {
    let late = match put.order {
        fhir::Versions::LastUpdated => moment.now.since(Instant::from_micros(put.version.0)) > IN_TIME,
        // A number does not tell when.
        fhir::Versions::Id => true,
    };
    late && !moment.silent.iter().all(|silent| *silent)
}

fn digest_of(persons: &[Person]) -> u64 {
    // FNV-1a: it only has to notice a change.
    let bytes = persons.iter().flat_map(|person| *person.as_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn apply_delete(
    definitions: &Definitions,
    person: Person,
    member: &mut Member,
    versions: &mut Versions,
    delete: Delete,
    touched: &mut Touched,
    step: &mut Step,
) {
    if versions.leave(delete.key, delete.version) == Accepted::Stale {
        step.facts.push(Fact::Stale);
        // The owners hear of first versions and of moves only: they may take an older version of somebody else for the newest.
        if let Some(version) = versions.of(delete.key).filter(|_| versions.knows(delete.key)) {
            step.claims.push(Ownership::Held { resource: delete.key, version, person });
        }
        return;
    }
    replace_evidence(definitions, member, delete.key, None, touched);
    // What links to it leads nowhere now.
    member::place(&mut member.marks, delete.key, None);
    touch_linking(definitions, member, delete.key, touched);
    lift_stale_restriction(definitions, member, delete.key, delete.version, touched);
    member::place(&mut member.shared, delete.key, None);
    if member::place(&mut member.consents, delete.key, None).is_some() {
        *touched = Touched::all(definitions);
    }
    if member.patient_key == Some(delete.key) {
        member.patient = None;
        member.patient_key = None;
        relink(person, member, Vec::new(), None, step);
        *touched = Touched::all(definitions);
    }
}

/// The owners sent it, and know whose the resource was: there is nothing to claim.
#[expect(clippy::too_many_arguments, reason = "as for a put")]
fn apply_unclear(
    setting: &Setting,
    person: Person,
    member: &mut Member,
    versions: &mut Versions,
    moment: &Moment,
    unclear: Unclear,
    touched: &mut Touched,
    step: &mut Step,
) {
    let Unclear { key, version, kind, more } = unclear;
    let content = stand_in(setting.definitions, &kind);
    let put = Put { key, version, order: fhir::Versions::LastUpdated, more, shared: Vec::new(), content };
    match versions.accept(key, version) {
        Accepted::Stale => {
            step.facts.push(Fact::Stale);
            stale_consent(setting, member, versions, &put, moment.now, touched, step);
        }
        accepted @ (Accepted::First | Accepted::Newer) => take_in(setting.definitions, person, member, accepted, put, touched, step),
    }
}

fn apply_preference(member: &mut Member, now: Instant, preference: Preference) {
    member.suppressions.retain(|suppression| !preference.is_about(suppression));
    if preference.opted_out {
        // Said again it stands against a Consent that came in between (C17).
        member.suppressions.push(preference.suppression(now));
    }
}

fn apply_message(person: Person, member: &mut Member, message: Message, step: &mut Step) {
    match message {
        Message::HandOver(hand_over) => {
            let taken = member.receive(person, *hand_over);
            if taken && member.goes_round(person) {
                step.facts.push(Fact::MergeCycle);
            } else if taken {
                step.facts.push(Fact::HandedOver);
            }
        }
        Message::Replaced { by, holds } => {
            let before = member.survivor();
            member.merge.claimed_by.retain(|claimer| *claimer != by);
            if holds {
                member.merge.claimed_by.push(by);
                member.merge.claimed_by.sort_unstable();
            } else {
                take_back(person, member, by, step);
            }
            // Of several who claim this person one counts; another has what was handed over to it taken back.
            if let Some(before) = before.filter(|before| *before != by && Some(*before) != member.survivor()) {
                take_back(person, member, before, step);
            }
        }
    }
}

/// Follows a Patient's links: tells those it replaces, takes a hand-over back from a survivor it no longer names.
fn relink(person: Person, member: &mut Member, replaces: Vec<Person>, replaced_by: Option<Person>, step: &mut Step) {
    for old in member.merge.replaces.iter().filter(|old| !replaces.contains(old)) {
        // Given back at once; if the old person itself says that it was replaced, it hands over again.
        if let Some((_, _, parts)) = member.merge.received.iter_mut().find(|(from, ..)| from == old) {
            *parts = Parts::default();
        }
        step.messages.push((*old, Message::Replaced { by: person, holds: false }));
    }
    for old in replaces.iter().filter(|old| !member.merge.replaces.contains(old)) {
        step.messages.push((*old, Message::Replaced { by: person, holds: true }));
    }
    member.merge.replaces = replaces;
    let before = member.survivor();
    member.merge.replaced_by = replaced_by;
    if let Some(survivor) = before.filter(|survivor| Some(*survivor) != member.survivor()) {
        take_back(person, member, survivor, step);
    }
}

fn take_back(person: Person, member: &mut Member, survivor: Person, step: &mut Step) {
    member.merge.sent += 1;
    let empty = HandOver { from: person, number: member.merge.sent, parts: None };
    step.messages.push((survivor, Message::HandOver(Box::new(empty))));
}

/// A person merged away sends the survivor what its records amount to now.
///
/// `knows`: who was its survivor before, and was told already that what it sends goes round in a circle.
fn hand_over_again(person: Person, member: &mut Member, versions: &Versions, knows: Option<Person>, step: &mut Step) {
    let Some(survivor) = member.survivor() else { return };
    // Within a circle the parts would go round for ever. Told of it once, the survivor is closed until the circle ends, and does not go on
    // with parts from before it; a new survivor is outside it, or finds it out.
    if knows == Some(survivor) && member.goes_round(person) {
        return;
    }
    member.merge.sent += 1;
    let parts = Some(member.parts(person, versions.keys()));
    let hand_over = HandOver { from: person, number: member.merge.sent, parts };
    // First of all messages: a survivor that was merged into this person until now may not stand alone without these parts.
    step.messages.insert(0, (survivor, Message::HandOver(Box::new(hand_over))));
}

/// Exits everywhere, then forgets all but the counters, which must never repeat.
fn erase(setting: &Setting, person: Person, member: &mut Member, versions: &mut Versions, moment: &Moment, step: &mut Step) {
    let (merged, survivor) = (member.merged_into_it(), member.survivor());
    let emitted = std::mem::take(&mut member.emitted);
    let Merge { sent, claimed_by, replaces, .. } = std::mem::take(&mut member.merge);
    // That others replace this person is theirs to take back. The number goes on, or no survivor would believe a later hand-over.
    let merge = Merge { sent, claimed_by, ..Merge::default() };
    *member = Member { emitted, merge, erased: true, ..Member::default() };
    *versions = Versions::default();
    step.messages.extend(replaces.into_iter().map(|old| (old, Message::Replaced { by: person, holds: false })));
    // The survivor forgets what came from here.
    if let Some(survivor) = survivor.filter(|survivor| Some(*survivor) != member.survivor()) {
        take_back(person, member, survivor, step);
    }
    hand_over_again(person, member, versions, None, step);
    decide(setting, person, member, versions, moment, Touched::all(setting.definitions), step);
    member.erased = false;
    // Where nobody was ever told, nothing is to be counted: it is as if landing had never had the person.
    member.emitted.retain(|(_, emitted)| emitted.seq > 0);
    step.erased = Some(Box::new(Erased { names: names(setting, person, member), merged }));
}

/// Under which names recipients were ever told of the person, an audience each.
fn names(setting: &Setting, person: Person, member: &Member) -> Vec<(Box<str>, String)> {
    let recipients = &setting.definitions.policy.recipients;
    let told = |audience: &&Audience| member.emitted(&audience.name).is_some_and(|emitted| emitted.seq > 0);
    let name = |audience: &Audience| {
        let place = recipients.iter().position(|recipient| recipient.key == audience.recipient);
        let key = &setting.member_keys[place.expect("an audience's recipient is checked when it is read")];
        (audience.name.as_str().into(), key.member(person))
    };
    setting.definitions.catalogue.audiences.iter().filter(told).map(name).collect()
}
