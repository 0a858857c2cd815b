//! A session of the Kafka log: a member of the groups of landing and owners, and a transactional writer.
//!
//! In: records of the places that the brokers gave it. Out: batches; commits, each one transaction with its positions.
//! Never here: a commit for a place that was taken away, or state that the changelog does not have.

use super::cache::Known;
use super::error::{is_fenced, log_error, passes};
use super::members::Member;
use super::readers::record;
use super::writer::{FENCED_FOR, Sent, Writer, given_up, is_lost};
use super::{POSITION, Shared, offset, offset_or_beginning};
use crate::log::{Batch, Bytes, Commit, Log, LogError, OutTopic, Place, Record, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub struct Session {
    shared: Arc<Shared>,
    number: usize,
    /// Of landing and of owners. `None` while they are polled, and after a failure.
    members: Option<[BaseConsumer<Member>; 2]>,
    writer: Option<Writer>,
    seats: BTreeMap<Place, Seat>,
    /// Audiences whose topic was looked at.
    audiences: BTreeSet<Box<str>>,
    standing: Standing,
    /// A failure that only a new membership mends.
    broken: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The next batch names all places held.
    New,
    Working,
    /// Nothing goes on before `abort`.
    Failed,
    /// Another process has the name of this one.
    Over,
}

struct Seat {
    committed: u64,
    next: u64,
    /// After the last record that the loop was given: no commit gets to what has none, such as a tombstone.
    given: u64,
    drained: bool,
}

const TOPICS: [Topic; 2] = [Topic::Landing, Topic::Owners];
/// The owners are looked at so often while landing is waited for.
const TURN: Duration = Duration::from_millis(5);

impl Session {
    pub(super) fn open(shared: Arc<Shared>, number: usize) -> Result<Session, LogError> {
        let writer = Some(Writer::open(&shared.settings, &worker(number))?);
        let (members, seats, audiences) = (None, BTreeMap::new(), BTreeSet::new());
        let mut session = Session { shared, number, members, writer, seats, audiences, standing: Standing::New, broken: false };
        session.join()?;
        Ok(session)
    }

    fn join(&mut self) -> Result<(), LogError> {
        let member = |topic: Topic| {
            let name = self.shared.topics.of(topic);
            let failed = |what: &'static str| move |e: KafkaError| log_error(name, what, &e);
            let role = match topic {
                Topic::Landing => super::topics::LANDING,
                Topic::Owners => super::topics::OWNERS,
            };
            let config = self.shared.settings.member(role, self.number);
            let consumer: BaseConsumer<Member> = config
                .create_with_context(Member::new(Arc::clone(&self.shared), topic, self.shared.memberships.fetch_add(1, Ordering::Relaxed)))
                .map_err(failed("the consumer cannot be made"))?;
            consumer.subscribe(&[name]).map_err(failed("the topic cannot be subscribed to"))?;
            Ok::<_, LogError>(consumer)
        };
        self.members = Some([member(Topic::Landing)?, member(Topic::Owners)?]);
        Ok(())
    }

    /// A member that leaves while the brokers are away may wait for them without end: nobody waits for it. Who joins under its name
    /// later fences it.
    fn leave(&mut self) {
        for member in self.members.take().into_iter().flatten() {
            self.shared.held().leave_all(member.context().number);
            let gone = std::thread::Builder::new().name("kafka leaves".into()).spawn(move || drop(member));
            // Without a thread it is dropped here.
            drop(gone);
        }
    }

    fn at(&self) -> &str {
        &self.shared.settings.bootstrap
    }

    fn stands(&self) -> Result<(), LogError> {
        match self.standing {
            Standing::Failed => Err(LogError::refused(self.at(), "a call failed and `abort` was not called")),
            Standing::Over => Err(LogError::lost(self.at())),
            Standing::New | Standing::Working => Ok(()),
        }
    }

    /// Keeps in mind what a failure leaves behind.
    fn fail<T>(&mut self, error: LogError) -> Result<T, LogError> {
        self.standing = if is_lost(&error) { Standing::Over } else { Standing::Failed };
        self.broken = true;
        Err(error)
    }

    /// As [`Session::fail`], where a writer said so. One that is fenced may have stood still for longer than a transaction may last: the
    /// brokers gave it up, and nobody else has this name.
    fn fail_writing<T>(&mut self, error: LogError) -> Result<T, LogError> {
        let given_up = if is_lost(&error) && !self.is_replaced() { given_up(error) } else { error };
        self.fail(given_up)
    }

    /// Whether another process has joined under this one's name. A member hears so with its next heartbeat.
    fn is_replaced(&self) -> bool {
        let until = Instant::now() + FENCED_FOR;
        let mut members = self.members.iter().flatten().cycle();
        while let Some(member) = members.next().filter(|_| Instant::now() < until) {
            if let Some(Err(error)) = member.poll(TURN)
                && is_fenced(&error)
            {
                return true;
            }
        }
        false
    }

    /// What rebalances changed while polling.
    fn hear(&mut self, member: &Member, batch: &mut Batch) -> Result<(), LogError> {
        let (assigned, lost, failed) = {
            let mut news = member.news();
            (std::mem::take(&mut news.assigned), std::mem::take(&mut news.lost), news.failed.take())
        };
        if let Some(error) = failed {
            return Err(error);
        }
        for place in lost {
            if self.seats.remove(&place).is_some() {
                batch.records.retain(|record| record.place != place);
                batch.drained.retain(|drained| *drained != place);
                batch.assigned.retain(|(assigned, _)| *assigned != place);
                batch.lost.push(place);
            }
            self.shared.progress().forget(place);
        }
        for (place, next) in assigned {
            self.seats.insert(place, Seat { committed: next, next, given: next, drained: false });
            self.shared.progress().begin(place, next);
            batch.assigned.push((place, next));
        }
        Ok(())
    }

    fn take(&mut self, topic: Topic, message: &BorrowedMessage<'_>, batch: &mut Batch) -> Result<usize, LogError> {
        let broken = |what: &str| LogError::damaged(message.topic(), format!("{what} at offset {}", message.offset()));
        let partition = u16::try_from(message.partition()).map_err(|_| broken("a partition that cannot be"))?;
        let offset = u64::try_from(message.offset()).map_err(|_| broken("a negative offset"))?;
        let place = Place { topic, partition };
        let seat = self.seats.get_mut(&place).ok_or_else(|| LogError::lost(place))?;
        if offset < seat.next {
            return Ok(0);
        }
        (seat.next, seat.drained) = (offset + 1, false);
        let Some(record) = record(place, message)? else { return Ok(0) };
        seat.given = seat.next;
        let size = record.whole().len();
        batch.records.push(record);
        Ok(size)
    }

    /// Records of one topic, as many as there are and the bounds allow; waits for the first.
    fn fill(&mut self, index: usize, wait: Duration, batch: &mut Batch) -> Result<(), LogError> {
        let Some(members) = self.members.take() else { return Err(LogError::refused(self.at(), "the session is not a member")) };
        let done = self.fill_from(&members[index], TOPICS[index], wait, batch);
        self.members = Some(members);
        done
    }

    fn fill_from(&mut self, member: &BaseConsumer<Member>, topic: Topic, wait: Duration, batch: &mut Batch) -> Result<(), LogError> {
        let (most, bytes_max) = (self.shared.settings.poll_records_max, self.shared.settings.poll_bytes_max);
        let (mut wait, mut bytes) = (wait, 0);
        while batch.records.len() < most && bytes < bytes_max {
            let polled = member.poll(wait);
            wait = Duration::ZERO;
            // A rebalance is heard of before the first record after it.
            self.hear(member.context(), batch)?;
            if let Some(polled) = &polled {
                let broken = polled.as_ref().err().filter(|e| passes(e));
                *self.shared.reads() = broken.map(|e| log_error(self.shared.topics.of(topic), "the brokers cannot be reached", e));
            }
            match polled {
                None => break,
                // The client connects again by itself.
                Some(Err(e)) if passes(&e) => break,
                Some(Ok(message)) => bytes += self.take(topic, &message, batch)?,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    let Ok(partition) = u16::try_from(partition) else { continue };
                    let place = Place { topic, partition };
                    if let Some(seat) = self.seats.get_mut(&place)
                        && !std::mem::replace(&mut seat.drained, true)
                    {
                        batch.drained.push(place);
                        self.shared.progress().reached(place, seat.given);
                    }
                }
                Some(Err(e)) => return Err(log_error(self.shared.topics.of(topic), "it cannot be read", &e)),
            }
        }
        Ok(())
    }

    fn check(&self, commit: &Commit) -> Result<(), LogError> {
        // Before the first poll, and after an abort, the loop was not told where it stands.
        commit.check(|place| self.standing == Standing::Working && self.seats.contains_key(&place))?;
        commit.appends.iter().try_for_each(|entry| self.shared.check(entry))?;
        for (number, &(place, position)) in commit.positions.iter().enumerate() {
            let seat = self.seats.get(&place);
            if seat.is_none_or(|seat| position < seat.committed || position > seat.next) {
                return Err(LogError::refused(place, format!("position {position} is not among what was read")));
            }
            if commit.positions[..number].iter().any(|&(other, _)| other == place) {
                return Err(LogError::refused(place, "one commit names two positions"));
            }
        }
        Ok(())
    }

    /// Keys of landing records that erasures reach. What came again since is newer, and Kafka itself keeps only the newest of a key.
    fn erased(&self, commit: &Commit) -> Result<Vec<(Place, Vec<u8>)>, LogError> {
        let mut gone = Vec::new();
        for (place, prefix, below) in &commit.landing_erased {
            let end = self.seats.get(place).map_or(0, |seat| seat.next);
            let (mut from, mut newest) = (Some(0), BTreeMap::new());
            while let Some(next) = from {
                let mut records = Vec::new();
                from = self.shared.replay(*place, next, end, &mut records)?;
                let erased = records.iter().filter(|record| record.key().starts_with(prefix));
                newest.extend(erased.map(|record| (record.key().to_vec(), record.offset)));
            }
            gone.extend(newest.into_iter().filter(|(_, offset)| offset < below).map(|(key, _)| (*place, key)));
        }
        Ok(gone)
    }

    /// One transaction: all of the commit, and the positions, in both groups and in the changelog.
    fn transact(&mut self, commit: &Commit) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let erased = self.erased(commit)?;
        for output in &commit.outputs {
            if let OutTopic::Audience(name) = &output.topic
                && !self.audiences.contains(name)
            {
                shared.admin.ensure_audience(name)?;
                self.audiences.insert(name.clone());
            }
        }
        let (Some(writer), Some(members)) = (&mut self.writer, &self.members) else {
            return Err(LogError::refused(&shared.settings.bootstrap, "the session is not a member"));
        };
        let now = (shared.clock)();
        writer.begin()?;
        commit.outputs.iter().try_for_each(|output| shared.send_output(writer, output, now))?;
        commit.appends.iter().try_for_each(|entry| shared.send_entry(writer, entry, now))?;
        for (place, key, value) in &commit.state {
            shared.send_change(writer, *place, key, value.as_deref())?;
        }
        for (place, key) in commit.landing_tombstones.iter().chain(&erased) {
            let sent = Sent {
                topic: shared.topics.of(place.topic),
                partition: Some(place.partition),
                key,
                value: None,
                headers: None,
                at: None,
                slot: 0,
            };
            writer.send(sent)?;
        }
        for (place, next) in &commit.positions {
            shared.send_change(writer, *place, POSITION, Some(&next.to_be_bytes()))?;
        }
        let news = [members[0].context().news(), members[1].context().news()];
        let mut offsets: Vec<(TopicPartitionList, &ConsumerGroupMetadata)> = Vec::new();
        for (topic, news) in TOPICS.into_iter().zip(&news) {
            let mut list = TopicPartitionList::new();
            for (place, next) in commit.positions.iter().filter(|(place, _)| place.topic == topic) {
                let added = list.add_partition_offset(shared.topics.of(topic), i32::from(place.partition), offset(*next));
                added.map_err(|e| log_error(&shared.settings.bootstrap, "a position", &e))?;
            }
            if list.count() > 0 {
                offsets.push((list, news.group.as_ref().ok_or_else(|| LogError::lost(shared.topics.of(topic)))?));
            }
        }
        let ends = writer.commit(&offsets)?;
        drop(offsets);
        drop(news);
        // Durable from here on. The local copy follows; if it fails, it is restored from the changelog.
        let mut known: BTreeMap<Place, Known> = BTreeMap::new();
        let places = commit.state.iter().map(|(place, ..)| *place).chain(commit.positions.iter().map(|(place, _)| *place));
        for place in places {
            if let std::collections::btree_map::Entry::Vacant(slot) = known.entry(place) {
                let before = shared.cache.known(place)?;
                let position = commit.positions.iter().find(|(other, _)| *other == place).map(|(_, next)| *next);
                let changelog = ends.get(&shared.slot_of_changelog(place)).copied().unwrap_or(before.changelog);
                slot.insert(Known { changelog, position: position.or(before.position) });
            }
        }
        {
            // What was taken away meanwhile is another's to write.
            let held = shared.held();
            known.retain(|place, _| members.iter().any(|member| held.is_by(*place, member.context().number)));
            let changes = commit.state.iter().filter(|(place, ..)| known.contains_key(place));
            shared.cache.take(changes, &known)?;
        }
        let mut progress = shared.progress();
        progress.appended(&shared, &ends);
        for (place, position) in &commit.positions {
            progress.committed(*place, *position);
            if let Some(seat) = self.seats.get_mut(place) {
                seat.committed = *position;
            }
        }
        Ok(())
    }

    /// Reads again what follows the last commit.
    fn rewind(&mut self) -> Result<(), LogError> {
        for (topic, member) in TOPICS.into_iter().zip(self.members.iter().flatten()) {
            let name = self.shared.topics.of(topic);
            let mut list = TopicPartitionList::new();
            for (place, seat) in self.seats.iter().filter(|(place, _)| place.topic == topic) {
                let from = offset_or_beginning(seat.committed);
                list.add_partition_offset(name, i32::from(place.partition), from).map_err(|e| log_error(name, "a place", &e))?;
            }
            if list.count() > 0 {
                let done = member.seek_partitions(list, self.shared.settings.answer_within);
                done.map_err(|e| log_error(name, "it cannot be read again", &e))?;
            }
        }
        for seat in self.seats.values_mut() {
            (seat.next, seat.given, seat.drained) = (seat.committed, seat.committed, false);
        }
        Ok(())
    }
}

