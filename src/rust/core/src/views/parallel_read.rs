//! Reading the runs of a large ledger: in blocks, by every processor, in one pass over the bytes.
//!
//! Nearly all rows of a large ledger are finished runs with plain values. Such rows are taken apart
//! here, where they stand, and land in columns. Every other row is applied as [`Runs`] applies it,
//! in its place. Where anything is not as it should be, the whole ledger is read again by the
//! generic way, which finds the words for it.

use std::fs::File;
use std::io;
use std::ops::Range;

use crate::columnar::cells::Tag;
use crate::columnar::columns::Columns;
use crate::error::Result;
use crate::format::chain::{self, Head};
use crate::format::digest::{Digest, HEX_LEN};
use crate::format::fast_row::{self, Plain, Sink};
use crate::format::id::Seq;
use crate::format::json::{self, MAX_INT};
use crate::format::row::MAX_ROW_BYTES;
use crate::format::time::Timestamp;
use crate::format::value::Value;
use crate::ledger::{self, FIRST_ROW, LedgerFile, Position, RowRead};
use crate::platform::{memory, sys, threads};
use crate::views::batch::Batch;
use crate::views::fold::{Fold, Folded};

/// How many bytes of a part are in memory at once.
const BLOCK_BYTES: usize = 1 << 20;

/// A view to which many runs can be added at once.
pub trait BulkFold: Fold {
    /// Takes over some runs of a batch; `None` if the generic way must look.
    fn add(&mut self, batch: &Batch, rows: Range<usize>) -> Option<()>;
}

/// A view of a whole ledger, ready to catch up.
pub fn read<F: BulkFold>(file: &LedgerFile) -> Result<Folded<F>> {
    read_in_parts(file, sys::threads_for)
}

/// The same, of a view that isn't as its default: each try begins with a new one.
pub fn read_into<F: BulkFold>(file: &LedgerFile, new: impl Fn() -> F) -> Result<Folded<F>> {
    read_with(file, sys::threads_for, new)
}

/// The same, in as many parts as a number of bytes is worth.
pub fn read_in_parts<F: BulkFold>(file: &LedgerFile, parts: fn(u64) -> u64) -> Result<Folded<F>> {
    read_with(file, parts, F::default)
}

fn read_with<F: BulkFold>(
    file: &LedgerFile,
    parts: fn(u64) -> u64,
    new: impl Fn() -> F,
) -> Result<Folded<F>> {
    if let Some(folded) = try_read(file, parts, new()) {
        return Ok(folded);
    }
    Folded::begun(new()).taken(&file.read()?)
}

/// `None` where the generic way must look.
fn try_read<F: BulkFold>(file: &LedgerFile, parts: fn(u64) -> u64, new: F) -> Option<Folded<F>> {
    let size = file.size().ok()?;
    if size < FIRST_ROW {
        return None;
    }
    file.check_header().ok()?;
    let parts = parts(size);
    take(file, Folded::begun(new), FIRST_ROW..size, parts)
}

/// Takes over what was appended to a ledger since; `None` where the generic way must look.
pub fn extend<F: BulkFold>(file: &LedgerFile, known: Folded<F>) -> Option<Folded<F>> {
    let size = file.size().ok()?;
    let start = known.position()?.end;
    match size {
        _ if size == start => Some(known),
        _ if size < start => None,
        _ => {
            let parts = sys::threads_for(size - start);
            take(file, known, start..size, parts)
        }
    }
}

fn take<F: BulkFold>(
    ledger: &LedgerFile,
    known: Folded<F>,
    bytes: Range<u64>,
    parts: u64,
) -> Option<Folded<F>> {
    let (file, end) = (ledger.file(), bytes.end);
    let ranges = split(file, bytes, parts).ok()?;
    let parts = threads::map(&ranges, |range| Part::read(file, range.clone()));
    let parts: Vec<Part> = parts.into_iter().collect::<Option<_>>()?;
    let before = known.position().map_or(0, |position| position.head.seq.0);
    let lines: u64 = parts.iter().map(|part| part.lines).sum();
    let position = match parts.iter().rev().find(|part| part.lines > 0) {
        Some(last) => Position {
            end: last.end,
            head: Head {
                seq: Seq(before + lines),
                hash: Digest::from_hex(&last.last_hash?)?,
            },
        },
        None => *known.position()?,
    };
    let view = fold(known.into_view(), before, parts)?;
    let mut folded = Folded::at(view, position);
    if position.end < end {
        // A row without its line feed, or what is no row.
        folded.catch_up(ledger).ok()?;
    }
    Some(folded)
}

