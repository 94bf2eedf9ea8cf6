//! Storing artifacts and reading them back.

use std::time::{Duration, Instant};

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::format::artifact::ArtifactEntry;
use fitledger_core::format::digest::Digest;
use fitledger_core::ledger;
use fitledger_core::ledger::folder::{self, Folder};
use fitledger_core::ledger::objects::{self, Objects, Stored, safe_file_name};
use fitledger_core::views::runs::Part;

use crate::append_request::{AppendRequest, Entropy};
use crate::from_r::path;
use crate::guard::{Failure, guard};
use crate::r::{self, R, path_text};
use crate::to_r;
use crate::view_cache::{RUNS, guard_views};

/// Tells R's side how far a long piece of work is, and asks whether to give up.
pub fn progress(on_progress: &Robj) -> impl FnMut(u64) -> bool + '_ {
    const EVERY_BYTES: u64 = 32 << 20;
    const EVERY: Duration = Duration::from_millis(100);
    let (mut next, mut looked) = (EVERY_BYTES, Instant::now());
    move |done| {
        let is_far = done >= next;
        if !is_far && looked.elapsed() < EVERY {
            return false;
        }
        looked = Instant::now();
        if is_far {
            next = done + EVERY_BYTES;
            if let Some(function) = on_progress.as_function() {
                // A progress bar that fails is no reason to stop.
                drop(function.call(pairlist!(done as f64)));
            }
        }
        r::interrupted()
    }
}

fn stored(stored: Stored) -> Robj {
    list!(
        sha256 = stored.digest.to_string(),
        size = stored.size as f64
    )
    .into()
}

/// Stores a file's bytes beside a ledger, which is begun if there is none: `list(sha256, size)`.
///
/// @noRd
#[extendr]
fn native_store_file(request: Robj, from: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let mut entropy = Entropy::new();
        let request = AppendRequest::of(&request)?;
        let from = path(&from)?;
        objects::check_storable(&from)?;
        request.begin(&mut entropy)?;
        let objects = Objects::beside(request.path());
        let outcome = objects.put_file(
            &from,
            &mut |bytes| entropy.fill(bytes),
            &mut progress(&on_progress),
        )?;
        Ok(stored(outcome))
    })
}

/// Whether something is a path that says the same in every encoding and stands for no user's home, so that nothing is to be
/// checked, translated or expanded. It is far shorter than any system's longest.
///
/// @noRd
#[extendr]
fn native_is_plain_path(x: Robj) -> Robj {
    const LONGEST: usize = 1000;
    guard(|| {
        let path = R::of(&x).borrowed_string();
        Ok(Robj::from(path.is_some_and(|path| {
            let is_short = (1..=LONGEST).contains(&path.len());
            is_short && path.is_ascii() && !path.starts_with('~')
        })))
    })
}

/// Whether a path leads to a regular file.
///
/// @noRd
#[extendr]
fn native_is_regular(at: Robj) -> Robj {
    guard(|| Ok(Robj::from(path(&at)?.is_file())))
}

/// Stores a folder beside a ledger, which is begun if there is none, as an archive: `list(sha256, size)`.
///
/// @noRd
#[extendr]
fn native_store_folder(request: Robj, from: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let mut entropy = Entropy::new();
        let request = AppendRequest::of(&request)?;
        let from = path(&from)?;
        let folder = Folder::look(&from)?;
        request.begin(&mut entropy)?;
        let outcome = folder.put(
            &Objects::beside(request.path()),
            &mut |bytes| entropy.fill(bytes),
            &mut progress(&on_progress),
        )?;
        Ok(stored(outcome))
    })
}

/// How many bytes the files of a folder hold that can be stored.
///
/// @noRd
#[extendr]
fn native_folder_size(from: Robj) -> Robj {
    guard(|| Ok(Robj::from(Folder::look(&path(&from)?)?.bytes() as f64)))
}

/// Hashes a file: `list(sha256, size)`.
///
/// @noRd
#[extendr]
fn native_hash_file(from: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        Ok(stored(objects::hash_file(
            &path(&from)?,
            &mut progress(&on_progress),
        )?))
    })
}

fn digest(sha256: &Robj) -> Result<Digest, Failure> {
    let hex = R::of(sha256).string();
    let digest = hex.and_then(|hex| Digest::from_hex(hex.as_bytes()));
    digest.ok_or_else(|| Failure::argument("sha256"))
}

/// A stored object by its hash and size, which may be `NA`.
fn named(sha256: &Robj, size: &Robj) -> Result<(Digest, Option<u64>), Failure> {
    let digest = digest(sha256)?;
    let size = R::of(size);
    let size = (size.ty() == SEXPTYPE::REALSXP && size.len() == 1).then(|| size.doubles()[0]);
    Ok((
        digest,
        size.filter(|size| !size.is_nan()).map(|size| size as u64),
    ))
}

