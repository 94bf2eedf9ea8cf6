//! The page of a ledger: written to a file, or handed out piece by piece while the ledger grows.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::MIRROR_SUFFIX;
use fitledger_core::ledger::objects::Objects;
use fitledger_core::page::{self, About, Extent, Page, Since};
use fitledger_core::platform::sys;
use fitledger_core::views::verify;

use crate::from_r::path;
use crate::guard::{Failure, guard};
use crate::place::place;
use crate::query::texts;
use crate::r::R;
use crate::to_r;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a ledger is called on its page.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    name.strip_suffix(MIRROR_SUFFIX).unwrap_or(&name).to_owned()
}

/// `runs` are the ids of those that are shown, `NULL` for all; `context` says whether people and machines are.
fn extent(runs: &Robj, context: &Robj) -> Result<Extent, Failure> {
    let runs = R::of(runs);
    let ids = || texts(runs).map(|ids| ids.into_iter().collect());
    Ok(Extent {
        runs: (!runs.is_null()).then(ids).transpose()?,
        without_context: !R::of(context).is_true(),
    })
}

/// Writes what the page shows of a ledger to a new file, between the two texts of `page`.
///
/// `plain` is `NULL`, or the name of the plain CSV whose runs the ledger took over; `remarks` are
/// what readers of the page should know. `runs` are the ids of those that are shown, `NULL` for all; `context` is
/// `FALSE` for a page that says nothing of people and machines.
///
/// @noRd
#[extendr]
fn native_write_page(
    file: Robj,
    plain: Robj,
    remarks: Robj,
    runs: Robj,
    context: Robj,
    page: Robj,
    to: Robj,
) -> Robj {
    guard(|| {
        let (file, to) = (path(&file)?, path(&to)?);
        let plain = R::of(&plain).string();
        let remarks = texts(R::of(&remarks))?;
        let parts = texts(R::of(&page))?;
        let [before, after] =
            <[String; 2]>::try_from(parts).map_err(|_| Failure::argument("page"))?;
        let page = Page::read(&file, extent(&runs, &context)?)?;
        let report = match plain {
            Some(_) => None,
            None => Some(verify::verify(&file, None)?),
        };
        let own = name(&file);
        let about = About {
            file: plain.as_deref().unwrap_or(&own),
            written: Timestamp::now(),
            version: VERSION,
            integrity: report.as_ref(),
            objects: &Objects::beside(&file),
            plain: plain.is_some(),
            remarks: &remarks,
        };
        let mut json = Vec::new();
        page.write(&about, &mut json);
        let written = write_new(&to, &before, &json, &after);
        written.map_err(|e| Failure::io("write", &to, &e))?;
        Ok(Robj::from(()))
    })
}

/// Whether a file is a page that was written before; `mark` is the element that takes the data.
///
/// @noRd
#[extendr]
fn native_is_page(at: Robj, mark: Robj) -> Robj {
    guard(|| {
        let looked = is_page(&path(&at)?, &mark_of(&mark)?);
        Ok(Robj::from(looked.unwrap_or(false)))
    })
}

/// Gives a page that is whole its name, over nothing but an earlier page, whatever came meanwhile.
///
/// @noRd
#[extendr]
fn native_place_page(unfinished: Robj, to: Robj, mark: Robj) -> Robj {
    guard(|| {
        let (unfinished, to) = (path(&unfinished)?, path(&to)?);
        let mark = mark_of(&mark)?;
        place(&unfinished, &to, |path| {
            Ok((!is_page(path, &mark)?).then_some("not an earlier page"))
        })?;
        Ok(Robj::from(()))
    })
}

fn mark_of(mark: &Robj) -> Result<String, Failure> {
    R::of(mark)
        .string()
        .ok_or_else(|| Failure::argument("mark"))
}

