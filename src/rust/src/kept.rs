//! Views of ledgers that are kept between calls, so that only what is new is read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::views::fold::{Fold, Follow, Looks};
use fitledger_core::views::index_cache::Cache;
use fitledger_core::views::parallel_read;
use fitledger_core::views::registry::Registry;
use fitledger_core::views::runs::Runs;

use crate::answer::{Failure, answer};
use crate::r::{R, base_call};
use crate::target::path;

pub static RUNS: Kept<Runs> = Kept::new(read_runs);
pub static REGISTRIES: Kept<Registry> = Kept::new(|path| Ok(Registry::read(path)?));

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
            let folder = expanded.and_then(|folder| R::of(&folder).string());
            let folder = folder.filter(|folder| !folder.is_empty());
            folder
                .map(|folder| Some(folder.into()))
                .ok_or_else(odd_option)
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

fn read_runs(path: &Path) -> Result<Follow<Runs>, Failure> {
    let large = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() >= LARGE);
    let folder = match large && !DISTRUST.load(Ordering::Relaxed) {
        true => cache_folder()?,
        false => None,
    };
    Ok(match folder {
        None => parallel_read::read(path)?,
        Some(folder) => {
            let (least, most) = (LARGE, INDEXES);
            Cache {
                folder,
                least,
                most,
            }
            .read(path)?
        }
    })
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
    read: fn(&Path) -> Result<Follow<F>, Failure>,
}

struct View<F> {
    follow: Follow<F>,
    looks: Looks,
}

impl<F: Fold> Kept<F> {
    const fn new(read: fn(&Path) -> Result<Follow<F>, Failure>) -> Kept<F> {
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
        let grown = |view: &View<F>| looks.is_some_and(|now| view.looks.may_have_grown(now));
        match known.filter(grown) {
            None => (self.read)(path),
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
