//! The page of a ledger: written to a file, or handed out piece by piece while the ledger grows.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::objects::Objects;
use fitledger_core::page::{self, About, Page, Since};
use fitledger_core::sys;
use fitledger_core::time::Timestamp;
use fitledger_core::verify::{self, Report};

use crate::answer::{Failure, answer};
use crate::r::{R, Text};
use crate::target::path;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn text(x: &Robj, what: &str) -> Result<String, Failure> {
    R::of(x).string().ok_or_else(|| Failure::argument(what))
}

/// Writes what the page shows of a ledger to a new file, between two texts.
///
/// `plain` is `NULL`, or the name of the plain CSV whose runs the ledger took over; `remarks` are
/// for the reader of the page.
///
/// @noRd
#[extendr]
fn native_write_page(
    file: Robj,
    plain: Robj,
    remarks: Robj,
    before: Robj,
    after: Robj,
    to: Robj,
) -> Robj {
    answer(|| {
        let (file, to) = (path(&file)?, path(&to)?);
        let plain = R::of(&plain).string();
        let remarks = R::of(&remarks);
        if remarks.ty() != SEXPTYPE::STRSXP {
            return Err(Failure::argument("remarks"));
        }
        let remarks: Vec<String> = (0..remarks.len())
            .filter_map(|i| match remarks.text(i) {
                Text::Is(text) => Some(text),
                _ => None,
            })
            .collect();
        let page = Page::read(&file)?;
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
        let (before, after) = (text(&before, "before")?, text(&after, "after")?);
        let written = write_new(&to, &[before.as_bytes()], &json, &[after.as_bytes()]);
        written.map_err(|e| Failure {
            class: "io",
            message: format!("Can't write '{}': {e}.", to.display()),
            path: Some(to.display().to_string()),
            ..Failure::default()
        })?;
        Ok(Robj::from(()))
    })
}

fn write_new(to: &Path, before: &[&[u8]], json: &[u8], after: &[&[u8]]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(to)?;
    let mut out = BufWriter::new(file);
    before.iter().try_for_each(|text| out.write_all(text))?;
    page::write_embedded(json, &mut out)?;
    after.iter().try_for_each(|text| out.write_all(text))?;
    out.flush()
}

/// The ledger that this process follows.
struct Followed {
    path: PathBuf,
    page: Page,
    /// What was verified when following began, and how often it had begun by then.
    verified: Option<(u64, Report)>,
}

static FOLLOWED: Mutex<Option<Followed>> = Mutex::new(None);

/// What the page is told, as raw JSON: everything if `since` is `NULL`, else what is new since
/// that mark; `NULL` if nothing is.
///
/// @noRd
#[extendr]
fn native_page_data(file: Robj, since: Robj) -> Robj {
    answer(|| {
        let path = path(&file)?;
        // It stays where it is whatever happens: marks that were given out count on it.
        let mut followed = FOLLOWED.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.as_ref().is_none_or(|known| known.path != path) {
            *followed = Some(Followed {
                path: path.clone(),
                page: Page::default(),
                verified: None,
            });
        }
        let followed = followed.as_mut().expect("there is one now");
        let begun = followed.page.catch_up(&path)?;
        let since = R::of(&since).string();
        let verified = followed.verified.as_ref().map(|(then, _)| *then);
        if since.is_none() && verified != Some(begun) {
            followed.verified = Some((begun, verify::verify(&path, None)?));
        }
        let report = followed.verified.as_ref();
        let about = About {
            file: &name(&path),
            written: Timestamp::now(),
            version: VERSION,
            integrity: report.map(|(_, report)| report),
            objects: &Objects::beside(&path),
            plain: false,
            remarks: &[],
        };
        let mut json = Vec::new();
        let answer = match since {
            None => {
                followed.page.write(&about, &mut json);
                Since::Patch
            }
            Some(mark) => followed.page.write_since(&mark, &about, &mut json),
        };
        let answer = match answer {
            Since::Nothing => Robj::from(()),
            Since::Patch => Raw::from_bytes(&json).into(),
            Since::Everything => Raw::from_bytes(b"{\"reset\":true}").into(),
        };
        Ok(answer)
    })
}

/// 256 random bits of the system's, in hex.
///
/// @noRd
#[extendr]
fn native_token() -> Robj {
    answer(|| {
        let mut bytes = [0; 32];
        sys::random(&mut bytes).map_err(|e| Failure {
            class: "io",
            message: format!("The system gives no random bytes: {e}."),
            ..Failure::default()
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
    answer(|| {
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
    fn native_page_data;
    fn native_token;
    fn native_is_gone;
}
