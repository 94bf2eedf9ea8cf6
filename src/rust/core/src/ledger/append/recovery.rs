//! Room for the next row: after the last one that holds, what is torn behind it being set aside first.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, RowDamage, SignOfRows};
use crate::format::chain::{self, Head};
use crate::format::digest::{Digest, Hasher};
use crate::format::event::{Event, EventKind};
use crate::format::id::{self, Random};
use crate::format::ledger_context::LedgerContext;
use crate::format::object::Object;
use crate::format::row::{HEADER, RawRow};
use crate::format::time::Timestamp;
use crate::ledger::append::flush::write_all;
use crate::ledger::append::memory::Known;
use crate::ledger::append::request::Append;
use crate::ledger::file::{START_BYTES, check_start, read_range};
use crate::ledger::first_row::{FORMAT, is_own, newer_format};
use crate::ledger::objects::Objects;
use crate::ledger::read::Position;
use crate::ledger::sequence::look_through;
use crate::ledger::store::Store;
use crate::ledger::tail::{self, FIRST_ROW, LastRow, Tail};
use crate::ledger::validate::validate;
use crate::platform::memory;

/// How many bytes of the end of the file are read at first; rows are rarely longer.
const END_BYTES: u64 = 4096;

/// Where the next row goes, and what must be done before it is written. Nothing is touched until that is made.
pub(in crate::ledger) struct Room {
    /// The last row that holds.
    pub head: Head,
    /// Where it ends, its line feed included if that is there.
    pub end: u64,
    /// How long the file is.
    length: u64,
    /// Whether it is.
    closed: bool,
    pub torn: Option<SetAside>,
    /// What somebody should be told.
    pub notice: Option<String>,
}

/// Bytes that are kept in a file of their own, and what the ledger says of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    pub offset: u64,
    pub length: u64,
    sha256: Digest,
    pub file: PathBuf,
}

impl SetAside {
    /// Looks at the bytes from one on to the end, and gives them a name beside the ledger that nobody can foresee.
    pub fn of<S: Store>(store: &S, offset: u64, random: Random<'_>) -> Result<SetAside> {
        let reading = |e| Error::io(store.path(), "read", e);
        let end = store.size().map_err(reading)?;
        let mut hasher = Hasher::default();
        let mut block = vec![0; 1 << 16];
        let mut at = offset;
        while at < end {
            let wanted = (end - at).min(block.len() as u64) as usize;
            let read = store.read_at(&mut block[..wanted], at).map_err(reading)?;
            if read == 0 {
                break;
            }
            hasher.update(&block[..read]);
            at += read as u64;
        }
        let digits: String = id::short_id(random).collect();
        let file = store.beside(&format!(".torn-{offset}-{digits}"));
        Ok(SetAside {
            offset,
            length: at - offset,
            sha256: hasher.finish(),
            file: file.map_err(|e| Error::io(store.path(), "look at", e))?,
        })
    }

    /// The row that says so.
    pub fn event(&self) -> Event {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        Event {
            context: Object::new()
                .int("offset", self.offset as i64)
                .int("length", self.length as i64)
                .text("sha256", &self.sha256.to_string())
                .text("file", &name),
            ..Event::new(EventKind::Recovered)
        }
    }

    /// Copies the bytes.
    pub fn keep<S: Store>(&self, store: &mut S) -> Result<()> {
        let part = self.offset..self.offset + self.length;
        let kept = store.copy_aside(&self.file, part, &[]);
        kept.map_err(|e| Error::io(&self.file, "write", e))
    }
}

impl Room {
    /// Whether the ledger begins with the next row.
    pub fn is_birth(&self) -> bool {
        self.head == Head::genesis()
    }

    /// Right after the last row that holds.
    pub fn position(&self) -> Position {
        Position {
            end: self.end + u64::from(!self.closed),
            head: self.head,
        }
    }

    /// What has to be written before the next row, and where that goes then.
    pub fn prepare(&self, how: &mut Append<'_>) -> Prepared<'_> {
        let Room { mut head, .. } = *self;
        let mut rows = Vec::new();
        let start = match self.is_birth() {
            true => 0,
            false => self.end,
        };
        if self.is_birth() {
            begin(&mut head, how.now, how.random, &mut rows);
        }
        let line_feed = !self.is_birth() && !self.closed;
        if let Some(torn) = &self.torn {
            chain::write_row(&mut head, how.now, &torn.event(), &mut rows).expect("a short row");
        }
        let end = start + u64::from(line_feed) + rows.len() as u64;
        Prepared {
            room: self,
            start,
            line_feed,
            rows,
            next: Position { end, head },
        }
    }
}

/// What is written before the next row.
pub(in crate::ledger) struct Prepared<'a> {
    room: &'a Room,
    start: u64,
    /// Whether the last row lacks its own.
    line_feed: bool,
    rows: Vec<u8>,
    /// Where the next row goes.
    pub next: Position,
}

