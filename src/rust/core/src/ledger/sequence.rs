//! Whether rows are numbered without gaps, which a pass over their first cells shows.
//!
//! A writer takes the numbers of a large file on trust only once it has looked: where copies were merged line by line,
//! or rows were taken out, the last row may hold all the same.

use std::io;
use std::ops::Range;

use crate::error::{Error, Result, RowDamage};
use crate::format::chain::Head;
use crate::format::digest::{Digest, HEX_LEN};
use crate::format::id::Seq;
use crate::format::row::RawRow;
use crate::ledger::read::Position;
use crate::ledger::row_rules;
use crate::ledger::store::Store;
use crate::platform::{memory, sys, threads};

/// How many bytes of a part are in memory at once, if its rows are shorter.
const BLOCK_BYTES: usize = 1 << 20;

/// Looks through the rows from one position on, up to a byte of the file; the position after the last one that has
/// its line feed. All of them are numbered as they should be, and none must be understood and isn't.
pub(super) fn look_through<S: Store>(store: &S, from: Position, end: u64) -> Result<Position> {
    let reading = |e| Error::io(store.path(), "read", e);
    let ranges = split(store, from.end..end).map_err(reading)?;
    let parts = threads::map(&ranges, |range| {
        let is_first = range.start == from.end;
        Part::read(store, range.clone(), is_first.then(|| from.head.seq.next()))
    });
    let mut position = from;
    for part in parts {
        let part = part.map_err(reading)?;
        let expected = position.head.seq.next();
        if part.first.is_some_and(|first| first != expected) {
            return Err(misnumbered(store, position, part.start, part.first));
        }
        position = part.last.unwrap_or(position);
        match part.fault {
            None => {}
            Some(Fault::Newer(what)) => {
                let path = store.path().to_owned();
                return Err(Error::Newer { path, what });
            }
            Some(Fault::Misnumbered { at, seq }) => {
                return Err(misnumbered(store, position, at, seq));
            }
        }
    }
    Ok(position)
}

fn misnumbered<S: Store>(store: &S, last: Position, byte: u64, seq: Option<Seq>) -> Error {
    let after = last.head.seq;
    Error::Corrupt {
        path: store.path().to_owned(),
        row: after.next().0,
        byte,
        why: match seq {
            None => "its seq is not a number".into(),
            Some(seq) if seq > after => format!("its seq is {seq} after {after}").into(),
            Some(seq) => RowDamage::Merged {
                seq: seq.0,
                after: after.0,
            },
        },
    }
}

/// Parts of the bytes, cut at line feeds.
fn split<S: Store>(store: &S, bytes: Range<u64>) -> io::Result<Vec<Range<u64>>> {
    let length = bytes.end.saturating_sub(bytes.start);
    let count = sys::threads_for(length);
    let mut ranges = Vec::new();
    let mut start = bytes.start;
    let mut block = vec![0; 1 << 16];
    for part in 1..count {
        let mut at = (bytes.start + length / count * part).max(start);
        while at < bytes.end {
            let read = store.read_at(&mut block, at)?;
            match memchr::memchr(b'\n', &block[..read]) {
                Some(found) => {
                    let cut = at + found as u64 + 1;
                    ranges.push(start..cut.min(bytes.end));
                    start = cut.min(bytes.end);
                    break;
                }
                None if read == 0 => break,
                None => at += read as u64,
            }
        }
    }
    ranges.push(start..bytes.end.max(start));
    Ok(ranges)
}

enum Fault {
    /// The row at a byte isn't the next one.
    Misnumbered {
        at: u64,
        seq: Option<Seq>,
    },
    Newer(String),
}

/// What a pass over a part of the rows found.
struct Part {
    start: u64,
    first: Option<Seq>,
    last: Option<Position>,
    fault: Option<Fault>,
}

