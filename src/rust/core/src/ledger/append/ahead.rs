//! Rows that are drafted before the lock is taken, since that takes long: whoever waits can give up then, and nobody else
//! has to wait. They are written only if all is under the lock as it was foreseen.

use crate::error::Result;
use crate::format::chain::Head;
use crate::ledger::append::draft::Draft;
use crate::ledger::append::memory::Memory;
use crate::ledger::append::recovery;
use crate::ledger::append::request::Append;
use crate::ledger::append::session;
use crate::ledger::checked::Checked;
use crate::ledger::read::Position;
use crate::platform::sys;

/// Rows that may go behind those of a ledger.
pub struct Ahead {
    /// What the ledger had.
    position: Position,
    /// The last row before them: it seals what the ledger had, and the session.
    before: Head,
    session: String,
    rows: Draft,
    /// What was drawn for the rows before them, and is to be drawn again.
    drawn: Vec<u8>,
}

impl Ahead {
    /// Drafts rows behind those of a ledger, which may have none.
    pub fn draft<T>(
        there: &Checked,
        memory: &mut Memory,
        how: &mut Append<'_>,
        draft: impl FnOnce(&mut Draft, &str, &mut Append<'_>) -> Result<T>,
    ) -> Result<(Ahead, T)> {
        let path = there.ledger.path();
        let position = Position {
            end: there.ledger.size(),
            head: there.head,
        };
        let mut rows = Draft {
            start: position.end,
            head: position.head,
            bytes: Vec::new(),
        };
        let mut drawn = Vec::new();
        let mut random = |bytes: &mut [u8]| {
            (how.random)(bytes);
            drawn.extend_from_slice(bytes);
        };
        let mut drawing = Append {
            session: how.session,
            sync: how.sync,
            now: how.now,
            random: &mut random,
            since: how.since,
            give_up: &mut *how.give_up,
        };
        if rows.head == Head::genesis() {
            let mut first = Vec::new();
            recovery::begin(&mut rows.head, drawing.now, drawing.random, &mut first);
            rows.start = first.len() as u64;
        }
        let known = sys::path_id(path).ok();
        let known = known.map(|file| &*memory.known(&Memory::key(path), file));
        let session = session::foresee(known, &mut drawing, &mut rows)?;
        let (before, begin) = (rows.head, rows.bytes.len());
        let value = draft(&mut rows, &session, how)?;
        rows.bytes.drain(..begin);
        let ahead = Ahead {
            position,
            before,
            session,
            rows,
            drawn,
        };
        Ok((ahead, value))
    }

    /// Up to where the ledger was known.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// What is to be drawn first when the rows are written.
    pub fn take_drawn(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.drawn)
    }

    /// Goes on with the rows if all before them is as it was foreseen, and says whether it is.
    pub fn go_on(self, draft: &mut Draft, session: &str) -> bool {
        let is_foreseen = draft.head == self.before && session == self.session;
        if is_foreseen {
            draft.head = self.rows.head;
            draft.bytes.extend_from_slice(&self.rows.bytes);
        }
        is_foreseen
    }
}
