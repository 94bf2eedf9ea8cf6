//! Where an exported store is put: beside its place first, then there in one step, over nothing but an earlier export.
//!
//! Others may be at work in the same folder. What isn't whole yet is in a folder that is ours alone, written through
//! handles, so that nobody can lead us elsewhere; an earlier export is moved in there before it is looked at for the last
//! time and removed, so that nothing goes that came meanwhile.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, LOOK_AGAIN, Result};
use crate::format::digest::{Digest, Hasher};
use crate::ledger::objects::Progress;
use crate::mlflow::store::StoreFolder;
use crate::platform::folder::{Kind, OpenFolder};
use crate::platform::sys;

/// Says what an export has written. MLflow looks at folders only.
const MARK: &str = ".fitledger-export";
const FIRST_LINE: &str = "fitledger export 1\n";
/// In the folder that is ours alone.
const NEW: &str = "new";
const EARLIER: &str = "earlier";

/// A folder that is being written.
pub struct Place {
    pub folder: OpenFolder,
    /// Where it will be, for errors.
    pub path: PathBuf,
}

impl Place {
    /// A folder below, made with those on the way unless it is there.
    pub fn make(&self, name: &str) -> Result<Place> {
        let path = self.path.join(name);
        let failed = |e| Error::io(&path, "make the folder", e);
        let mut parts = name.split('/').map(OsStr::new);
        let first = parts.next().expect("a text has a part");
        let first = self.folder.ensure_folder(first).map_err(failed)?;
        let folder = parts.try_fold(first, |folder, part| {
            folder.ensure_folder(part).map_err(failed)
        })?;
        Ok(Place { folder, path })
    }

    /// Writes a file that isn't there yet, and the folders above it. One that can't be written to its end is not there.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut parts = name.split('/').map(OsStr::new);
        let last = parts.next_back().expect("a text has a part");
        let mut opened: Option<OpenFolder> = None;
        for part in parts {
            opened = Some(
                opened
                    .as_ref()
                    .unwrap_or(&self.folder)
                    .ensure_folder(part)?,
            );
        }
        let folder = opened.as_ref().unwrap_or(&self.folder);
        let mut file = folder.create(last, false)?;
        let written = file.write_all(bytes);
        written.inspect_err(|_| drop(folder.remove_file(last)))
    }
}

/// What stands in the way of an export: anything but an empty folder and an earlier export that is as it was written.
pub fn in_the_way(to: &Path, progress: Progress<'_>) -> Result<Option<&'static str>> {
    let failed = |e| Error::io(to, "write", e);
    let metadata = match fs::symlink_metadata(to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        looked => looked.map_err(failed)?,
    };
    if !metadata.is_dir() {
        return Ok(Some(sys::kind_of_file(metadata.file_type())));
    }
    // A slash at its end would have a link followed.
    let name = to.file_name().unwrap_or(to.as_os_str());
    let folder = OpenFolder::open(&to.with_file_name(name)).map_err(failed)?;
    in_folder(folder, to, progress)
}

fn in_folder(
    folder: OpenFolder,
    path: &Path,
    progress: Progress<'_>,
) -> Result<Option<&'static str>> {
    let names = folder.names();
    if names.map_err(|e| Error::io(path, "write", e))?.is_empty() {
        return Ok(None);
    }
    let store = StoreFolder::of(folder, path);
    let Ok(mark) = store.text(MARK)? else {
        return Ok(Some("a folder that no export has made"));
    };
    let stated = mark.strip_prefix(FIRST_LINE).map(str::trim_end);
    let found = content(&store, progress)?;
    let is_whole = found.is_some_and(|found| Some(found.to_string().as_str()) == stated);
    Ok((!is_whole).then_some("an earlier export to which something was added or changed since"))
}

