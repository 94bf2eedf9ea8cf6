//! A ledger's file, opened once for all that a question asks of it.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::format::row::HEADER;
use crate::platform::sys;

/// A ledger's file that is open to be read, without a lock. It stays the same file whatever takes its name.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    file: File,
}

impl LedgerFile {
    /// Opens a file; a pipe or a folder is refused, its first line isn't looked at.
    pub fn open(path: &Path) -> Result<LedgerFile> {
        let mut options = OpenOptions::new();
        let opened = sys::never_block(options.read(true)).open(path);
        let file = opened.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NotFound {
                path: path.to_owned(),
            },
            _ => Error::io(path, "open", e),
        })?;
        let path = path.to_owned();
        let file = LedgerFile { path, file };
        let metadata = file.metadata()?;
        match metadata.is_file() {
            true => Ok(file),
            false => Err(Error::NotALedger {
                path: file.path,
                why: not_a_file(&metadata).into(),
            }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    fn metadata(&self) -> Result<Metadata> {
        let metadata = self.file.metadata();
        metadata.map_err(|e| Error::io(&self.path, "look at", e))
    }

    /// How many bytes it has at this moment.
    pub fn size(&self) -> Result<u64> {
        Ok(self.metadata()?.len())
    }

    /// What it looks like at this moment.
    pub fn stamp(&self) -> Result<FileStamp> {
        let metadata = self.metadata()?;
        Ok(FileStamp {
            size: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }

    /// Reads until the buffer is full or the file ends.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        sys::read_full(&self.file, bytes, offset)
    }

    /// The bytes from one to another, or to the end where that comes first.
    pub fn bytes(&self, start: u64, end: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; end.saturating_sub(start) as usize];
        let read = self.read_at(&mut bytes, start);
        bytes.truncate(read.map_err(|e| Error::io(&self.path, "read", e))?);
        Ok(bytes)
    }

    /// Refuses a file whose first line isn't a ledger's, or the beginning of one.
    pub fn check_header(&self) -> Result<()> {
        check_start(&self.path, &self.bytes(0, HEADER.len() as u64 + 1)?)
    }
}

/// What a file looked like. A ledger only grows: where it has the same size and was written to
/// nevertheless, somebody did something else to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FileStamp {
    pub size: u64,
    pub modified: Option<SystemTime>,
}

impl FileStamp {
    /// Whether a file that looked like this may have only grown since.
    pub fn may_have_grown(self, now: FileStamp) -> bool {
        now == self || now.size > self.size
    }
}

/// Refuses a file that can't be appended to because it is something else. None at all is no reason.
pub fn check(path: &Path) -> Result<()> {
    match LedgerFile::open(path) {
        Err(Error::NotFound { .. }) => Ok(()),
        opened => opened?.check_header(),
    }
}

pub(super) fn not_a_file(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "it is a folder"
    } else {
        "it is not a regular file"
    }
}

/// Accepts a file that begins with the ledger's header, or with less than that: a birth that
/// was cut short. Names what else it is.
pub(super) fn check_start(path: &Path, start: &[u8]) -> Result<()> {
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
