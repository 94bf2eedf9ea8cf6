//! Reading a ledger without a lock: rows that a writer hasn't finished yet aren't seen.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, RowDamage};
use crate::format::chain::{self, Head};
use crate::format::digest::HEX_LEN;
use crate::format::ledger_context::LedgerContext;
use crate::format::row::Row;
use crate::ledger::file::{LedgerFile, check_start, read_range};
use crate::ledger::row_rules::{RowRead, read_row};
use crate::ledger::store::Store;
use crate::ledger::tail::{self, Tail};
use crate::ledger::validate::{Validation, validate};
use crate::platform::memory::{self, Budget, OutOfMemory};
use crate::platform::sys;

/// The position in the file right after a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The byte after the row's line feed, which may be missing yet.
    pub end: u64,
    pub head: Head,
}

impl Position {
    /// Before the first row.
    pub fn origin() -> Position {
        Position {
            end: tail::FIRST_ROW,
            head: Head::genesis(),
        }
    }

    /// Whether the file still has this row there.
    pub fn stands(&self, read_at: ReadAt<'_>) -> io::Result<bool> {
        if *self == Position::origin() {
            return Ok(true);
        }
        let mut bytes = [b'\n'; HEX_LEN + 1];
        let Some(at) = self.end.checked_sub(bytes.len() as u64) else {
            return Ok(false);
        };
        let read = read_at(&mut bytes, at)?;
        Ok(read >= HEX_LEN
            && bytes[..HEX_LEN] == self.head.hash.hex()
            && matches!(bytes[HEX_LEN], b'\n' | 0))
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
        let ledger = Ledger {
            path: self.path().to_owned(),
            bytes: self.bytes(0, self.size()?)?,
            after: None,
        };
        check_start(self.path(), &ledger.bytes)?;
        Ok(ledger)
    }

    /// Reads what was appended after a position; everything if its row isn't there any more.
    pub fn read_since(&self, position: &Position) -> Result<Ledger> {
        let read_at = |bytes: &mut [u8], at| self.read_at(bytes, at);
        since(self.path(), self.size()?, &read_at, position)
    }
}