impl Prepared<'_> {
    /// Writes it, each step durable before the next one.
    pub fn make<S: Store>(self, store: &mut S, known: &mut Known, sync: bool) -> Result<()> {
        if let Some(torn) = &self.room.torn {
            torn.keep(store)?;
        }
        if self.room.length > self.start {
            let truncated = store.truncate(self.start);
            truncated.map_err(|e| Error::io(store.path(), "truncate", e))?;
        }
        let mut end = self.start;
        if self.line_feed {
            // By itself, so that no later write can take the last row with it.
            end = write_durably(store, end, b"\n", sync)?;
        }
        if !self.rows.is_empty() {
            write_durably(store, end, &self.rows, sync)?;
        }
        if self.room.is_birth() && sync {
            let synced = store.sync_folder();
            synced.map_err(|e| Error::io(store.path(), "flush the folder of", e))?;
            known.folder_synced = true;
        }
        known.looked = Some(self.next);
        Ok(())
    }
}

fn write_durably<S: Store>(store: &mut S, start: u64, bytes: &[u8], sync: bool) -> Result<u64> {
    write_all(store, start, bytes)?;
    if sync {
        store
            .sync()
            .map_err(|e| Error::io(store.path(), "flush", e))?;
    }
    Ok(start + bytes.len() as u64)
}

/// The header and the first row of a new ledger.
pub(in crate::ledger) fn begin(
    head: &mut Head,
    now: Timestamp,
    random: Random<'_>,
    rows: &mut Vec<u8>,
) {
    rows.extend_from_slice(HEADER.as_bytes());
    rows.push(b'\n');
    let event = Event {
        context: LedgerContext::object(FORMAT, &id::ledger_id(random)),
        ..Event::new(EventKind::Ledger)
    };
    chain::write_row(head, now, &event, rows).expect("a short row");
}

/// Looks through a ledger that this process hasn't looked through yet, before it takes the lock. What isn't as it
/// should be is found again under the lock, where it counts.
pub(super) fn look_ahead<S: Store>(store: &S) -> Option<Position> {
    look_through(store, Position::origin(), store.size().ok()?).ok()
}

/// `ahead` is how far the rows were looked through before the lock was taken.
pub(in crate::ledger) fn find_room<S: Store>(
    store: &S,
    known: &mut Known,
    ahead: Option<Position>,
    how: &mut Append<'_>,
) -> Result<Room> {
    let path = store.path().to_owned();
    let len = store.size().map_err(|e| Error::io(&path, "look at", e))?;
    check_birth(store, len)?;
    let mut room = Room {
        head: Head::genesis(),
        end: len,
        length: len,
        closed: true,
        torn: None,
        notice: None,
    };
    if len >= FIRST_ROW {
        match find_tail(store, len)? {
            Tail::Whole { head, closed } => (room.head, room.closed) = (head, closed),
            Tail::Torn { head, at, closed } => {
                (room.head, room.end, room.closed) = (head, at, closed);
                room.torn = Some(SetAside::of(store, at, how.random)?);
            }
            Tail::Pending { .. } => unreachable!("the lock is ours"),
            Tail::Corrupt { head, at, why } => return Err(corrupt(&path, head, at, why)),
        }
    }
    room.notice = match room.is_birth() {
        true => check_rows_gone(store, known)?,
        false => look(store, known, ahead, &room)?,
    };
    Ok(room)
}

/// A file without a row may have lost those that it had. Who removed it may have meant that, so it is said; an empty
/// file that stands there is refused.
fn check_rows_gone<S: Store>(store: &S, known: &mut Known) -> Result<Option<String>> {
    let seen = known.looked.map(|looked| looked.head.seq.0);
    let path = store.path().to_owned();
    if store.is_new() {
        (known.looked, known.session) = (None, None);
        return Ok(seen.map(|rows| {
            let file = path.display();
            format!("'{file}', which had {rows} rows, was removed: a new ledger begins.")
        }));
    }
    let objects = Objects::beside(&path).holds_any();
    let sign = match seen {
        Some(rows) => SignOfRows::Seen(rows),
        None if objects.map_err(|e| Error::io(&path, "look beside", e))? => SignOfRows::Objects,
        None => return Ok(None),
    };
    Err(Error::RowsGone { path, sign })
}

