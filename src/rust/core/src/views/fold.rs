//! A view of a ledger that stays, and is brought up to date by what was appended since.

use crate::columnar::blocks::Damaged;
use crate::error::{Error, Result};
use crate::format::json::Malformed;
use crate::format::row::Row;
use crate::ledger::{Ledger, LedgerFile, Position};

/// Why a view can't take a row over.
#[derive(Debug)]
pub enum Refusal {
    /// A cell doesn't say what it should.
    Malformed(Malformed),
    /// The index that the view rests on doesn't.
    Damaged(Damaged),
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Refusal {
        Refusal::Malformed(malformed)
    }
}

impl From<Damaged> for Refusal {
    fn from(damaged: Damaged) -> Refusal {
        Refusal::Damaged(damaged)
    }
}

impl Refusal {
    /// The same as an error of a ledger's row.
    pub fn of_row(self, row: &Row<'_>, ledger: &Ledger) -> Error {
        match self {
            Refusal::Malformed(Malformed(why)) => ledger.damaged(row, why),
            Refusal::Damaged(damaged) => damaged.into(),
        }
    }
}

/// What the events of a ledger add up to, one after the other.
pub trait Fold: Default {
    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal>;

    /// About how many bytes of memory it takes.
    fn size(&self) -> usize;

    /// The view of a whole ledger.
    fn read(file: &LedgerFile) -> Result<Folded<Self>> {
        Folded::default().taken(&file.read()?)
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

    /// A view that hasn't taken over any row yet.
    pub fn begun(view: F) -> Folded<F> {
        let position = None;
        Folded { view, position }
    }

    pub fn view(&self) -> &F {
        &self.view
    }

    pub fn view_mut(&mut self) -> &mut F {
        &mut self.view
    }

    pub fn into_view(self) -> F {
        self.view
    }

    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Reads what is new.
    pub fn catch_up(&mut self, file: &LedgerFile) -> Result<()> {
        match &self.position {
            Some(position) => {
                let appended = file.read_since(position)?;
                self.take(&appended)
            }
            None => {
                *self = F::read(file)?;
                Ok(())
            }
        }
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

    /// The view with these rows, which come after what it has got to.
    pub fn taken(mut self, appended: &Ledger) -> Result<Self> {
        let mut rows = appended.rows();
        for row in rows.by_ref() {
            let row = row?;
            let applied = self.view.apply(&row);
            applied.map_err(|refusal| refusal.of_row(&row, appended))?;
        }
        let position = rows.position();
        if position != Position::origin() {
            self.position = Some(position);
        }
        Ok(self)
    }
}

/// The view of all valid rows of a ledger. Events that must be understood and aren't are an error, other
/// unknown ones are skipped.
pub fn fold<F: Fold>(ledger: &Ledger) -> Result<F> {
    Ok(Folded::default().taken(ledger)?.view)
}