/// Reads what was appended after a position to a file that is open, up to a byte.
pub fn since(path: &Path, end: u64, read_at: ReadAt<'_>, position: &Position) -> Result<Ledger> {
    let reading = |e| Error::io(path, "read", e);
    // What was appended after the origin is all of it.
    let is_there = *position != Position::origin() && position.stands(read_at).map_err(reading)?;
    let after = is_there.then_some(*position);
    let start = after.map_or(0, |position| position.end);
    let length = end.saturating_sub(start);
    let bytes = read_range(length, &|bytes| read_at(bytes, start)).map_err(reading)?;
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
/// What doesn't hold at the end is looked at again under the lock, if that can be had: then no
/// writer is at it.
pub fn examine(path: &Path) -> Result<(Ledger, Validation)> {
    let file = LedgerFile::open(path)?;
    let ledger = file.read()?;
    let mut found = ledger.validate();
    if matches!(found.tail, Tail::Whole { .. }) {
        return Ok((ledger, found));
    }
    if !sys::try_lock(file.file()).unwrap_or(true) {
        if let Tail::Torn { head, at, .. } = found.tail {
            found.tail = Tail::Pending { head, at };
        }
        return Ok((ledger, found));
    }
    let again = file.read();
    drop(sys::unlock(file.file()));
    let ledger = again?;
    let found = ledger.validate();
    Ok((ledger, found))
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

impl Ledger {
    /// One without a row, as where there is no file.
    pub fn none(path: &Path) -> Ledger {
        Ledger {
            path: path.to_owned(),
            bytes: Vec::new(),
            after: None,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The valid rows in their order. A damaged row is an error; the rest of a write that never
    /// finished is the end; a row that holds and breaks another rule is passed over.
    pub fn rows(&self) -> Rows<'_> {
        Rows {
            lines: self.links(),
        }
    }

    /// All rows that the chain consists of, in their order, valid or not.
    pub fn links(&self) -> Links<'_> {
        let at = match &self.after {
            Some(_) => 0,
            None => (tail::FIRST_ROW as usize).min(self.bytes.len()),
        };
        Links {
            ledger: self,
            at,
            position: self.after.unwrap_or_else(Position::origin),
            budget: Budget::default(),
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
            if rest.is_empty() {
                return None;
            }
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..length];
            rest = rest.get(length + 1..).unwrap_or_default();
            Some(line)
        })
    }

    /// Where the bytes begin in the file.
    fn start(&self) -> u64 {
        self.after.map_or(0, |position| position.end)
    }

    /// Where a byte of a row stands in the file.
    fn offset(&self, row: &Row<'_>) -> u64 {
        let within = row.body.as_ptr() as usize - self.bytes.as_ptr() as usize;
        self.start() + within as u64
    }

    /// The ledger's id, as its first row states it.
    pub fn id(&self) -> Option<String> {
        // One short row, and that there is no room for more must not look as if it weren't there.
        let budget = Budget::unlimited();
        let lines = Links {
            budget,
            ..self.links()
        };
        let first = Rows { lines }.next()?.ok()?;
        LedgerContext::read(first.context).ok()?.id
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether it is what was read after a position that still stood, and nothing was.
    pub fn is_empty_after(&self, position: &Position) -> bool {
        let after = self.after.unwrap_or(Position::origin());
        self.bytes.is_empty() && (after == *position || position.end == 0)
    }

    /// A check of every row of a whole ledger.
    pub fn validate(&self) -> Validation {
        let rows = self.bytes.get(tail::FIRST_ROW as usize..);
        let tail = match rows {
            Some(rows) => return validate(rows),
            None if self.bytes.is_empty() => Tail::Whole {
                head: Head::genesis(),
                closed: true,
            },
            None => Tail::Torn {
                head: Head::genesis(),
                at: 0,
                closed: true,
            },
        };
        let invalid = Vec::new();
        Validation { tail, invalid }
    }

    /// All bytes of a file that is open already.
    pub(super) fn of<S: Store>(store: &S) -> Result<Ledger> {
        let reading = |e| Error::io(store.path(), "read", e);
        let bytes = read_range(store.size().map_err(reading)?, &|bytes| {
            store.read_at(bytes, 0)
        });
        Ok(Ledger {
            path: store.path().to_owned(),
            bytes: bytes.map_err(reading)?,
            after: None,
        })
    }

    /// The ledger up to a byte, and what follows.
    pub(super) fn split(mut self, at: u64) -> Result<(Ledger, Vec<u8>)> {
        let mut rest = Vec::new();
        let moved = memory::append(&mut rest, &self.bytes[at as usize..]);
        moved.map_err(|e| Error::io(&self.path, "read", e))?;
        self.bytes.truncate(at as usize);
        Ok((self, rest))
    }

    pub(super) fn ends_in_line_feed(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    /// The ledger up to a byte.
    pub fn prefix(mut self, end: Option<u64>) -> Ledger {
        if let Some(end) = end {
            self.bytes.truncate(end as usize);
        }
        self
    }

    pub fn out_of_memory(&self) -> Error {
        Error::Memory {
            path: Some(self.path.clone()),
        }
    }

    /// That a row doesn't say what it should.
    pub fn damaged(&self, row: &Row<'_>, why: String) -> Error {
        Error::Corrupt {
            path: self.path.clone(),
            row: row.seq.0,
            byte: self.offset(row),
            why: why.into(),
        }
    }
}

/// The valid rows of a ledger.
pub struct Rows<'a> {
    lines: Links<'a>,
}

impl Rows<'_> {
    /// Right after the last row that was passed, valid or not.
    pub fn position(&self) -> Position {
        self.lines.position
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>>;

    fn next(&mut self) -> Option<Result<Row<'a>>> {
        loop {
            match self.lines.next()? {
                Ok(RowRead::Valid(row)) => return Some(Ok(row)),
                Ok(RowRead::Invalid(..)) => {}
                Ok(RowRead::Newer(_, what)) => {
                    let path = self.lines.ledger.path.clone();
                    return Some(Err(Error::Newer { path, what }));
                }
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// The rows of a ledger as links of its chain.
pub struct Links<'a> {
    ledger: &'a Ledger,
    /// Where the next row begins, in the bytes that were read.
    at: usize,
    /// Right after the last row.
    position: Position,
    /// Whoever asks for rows makes values of them.
    budget: Budget,
}

impl<'a> Links<'a> {
    /// The row that is next, as long as the rows hold as far as readers look. Its line feed is so many bytes on, if it
    /// has one.
    fn link(&mut self, line_feed: Option<usize>) -> std::result::Result<RowRead<'a>, RowDamage> {
        let rest = &self.ledger.bytes[self.at..];
        let line = &rest[..line_feed.unwrap_or(rest.len())];
        let previous = self.position.head;
        let (line, read) = match read_row(line, Some(previous.seq)) {
            Ok(read) => (line, Ok(read)),
            Err(defect) => match tail::before_zeros(line) {
                b"" => (line, Err(defect)),
                shorter => (
                    shorter,
                    read_row(shorter, Some(previous.seq)).map_err(|_| defect),
                ),
            },
        };
        let closed = line_feed == Some(line.len());
        let read = read?;
        let link = read.link();
        // Only a hash shows that a row is whole which no line feed ends, and that one was written so which breaks
        // a rule.
        let trusted = closed && !matches!(read, RowRead::Invalid(..));
        if !trusted && chain::link(&previous.hash, link.body) != link.hash {
            return Err("its hash doesn't match its content and the row before it".into());
        }
        self.at += line.len() + usize::from(closed);
        let (seq, hash) = (link.seq, link.hash);
        self.position = Position {
            end: self.ledger.start() + (self.at + usize::from(!closed)) as u64,
            head: Head { seq, hash },
        };
        Ok(read)
    }
}

impl<'a> Iterator for Links<'a> {
    type Item = Result<RowRead<'a>>;

    fn next(&mut self) -> Option<Result<RowRead<'a>>> {
        let rest = &self.ledger.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        let line_feed = memchr::memchr(b'\n', rest);
        if let Err(OutOfMemory) = self.budget.take(line_feed.unwrap_or(rest.len())) {
            self.at = self.ledger.bytes.len();
            return Some(Err(self.ledger.out_of_memory()));
        }
        let damage = match self.link(line_feed) {
            Ok(row) => return Some(Ok(row)),
            Err(damage) => damage,
        };
        let (at, bytes) = (self.at, &self.ledger.bytes);
        self.at = bytes.len();
        let head = self.position.head;
        let closed = at == 0 || bytes[at - 1] == b'\n';
        match tail::judge(
            head,
            closed,
            &bytes[at..],
            self.ledger.start() + at as u64,
            damage,
        ) {
            Tail::Corrupt { at, why, .. } => Some(Err(Error::Corrupt {
                path: self.ledger.path.clone(),
                row: head.seq.next().0,
                byte: at,
                why,
            })),
            _ => None,
        }
    }
}
