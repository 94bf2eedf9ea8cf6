//! Rows before they are written.

use crate::error::{Error, Result};
use crate::format::chain::{self, Head};
use crate::format::digest::{Digest, HEX_LEN};
use crate::format::event::Event;
use crate::format::time::Timestamp;
use crate::platform::memory::{self, OutOfMemory};

/// Rows that are about to be written in one piece.
#[derive(Debug)]
pub struct Draft {
    pub(in crate::ledger) start: u64,
    /// The last of them, or the row before them.
    pub head: Head,
    pub bytes: Vec<u8>,
}

impl Draft {
    /// Rows that are never written, to see which they would be.
    pub fn never_written() -> Draft {
        Draft {
            start: 0,
            head: Head::genesis(),
            bytes: Vec::new(),
        }
    }

    pub fn add(&mut self, time: Timestamp, event: &Event) -> Result<()> {
        /// All but the cells of JSON, in which every byte may be a quotation mark.
        const OTHER_BYTES: usize = 512;
        let cells = [
            &event.params,
            &event.metrics,
            &event.artifacts,
            &event.context,
        ];
        let size: usize = cells.map(|cell| 2 * cell.pairs().len()).iter().sum();
        memory::try_reserve(&mut self.bytes, size + OTHER_BYTES)
            .map_err(|OutOfMemory| Error::Memory { path: None })?;
        chain::write_row(&mut self.head, time, event, &mut self.bytes)
            .map_err(|chain::TooLong(bytes)| Error::RowTooLong { bytes })
    }

    /// Changes rows in place, from one on that begins at a byte and follows a hash, and chains them anew. `change` is given
    /// where each row begins, and the row up to its hash cell.
    pub fn change_rows(
        &mut self,
        from: usize,
        mut before: Digest,
        mut change: impl FnMut(usize, &mut [u8]),
    ) {
        let mut at = from;
        for line in self.bytes[from..].split_mut(|&byte| byte == b'\n') {
            let begin = at;
            at += line.len() + 1;
            // Behind the last line feed there is nothing.
            let Some(comma) = line.len().checked_sub(HEX_LEN + 1) else {
                continue;
            };
            let (body, hash) = line.split_at_mut(comma);
            change(begin, body);
            before = chain::link(&before, body);
            hash[1..].copy_from_slice(&before.hex());
        }
        self.head.hash = before;
    }

    pub(in crate::ledger) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}
