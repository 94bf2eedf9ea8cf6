//! Where a file that the user has asked for is put: over nothing but an earlier one of its kind.

use std::io;
use std::path::Path;

use fitledger_core::platform::sys;

use crate::guard::Failure;

/// Gives a whole file its name, over nothing but an earlier one, whatever comes meanwhile: where the system can, the two change
/// names first, and what came out is looked at, which has the name of the unfinished file then.
pub fn place(
    unfinished: &Path,
    to: &Path,
    in_the_way: impl Fn(&Path) -> io::Result<Option<&'static str>>,
) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::io("write", to, &e);
    match sys::rename_new(unfinished, to) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        renamed => return renamed.map_err(failed),
    }
    if let Some(what) = in_the_way(to).map_err(failed)? {
        return Err(Failure::exists(to, what));
    }
    let ours = sys::path_id(unfinished).map_err(failed)?;
    // What is looked at now is what is replaced.
    if sys::exchange(unfinished, to).is_err() {
        return std::fs::rename(unfinished, to).map_err(failed);
    }
    let looked = in_the_way(unfinished);
    if let Ok(None) = looked {
        return std::fs::remove_file(unfinished).map_err(failed);
    }
    sys::exchange(unfinished, to).map_err(failed)?;
    // Who calls removes what is unfinished: not what somebody put there between the two changes.
    if !sys::path_id(unfinished).is_ok_and(|there| there == ours) {
        let kept = sys::unforeseen_name(to, ".kept-").map_err(failed)?;
        std::fs::rename(unfinished, kept).map_err(failed)?;
    }
    match looked.map_err(failed)? {
        Some(what) => Err(Failure::exists(to, what)),
        None => Ok(()),
    }
}