/// Takes parts over that come after some lines. Each is let go when it was taken over.
fn fold<F: BulkFold>(mut view: F, mut lines: u64, parts: Vec<Part>) -> Option<F> {
    for part in parts {
        if part.first_seq.is_some_and(|first| first != lines + 1) {
            return None;
        }
        if lines == 0 && part.lines > 0 && part.others.first().is_none_or(|first| first.line > 0) {
            return None;
        }
        let mut done = 0;
        for other in &part.others {
            view.add(&part.batch, done..other.runs_before)?;
            done = other.runs_before;
            let line = &part.bytes[other.bytes.clone()];
            match ledger::read_row(line, Some(Seq(lines + other.line))).ok()? {
                RowRead::Valid(row) => view.apply(&row).ok()?,
                // It is passed over if it was written so.
                RowRead::Invalid(row, _) => {
                    let holds = chain::link(&other.previous?, row.body) == row.hash;
                    holds.then_some(())?;
                }
                RowRead::Newer(..) => return None,
            }
        }
        view.add(&part.batch, done..part.batch.len())?;
        lines += part.lines;
    }
    Some(view)
}

/// Parts of the bytes, cut at line feeds.
fn split(file: &File, bytes: Range<u64>, count: u64) -> io::Result<Vec<Range<u64>>> {
    let size = bytes.end;
    let mut cuts = vec![bytes.start];
    let mut block = vec![0; 1 << 16];
    for part in 1..count {
        let mut at = bytes.start + (size - bytes.start) / count * part;
        let cut = loop {
            let read = sys::read_full(file, &mut block, at)?;
            match memchr::memchr(b'\n', &block[..read]) {
                Some(found) => break at + found as u64 + 1,
                None if read < block.len() => break size,
                None => at += read as u64,
            }
        };
        if cut > cuts[cuts.len() - 1] && cut < size {
            cuts.push(cut);
        }
    }
    cuts.push(size);
    Ok(cuts.windows(2).map(|pair| pair[0]..pair[1]).collect())
}

/// What one pass over a part of the file found.
#[derive(Default)]
struct Part {
    lines: u64,
    /// The seq of the first line, as the rows that were taken apart imply it.
    first_seq: Option<u64>,
    batch: Batch,
    others: Vec<Other>,
    bytes: Vec<u8>,
    /// After the last line feed.
    end: u64,
    last_hash: Option<[u8; HEX_LEN]>,
}

/// A line that is left to the generic way.
struct Other {
    /// How many lines of the part come before it.
    line: u64,
    /// How many runs of the batch do.
    runs_before: usize,
    /// Where it is among the bytes of such lines.
    bytes: Range<usize>,
    /// The hash of the line before it, if that is in the part.
    previous: Option<Digest>,
}

impl Part {
    fn read(file: &File, range: Range<u64>) -> Option<Part> {
        let mut part = Part {
            end: range.start,
            ..Part::default()
        };
        let mut memory = Memory::default();
        let mut block = Vec::new();
        memory::reserve(&mut block, 2 * BLOCK_BYTES);
        let mut at = range.start;
        loop {
            let kept = block.len();
            let wanted = (range.end - at).min(BLOCK_BYTES as u64) as usize;
            memory::reserve(&mut block, wanted);
            block.resize(kept + wanted, 0);
            let read = sys::read_full(file, &mut block[kept..], at).ok()?;
            block.truncate(kept + read);
            at += read as u64;
            let lines = memchr::memrchr(b'\n', &block).map_or(0, |last| last + 1);
            part.take(&block[..lines], &mut memory)?;
            block.drain(..lines);
            if read == 0 || at == range.end {
                return Some(part);
            }
            if block.len() > MAX_ROW_BYTES {
                return None;
            }
        }
    }

    fn take(&mut self, lines: &[u8], memory: &mut Memory) -> Option<()> {
        let mut rest = lines;
        while let Some(length) = memchr::memchr(b'\n', rest) {
            let line = &rest[..length];
            rest = &rest[length + 1..];
            match memory.run(line, &mut self.batch) {
                Some(seq) => {
                    let first = seq.checked_sub(self.lines)?;
                    if *self.first_seq.get_or_insert(first) != first {
                        return None;
                    }
                }
                None => {
                    self.batch.drop_unfinished().ok()?;
                    let start = self.bytes.len();
                    memory::reserve(&mut self.bytes, line.len());
                    self.bytes.extend_from_slice(line);
                    let previous = self.last_hash.as_ref();
                    memory::reserve(&mut self.others, 1);
                    self.others.push(Other {
                        line: self.lines,
                        runs_before: self.batch.len(),
                        bytes: start..self.bytes.len(),
                        previous: previous.and_then(|hash| Digest::from_hex(hash)),
                    });
                }
            }
            self.lines += 1;
            self.end += length as u64 + 1;
            let hash = line.get(line.len().checked_sub(HEX_LEN)?..)?;
            self.last_hash = hash.try_into().ok();
        }
        Some(())
    }
}

