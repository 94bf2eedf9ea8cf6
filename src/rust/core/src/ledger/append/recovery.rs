//! Where the next row goes: after the last one that holds, what is torn behind it being set aside first.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::format::chain::{self, Head};
use crate::format::digest::Digest;
use crate::format::event::{Event, EventKind};
use crate::format::id;
use crate::format::ledger_context::LedgerContext;
use crate::format::object::Object;
use crate::format::row::{HEADER, Row};
use crate::ledger::append::memory::Known;
use crate::ledger::append::request::Append;
use crate::ledger::file::check_start;
use crate::ledger::first_row::{FORMAT, First, check_first};
use crate::ledger::read;
use crate::ledger::store::{PIECE_BYTES, Store};
use crate::ledger::tail::{self, FIRST_ROW, LastRow, Tail};
use crate::ledger::validate::validate;

/// How many bytes of the end of the file are read at first; rows are rarely longer.
const END_BYTES: u64 = 4096;

/// Where the next row goes, and what must come before it. Nothing is touched until it is made.
pub(in crate::ledger) struct Start {
    pub head: Head,
    pub end: u64,
    pub birth: Vec<u8>,
    /// What is kept in a file of its own first.
    aside: Option<(PathBuf, Vec<u8>)>,
    /// Whether there is something after the end.
    truncate: bool,
}

impl Start {
    pub fn make<S: Store>(&self, store: &mut S) -> Result<()> {
        if let Some((path, bytes)) = &self.aside {
            let kept = store.keep_aside(path, bytes);
            kept.map_err(|e| Error::io(path, "write", e))?;
        }
        if self.truncate {
            let truncated = store.truncate(self.end);
            truncated.map_err(|e| Error::io(store.path(), "truncate", e))?;
        }
        Ok(())
    }
}

pub(super) fn find_start<S: Store>(
    store: &mut S,
    known: &mut Known,
    how: &mut Append<'_>,
) -> Result<Start> {
    let path = store.path().to_owned();
    let len = store.size().map_err(|e| Error::io(&path, "look at", e))?;
    check_birth(store, len)?;
    if len < FIRST_ROW {
        return Ok(begin(len, how));
    }
    match find_tail(store, len)? {
        Tail::Whole { head } if head == Head::genesis() => Ok(begin(len, how)),
        Tail::Whole { head } => {
            understand(store, known, len)?;
            Ok(Start {
                head,
                end: len,
                birth: Vec::new(),
                aside: None,
                truncate: false,
            })
        }
        Tail::Torn { head, at } | Tail::Pending { head, at } => {
            if head != Head::genesis() {
                understand(store, known, at)?;
            }
            recover(store, how, head, at, len)
        }
        Tail::Corrupt { head, at, why } => Err(Error::Corrupt {
            path,
            row: head.seq.next().0,
            byte: at,
            why,
        }),
    }
}

/// Refuses every file that doesn't begin as a ledger of a format that we know.
pub(in crate::ledger) fn check_birth<S: Store>(store: &S, len: u64) -> Result<()> {
    let path = store.path();
    let mut start = vec![0; END_BYTES.min(len) as usize];
    let read = store
        .read_at(&mut start, 0)
        .map_err(|e| Error::io(path, "read", e))?;
    start.truncate(read);
    check_start(path, &start)?;
    let first = start.get(FIRST_ROW as usize..).unwrap_or(&[]);
    let line = memchr::memchr(b'\n', first).map(|length| &first[..length]);
    let Some(Ok(row)) = line.map(Row::parse) else {
        // The tail decides what a damaged first row is.
        return Ok(());
    };
    check_first(&row).map_err(|first| match first {
        First::Newer(what) => Error::Newer {
            path: path.to_owned(),
            what,
        },
        First::Wrong => Error::Corrupt {
            path: path.to_owned(),
            row: 1,
            byte: FIRST_ROW,
            why: "the first row is not the ledger's own".into(),
        },
    })
}

/// A new ledger, over the remains of a birth that was cut short if there are any.
fn begin(len: u64, how: &mut Append<'_>) -> Start {
    let mut birth = format!("{HEADER}\n").into_bytes();
    let mut head = Head::genesis();
    let event = Event {
        context: LedgerContext::object(FORMAT, &id::ledger_id(how.random)),
        ..Event::new(EventKind::Ledger)
    };
    chain::write_row(&mut head, how.now, &event, &mut birth).expect("a short row");
    Start {
        head,
        end: 0,
        birth,
        aside: None,
        truncate: len > 0,
    }
}

