//! Records of topics, read into landing entries.
//!
//! In: values as others sent them. Out: entries in the order of the records; what could not be read, with its topic, partition and offset.
//! Never here: a record that is passed over, or a position.

use super::intake::{Intake, Source};
use crate::log::Entry;
use crate::log::kafka::Taken;
use crate::observe::{Quarantined, RecordUnreadable};
use std::sync::Arc;

/// A value is a resource or a Bundle. Anything else, a tombstone too, is on its way to quarantine.
pub fn entries(intake: &Intake, source: &Source, records: &[Taken]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for Taken { topic, partition, offset, value } in records {
        let origin: Arc<str> = format!("{topic}/{partition}/{offset}").into();
        let mut received = intake.receive_from(source, Some(Arc::clone(&origin)), value.as_deref().unwrap_or_default());
        // Too large for landing: its place is kept, for its topic has the rest.
        if received.entries.iter().any(|entry| entry.check().is_err()) {
            received = intake.receive_from(source, Some(origin), b"");
        }
        for (_, why) in &received.refused {
            RecordUnreadable { source: &source.name, reason: Quarantined::of(why) }.emit();
        }
        entries.extend(received.entries);
    }
    entries
}
