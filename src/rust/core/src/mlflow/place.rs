//! Where an exported store is put: beside its place first, then there in one step, over nothing but an earlier export.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::digest::{Digest, Hasher};
use crate::mlflow::store::StoreFolder;
use crate::platform::sys;

/// Says what an export has written. MLflow looks at folders only.
const MARK: &str = ".fitledger-export";
const FIRST_LINE: &str = "fitledger export 1\n";

/// What stands in the way of an export: anything but an empty folder and an earlier export that is as it was written.
pub fn in_the_way(to: &Path) -> io::Result<Option<&'static str>> {
    let metadata = match fs::symlink_metadata(to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        looked => looked?,
    };
    if !metadata.is_dir() {
        return Ok(Some(sys::kind_of_file(metadata.file_type())));
    }
    if fs::read_dir(to)?.next().is_none() {
        return Ok(None);
    }
    let store = StoreFolder::open(to).map_err(io::Error::other)?;
    let Ok(mark) = store.text(MARK) else {
        return Ok(Some("a folder that no export has made"));
    };
    let stated = mark.strip_prefix(FIRST_LINE).map(str::trim_end);
    let is_whole = content(&store).is_some_and(|found| Some(found.to_string().as_str()) == stated);
    Ok((!is_whole).then_some("an earlier export to which something was added or changed since"))
}

/// The hash of all names and bytes but the mark's; none if there is something else than files.
fn content(store: &StoreFolder) -> Option<Digest> {
    let mut hasher = Hasher::default();
    for file in store.files_below("") {
        if file.problem.is_some() {
            return None;
        }
        if file.name != MARK {
            let digest = store.digest(&file.name).ok()?;
            hasher.update(file.name.as_bytes());
            hasher.update(b"\0");
            hasher.update(digest.to_string().as_bytes());
        }
    }
    Some(hasher.finish())
}

/// Has a folder filled and puts it where it belongs. After an error there is what there was.
pub fn place<T>(to: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let failed = |e| Error::io(to, "write", e);
    let unfinished = sys::unforeseen_name(to, ".tmp-").map_err(failed)?;
    fs::create_dir(&unfinished).map_err(|e| Error::io(&unfinished, "make the folder", e))?;
    let filled = fill(&unfinished).and_then(|value| {
        let content = content(&StoreFolder::open(&unfinished)?);
        let content =
            content.ok_or_else(|| failed(io::Error::other("it isn't as it was written")))?;
        let mark = format!("{FIRST_LINE}{content}\n");
        fs::write(unfinished.join(MARK), mark).map_err(failed)?;
        swap(&unfinished, to).map_err(failed)?;
        Ok(value)
    });
    if filled.is_err() {
        drop(fs::remove_dir_all(&unfinished));
    }
    filled
}

/// Puts a folder in the place of what is there.
fn swap(from: &Path, to: &Path) -> io::Result<()> {
    let before: Option<PathBuf> = match fs::symlink_metadata(to) {
        Ok(_) => {
            let aside = sys::unforeseen_name(to, ".old-")?;
            fs::rename(to, &aside)?;
            Some(aside)
        }
        Err(_) => None,
    };
    if let Err(e) = fs::rename(from, to) {
        if let Some(before) = before {
            drop(fs::rename(before, to));
        }
        return Err(e);
    }
    if let Some(before) = before {
        // What can't be removed is in nobody's way.
        drop(fs::remove_dir_all(before));
    }
    Ok(())
}
