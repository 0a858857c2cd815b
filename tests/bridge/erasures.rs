//! Erasures at random, and what is left of who was erased.
//!
//! In: dice of their own, the log. Out: whom to erase; what of them still lies somewhere, which is an error.
//! Never here: what an erasure does.

use super::fleet::Fleet;
use super::world::{PEOPLE, patient_id};
use anyhow::{Context, ensure};
use footbridge::log::faulty::Chance;
use footbridge::log::{Kind, Log, Record};
use footbridge_core::key::Person;
use std::collections::BTreeSet;

pub struct Erasures {
    pub chance: Chance,
    /// Whoever was erased once.
    asked: BTreeSet<usize>,
    /// Erased at rest, and nothing else was done since.
    fresh: BTreeSet<usize>,
}

/// Of a member in either space: evidence, versions.
const PIECES: &[u8] = b"evEV";
/// Who has a contact, who refers to a Medication: the person stands at the end of the key.
const HOLDERS: &[u8] = b"cCrR";

impl Erasures {
    pub fn new(chance: Chance) -> Erasures {
        Erasures { chance, asked: BTreeSet::new(), fresh: BTreeSet::new() }
    }

    pub fn ask(&mut self, gone: &BTreeSet<usize>, at_rest: bool) {
        self.asked.extend(gone);
        if at_rest {
            self.fresh.clone_from(gone);
        }
    }

    /// At rest, and landing is compacted.
    pub fn landing(&self, fleet: &Fleet, namespace: &str) -> anyhow::Result<()> {
        for person in &self.asked {
            let key = key(fleet, namespace, *person);
            let records = fleet.bench.log.records(fleet.bench.bridge.partitions.of(&key));
            let theirs: Vec<&Record> = records.iter().filter(|record| record.key().starts_with(key.as_bytes())).collect();
            let asked = theirs.iter().rfind(|record| record.kind == Kind::Erase).context("that a person was erased stays on record")?;
            let older = theirs.iter().filter(|record| record.offset < asked.offset).count();
            ensure!(older == 0, "landing keeps {older} records of p{person}, who was erased");
        }
        Ok(())
    }

    /// At rest: nothing is left of who has just been erased.
    pub fn state(&mut self, fleet: &Fleet, namespace: &str) -> anyhow::Result<()> {
        for person in std::mem::take(&mut self.fresh) {
            let key = key(fleet, namespace, person);
            let place = fleet.bench.bridge.partitions.of(&key);
            let mut left = Vec::new();
            let mut each = |found: &[u8], _: &[u8]| left.push(char::from(found[0]));
            let pieces = PIECES.iter().map(|kind| [&[*kind][..], key.as_bytes()].concat());
            for prefix in pieces {
                scan(fleet, place, &prefix, &mut each)?;
            }
            for kind in HOLDERS {
                scan(fleet, place, &[*kind], &mut |found, value| {
                    if found.ends_with(key.as_bytes()) {
                        each(found, value);
                    }
                })?;
            }
            ensure!(left.is_empty(), "the state keeps {left:?} of p{person}, who was erased");
        }
        Ok(())
    }
}

fn key(fleet: &Fleet, namespace: &str, person: usize) -> Person {
    assert!(person < PEOPLE, "one of the world's");
    fleet.bench.bridge.keys.person(namespace, &patient_id(person))
}

/// As whoever holds the place sees it.
fn scan(fleet: &Fleet, place: footbridge::log::Place, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
    for worker in &fleet.workers {
        if worker.log().scan(place, prefix, each).is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("nobody holds {place}")
}
