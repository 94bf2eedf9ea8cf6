//! Rows before they are written.

use crate::error::{Error, Result};
use crate::format::chain::{self, Head};
use crate::format::event::Event;
use crate::format::time::Timestamp;

/// Rows that are about to be written in one piece.
pub(super) struct Draft {
    pub start: u64,
    pub head: Head,
    pub bytes: Vec<u8>,
}

impl Draft {
    pub fn add(&mut self, time: Timestamp, event: &Event) -> Result<()> {
        chain::write_row(&mut self.head, time, event, &mut self.bytes)
            .map_err(|chain::TooLong(bytes)| Error::RowTooLong { bytes })
    }

    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}
