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

/// A comparison with a clock over all time: what holds before the clock reaches the moment, while it may mean the same, and after.
pub struct Passage {
    before: Option<bool>,
    within: Option<bool>,
    after: Option<bool>,
    reached: Flips,
    past: Flips,
}

impl Passage {
    /// Of `moment RELATION clock`, from an instant on.
    pub fn from(at: Instant, moment: &Moment, relation: Relation, clock: Clock, zone: &Zone) -> Passage {
        if long_past(at, moment, clock) {
            let after = relation.holds(Ordering::Less);
            return Passage { before: after, within: after, after, reached: Flips::new(), past: Flips::new() };
        }
        Passage::of(moment, relation, clock, zone)
    }

    /// Of `moment RELATION clock`.
    fn of(moment: &Moment, relation: Relation, clock: Clock, zone: &Zone) -> Passage {
        let exact = match clock {
            Clock::Now(_) => moment.precision == Precision::Second,
            Clock::Today(_) => moment.precision == Precision::Day,
        };
        let before = relation.holds(Ordering::Greater);
        let within = if exact { relation.holds(Ordering::Equal) } else { None };
        let after = relation.holds(Ordering::Less);
        // A threshold at which nothing changes need not be found.
        let reached = if before == within { Flips::new() } else { reached(moment, clock, zone) };
        let past = if within == after { Flips::new() } else { past(moment, clock, zone) };
        Passage { before, within, after, reached, past }
    }

    /// Whether it holds at `at` (`None`: precision runs out), and the first later instant at which that may change.
    pub fn at(&self, at: Instant) -> (Option<bool>, Instant) {
        let (is_past, past_until) = passed(&self.past, at);
        let (is_reached, reached_until) = passed(&self.reached, at);
        let until = past_until.min(reached_until);
        match (is_past, is_reached || self.before == self.within) {
            (true, _) => (self.after, until),
            (false, true) => (self.within, until),
            (false, false) => (self.before, until),
        }
    }
}

/// Whether the clock has surely left the moment behind by `at`, and for ever: most of a record's dates, told without a calendar.
fn long_past(at: Instant, moment: &Moment, clock: Clock) -> bool {
    let (Clock::Now(period) | Clock::Today(period)) = clock;
    let width = match moment.precision {
        Precision::Year => Span::days(366),
        Precision::Month => Span::days(31),
        Precision::Day | Precision::Minute | Precision::Second => Span::days(1),
    };
    // How far the clock is moved back at most.
    let days = 31 * i64::from(period.months).min(0).abs() + i64::from(period.days).min(0).abs();
    let back = Span::days(days).0.saturating_add(period.micros.min(0).saturating_abs());
    moment.roughly().plus(width).plus(Span(back)).plus(WINDOW).plus(WINDOW) < at
}

