//! What is done to a ledger on request only: setting damage aside, and settling it on disk.

use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::format::chain::Head;
use crate::ledger::append::Append;
use crate::ledger::append::flush::write_all;
use crate::ledger::append::lock::lock_current;
use crate::ledger::append::recovery::{check_birth, find_tail, recover};
use crate::ledger::file::check_start;
use crate::ledger::read;
use crate::ledger::store::{FileStore, Store};
use crate::ledger::tail::{FIRST_ROW, Tail};
use crate::ledger::validate::validate;

/// What a repair has set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetAside {
    pub at: u64,
    pub bytes: u64,
}

/// Sets everything from the first row on that doesn't hold aside, into a file of its own, and
/// says so in a `recovered` row. `None` when every row holds.
pub fn repair(path: &Path, how: &mut Append<'_>) -> Result<Option<SetAside>> {
    let mut open = || FileStore::open_existing(path);
    let mut store = lock_current(&mut open, path, how.give_up).map_err(not_found(path))?;
    let outcome = repair_locked(&mut store, how);
    drop(store.unlock());
    let set_aside = outcome?;
    if set_aside.is_some() {
        let synced = store.sync().and_then(|()| store.sync_folder());
        synced.map_err(|source| Error::DurabilityUnknown {
            path: path.to_owned(),
            kept: true,
            source,
        })?;
    }
    Ok(set_aside)
}

fn repair_locked<S: Store>(store: &mut S, how: &mut Append<'_>) -> Result<Option<SetAside>> {
    let bytes = read_all(store)?;
    check_start(store.path(), &bytes)?;
    let tail = match bytes.get(FIRST_ROW as usize..) {
        Some(rows) => validate(rows),
        None if bytes.is_empty() => return Ok(None),
        None => Tail::Torn {
            head: Head::genesis(),
            at: 0,
        },
    };
    let (Tail::Torn { head, at } | Tail::Pending { head, at } | Tail::Corrupt { head, at, .. }) =
        tail
    else {
        return Ok(None);
    };
    let size = bytes.len() as u64;
    let start = recover(store, how, head, at, size)?;
    start.make(store)?;
    write_all(store, start.end, &start.birth)?;
    Ok(Some(SetAside {
        at,
        bytes: size - at,
    }))
}

/// Waits until everything that the ledger holds is on disk; its id and its head.
pub fn settle(path: &Path, give_up: &mut dyn FnMut() -> bool) -> Result<(String, Head)> {
    let mut open = || FileStore::open_to_read(path);
    let mut store = lock_current(&mut open, path, give_up).map_err(not_found(path))?;
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
        return Err(Error::NotALedger { path, why });
    };
    store.sync().map_err(|e| Error::io(&path, "flush", e))?;
    Ok((id, head))
}

fn read_all<S: Store>(store: &S) -> Result<Vec<u8>> {
    let reading = |e| Error::io(store.path(), "read", e);
    let mut bytes = vec![0; store.size().map_err(reading)? as usize];
    let read = store.read_at(&mut bytes, 0).map_err(reading)?;
    bytes.truncate(read);
    Ok(bytes)
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
