//! The chain, read from raw bytes without the crate's reader.

use std::collections::HashSet;

use fitledger_core::format::digest::Digest;
use fitledger_core::format::row::HEADER;

const FIRST_ROW: usize = HEADER.len() + 1;

/// A row as this test reads it, without the crate's reader.
pub struct Held {
    pub line: Vec<u8>,
    hash: Vec<u8>,
    pub event: String,
    pub id: String,
}

/// Finds the rows that hold, from the first one on. Most images begin alike, so that what was
/// found before is compared first.
#[derive(Default)]
pub struct Reader {
    pub held: Vec<Held>,
}

impl Reader {
    /// How many bytes hold; [`Reader::held`] has their rows.
    pub fn read(&mut self, bytes: &[u8]) -> usize {
        let Some(rows) = bytes.strip_prefix(HEADER.as_bytes()) else {
            self.held.clear();
            return 0;
        };
        let Some(rows) = rows.strip_prefix(b"\n") else {
            self.held.clear();
            return 0;
        };
        let mut at = 0;
        let mut n = 0;
        while let Some(row) = self.held.get(n) {
            let end = at + row.line.len();
            if rows.get(at..end) != Some(&row.line) || rows.get(end) != Some(&b'\n') {
                break;
            }
            at = end + 1;
            n += 1;
        }
        self.held.truncate(n);
        while let Some(length) = memchr::memchr(b'\n', &rows[at..]) {
            let Some(row) = self.hold(&rows[at..at + length]) else {
                break;
            };
            self.held.push(row);
            at += length + 1;
        }
        // The last row counts without its line feed, and zeros may follow it.
        let rest = &rows[at..];
        let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        let row = &line[..memchr::memchr(0, line).unwrap_or(line.len())];
        let closed = row.len() == line.len() && line.len() < rest.len();
        if let Some(held) = (!closed).then(|| self.hold(row)).flatten() {
            self.held.push(held);
            at += row.len();
        }
        FIRST_ROW + at
    }

    fn hold(&self, line: &[u8]) -> Option<Held> {
        let comma = line.len().checked_sub(65)?;
        let (body, hash) = (&line[..comma], &line[comma + 1..]);
        let expected = match self.held.last() {
            Some(previous) => Digest::of(&[&previous.hash, body]),
            None => Digest::of(&[&Digest::of(&[HEADER.as_bytes()]).hex(), body]),
        };
        let text = std::str::from_utf8(body).ok()?;
        let mut cells = text.split(',');
        let seq = cells.next()?;
        let (event, id) = (cells.nth(1)?, cells.next()?);
        let holds = line[comma] == b',' && expected.hex() == hash;
        (holds && seq == (self.held.len() + 1).to_string()).then(|| Held {
            line: line.to_vec(),
            hash: hash.to_vec(),
            event: event.to_owned(),
            id: id.to_owned(),
        })
    }

    pub fn ids(&self) -> HashSet<&str> {
        let mut ids = HashSet::new();
        for row in self.held.iter().filter(|row| !row.id.is_empty()) {
            assert!(
                ids.insert(row.id.as_str()),
                "the run {} stands twice",
                row.id
            );
        }
        ids
    }
}
