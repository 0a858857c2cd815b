//! Files of FHIR: NDJSON, or one JSON value over many lines; plain, gzip or zstd; `-` is standard input.
//!
//! In: paths. Out: blocks of whole records, each with its file and line, and what had to be refused.
//! Never here: more in memory than the limits say, however much a file unpacks to.

use super::lines::Lines;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All in bytes, after unpacking.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest line of NDJSON.
    pub record_bytes_max: usize,
    /// The longest file that is one JSON value over many lines.
    pub whole_file_bytes_max: usize,
    /// How much is read before a block is handed on; a longer line makes a longer block.
    pub block_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { record_bytes_max: 64 << 20, whole_file_bytes_max: 512 << 20, block_bytes: 1 << 20 }
    }
}

/// One resource or Bundle, not yet read.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Index of the path in the list given to [`Blocks::open`].
    pub file: usize,
    /// Where it begins, from 1.
    pub line: u64,
    pub bytes: &'a [u8],
}

/// What could not become a record. The lines around it are not harmed, unless the file ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub file: usize,
    pub line: u64,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Longer than one record may be; it was passed over without being kept.
    TooLong {
        most: usize,
    },
    /// Nothing in it but white space.
    EmptyFile,
    CannotOpen(io::ErrorKind),
    /// What came before was handed on; nothing after it can be read. A cut-off or damaged archive is this too.
    CannotRead(io::ErrorKind),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::TooLong { most } => write!(f, "longer than the {most} bytes that one record may have"),
            Why::EmptyFile => f.write_str("the file is empty"),
            Why::CannotOpen(kind) => write!(f, "cannot be opened: {kind}"),
            Why::CannotRead(kind) => write!(f, "cannot be read from here on: {kind}"),
        }
    }
}

/// Some whole records of one file, owned: one thread may read blocks while others decode them.
pub struct Block {
    pub(super) file: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) found: Vec<Found>,
}

pub(super) enum Found {
    Record { line: u64, range: Range<usize> },
    Refused { line: u64, why: Why },
}

impl Block {
    /// In the order of the file.
    pub fn records(&self) -> impl Iterator<Item = Result<Record<'_>, Refused>> {
        self.found.iter().map(|found| match found {
            Found::Record { line, range } => Ok(Record { file: self.file, line: *line, bytes: &self.bytes[range.clone()] }),
            Found::Refused { line, why } => Err(Refused { file: self.file, line: *line, why: *why }),
        })
    }
}

/// How far the reading is, for a progress bar on another thread.
#[derive(Clone, Default)]
pub struct Progress {
    read: Arc<AtomicU64>,
    /// Bytes of all files as they lie on disk. Standard input and pipes count as nothing.
    pub total: u64,
}

impl Progress {
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// Reads files one after the other. Never fails: what is wrong is [`Refused`] in its place.
pub struct Blocks {
    files: std::vec::IntoIter<PathBuf>,
    limits: Limits,
    progress: Progress,
    /// Index of the file after the one that is open.
    next: usize,
    open: Option<Lines<Box<dyn Read + Send>>>,
}

impl Blocks {
    pub fn open(files: Vec<PathBuf>, limits: Limits) -> Blocks {
        let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |about| about.len());
        let progress = Progress { read: Arc::default(), total: files.iter().map(size).sum() };
        Blocks { files: files.into_iter(), limits, progress, next: 0, open: None }
    }

    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Iterator for Blocks {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        loop {
            if let Some(lines) = &mut self.open {
                match lines.next() {
                    Some(block) => return Some(block),
                    None => self.open = None,
                }
            }
            let path = self.files.next()?;
            let file = self.next;
            self.next += 1;
            match open(&path, &self.progress) {
                Ok(input) => self.open = Some(Lines::new(file, input, self.limits)),
                Err(e) => {
                    let found = vec![Found::Refused { line: 0, why: Why::CannotOpen(e.kind()) }];
                    return Some(Block { file, bytes: Vec::new(), found });
                }
            }
        }
    }
}

fn open(path: &Path, progress: &Progress) -> io::Result<Box<dyn Read + Send>> {
    let raw: Box<dyn Read + Send> = if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    unpacked(Counted { inner: raw, read: progress.read.clone() })
}

/// Tells gzip and zstd by their first bytes, so a name without an ending, or standard input, will do.
pub(super) fn unpacked(mut raw: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut head)?;
    let packed = head.clone();
    let all = io::Cursor::new(head).chain(raw);
    Ok(match packed.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 17, all))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::new(all)?),
        _ => Box::new(all),
    })
}

struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(into)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
