//! The chain: each row is sealed by the hash of the row before it.

use std::sync::OnceLock;

use crate::format::digest::Digest;
use crate::format::event::Event;
use crate::format::id::Seq;
use crate::format::row::{HEADER, MAX_ROW_BYTES, write_body};
use crate::format::time::Timestamp;

/// The last row of a ledger, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub seq: Seq,
    pub hash: Digest,
}

impl Head {
    /// The head of a ledger without rows: the hash of its header.
    pub fn genesis() -> Head {
        static HASH: OnceLock<Digest> = OnceLock::new();
        let hash = *HASH.get_or_init(|| Digest::of(&[HEADER.as_bytes()]));
        Head { seq: Seq(0), hash }
    }
}

/// The hash of the row that follows `previous` and has this body.
pub fn link(previous: &Digest, body: &[u8]) -> Digest {
    Digest::of(&[&previous.hex(), body])
}

/// A row would be longer than the format allows; the number of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong(pub usize);

/// Appends the whole row of an event, its line feed included, and moves the head onto it.
pub fn write_row(
    head: &mut Head,
    time: Timestamp,
    event: &Event,
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    let start = out.len();
    let seq = head.seq.next();
    write_body(seq, time, event, out);
    let length = out.len() - start + 1 + crate::format::digest::HEX_LEN + 1;
    if length > MAX_ROW_BYTES {
        out.truncate(start);
        return Err(TooLong(length));
    }
    let hash = link(&head.hash, &out[start..]);
    out.push(b',');
    out.extend_from_slice(&hash.hex());
    out.push(b'\n');
    *head = Head { seq, hash };
    Ok(())
}
