//! `now()` and `today()` in comparisons: the value at an instant, and the instants at which it flips.
//!
//! In: a date of a resource, a relation, a moved clock, a zone. Out: truth at an instant, and until when.
//! Never here: a guess. Every flip is exact to the microsecond, at month ends and clock changes too.
//!
//! A threshold divides time by `clock(t) >= threshold`. The clock is not monotone: 30 March less a month is later
//! in its day than 29 March, late, less a month, and wall clocks are put back. So a threshold has a short list of flips.

use super::moments::Relation;
use crate::time::{Instant, Moment, Period, Precision, Span, Zone};
use jiff::civil::{Date, DateTime};
use smallvec::{SmallVec, smallvec};
use std::cmp::Ordering;

/// `now()` or `today()`, moved by at most one amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// An instant. Years, months and days move the wall clock's reading in the zone; shorter amounts move the instant.
    Now(Period),
    /// A day in the zone, moved by years, months or days.
    Today(Period),
}

/// From each of these on, in turn, the threshold is passed, not passed, passed … Almost always one.
type Flips = SmallVec<[Instant; 3]>;

/// Whether `moment RELATION clock` holds at `at` (`None`: precision runs out), and the first later instant at which it may not.
pub fn compare(moment: &Moment, relation: Relation, clock: Clock, zone: &Zone, at: Instant) -> (Option<bool>, Instant) {
    let exact = match clock {
        Clock::Now(_) => moment.precision == Precision::Second,
        Clock::Today(_) => moment.precision == Precision::Day,
    };
    let before = relation.holds(Ordering::Greater);
    let within = if exact { relation.holds(Ordering::Equal) } else { None };
    let after = relation.holds(Ordering::Less);
    let mut until = Instant::END;
    // Is the clock past all that the moment may mean, then: has it reached it?
    if within != after && passed(&past(moment, clock, zone), at, &mut until) {
        return (after, until);
    }
    if before != within && passed(&reached(moment, clock, zone), at, &mut until) {
        return (within, until);
    }
    (if before == within { within } else { before }, until)
}

fn passed(flips: &Flips, at: Instant, until: &mut Instant) -> bool {
    let done = flips.partition_point(|flip| *flip <= at);
    if let Some(next) = flips.get(done) {
        *until = (*until).min(*next);
    }
    done % 2 == 1
}

fn reached(moment: &Moment, clock: Clock, zone: &Zone) -> Flips {
    match clock {
        Clock::Now(period) => now_from(moment.earliest(zone), period, zone),
        Clock::Today(period) => match first_day(moment, zone) {
            Some(day) => today_from(day, period, zone),
            None => smallvec![],
        },
    }
}

fn past(moment: &Moment, clock: Clock, zone: &Zone) -> Flips {
    match clock {
        Clock::Now(period) => {
            let past = if moment.precision == Precision::Minute { moment.earliest(zone).plus(Span::minutes(1)) } else { moment.past(zone) };
            now_from(past, period, zone)
        }
        Clock::Today(period) => match moment.last_day().or_else(|| first_day(moment, zone)).and_then(|day| day.tomorrow().ok()) {
            Some(day) => today_from(day, period, zone),
            None => smallvec![],
        },
    }
}

/// The first day in the zone that the moment may mean.
fn first_day(moment: &Moment, zone: &Zone) -> Option<Date> {
    if moment.has_time() && moment.offset.is_some() { Some(zone.local(moment.earliest(zone))?.date()) } else { Some(moment.local.date()) }
}

/// When `today() + period` is `day` or later.
fn today_from(day: Date, period: Period, zone: &Zone) -> Flips {
    let later = |from: Date| period.add_to_date(from).map_or(period.months > 0 || period.days > 0, |moved| moved >= day);
    let Some(mut first) = period.negated().add_to_date(day) else { return beyond(period) };
    // Moving a date is monotone, so a few steps find the first day.
    while !later(first) {
        let Ok(next) = first.tomorrow() else { return smallvec![] };
        first = next;
    }
    while let Some(earlier) = first.yesterday().ok().filter(|earlier| later(*earlier)) {
        first = earlier;
    }
    let from = zone.start_of_day(first);
    let steady = first.at(3, 0, 0, 0);
    if zone.local(from.plus(Span::hours(3))) == Some(steady) {
        return smallvec![from];
    }
    // The clock may be put back over midnight: the day before comes again for a while.
    if let Some(change) = zone.next_transition(from)
        && let Some(reading) = zone.local(change).filter(|reading| reading.date() < first)
    {
        return smallvec![from, change, change.plus(length(reading, first.at(0, 0, 0, 0)))];
    }
    smallvec![from]
}

