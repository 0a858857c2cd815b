//! An engine with keys of its own, for commands that rehearse: `simulate`, `test`, `demo`.
//!
//! In: mappings. Out: what a feed would bring about. Never here: a bridge's real keys; what is rehearsed links to nothing.

use crate::config::mappings::Mappings;
use footbridge_core::audience::Definitions;
use footbridge_core::fhir;
use footbridge_core::gate::MemberKey;
use footbridge_core::key::{Keys, Person, ResourceKey};
use footbridge_core::shard::{Arrival, Happening, Member, Origin, Room, Versions, replay};
use footbridge_core::time::Instant;
use std::collections::{BTreeMap, HashMap};

/// The only source of a rehearsal: its files.
const FILES: &str = "files";

pub struct Engine {
    pub definitions: Definitions,
    keys: Keys,
    member_keys: Vec<MemberKey>,
}

/// Which Patient a person is. Only rehearsals keep this.
#[derive(Default)]
pub struct Patients(HashMap<Person, String>);

impl Patients {
    pub fn learn(&mut self, person: Person, id: String) {
        self.0.entry(person).or_insert(id);
    }

    pub fn id(&self, person: &Person) -> &str {
        self.0.get(person).map_or("unknown", String::as_str)
    }

    pub fn join(&mut self, other: Patients) {
        self.0.extend(other.0);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// What came of a rehearsal.
pub struct Rehearsal {
    pub happenings: Vec<Happening>,
    pub facts: BTreeMap<&'static str, u64>,
    pub persons: usize,
}

impl Engine {
    pub fn rehearsing(mappings: Mappings) -> Engine {
        Engine::keyed(mappings, b"footbridge rehearsal routing secret", b"footbridge rehearsal member secret")
    }

    /// With the keys of a bridge: to recompute what it told.
    pub fn keyed(mappings: Mappings, routing: &[u8], members: &[u8]) -> Engine {
        let Mappings { catalogue, policy, valuesets, .. } = mappings;
        let member_keys = MemberKey::of_all(&policy.recipients, members);
        let keys = Keys::new(routing);
        Engine { definitions: Definitions::new(catalogue, policy, valuesets), keys, member_keys }
    }

    pub fn origin(&self) -> Origin<'_> {
        Origin { definitions: &self.definitions, keys: &self.keys, namespace: "", versions: fhir::Versions::LastUpdated }
    }

    pub fn person(&self, patient: &str) -> Person {
        self.keys.person("", patient)
    }

    pub fn resource(&self, kind: &str, id: &str) -> ResourceKey {
        self.keys.resource("", kind, id)
    }

    /// An empty room that waits for the baseline of `files`.
    pub fn room(&self) -> Room<'_> {
        Room::new(&self.definitions, &self.keys, &self.member_keys, vec![FILES.to_owned()])
    }

    pub fn rehearse(&self, first: Vec<Arrival>, later: Vec<Arrival>, from: Instant, until: Instant) -> Rehearsal {
        let mut room = self.room();
        let happenings = replay(&mut room, FILES, first, later, from, until);
        let persons = room.members().filter(|(_, (member, versions)): &(_, &(Member, Versions))| !member.is_empty(versions)).count();
        Rehearsal { happenings, facts: std::mem::take(&mut room.facts), persons }
    }
}
