//! The rows of a ledger whose chain was checked: nothing of that is looked at again.

use memchr::memmem::Finder;

use crate::error::{Error, Result};
use crate::format::chain::Head;
use crate::format::digest::{Digest, HEX_LEN};
use crate::format::fast_row;
use crate::format::id::Seq;
use crate::format::row::Row;
use crate::ledger::read::Ledger;
use crate::ledger::row_rules::{RowRead, read_row};
use crate::ledger::tail::Tail;
use crate::ledger::validate::{Invalid, Validation};
use crate::platform::memory::{Budget, OutOfMemory};

/// A ledger that was checked: every row of it holds.
pub struct Checked {
    pub ledger: Ledger,
    /// The last row.
    pub head: Head,
    pub invalid: Vec<Invalid>,
}

impl Checked {
    /// A ledger without the rest of a write that hasn't finished. Damage is an error.
    pub fn of(ledger: Ledger, found: Validation) -> Result<Checked> {
        let (head, end) = match found.tail {
            Tail::Whole { head, .. } => (head, None),
            Tail::Pending { head, at } | Tail::Torn { head, at, .. } => (head, Some(at)),
            Tail::Corrupt { head, at, why } => {
                return Err(Error::Corrupt {
                    path: ledger.path().to_owned(),
                    row: head.seq.next().0,
                    byte: at,
                    why,
                });
            }
        };
        Ok(Checked {
            ledger: ledger.prefix(end),
            head,
            invalid: found.invalid,
        })
    }

    pub fn rows(&self) -> impl Iterator<Item = Result<CheckedRow<'_>>> {
        checked_rows(&self.ledger, &self.invalid)
    }

    /// Those that may name stored bytes.
    pub fn rows_with_bytes(&self) -> impl Iterator<Item = Result<CheckedRow<'_>>> {
        /// So many bytes have the first three cells at most, but for an event that nobody knows.
        const EVENT: usize = 128;
        let names_bytes = Finder::new("sha256");
        let may_be_newer =
            |line: &[u8]| memchr::memchr(b'!', &line[..line.len().min(EVENT)]).is_some();
        some_rows(&self.ledger, &self.invalid, move |seq, line| {
            seq == Seq(1) || names_bytes.find(line).is_some() || may_be_newer(line)
        })
    }
}

/// A row that breaks no rule.
pub enum CheckedRow<'a> {
    Plain(PlainRun<'a>),
    Row(Row<'a>),
}

/// A finished run whose row names neither stored bytes nor a parent.
#[derive(Clone, Copy)]
pub struct PlainRun<'a> {
    pub seq: Seq,
    /// As they stand there, within quotes.
    pub id: &'a str,
    pub session: &'a str,
    pub line: &'a [u8],
}

impl<'a> PlainRun<'a> {
    fn of(seq: Seq, line: &'a [u8]) -> Option<PlainRun<'a>> {
        let (id, session) = fast_row::ids(line)?;
        Some(PlainRun {
            seq,
            id: std::str::from_utf8(id).ok()?,
            session: std::str::from_utf8(session).ok()?,
            line,
        })
    }

    pub fn hash(&self) -> Digest {
        let hash = self.line.len() - HEX_LEN;
        Digest::from_hex(&self.line[hash..]).expect("the row holds")
    }

    /// The bytes under the hash.
    pub fn body(&self) -> &'a [u8] {
        &self.line[..self.line.len() - HEX_LEN - 1]
    }

    /// The same, taken apart.
    pub fn row(&self) -> Row<'a> {
        Row::parse(self.line).expect("the row breaks no rule")
    }
}

/// The rows of a ledger, all of which hold, but for those that break another rule of the format. One that must be
/// understood and isn't is an error.
pub fn checked_rows<'a>(
    ledger: &'a Ledger,
    invalid: &'a [Invalid],
) -> impl Iterator<Item = Result<CheckedRow<'a>>> {
    some_rows(ledger, invalid, |_, _| true)
}

fn some_rows<'a>(
    ledger: &'a Ledger,
    invalid: &'a [Invalid],
    is_wanted: impl Fn(Seq, &[u8]) -> bool,
) -> impl Iterator<Item = Result<CheckedRow<'a>>> {
    let mut invalid = invalid.iter().map(|row| row.seq).peekable();
    let mut budget = Budget::default();
    let rows = (1..).map(Seq).zip(ledger.lines());
    rows.filter_map(move |(seq, line)| {
        if invalid.next_if_eq(&seq).is_some() || !is_wanted(seq, line) {
            return None;
        }
        if let Err(OutOfMemory) = budget.take(line.len()) {
            return Some(Err(ledger.out_of_memory()));
        }
        if let Some(run) = PlainRun::of(seq, line) {
            return Some(Ok(CheckedRow::Plain(run)));
        }
        match read_row(line, None) {
            Ok(RowRead::Valid(row)) => Some(Ok(CheckedRow::Row(row))),
            Ok(RowRead::Newer(_, what)) => {
                let path = ledger.path().to_owned();
                Some(Err(Error::Newer { path, what }))
            }
            // The other rows hold.
            _ => None,
        }
    })
}
