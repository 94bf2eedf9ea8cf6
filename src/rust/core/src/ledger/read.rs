//! Reading a ledger without a lock: rows that a writer hasn't finished yet aren't seen.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::id::Seq;
use crate::json::Json;
use crate::ledger::tail;
use crate::record::{HEADER, Row};
use crate::sys;

/// The format that this code reads and writes.
pub const FORMAT: i64 = 1;

/// The bytes of a ledger as they were at one moment.
pub struct Ledger {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Reads a ledger's file.
pub fn read(path: &Path) -> Result<Ledger> {
    let mut options = OpenOptions::new();
    let opened = sys::never_block(options.read(true)).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NotFound {
                path: path.to_owned(),
            });
        }
        Err(e) => return Err(Error::io(path, "open", e)),
    };
    let metadata = file.metadata().map_err(|e| Error::io(path, "look at", e))?;
    if !metadata.is_file() {
        return Err(Error::NotALedger {
            path: path.to_owned(),
            why: not_a_file(&metadata).into(),
        });
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    file.read_to_end(&mut bytes)
        .map_err(|e| Error::io(path, "read", e))?;
    check_start(path, &bytes)?;
    Ok(Ledger {
        path: path.to_owned(),
        bytes,
    })
}

pub fn not_a_file(metadata: &std::fs::Metadata) -> &'static str {
    if metadata.is_dir() {
        "it is a folder"
    } else {
        "it is not a regular file"
    }
}

/// Accepts a file that begins with the ledger's header, or with less than that: a birth that
/// was cut short. Names what else it is.
pub fn check_start(path: &Path, start: &[u8]) -> Result<()> {
    let header = HEADER.as_bytes();
    let shared = start.len().min(header.len());
    if start[..shared] == header[..shared] && start.get(header.len()).is_none_or(|&b| b == b'\n') {
        return Ok(());
    }
    let path = path.to_owned();
    let why = if start.starts_with(b"\"run_id\",\"timestamp\"")
        || start.starts_with(b"run_id,timestamp")
    {
        return Err(Error::PlainCsv { path });
    } else if start.starts_with(b"\xef\xbb\xbf") {
        "it begins with a byte order mark; save it as UTF-8 without one"
    } else if start.starts_with(HEADER.as_bytes()) && start.get(header.len()) == Some(&b'\r') {
        "its lines end in CR LF, as some editors and git settings leave them"
    } else {
        "its first line is not a ledger's header"
    };
    Err(Error::NotALedger {
        path,
        why: why.into(),
    })
}

impl Ledger {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rows in their order. A damaged row is an error; the rest of a write that never
    /// finished is the end.
    pub fn rows(&self) -> Rows<'_> {
        let start = (tail::FIRST_ROW as usize).min(self.bytes.len());
        Rows {
            ledger: self,
            at: start,
            next: Seq(1),
        }
    }

    /// That a row doesn't say what it should.
    pub fn damaged(&self, row: &Row<'_>, why: String) -> Error {
        let byte = row.body.as_ptr() as usize - self.bytes.as_ptr() as usize;
        Error::Corrupt {
            path: self.path.clone(),
            row: row.seq.0,
            byte: byte as u64,
            why,
        }
    }
}

/// An event that must be understood and isn't.
pub fn newer(path: &Path, row: &Row<'_>) -> Error {
    Error::Newer {
        path: path.to_owned(),
        what: format!(
            "row {} is an event '{}' that must be understood",
            row.seq, row.event
        ),
    }
}

pub struct Rows<'a> {
    ledger: &'a Ledger,
    at: usize,
    next: Seq,
}

impl<'a> Rows<'a> {
    fn line(&mut self) -> Option<Result<Row<'a>>> {
        let rest = &self.ledger.bytes[self.at..];
        let length = memchr::memchr(b'\n', rest)?;
        let why = match Row::parse(&rest[..length]) {
            Ok(row) if row.seq == self.next => match check_first(&row) {
                Ok(()) => {
                    self.at += length + 1;
                    self.next = row.seq.next();
                    return Some(Ok(row));
                }
                Err(First::Newer(what)) => {
                    let path = self.ledger.path.clone();
                    return Some(Err(Error::Newer { path, what }));
                }
                Err(First::Wrong) => "the first row, and no other, is the ledger's own",
            },
            Ok(_) => "its seq is out of order",
            Err(defect) => defect,
        };
        if tail::is_torn(rest, self.at as u64) {
            return None;
        }
        Some(Err(Error::Corrupt {
            path: self.ledger.path.clone(),
            row: self.next.0,
            byte: self.at as u64,
            why: why.to_owned(),
        }))
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>>;

    fn next(&mut self) -> Option<Result<Row<'a>>> {
        let row = self.line();
        if !matches!(row, Some(Ok(_))) {
            self.at = self.ledger.bytes.len();
        }
        row
    }
}

pub enum First {
    Newer(String),
    Wrong,
}

/// Row 1 is the ledger's own and says its format; no other row is.
pub fn check_first(row: &Row<'_>) -> std::result::Result<(), First> {
    if (row.event == "ledger") != (row.seq == Seq(1)) {
        return Err(First::Wrong);
    }
    if row.seq != Seq(1) {
        return Ok(());
    }
    let context = Json::parse(&row.context.text()).map_err(|_| First::Wrong)?;
    match context.get("format").and_then(Json::as_int) {
        Some(FORMAT) => Ok(()),
        Some(later) if later > FORMAT => Err(First::Newer(format!(
            "its format is {later}, this version knows {FORMAT}"
        ))),
        _ => Err(First::Wrong),
    }
}
