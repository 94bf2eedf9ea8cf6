//! Views of ledgers that stay between questions, so that only what is new is read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::ledger::{FileStamp, LedgerFile, Position, ReadSince};
use crate::views::fold::{Fold, Folded};

/// Views of so many ledgers stay at most …
const MAX_VIEWS: usize = 8;
/// … and together they take at most so many bytes of memory.
const MAX_VIEWS_BYTES: usize = 256 << 20;

/// The views of the ledgers that were asked last, the last one first. `E` is why one can't be read.
pub struct ViewCache<F, E> {
    views: Mutex<Vec<(PathBuf, View<F>)>>,
    read: fn(&LedgerFile) -> std::result::Result<Folded<F>, E>,
}

struct View<F> {
    folded: Folded<F>,
    /// Of the file before it was read.
    stamp: FileStamp,
}

impl<F: Fold, E: From<Error>> ViewCache<F, E> {
    /// A cache of views that are read so where they are not in it.
    pub const fn new(
        read: fn(&LedgerFile) -> std::result::Result<Folded<F>, E>,
    ) -> ViewCache<F, E> {
        ViewCache {
            views: Mutex::new(Vec::new()),
            read,
        }
    }

    /// Lets go of all views.
    pub fn clear(&self) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.clear();
    }

    /// The view of a ledger, brought up to date. While it is out nobody else has it: another
    /// call in between reads for itself.
    fn take(&self, file: &LedgerFile) -> std::result::Result<View<F>, E> {
        let known = {
            let path = absolute(file.path());
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            let index = views.iter().position(|(known, _)| *known == path);
            index.map(|index| views.remove(index).1)
        };
        let stamp = file.stamp_since(known.as_ref().map(|known| known.stamp))?;
        let folded = match known.filter(|known| known.stamp.may_have_grown(stamp)) {
            None => (self.read)(file)?,
            Some(View { mut folded, .. }) => {
                folded.catch_up(file)?;
                folded
            }
        };
        Ok(View { folded, stamp })
    }

    /// Puts a view in for the next question.
    fn put(&self, path: &Path, view: View<F>) {
        if view.folded.position().is_some() {
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            views.insert(0, (absolute(path), view));
            let mut size = 0;
            views.retain(|(_, view)| {
                size += view.folded.view().size();
                size <= MAX_VIEWS_BYTES
            });
            views.truncate(MAX_VIEWS);
        }
    }

    /// Lends the view of a ledger out, until the guard is dropped.
    pub fn lend(&'static self, path: PathBuf) -> std::result::Result<ViewGuard<F, E>, E> {
        self.lend_of(&LedgerFile::open(&path)?)
    }

    /// The same of a file that is open already.
    pub fn lend_of(&'static self, file: &LedgerFile) -> std::result::Result<ViewGuard<F, E>, E> {
        Ok(ViewGuard {
            cache: self,
            path: file.path().to_owned(),
            view: self.take(file)?,
        })
    }
}

/// A view that goes back to its cache.
pub struct ViewGuard<F: Fold + 'static, E: From<Error> + 'static> {
    cache: &'static ViewCache<F, E>,
    path: PathBuf,
    view: View<F>,
}

impl<F: Fold, E: From<Error>> ViewGuard<F, E> {
    /// The ledger's.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn view(&self) -> &F {
        self.view.folded.view()
    }

    /// Takes over what was appended meanwhile, as who holds the lock reads it.
    pub fn catch_up(&mut self, read_since: ReadSince<'_>) -> Result<()> {
        let folded = &mut self.view.folded;
        let position = folded.position().copied();
        folded.take(&read_since(&position.unwrap_or(Position::origin()))?)
    }
}

impl<F: Fold, E: From<Error>> Drop for ViewGuard<F, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let stamp = self.view.stamp;
        let folded = std::mem::take(&mut self.view.folded);
        self.cache.put(&self.path, View { folded, stamp });
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
