//! Appending: lock, look at the tail, write, unlock, flush.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::chain::{self, Head};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::id::{self, Random};
use crate::json::Json;
use crate::ledger::read::{self, First, Ledger, Place};
use crate::ledger::scan::scan;
use crate::ledger::store::Store;
use crate::ledger::tail::{self, FIRST_ROW, LastRow, Tail};
use crate::objects::Objects;
use crate::record::{Event, HEADER, Row};
use crate::sys::{FileId, Network};
use crate::time::Timestamp;

/// The most that one system call writes.
const PIECE: usize = 64 << 20;
/// What is read of the end of the file at first; rows are rarely longer.
const BLOCK: u64 = 4096;

/// With what the rows of one append were made.
pub struct Session<'a> {
    /// Changes whenever the context does.
    pub version: u64,
    /// The JSON object of the session's context, without its id.
    pub context: &'a [u8],
    /// The environment's lockfile, which is stored beside the ledger and named by its hash.
    pub lockfile: Option<&'a [u8]>,
}

/// What an append needs beside its events.
pub struct Append<'a> {
    pub session: Session<'a>,
    /// Whether to wait until the rows are on disk.
    pub sync: bool,
    pub now: Timestamp,
    pub random: Random<'a>,
    /// Asked while waiting for the lock: shall we give up?
    pub give_up: &'a mut dyn FnMut() -> bool,
}

/// What this process knows of the ledgers that it wrote to. A hint and nothing more: everything
/// in it is checked against the file before it is used.
#[derive(Default)]
pub struct Memory {
    /// Whether to write to file systems over a network whose locks can't be relied on.
    pub allow_network: bool,
    known: HashMap<PathBuf, Known>,
    process: u32,
    warning: Option<String>,
}

struct Known {
    file: FileId,
    /// The file system was looked at.
    placed: bool,
    /// Up to here no event was found that we don't understand and must.
    understood: u64,
    session: Option<WrittenSession>,
    folder_synced: bool,
}

struct WrittenSession {
    version: u64,
    id: String,
    place: Place,
}

impl Memory {
    /// What somebody should be told once, if there is anything.
    pub fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// Looks once at where a ledger lies.
    fn place(&mut self, store: &impl Store) -> Result<()> {
        let path = store.path();
        if self.known(path, store.id()).placed {
            return Ok(());
        }
        match store.network().map_err(|e| Error::io(path, "look at", e))? {
            Some(Network::Other(system)) if !self.allow_network => {
                return Err(Error::Network {
                    path: path.to_owned(),
                    system,
                });
            }
            Some(Network::Nfs4) => self.warning = Some(nfs_warning(path)),
            _ => {}
        }
        self.known(path, store.id()).placed = true;
        Ok(())
    }

    /// A forked child starts afresh: its session is not its parent's.
    fn known(&mut self, path: &Path, file: FileId) -> &mut Known {
        if self.process != std::process::id() {
            self.process = std::process::id();
            self.known.clear();
        }
        let fresh = || Known {
            file,
            placed: false,
            understood: 0,
            session: None,
            folder_synced: false,
        };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let known = self.known.entry(path).or_insert_with(&fresh);
        if known.file != file {
            *known = fresh();
        }
        known
    }
}

fn nfs_warning(path: &Path) -> String {
    format!(
        "'{}' lies on NFS: writers on several machines don't lose each other's rows, but a reader \
         may see a row late, and a server may still lose what it has acknowledged.",
        path.display()
    )
}

/// Appends events as one write, each with its time, and returns the head that they make.
///
/// A call that failed has left the ledger as it was, but for the cases that
/// [`Error::Remains`] and [`Error::DurabilityUnknown`] name.
pub fn append<S: Store>(
    open: impl FnMut() -> io::Result<S>,
    path: &Path,
    memory: &mut Memory,
    how: &mut Append<'_>,
    events: impl IntoIterator<Item = (Timestamp, Event)>,
) -> Result<Head> {
    append_decided(open, path, memory, how, |_| Ok(events))
}

/// Gives what was appended after a place.
pub type ReadSince<'a> = &'a dyn Fn(&Place) -> Result<Ledger>;