/// The bytes of a stored object, verified.
///
/// @noRd
#[extendr]
fn native_read_object(file: Robj, sha256: Robj, size: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let (digest, size) = named(&sha256, &size)?;
        let objects = Objects::beside(&path(&file)?);
        let bytes = objects.read(&digest, size, &mut progress(&on_progress))?;
        Ok(to_r::bytes(&bytes))
    })
}

/// Copies the verified bytes of a stored object to a new file.
///
/// @noRd
#[extendr]
fn native_copy_object(file: Robj, sha256: Robj, size: Robj, to: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let (digest, size) = named(&sha256, &size)?;
        let objects = Objects::beside(&path(&file)?);
        objects.copy(&digest, size, &path(&to)?, &mut progress(&on_progress))?;
        Ok(Robj::from(()))
    })
}

/// The path of a stored object, once its bytes are verified.
///
/// @noRd
#[extendr]
fn native_object_path(file: Robj, sha256: Robj, size: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let (digest, size) = named(&sha256, &size)?;
        let objects = Objects::beside(&path(&file)?);
        let object = objects.open(&digest, size, &mut progress(&on_progress))?;
        Ok(Robj::from(path_text(&object.path)))
    })
}

/// Unpacks a stored folder, once its bytes are verified, to a new one.
///
/// @noRd
#[extendr]
fn native_unpack_object(file: Robj, sha256: Robj, size: Robj, to: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let (digest, size) = named(&sha256, &size)?;
        let objects = Objects::beside(&path(&file)?);
        let to = path(&to)?;
        folder::unpack(&objects, &digest, size, &to, &mut progress(&on_progress))?;
        Ok(Robj::from(()))
    })
}

/// The bytes of a file that was recorded by its path, verified.
///
/// @noRd
#[extendr]
fn native_read_file(from: Robj, sha256: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let digest = digest(&sha256)?;
        let bytes = objects::read_file(&path(&from)?, &digest, &mut progress(&on_progress))?;
        Ok(to_r::bytes(&bytes))
    })
}

/// Copies the verified bytes of a file that was recorded by its path to a new one.
///
/// @noRd
#[extendr]
fn native_copy_file(from: Robj, sha256: Robj, to: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let digest = digest(&sha256)?;
        let (from, to) = (path(&from)?, path(&to)?);
        objects::copy_file(&from, &digest, &to, &mut progress(&on_progress))?;
        Ok(Robj::from(()))
    })
}

/// The artifacts of a run: `list(name, sha256, size, file, stored, folder)`.
///
/// @noRd
#[extendr]
fn native_artifacts(file: Robj, run_id: Robj) -> Robj {
    guard_views(|| {
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        let id = R::of(&run_id).string().unwrap_or_default();
        let run = runs.get_with(&id, &[Part::Extras])?;
        let artifacts = run.map_or(&[][..], |run| run.artifacts());
        let entries = || artifacts.iter().map(|(_, entry)| entry);
        let size = |entry: &ArtifactEntry| entry.size.map_or(f64::NAN, |size| size as f64);
        Ok(list!(
            name = to_r::strings(artifacts.iter().map(|(name, _)| Some(name.as_str()))),
            sha256 = to_r::strings(entries().map(|entry| entry.sha256.as_deref())),
            size = to_r::doubles(entries().map(size)),
            file = to_r::strings(entries().map(|entry| entry.file.as_deref())),
            stored = entries().map(|entry| entry.stored).collect::<Vec<bool>>(),
            folder = entries().map(|entry| entry.folder).collect::<Vec<bool>>()
        )
        .into())
    })
}

/// A name under which a file can be written into a folder on any system.
///
/// @noRd
#[extendr]
fn native_safe_name(name: Robj) -> Robj {
    guard(|| {
        let name = R::of(&name)
            .string()
            .ok_or_else(|| Failure::argument("name"))?;
        Ok(match safe_file_name(&name) {
            Some(name) => Robj::from(name),
            None => Robj::from(()),
        })
    })
}

/// Whether a file can become or is a ledger; a failure that names what it is otherwise.
///
/// @noRd
#[extendr]
fn native_check_ledger(file: Robj) -> Robj {
    guard(|| {
        ledger::check(&path(&file)?)?;
        Ok(Robj::from(()))
    })
}

extendr_module! {
    mod artifacts;
    fn native_store_file;
    fn native_store_folder;
    fn native_folder_size;
    fn native_hash_file;
    fn native_is_plain_path;
    fn native_is_regular;
    fn native_read_object;
    fn native_copy_object;
    fn native_object_path;
    fn native_unpack_object;
    fn native_read_file;
    fn native_copy_file;
    fn native_artifacts;
    fn native_safe_name;
    fn native_check_ledger;
}
