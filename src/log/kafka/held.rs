//! Which places the sessions of this process hold, by the number of the session.
//!
//! In: rebalances. Out: who may write a place's local copy. Never here: a lock, the copy itself.

use crate::log::Place;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Held(BTreeMap<Place, Holder>);

struct Holder {
    session: usize,
    /// Its copy is at the changelog's end.
    serves: bool,
}

impl Held {
    /// From here on nobody but this session writes the copies of these places.
    pub fn take(&mut self, places: &[Place], session: usize) {
        self.0.extend(places.iter().map(|place| (*place, Holder { session, serves: false })));
    }

    /// Their copies are whole.
    pub fn serve(&mut self, places: &[Place], session: usize) {
        for place in places {
            if let Some(holder) = self.0.get_mut(place).filter(|holder| holder.session == session) {
                holder.serves = true;
            }
        }
    }

    /// What another session has taken meanwhile stays with it.
    pub fn leave(&mut self, places: &[Place], session: usize) {
        self.0.retain(|place, holder| holder.session != session || !places.contains(place));
    }

    pub fn leave_all(&mut self, session: usize) {
        self.0.retain(|_, holder| holder.session != session);
    }

    pub fn is_by(&self, place: Place, session: usize) -> bool {
        self.0.get(&place).is_some_and(|holder| holder.session == session)
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
    fn who_comes_late_takes_nothing_from_another_session() {
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
