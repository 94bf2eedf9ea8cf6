//! What is done to a ledger on request only: setting damage aside, and settling it on disk.

use std::io;
use std::path::Path;
use std::time::Instant;

use crate::error::{Error, OTHER_FILE, Result};
use crate::format::chain::Head;
use crate::format::id;
use crate::ledger::append::lock::lock_current;
use crate::ledger::append::recovery::{begin, check_birth, find_room, find_tail};
use crate::ledger::append::session;
use crate::ledger::append::{Append, Draft, Memory, SetAside};
use crate::ledger::file::{self, START_BYTES};
use crate::ledger::read::{self, Ledger};
use crate::ledger::store::{FileStore, Store};
use crate::ledger::tail::{FIRST_ROW, Tail};

/// What a repair did.
#[derive(Debug)]
pub struct Repaired<T> {
    pub aside: SetAside,
    /// What was carried over from behind the damage, if there was any: a torn tail has no row in it.
    pub carried: Option<T>,
}

/// A damaged ledger, as it is carried over into a new file.
pub struct Wreck<'a> {
    /// The rows before the damage.
    pub good: &'a Ledger,
    /// What stands from the damage on.
    pub rest: &'a [u8],
    /// The session of the repair.
    pub session: &'a str,
}

/// Sets everything from the first row on that doesn't hold aside, into a file of its own, and
/// says so in a `recovered` row. `None` when every row holds.
///
/// A torn tail is cut off. A damaged ledger is not touched: a new file takes its place, in one step, to which `carry`
/// can add rows.
pub fn repair<S: Store, T>(
    open: impl FnMut() -> io::Result<S>,
    path: &Path,
    memory: &mut Memory,
    how: &mut Append<'_>,
    carry: impl FnOnce(&Wreck<'_>, &mut Draft, &mut Append<'_>) -> Result<T>,
) -> Result<Option<Repaired<T>>> {
    let mut store =
        lock_current(open, path, |_| false, how.since, how.give_up).map_err(not_found(path))?;
    let key = Memory::key(path);
    let known = memory.known(&key, store.id());
    let outcome = check_start(&store).and_then(|()| {
        let ledger = Ledger::of(&store)?;
        match ledger.validate().tail {
            Tail::Whole { .. } => Ok(None),
            Tail::Pending { .. } => unreachable!("the lock is ours"),
            Tail::Torn { .. } => {
                let room = find_room(&store, known, None, how)?;
                room.prepare(how).make(&mut store, known, how.sync)?;
                let carried = None;
                Ok(room.torn.map(|aside| Repaired { aside, carried }))
            }
            Tail::Corrupt { head, at, .. } => {
                replace(&mut store, ledger, head, at, how, carry).map(Some)
            }
        }
    });
    drop(store.unlock());
    if outcome.as_ref().is_ok_and(Option::is_some) {
        memory.forget(path);
    }
    outcome
}

fn replace<S: Store, T>(
    store: &mut S,
    ledger: Ledger,
    head: Head,
    at: u64,
    how: &mut Append<'_>,
    carry: impl FnOnce(&Wreck<'_>, &mut Draft, &mut Append<'_>) -> Result<T>,
) -> Result<Repaired<T>> {
    let path = store.path().to_owned();
    let aside = SetAside::of(store, at, how.random)?;
    let (good, rest) = ledger.split(at)?;
    let mut draft = Draft {
        start: at,
        head,
        bytes: Vec::new(),
    };
    let kept = match head == Head::genesis() {
        true => {
            begin(&mut draft.head, how.now, how.random, &mut draft.bytes);
            0
        }
        false => at,
    };
    if kept > 0 && !good.ends_in_line_feed() {
        draft.bytes.push(b'\n');
    }
    draft.add(how.now, &aside.event())?;
    let session = session::begin(&path, how, &mut draft)?.id;
    let wreck = Wreck {
        good: &good,
        rest: &rest,
        session: &session,
    };
    let carried = Some(carry(&wreck, &mut draft, how)?);

    aside.keep(store)?;
    let digits: String = id::short_id(how.random).collect();
    let repaired = store.beside(&format!(".repaired-{digits}"));
    let repaired = repaired.map_err(|e| Error::io(&path, "look at", e))?;
    let written = store.copy_aside(&repaired, 0..kept, &draft.bytes);
    written.map_err(|e| Error::io(&repaired, "write", e))?;
    let replaced = store.replace_by(&repaired);
    replaced.map_err(|e| Error::io(&path, "replace", e))?;
    Ok(Repaired { aside, carried })
}

fn check_start<S: Store>(store: &S) -> Result<()> {
    let size = store.size();
    let size = size.map_err(|e| Error::io(store.path(), "look at", e))?;
    let mut start = vec![0; size.min(START_BYTES) as usize];
    let read = store.read_at(&mut start, 0);
    let read = read.map_err(|e| Error::io(store.path(), "read", e))?;
    file::check_start(store.path(), &start[..read])
}

/// Waits until everything that the ledger holds is on disk; its id and its head.
pub fn settle(path: &Path, give_up: &mut dyn FnMut() -> bool) -> Result<(String, Head)> {
    let open = || FileStore::open_to_read(path);
    let mut store =
        lock_current(open, path, |_| false, Instant::now(), give_up).map_err(not_found(path))?;
    let outcome = settle_locked(&mut store);
    drop(store.unlock());
    outcome
}

fn settle_locked<S: Store>(store: &mut S) -> Result<(String, Head)> {
    let path = store.path().to_owned();
    let size = store.size().map_err(|e| Error::io(&path, "look at", e))?;
    check_birth(store, size)?;
    let head = match size < FIRST_ROW {
        true => Head::genesis(),
        false => match find_tail(store, size)? {
            Tail::Corrupt { head, at, why } => {
                return Err(Error::Corrupt {
                    path,
                    row: head.seq.next().0,
                    byte: at,
                    why,
                });
            }
            tail => tail.head(),
        },
    };
    let id = read::id(&|bytes, at| store.read_at(bytes, at)).filter(|_| head != Head::genesis());
    let Some(id) = id else {
        let why = "it holds no row yet".to_owned();
        let hint = OTHER_FILE;
        return Err(Error::NotALedger { path, why, hint });
    };
    store.sync().map_err(|e| Error::io(&path, "flush", e))?;
    Ok((id, head))
}

fn not_found(path: &Path) -> impl FnOnce(Error) -> Error {
    let path = path.to_owned();
    move |e| match e {
        Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Error::NotFound { path }
        }
        e => e,
    }
}
