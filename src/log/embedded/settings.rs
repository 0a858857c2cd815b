//! What an operator may set about the embedded log.
//!
//! In: nothing. Out: sizes, bounds and retentions, with defaults that keep the whole log well below 200 MB of memory.
//! Never here: reading a configuration file.

use footbridge_core::time::Span;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Settings {
    /// Partitions of landing and of owners. Recorded when the directory is made; another count is refused later.
    pub partitions: u16,
    /// Bytes of blocks read from disk that are kept in memory.
    pub cache_bytes: u64,
    /// Bytes of all memtables being written to; those on their way to disk come on top, at most four times as much.
    pub memtable_bytes: u64,
    /// Bytes of appends that may wait for the writer; more are answered with `Full`.
    pub queue_bytes_max: usize,
    /// Bytes of new records that a session finds in memory; one that falls behind further reads from disk.
    pub tail_bytes_max: usize,
    /// Bytes and entries that are made durable with one sync.
    pub group_bytes_max: usize,
    pub group_entries_max: usize,
    /// Records and bytes of one poll.
    pub poll_records_max: usize,
    pub poll_bytes_max: usize,
    /// Below this much free space appends are refused, so that what was taken can still be worked off.
    pub reserve_bytes: u64,
    /// A commit that the writer has not answered by then ends the log: the disk hangs, and nothing may be assumed.
    pub answer_within: Duration,
    /// How long superseded events of an audience, tombstones, disclosures and what stands in quarantine are kept.
    pub superseded_for: Span,
    pub disclosures_for: Span,
    pub quarantine_for: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            partitions: 48,
            cache_bytes: 32 << 20,
            memtable_bytes: 32 << 20,
            queue_bytes_max: 16 << 20,
            tail_bytes_max: 16 << 20,
            group_bytes_max: 4 << 20,
            group_entries_max: 4096,
            poll_records_max: 2000,
            poll_bytes_max: 4 << 20,
            reserve_bytes: 256 << 20,
            answer_within: Duration::from_secs(60),
            superseded_for: Span::days(37),
            disclosures_for: Span::days(6 * 366),
            quarantine_for: Span::days(30),
        }
    }
}
