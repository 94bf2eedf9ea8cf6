//! Rows before they are written.

use crate::error::{Error, Result};
use crate::format::chain::{self, Head};
use crate::format::event::Event;
use crate::format::time::Timestamp;

/// Rows that are about to be written in one piece.
#[derive(Debug)]
pub struct Draft {
    pub(in crate::ledger) start: u64,
    /// The last of them, or the row before them.
    pub head: Head,
    pub bytes: Vec<u8>,
}

impl Draft {
    pub fn add(&mut self, time: Timestamp, event: &Event) -> Result<()> {
        chain::write_row(&mut self.head, time, event, &mut self.bytes)
            .map_err(|chain::TooLong(bytes)| Error::RowTooLong { bytes })
    }

    pub(in crate::ledger) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}