impl Part {
    /// Reads whole lines. `next` is the number of the first one, if that is known.
    fn read<S: Store>(store: &S, range: Range<u64>, next: Option<Seq>) -> io::Result<Part> {
        let mut part = Part {
            start: range.start,
            first: None,
            last: None,
            fault: None,
        };
        let mut counter = next.map(Counter::from);
        let must = memchr::memmem::Finder::new(b"!,");
        let mut block = Vec::new();
        // Where the block begins, and where it ends.
        let (mut start, mut at) = (range.start, range.start);
        while at < range.end && part.fault.is_none() {
            let kept = block.len();
            let wanted = (range.end - at).min(BLOCK_BYTES.max(kept) as u64) as usize;
            memory::reserve(&mut block, wanted);
            block.resize(kept + wanted, 0);
            let read = store.read_at(&mut block[kept..], at)?;
            block.truncate(kept + read);
            at += read as u64;
            let lines = memchr::memrchr(b'\n', &block).map_or(0, |last| last + 1);
            part.take(&block[..lines], start, &mut counter, &must);
            block.drain(..lines);
            start += lines as u64;
            if read == 0 {
                break;
            }
        }
        Ok(part)
    }

    fn take(
        &mut self,
        lines: &[u8],
        start: u64,
        counter: &mut Option<Counter>,
        must: &memchr::memmem::Finder<'_>,
    ) {
        let mut last = None;
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &lines[at..]) {
            let line = &lines[at..at + length];
            if counter.is_none() {
                *counter = number(line).map(Counter::from);
            }
            let Some(expected) = counter.as_mut().filter(|next| next.begins(line)) else {
                let (at, seq) = (start + at as u64, number(line));
                self.fault = Some(Fault::Misnumbered { at, seq });
                break;
            };
            let seq = expected.seq;
            self.first.get_or_insert(seq);
            expected.step();
            at += length + 1;
            last = Some((seq, line, start + at as u64));
        }
        if let Some((seq, line, end)) = last {
            let hash = line.get(line.len().saturating_sub(HEX_LEN)..);
            // A row without a hash doesn't hold, which is not looked at here.
            let hash = hash.and_then(Digest::from_hex);
            let hash = hash.unwrap_or(Head::genesis().hash);
            let head = Head { seq, hash };
            self.last = Some(Position { end, head });
        }
        for mark in must.find_iter(&lines[..at]) {
            let begin = memchr::memrchr(b'\n', &lines[..mark]).map_or(0, |last| last + 1);
            let length = memchr::memchr(b'\n', &lines[begin..]).unwrap_or(lines.len() - begin);
            let Ok(row) = RawRow::parse(&lines[begin..begin + length]) else {
                continue;
            };
            if row.event().is_some_and(row_rules::must_be_understood) {
                self.fault = Some(Fault::Newer(row_rules::newer(&row)));
                return;
            }
        }
    }
}

fn number(line: &[u8]) -> Option<Seq> {
    let digits = &line[..memchr::memchr(b',', line)?];
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok().map(Seq))?
}

/// A number that is counted up as text: that is how it is compared.
struct Counter {
    seq: Seq,
    text: Vec<u8>,
}

impl From<Seq> for Counter {
    fn from(seq: Seq) -> Counter {
        let text = format!("{seq},").into_bytes();
        Counter { seq, text }
    }
}

impl Counter {
    fn begins(&self, line: &[u8]) -> bool {
        line.starts_with(&self.text)
    }

    fn step(&mut self) {
        self.seq = self.seq.next();
        let comma = self.text.len() - 1;
        for digit in self.text[..comma].iter_mut().rev() {
            match digit {
                b'9' => *digit = b'0',
                _ => {
                    *digit += 1;
                    return;
                }
            }
        }
        self.text.insert(0, b'1');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_counts() {
        let mut counter = Counter::from(Seq(1));
        for n in 1..2000 {
            assert_eq!(counter.seq, Seq(n));
            assert_eq!(counter.text, format!("{n},").into_bytes());
            counter.step();
        }
    }
}
