//! Views of ledgers that stay between questions, so that only what is new is read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::views::fold::{FileStamp, Fold, Folded};

/// Views of so many ledgers stay at most …
const MAX_VIEWS: usize = 8;
/// … and together they take at most so many bytes of memory.
const MAX_VIEWS_BYTES: usize = 256 << 20;

/// The views of the ledgers that were asked last, the last one first. `E` is why one can't be read.
pub struct ViewCache<F, E> {
    views: Mutex<Vec<(PathBuf, View<F>)>>,
    read: fn(&Path) -> Result<Folded<F>, E>,
}

struct View<F> {
    folded: Folded<F>,
    stamp: FileStamp,
}

impl<F: Fold, E: From<Error>> ViewCache<F, E> {
    /// A cache of views that are read so where they are not in it.
    pub const fn new(read: fn(&Path) -> Result<Folded<F>, E>) -> ViewCache<F, E> {
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
    pub fn take(&self, path: &Path) -> Result<Folded<F>, E> {
        let known = {
            let path = absolute(path);
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            let index = views.iter().position(|(known, _)| *known == path);
            index.map(|index| views.remove(index).1)
        };
        let stamp = FileStamp::of(path);
        let grown = |view: &View<F>| stamp.is_some_and(|now| view.stamp.may_have_grown(now));
        match known.filter(grown) {
            None => (self.read)(path),
            Some(View { mut folded, .. }) => {
                folded.catch_up(path)?;
                Ok(folded)
            }
        }
    }

    /// Puts a view in for the next question.
    pub fn put(&self, path: &Path, folded: Folded<F>) {
        if let Some(stamp) = folded.position().and_then(|_| FileStamp::of(path)) {
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            views.insert(0, (absolute(path), View { folded, stamp }));
            let mut size = 0;
            views.retain(|(_, view)| {
                size += view.folded.view().size();
                size <= MAX_VIEWS_BYTES
            });
            views.truncate(MAX_VIEWS);
        }
    }

    /// Lends the view of a ledger out, until the guard is dropped.
    pub fn lend(&'static self, path: PathBuf) -> Result<ViewGuard<F, E>, E> {
        let folded = self.take(&path)?;
        Ok(ViewGuard {
            cache: self,
            path,
            folded,
        })
    }
}

/// A view that goes back to its cache.
pub struct ViewGuard<F: Fold + 'static, E: From<Error> + 'static> {
    cache: &'static ViewCache<F, E>,
    path: PathBuf,
    folded: Folded<F>,
}

impl<F: Fold, E: From<Error>> ViewGuard<F, E> {
    pub fn view(&self) -> &F {
        self.folded.view()
    }
}

impl<F: Fold, E: From<Error>> Drop for ViewGuard<F, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.cache.put(&self.path, std::mem::take(&mut self.folded));
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
