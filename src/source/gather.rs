//! Files of one source into landing, in bounded memory.
//!
//! In: blocks of records. Out: appends, each durable before the next, and what could not be read, with its line.
//! Never here: a line that is passed over in silence, or what a resource means.

use super::file::Blocks;
use super::intake::{Intake, Source};
use crate::log::{Entry, LogError};
use crate::observe::{EntriesLanded, Quarantined, RecordUnreadable};

/// Records that are appended together.
const PART: usize = 500;

/// What became of the files.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Gathered {
    pub resources: u64,
    /// Could not be read, and are in quarantine.
    pub quarantined: u64,
    /// Did not even become records: they are not in landing.
    pub lost: u64,
}

/// A record that could not be read.
pub struct Noted {
    /// Index of the path in the list given to [`Blocks::open`].
    pub file: usize,
    pub line: u64,
    /// Without a word of the record.
    pub why: String,
    pub quarantined: bool,
}

#[derive(Debug)]
pub enum Cut {
    Stopped,
    Log(LogError),
}

impl From<LogError> for Cut {
    fn from(error: LogError) -> Cut {
        Cut::Log(error)
    }
}

/// `append` returns once its entries are durable. `go_on` is asked before each block and each append.
pub fn gather(
    intake: &Intake,
    source: &Source,
    blocks: Blocks,
    go_on: &mut dyn FnMut() -> bool,
    append: &mut dyn FnMut(Vec<Entry>) -> Result<(), LogError>,
    noted: &mut dyn FnMut(Noted),
) -> Result<Gathered, Cut> {
    let (mut gathered, mut entries) = (Gathered::default(), Vec::new());
    for block in blocks {
        for record in block.records() {
            match record {
                Ok(record) => {
                    let received = intake.receive(source, record.bytes);
                    gathered.resources += received.resources;
                    gathered.quarantined += received.refused.len() as u64;
                    for (_, why) in &received.refused {
                        RecordUnreadable { source: &source.name, reason: Quarantined::of(why) }.emit();
                        noted(Noted { file: record.file, line: record.line, why: why.to_string(), quarantined: true });
                    }
                    entries.extend(received.entries);
                }
                Err(refused) => {
                    gathered.lost += 1;
                    noted(Noted { file: refused.file, line: refused.line, why: refused.why.to_string(), quarantined: false });
                }
            }
            if entries.len() >= PART {
                land(source, std::mem::take(&mut entries), append)?;
                if !go_on() {
                    return Err(Cut::Stopped);
                }
            }
        }
        if !go_on() {
            return Err(Cut::Stopped);
        }
    }
    land(source, entries, append)?;
    Ok(gathered)
}

fn land(source: &Source, entries: Vec<Entry>, append: &mut dyn FnMut(Vec<Entry>) -> Result<(), LogError>) -> Result<(), LogError> {
    let count = entries.len() as u64;
    if count > 0 {
        append(entries)?;
        EntriesLanded { source: &source.name, entries: count }.emit();
    }
    Ok(())
}
