//! Indexes of large ledgers in a folder, so that a fresh process needn't read all of the file.
//!
//! An index is bound to a ledger by its id and by the row up to which it was read. Nothing here is
//! an error: where there is no index, or one in doubt, the ledger itself is read. An index answers
//! in the ledger's place, so one that somebody else may have written is in doubt.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::columnar::index_file;
use crate::columnar::index_file::indexed;
use crate::error::{Error, Result};
use crate::format::chain::Head;
use crate::format::digest::Digest;
use crate::format::id::Seq;
use crate::ledger::{self, LedgerFile, Position};
use crate::platform::memory::{self, OutOfMemory};
use crate::platform::sys;
use crate::views::fold::{Fold, Folded};
use crate::views::parallel_read;
use crate::views::runs::Runs;

/// A ledger of fewer bytes is read in the blink of an eye and needs no index.
pub const MIN_LEDGER_BYTES: u64 = 16 << 20;
/// All indexes of a folder together take at most so many bytes.
pub const MAX_INDEXES_BYTES: u64 = 1 << 30;

/// A folder of indexes.
#[derive(Debug, Clone)]
pub struct IndexCache {
    pub folder: PathBuf,
    /// Ledgers of fewer bytes have no index.
    pub min_ledger_bytes: u64,
    /// How many bytes the indexes take at most; those that were used longest ago go first.
    pub max_bytes: u64,
}

/// An index is named by so many hex digits and this extension.
const NAME: usize = 32;
const INDEX: &str = "index";
/// Until it is whole it has so many random ones more, and this extension.
const RANDOM: usize = 16;
const UNFINISHED: &str = "tmp";
/// What a process that is gone has left of an index is this old.
const LEFT_OVER: Duration = Duration::from_secs(3600);
/// An index is written anew when so many times as much was appended as it covers.
const STALE: u64 = 16;

/// What an index says of the runs.
struct Content {
    ledger: String,
    size: u64,
    modified: u64,
    end: u64,
    seq: u64,
    hash: Digest,
    runs: Runs,
}

indexed!(Content {
    ledger,
    size,
    modified,
    end,
    seq,
    hash,
    runs,
});

/// The ledger, as it was before it was read.
struct Before {
    ledger: String,
    size: u64,
    modified: u64,
}

impl Before {
    fn of(file: &LedgerFile) -> Option<Before> {
        let stamp = file.stamp().ok()?;
        let modified = stamp.modified?.duration_since(UNIX_EPOCH).ok()?;
        Some(Before {
            ledger: ledger::id(&|bytes, at| file.read_at(bytes, at))?,
            size: stamp.size,
            modified: u64::try_from(modified.as_nanos()).ok()?,
        })
    }
}

impl IndexCache {
    /// Whether others can put files into the folder, or take ours away: then it isn't used.
    pub fn is_shared(&self) -> bool {
        let metadata = fs::metadata(&self.folder);
        metadata.is_ok_and(|metadata| metadata.is_dir() && !sys::is_private(&metadata))
    }

    /// All runs of a ledger, ready to catch up.
    pub fn read(&self, file: &LedgerFile) -> Result<Folded<Runs>> {
        let before = Before::of(file).filter(|before| before.size >= self.min_ledger_bytes);
        let Some(before) = before.filter(|_| !self.is_shared()) else {
            return parallel_read::read(file);
        };
        let index = self.index(file.path(), &before);
        let known = self.open(&index, file, &before);
        let end = |known: &Folded<Runs>| known.position().map_or(0, |position| position.end);
        let mut covered = known.as_ref().map_or(0, end);
        let folded = match known.and_then(|known| parallel_read::extend(file, known)) {
            Some(folded) => folded,
            None if covered == 0 => parallel_read::read(file)?,
            None => {
                let mut known = self.open(&index, file, &before).unwrap_or_default();
                match known.catch_up(file) {
                    Err(Error::DamagedIndex { .. }) => {
                        covered = 0;
                        parallel_read::read(file)?
                    }
                    outcome => outcome.map(|()| known)?,
                }
            }
        };
        let end = end(&folded);
        if (end - covered.min(end)).saturating_mul(STALE) > covered {
            return Ok(self.replace(&index, before, folded));
        }
        Ok(folded)
    }

