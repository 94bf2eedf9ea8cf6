//! Appending: lock, look at the tail, write, unlock, flush.

mod ahead;
mod draft;
pub(super) mod flush;
pub(super) mod lock;
mod memory;
pub(super) mod recovery;
mod request;
pub(super) mod session;

use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::format::chain::Head;
use crate::format::event::{Event, EventKind};
use crate::format::id::RunId;
use crate::format::object::Object;
use crate::format::run_context::SESSION;
use crate::format::time::Timestamp;
use crate::ledger::append::flush::{flush, write_all};
use crate::ledger::append::lock::lock_current;
use crate::ledger::append::memory::Known;
use crate::ledger::append::recovery::{Room, find_room, look_ahead};
use crate::ledger::read::{self, Ledger, Position};
use crate::ledger::store::{FileStore, Store};

pub use ahead::Ahead;
pub use draft::Draft;
pub use memory::Memory;
pub use recovery::SetAside;
pub use request::{Append, Session};

/// About how many bytes say of which session a row is.
const SESSION_BYTES: usize = 32;

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
    Ok(append_decided(open, path, memory, how, |_| Ok(events))?.head)
}

/// Gives what was appended after a position.
pub type ReadSince<'a> = &'a dyn Fn(&Position) -> Result<Ledger>;

/// Appends what is decided under the lock, where nobody else can append anything, and returns the position after it.
///
/// `decide` can read what has been appended since it last looked. An error of its own means that
/// nothing is written.
pub fn append_decided<S: Store, E: IntoIterator<Item = (Timestamp, Event)>>(
    open: impl FnMut() -> io::Result<S>,
    path: &Path,
    memory: &mut Memory,
    how: &mut Append<'_>,
    decide: impl FnOnce(ReadSince<'_>) -> Result<E>,
) -> Result<Position> {
    let drafted = append_drafted(open, path, memory, how, |read_since| {
        let events = decide(read_since)?;
        Ok(|draft: &mut Draft, session: &str, _: &mut Append<'_>| {
            let begun = draft_events(draft, session, events)?;
            Ok(Drafted { value: (), begun })
        })
    });
    Ok(drafted?.0)
}

/// Rows that were drafted.
pub struct Drafted<T> {
    pub value: T,
    /// The run of this process's that they begin last.
    pub begun: Option<RunId>,
}

