//! Finished runs that were read together, by columns, before a view takes them over.

use crate::columnar::blocks::Result;
use crate::columnar::columns::{Column, Columns};
use crate::columnar::strings::hash;
use crate::format::time::Timestamp;
use crate::platform::memory;
use crate::views::sessions::Sessions;

/// Finished runs that were read together, and that may or may not be new.
#[derive(Debug, Default)]
pub struct Batch {
    ids: Vec<u8>,
    ends: Vec<usize>,
    hashes: Vec<u64>,
    pub(super) began: Vec<Timestamp>,
    pub(super) session: Vec<u32>,
    pub(super) sessions: Sessions,
    pub params: Columns,
    pub metrics: Columns,
    pub names: Column,
    pub experiments: Column,
    pub seeds: Column,
    /// How many parameters and metrics the runs have that were ended.
    columns: [usize; 2],
}

impl Batch {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn session(&mut self, id: &str) -> u32 {
        self.sessions.find_or_add(id)
    }

    /// Ends the run whose values have been set.
    pub fn finish(&mut self, id: &[u8], began: Timestamp, session: u32) {
        memory::reserve(&mut self.ids, id.len());
        self.ids.extend_from_slice(id);
        // These grow together.
        memory::reserve(&mut self.ends, 1);
        memory::reserve(&mut self.hashes, 1);
        memory::reserve(&mut self.began, 1);
        memory::reserve(&mut self.session, 1);
        self.ends.push(self.ids.len());
        self.hashes.push(hash(id));
        self.began.push(began);
        self.session.push(session);
        self.columns = [self.params.len(), self.metrics.len()];
    }

    /// Forgets values of a run that wasn't ended. It may be one without effect, whose names are no columns.
    pub fn drop_unfinished(&mut self) -> Result<()> {
        let length = self.len();
        let [params, metrics] = self.columns;
        self.params.truncate(length, params)?;
        self.metrics.truncate(length, metrics)?;
        self.names.truncate(length)?;
        self.experiments.truncate(length)?;
        self.seeds.truncate(length)
    }

    /// The id of a run, and its hash.
    pub fn id(&self, row: usize) -> (&[u8], u64) {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        (&self.ids[start..self.ends[row]], self.hashes[row])
    }
}