impl Log for Session {
    fn poll(&mut self, wait: Duration, batch: &mut Batch) -> Result<(), LogError> {
        batch.clear();
        self.stands()?;
        if self.standing == Standing::New {
            batch.assigned = self.seats.iter().map(|(place, seat)| (*place, seat.committed)).collect();
            self.standing = Standing::Working;
        }
        let until = Instant::now() + wait;
        loop {
            // What owners say is never behind what they say it of.
            let left = until.saturating_duration_since(Instant::now()).min(TURN);
            let left = if batch.is_empty() { left } else { Duration::ZERO };
            let done = self.fill(1, Duration::ZERO, batch).and_then(|()| self.fill(0, left, batch));
            if let Err(error) = done {
                batch.clear();
                return self.fail(error);
            }
            if !batch.is_empty() || Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn get(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError> {
        self.shared.cache.get(place, key)
    }

    fn scan(&self, place: Place, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        self.shared.cache.scan(place, prefix, each)
    }

    fn replay(&self, place: Place, from: u64, records: &mut Vec<Record>) -> Result<Option<u64>, LogError> {
        let told = self.standing == Standing::Working;
        let seat = self.seats.get(&place).filter(|_| told).ok_or_else(|| LogError::lost(place))?;
        self.shared.replay(place, from, seat.committed, records)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.stands()?;
        if commit.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.check(&commit) {
            self.standing = Standing::Failed;
            return Err(error);
        }
        self.transact(&commit).or_else(|error| self.fail_writing(error))
    }

    fn abort(&mut self) -> Result<(), LogError> {
        if self.standing == Standing::Over {
            return Err(LogError::lost(self.at()));
        }
        if self.broken {
            // What the brokers know of the last commit decides: joined again, all is read from there.
            self.leave();
            self.writer = None;
            for place in std::mem::take(&mut self.seats).into_keys() {
                self.shared.progress().forget(place);
            }
            let writer = Writer::open(&self.shared.settings, &worker(self.number));
            self.writer = Some(writer.inspect_err(|_| self.standing = Standing::Failed).map_err(given_up)?);
            self.join()?;
            self.broken = false;
        } else {
            self.rewind()?;
        }
        self.standing = Standing::New;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}

fn worker(number: usize) -> String {
    format!("worker-{number}")
}
