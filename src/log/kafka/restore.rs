//! Take-over: which place goes on where, and the state that belongs to it.
//!
//! In: places just assigned. Out: the local copy at the changelog's end, and for each place the offset that it goes on from.
//! Never here: a place that is served while its committed offset and its changelog disagree.

use super::cache::Known;
use super::error::{log_error, passes, patiently, wrong_setting};
use super::{POSITION, Shared};
use crate::log::embedded::layout::offset_at;
use crate::log::{LogError, Place, StateChange};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Changes that are taken into the local copy at once.
const PART: usize = 5000;

impl Shared {
    /// Brings the local copy of these places to the end of their changelog, as it is now.
    pub fn restore(&self, places: &[Place]) -> Result<BTreeMap<Place, Known>, LogError> {
        let topic = self.topics.state.as_str();
        let failed = |what: &'static str| move |e: KafkaError| log_error(topic, what, &e);
        let consumer: BaseConsumer = self.settings.onlooker().create().map_err(failed("the changelog cannot be read"))?;
        let mut known = BTreeMap::new();
        let mut list = TopicPartitionList::new();
        let mut behind = BTreeSet::new();
        for place in places {
            let partition = self.changelog_of(*place);
            let ends = patiently(self.settings.answer_within, |wait| consumer.fetch_watermarks(topic, i32::from(partition), wait));
            let (low, high) = ends.map_err(failed("the changelog's end cannot be asked for"))?;
            let mut at = self.cache.known(*place)?;
            let beyond = |offset: u64| i64::try_from(offset).is_ok_and(|offset| offset > high);
            // It is a copy of what is not there any more.
            if beyond(at.changelog) {
                self.cache.forget(*place)?;
                at = Known::default();
            }
            known.insert(*place, at);
            if low < high {
                let from = i64::try_from(at.changelog).unwrap_or(0).max(low);
                list.add_partition_offset(topic, i32::from(partition), Offset::Offset(from)).map_err(failed("a place in the changelog"))?;
                behind.insert(*place);
            }
        }
        if behind.is_empty() {
            return Ok(known);
        }
        consumer.assign(&list).map_err(failed("the changelog cannot be read"))?;
        let mut changes: Vec<StateChange> = Vec::new();
        let mut heard = Instant::now();
        while !behind.is_empty() {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let place = self.place_of_changelog(message.partition())?;
                    changes.extend(self.changed(place, &message, known.entry(place).or_default())?);
                    if changes.len() >= PART {
                        self.take(&mut changes, &known)?;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => _ = behind.remove(&self.place_of_changelog(partition)?),
                Some(Err(e)) if !passes(&e) => return Err(failed("the changelog cannot be read")(e)),
                Some(Err(_)) | None if heard.elapsed() > self.settings.answer_within => {
                    let silent = KafkaError::Global(rdkafka::error::RDKafkaErrorCode::OperationTimedOut);
                    return Err(failed("the changelog does not come")(silent));
                }
                Some(Err(_)) | None => {}
            }
        }
        self.take(&mut changes, &known)?;
        Ok(known)
    }

    /// One message of the changelog: how far the place is known with it, and what it changes.
    pub fn changed(&self, place: Place, message: &BorrowedMessage<'_>, at: &mut Known) -> Result<Option<StateChange>, LogError> {
        let topic = self.topics.state.as_str();
        let key = message.key().ok_or_else(|| LogError::damaged(topic, "a change has no key"))?;
        at.changelog = u64::try_from(message.offset() + 1).unwrap_or(0);
        match (key == POSITION, message.payload()) {
            (true, Some(value)) => at.position = Some(offset_at(value, 0, topic)?),
            (true, None) => return Err(LogError::damaged(topic, "a position is gone")),
            (false, value) => return Ok(Some((place, key.to_vec(), value.map(<[u8]>::to_vec)))),
        }
        Ok(None)
    }

    fn take(&self, changes: &mut Vec<StateChange>, known: &BTreeMap<Place, Known>) -> Result<(), LogError> {
        self.cache.take(changes.iter(), known)?;
        changes.clear();
        Ok(())
    }

    pub fn place_of_changelog(&self, partition: i32) -> Result<Place, LogError> {
        let count = self.settings.partitions;
        match u16::try_from(partition) {
            Ok(partition) if partition < count => Ok(Place::landing(partition)),
            Ok(partition) if partition < 2 * count => Ok(Place::owners(partition - count)),
            Ok(_) | Err(_) => Err(LogError::damaged(&self.topics.state, "there is no such partition")),
        }
    }
}

/// Where a place goes on: its group's offset and its changelog's position have to say the same.
/// A group forgets offsets after a week without members; the changelog does not.
pub fn agreed(place: Place, committed: Offset, position: Option<u64>) -> Result<Option<u64>, LogError> {
    let committed = match committed {
        Offset::Offset(offset) => u64::try_from(offset).ok(),
        Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
    };
    match (committed, position) {
        (None, position) => Ok(position),
        (Some(committed), Some(position)) if committed == position => Ok(Some(position)),
        (Some(committed), position) => {
            let said = position.map_or_else(|| "none".to_owned(), |position| position.to_string());
            Err(wrong_setting(
                place.to_string(),
                format!("the group's offset is {committed}, the changelog's position {said}"),
                "somebody reset one of them: set the group's offset to the changelog's position, or bring the changelog back",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_served_only_where_both_agree() {
        let here = Place::landing(1);
        for (committed, position, expected) in [
            (Offset::Invalid, None, Some(None)),
            (Offset::Invalid, Some(7), Some(Some(7))),
            (Offset::Offset(7), Some(7), Some(Some(7))),
            (Offset::Offset(8), Some(7), None),
            (Offset::Offset(7), None, None),
        ] {
            assert_eq!(agreed(here, committed, position).ok(), expected, "{committed:?} {position:?}");
        }
    }
}
