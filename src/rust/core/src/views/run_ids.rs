//! Which runs have begun, and which events speak of one too early or begin it again.

use std::io;

use crate::columnar::blocks::{BLOCK, Result};
use crate::columnar::index_file::indexed;
use crate::columnar::index_file::{Indexed, Reader, Writer};
use crate::columnar::strings::{StringTable, hash};
use crate::format::event::EventKind;
use crate::format::id::Seq;
use crate::format::row::Row;
use crate::format::run_context::RunContext;
use crate::format::session_context::SessionContext;

/// A row that changed nothing, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct WithoutEffect {
    pub seq: Seq,
    pub why: &'static str,
}

impl WithoutEffect {
    /// Whether the row breaks a rule of the format, and not only one of what events add up to.
    pub fn is_invalid(&self) -> bool {
        self.why == NO_SESSION
    }
}

/// The ids of the runs, in the order of their first rows, and those of the sessions that rows may name.
#[derive(Debug, Default)]
pub struct RunIds {
    ids: StringTable,
    sessions: StringTable,
    /// In the order of the rows.
    pub without_effect: Vec<WithoutEffect>,
}

indexed!(RunIds {
    ids,
    sessions,
    without_effect
});

const NO_SESSION: &str = "it names a session that no earlier row wrote";
const SESSION_KNOWN: &str = "its session is on record already";

const HAD_BEGUN: &str = "its run had begun already";
const HAS_NOT_BEGUN: &str = "its run has not begun";

impl RunIds {
    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        self.ids.size() + self.sessions.size()
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

    /// Whether an event may have an effect: what a session was stands in the first row of its id, and every other row
    /// names a session that has one. Each event is shown once, before [`RunIds::apply`].
    pub fn admit(&mut self, row: &Row<'_>) -> Result<bool> {
        let why = match row.event {
            EventKind::Ledger | EventKind::Recovered => return Ok(true),
            EventKind::Session => {
                let id = SessionContext::id_of(row.context).unwrap_or_default();
                match self.sessions.add_new(id.as_bytes(), hash(id.as_bytes()))? {
                    Some(_) => return Ok(true),
                    None => SESSION_KNOWN,
                }
            }
            _ => match RunContext::session_of(row.context) {
                Some(id) if self.knows_session(&id)? => return Ok(true),
                _ => NO_SESSION,
            },
        };
        let seq = row.seq;
        self.without_effect.push(WithoutEffect { seq, why });
        Ok(false)
    }

    /// Lets rows name a session whose own row is lost.
    pub fn assume_session(&mut self, id: &str) -> Result<()> {
        self.sessions
            .add_new(id.as_bytes(), hash(id.as_bytes()))
            .map(drop)
    }

    pub fn knows_session(&self, id: &str) -> Result<bool> {
        Ok(self.sessions.find(id)?.is_some())
    }

    /// Whether a row was found to have no effect.
    pub fn is_without_effect(&self, seq: Seq) -> bool {
        let found = self
            .without_effect
            .binary_search_by_key(&seq, |row| row.seq);
        found.is_ok()
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
        let mut known = [NO_SESSION, SESSION_KNOWN, HAD_BEGUN, HAS_NOT_BEGUN].into_iter();
        let why = known.find(|known| *known == why)?;
        Some(WithoutEffect { seq, why })
    }
}
