//! Which runs have begun, and which events speak of one too early or begin it again.

use std::io;
use std::ops::Range;

use crate::columnar::blocks::{BLOCK, Result};
use crate::columnar::index_file::indexed;
use crate::columnar::index_file::{Indexed, Reader, Writer};
use crate::columnar::strings::{StringTable, hash};
use crate::error::{self, Error};
use crate::format::event::EventKind;
use crate::format::id::Seq;
use crate::format::row::Row;
use crate::format::run_context::RunContext;
use crate::format::session_context::SessionContext;
use crate::views::batch::Batch;

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

/// What an event is to the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It has no effect at all.
    None,
    /// It begins a run, or speaks of it: the run's row.
    OfRun(usize),
    /// It is no event of a run.
    Other,
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

    /// The row of a run, or the error that there is none.
    pub fn known(&self, id: &str) -> error::Result<usize> {
        /// So many of the last ones are looked through for what may have been meant.
        const MAX_NEAR: usize = 1000;
        if let Some(row) = self.find(id)? {
            return Ok(row);
        }
        let count = self.ids.len();
        let last: Vec<usize> = (count.saturating_sub(MAX_NEAR)..count).collect();
        self.load(&last)?;
        Err(Error::Unknown {
            what: "run",
            name: id.to_owned(),
            known: last
                .into_iter()
                .map(|row| self.id(row).to_owned())
                .collect(),
            hint: String::new(),
        })
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

    /// Takes an event over, and says what it is to the runs. What a session was stands in the first row of its id, and
    /// every event but a ledger's own names a session that has one.
    pub fn apply(&mut self, row: &Row<'_>) -> Result<Effect> {
        self.effect(row)?.or_else(|why| {
            let seq = row.seq;
            self.without_effect.push(WithoutEffect { seq, why });
            Ok(Effect::None)
        })
    }

    fn effect(&mut self, row: &Row<'_>) -> Result<std::result::Result<Effect, &'static str>> {
        let kind = row.event;
        if matches!(kind, EventKind::Ledger | EventKind::Recovered) {
            return Ok(Ok(Effect::Other));
        }
        if kind == EventKind::Session {
            let id = SessionContext::id_of(row.context).unwrap_or_default();
            let new = self.sessions.add_new(id.as_bytes(), hash(id.as_bytes()))?;
            return Ok(new.map(|_| Effect::Other).ok_or(SESSION_KNOWN));
        }
        let session = RunContext::session_of(row.context).unwrap_or_default();
        if !self.knows_session(&session)? {
            return Ok(Err(NO_SESSION));
        }
        let (run, why) = match kind {
            kind if kind.begins_run() => {
                let id = row.run_id.as_bytes();
                (self.begin(id, hash(id))?, HAD_BEGUN)
            }
            kind if kind.continues_run() => (self.find(row.run_id)?, HAS_NOT_BEGUN),
            _ => return Ok(Ok(Effect::Other)),
        };
        Ok(run.map(Effect::OfRun).ok_or(why))
    }

    /// The row of a run that begins, unless it has already.
    pub fn begin(&mut self, id: &[u8], hash: u64) -> Result<Option<usize>> {
        self.ids.add_new(id, hash)
    }

    /// Begins some runs of a batch; `None` if one has begun already, or names a session that isn't known.
    pub fn begin_all(&mut self, batch: &Batch, rows: Range<usize>) -> Option<()> {
        self.reserve(rows.len()).ok()?;
        let mut known = None;
        for &session in &batch.session[rows.clone()] {
            if known != Some(session) {
                let id = &batch.sessions.at(session).id;
                self.knows_session(id).ok()?.then_some(())?;
                known = Some(session);
            }
        }
        for row in rows {
            let (id, hash) = batch.id(row);
            self.begin(id, hash).ok()??;
        }
        Some(())
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
