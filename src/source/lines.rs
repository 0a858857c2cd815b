//! Cuts one unpacked file into blocks of whole records.
//!
//! In: bytes as they come. Out: blocks; a line longer than the limit is passed over and said so.
//! Never here: a line held in memory beyond the limit.
//!
//! The rule for what a file is: where one of its first two lines (blank ones aside) is a whole JSON value, or both begin an
//! object and the first does not go on, or there is only one line, each line is a record. Otherwise the file is one JSON
//! value over many lines. So broken first records do not make a single value of a million good ones.

use super::file::{Block, Found, Limits, Why};
use footbridge_core::fhir::scan::Scan;
use std::io::{self, Read};

pub(super) struct Lines<R> {
    file: usize,
    input: R,
    limits: Limits,
    shape: Option<Shape>,
    /// Read and not yet handed on: most often part of a line.
    held: Vec<u8>,
    /// Of the first byte held, from 1.
    line: u64,
    ended: bool,
    failed: Option<io::ErrorKind>,
    /// A record was found in this file, or something said about it.
    spoke: bool,
    done: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Lines,
    Whole,
}

/// Two broken records: within one value an object begins only after what leads to it.
fn begin_each_a_record(lines: &[&[u8]]) -> bool {
    let [first, second] = lines else { return false };
    let goes_on = matches!(first.last(), Some(b':' | b',' | b'[' | b'{'));
    first.starts_with(b"{") && second.starts_with(b"{") && !goes_on
}

impl<R: Read> Lines<R> {
    pub(super) fn new(file: usize, input: R, limits: Limits) -> Lines<R> {
        Lines { file, input, limits, shape: None, held: Vec::new(), line: 1, ended: false, failed: None, spoke: false, done: false }
    }

    pub(super) fn next(&mut self) -> Option<Block> {
        if self.done {
            return None;
        }
        let shape = match self.shape {
            Some(shape) => shape,
            None => self.look(),
        };
        self.shape = Some(shape);
        let mut found = Vec::new();
        let bytes = match shape {
            Shape::Lines => self.lines(&mut found),
            Shape::Whole => self.whole(&mut found),
        };
        self.spoke |= !found.is_empty();
        if self.done && !self.spoke {
            found.push(Found::Refused { line: 1, why: Why::EmptyFile });
        }
        (!found.is_empty()).then_some(Block { file: self.file, bytes, found })
    }

    /// Reads until `most` bytes are held, or the input ends or fails.
    fn fill(&mut self, most: usize) {
        let want = most.saturating_sub(self.held.len());
        self.held.reserve(want);
        match self.input.by_ref().take(want as u64).read_to_end(&mut self.held) {
            Ok(n) => self.ended = n < want,
            Err(e) => (self.ended, self.failed) = (true, Some(e.kind())),
        }
    }

    fn look(&mut self) -> Shape {
        let mut most = 1 << 14;
        let two_lines = |held: &[u8]| full_lines(held).filter(|line| !line.trim_ascii().is_empty()).take(2).count() == 2;
        while !self.ended && !two_lines(&self.held) && self.held.len() <= self.limits.record_bytes_max {
            self.fill(most);
            most *= 2;
        }
        if self.held.starts_with(b"\xef\xbb\xbf") {
            self.held.drain(..3);
        }
        let rest: &[u8] = if self.ended { last_line(&self.held) } else { b"" };
        let lines: Vec<&[u8]> =
            full_lines(&self.held).chain([rest]).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).take(2).collect();
        // Without a single full line yet, the line is too long for one record, and is treated as such.
        let only_line = lines.len() < 2 && (self.ended || lines.is_empty());
        if only_line || lines.iter().any(|line| is_whole(line)) || begin_each_a_record(&lines) { Shape::Lines } else { Shape::Whole }
    }

    fn lines(&mut self, found: &mut Vec<Found>) -> Vec<u8> {
        loop {
            if !self.ended {
                self.fill(self.held.len().max(self.limits.block_bytes / 2) + self.limits.block_bytes / 2);
            }
            let newline = memchr::memrchr(b'\n', &self.held);
            if self.ended {
                self.done = true;
                let mut bytes = std::mem::take(&mut self.held);
                if let Some(kind) = self.failed {
                    // The last line is cut off: it is what cannot be read.
                    bytes.truncate(newline.map_or(0, |at| at + 1));
                    self.split(&bytes, found);
                    found.push(Found::Refused { line: self.line, why: Why::CannotRead(kind) });
                } else {
                    self.split(&bytes, found);
                }
                return bytes;
            }
            if let Some(at) = newline {
                let rest = self.held.split_off(at + 1);
                let bytes = std::mem::replace(&mut self.held, rest);
                self.split(&bytes, found);
                if !found.is_empty() {
                    return bytes;
                }
            } else if self.held.len() > self.limits.record_bytes_max {
                found.push(Found::Refused { line: self.line, why: Why::TooLong { most: self.limits.record_bytes_max } });
                self.pass_over();
                return Vec::new();
            }
        }
    }

    /// Notes each line of `bytes` that is not blank.
    fn split(&mut self, bytes: &[u8], found: &mut Vec<Found>) {
        let mut start = 0;
        while start < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
            let line = self.line;
            self.line += 1;
            let blank_before = bytes[start..end].len() - bytes[start..end].trim_ascii_start().len();
            let length = bytes[start..end].trim_ascii().len();
            if length > self.limits.record_bytes_max {
                found.push(Found::Refused { line, why: Why::TooLong { most: self.limits.record_bytes_max } });
            } else if length > 0 {
                let from = start + blank_before;
                found.push(Found::Record { line, range: from..from + length });
            }
            start = end + 1;
        }
    }

    /// Reads to the end of the line at hand and keeps what comes after it.
    fn pass_over(&mut self) {
        self.held = Vec::new();
        while !self.ended {
            self.fill(1 << 16);
            match memchr::memchr(b'\n', &self.held) {
                Some(at) => {
                    self.held.drain(..=at);
                    break;
                }
                None => self.held.clear(),
            }
        }
        self.line += 1;
    }

    fn whole(&mut self, found: &mut Vec<Found>) -> Vec<u8> {
        let most = self.limits.whole_file_bytes_max;
        while !self.ended && self.held.len() <= most {
            self.fill((self.held.len() * 2).clamp(1 << 16, most + 1));
        }
        self.done = true;
        let bytes = std::mem::take(&mut self.held);
        let before = bytes.len() - bytes.trim_ascii_start().len();
        let line = 1 + bytes[..before].iter().filter(|b| **b == b'\n').count() as u64;
        let length = bytes.trim_ascii().len();
        match self.failed {
            Some(kind) => found.push(Found::Refused { line, why: Why::CannotRead(kind) }),
            None if bytes.len() > most => found.push(Found::Refused { line, why: Why::TooLong { most } }),
            None => found.push(Found::Record { line, range: before..before + length }),
        }
        bytes
    }
}