/// When `now() + period` is `threshold` or later.
fn now_from(threshold: Instant, period: Period, zone: &Zone) -> Flips {
    if !threshold.is_real() {
        return if threshold == Instant::BEGIN { smallvec![Instant::BEGIN] } else { smallvec![] };
    }
    if period.months == 0 && period.days == 0 {
        return smallvec![threshold.minus(Span(period.micros))];
    }
    let Some(reading) = zone.local(threshold) else { return beyond(period) };
    let Some(day) = period.negated().add_to_date(reading.date()) else { return beyond(period) };
    let middle = zone.instant(DateTime::from_parts(day, reading.time()));
    if !middle.is_real() {
        return beyond(period);
    }
    if ordinary(day, reading.date(), period) && steady(zone, threshold) && steady(zone, middle) {
        return smallvec![middle];
    }
    search(threshold, period, zone, middle)
}

/// The threshold lies outside the calendar: a clock moved ahead is always past it, one moved back never comes to it.
fn beyond(period: Period) -> Flips {
    if period.months > 0 || period.days > 0 { smallvec![Instant::BEGIN] } else { smallvec![] }
}

/// Whether the days around `day` are moved to the days around `target`, each to its own: no month end near.
fn ordinary(day: Date, target: Date, period: Period) -> bool {
    let moved = |from: Result<Date, jiff::Error>| from.ok().and_then(|from| period.add_to_date(from));
    moved(Ok(day)) == Some(target) && moved(day.yesterday()) == target.yesterday().ok() && moved(day.tomorrow()) == target.tomorrow().ok()
}

/// Whether no clock is changed within 26 hours: wall clock and time run alike.
fn steady(zone: &Zone, around: Instant) -> bool {
    match zone.next_transition(around.minus(Span::hours(26))) {
        Some(change) => change > around.plus(Span::hours(26)),
        None => true,
    }
}

/// `now() + period` at `at`, read literally.
fn moved(at: Instant, period: Period, zone: &Zone) -> Instant {
    match zone.local(at).map(|reading| period.add_to_local(reading)) {
        Some(Some(reading)) => zone.instant(reading),
        Some(None) if period.months > 0 || period.days > 0 => Instant::END,
        Some(None) => Instant::BEGIN,
        None => at,
    }
}

/// Beyond this from the middle no month end and no clock change can matter.
const WINDOW: Span = Span::days(6);

/// The careful way: between two cuts the moved clock runs monotonely, so a binary search in each finds every flip.
fn search(threshold: Instant, period: Period, zone: &Zone, middle: Instant) -> Flips {
    let reached = |at: Instant| moved(at, period, zone) >= threshold;
    let mut flips = Flips::new();
    let mut now = false;
    let cuts = cuts(threshold, period, zone, middle);
    for pair in cuts.windows(2) {
        let (from, last) = (pair[0], pair[1].minus(Span(1)));
        if reached(from) != now {
            now = !now;
            flips.push(from);
        }
        if last > from && reached(last) != now {
            let (mut before, mut after) = (from, last);
            while after.since(before) > Span(1) {
                let half = before.plus(Span(after.since(before).0 / 2));
                if reached(half) == now { before = half } else { after = half }
            }
            now = !now;
            flips.push(after);
        }
    }
    flips
}

/// Starts of days, changes of the clock, and the readings that lead into and out of a change at the target.
fn cuts(threshold: Instant, period: Period, zone: &Zone, middle: Instant) -> Vec<Instant> {
    let (from, to) = (middle.minus(WINDOW), middle.plus(WINDOW));
    let mut cuts = vec![from, to];
    cuts.extend(changes(zone, from, to));
    let mut readings = Vec::new();
    for change in changes(zone, threshold.minus(Span::days(14)), threshold.plus(Span::days(14))) {
        readings.extend(zone.local(change));
        readings.extend(zone.local(change.minus(Span(1))).and_then(|last| last.checked_add(jiff::SignedDuration::from_micros(1)).ok()));
    }
    let mut day = zone.local(from).map(jiff::civil::DateTime::date);
    while let Some(here) = day.filter(|day| zone.start_of_day(*day) < to) {
        cuts.push(zone.start_of_day(here));
        for reading in readings.iter().filter(|reading| period.add_to_date(here) == Some(reading.date())) {
            let own = DateTime::from_parts(here, reading.time());
            cuts.push(zone.instant(own));
            cuts.extend(zone.tz().to_ambiguous_timestamp(own).later().ok().map(Instant::from));
        }
        day = here.tomorrow().ok();
    }
    cuts.retain(|cut| (from..=to).contains(cut));
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

fn changes(zone: &Zone, from: Instant, to: Instant) -> Vec<Instant> {
    let mut out = Vec::new();
    let mut at = from;
    while let Some(change) = zone.next_transition(at).filter(|change| *change < to) {
        out.push(change);
        at = change;
    }
    out
}

fn length(from: DateTime, to: DateTime) -> Span {
    let micros = to.duration_since(from).as_micros();
    // A clock change is some hours at most.
    Span(i64::try_from(micros).unwrap_or(0))
}