pub(in crate::ledger) fn find_tail<S: Store>(store: &S, len: u64) -> Result<Tail> {
    let reading = |e| Error::io(store.path(), "read", e);
    let mut size = END_BYTES;
    loop {
        let offset = len.saturating_sub(size);
        let mut block = vec![0; (len - offset) as usize];
        let read = store.read_at(&mut block, offset).map_err(reading)?;
        block.truncate(read);
        let whole_lines = memchr::memrchr(b'\n', &block).map_or(0, |at| at + 1);
        let unfinished = whole_lines < block.len();
        if offset > 0 && whole_lines == 0 {
            size *= 2;
            continue;
        }
        let at = offset + whole_lines as u64;
        if at == FIRST_ROW {
            let head = Head::genesis();
            return Ok(if unfinished {
                Tail::Torn { head, at }
            } else {
                Tail::Whole { head }
            });
        }
        match tail::last_row(&block[..whole_lines], offset) {
            LastRow::Holds(head) if unfinished => return Ok(Tail::Torn { head, at }),
            LastRow::Holds(head) => return Ok(Tail::Whole { head }),
            LastRow::TooShort => size *= 2,
            LastRow::Doubtful => break,
        }
    }
    let mut rows = vec![0; (len - FIRST_ROW) as usize];
    let read = store.read_at(&mut rows, FIRST_ROW).map_err(reading)?;
    rows.truncate(read);
    Ok(validate(&rows))
}

/// Room in place of the torn tail, which is set aside; a row of its own says so.
pub(in crate::ledger) fn recover<S: Store>(
    store: &S,
    how: &mut Append<'_>,
    head: Head,
    at: u64,
    len: u64,
) -> Result<Start> {
    let path = store.path().to_owned();
    let mut torn = vec![0; (len - at) as usize];
    let read = store
        .read_at(&mut torn, at)
        .map_err(|e| Error::io(&path, "read", e))?;
    torn.truncate(read);
    let sha256 = Digest::of(&[&torn]).to_string();
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".torn-{at}-{}", &sha256[..12]));
    let aside = PathBuf::from(aside);
    let name = aside
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let event = Event {
        context: Object::new()
            .int("offset", at as i64)
            .int("length", torn.len() as i64)
            .text("sha256", &sha256)
            .text("file", &name),
        ..Event::new(EventKind::Recovered)
    };
    let mut start = if head == Head::genesis() {
        begin(at, how)
    } else {
        Start {
            head,
            end: at,
            birth: Vec::new(),
            aside: None,
            truncate: true,
        }
    };
    start.aside = Some((aside, torn));
    start.truncate = true;
    chain::write_row(&mut start.head, how.now, &event, &mut start.birth).expect("a short row");
    Ok(start)
}

/// Looks through rows that are new to this process for events that we must understand and don't.
fn understand<S: Store>(store: &S, known: &mut Known, end: u64) -> Result<()> {
    let path = store.path();
    let mut at = known.understood.max(FIRST_ROW);
    let mut block = Vec::new();
    while at < end {
        block.resize((end - at).min(PIECE_BYTES as u64) as usize, 0);
        let read = store
            .read_at(&mut block, at)
            .map_err(|e| Error::io(path, "read", e))?;
        let lines = &block[..memchr::memrchr(b'\n', &block[..read]).map_or(read, |last| last + 1)];
        for mark in memchr::memmem::find_iter(lines, b"!,") {
            let line = memchr::memrchr(b'\n', &lines[..mark]).map_or(0, |last| last + 1);
            let length = memchr::memchr(b'\n', &lines[line..]).unwrap_or(lines.len() - line);
            match Row::parse(&lines[line..line + length]) {
                Ok(row) if matches!(row.event, EventKind::MustBeKnown(_)) => {
                    return Err(read::newer(path, &row));
                }
                _ => {}
            }
        }
        at += lines.len() as u64;
        if lines.is_empty() {
            break;
        }
    }
    known.understood = end;
    Ok(())
}
