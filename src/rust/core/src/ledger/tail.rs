//! The end of a ledger: whole, torn by a write that never finished, or damaged.
//!
//! A row's hash is its commit mark. The tail is what stands after the last row that holds; that row counts with its
//! line feed or without, since editors and sync tools strip it, and zeros may follow it.

use crate::error::RowDamage;
use crate::format::chain::{self, Head};
use crate::format::digest::{Digest, HEX_LEN};
use crate::format::id::Seq;
use crate::format::row::{HEADER, MAX_ROW_BYTES, RawRow, states_hash};

/// How the rows of a ledger end. The head is the last row that holds, and it is closed if its line feed is there.
#[derive(Debug, PartialEq)]
pub enum Tail {
    /// The file ends with the last row.
    Whole { head: Head, closed: bool },
    /// What follows the head, from `at` on, is being written by a process that holds the lock.
    Pending { head: Head, at: u64 },
    /// What follows the head, from `at` on, is the rest of a write that never finished.
    Torn { head: Head, at: u64, closed: bool },
    /// What follows the head, from `at` on, is damaged.
    Corrupt { head: Head, at: u64, why: RowDamage },
}

impl Tail {
    /// The last row that holds.
    pub fn head(&self) -> Head {
        match self {
            Tail::Whole { head, .. }
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
    /// The last row holds, and the tail begins so many bytes into the block.
    Holds {
        head: Head,
        closed: bool,
        tail: usize,
    },
    /// More of the file is needed to see the last row and the hash before it.
    TooShort,
    Doubtful,
}

/// Looks at the last row in the final bytes of a file, of which `block` is all from `offset` on.
pub fn last_row(block: &[u8], offset: u64) -> LastRow {
    let closed = memchr::memrchr(b'\n', block).map_or(0, |at| at + 1);
    let last = before_zeros(&block[closed..]);
    if !last.is_empty() {
        match holds_after(&block[..closed], offset, last) {
            LastRow::Doubtful => {}
            holds => return holds,
        }
    }
    if offset + closed as u64 == FIRST_ROW {
        return LastRow::Holds {
            head: Head::genesis(),
            closed: true,
            tail: closed,
        };
    }
    let Some(lines) = block[..closed].strip_suffix(b"\n") else {
        return too_short(block, offset);
    };
    let start = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
    match holds_after(&lines[..start], offset, &lines[start..]) {
        LastRow::Holds { head, .. } => LastRow::Holds {
            head,
            closed: true,
            tail: closed,
        },
        other => other,
    }
}

/// Whether a row holds that stands right after some lines.
fn holds_after(lines: &[u8], offset: u64, line: &[u8]) -> LastRow {
    let previous = if offset + lines.len() as u64 == FIRST_ROW {
        Some(Head::genesis().hash)
    } else if lines.len() > HEX_LEN {
        let end = lines.len() - 1;
        Digest::from_hex(&lines[end - HEX_LEN..end])
    } else {
        return too_short(line, offset);
    };
    match (previous, RawRow::parse(line)) {
        (Some(previous), Ok(row)) if chain::link(&previous, row.body) == row.hash => {
            LastRow::Holds {
                head: Head {
                    seq: row.seq,
                    hash: row.hash,
                },
                closed: false,
                tail: lines.len() + line.len(),
            }
        }
        _ => LastRow::Doubtful,
    }
}

fn too_short(seen: &[u8], offset: u64) -> LastRow {
    match offset > 0 && seen.len() <= 2 * MAX_ROW_BYTES {
        true => LastRow::TooShort,
        false => LastRow::Doubtful,
    }
}

/// What a line begins with: zeros may follow the last row that was written.
pub fn before_zeros(line: &[u8]) -> &[u8] {
    &line[..memchr::memchr(0, line).unwrap_or(line.len())]
}

/// Tells a torn tail from damage. `tail` begins right after the last row that holds, with what doesn't.
pub fn judge(head: Head, closed: bool, tail: &[u8], at: u64, defect: RowDamage) -> Tail {
    match is_torn(head.seq.next(), tail, at) {
        true => Tail::Torn { head, at, closed },
        false => Tail::Corrupt {
            head,
            at,
            why: recognise(tail, defect),
        },
    }
}

/// Whether a tail is what a write left that never finished: the beginning of a row, or sectors that never reached the
/// disk. A whole row in it means that something else happened.
pub fn is_torn(next: Seq, tail: &[u8], at: u64) -> bool {
    (is_begun_row(next, tail) || has_lost_sector(tail, at)) && !has_whole_row(tail)
}

/// Whether a tail begins as the next row would and doesn't get as far as to state its hash. The file may have got its
/// new size before all of its bytes.
fn is_begun_row(next: Seq, tail: &[u8]) -> bool {
    let begin = format!("{next},");
    let written = tail
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    let begins = match &tail[..written] {
        whole if whole.len() > begin.len() => whole.starts_with(begin.as_bytes()),
        part => begin.as_bytes().starts_with(part),
    };
    begins && memchr::memchr(b'\n', tail).is_none() && !states_hash(tail)
}

/// Whether zeros stand in the first line, from its start or a sector's to a sector's end or the file's: a row is
/// broken by a sector that it had bytes in.
fn has_lost_sector(tail: &[u8], at: u64) -> bool {
    let line = &tail[..memchr::memchr(b'\n', tail).unwrap_or(tail.len())];
    let to_end = line.len() == tail.len();
    let mut start = 0;
    while start < line.len() {
        let next = ((at + start as u64 + 1).next_multiple_of(SECTOR) - at) as usize;
        let end = next.min(line.len());
        if (end == next || to_end) && line[start..end].iter().all(|&byte| byte == 0) {
            return true;
        }
        start = next;
    }
    false
}

fn has_whole_row(tail: &[u8]) -> bool {
    let pieces = tail.split(|&byte| byte == b'\n' || byte == 0);
    pieces.into_iter().any(|piece| RawRow::parse(piece).is_ok())
}

/// What a damaged tail looks like.
fn recognise(tail: &[u8], defect: RowDamage) -> RowDamage {
    let line = &tail[..memchr::memchr(b'\n', tail).unwrap_or(tail.len())];
    let marked = |mark: &[u8]| {
        let mut found = memchr::memmem::find_iter(tail, mark);
        found.any(|at| at == 0 || tail[at - 1] == b'\n')
    };
    if marked(b"<<<<<<< ") || marked(b">>>>>>> ") {
        RowDamage::ConflictMarkers
    } else if line.ends_with(b"\r") && RawRow::parse(&line[..line.len() - 1]).is_ok() {
        RowDamage::CrLf
    } else if memchr::memchr(0, line).is_some() && has_whole_row(tail) {
        RowDamage::RowsBehindZeros
    } else {
        defect
    }
}