/// The same for those who draft the rows themselves, knowing the id of their session: what `decide` makes does so. Where
/// it drafts none, nothing is written, but for what begins a ledger.
pub fn append_drafted<S: Store, T, D>(
    open: impl FnMut() -> io::Result<S>,
    path: &Path,
    memory: &mut Memory,
    how: &mut Append<'_>,
    decide: impl FnOnce(ReadSince<'_>) -> Result<D>,
) -> Result<(Position, T)>
where
    D: FnOnce(&mut Draft, &str, &mut Append<'_>) -> Result<Drafted<T>>,
{
    let key = Memory::key(path);
    let mut ahead = None;
    let look = |store: &S| {
        let had_rows = memory.known(&key, store.id()).looked.is_some();
        ahead = match had_rows {
            true => None,
            false => look_ahead(store),
        };
        had_rows
    };
    let mut store = lock_current(open, path, look, how.since, how.give_up)?;
    let written = memory.check_place(&key, &store).and_then(|()| {
        let known = memory.known(&key, store.id());
        write_locked(&mut store, known, ahead, how, decide)
    });
    if written.is_err() {
        drop(store.discard_if_new());
    }
    // A forked child may hold the descriptor too, so closing it would not be enough. What could
    // not be unlocked is unlocked when it is closed: the rows stand, whatever this says.
    drop(store.unlock());
    let (written, value) = written?;
    written
        .not_recorded
        .into_iter()
        .for_each(|what| memory.not_recorded(what));
    written
        .notices
        .into_iter()
        .for_each(|notice| memory.notice(notice));
    if how.sync {
        let known = memory.known(&key, store.id());
        flush(&mut store, known)?;
    }
    Ok((written.end, value))
}

/// Begins a ledger where there is none, so that what is stored beside one is never there before its first row.
pub fn begin<S: Store>(
    open: impl FnMut() -> io::Result<S>,
    path: &Path,
    memory: &mut Memory,
    how: &mut Append<'_>,
) -> Result<()> {
    let key = Memory::key(path);
    let mut store = lock_current(open, path, |_| false, how.since, how.give_up)?;
    let begun = memory.check_place(&key, &store).and_then(|()| {
        let known = memory.known(&key, store.id());
        let room = find_room(&store, known, None, how)?;
        if room.is_birth() {
            room.prepare(how).make(&mut store, known, how.sync)?;
        }
        Ok(room.notice)
    });
    if begun.is_err() {
        drop(store.discard_if_new());
    }
    drop(store.unlock());
    begun?.into_iter().for_each(|notice| memory.notice(notice));
    Ok(())
}

/// Removes a ledger that [`begin`] has made, if nothing was appended to it since.
pub fn discard_begun(path: &Path, memory: &mut Memory, how: &mut Append<'_>) -> Result<()> {
    /// More than the header and a first row take.
    const MOST_BYTES: u64 = 4096;
    let open = || FileStore::open_existing(path);
    let mut store = lock_current(open, path, |_| false, how.since, how.give_up)?;
    let failed = |e| Error::io(path, "remove", e);
    let mut discard = || {
        let size = store.size()?;
        let mut start = vec![0; size.min(MOST_BYTES) as usize];
        store.read_at(&mut start, 0)?;
        let rows = start.iter().filter(|&&byte| byte == b'\n').count();
        if size < MOST_BYTES && rows <= 2 {
            memory.forget(path);
            // What is stored beside it is there for the next one.
            store.remove()?;
        }
        Ok(())
    };
    let discarded = discard().map_err(failed);
    drop(store.unlock());
    discarded
}

/// The rows of one append, as they came to stand in the file.
struct Written {
    end: Position,
    not_recorded: Option<String>,
    notices: Vec<String>,
}

fn write_locked<S: Store, T, D>(
    store: &mut S,
    known: &mut Known,
    ahead: Option<Position>,
    how: &mut Append<'_>,
    decide: impl FnOnce(ReadSince<'_>) -> Result<D>,
) -> Result<(Written, T)>
where
    D: FnOnce(&mut Draft, &str, &mut Append<'_>) -> Result<Drafted<T>>,
{
    let room = find_room(store, known, ahead, how)?;
    let draft = decide(&|position| {
        let read_at = |bytes: &mut [u8], at| store.read_at(bytes, at);
        read::since(store.path(), room.end, &read_at, position)
    })?;
    let written = write_rows(store, known, &room, how, draft);
    if written.is_err() && room.is_birth() && store.is_new() && store.truncate(0).is_ok() {
        // What stood there was written just now, and the file is about to go.
        known.looked = None;
    }
    written
}

fn write_rows<S: Store, T>(
    store: &mut S,
    known: &mut Known,
    room: &Room,
    how: &mut Append<'_>,
    draft: impl FnOnce(&mut Draft, &str, &mut Append<'_>) -> Result<Drafted<T>>,
) -> Result<(Written, T)> {
    let mut prepared = Some(room.prepare(how));
    let next = prepared.as_ref().expect("it was made just now").next;
    // A session stores a file, and what is stored beside a ledger is never there before its first row.
    if let Some(prepared) = prepared.take_if(|_| room.is_birth()) {
        prepared.make(store, known, how.sync)?;
    }
    let mut rows = Draft {
        start: next.end,
        head: next.head,
        bytes: Vec::new(),
    };
    let session = session::enter(store.path(), known, how, &mut rows)?;
    let before = rows.head;
    let drafted = draft(&mut rows, &session.id, how)?;
    if rows.head == before {
        let end = match room.is_birth() {
            true => next,
            false => room.position(),
        };
        let written = Written {
            end,
            not_recorded: None,
            notices: room.notice.iter().cloned().collect(),
        };
        return Ok((written, drafted.value));
    }
    // What can't be written leaves a torn tail to the next writer.
    if let Some(prepared) = prepared {
        prepared.make(store, known, how.sync)?;
    }
    write_all(store, next.end, &rows.bytes)?;
    if session.fresh.is_some() {
        known.session = session.fresh;
    }
    let end = Position {
        end: rows.end(),
        head: rows.head,
    };
    if let Some(run) = drafted.begun {
        known.last_run = Some((end.head.seq, run));
    }
    known.looked = Some(end);
    let aside = room.torn.as_ref().map(|torn| {
        format!(
            "Set aside {} bytes of a write to '{}' that never finished, in '{}'.",
            torn.length,
            store.path().display(),
            torn.file.display()
        )
    });
    let written = Written {
        end,
        not_recorded: session.not_recorded,
        notices: room.notice.iter().cloned().chain(aside).collect(),
    };
    Ok((written, drafted.value))
}

/// Drafts the rows of events; the run that they begin last.
fn draft_events(
    draft: &mut Draft,
    session: &str,
    events: impl IntoIterator<Item = (Timestamp, Event)>,
) -> Result<Option<RunId>> {
    let mut begun = None;
    for (time, mut event) in events {
        let is_own = event.session.is_none();
        if event.kind != EventKind::Session {
            let session = event.session.as_deref().unwrap_or(session);
            event.context = Object::with_capacity(event.context.pairs().len() + SESSION_BYTES)
                .text(SESSION, session)
                .extend(&event.context);
        }
        draft.add(time, &event)?;
        if is_own && event.kind.begins_run() {
            begun = event.run_id;
        }
    }
    Ok(begun)
}
