//! Which places the sessions of this process hold, by the number of the membership.
//!
//! In: rebalances. Out: who may write a place's local copy. Never here: a lock, the copy itself.

use crate::log::Place;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Held(BTreeMap<Place, Holder>);

struct Holder {
    membership: u64,
    /// Its copy is at the changelog's end.
    serves: bool,
}

impl Held {
    /// From here on nobody but this member writes the copies of these places.
    pub fn take(&mut self, places: &[Place], membership: u64) {
        self.0.extend(places.iter().map(|place| (*place, Holder { membership, serves: false })));
    }

    /// Their copies are whole.
    pub fn serve(&mut self, places: &[Place], membership: u64) {
        for place in places {
            if let Some(holder) = self.0.get_mut(place).filter(|holder| holder.membership == membership) {
                holder.serves = true;
            }
        }
    }

    /// What another has taken meanwhile stays with it.
    pub fn leave(&mut self, places: &[Place], membership: u64) {
        self.0.retain(|place, holder| holder.membership != membership || !places.contains(place));
    }

    pub fn leave_all(&mut self, membership: u64) {
        self.0.retain(|_, holder| holder.membership != membership);
    }

    pub fn is_by(&self, place: Place, membership: u64) -> bool {
        self.0.get(&place).is_some_and(|holder| holder.membership == membership)
    }

    pub fn has(&self, place: Place) -> bool {
        self.0.contains_key(&place)
    }

    pub fn serves(&self, place: Place) -> bool {
        self.0.get(&place).is_some_and(|holder| holder.serves)
    }

    pub fn all_serve(&self) -> bool {
        self.0.values().all(|holder| holder.serves)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_late_takes_nothing_from_another() {
        let (here, there) = (Place::landing(0), Place::owners(0));
        let mut held = Held::default();
        held.take(&[here, there], 0);
        assert!(held.has(here) && !held.serves(here));
        held.serve(&[here, there], 0);
        assert!(held.all_serve());
        held.take(&[here], 1);
        held.serve(&[here], 0);
        held.leave(&[here, there], 0);
        assert!(held.is_by(here, 1) && !held.serves(here) && !held.has(there));
        held.leave_all(1);
        assert!(held.is_empty());
    }
}
