//! Reading a ledger without a lock: rows that a writer hasn't finished yet aren't seen.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::chain::Head;
use crate::format::digest::HEX_LEN;
use crate::format::event::EventKind;
use crate::format::id::Seq;
use crate::format::ledger_context::LedgerContext;
use crate::format::row::{HEADER, Row};
use crate::ledger::file::{LedgerFile, check_start};
use crate::ledger::first_row::{First, check_first};
use crate::ledger::tail::{self, Tail};
use crate::ledger::validate::validate;
use crate::platform::sys;

/// The position in the file right after a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The byte after the row's line feed.
    pub end: u64,
    pub head: Head,
}

impl Position {
    /// Whether the file still has this row there.
    pub fn stands(&self, read_at: ReadAt<'_>) -> io::Result<bool> {
        let mut bytes = [0; HEX_LEN + 1];
        let Some(at) = self.end.checked_sub(bytes.len() as u64) else {
            return Ok(false);
        };
        let read = read_at(&mut bytes, at)?;
        Ok(read == bytes.len()
            && bytes[..HEX_LEN] == self.head.hash.hex()
            && bytes[HEX_LEN] == b'\n')
    }
}

/// Reads at an offset until the buffer is full or the file ends.
pub type ReadAt<'a> = &'a dyn Fn(&mut [u8], u64) -> io::Result<usize>;

/// The bytes of a ledger, or of what was appended to it, as they were at one moment.
pub struct Ledger {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where the bytes begin.
    after: Option<Position>,
}

/// So many bytes hold the first row: it is short.
const FIRST_BYTES: usize = 1 << 16;

/// Reads a ledger's file.
pub fn read(path: &Path) -> Result<Ledger> {
    LedgerFile::open(path)?.read()
}

impl LedgerFile {
    /// Reads all of it.
    pub fn read(&self) -> Result<Ledger> {
        let ledger = self.read_unchecked()?;
        check_start(self.path(), &ledger.bytes)?;
        Ok(ledger)
    }

    /// Reads what was appended after a position; everything if its row isn't there any more.
    pub fn read_since(&self, position: &Position) -> Result<Ledger> {
        let read_at = |bytes: &mut [u8], at| self.read_at(bytes, at);
        since(self.path(), self.size()?, &read_at, position)
    }

    fn read_unchecked(&self) -> Result<Ledger> {
        Ok(Ledger {
            path: self.path().to_owned(),
            bytes: self.bytes(0, self.size()?)?,
            after: None,
        })
    }
}

/// Reads what was appended after a position to a file that is open, up to a byte.
pub fn since(path: &Path, end: u64, read_at: ReadAt<'_>, position: &Position) -> Result<Ledger> {
    let reading = |e| Error::io(path, "read", e);
    let after = position
        .stands(read_at)
        .map_err(reading)?
        .then_some(*position);
    let start = after.map_or(0, |position| position.end);
    let mut bytes = vec![0; end.saturating_sub(start) as usize];
    let read = read_at(&mut bytes, start).map_err(reading)?;
    bytes.truncate(read);
    if after.is_none() {
        check_start(path, &bytes)?;
    }
    Ok(Ledger {
        path: path.to_owned(),
        bytes,
        after,
    })
}

/// Reads a ledger's file and checks every row from its bytes.
///
/// An unfinished row at the end is looked at again under the lock, if that can be had: then no
/// writer is at it.
pub fn examine(path: &Path) -> Result<(Ledger, Tail)> {
    let file = LedgerFile::open(path)?;
    let ledger = file.read_unchecked()?;
    check_header(&ledger)?;
    let tail = ledger.tail();
    let Tail::Torn { head, at } = tail else {
        return Ok((ledger, tail));
    };
    if !sys::try_lock(file.file()).unwrap_or(true) {
        return Ok((ledger, Tail::Pending { head, at }));
    }
    let again = file.read_unchecked();
    drop(sys::unlock(file.file()));
    let ledger = again?;
    let tail = ledger.tail();
    Ok((ledger, tail))
}

/// The id of a ledger, as its first row states it.
pub fn id(read_at: ReadAt<'_>) -> Option<String> {
    let mut bytes = vec![0; FIRST_BYTES];
    let read = read_at(&mut bytes, 0).ok()?;
    bytes.truncate(read);
    let path = PathBuf::new();
    let after = None;
    Ledger { path, bytes, after }.id()
}

