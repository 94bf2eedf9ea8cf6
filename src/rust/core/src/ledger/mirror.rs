//! A mirror: the file on this machine of a ledger that is kept elsewhere, in a database.
//!
//! It is a ledger like any other, so that all questions are asked of it. But rows come into it only from where the ledger is
//! kept, each checked against the chain as it arrives; what is to be appended there is drafted on top of it.

use std::cmp::Ordering;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::format::chain::Head;
use crate::format::id::Seq;
use crate::format::row::{HEADER, RawRow, Row};
use crate::ledger::append::flush::write_all;
use crate::ledger::append::lock::lock_current;
use crate::ledger::append::recovery::{check_birth, find_tail};
use crate::ledger::file::LedgerFile;
use crate::ledger::read::Position;
use crate::ledger::store::{FileStore, Store};
use crate::ledger::tail::{FIRST_ROW, Tail};
use crate::ledger::validate::check_row;
use crate::platform::sys::FileId;

/// Appends rows that came from where the ledger is kept, each with its line feed, and returns the position after them. Those
/// that the mirror has already, since another process was faster, have to be the same.
///
/// Nothing is flushed: what a crash takes back comes again.
pub fn extend(path: &Path, rows: &[u8], give_up: &mut dyn FnMut() -> bool) -> Result<Position> {
    let open = || FileStore::open(path);
    let mut store = lock_current(open, path, |_| false, Instant::now(), give_up)?;
    let extended = extend_locked(&mut store, rows);
    drop(store.unlock());
    extended
}

fn extend_locked(store: &mut FileStore, rows: &[u8]) -> Result<Position> {
    let path = store.path().to_owned();
    let mut position = end(store)?;
    let mut new = Vec::new();
    if position == Position::origin() {
        new.extend_from_slice(HEADER.as_bytes());
        new.push(b'\n');
    }
    let start = match position == Position::origin() {
        true => 0,
        false => position.end,
    };
    let differs = |seq: Seq| Error::Forked {
        path: path.clone(),
        row: seq.0,
    };
    let fresh_from = rows.split_inclusive(|&byte| byte == b'\n');
    for line in fresh_from {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let next = position.head.seq.next();
        let Ok(checked) = check_row(line, Some(position.head)) else {
            let row = RawRow::parse(line).map_err(|_| differs(next))?;
            match row.seq.cmp(&position.head.seq) {
                Ordering::Less => continue,
                Ordering::Equal if row.hash == position.head.hash => continue,
                Ordering::Equal => return Err(differs(row.seq)),
                Ordering::Greater => return Err(differs(next)),
            }
        };
        new.extend_from_slice(line);
        new.push(b'\n');
        position = Position {
            end: start + new.len() as u64,
            head: checked.head,
        };
    }
    write_all(store, start, &new)?;
    Ok(position)
}

/// Where the next row goes. What a killed process left behind is cut off: it comes again.
fn end(store: &mut FileStore) -> Result<Position> {
    let path = store.path().to_owned();
    let len = store.size().map_err(|e| Error::io(&path, "look at", e))?;
    check_birth(store, len)?;
    let tail = match len < FIRST_ROW {
        true => None,
        false => Some(find_tail(store, len)?),
    };
    let (head, end, closed) = match tail {
        None => (Head::genesis(), 0, true),
        Some(Tail::Whole { head, closed }) => (head, len, closed),
        Some(Tail::Torn { head, at, closed }) => (head, at, closed),
        Some(Tail::Pending { .. }) => unreachable!("the lock is ours"),
        Some(Tail::Corrupt { head, at, why }) => {
            return Err(Error::Corrupt {
                path,
                row: head.seq.next().0,
                byte: at,
                why,
            });
        }
    };
    if head == Head::genesis() {
        let truncated = store.truncate(0);
        truncated.map_err(|e| Error::io(&path, "truncate", e))?;
        return Ok(Position::origin());
    }
    if end < len {
        let truncated = store.truncate(end);
        truncated.map_err(|e| Error::io(&path, "truncate", e))?;
    }
    if !closed {
        write_all(store, end, b"\n")?;
    }
    let end = end + u64::from(!closed);
    Ok(Position { end, head })
}

/// The last row of a mirror; `None` where there is none.
pub fn head(path: &Path) -> Result<Option<Head>> {
    let store = match FileStore::open_to_read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Error::io(path, "open", e))?,
    };
    let len = store.size().map_err(|e| Error::io(path, "look at", e))?;
    check_birth(&store, len)?;
    if len < FIRST_ROW {
        return Ok(None);
    }
    let head = match find_tail(&store, len)? {
        Tail::Whole { head, .. } | Tail::Torn { head, .. } | Tail::Pending { head, .. } => head,
        Tail::Corrupt { head, at, why } => {
            return Err(Error::Corrupt {
                path: path.to_owned(),
                row: head.seq.next().0,
                byte: at,
                why,
            });
        }
    };
    Ok((head != Head::genesis()).then_some(head))
}

