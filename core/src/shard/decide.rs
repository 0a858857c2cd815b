//! What to tell: the difference between what each audience was last told of a member and its release now.
//!
//! In: a member, what may have moved, the instant. Out: at most one event an audience, and when to look again.
//! Never here: how release comes about.

use super::adopt::is_of_definitions;
use super::member::{Emitted, Waiting};
use super::release::{Desk, Setting};
use super::step::Moment;
use super::touched::Touched;
use super::{Fact, Member, Step, Told, Versions};
use crate::consent::OnStale;
use crate::gate::{self, Change, Closed, Enter, Grant, Identity, Leave, Release, Shown, Transition, Update};
use crate::key::Person;
use crate::phi::Phi;
use crate::time::{Instant, Span};

/// How far ahead or back a timeline is searched for an edge that shows; beyond it the member is looked at again.
const EDGES_MAX: usize = 256;

/// Compares each audience in `touched`, and each whose time has come.
pub(super) fn decide(
    setting: &Setting,
    person: Person,
    member: &mut Member,
    versions: &Versions,
    moment: &Moment,
    touched: Touched,
    step: &mut Step,
) {
    let audiences = &setting.definitions.catalogue.audiences;
    let due = |member: &Member, name: &str| member.emitted(name).is_some_and(|emitted| emitted.due <= moment.now);
    let moved: Vec<usize> =
        (0..audiences.len()).filter(|audience| touched.has(*audience) || due(member, &audiences[*audience].name)).collect();
    if moved.is_empty() {
        return;
    }
    let mut decided = Vec::with_capacity(moved.len());
    {
        let mut desk = Desk::new(setting, person, member, versions);
        for audience in moved {
            let before = member.emitted(&audiences[audience].name).cloned().unwrap_or_default();
            let unhidden = desk.unhidden(audience);
            if before.shown.is_none() && unhidden.constant() == Some(&false) {
                // Nothing was told, and nothing can be: what else decides need not be worked out.
                let rest = Emitted { due: Instant::END, waiting: None, ..before.clone() };
                decided.push((audience, before, rest, None));
                continue;
            }
            let mut release = desk.release(audience, unhidden);
            if release.barred == Some(Closed::NoIdentity) {
                release.barred = None;
                step.facts.extend(release.at(moment.now).is_ok().then_some(Fact::NoIdentity));
                release.barred = Some(Closed::NoIdentity);
            }
            let by_time = !touched.has(audience);
            let waits = moment.waits(audience).or(member.awaits().then_some(Waiting::Hold));
            let mut verdict = look(&release, &before, moment, by_time, waits, audience, &lease(setting, person, audience));
            if touched.by_definitions && before.due > moment.now {
                // The records are the same, and time alone would not have closed it.
                verdict.transition = verdict.transition.map(as_definitions_closed_it);
            }
            let told = verdict.transition.and_then(|(transition, after)| {
                let grant = Grant::at(&release, transition.effective);
                let (effective, shown) = (transition.effective, after.shown.is_some());
                match gate::gate(transition, grant.as_ref()) {
                    Ok(permitted) => {
                        let at = if shown { effective } else { moment.now };
                        Some((permitted, after, desk.consents_behind(audience, at)))
                    }
                    Err(_) => {
                        step.facts.push(Fact::Denied);
                        None
                    }
                }
            });
            decided.push((audience, before, verdict.rest, told));
        }
    }
    for (audience, before, rest, told) in decided {
        let definition = &audiences[audience];
        let Some((permitted, after, consents)) = told else {
            // Nothing worth keeping of an audience that never concerned the person and never will by itself.
            if rest != Emitted::default() || member.emitted(&definition.name).is_some() {
                *member.emitted_mut(&definition.name) = rest;
            }
            continue;
        };
        let seq = before.seq + 1;
        let place = setting.definitions.policy.recipients.iter().position(|recipient| recipient.key == definition.recipient);
        let place = place.expect("an audience's recipient is checked when it is read");
        let recipient = &setting.definitions.policy.recipients[place];
        let name = setting.member_keys[place].member(person);
        let identity = identity(member, recipient);
        let event = gate::project(permitted, definition, recipient, &setting.definitions.policy, name, identity, seq);
        *member.emitted_mut(&definition.name) = Emitted { seq, episode: event.episode(), ..after };
        step.told.push(Told { event, recipient: definition.recipient.as_str().into(), consents });
    }
}

