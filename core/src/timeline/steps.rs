//! `Steps<T>`: a value from −∞ and from each instant where it changes.

use crate::time::Instant;
use smallvec::SmallVec;

/// Neighbouring values differ, instants rise strictly, and all of them are real. Two changes need no heap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Steps<T> {
    first: T,
    changes: SmallVec<[(Instant, T); 2]>,
}

impl<T> Steps<T> {
    pub fn always(value: T) -> Self {
        Steps { first: value, changes: SmallVec::new() }
    }

    pub fn first(&self) -> &T {
        &self.first
    }

    pub fn at(&self, at: Instant) -> &T {
        match self.changes.partition_point(|(from, _)| *from <= at) {
            0 => &self.first,
            n => &self.changes[n - 1].1,
        }
    }

    /// The first change strictly after `after`.
    pub fn next_change(&self, after: Instant) -> Option<Instant> {
        let next = self.changes.partition_point(|(from, _)| *from <= after);
        self.changes.get(next).map(|(from, _)| *from)
    }

    /// Each change with the value that begins there, in order of time.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = (Instant, &T)> + ExactSizeIterator {
        self.changes.iter().map(|(from, value)| (*from, value))
    }

    #[cfg(test)]
    pub(super) fn is_spilled(&self) -> bool {
        self.changes.spilled()
    }

    /// `Some` where the value never changes.
    pub fn constant(&self) -> Option<&T> {
        self.changes.is_empty().then_some(&self.first)
    }
}

impl<T: PartialEq + Clone> Steps<T> {
    /// The same from an instant on; what was before reads as what holds then.
    pub fn since(&self, from: Instant) -> Self {
        let mut out = Steps::always(self.at(from).clone());
        for (at, value) in self.changes().skip_while(|(at, _)| *at <= from) {
            out.push(at, value.clone());
        }
        out
    }
}

impl<T: PartialEq> Steps<T> {
    /// Adds a change at the end. A change to the same value is none; one at [`Instant::END`] never comes;
    /// one at [`Instant::BEGIN`] always was.
    ///
    /// # Panics
    /// If `from` is before the last change: the caller builds in order of time.
    pub fn push(&mut self, from: Instant, value: T) {
        if from == Instant::END {
            return;
        }
        if from == Instant::BEGIN {
            assert!(self.changes.is_empty(), "a change at the beginning comes first");
            self.first = value;
            return;
        }
        match self.changes.last() {
            Some((last, _)) if *last == from => {
                self.changes.pop();
                self.push(from, value);
            }
            Some((last, current)) => {
                assert!(*last < from, "changes are pushed in order of time");
                if *current != value {
                    self.changes.push((from, value));
                }
            }
            None if self.first != value => self.changes.push((from, value)),
            None => {}
        }
    }

    pub fn map<U: PartialEq>(&self, mut f: impl FnMut(&T) -> U) -> Steps<U> {
        let mut out = Steps::always(f(&self.first));
        for (from, value) in self.changes() {
            out.push(from, f(value));
        }
        out
    }

    pub fn zip<U, V: PartialEq>(&self, other: &Steps<U>, mut f: impl FnMut(&T, &U) -> V) -> Steps<V> {
        let mut out = Steps::always(f(&self.first, &other.first));
        let (mut left, mut right) = (self.changes.iter().peekable(), other.changes.iter().peekable());
        let (mut a, mut b) = (&self.first, &other.first);
        loop {
            let from = match (left.peek(), right.peek()) {
                (None, None) => return out,
                (Some((from, _)), None) | (None, Some((from, _))) => *from,
                (Some((l, _)), Some((r, _))) => *l.min(r),
            };
            if let Some((_, value)) = left.next_if(|(at, _)| *at == from) {
                a = value;
            }
            if let Some((_, value)) = right.next_if(|(at, _)| *at == from) {
                b = value;
            }
            out.push(from, f(a, b));
        }
    }
}

impl Steps<bool> {
    /// True in `[from, to)`. Empty where `to` is not after `from`.
    pub fn between(from: Instant, to: Instant) -> Self {
        let mut out = Steps::always(false);
        if from < to {
            out.push(from, true);
            out.push(to, false);
        }
        out
    }

    pub fn not(&self) -> Self {
        self.map(|value| !value)
    }

    pub fn and(&self, other: &Self) -> Self {
        self.zip(other, |a, b| *a && *b)
    }

    pub fn or(&self, other: &Self) -> Self {
        self.zip(other, |a, b| *a || *b)
    }
}
