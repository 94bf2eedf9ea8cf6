//! Which runs have begun, and which events speak of one too early or begin it again.

use std::io;

use crate::columnar::blocks::{BLOCK, Result};
use crate::columnar::index_file::indexed;
use crate::columnar::index_file::{Indexed, Reader, Writer};
use crate::columnar::strings::{StringTable, hash};
use crate::format::id::Seq;
use crate::format::row::Row;

/// A row that changed nothing, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct WithoutEffect {
    pub seq: Seq,
    pub why: &'static str,
}

/// The ids of the runs, in the order of their first rows.
#[derive(Debug, Default)]
pub struct RunIds {
    ids: StringTable,
    pub without_effect: Vec<WithoutEffect>,
}

indexed!(RunIds {
    ids,
    without_effect
});

const HAD_BEGUN: &str = "its run had begun already";
const HAS_NOT_BEGUN: &str = "its run has not begun";

impl RunIds {
    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        self.ids.size()
    }

    /// The row of a run that has begun.
    pub fn find(&self, id: &str) -> Result<Option<usize>> {
        self.ids.find(id)
    }

    pub fn id(&self, row: usize) -> &str {
        self.ids.get(row)
    }

    /// Brings the ids of some rows into memory.
    pub fn load(&self, rows: &[usize]) -> Result<()> {
        match rows.len() < BLOCK {
            true => rows.iter().try_for_each(|&row| self.ids.load_at(row)),
            false => self.ids.load(),
        }
    }

    /// The row of the run that an event begins, or that it speaks of; `None` if it has no effect, or is no
    /// event of a run.
    pub fn apply(&mut self, row: &Row<'_>) -> Result<Option<usize>> {
        let (run, why) = match row.event {
            kind if kind.begins_run() => {
                let id = row.run_id.as_bytes();
                (self.begin(id, hash(id))?, HAD_BEGUN)
            }
            kind if kind.continues_run() => (self.find(row.run_id)?, HAS_NOT_BEGUN),
            _ => return Ok(None),
        };
        if run.is_none() {
            let seq = row.seq;
            self.without_effect.push(WithoutEffect { seq, why });
        }
        Ok(run)
    }

    /// The row of a run that begins, unless it has already.
    pub fn begin(&mut self, id: &[u8], hash: u64) -> Result<Option<usize>> {
        self.ids.add_new(id, hash)
    }

    /// Makes room for more runs.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        self.ids.reserve(more)
    }
}

impl Indexed for WithoutEffect {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        self.seq.0.write(to)?;
        self.why.to_owned().write(to)
    }

    fn read(from: &mut Reader) -> Option<WithoutEffect> {
        let seq = Seq(u64::read(from)?);
        let why = String::read(from)?;
        let mut known = [HAD_BEGUN, HAS_NOT_BEGUN].into_iter();
        let why = known.find(|known| *known == why)?;
        Some(WithoutEffect { seq, why })
    }
}
