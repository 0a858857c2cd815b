//! How the truth of parts makes the truth of a whole: on sure and on possible alike.

use super::{Steps, Truth};
use crate::time::Instant;
use std::borrow::Cow;

/// True while every part is. Of nothing: always true.
/// Asks for no further part once one is false for good.
pub fn all<'a>(parts: impl IntoIterator<Item = Cow<'a, Steps<Truth>>>) -> Steps<Truth> {
    fold(Truth::True, parts, Truth::and)
}

/// True while some part is. Of nothing: never true.
/// Asks for no further part once one is true for good.
pub fn any<'a>(parts: impl IntoIterator<Item = Cow<'a, Steps<Truth>>>) -> Steps<Truth> {
    fold(Truth::False, parts, Truth::or)
}

/// True while every part is surely false: sure and possible change places and are complemented.
pub fn none<'a>(parts: impl IntoIterator<Item = Cow<'a, Steps<Truth>>>) -> Steps<Truth> {
    any(parts).map(|truth| truth.negated())
}

/// `unit` is what nothing amounts to, and what changes nothing; its negation decides the whole.
fn fold<'a>(unit: Truth, parts: impl IntoIterator<Item = Cow<'a, Steps<Truth>>>, f: fn(Truth, Truth) -> Truth) -> Steps<Truth> {
    let mut sum: Cow<Steps<Truth>> = Cow::Owned(Steps::always(unit));
    for part in parts {
        if part.constant() == Some(&unit) {
            continue;
        }
        sum = match sum.constant() == Some(&unit) {
            true => part,
            false => Cow::Owned(sum.zip(&part, |a, b| f(*a, *b))),
        };
        if sum.constant() == Some(&unit.negated()) {
            break;
        }
    }
    sum.into_owned()
}

/// Sure while at least `count` parts are sure, possible while at least `count` are possible.
/// O(n log n) in the changes of all parts together.
pub fn at_least<'a>(count: usize, parts: impl IntoIterator<Item = Cow<'a, Steps<Truth>>>) -> Steps<Truth> {
    let (mut sure, mut possible) = (0usize, 0usize);
    let mut moves: Vec<(Instant, Truth, Truth)> = Vec::new();
    for part in parts {
        sure += usize::from(part.first().is_sure());
        possible += usize::from(part.first().is_possible());
        let mut before = *part.first();
        for (from, after) in part.changes() {
            moves.push((from, before, *after));
            before = *after;
        }
    }
    moves.sort_unstable_by_key(|(from, ..)| *from);
    let truth = |sure, possible| match (sure >= count, possible >= count) {
        (true, _) => Truth::True,
        (false, true) => Truth::Unknown,
        (false, false) => Truth::False,
    };
    let mut out = Steps::always(truth(sure, possible));
    for (from, before, after) in moves {
        sure = sure + usize::from(after.is_sure()) - usize::from(before.is_sure());
        possible = possible + usize::from(after.is_possible()) - usize::from(before.is_possible());
        out.push(from, truth(sure, possible));
    }
    out
}
