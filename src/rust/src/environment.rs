//! What a session records of its environment, as far as R doesn't know it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use extendr_api::prelude::*;
use fitledger_core::platform::git::Watch;
use fitledger_core::platform::sys;

use crate::from_r::{self, path};
use crate::guard::guard;
use crate::r::R;

static WATCH: Mutex<Option<Watch>> = Mutex::new(None);

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

/// Looks at git for a folder; a number that grows when what it says has changed. A working folder that was
/// removed is `NULL`: nothing is there to look at.
///
/// @noRd
#[extendr]
fn native_git_look(folder: Robj, file: Robj) -> Robj {
    guard(|| {
        let mut watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
        if R::of(&folder).is_null() {
            *watch = None;
            return Ok(Robj::from(0.0));
        }
        let (folder, ledger) = (path(&folder)?, path(&file)?);
        if watch.as_ref().is_none_or(|watch| watch.folder() != folder) {
            *watch = Some(Watch::new(&folder));
        }
        let watch = watch.as_mut().expect("there is one now");
        if watch.root().is_none() {
            return Ok(Robj::from(0.0));
        }
        Ok(Robj::from(f64::from(watch.look(&ledger, Instant::now()))))
    })
}

/// What git said at the last look: `list(root, commit, branch, dirty)`, or `NULL` outside a
/// repository.
///
/// @noRd
#[extendr]
fn native_git_state() -> Robj {
    guard(|| {
        let watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((watch, root)) = watch
            .as_ref()
            .and_then(|watch| Some((watch, watch.root()?)))
        else {
            return Ok(Robj::from(()));
        };
        let state = watch.state();
        let text = |text: &Option<String>| text.as_deref().map_or(Robj::from(()), Robj::from);
        Ok(list!(
            root = root.display().to_string(),
            commit = text(&state.commit),
            branch = text(&state.branch),
            dirty = state.dirty.map_or(Robj::from(()), Robj::from)
        )
        .into())
    })
}

extendr_module! {
    mod environment;
    fn native_json;
    fn native_process;
    fn native_git_look;
    fn native_git_state;
}