/// Looks through the rows that are new to this process, and says so if those that it knew are not there any more.
fn look<S: Store>(
    store: &S,
    known: &mut Known,
    ahead: Option<Position>,
    room: &Room,
) -> Result<Option<String>> {
    let path = store.path();
    let end = room.position();
    if known.looked == Some(end) {
        return Ok(None);
    }
    let stands = |looked: Position| {
        let stands = looked.stands(&|bytes, at| store.read_at(bytes, at));
        stands.map_err(|e| Error::io(path, "read", e))
    };
    let mut notice = None;
    let mut from = Position::origin();
    match known.looked {
        Some(looked) if stands(looked)? => from = looked,
        Some(looked) => {
            known.session = None;
            notice = Some(format!(
                "'{}' no longer has row {} as this process knew it: an older copy, or another file, is in its place.",
                path.display(),
                looked.head.seq
            ));
        }
        None => match ahead {
            Some(looked) if stands(looked)? => from = looked,
            _ => {}
        },
    }
    if from.end > room.end {
        known.session = None;
        from = Position::origin();
    }
    let mut looked = look_through(store, from, room.end).map_err(|e| first_damage(store, e))?;
    if !room.closed && looked.end < end.end {
        // The last row, which no line feed ends.
        let (last, seq) = (looked.head, room.head.seq);
        if seq != last.seq.next() {
            let why = format!("its seq is {seq} after {}", last.seq).into();
            return Err(first_damage(store, corrupt(path, last, looked.end, why)));
        }
        looked = end;
    }
    known.looked = Some(looked);
    Ok(notice)
}

/// A gap in the numbers shows that rows don't hold; which is the first one, only a check of all.
fn first_damage<S: Store>(store: &S, found: Error) -> Error {
    let Error::Corrupt { .. } = found else {
        return found;
    };
    let checked = store.size().and_then(|size| validate_all(store, size));
    match checked {
        Ok(Tail::Corrupt { head, at, why }) => corrupt(store.path(), head, at, why),
        _ => found,
    }
}

fn corrupt(path: &Path, head: Head, byte: u64, why: RowDamage) -> Error {
    Error::Corrupt {
        path: path.to_owned(),
        row: head.seq.next().0,
        byte,
        why,
    }
}

fn validate_all<S: Store>(store: &S, size: u64) -> io::Result<Tail> {
    let rows = read_range(size - FIRST_ROW, &|bytes| store.read_at(bytes, FIRST_ROW))?;
    Ok(validate(&rows).tail)
}

/// Refuses every file that doesn't begin as a ledger of a format that we know.
pub(in crate::ledger) fn check_birth<S: Store>(store: &S, len: u64) -> Result<()> {
    let path = store.path();
    let mut start = vec![0; START_BYTES.min(len) as usize];
    let read = store
        .read_at(&mut start, 0)
        .map_err(|e| Error::io(path, "read", e))?;
    start.truncate(read);
    check_start(path, &start)?;
    let first = start.get(FIRST_ROW as usize..).unwrap_or(&[]);
    let line = memchr::memchr(b'\n', first).map(|length| &first[..length]);
    let Some(Ok(row)) = line.map(RawRow::parse) else {
        // The tail decides what a damaged first row is.
        return Ok(());
    };
    if let Some(what) = newer_format(&row) {
        let path = path.to_owned();
        return Err(Error::Newer { path, what });
    }
    match is_own(&row) {
        true => Ok(()),
        false => Err(Error::Corrupt {
            path: path.to_owned(),
            row: 1,
            byte: FIRST_ROW,
            why: "it is not the ledger's own row".into(),
        }),
    }
}

pub(in crate::ledger) fn find_tail<S: Store>(store: &S, len: u64) -> Result<Tail> {
    let reading = |e| Error::io(store.path(), "read", e);
    let mut size = END_BYTES;
    loop {
        let offset = len.saturating_sub(size);
        let mut block = memory::zeroed(len - offset).map_err(reading)?;
        let read = store.read_at(&mut block, offset).map_err(reading)?;
        block.truncate(read);
        match tail::last_row(&block, offset) {
            LastRow::Holds { head, closed, tail } => {
                let (rest, at) = (&block[tail..], offset + tail as u64);
                if rest.is_empty() {
                    return Ok(Tail::Whole { head, closed });
                }
                match tail::is_torn(head.seq.next(), rest, at) {
                    true => return Ok(Tail::Torn { head, at, closed }),
                    // The first row that doesn't hold may come earlier.
                    false => break,
                }
            }
            LastRow::TooShort => size *= 2,
            LastRow::Doubtful => break,
        }
    }
    validate_all(store, len).map_err(reading)
}
