//! The lock: which file it is on, and how long to wait for it.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, OTHER_FILE, Result};
use crate::ledger::file::not_a_file;
use crate::ledger::objects::Objects;
use crate::ledger::store::Store;
use crate::ledger::tail::FIRST_ROW;

/// So many times a lock is tried without a pause …
const EAGER_TRIES: u32 = 10;
/// … then up to so many times with a short one …
const BRISK_TRIES: u32 = 50;
const BRISK_POLL: Duration = Duration::from_micros(200);
/// … and from then on with this one.
const POLL: Duration = Duration::from_millis(5);
/// So long an empty file is left to the process that made it, where it can't be told from one that was emptied.
const BIRTH: Duration = Duration::from_secs(2);

/// Opens the file that the path means at the moment when its lock is held. It is looked at before, when nobody has to
/// wait for that, and `look` says whether this process knows of rows in it. The wait began at `since`.
pub(in crate::ledger) fn lock_current<S: Store>(
    mut open: impl FnMut() -> io::Result<S>,
    path: &Path,
    mut look: impl FnMut(&S) -> bool,
    since: Instant,
    give_up: &mut dyn FnMut() -> bool,
) -> Result<S> {
    let in_time = || since.elapsed() < BIRTH;
    loop {
        let mut store = open().map_err(|e| refuse_open(path, e))?;
        let had_rows = look(&store);
        lock(&mut store, give_up)?;
        let is_current = store.is_current();
        let looked = is_current.and_then(|is_current| {
            let of_another = is_current && in_time() && seems_emptied(&store, had_rows)?;
            Ok((is_current, of_another))
        });
        match looked {
            Ok((true, false)) => return Ok(store),
            Ok((false, _)) => drop(store.unlock()),
            Ok((true, true)) => {
                drop(store.unlock());
                std::thread::sleep(POLL);
                // Whose patience is as long gets to know what is the matter.
                if in_time() && give_up() {
                    return Err(Error::Interrupted);
                }
            }
            Err(e) => {
                drop(store.unlock());
                return Err(Error::io(path, "look at", e));
            }
        }
    }
}

/// Whether the file is empty, but for its header, although there were rows in it, or they have stored something
/// beside it.
fn seems_emptied<S: Store>(store: &S, had_rows: bool) -> io::Result<bool> {
    let is_empty = !store.is_new() && store.size()? <= FIRST_ROW;
    Ok(is_empty && (had_rows || Objects::beside(store.path()).holds_any()?))
}

fn refuse_open(path: &Path, e: io::Error) -> Error {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Error::NotALedger {
            path: path.to_owned(),
            why: not_a_file(&metadata).into(),
            hint: OTHER_FILE,
        },
        Err(_) if e.kind() == io::ErrorKind::NotFound && in_a_folder(path) => Error::NotFound {
            path: path.to_owned(),
        },
        _ => Error::io(path, "open", e),
    }
}

fn in_a_folder(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    // A working folder that was removed still looks like one from within.
    let is_there = path.is_absolute() || std::env::current_dir().is_ok();
    is_there && folder.unwrap_or(Path::new(".")).is_dir()
}

/// Tries at once, then ever more patiently, never sleeping longer than an interrupt may wait.
fn lock<S: Store>(store: &mut S, give_up: &mut dyn FnMut() -> bool) -> Result<()> {
    let mut tries = 0_u32;
    loop {
        match store.try_lock() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(e) => return Err(Error::io(store.path(), "lock", e)),
        }
        match tries {
            0..EAGER_TRIES => std::thread::yield_now(),
            EAGER_TRIES..BRISK_TRIES => std::thread::sleep(BRISK_POLL),
            _ => std::thread::sleep(POLL),
        }
        tries += 1;
        if tries > EAGER_TRIES && give_up() {
            return Err(Error::Interrupted);
        }
    }
}
