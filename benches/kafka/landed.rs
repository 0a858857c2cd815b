//! Landing filled before any bridge runs, by the program's own intake and log.
//!
//! In: a home, resources. Out: records in landing, behind a marked baseline. Never here: a worker.

use super::program::Home;
use super::until;
use footbridge::config::data::DataFolder;
use footbridge::config::files::Files;
use footbridge::config::mappings;
use footbridge::demo::shipped;
use footbridge::log::kafka::{Kafka, Settings};
use footbridge::log::{Clock, Entry, Landing};
use footbridge::source::intake::{Intake, Source};
use footbridge::source::landing::Partitions;
use footbridge::source::{Keep, ReadBy};
use footbridge_core::audience::Definitions;
use footbridge_core::fhir::Versions;
use footbridge_core::key::Keys;
use footbridge_core::time::{Instant, Span};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Records that are appended together.
const PART: usize = 500;
const LONGEST: Duration = Duration::from_secs(120);

/// The data ends in 2020: the bridge runs as if it were a while before.
pub fn beside() -> i64 {
    let then = jiff::Timestamp::from_second(1_546_300_800).expect("2019");
    then.as_second() - jiff::Timestamp::now().as_second()
}

/// As many entries as landing has then.
pub fn fill(home: &Home, records: &[Vec<u8>], beside: i64) -> usize {
    let data = DataFolder::open(&home.folder.join("data")).expect("a data folder");
    let settings = Settings {
        bootstrap: home.at.clone(),
        prefix: format!("{}.", home.name),
        group: home.name.clone(),
        replication: 1,
        partitions: home.partitions,
        ..Settings::default()
    };
    let clock: Clock = Arc::new(move || Instant::from(jiff::Timestamp::now()).plus(Span::seconds(beside)));
    let log = Kafka::open(&data.copy(), settings, clock).expect("a log");
    let mappings = mappings::read_files(&Files::Texts(shipped::MAPPINGS)).mappings.expect("the shipped mappings are right");
    let definitions = Arc::new(Definitions::new(mappings.catalogue, mappings.policy, mappings.valuesets));
    let source = Source { name: "push".into(), namespace: String::new(), versions: Versions::LastUpdated };
    let read_by = ReadBy::new(definitions, Keep::Read);
    let intake = Intake { read_by, keys: Keys::new(&data.routing), partitions: Partitions(home.partitions), sources: vec![source.clone()] };
    let parts = records.chunks(PART).map(|part| part.iter().flat_map(|record| intake.receive(&source, record).entries).collect());
    let (landed, mut sent, mut count) = (Arc::new(AtomicUsize::new(0)), 0, 0);
    let nothing = || "no program runs yet".to_owned();
    for entries in std::iter::once(intake.baseline(&source)).chain(parts) {
        let entries: Vec<Entry> = entries;
        (sent, count) = (sent + 1, count + entries.len());
        let mut waiting = Some(entries);
        until("room in landing", LONGEST, Duration::from_millis(1), nothing, || {
            let told = Arc::clone(&landed);
            let done = Box::new(move |done: Result<_, _>| _ = done.map(|_| told.fetch_add(1, Ordering::Relaxed)).expect("durable"));
            waiting = log.append(waiting.take()?, done).err().map(|full| full.entries);
            waiting.is_none().then_some(())
        });
    }
    until("landing to be durable", LONGEST, Duration::from_millis(5), nothing, || (landed.load(Ordering::Relaxed) == sent).then_some(()));
    count
}