/// Appends what is decided under the lock, where nobody else can append anything.
///
/// `decide` can read what has been appended since it last looked. An error of its own means that
/// nothing is written.
pub fn append_decided<S: Store, E: IntoIterator<Item = (Timestamp, Event)>>(
    open: impl FnMut() -> io::Result<S>,
    path: &Path,
    memory: &mut Memory,
    how: &mut Append<'_>,
    decide: impl FnOnce(ReadSince<'_>) -> Result<E>,
) -> Result<Head> {
    let mut store = lock_current(open, path, how.give_up)?;
    let written = memory.place(&store).and_then(|()| {
        let known = memory.known(path, store.id());
        write_locked(&mut store, known, how, decide)
    });
    if written.is_err() {
        drop(store.discard_if_new());
    }
    // A forked child may hold the descriptor too, so closing it would not be enough. What could
    // not be unlocked is unlocked when it is closed: the rows stand, whatever this says.
    drop(store.unlock());
    let mut written = written?;
    if let Some(warning) = written.warning.take() {
        memory.warning.get_or_insert(warning);
    }
    if how.sync {
        let known = memory.known(path, store.id());
        flush(&mut store, known, &written, how)?;
    }
    Ok(written.head)
}

/// Opens the file that the path means at the moment when its lock is held.
pub(super) fn lock_current<S: Store>(
    mut open: impl FnMut() -> io::Result<S>,
    path: &Path,
    give_up: &mut dyn FnMut() -> bool,
) -> Result<S> {
    loop {
        let mut store = open().map_err(|e| refuse_open(path, e))?;
        lock(&mut store, give_up)?;
        match store.is_current() {
            Ok(true) => return Ok(store),
            Ok(false) => drop(store.unlock()),
            Err(e) => {
                drop(store.unlock());
                return Err(Error::io(path, "look at", e));
            }
        }
    }
}

pub(super) fn refuse_open(path: &Path, e: io::Error) -> Error {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Error::NotALedger {
            path: path.to_owned(),
            why: read::not_a_file(&metadata).into(),
        },
        Err(_) if e.kind() == io::ErrorKind::NotFound && in_a_folder(path) => Error::NotFound {
            path: path.to_owned(),
        },
        _ => Error::io(path, "open", e),
    }
}

fn in_a_folder(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or(Path::new(".")).is_dir()
}

/// Tries at once, then ever more patiently, never sleeping longer than an interrupt may wait.
pub(super) fn lock<S: Store>(store: &mut S, give_up: &mut dyn FnMut() -> bool) -> Result<()> {
    let mut tries = 0_u32;
    loop {
        match store.try_lock() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(e) => return Err(Error::io(store.path(), "lock", e)),
        }
        match tries {
            0..10 => std::thread::yield_now(),
            10..50 => std::thread::sleep(Duration::from_micros(200)),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
        tries += 1;
        if tries > 10 && give_up() {
            return Err(Error::Interrupted);
        }
    }
}

/// The rows of one append, as they came to stand in the file.
struct Written {
    start: u64,
    end: u64,
    head: Head,
    warning: Option<String>,
}

