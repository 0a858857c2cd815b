//! The owners of resources: one partition of them.
//!
//! In: claims and notes. Out: what the persons concerned have to hear, by way of their own partitions.
//! Never here: a person's state.

use super::{Bridge, Stage};
use crate::log::{Log, LogError, Place, Record};
use crate::source::landing::{self, Told};
use footbridge_core::key::{ResourceKey, Spread};
use footbridge_core::shard::Owner;
use std::collections::HashMap;

pub struct Owners {
    place: Place,
    /// The next offset to be read, and whether it moved since the last commit.
    next: u64,
    moved: bool,
    /// Changed since the last commit.
    changed: HashMap<ResourceKey, Owner, Spread>,
}

impl Owners {
    pub fn new(place: Place, next: u64) -> Owners {
        Owners { place, next, moved: false, changed: HashMap::default() }
    }

    pub fn apply(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(notes) = landing::notes_of(record) else {
            return Err(LogError::damaged(self.place, format!("the notes at offset {} cannot be read", record.offset)));
        };
        (self.next, self.moved) = (record.offset + 1, true);
        let mut count = 0;
        for note in notes {
            let heard = note.stamped(record.stamp);
            for (person, input) in self.owner(log, heard.resource())?.hear(heard) {
                let told = Told::of(input).expect("owners send deletes and unclear versions only");
                // Unlike any other of this partition: an offset, and how many there were before of the same record.
                let number = 1 << 63 | u64::from(self.place.partition) << 47 | (record.offset << 12 | count) & ((1 << 47) - 1);
                stage.appends.push(landing::told(bridge.partitions.of(&person), person, &told, number, "owners"));
                count += 1;
            }
        }
        Ok(())
    }

    fn owner(&mut self, log: &impl Log, resource: ResourceKey) -> Result<&mut Owner, LogError> {
        match self.changed.entry(resource) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(slot) => {
                let kept = match log.get(self.place, &key(resource))? {
                    None => Owner::default(),
                    Some(bytes) => {
                        postcard::from_bytes(&bytes).map_err(|_| LogError::damaged(self.place, "an owner's state cannot be read"))?
                    }
                };
                Ok(slot.insert(kept))
            }
        }
    }

    /// All that changed since the last commit, in the order of resources, and the position, if a record was read.
    pub fn stage(&mut self, stage: &mut Stage) -> Option<(Place, u64)> {
        if !std::mem::take(&mut self.moved) {
            return None;
        }
        let mut changed: Vec<_> = std::mem::take(&mut self.changed).into_iter().collect();
        changed.sort_unstable_by_key(|(resource, _)| *resource);
        let written = |owner: &Owner| postcard::to_extend(owner, Vec::with_capacity(48)).expect("plain data");
        stage.state.extend(changed.iter().map(|(resource, owner)| (self.place, key(*resource), Some(written(owner)))));
        Some((self.place, self.next))
    }
}

fn key(resource: ResourceKey) -> Vec<u8> {
    let mut key = vec![b'o'];
    key.extend(resource.as_u64().to_be_bytes());
    key
}