fn passed(flips: &Flips, at: Instant) -> (bool, Instant) {
    let done = flips.partition_point(|flip| *flip <= at);
    (done % 2 == 1, flips.get(done).copied().unwrap_or(Instant::END))
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
    // Where midnight and three o'clock are three hours apart, no clock is changed between them.
    let midnight = zone.instant(first.at(0, 0, 0, 0));
    if zone.local(midnight) == Some(first.at(0, 0, 0, 0)) && zone.local(midnight.plus(Span::hours(3))) == Some(first.at(3, 0, 0, 0)) {
        return smallvec![midnight];
    }
    let from = zone.start_of_day(first);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhirpath::moments;
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    const RELATIONS: [Relation; 6] =
        [Relation::Equal, Relation::NotEqual, Relation::Less, Relation::LessOrEqual, Relation::Greater, Relation::GreaterOrEqual];

    /// The comparison read literally: the clock is moved, then compared part by part.
    fn naive(moment: &Moment, relation: Relation, clock: Clock, zone: &Zone, at: Instant) -> Option<bool> {
        let reading = zone.local(at).expect("a real instant");
        let other = match clock {
            Clock::Today(period) => Moment::day(period.add_to_date(reading.date()).expect("within the calendar")),
            Clock::Now(period) => {
                let moved = match period.micros {
                    0 if period != Period::default() => zone.instant(period.add_to_local(reading).expect("within the calendar")),
                    micros => at.plus(Span(micros)),
                };
                Moment { local: Zone::utc().local(moved).expect("a real instant"), precision: Precision::Second, offset: Some(0) }
            }
        };
        relation.holds(moments::order(moment, &other, zone)?)
    }

    fn compare(moment: &Moment, relation: Relation, clock: Clock, zone: &Zone, at: Instant) -> (Option<bool>, Instant) {
        Passage::of(moment, relation, clock, zone).at(at)
    }

    /// All instants at which the answer may change.
    fn instants(moment: &Moment, relation: Relation, clock: Clock, zone: &Zone) -> Vec<Instant> {
        let (_, mut until) = compare(moment, relation, clock, zone, Instant::BEGIN);
        let mut out = Vec::new();
        while until != Instant::END {
            assert!(out.last().is_none_or(|last| *last < until), "until makes progress");
            out.push(until);
            until = compare(moment, relation, clock, zone, until).1;
        }
        out
    }

    fn check(moment: &Moment, relation: Relation, clock: Clock, zone: &Zone, around: &[i64]) {
        let (flips, passage) = (instants(moment, relation, clock, zone), Passage::of(moment, relation, clock, zone));
        assert!(flips.len() <= 24, "{flips:?}");
        let mut samples: Vec<Instant> = flips.iter().flat_map(|flip| [flip.minus(Span(1)), *flip, flip.tick()]).collect();
        let middle = flips.first().copied().unwrap_or(Instant::from_micros(1_500_000_000_000_000));
        samples.extend(around.iter().map(|offset| middle.plus(Span(*offset))));
        samples.extend([-40_000, -400, -10, 10, 400, 40_000].map(|days| middle.plus(Span::days(days))));
        for at in samples.into_iter().filter(|at| zone.local(*at).is_some_and(|reading| (1000..9000).contains(&reading.year()))) {
            let (truth, until) = passage.at(at);
            assert_eq!(truth, naive(moment, relation, clock, zone, at), "{moment:?} {relation:?} {clock:?} {zone:?} at {at}");
            assert_eq!(Some(&until), flips.iter().find(|flip| **flip > at).or(Some(&Instant::END)), "until at {at}");
        }
    }

    fn zones() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["America/Chicago", "America/Sao_Paulo", "Australia/Lord_Howe", "Europe/London", "UTC"])
    }

    /// Days that make trouble, and any.
    fn days() -> impl Strategy<Value = Date> {
        let ends = (1930i16..2090, 1i8..=12, 26i8..=31).prop_filter_map("a day", |(y, m, d)| Date::new(y, m, d).ok());
        let turns = prop::sample::select(vec![
            date(2026, 3, 8),
            date(2026, 11, 1),
            date(2018, 11, 4),
            date(2018, 2, 17),
            date(2018, 2, 18),
            date(2025, 10, 5),
            date(2026, 4, 5),
            date(2024, 2, 29),
            date(2026, 10, 25),
        ]);
        let any = (1930i16..2090, 1i8..=12, 1i8..=28).prop_filter_map("a day", |(y, m, d)| Date::new(y, m, d).ok());
        prop_oneof![3 => ends, 3 => (turns, -3i32..=3).prop_map(|(day, n)| Period::days(n).add_to_date(day).expect("a day")), 1 => any]
    }

    fn moments() -> impl Strategy<Value = Moment> {
        let clock = (0i8..24, 0i8..60, 0i8..60, prop_oneof![Just(0i32), 0i32..1_000_000_000]);
        (days(), clock, 0u8..6, prop::option::of(prop::sample::select(vec![-6 * 3600, -5 * 3600, 0, 37_800, 39_600]))).prop_map(
            |(day, (h, m, s, n), form, offset)| {
                let micros = n / 1000 * 1000;
                match form {
                    0 => Moment { local: day.first_of_year().at(0, 0, 0, 0), precision: Precision::Year, offset: None },
                    1 => Moment { local: day.first_of_month().at(0, 0, 0, 0), precision: Precision::Month, offset: None },
                    2 | 3 => Moment::day(day),
                    4 => Moment { local: day.at(h, m, 0, 0), precision: Precision::Minute, offset },
                    _ => Moment { local: day.to_datetime(time(h, m, s, micros)), precision: Precision::Second, offset },
                }
            },
        )
    }

    fn clocks() -> impl Strategy<Value = Clock> {
        let calendar = prop_oneof![
            Just(Period::default()),
            (-900i32..900).prop_map(Period::months),
            (-4i32..4).prop_map(Period::months),
            (-75i32..75).prop_map(|years| Period::months(12 * years)),
            (-800i32..800).prop_map(Period::days),
        ];
        let hours = (-5000i64..5000).prop_map(|hours| Period { months: 0, days: 0, micros: hours * 3_600_000_000 });
        prop_oneof![calendar.clone().prop_map(Clock::Today), prop_oneof![4 => calendar, 1 => hours].prop_map(Clock::Now),]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn every_instant_says_what_the_comparison_says_read_literally(
            zone in zones(), moment in moments(), clock in clocks(), relation in prop::sample::select(RELATIONS.to_vec()),
            around in prop::collection::vec(-500_000_000_000i64..500_000_000_000, 12),
        ) {
            let zone = Zone::named(zone).expect("zone");
            check(&moment, relation, clock, &zone, &around);
        }

        #[test]
        fn the_short_way_finds_what_the_careful_way_finds(
            zone in zones(), day in days(), hour in 0i8..24, minute in 0i8..60, months in -900i32..900,
        ) {
            let zone = Zone::named(zone).expect("zone");
            let threshold = zone.instant(day.at(hour, minute, 0, 0));
            let period = Period::months(months);
            let reading = zone.local(threshold).expect("a real instant");
            let middle = zone.instant(DateTime::from_parts(period.negated().add_to_date(reading.date()).expect("a day"), reading.time()));
            prop_assert_eq!(now_from(threshold, period, &zone), search(threshold, period, &zone, middle));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        /// The clock is changed within hours of the threshold, or of where the way back from it leads, or of both.
        #[test]
        fn clock_changes_on_either_side_are_seen(
            zone in zones(), from in 0i64..2_000_000_000, offset in -10_800i64..10_800, micros in 0i64..2, minutes in 0u8..3,
            period in prop_oneof![(-800i32..800).prop_map(Period::days), (-60i32..60).prop_map(Period::months), (-6i32..6).prop_map(|n| Period::days(364 * n))],
            at_source in any::<bool>(), relation in prop::sample::select(RELATIONS.to_vec()),
        ) {
            let zone = Zone::named(zone).expect("zone");
            let change = zone.next_transition(Instant::from_micros(from * 1_000_000)).unwrap_or(Instant::from_micros(0));
            // Whole half hours meet the edges of a gap.
            let seconds = if minutes == 0 { offset } else { offset / 1800 * 1800 };
            let near = change.plus(Span(seconds * 1_000_000 - micros));
            let threshold = if at_source { moved(near, period, &zone) } else { near };
            let local = Zone::utc().local(threshold).expect("a real instant");
            let moment = Moment { local, precision: Precision::Second, offset: Some(0) };
            let around: Vec<i64> = (-60..60).map(|n| n * 600_000_000 + 1).collect();
            check(&moment, relation, Clock::Now(period), &zone, &around);
            let day = Moment::day(zone.local(threshold).expect("a real instant").date());
            check(&day, relation, Clock::Today(period), &zone, &around);
        }
    }

    #[test]
    fn fifty_years_after_29_february() {
        let zone = Zone::named("America/Chicago").expect("zone");
        let born = Moment::parse("1976-02-29").expect("date");
        // today() - 50 years is 28 February 2026 on that day, and 1 March on the next: the first day that reads as late as the birth is 1 March.
        let flips = instants(&born, Relation::LessOrEqual, Clock::Today(Period::months(-600)), &zone);
        assert_eq!(flips, [Instant::parse("2026-03-01T06:00:00Z").expect("instant")]);
    }

    #[test]
    fn a_month_before_a_short_month_is_passed_more_than_once() {
        let zone = Zone::utc();
        let at = Moment::parse("2026-02-28T12:00:00Z").expect("date");
        // From 28 to 31 March, less a month, is 28 February each time: at noon it is passed, at midnight not yet again.
        let flips = instants(&at, Relation::LessOrEqual, Clock::Now(Period::months(-1)), &zone);
        let expected =
            ["2026-03-28T12", "2026-03-29T00", "2026-03-29T12", "2026-03-30T00", "2026-03-30T12", "2026-03-31T00", "2026-03-31T12"];
        assert_eq!(flips, expected.map(|text| Instant::parse(&format!("{text}:00:00Z")).expect("instant")));
    }

    #[test]
    fn a_day_that_comes_twice_is_today_twice() {
        // The clock went from 00:01 on 29 October back to 23:01 on the 28th.
        let zone = Zone::named("America/St_Johns").expect("zone");
        let day = Moment::parse("2006-10-29").expect("date");
        check(&day, Relation::LessOrEqual, Clock::Today(Period::default()), &zone, &[0, 1, 60_000_000, 3_600_000_000, 3_660_000_000]);
        assert_eq!(instants(&day, Relation::LessOrEqual, Clock::Today(Period::default()), &zone).len(), 3);
    }

    #[test]
    fn amounts_beyond_the_calendar_never_or_always_hold() {
        let zone = Zone::utc();
        let day = Moment::parse("2026-01-01").expect("date");
        for (months, truth) in [(12 * 9000, Some(true)), (-12 * 9000, Some(false))] {
            for clock in [Clock::Now(Period::months(months)), Clock::Today(Period::months(months))] {
                let (given, until) = compare(&day, Relation::Less, clock, &zone, Instant::parse("2026-06-01T00:00:00Z").expect("instant"));
                assert_eq!((given, until), (truth, Instant::END), "{clock:?}");
            }
        }
    }
}