/// The page itself comes before most of its data.
fn is_page(path: &Path, mark: &str) -> io::Result<bool> {
    const START_BYTES: u64 = 2_000_000;
    // Reading a pipe would wait for somebody to write.
    if !path.is_file() {
        return Ok(false);
    }
    let mut start = Vec::new();
    File::open(path)?
        .take(START_BYTES)
        .read_to_end(&mut start)?;
    Ok(start
        .windows(mark.len())
        .any(|part| part == mark.as_bytes()))
}

fn write_new(to: &Path, before: &str, json: &[u8], after: &str) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(to)?;
    let mut out = BufWriter::new(file);
    out.write_all(before.as_bytes())?;
    page::write_embedded(json, &mut out)?;
    out.write_all(after.as_bytes())?;
    out.flush()
}

/// The ledger that this process follows.
static FOLLOWED: Mutex<Option<(PathBuf, Page)>> = Mutex::new(None);

/// What the page is told, as raw JSON: everything if `since` is `NULL`, else what is new since
/// that mark; `NULL` if nothing is. The others are as in `native_write_page()`.
///
/// @noRd
#[extendr]
fn native_page_data(file: Robj, since: Robj, remarks: Robj, runs: Robj, context: Robj) -> Robj {
    guard(|| {
        let path = path(&file)?;
        let (remarks, extent) = (texts(R::of(&remarks))?, extent(&runs, &context)?);
        // It stays where it is whatever happens: marks that were given out count on it.
        let mut followed = FOLLOWED.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.as_ref().is_none_or(|(known, _)| *known != path) {
            *followed = Some((path.clone(), Page::default()));
        }
        let (_, page) = followed.as_mut().expect("there is one now");
        page.show(extent);
        page.catch_up(&path)?;
        let since = R::of(&since).string();
        let report = match since {
            None => Some(verify::verify(&path, None)?),
            Some(_) => None,
        };
        let about = About {
            file: &name(&path),
            written: Timestamp::now(),
            version: VERSION,
            integrity: report.as_ref(),
            objects: &Objects::beside(&path),
            plain: false,
            remarks: &remarks,
        };
        let mut json = Vec::new();
        let Some(mark) = since else {
            page.write(&about, &mut json);
            drop(followed);
            return Ok(to_r::bytes(&json));
        };
        let new = page.write_since(&mark, &about, &mut json);
        // R may jump where it is asked for a vector.
        drop(followed);
        Ok(match new {
            Since::Nothing => Robj::from(()),
            Since::Patch => to_r::bytes(&json),
            Since::Everything => to_r::bytes(b"{\"reset\":true}"),
        })
    })
}

/// 256 random bits of the system's, in hex.
///
/// @noRd
#[extendr]
fn native_token() -> Robj {
    guard(|| {
        let mut bytes = [0; 32];
        sys::random(&mut bytes).map_err(|e| {
            let failure = Failure {
                class: "io",
                message: "The system gives no random bytes.".into(),
                ..Failure::default()
            };
            failure.caused_by(&e)
        })?;
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Robj::from(hex.concat()))
    })
}

/// Whether a process, as `native_process()` and its pid tell it, is provably no more.
///
/// @noRd
#[extendr]
fn native_is_gone(boot: Robj, pids: Robj, started: Robj, pid: Robj) -> Robj {
    guard(|| {
        let number = |x: &Robj| match (R::of(x).ty(), R::of(x).len()) {
            (SEXPTYPE::REALSXP, 1) => Some(R::of(x).doubles()[0] as i64),
            _ => None,
        };
        let pid = number(&pid).ok_or_else(|| Failure::argument("pid"))?;
        let (boot, pids) = (R::of(&boot).string(), R::of(&pids).string());
        // Not every system tells its processes apart.
        let known = boot.zip(pids).zip(number(&started));
        Ok(Robj::from(known.is_some_and(|((boot, pids), started)| {
            sys::is_gone(&boot, &pids, pid, started)
        })))
    })
}

extendr_module! {
    mod page;
    fn native_write_page;
    fn native_is_page;
    fn native_place_page;
    fn native_page_data;
    fn native_token;
    fn native_is_gone;
}