pub(super) fn identity(member: &Member, recipient: &crate::consent::Recipient) -> Option<Identity> {
    let crate::consent::Identify::Identifier { system } = &recipient.identify else { return None };
    let usable = |(name, value): &&(String, Phi<String>)| name == system && !value.reveal().trim().is_empty();
    let known = member.patient.as_ref()?.identifiers.iter().find(usable)?;
    Some(Identity { system: system.clone(), value: known.1.clone() })
}

/// Whether the recipient is to be told who it is and cannot be.
pub(super) fn lacks_identity(member: &Member, recipient: &crate::consent::Recipient) -> bool {
    matches!(recipient.identify, crate::consent::Identify::Identifier { .. }) && identity(member, recipient).is_none()
}

fn as_definitions_closed_it((transition, after): (Transition, Emitted)) -> (Transition, Emitted) {
    let closed = Closed::DefinitionChanged;
    let change = match transition.change {
        Change::Exited(_, why) if is_of_definitions(why) => Change::Exited(closed.leave(), closed),
        other @ (Change::Exited(..) | Change::Entered(..) | Change::Updated(..)) => other,
    };
    (Transition { change, ..transition }, after)
}

/// How long a membership may be trusted.
struct Lease {
    span: Span,
    /// How long after it was given it is renewed: spread over its last quarter.
    renew_after: Span,
    on_stale: OnStale,
}

fn lease(setting: &Setting, person: Person, audience: usize) -> Lease {
    let policy = &setting.definitions.policy;
    let quarter = (policy.lease.0 / 4).max(1);
    let name = &setting.definitions.catalogue.audiences[audience].name;
    let share = setting.keys.amount(person, name, "renew") % quarter.unsigned_abs();
    let renew_after = Span(policy.lease.0 - quarter + i64::try_from(share).expect("a share of a quarter lease"));
    Lease { span: policy.lease, renew_after, on_stale: policy.feed.on_stale }
}

struct Verdict {
    /// What to tell, with what is on file afterwards (but for `seq` and `episode`).
    transition: Option<(Transition, Emitted)>,
    /// What is on file if nothing is told.
    rest: Emitted,
}

