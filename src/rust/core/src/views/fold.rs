//! A view of a ledger that stays, and is brought up to date by what was appended since.

use std::path::Path;
use std::time::SystemTime;

use crate::error::Result;
use crate::format::event::EventKind;
use crate::format::json::Malformed;
use crate::format::row::Row;
use crate::ledger::{self, Ledger, Position};

/// What the events of a ledger add up to, one after the other.
pub trait Fold: Default {
    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Malformed>;

    /// About how many bytes of memory it takes.
    fn size(&self) -> usize;

    /// The view of a whole ledger.
    fn read(path: &Path) -> Result<Folded<Self>> {
        Folded::default().taken(&ledger::read(path)?)
    }
}

/// What a file looked like. A ledger only grows: where it has the same size and was written to
/// nevertheless, somebody did something else to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FileStamp {
    size: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    pub fn of(path: &Path) -> Option<FileStamp> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(FileStamp {
            size: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }

    /// Whether a file that looked like this may have only grown since.
    pub fn may_have_grown(self, now: FileStamp) -> bool {
        now == self || now.size > self.size
    }
}

/// A view, and up to where it has got.
#[derive(Debug, Default)]
pub struct Folded<F> {
    view: F,
    position: Option<Position>,
}

impl<F: Fold> Folded<F> {
    /// A view that has got to a position.
    pub fn at(view: F, position: Position) -> Folded<F> {
        let position = Some(position);
        Folded { view, position }
    }

    pub fn view(&self) -> &F {
        &self.view
    }

    pub fn into_view(self) -> F {
        self.view
    }

    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Reads what is new.
    pub fn catch_up(&mut self, path: &Path) -> Result<()> {
        if self.position.is_none() {
            *self = F::read(path)?;
            return Ok(());
        }
        let appended = ledger::read_since(path, self.position.as_ref())?;
        self.take(&appended)
    }

    /// Takes rows over; all of them, where what was known isn't there any more. After an error the
    /// next look begins anew.
    pub fn take(&mut self, rows: &Ledger) -> Result<()> {
        let known = match rows.is_whole() {
            true => Folded::default(),
            false => std::mem::take(self),
        };
        *self = known.taken(rows)?;
        Ok(())
    }

    fn taken(mut self, rows: &Ledger) -> Result<Self> {
        for row in rows.rows() {
            let row = row?;
            if matches!(row.event, EventKind::MustBeKnown(_)) {
                return Err(ledger::newer(rows.path(), &row));
            }
            let applied = self.view.apply(&row);
            applied.map_err(|Malformed(why)| rows.damaged(&row, why))?;
            self.position = Some(rows.position_after(&row));
        }
        Ok(self)
    }
}

/// The view of all rows of a ledger. Events that must be understood and aren't are an error, other
/// unknown ones are skipped.
pub fn fold<F: Fold>(ledger: &Ledger) -> Result<F> {
    Ok(Folded::default().taken(ledger)?.view)
}