/// The lines that end with a newline, without it.
fn full_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

/// What comes after the last newline.
fn last_line(bytes: &[u8]) -> &[u8] {
    &bytes[memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)..]
}

fn is_whole(line: &[u8]) -> bool {
    let mut scan = Scan::new(line);
    scan.skip().and_then(|_| scan.finish()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::file::{Refused, unpacked};
    use super::*;
    use std::io::Write;

    const LIMITS: Limits = Limits { record_bytes_max: 100, whole_file_bytes_max: 400, block_bytes: 64 };

    /// Each record as `line: bytes`, each refusal as `line! why`.
    fn told(input: &[u8]) -> Vec<String> {
        told_within(Box::new(io::Cursor::new(input.to_vec())), LIMITS)
    }

    fn told_within(input: Box<dyn Read>, limits: Limits) -> Vec<String> {
        let (mut lines, mut out) = (Lines::new(0, input, limits), Vec::new());
        while let Some(block) = lines.next() {
            for record in block.records() {
                out.push(match record {
                    Ok(record) => format!("{}: {}", record.line, String::from_utf8_lossy(record.bytes)),
                    Err(Refused { line, why, .. }) => format!("{line}! {why}"),
                });
            }
        }
        out
    }

    #[test]
    fn ndjson_gives_a_record_a_line() {
        assert_eq!(told(b"{\"a\":1}\n{\"a\":2}\n"), ["1: {\"a\":1}", "2: {\"a\":2}"]);
        assert_eq!(told(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n  {\"a\":2} \r\n{\"a\":3}"), ["1: {\"a\":1}", "3: {\"a\":2}", "4: {\"a\":3}"]);
        assert_eq!(told(b"{\"a\":1}"), ["1: {\"a\":1}"]);
    }

    #[test]
    fn one_value_over_many_lines_is_one_record() {
        assert_eq!(told(b"\n{\n  \"a\": [\n1]\n}\n"), ["2: {\n  \"a\": [\n1]\n}"]);
        assert_eq!(told(b"{\r\n\"a\": 1 }"), ["1: {\r\n\"a\": 1 }"]);
    }

    #[test]
    fn a_broken_line_harms_no_other() {
        assert_eq!(told(b"{\"a\":\n{\"a\":2}\n"), ["1: {\"a\":", "2: {\"a\":2}"]);
        assert_eq!(told(b"{\"a\":1}\n}{\n{\"a\":3}\n"), ["1: {\"a\":1}", "2: }{", "3: {\"a\":3}"]);
        assert_eq!(told(b"{\"a\":1}\n\xff\xfe\n{}").len(), 3);
        // Two of them at the start, too.
        assert_eq!(told(b"{\"a\":[1\n{\"b\":\"x\n{\"a\":3}\n").len(), 3);
        // What leads to an object keeps two such lines together.
        assert_eq!(told(b"{\"a\":\n{\"b\":\n1}}\n").len(), 1);
    }

    #[test]
    fn an_empty_file_is_told() {
        for empty in [&b""[..], b"\n", b" \r\n\n\t ", b"\xef\xbb\xbf"] {
            assert_eq!(told(empty), ["1! the file is empty"]);
        }
        assert_eq!(told(&b"\n".repeat(5000)), ["1! the file is empty"]);
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over_wherever_it_stands() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
        let refused = "longer than the 100 bytes that one record may have";
        assert_eq!(told(format!("{long}\n{{}}\n").as_bytes()), [format!("1! {refused}"), "2: {}".to_owned()]);
        assert_eq!(told(format!("{{}}\n{long}\n{{}}").as_bytes()), ["1: {}".to_owned(), format!("2! {refused}"), "3: {}".to_owned()]);
        assert_eq!(told(format!("{{}}\n{{}}\n{long}").as_bytes()), ["1: {}".to_owned(), "2: {}".to_owned(), format!("3! {refused}")]);
        assert_eq!(told(long.as_bytes()), [format!("1! {refused}")]);
        let whole = format!("{{\n{}}}", " \"a\": 1,\n".repeat(60));
        assert_eq!(told(whole.as_bytes()), ["1! longer than the 400 bytes that one record may have"]);
    }

    /// Every record comes once, with its line, however long lines are against blocks.
    #[test]
    fn blocks_cut_between_lines_only() {
        let mut input = String::new();
        let mut expected = Vec::new();
        for n in 1..500usize {
            let record = format!("{{\"n\":\"{}\"}}", "y".repeat(n * 7 % 83));
            expected.push(format!("{n}: {record}"));
            input.push_str(&record);
            input.push_str(if n % 3 == 0 { "\r\n" } else { "\n" });
        }
        for block_bytes in [2, 10, 64, 1000, 1 << 20] {
            let limits = Limits { block_bytes, ..LIMITS };
            assert_eq!(told_within(Box::new(io::Cursor::new(input.clone())), limits), expected, "{block_bytes}");
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).expect("memory");
        writer.finish().expect("memory")
    }

    fn told_packed(packed: Vec<u8>) -> Vec<String> {
        told_within(unpacked(io::Cursor::new(packed)).expect("opens"), LIMITS)
    }

    #[test]
    fn archives_are_known_by_their_first_bytes() {
        let two = [gzip(b"{\"a\":1}\n"), gzip(b"{\"a\":2}\n")].concat();
        assert_eq!(told_packed(two), ["1: {\"a\":1}", "2: {\"a\":2}"]);
        let zst = zstd::encode_all(&b"{\"a\":1}\n{\"a\":2}\n"[..], 1).expect("memory");
        assert_eq!(told_packed(zst), ["1: {\"a\":1}", "2: {\"a\":2}"]);
        assert_eq!(told_packed(b"{}".to_vec()), ["1: {}"]);
        assert_eq!(told_packed(gzip(b"")), ["1! the file is empty"]);
    }

    #[test]
    fn a_cut_off_archive_gives_what_came_before_and_says_so() {
        let text = (1..400).map(|n| format!("{{\"n\":{}}}\n", n * 7919 % 1000)).collect::<String>();
        let whole = told_within(Box::new(io::Cursor::new(text.clone())), LIMITS);
        for packed in [gzip(text.as_bytes()), zstd::encode_all(text.as_bytes(), 1).expect("memory")] {
            for cut in [packed.len() - 1, packed.len() / 2, 20] {
                let told = told_packed(packed[..cut].to_vec());
                let (last, before) = told.split_last().expect("something is told");
                assert!(last.contains("! cannot be read from here on"), "{last}");
                assert_eq!(before, &whole[..before.len()]);
            }
        }
    }

    /// A line without end, made as it is read; it counts the most that a reader asked for in one go.
    struct Endless {
        left: u64,
        asked_max: std::rc::Rc<std::cell::Cell<usize>>,
    }

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.asked_max.set(self.asked_max.get().max(into.len()));
            let n = into.len().min(self.left as usize);
            into[..n].fill(b'x');
            self.left -= n as u64;
            Ok(n)
        }
    }

    #[test]
    fn a_line_of_200_megabytes_is_never_held() {
        let asked_max = std::rc::Rc::default();
        let long = Endless { left: 200 << 20, asked_max: std::rc::Rc::clone(&asked_max) };
        let limits = Limits { record_bytes_max: 1 << 20, ..Limits::default() };
        let input = io::Cursor::new(b"{\"a\":1}\n".to_vec()).chain(long).chain(io::Cursor::new(b"\n{\"a\":3}\n".to_vec()));
        let (mut lines, mut told, mut held_max) = (Lines::new(0, input, limits), Vec::new(), 0);
        while let Some(block) = lines.next() {
            held_max = held_max.max(lines.held.capacity() + block.bytes.capacity());
            told.extend(block.records().map(|record| record.map(|record| record.line)));
        }
        let refused = Refused { file: 0, line: 2, why: Why::TooLong { most: 1 << 20 } };
        assert_eq!(told, [Ok(1), Err(refused), Ok(3)]);
        assert!(held_max <= 8 << 20 && asked_max.get() <= 8 << 20, "{held_max} {}", asked_max.get());
    }
}
