//! What a record says to a partition: a resource of a person, one that all share, a report of a contact.
//!
//! In: landing records. Out: inputs for members, what goes to quarantine. Never here: when something is decided, or a clock.

use super::shard::Shard;
use super::side::Side;
use super::{Bridge, Stage, outputs};
use crate::log::{Log, LogError, Record};
use crate::source::landing::{self, Note};
use footbridge_core::audience::Definitions;
use footbridge_core::fhir::{BundleLinks, Unreadable};
use footbridge_core::key::ResourceKey;
use footbridge_core::shard::{Input, OptOuts, Origin, Reading};
use std::sync::Arc;

impl Shard {
    pub(super) fn put(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let definitions = Arc::clone(&self.running.content.definitions);
        let Some(reading) = self.read(bridge, &definitions, record)? else {
            let why = Unreadable::Element { path: "source", why: "is not in the configuration any more" };
            outputs::quarantined(record, &why, &mut stage.outputs);
            return Ok(());
        };
        if let Some(why) = self.unreadable(&reading) {
            outputs::quarantined(record, why, &mut stage.outputs);
        }
        match reading {
            // Its source did not read this type then, or does not now; the owners have heard of a version about nobody.
            Ok(Reading::Unread | Reading::Nobody { .. } | Reading::Unclear { .. }) | Err(_) => Ok(()),
            Ok(Reading::Shared { key, shared, .. }) => self.share(bridge, log, key, stage, |side| side.share(key, shared)),
            Ok(Reading::About { put, .. }) => {
                let person = landing::person(record).map_err(|_| self.damaged(record))?;
                // Landing was keyed by a person that the resource is about.
                if person == landing::NOBODY {
                    return Ok(());
                }
                let put = Input::Put(put).with_more(record.more);
                self.tell(bridge, log, person, put, stage)
            }
        }
    }

    /// What these definitions read of a record; `None`: its source is not known any more.
    pub(super) fn read(
        &self,
        bridge: &Bridge,
        definitions: &Definitions,
        record: &Record,
    ) -> Result<Option<Result<Reading, Unreadable>>, LogError> {
        let Ok(envelope) = landing::envelope(record) else { return Err(self.damaged(record)) };
        let Some(feed) = bridge.feeds.iter().find(|feed| feed.source.name == record.source()) else { return Ok(None) };
        let origin = Origin { definitions, keys: &bridge.keys, namespace: &feed.source.namespace, versions: feed.source.versions };
        let links = (!envelope.links.is_empty()).then(|| BundleLinks::resolved(&envelope.links));
        Ok(Some(origin.read(envelope.body, envelope.given_id, links.as_ref(), envelope.stamp(record))))
    }

    /// Why this record goes to quarantine, if it does. All partitions have a broadcast resource; one of them reports it.
    pub(super) fn unreadable<'a>(&self, reading: &'a Result<Reading, Unreadable>) -> Option<&'a Unreadable> {
        match reading {
            Ok(Reading::Unread | Reading::Nobody { .. }) => None,
            Ok(Reading::Unclear { unreadable, .. }) | Err(unreadable) => Some(unreadable),
            Ok(Reading::Shared { unreadable, .. }) => unreadable.as_ref().filter(|_| self.place.partition == 0),
            Ok(Reading::About { unreadable, .. }) => unreadable.as_ref(),
        }
    }

    pub(super) fn shared_deleted(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(note @ Note::Deleted { resource, .. }) = landing::note_of(record) else { return Err(self.damaged(record)) };
        let heard = note.stamped(record.stamp);
        self.share(bridge, log, resource, stage, |side| side.unshare(resource, &heard, record.stamp))
    }

    /// What `change` makes of a broadcast resource; those who refer to it look again, if it says so.
    fn share(
        &mut self,
        bridge: &Bridge,
        log: &impl Log,
        key: ResourceKey,
        stage: &mut Stage,
        change: impl FnOnce(&mut Side) -> bool,
    ) -> Result<(), LogError> {
        let referring = self.running.referring(log, key)?;
        // What is due as of an earlier instant is decided by what was known then.
        referring.iter().try_for_each(|person| self.catch_up(bridge, log, *person, stage))?;
        if !change(&mut self.running) {
            return Ok(());
        }
        referring.into_iter().try_for_each(|person| self.tell(bridge, log, person, Input::Review, stage))
    }

    /// A report of a number or an address; those who have it look again.
    pub(super) fn contact(&mut self, bridge: &Bridge, log: &impl Log, record: &Record, stage: &mut Stage) -> Result<(), LogError> {
        let Ok(report) = landing::contact_preference_of(record) else { return Err(self.damaged(record)) };
        let persons = self.running.holders.of(log, &OptOuts::buckets_of(&report.contact))?;
        // What is due as of an earlier instant is decided by what was known then.
        persons.iter().try_for_each(|person| self.catch_up(bridge, log, *person, stage))?;
        if !self.running.opt_out(&report, self.position.now) {
            return Ok(());
        }
        persons.into_iter().try_for_each(|person| self.tell(bridge, log, person, Input::Review, stage))
    }
}