fn write_locked<S: Store, E: IntoIterator<Item = (Timestamp, Event)>>(
    store: &mut S,
    known: &mut Known,
    how: &mut Append<'_>,
    decide: impl FnOnce(ReadSince<'_>) -> Result<E>,
) -> Result<Written> {
    let room = find_start(store, known, how)?;
    let (head, start) = (room.head, room.end);
    let events = decide(&|place| {
        let read_at = |bytes: &mut [u8], at| store.read_at(bytes, at);
        read::since(store.path(), start, &read_at, place)
    })?;
    let mut draft = Draft {
        start,
        head,
        bytes: room.birth.clone(),
    };

    let standing = match &known.session {
        Some(session) if session.version == how.session.version && stands(store, session)? => {
            Some(session.id.clone())
        }
        _ => None,
    };
    let (mut fresh_session, mut warning) = (None, None);
    let session_id = match standing {
        Some(id) => id,
        None => {
            let id: String = id::short_id(how.random).collect();
            let mut context = joined("id", &id, how.session.context);
            warning = name_lockfile(store.path(), how, &mut context).err();
            let event = Event {
                name: "session",
                context,
                ..Event::default()
            };
            draft.add(how.now, &event)?;
            fresh_session = Some(WrittenSession {
                version: how.session.version,
                id: id.clone(),
                place: Place {
                    end: draft.end(),
                    head: draft.head,
                },
            });
            id
        }
    };
    for (time, mut event) in events {
        event.context = joined("session", &session_id, &event.context);
        draft.add(time, &event)?;
    }

    room.make(store)?;
    write_all(store, start, &draft.bytes)?;
    if fresh_session.is_some() {
        known.session = fresh_session;
    }
    known.understood = draft.end();
    Ok(Written {
        start,
        end: draft.end(),
        head: draft.head,
        warning,
    })
}

/// Stores the lockfile of a session that is about to be written. Without it the session still says
/// which packages there were, so that is a warning.
fn name_lockfile(
    ledger: &Path,
    how: &mut Append<'_>,
    context: &mut Vec<u8>,
) -> std::result::Result<(), String> {
    let Some(mut text) = how.session.lockfile else {
        return Ok(());
    };
    let stored = Objects::beside(ledger)
        .put(&mut text, how.random, &mut |_| false)
        .map_err(|e| format!("The environment's lockfile is not on record: {e}"))?;
    let lockfile = Json::Object(vec![
        ("sha256".into(), Json::Str(stored.digest.to_string())),
        ("size".into(), Json::Int(stored.size as i64)),
    ]);
    context.pop();
    context.extend_from_slice(format!(",\"lockfile\":{}}}", lockfile.text()).as_bytes());
    Ok(())
}

/// Rows that are about to be written in one piece.
struct Draft {
    start: u64,
    head: Head,
    bytes: Vec<u8>,
}

impl Draft {
    fn add(&mut self, time: Timestamp, event: &Event) -> Result<()> {
        chain::write_row(&mut self.head, time, event, &mut self.bytes)
            .map_err(|chain::TooLong(bytes)| Error::RowTooLong { bytes })
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// `{"key":"value"` and then the pairs of `object`.
fn joined(key: &str, value: &str, object: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(object.len() + key.len() + value.len() + 8);
    out.push(b'{');
    crate::json::write_str(key, &mut out);
    out.push(b':');
    crate::json::write_str(value, &mut out);
    match object {
        b"" | b"{}" => out.push(b'}'),
        _ => {
            out.push(b',');
            out.extend_from_slice(&object[1..]);
        }
    }
    out
}

fn stands<S: Store>(store: &S, session: &WrittenSession) -> Result<bool> {
    let standing = session.place.stands(&|bytes, at| store.read_at(bytes, at));
    standing.map_err(|e| Error::io(store.path(), "read", e))
}

/// Where the next row goes, and what must come before it. Nothing is touched until it is made.
pub(super) struct Start {
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

fn find_start<S: Store>(store: &mut S, known: &mut Known, how: &mut Append<'_>) -> Result<Start> {
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
pub(super) fn check_birth<S: Store>(store: &S, len: u64) -> Result<()> {
    let path = store.path();
    let mut start = vec![0; BLOCK.min(len) as usize];
    let read = store
        .read_at(&mut start, 0)
        .map_err(|e| Error::io(path, "read", e))?;
    start.truncate(read);
    read::check_start(path, &start)?;
    let first = start.get(FIRST_ROW as usize..).unwrap_or(&[]);
    let line = memchr::memchr(b'\n', first).map(|length| &first[..length]);
    let Some(Ok(row)) = line.map(Row::parse) else {
        // The tail decides what a damaged first row is.
        return Ok(());
    };
    read::check_first(&row).map_err(|first| match first {
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
    let context = Json::Object(vec![
        ("format".into(), Json::Int(read::FORMAT)),
        ("id".into(), Json::Str(id::ledger_id(how.random))),
    ]);
    let event = Event {
        name: "ledger",
        context: context.text().into_bytes(),
        ..Event::default()
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

pub(super) fn find_tail<S: Store>(store: &S, len: u64) -> Result<Tail> {
    let reading = |e| Error::io(store.path(), "read", e);
    let mut size = BLOCK;
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
    Ok(scan(&rows))
}

/// Room in place of the torn tail, which is set aside; a row of its own says so.
pub(super) fn recover<S: Store>(
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
    let context = Json::Object(vec![
        ("offset".into(), Json::Int(at as i64)),
        ("length".into(), Json::Int(torn.len() as i64)),
        ("sha256".into(), Json::Str(sha256)),
        ("file".into(), Json::Str(name)),
    ]);
    let event = Event {
        name: "recovered",
        context: context.text().into_bytes(),
        ..Event::default()
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
        block.resize((end - at).min(PIECE as u64) as usize, 0);
        let read = store
            .read_at(&mut block, at)
            .map_err(|e| Error::io(path, "read", e))?;
        let lines = &block[..memchr::memrchr(b'\n', &block[..read]).map_or(read, |last| last + 1)];
        for mark in memchr::memmem::find_iter(lines, b"!,") {
            let line = memchr::memrchr(b'\n', &lines[..mark]).map_or(0, |last| last + 1);
            let length = memchr::memchr(b'\n', &lines[line..]).unwrap_or(lines.len() - line);
            match Row::parse(&lines[line..line + length]) {
                Ok(row) if row.event.ends_with('!') => return Err(read::newer(path, &row)),
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

/// Writes everything, or takes back what was written.
pub(super) fn write_all<S: Store>(store: &mut S, start: u64, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let failure = match store.append(&rest[..rest.len().min(PIECE)]) {
            Ok(0) => io::Error::from(io::ErrorKind::WriteZero),
            Ok(n) => {
                rest = &rest[n..];
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => e,
        };
        let path = store.path().to_owned();
        return Err(match store.truncate(start) {
            Ok(()) => Error::io(&path, "write to", failure),
            Err(_) => Error::Remains {
                path,
                source: failure,
            },
        });
    }
    Ok(())
}

/// Waits until the rows are on disk. Writers side by side share the flush, since the lock is free.
fn flush<S: Store>(
    store: &mut S,
    known: &mut Known,
    written: &Written,
    how: &mut Append<'_>,
) -> Result<()> {
    let mut flushed = store.sync();
    if flushed.is_ok() && !known.folder_synced {
        flushed = store.sync_folder();
        known.folder_synced = flushed.is_ok();
    }
    let Err(source) = flushed else {
        return Ok(());
    };
    // The kernel may have dropped the dirty pages, so another flush would prove nothing.
    let mut kept = true;
    if lock(store, how.give_up).is_ok() {
        if store.size().is_ok_and(|len| len == written.end) {
            kept = store.truncate(written.start).is_err();
        }
        drop(store.unlock());
    }
    if !kept {
        known.session = None;
    }
    Err(Error::DurabilityUnknown {
        path: store.path().to_owned(),
        kept,
        source,
    })
}