/// What rows have in common with the row before them.
#[derive(Default)]
struct Memory {
    second: [u8; 19],
    micros: i64,
    session: Vec<u8>,
    session_number: u32,
}

impl Memory {
    /// Takes a line over that is a finished run with plain values; its seq.
    fn run(&mut self, line: &[u8], batch: &mut Batch) -> Option<u64> {
        let row = batch.len();
        if line.len() >= MAX_ROW_BYTES {
            return None;
        }
        let (params, metrics) = (&mut batch.params, &mut batch.metrics);
        let mut cells = [
            Cells::of(params, row, i64::from(i32::MAX)),
            Cells::of(metrics, row, MAX_INT),
        ];
        let run = fast_row::run(line, &mut cells)?;
        let began = self.time(run.time)?;
        if run.session != self.session.as_slice() {
            self.session_number = batch.session(std::str::from_utf8(run.session).ok()?);
            self.session = run.session.to_vec();
        }
        let texts = [
            (run.name, &mut batch.names),
            (run.experiment, &mut batch.experiments),
        ];
        for (text, column) in texts {
            if let Some(text) = text {
                column.set_text(row, std::str::from_utf8(text).ok()?).ok()?;
            }
        }
        if let Some(seed) = run.seed {
            let (tag, bits) = number(seed, MAX_INT)?;
            batch.seeds.put(row, tag, bits).ok()?;
        }
        batch.finish(run.id, began, self.session_number);
        Some(run.seq)
    }

    fn time(&mut self, text: &[u8]) -> Option<Timestamp> {
        let (second, rest) = text.split_at(19);
        if second != self.second {
            let whole = Timestamp::parse(text)?;
            self.second = second.try_into().ok()?;
            self.micros = whole.micros() - whole.micros().rem_euclid(1_000_000);
        }
        if rest[0] != b'.' || rest[7] != b'Z' || !rest[1..7].iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digit = |micros: i64, digit: &u8| micros * 10 + i64::from(digit - b'0');
        Timestamp::from_micros(self.micros + rest[1..7].iter().fold(0, digit))
    }
}

/// The columns that the values of a cell go to.
struct Cells<'a> {
    columns: &'a mut Columns,
    row: usize,
    next: usize,
    /// The largest integer.
    max: i64,
}

impl Cells<'_> {
    fn of(columns: &mut Columns, row: usize, max: i64) -> Cells<'_> {
        Cells {
            columns,
            row,
            next: 0,
            max,
        }
    }
}

impl Sink for Cells<'_> {
    fn pair(&mut self, key: &[u8], value: Plain<'_>) -> Option<()> {
        // Rows mostly have the keys of the row before, in its order.
        let index = match self.columns.named(self.next, key) {
            true => self.next,
            false => self.columns.find_or_add(std::str::from_utf8(key).ok()?),
        };
        self.next = index + 1;
        let column = self.columns.at(index);
        if column.tag(self.row) != Tag::Absent {
            // A key that stands twice.
            return None;
        }
        match value {
            Plain::Null => column.put(self.row, Tag::Null, 0),
            Plain::Bool(x) => column.put(self.row, Tag::Bool, u64::from(x)),
            Plain::Na(kind) => column.set(self.row, Value::Na(kind)),
            Plain::Text(text) => column.set_text(self.row, std::str::from_utf8(text).ok()?),
            Plain::Number(text) => {
                let (tag, bits) = number(text, self.max)?;
                column.put(self.row, tag, bits)
            }
        }
        .ok()
    }
}

/// A number in its one encoding. With a point or an exponent it is a double, and so is what no integer of R's holds.
fn number(text: &[u8], max: i64) -> Option<(Tag, u64)> {
    let is_double = text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    let text = std::str::from_utf8(text).ok()?;
    if is_double {
        let x: f64 = text.parse().ok()?;
        let holds = x.is_finite() && json::is_double(x, text.as_bytes());
        return holds.then(|| (Tag::Double, x.to_bits()));
    }
    let x: i64 = text.parse().ok()?;
    if x.unsigned_abs() > max.unsigned_abs() {
        return None;
    }
    Some(match i32::try_from(x) {
        Ok(x) => (Tag::Int, x as u64),
        Err(_) => (Tag::Double, (x as f64).to_bits()),
    })
}
