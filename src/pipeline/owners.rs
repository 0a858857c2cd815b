//! The owners of resources: one partition of them.
//!
//! In: claims and notes. Out: what the persons concerned have to hear, by way of their own partitions.
//! Never here: a person's state.

use super::{Bridge, Stage};
use crate::log::{Log, LogError, Place, Record};
use crate::source::landing::{self, Told};
use footbridge_core::key::{ResourceKey, Spread};
use footbridge_core::shard::{Owner, Ownership};
use std::collections::HashMap;

pub struct Owners {
    place: Place,
    /// Changed since the last commit.
    changed: HashMap<ResourceKey, Owner, Spread>,
}

impl Owners {
    pub fn new(place: Place) -> Owners {
        Owners { place, changed: HashMap::default() }
    }

    pub fn apply(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(note) = landing::note_of(record) else {
            return Err(LogError::damaged(self.place, format!("the note at offset {} cannot be read", record.offset)));
        };
        let heard: Ownership = note.stamped(record.stamp);
        let resource = heard.resource();
        let owner = match self.changed.entry(resource) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(slot) => {
                let kept = match log.get(self.place, &key(resource))? {
                    None => Owner::default(),
                    Some(bytes) => {
                        postcard::from_bytes(&bytes).map_err(|_| LogError::damaged(self.place, "an owner's state cannot be read"))?
                    }
                };
                slot.insert(kept)
            }
        };
        for (count, (person, input)) in owner.hear(heard).into_iter().enumerate() {
            let told = Told::of(input).expect("owners send deletes and unclear versions only");
            // Unlike any other of this partition: an offset, and a few persons.
            let number = 1 << 63 | u64::from(self.place.partition) << 47 | (record.offset << 7 | count as u64) & ((1 << 47) - 1);
            stage.appends.push(landing::told(bridge.partitions.of(&person), person, &told, number, "owners"));
        }
        Ok(())
    }

    pub fn stage(&mut self, stage: &mut Stage) {
        for (resource, owner) in self.changed.drain() {
            stage.state.push((self.place, key(resource), Some(postcard::to_stdvec(&owner).expect("plain data"))));
        }
        stage.state.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    }
}

fn key(resource: ResourceKey) -> Vec<u8> {
    let mut key = vec![b'o'];
    key.extend(resource.as_u64().to_be_bytes());
    key
}
