//! The end of a ledger: whole, torn by a write that never finished, or damaged.

use crate::format::chain::{self, Head};
use crate::format::digest::HEX_LEN;
use crate::format::row::{HEADER, MAX_ROW_BYTES, Row};

/// How the rows of a ledger end.
#[derive(Debug, PartialEq)]
pub enum Tail {
    /// The last row holds and the file ends with it.
    Whole { head: Head },
    /// What follows the head, from `at` on, is being written by a process that holds the lock.
    Pending { head: Head, at: u64 },
    /// What follows the head, from `at` on, is the rest of a write that never finished.
    Torn { head: Head, at: u64 },
    /// The row after `head`, at byte `at`, is damaged.
    Corrupt { head: Head, at: u64, why: String },
}

impl Tail {
    /// The last row that holds.
    pub fn head(&self) -> Head {
        match self {
            Tail::Whole { head }
            | Tail::Pending { head, .. }
            | Tail::Torn { head, .. }
            | Tail::Corrupt { head, .. } => *head,
        }
    }
}

/// The bytes before the first row.
pub const FIRST_ROW: u64 = HEADER.len() as u64 + 1;

const SECTOR: u64 = 512;

/// What the end of the file shows by itself.
#[derive(Debug, PartialEq)]
pub enum LastRow {
    Holds(Head),
    /// More of the file is needed to see the last row and the hash before it.
    TooShort,
    Doubtful,
}

/// Looks at the last row in the final bytes of a file, of which `block` is all from `offset` on.
/// The block ends with a line feed.
pub fn last_row(block: &[u8], offset: u64) -> LastRow {
    let Some(lines) = block.strip_suffix(b"\n") else {
        return LastRow::Doubtful;
    };
    let start = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
    let at = offset + start as u64;
    let previous = if at == FIRST_ROW {
        Head::genesis().hash
    } else if start > HEX_LEN {
        match crate::format::digest::Digest::from_hex(&block[start - 1 - HEX_LEN..start - 1]) {
            Some(hash) => hash,
            None => return LastRow::Doubtful,
        }
    } else if offset > 0 && block.len() <= 2 * MAX_ROW_BYTES {
        return LastRow::TooShort;
    } else {
        return LastRow::Doubtful;
    };
    match Row::parse(&lines[start..]) {
        Ok(row) if chain::link(&previous, row.body) == row.hash => LastRow::Holds(Head {
            seq: row.seq,
            hash: row.hash,
        }),
        _ => LastRow::Doubtful,
    }
}

/// Tells a torn tail from damage. `tail` begins with the first row that doesn't hold.
pub fn broken(head: Head, tail: &[u8], at: u64, why: &str) -> Tail {
    if is_torn(tail, at) {
        Tail::Torn { head, at }
    } else {
        Tail::Corrupt {
            head,
            at,
            why: why.to_owned(),
        }
    }
}

/// A write that never finished leaves no line feed at the end, or sectors that never reached the
/// disk; a whole row in it means that something else happened.
pub fn is_torn(tail: &[u8], at: u64) -> bool {
    let unfinished = tail.last() != Some(&b'\n');
    (unfinished || has_zero_sector(tail, at))
        && !tail
            .split_inclusive(|&byte| byte == b'\n')
            .filter_map(|line| line.strip_suffix(b"\n"))
            .any(|line| Row::parse(after_zeros(line)).is_ok())
}

/// What follows the last zero byte: a row may stand behind sectors that were lost.
fn after_zeros(line: &[u8]) -> &[u8] {
    memchr::memrchr(0, line).map_or(line, |at| &line[at + 1..])
}

fn has_zero_sector(tail: &[u8], at: u64) -> bool {
    let first = (SECTOR - at % SECTOR) % SECTOR;
    tail.get(first as usize..)
        .unwrap_or(&[])
        .chunks_exact(SECTOR as usize)
        .any(|sector| sector.iter().all(|&byte| byte == 0))
}
