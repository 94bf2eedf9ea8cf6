//! What a session records of its environment, as far as R doesn't know it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::ledger::code::{Script, Seen, WorkTree};
use fitledger_core::platform::sys;

use crate::from_r::{self, path};
use crate::guard::{Failure, guard};
use crate::r::{R, path_text};
use crate::to_r;

static WORK_TREE: Mutex<Option<WorkTree>> = Mutex::new(None);
static SCRIPT: Mutex<Option<Script>> = Mutex::new(None);

/// The JSON of a list; `pretty` for people.
///
/// @noRd
#[extendr]
fn native_json(pairs: Robj, pretty: Robj) -> Robj {
    guard(|| {
        let json = from_r::own_json(R::of(&pairs))?;
        Ok(Robj::from(match R::of(&pretty).is_true() {
            true => json.pretty() + "\n",
            false => json.text(),
        }))
    })
}

/// The host's name and what tells this process from every other on it:
/// `list(host, boot, pids, started)`.
///
/// @noRd
#[extendr]
fn native_process() -> Robj {
    guard(|| {
        let text = |text: Option<String>| text.map_or(Robj::from(()), Robj::from);
        let process = sys::process();
        let started = process
            .started
            .map_or(Robj::from(()), |ticks| Robj::from(ticks as f64));
        Ok(list!(
            host = text(sys::host()),
            boot = text(process.boot),
            pids = text(process.pids),
            started = started
        )
        .into())
    })
}

/// Looks at git for a folder; a number that is another one when what it says has changed. With `diff` that is also by what the
/// files differ from the commit; with `once` it is what was so at the first look at a commit. A working folder that was
/// removed is `NULL`: nothing is there to look at.
///
/// @noRd
#[extendr]
fn native_git_look(folder: Robj, file: Robj, diff: Robj, once: Robj) -> Robj {
    guard(|| {
        let mut tree = lock(&WORK_TREE);
        // Of a folder that is gone, or whose name is no text, nothing is known.
        let folder = match (R::of(&folder).ty(), R::of(&folder).len()) {
            (SEXPTYPE::NILSXP, _) => None,
            (SEXPTYPE::STRSXP, 1) => R::of(&folder).path(),
            _ => return Err(Failure::argument("folder")),
        };
        let Some(folder) = folder else {
            *tree = None;
            return Ok(Robj::from(0.0));
        };
        let ledger = path(&file)?;
        if tree
            .as_ref()
            .is_none_or(|tree| tree.git().folder() != folder)
        {
            *tree = Some(WorkTree::new(&folder));
        }
        let tree = tree.as_mut().expect("there is one now");
        if tree.git().root().is_none() {
            return Ok(Robj::from(0.0));
        }
        let (with_diff, once) = (R::of(&diff).is_true(), R::of(&once).is_true());
        let version = tree.look(&ledger, with_diff, once, Instant::now());
        Ok(Robj::from(f64::from(version)))
    })
}

/// What git said at the last look: `list(root, commit, branch, dirty, diff_sha256)`, or `NULL` outside a
/// repository.
///
/// @noRd
#[extendr]
fn native_git_state() -> Robj {
    guard(|| {
        // Nothing of R's runs while the lock is held.
        let seen = lock(&WORK_TREE).as_ref().and_then(|tree| {
            let root = tree.git().root()?.to_owned();
            Some((root, tree.git().state().clone(), sha256(tree.diff())))
        });
        let Some((root, state, diff)) = seen else {
            return Ok(Robj::from(()));
        };
        Ok(list!(
            root = path_text(&root),
            commit = or_null(state.commit),
            branch = or_null(state.branch),
            dirty = or_null(state.dirty),
            diff_sha256 = or_null(diff)
        )
        .into())
    })
}

/// The hash of what the tracked files differ by from a commit today, in the folder of the last look; `NULL` where
/// git can't say.
///
/// @noRd
#[extendr]
fn native_git_diff_from(commit: Robj) -> Robj {
    guard(|| {
        let commit = R::of(&commit).string();
        let commit = commit.ok_or_else(|| Failure::argument("commit"))?;
        let tree = lock(&WORK_TREE);
        let digest = tree.as_ref().and_then(|tree| tree.diff_from(&commit));
        drop(tree);
        Ok(or_null(digest.map(|digest| digest.to_string())))
    })
}

/// The hash of a script's bytes; `NULL` where it can't be read. With `once` that is of when it was looked at first.
///
/// @noRd
#[extendr]
fn native_script_look(script: Robj, once: Robj) -> Robj {
    guard(|| {
        let (script, once) = (path(&script)?, R::of(&once).is_true());
        let mut watched = lock(&SCRIPT);
        let hash = sha256(watched.get_or_insert_default().look(&script, once));
        drop(watched);
        Ok(or_null(hash))
    })
}

/// The bytes at the last looks, `list(script, diff)`; `NULL` for what can't be kept.
///
/// @noRd
#[extendr]
fn native_code() -> Robj {
    guard(|| {
        let bytes = |seen: Option<&Seen>| seen.and_then(|seen| seen.bytes.clone());
        let script = bytes(lock(&SCRIPT).as_ref().and_then(Script::seen));
        let diff = bytes(lock(&WORK_TREE).as_ref().and_then(WorkTree::diff));
        let raw =
            |bytes: Option<Vec<u8>>| bytes.map_or(Robj::from(()), |bytes| to_r::bytes(&bytes));
        Ok(list!(script = raw(script), diff = raw(diff)).into())
    })
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sha256(seen: Option<&Seen>) -> Option<String> {
    seen.map(|seen| seen.digest.to_string())
}

fn or_null<T: Into<Robj>>(value: Option<T>) -> Robj {
    value.map_or(Robj::from(()), T::into)
}

extendr_module! {
    mod environment;
    fn native_json;
    fn native_process;
    fn native_git_look;
    fn native_git_state;
    fn native_git_diff_from;
    fn native_script_look;
    fn native_code;
}