/// The hash of all names and bytes but the mark's; none if there is something else than files.
fn content(store: &StoreFolder, progress: Progress<'_>) -> Result<Option<Digest>> {
    let mut hasher = Hasher::default();
    for file in store.files_below("", progress)? {
        if progress(0) {
            return Err(Error::Interrupted);
        }
        if file.problem.is_some() {
            return Ok(None);
        }
        if file.name != MARK {
            let Ok(digest) = store.digest(&file.name)? else {
                return Ok(None);
            };
            hasher.update(file.name.as_bytes());
            hasher.update(b"\0");
            hasher.update(digest.to_string().as_bytes());
        }
    }
    Ok(Some(hasher.finish()))
}

/// Has a folder filled and puts it where it belongs. After an error there is what there was.
pub fn place<T>(
    to: &Path,
    progress: Progress<'_>,
    fill: impl FnOnce(&Place, Progress<'_>) -> Result<T>,
) -> Result<T> {
    let failed = |e| Error::io(to, "write", e);
    let name = to.file_name().ok_or(io::ErrorKind::InvalidInput);
    let name = name.map_err(|e| failed(e.into()))?;
    let above = fs::canonicalize(sys::folder_of(to)).and_then(|above| OpenFolder::open(&above));
    let above = above.map_err(failed)?;
    let unfinished = sys::unforeseen_name(Path::new(name), ".tmp-").map_err(failed)?;
    let ours = above.make_private(unfinished.as_os_str()).map_err(failed)?;
    let new = ours.make(OsStr::new(NEW)).map_err(failed);
    let placed = new.and_then(|folder| {
        let path = to.to_owned();
        let place = Place { folder, path };
        let value = fill(&place, &mut *progress)?;
        let folder = ours.folder(OsStr::new(NEW)).map_err(failed)?;
        let content = content(&StoreFolder::of(folder, to), progress)?;
        let content =
            content.ok_or_else(|| failed(io::Error::other("it isn't as it was written")))?;
        let mark = format!("{FIRST_LINE}{content}\n");
        place.write(MARK, mark.as_bytes()).map_err(failed)?;
        Ok(value)
    });
    let placed = placed.and_then(|value| swap(&ours, (&above, name), to).map(|()| value));
    // What can't be removed is in nobody's way, and what somebody else put aside goes with nobody's word.
    let is_kept = ours.kind(OsStr::new(EARLIER)).is_ok() && placed.is_err();
    if !is_kept {
        drop(ours.clear());
        drop(above.remove_empty(unfinished.as_os_str()));
    }
    placed
}

/// Puts the new folder in the place of what is there.
fn swap(ours: &OpenFolder, (above, name): (&OpenFolder, &OsStr), to: &Path) -> Result<()> {
    let failed = |e| Error::io(to, "write", e);
    let [new, earlier] = [NEW, EARLIER].map(OsStr::new);
    let conflict = |what: &str| Error::Conflict {
        path: to.to_owned(),
        what: format!("'{}' is {what}", to.display()),
        hint: LOOK_AGAIN,
    };
    let there = match above.kind(name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        there => Some(there.map_err(failed)?),
    };
    match there {
        None => {}
        Some(Kind::Folder) => above.move_to(name, ours, earlier).map_err(failed)?,
        Some(Kind::File) => return Err(conflict("a file")),
        Some(Kind::Other(what)) => return Err(conflict(what)),
    }
    let looked = match there {
        None => Ok(None),
        Some(_) => ours
            .folder(earlier)
            .map_err(failed)
            .and_then(|folder| in_folder(folder, to, &mut |_| false)),
    };
    let moved = match looked {
        Ok(None) => match ours.move_to(new, above, name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(conflict("something that came meanwhile"))
            }
            moved => moved.map_err(failed),
        },
        Ok(Some(what)) => Err(conflict(what)),
        Err(e) => Err(e),
    };
    if moved.is_err() && there.is_some() {
        // Should its name be taken, it stays aside.
        drop(ours.move_to(earlier, above, name));
    }
    moved
}
