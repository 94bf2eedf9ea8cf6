//! Views of ledgers that are kept between calls, so that only what is new is read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::bulk;
use fitledger_core::cache::Cache;
use fitledger_core::follow::{Fold, Follow};
use fitledger_core::registry::Registry;
use fitledger_core::runs::Runs;

use crate::answer::{Failure, answer};
use crate::r::{R, base_call};
use crate::target::path;

pub static RUNS: Kept<Runs> = Kept::new(read_runs);
pub static REGISTRIES: Kept<Registry> = Kept::new(Registry::read);

/// Where indexes go unless an option says otherwise; `None` for nowhere.
static CACHE: Mutex<Option<PathBuf>> = Mutex::new(None);
/// Set when an index turned out damaged: from then on this process goes without.
static DISTRUST: AtomicBool = AtomicBool::new(false);

/// A ledger that is read in the blink of an eye needs no index.
const LARGE: u64 = 16 << 20;
/// All indexes together.
const INDEXES: u64 = 1 << 30;

/// Names the folder for indexes, or `NULL` for none.
///
/// @noRd
#[extendr]
fn native_use_cache(folder: Robj) -> Robj {
    answer(|| {
        let folder = match R::of(&folder).is_null() {
            true => None,
            false => Some(path(&folder)?),
        };
        *CACHE.lock().unwrap_or_else(PoisonError::into_inner) = folder;
        Ok(Robj::from(()))
    })
}

/// The folder for indexes: `options(fitledger.cache)` is one, or `FALSE`.
fn cache_folder() -> Option<PathBuf> {
    let option = base_call(c"getOption", R::of(&Robj::from("fitledger.cache")), &[])?;
    let option = R::of(&option);
    match option.ty() {
        SEXPTYPE::LGLSXP if !option.is_true() => None,
        SEXPTYPE::STRSXP => option.string().map(PathBuf::from),
        _ => CACHE.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    }
}

fn read_runs(path: &Path) -> fitledger_core::Result<Follow<Runs>> {
    let large = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() >= LARGE);
    if !large || DISTRUST.load(Ordering::Relaxed) {
        return bulk::read(path);
    }
    let Some(folder) = cache_folder() else {
        return bulk::read(path);
    };
    let cache = Cache {
        folder,
        least: LARGE,
        most: INDEXES,
    };
    cache.read(path)
}

/// Goes on without indexes, of which one turned out damaged.
pub fn distrust_cache(damaged: &Path) {
    DISTRUST.store(true, Ordering::Relaxed);
    RUNS.forget();
    drop(std::fs::remove_file(damaged));
}

/// Views of so many ledgers are kept at most, and together they take at most so many bytes.
const MOST: usize = 8;
const LARGEST: usize = 256 << 20;

/// The views of the ledgers that were asked last, the last one first.
pub struct Kept<F> {
    views: Mutex<Vec<(PathBuf, View<F>)>>,
    read: fn(&Path) -> fitledger_core::Result<Follow<F>>,
}

struct View<F> {
    follow: Follow<F>,
    looks: Looks,
}

/// What a file looked like. A ledger only grows: where it has the same size and was written to
/// nevertheless, somebody did something else to it.
#[derive(Clone, Copy, PartialEq)]
struct Looks {
    size: u64,
    modified: Option<SystemTime>,
}

impl Looks {
    fn of(path: &Path) -> Option<Looks> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Looks {
            size: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

impl<F: Fold> Kept<F> {
    const fn new(read: fn(&Path) -> fitledger_core::Result<Follow<F>>) -> Kept<F> {
        Kept {
            views: Mutex::new(Vec::new()),
            read,
        }
    }

    fn forget(&self) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.clear();
    }

    /// The view of a ledger, brought up to date. While it is out nobody else has it: R may run
    /// another call in between, which then reads for itself.
    pub fn take(&self, path: &Path) -> Result<Follow<F>, Failure> {
        let known = {
            let path = absolute(path);
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            let place = views.iter().position(|(known, _)| *known == path);
            place.map(|place| views.remove(place).1)
        };
        let looks = Looks::of(path);
        let grown = |view: &View<F>| {
            looks.is_some_and(|now| now == view.looks || now.size > view.looks.size)
        };
        match known.filter(grown) {
            None => Ok((self.read)(path)?),
            Some(View { mut follow, .. }) => {
                follow.catch_up(path)?;
                Ok(follow)
            }
        }
    }

    /// Keeps a view for the next question.
    pub fn keep(&self, path: &Path, follow: Follow<F>) {
        if let Some(looks) = follow.place().and_then(|_| Looks::of(path)) {
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            views.insert(0, (absolute(path), View { follow, looks }));
            let mut size = 0;
            views.retain(|(_, view)| {
                size += view.follow.view().size();
                size <= LARGEST
            });
            views.truncate(MOST);
        }
    }

    /// Lends the view of a ledger out, until it is dropped.
    pub fn lend(&'static self, file: &Robj) -> Result<Lent<F>, Failure> {
        let path = path(file)?;
        let follow = self.take(&path)?;
        Ok(Lent {
            kept: self,
            path,
            follow,
        })
    }
}

/// A view that goes back to where it is kept.
pub struct Lent<F: Fold + 'static> {
    kept: &'static Kept<F>,
    path: PathBuf,
    follow: Follow<F>,
}

impl<F: Fold> Lent<F> {
    pub fn view(&self) -> &F {
        self.follow.view()
    }
}

impl<F: Fold> Drop for Lent<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.kept.keep(&self.path, std::mem::take(&mut self.follow));
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

extendr_module! {
    mod kept;
    fn native_use_cache;
}