    fn index(&self, path: &Path, before: &Before) -> PathBuf {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let path = path.as_os_str().as_encoded_bytes();
        let name = Digest::of(&[before.ledger.as_bytes(), b"\n", path]).to_string();
        self.folder.join(&name[..NAME]).with_extension(INDEX)
    }

    /// The runs as an index has them, if it is of this ledger and the ledger has only grown since.
    fn open(&self, index: &Path, file: &LedgerFile, before: &Before) -> Option<Folded<Runs>> {
        let content: Content = index_file::read(index, self.max_bytes)?;
        let (size, modified) = (content.size, content.modified);
        if content.ledger != before.ledger
            || (before.size, before.modified) != (size, modified) && before.size <= size
        {
            return None;
        }
        let (seq, hash) = (Seq(content.seq), content.hash);
        let position = Position {
            end: content.end,
            head: Head { seq, hash },
        };
        let read_at = |bytes: &mut [u8], at| file.read_at(bytes, at);
        if !position.stands(&read_at).ok()? {
            return None;
        }
        let used = sys::no_follow(File::options().append(true)).open(index);
        drop(used.and_then(|file| file.set_modified(SystemTime::now())));
        Some(Folded::at(content.runs, position))
    }

    /// Writes the index of what was read. Others that write it do so under names of their own, and
    /// the last one stays.
    fn replace(&self, index: &Path, before: Before, folded: Folded<Runs>) -> Folded<Runs> {
        let Some(position) = folded.position().copied() else {
            return folded;
        };
        // As JSON a part of it takes about as much as in memory.
        let size = folded.view().size();
        if size as u64 > self.max_bytes || memory::look(size) == Err(OutOfMemory) {
            return folded;
        }
        let content = Content {
            ledger: before.ledger,
            size: before.size,
            modified: before.modified,
            end: position.end,
            seq: position.head.seq.0,
            hash: position.head.hash,
            runs: folded.into_view(),
        };
        if self.store(index, &content).is_ok() {
            self.bound();
        }
        Folded::at(content.runs, position)
    }

    fn store(&self, index: &Path, content: &Content) -> io::Result<()> {
        sys::private_folder(&self.folder)?;
        if self.is_shared() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut unfinished = sys::unforeseen_name(&index.with_extension(""), ".")?.into_os_string();
        unfinished.push(format!(".{UNFINISHED}"));
        let unfinished = PathBuf::from(unfinished);
        let written = sys::private_file(&unfinished)
            .and_then(|file| {
                index_file::write(&mut BufWriter::with_capacity(1 << 20, file), content)
            })
            .and_then(|()| match fs::metadata(&unfinished)?.len() {
                size if size > self.max_bytes => Err(io::ErrorKind::FileTooLarge.into()),
                _ => fs::rename(&unfinished, index),
            });
        if written.is_err() {
            drop(fs::remove_file(&unfinished));
        }
        written
    }

    /// Removes what is too much, of files with names like ours.
    fn bound(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut ours: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(is_ours))
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        ours.sort_unstable_by(|a, b| b.cmp(a));
        let mut size = 0;
        for (used, length, path) in ours {
            let is_too_much = match path.extension().is_some_and(|it| it == INDEX) {
                true => {
                    size += length;
                    size > self.max_bytes
                }
                false => used.elapsed().is_ok_and(|age| age > LEFT_OVER),
            };
            if is_too_much {
                drop(fs::remove_file(path));
            }
        }
    }
}

/// Whether a file is an index or the beginning of one: a folder that a user names may have others.
fn is_ours(name: &str) -> bool {
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match name.split('.').collect::<Vec<_>>()[..] {
        [name, INDEX] => is_hex(name, NAME),
        [name, random, UNFINISHED] => is_hex(name, NAME) && is_hex(random, RANDOM),
        _ => false,
    }
}