fn look(
    release: &Release,
    before: &Emitted,
    moment: &Moment,
    by_time: bool,
    waits: Option<Waiting>,
    audience: usize,
    lease: &Lease,
) -> Verdict {
    let now = moment.now;
    let shown = release.at(now);
    let digest = shown.as_ref().ok().map(Shown::digest);
    let edge = next_edge(release, now, digest);
    // The edge that was told as the end has moved away: it is told again before that.
    let moved_on = before.shown.is_some() && before.renew == Instant::END && before.until < edge;
    let renew_at = if moved_on { before.until.minus(Span(lease.span.0 - lease.renew_after.0)) } else { before.renew };
    let quiet = |waiting: Option<Waiting>| {
        let (renew, due) = match (before.shown, waiting) {
            (None, _) => (before.renew, edge),
            (Some(_), None) => (renew_at, edge.min(renew_at)),
            // Not renewed meanwhile, it ends with the lease if the feed is stale then, or as soon as it is.
            (Some(_), Some(_)) => (renew_at, edge.min(before.until.max(moment.fresh_until))),
        };
        Verdict { transition: None, rest: Emitted { renew, due, waiting, ..before.clone() } }
    };
    let trusted_until = match (moment.is_stale(), lease.on_stale) {
        (false, _) => Instant::END,
        (true, OnStale::Lease) => before.until,
        (true, OnStale::ExitNow) => moment.fresh_until,
    };
    // Never back behind what was told before.
    let effective = |at: Instant| at.max(before.effective);
    let edge_at = |same: &dyn Fn(&Result<Shown, Closed>) -> bool| match by_time && before.waiting.is_none() {
        true => effective(began(release, now, same).min(now)),
        false => effective(now),
    };
    let (change, effective, episode, since) = match (before.shown, shown) {
        (None, Err(_)) => return quiet(None),
        (None, Ok(_)) if waits.is_some() => return quiet(waits),
        (None, Ok(shown)) => {
            let at = edge_at(&|other| other.as_ref().ok() == Some(&shown));
            match before.paused {
                true => (Change::Entered(Enter::Resumed, shown), at, Some(before.episode), before.since),
                false => (Change::Entered(Enter::Qualified, shown), at, None, at),
            }
        }
        (Some(_), Err(closed)) => {
            let at = edge_at(&|other| other.is_err());
            (Change::Exited(closed.leave(), closed), at, Some(before.episode), before.since)
        }
        // Whatever else an entry or update would wait for.
        (Some(_), Ok(_)) if trusted_until <= now => {
            (Change::Exited(Closed::FeedStale.leave(), Closed::FeedStale), effective(trusted_until), Some(before.episode), before.since)
        }
        (Some(told), Ok(shown)) => {
            let changed = Some(told) != digest;
            if !changed && renew_at > now && waits.is_none() {
                return quiet(None);
            }
            if waits.is_some() {
                // The lease runs on; it is not renewed while it may not be.
                return quiet(waits);
            }
            if changed {
                let at = edge_at(&|other| other.as_ref().ok() == Some(&shown));
                (Change::Updated(Update::Changed, shown), at, Some(before.episode), before.since)
            } else {
                (Change::Updated(Update::Renewed, shown), effective(now), Some(before.episode), before.since)
            }
        }
    };
    let entered = !matches!(change, Change::Exited(..));
    let paused = matches!(change, Change::Exited(Leave::Paused, _));
    let lease_end = now.plus(lease.span);
    let left_stale = matches!(change, Change::Exited(_, Closed::FeedStale));
    let until = entered.then_some(edge.min(lease_end));
    let renew = if entered && lease_end < edge { now.plus(lease.renew_after) } else { Instant::END };
    let after = Emitted {
        seq: before.seq,
        episode: before.episode,
        since,
        effective,
        shown: if entered { digest } else { None },
        paused,
        until: until.unwrap_or(effective),
        renew,
        due: edge.min(renew),
        // Who left for want of proof comes back with it.
        waiting: left_stale.then_some(waits.unwrap_or(Waiting::Feed)),
    };
    let transition = Transition { audience, change, effective, since, episode, until };
    // Refused by the gate, it is looked at again when something changes.
    let rest = Emitted { due: edge, ..before.clone() };
    Verdict { transition: Some((transition, after)), rest }
}

/// The first instant after `now` at which something else would be shown.
fn next_edge(release: &Release, now: Instant, digest: Option<u64>) -> Instant {
    if release.barred.is_some() {
        return Instant::END;
    }
    let mut at = now;
    for _ in 0..EDGES_MAX {
        at = release.next_change(at);
        if at == Instant::END || release.at(at).ok().map(|shown| shown.digest()) != digest {
            return at;
        }
    }
    at
}

/// The instant at which what holds at `now` began.
fn began(release: &Release, now: Instant, same: &dyn Fn(&Result<Shown, Closed>) -> bool) -> Instant {
    let mut at = now;
    for _ in 0..EDGES_MAX {
        let change = release.last_change(at);
        if change == Instant::BEGIN {
            return now;
        }
        let before = Instant::from_micros(change.micros() - 1);
        if !same(&release.at(before)) {
            return change;
        }
        at = before;
    }
    now
}