/// A damaged header over rows that are a ledger's is damage at row 0.
fn check_header(ledger: &Ledger) -> Result<()> {
    let Err(e) = check_start(&ledger.path, &ledger.bytes) else {
        return Ok(());
    };
    let header = HEADER.as_bytes();
    let second = ledger.bytes.splitn(3, |&byte| byte == b'\n').nth(1);
    if !second.is_some_and(|line| Row::parse(line).is_ok_and(|row| row.event == EventKind::Ledger))
    {
        return Err(e);
    }
    let same = ledger
        .bytes
        .iter()
        .zip(header)
        .take_while(|(a, b)| a == b)
        .count();
    Err(Error::Corrupt {
        path: ledger.path.clone(),
        row: 0,
        byte: same as u64,
        why: "the header is not a ledger's".into(),
    })
}

impl Ledger {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rows in their order. A damaged row is an error; the rest of a write that never
    /// finished is the end.
    pub fn rows(&self) -> Rows<'_> {
        let (at, next) = match &self.after {
            Some(position) => (0, position.head.seq.next()),
            None => ((tail::FIRST_ROW as usize).min(self.bytes.len()), Seq(1)),
        };
        Rows {
            ledger: self,
            at,
            next,
        }
    }

    /// Whether these are all rows, not only those after a position.
    pub fn is_whole(&self) -> bool {
        self.after.is_none()
    }

    /// The rows of a whole ledger as they stand there, without their line feeds.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self
            .bytes
            .get(tail::FIRST_ROW as usize..)
            .unwrap_or_default();
        std::iter::from_fn(move || {
            let length = memchr::memchr(b'\n', rest)?;
            let line = &rest[..length];
            rest = &rest[length + 1..];
            Some(line)
        })
    }

    /// Where a byte of a row stands in the file.
    fn offset(&self, row: &Row<'_>) -> u64 {
        let within = row.body.as_ptr() as usize - self.bytes.as_ptr() as usize;
        self.after.map_or(0, |position| position.end) + within as u64
    }

    /// The position after one of the rows.
    pub fn position_after(&self, row: &Row<'_>) -> Position {
        // A comma, the hash, the line feed.
        let end = self.offset(row) + row.body.len() as u64 + 1 + HEX_LEN as u64 + 1;
        let (seq, hash) = (row.seq, row.hash);
        Position {
            end,
            head: Head { seq, hash },
        }
    }

    /// The ledger's id, as its first row states it.
    pub fn id(&self) -> Option<String> {
        let first = self.rows().next()?.ok()?;
        LedgerContext::read(first.context).ok()?.id
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// How the ledger ends, after a check of every row.
    pub fn tail(&self) -> Tail {
        let rows = self.bytes.get(tail::FIRST_ROW as usize..);
        match rows {
            Some(rows) => validate(rows),
            None if self.bytes.is_empty() => Tail::Whole {
                head: Head::genesis(),
            },
            None => Tail::Torn {
                head: Head::genesis(),
                at: 0,
            },
        }
    }

    /// The ledger up to a byte.
    pub fn prefix(mut self, end: Option<u64>) -> Ledger {
        if let Some(end) = end {
            self.bytes.truncate(end as usize);
        }
        self
    }

    /// That a row doesn't say what it should.
    pub fn damaged(&self, row: &Row<'_>, why: String) -> Error {
        Error::Corrupt {
            path: self.path.clone(),
            row: row.seq.0,
            byte: self.offset(row),
            why,
        }
    }
}

/// An event that must be understood and isn't.
pub fn newer(path: &Path, row: &Row<'_>) -> Error {
    Error::Newer {
        path: path.to_owned(),
        what: format!(
            "row {} is an event '{}' that must be understood",
            row.seq, row.event
        ),
    }
}

pub struct Rows<'a> {
    ledger: &'a Ledger,
    at: usize,
    next: Seq,
}

impl<'a> Rows<'a> {
    fn line(&mut self) -> Option<Result<Row<'a>>> {
        let rest = &self.ledger.bytes[self.at..];
        let length = memchr::memchr(b'\n', rest)?;
        let why = match Row::parse(&rest[..length]) {
            Ok(row) if row.seq == self.next => match check_first(&row) {
                Ok(()) => {
                    self.at += length + 1;
                    self.next = row.seq.next();
                    return Some(Ok(row));
                }
                Err(First::Newer(what)) => {
                    let path = self.ledger.path.clone();
                    return Some(Err(Error::Newer { path, what }));
                }
                Err(First::Wrong) => "the first row, and no other, is the ledger's own",
            },
            Ok(_) => "its seq is out of order",
            Err(defect) => defect,
        };
        let byte = self.ledger.after.map_or(0, |position| position.end) + self.at as u64;
        if tail::is_torn(rest, byte) {
            return None;
        }
        Some(Err(Error::Corrupt {
            path: self.ledger.path.clone(),
            row: self.next.0,
            byte,
            why: why.to_owned(),
        }))
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>>;

    fn next(&mut self) -> Option<Result<Row<'a>>> {
        let row = self.line();
        if !matches!(row, Some(Ok(_))) {
            self.at = self.ledger.bytes.len();
        }
        row
    }
}
