//! A ledger's file, opened once for all that a question asks of it.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::error::{Error, OTHER_FILE, Result, RowDamage};
use crate::format::first_line::{self, Columns, Likeness};
use crate::format::row::{HEADER, RawRow};
use crate::platform::{memory, sys};

/// So many bytes show whether a file begins as a ledger does.
pub(super) const START_BYTES: u64 = 4096;

/// Between looks at a file that may be in the middle of a write; together some 60 milliseconds, on which a process that is
/// writing gets a turn on a busy machine, too.
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

/// A ledger's file that is open to be read, without a lock. It stays the same file whatever takes its name.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    file: File,
}

impl LedgerFile {
    /// Opens a file; its first line isn't looked at. A pipe or a folder is refused, and so is all where there isn't
    /// even room for the little that every reading takes.
    pub fn open(path: &Path) -> Result<LedgerFile> {
        memory::look(0).map_err(|e| Error::io(path, "read", e.into()))?;
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
                hint: OTHER_FILE,
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

    /// What it looks like after it once looked like `known`, if it was looked at before. While a write is under way the system may show the write's time
    /// before its bytes, as if the same bytes had been written anew: so it is looked at again until such a write has got on.
    pub fn stamp_since(&self, known: Option<FileStamp>) -> Result<FileStamp> {
        let mut pause = Duration::from_millis(1);
        loop {
            let now = self.stamp()?;
            let may_be_amid =
                known.is_some_and(|known| known.size == now.size && !known.may_have_grown(now));
            if !may_be_amid || pause > LONGEST_PAUSE {
                return Ok(now);
            }
            thread::sleep(pause);
            pause *= 2;
        }
    }

    /// Reads until the buffer is full or the file ends.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        sys::read_full(&self.file, bytes, offset)
    }

    /// The bytes from one to another, or to the end where that comes first.
    pub fn bytes(&self, start: u64, end: u64) -> Result<Vec<u8>> {
        let read = read_range(end.saturating_sub(start), &|bytes| {
            self.read_at(bytes, start)
        });
        read.map_err(|e| Error::io(&self.path, "read", e))
    }

    /// Refuses a file whose first line isn't a ledger's, or the beginning of one.
    pub fn check_header(&self) -> Result<()> {
        check_start(&self.path, &self.bytes(0, START_BYTES.min(self.size()?))?)
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
/// was cut short. Names what else it is: another file, or a ledger whose header was changed.
pub(super) fn check_start(path: &Path, start: &[u8]) -> Result<()> {
    let header = HEADER.as_bytes();
    let shared = start.len().min(header.len());
    if start[..shared] == header[..shared] && start.get(header.len()).is_none_or(|&b| b == b'\n') {
        return Ok(());
    }
    let path = path.to_owned();
    let without_mark = start.strip_prefix(b"\xef\xbb\xbf");
    let likeness = first_line::likeness(start);
    if likeness == Likeness::Runs {
        return Err(Error::PlainCsv { path });
    }
    let mut lines = start.split(|&byte| byte == b'\n');
    let mut line = || {
        let line = lines.next().unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line)
    };
    let first = line();
    let is_header = first == header || without_mark.is_some_and(|rest| rest.starts_with(header));
    let is_ledger = |line| RawRow::parse(line).is_ok_and(|row| row.event() == Some("ledger"));
    let is_headless = RawRow::parse(first).is_ok();
    let is_rewritten = !is_header && Columns::of(start).names == Columns::of(header).names;
    if !is_header && !is_headless && !is_rewritten && !is_ledger(line()) {
        let first_line = || "its first line is not a ledger's header".into();
        let (why, hint) = match likeness {
            Likeness::Nearly(why, hint) => (why, hint),
            Likeness::OtherColumns => (
                first_line(),
                "The file was not touched. Choose another path for the ledger; a plain CSV of runs begins with the columns `run_id` and `timestamp`.",
            ),
            Likeness::Runs | Likeness::Nothing => (first_line(), OTHER_FILE),
        };
        return Err(Error::NotALedger { path, why, hint });
    }
    let same = start.iter().zip(header).take_while(|(a, b)| a == b).count();
    Err(Error::Corrupt {
        path,
        row: 0,
        byte: same as u64,
        why: match start.get(same) {
            _ if is_headless => RowDamage::NoHeader,
            _ if is_rewritten => RowDamage::Rewritten,
            Some(b'\r') => RowDamage::CrLf,
            _ if without_mark.is_some() => RowDamage::ByteOrderMark,
            _ => "the header is not a ledger's".into(),
        },
    })
}

/// Bytes of a file, as many as there are. That there is no memory for them is an error.
pub(super) fn read_range(
    length: u64,
    read: &dyn Fn(&mut [u8]) -> io::Result<usize>,
) -> io::Result<Vec<u8>> {
    let mut bytes = memory::zeroed(length)?;
    let read = read(&mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    #[test]
    fn a_file_that_only_grows_is_seen_to() {
        let path = std::env::temp_dir().join(format!("fitledger-grows-{}", std::process::id()));
        let mut writer = File::create(&path).unwrap();
        let file = LedgerFile::open(&path).unwrap();
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    writer.write_all(&[b'x'; 16]).unwrap();
                }
            });
            let mut known = file.stamp().unwrap();
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(1) {
                let now = file.stamp_since(Some(known)).unwrap();
                let has_grown = known.may_have_grown(now);
                is_done.fetch_or(!has_grown, Ordering::Relaxed);
                assert!(has_grown, "{known:?}, then {now:?}");
                known = now;
            }
            is_done.store(true, Ordering::Relaxed);
        });
        // The same bytes again are another matter.
        let known = file.stamp().unwrap();
        let later = known.modified.unwrap() + Duration::from_secs(1);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert!(!known.may_have_grown(file.stamp_since(Some(known)).unwrap()));
        std::fs::remove_file(&path).unwrap();
    }
}