/// The hash that a row of a mirror states, as it stands there.
pub fn hash_at(path: &Path, seq: Seq) -> Result<Option<String>> {
    let ledger = LedgerFile::open(path)?.read()?;
    let line = seq
        .0
        .checked_sub(1)
        .and_then(|nth| ledger.lines().nth(nth as usize));
    let row = line.and_then(|line| RawRow::parse(line).ok());
    Ok(row.map(|row| row.hash.to_string()))
}

/// Rows that were drafted on top of a mirror.
pub type Drafts = Arc<Mutex<Vec<u8>>>;

/// A mirror to which nothing is written: what would be is kept in memory, to be appended where the ledger is.
pub struct DraftStore {
    mirror: FileStore,
    drafts: Drafts,
}

impl DraftStore {
    pub fn open(path: &Path, drafts: &Drafts) -> io::Result<DraftStore> {
        Ok(DraftStore {
            mirror: FileStore::open_to_read(path)?,
            drafts: drafts.clone(),
        })
    }
}

/// So many bytes are looked through at first for the last line feed, which most often is the last byte.
const LOOK_BYTES: u64 = 1 << 8;
const MOST_LOOK_BYTES: u64 = 1 << 16;

impl Store for DraftStore {
    fn path(&self) -> &Path {
        self.mirror.path()
    }

    fn beside(&self, more: &str) -> io::Result<PathBuf> {
        self.mirror.beside(more)
    }

    fn id(&self) -> FileId {
        self.mirror.id()
    }

    fn is_new(&self) -> bool {
        false
    }

    fn is_current(&self) -> io::Result<bool> {
        self.mirror.is_current()
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        self.mirror.try_lock()
    }

    fn unlock(&mut self) -> io::Result<()> {
        self.mirror.unlock()
    }

    /// Up to the last row that ends: what a killed process left behind it is no torn tail to be set aside, but comes again.
    fn size(&self) -> io::Result<u64> {
        let mut end = self.mirror.size()?;
        let mut block = Vec::new();
        let mut bytes = LOOK_BYTES;
        while end > 0 {
            let start = end.saturating_sub(bytes);
            block.resize((end - start) as usize, 0);
            let read = self.mirror.read_at(&mut block, start)?;
            if let Some(at) = memchr::memrchr(b'\n', &block[..read]) {
                return Ok(start + at as u64 + 1);
            }
            end = start;
            bytes = (2 * bytes).min(MOST_LOOK_BYTES);
        }
        Ok(0)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.mirror.read_at(bytes, offset)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut drafts = self.drafts.lock().unwrap_or_else(PoisonError::into_inner);
        crate::platform::memory::append(&mut drafts, bytes)?;
        Ok(bytes.len())
    }

    fn truncate(&mut self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn copy_aside(&mut self, _path: &Path, _part: Range<u64>, _more: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn replace_by(&mut self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Between the cells of a row that is sent, and between rows. Neither stands in a cell.
const CELL_SEPARATOR: u8 = 0x1f;
const ROW_SEPARATOR: u8 = 0x1e;

/// Drafted rows as a database takes them: the cells between number and hash, without quotes around their JSON. The database
/// gives out the numbers and computes the hashes.
pub fn cells(rows: &[u8]) -> Vec<u8> {
    let mut cells = Vec::with_capacity(rows.len());
    for line in rows
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        if !cells.is_empty() {
            cells.push(ROW_SEPARATOR);
        }
        let row = RawRow::parse(line).expect("a row that was drafted here");
        for (i, cell) in row.cells()[1..].iter().enumerate() {
            if i > 0 {
                cells.push(CELL_SEPARATOR);
            }
            match cell
                .strip_prefix('"')
                .and_then(|cell| cell.strip_suffix('"'))
            {
                Some(json) => cells.extend_from_slice(json.replace("\"\"", "\"").as_bytes()),
                None => cells.extend_from_slice(cell.as_bytes()),
            }
        }
    }
    cells
}

/// Drafted rows, one by one.
pub fn drafted(rows: &[u8]) -> impl Iterator<Item = Row<'_>> {
    let lines = rows
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    lines.map(|line| Row::parse(line).expect("a row that was drafted here"))
}
