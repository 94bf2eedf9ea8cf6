//! The views of ledgers that stay between calls, and the indexes that a fresh process reads instead.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::ledger::{LedgerFile, ReadSince};
use fitledger_core::views::fold::Folded;
use fitledger_core::views::index_cache::{IndexCache, MAX_INDEXES_BYTES, MIN_LEDGER_BYTES};
use fitledger_core::views::parallel_read;
use fitledger_core::views::promotion::State;
use fitledger_core::views::registry::Registry;
use fitledger_core::views::runs::Runs;
use fitledger_core::views::series::Points;
use fitledger_core::views::view_cache::{ViewCache, ViewGuard};

use crate::from_r::path;
use crate::guard::{Failure, guard};
use crate::r::{R, base_call};

pub static RUNS: ViewCache<Runs, Failure> = ViewCache::new(read_runs);
pub static REGISTRIES: ViewCache<Registry, Failure> =
    ViewCache::new(|file| Ok(parallel_read::read(file)?));
pub static SERIES: ViewCache<Points, Failure> =
    ViewCache::new(|file| Ok(parallel_read::read(file)?));

/// Runs and registry of a ledger, on loan from the caches.
pub struct Views {
    path: PathBuf,
    runs: ViewGuard<Runs, Failure>,
    registry: ViewGuard<Registry, Failure>,
}

impl Views {
    pub fn of(path: PathBuf) -> Result<Views, Failure> {
        let file = LedgerFile::open(&path)?;
        Ok(Views {
            runs: RUNS.lend_of(&file)?,
            registry: REGISTRIES.lend_of(&file)?,
            path,
        })
    }

    /// What decisions about models rest on.
    pub fn state(&self) -> State<'_> {
        State {
            path: &self.path,
            runs: self.runs.view(),
            registry: self.registry.view(),
        }
    }

    /// The same as it is under the lock.
    pub fn catch_up(&mut self, read_since: ReadSince<'_>) -> fitledger_core::Result<State<'_>> {
        self.runs.catch_up(read_since)?;
        self.registry.catch_up(read_since)?;
        Ok(self.state())
    }
}

/// Where indexes go unless an option says otherwise; `None` for nowhere.
static CACHE: Mutex<Option<PathBuf>> = Mutex::new(None);
/// Set when an index turned out damaged: from then on this process goes without.
static DISTRUST: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// What the user is to be told.
    static NOTICE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Names the folder for indexes, or `NULL` for none.
///
/// @noRd
#[extendr]
fn native_use_cache(folder: Robj) -> Robj {
    guard(|| {
        let folder = match R::of(&folder).is_null() {
            true => None,
            false => Some(path(&folder)?),
        };
        *CACHE.lock().unwrap_or_else(PoisonError::into_inner) = folder;
        Ok(Robj::from(()))
    })
}

/// The folder for indexes: `options(fitledger.cache)` is one, `FALSE`, or `TRUE` for the usual one.
fn cache_folder() -> Result<Option<PathBuf>, Failure> {
    let option = base_call(c"getOption", R::of(&Robj::from("fitledger.cache")), &[]);
    let option = option.unwrap_or_default();
    let usual = || CACHE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match (R::of(&option).ty(), R::of(&option).len()) {
        (SEXPTYPE::NILSXP, _) => Ok(usual()),
        (SEXPTYPE::LGLSXP, 1) if R::of(&option).is_true() => Ok(usual()),
        (SEXPTYPE::LGLSXP, 1) if R::of(&option).logicals() == [0] => Ok(None),
        (SEXPTYPE::STRSXP, 1) => {
            let expanded = base_call(c"path.expand", R::of(&option), &[]);
            let folder = expanded.and_then(|folder| R::of(&folder).path());
            let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
            folder.map(Some).ok_or_else(odd_option)
        }
        _ => Err(odd_option()),
    }
}

fn odd_option() -> Failure {
    Failure {
        class: "argument",
        message: "`options(fitledger.cache)` must be TRUE, FALSE or the path of a folder.".into(),
        ..Failure::default()
    }
}

fn read_runs(file: &LedgerFile) -> Result<Folded<Runs>, Failure> {
    let is_large = file.size()? >= MIN_LEDGER_BYTES;
    let folder = match is_large && !DISTRUST.load(Ordering::Relaxed) {
        true => cache_folder()?,
        false => None,
    };
    Ok(match folder {
        None => parallel_read::read(file)?,
        Some(folder) => {
            let cache = IndexCache {
                folder,
                min_ledger_bytes: MIN_LEDGER_BYTES,
                max_bytes: MAX_INDEXES_BYTES,
            };
            if cache.is_shared() {
                say_once(&cache.folder);
            }
            cache.read(file)?
        }
    })
}

/// Notes that a folder isn't used, unless that was said of it, or it is the usual one: the user
/// hasn't chosen that.
fn say_once(folder: &Path) {
    static SAID: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let usual = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if usual.as_deref() != Some(folder) && !said.iter().any(|known| known == folder) {
        said.push(folder.to_owned());
        NOTICE.set(Some(format!(
            "No index is kept in '{}', as `options(fitledger.cache)` asks for: others can write to it.",
            folder.display()
        )));
    }
}

/// Guards a call that rests on the views: it is made again without indexes, where one turns out
/// damaged. What there is to say of them becomes the attribute `notice` of the result.
pub fn guard_views(call: impl FnMut() -> Result<Robj, Failure>) -> Robj {
    let mut result = guard_damaged(call);
    if !R::of(&result).is_null() {
        if let Some(notice) = NOTICE.take() {
            result
                .set_attrib("notice", notice)
                .expect("a vector takes an attribute");
        }
    }
    result
}

fn guard_damaged(mut call: impl FnMut() -> Result<Robj, Failure>) -> Robj {
    guard(|| {
        let _let_go = LetGo;
        let outcome = call();
        let Some(damaged) = outcome.as_ref().err().and_then(Failure::damaged_index) else {
            return outcome;
        };
        DISTRUST.store(true, Ordering::Relaxed);
        RUNS.clear();
        drop(std::fs::remove_file(damaged));
        call()
    })
}

/// Lets go of all views when a call stops halfway, as one does that runs out of memory: the next one has that of theirs.
struct LetGo;

impl Drop for LetGo {
    fn drop(&mut self) {
        if std::thread::panicking() {
            RUNS.clear();
            REGISTRIES.clear();
            SERIES.clear();
        }
    }
}

extendr_module! {
    mod view_cache;
    fn native_use_cache;
}
