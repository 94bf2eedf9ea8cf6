//! What can go wrong with a ledger, said so that somebody can act on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

/// What to do after a conflict that may be gone by now.
pub const LOOK_AGAIN: &str = "Nothing was changed. Look at it as it is now, then try again.";

#[derive(Debug)]
pub enum Error {
    /// There is no file at this path.
    NotFound { path: PathBuf },
    /// A file that is no ledger; it isn't touched.
    NotALedger {
        path: PathBuf,
        why: String,
        hint: &'static str,
    },
    /// The CSV file of the book chapter's own logger.
    PlainCsv { path: PathBuf },
    /// Written by a later version that this one must not guess at.
    Newer { path: PathBuf, what: String },
    /// A row that doesn't hold and isn't the rest of an unfinished write. Row 0 is the header.
    Corrupt {
        path: PathBuf,
        row: u64,
        byte: u64,
        why: RowDamage,
    },
    /// A file without a row, where there were some.
    RowsGone { path: PathBuf, sign: SignOfRows },
    /// Where the ledger of a mirror is kept, a row is another one than the mirror has, or doesn't follow what it has.
    Forked { path: PathBuf, row: u64 },
    /// A mirror, to which nobody writes but what mirrors.
    Mirror { path: PathBuf },
    /// A row would be longer than the format allows.
    RowTooLong { bytes: usize },
    /// The user interrupted the wait for the lock, or a long piece of work.
    Interrupted,
    /// Stored bytes that are not what their hash says.
    Artifact { path: PathBuf, damage: Damage },
    /// A stored folder whose archive isn't unpacked.
    Archive { path: PathBuf, why: String },
    /// What was to be stored is no regular file, or did not hold still.
    Unstorable { path: PathBuf, why: String },
    /// The file is on a network file system on which locks can't be relied on.
    Network { path: PathBuf, system: String },
    /// What an argument holds can't be meant.
    Argument {
        arg: &'static str,
        why: String,
        hint: String,
    },
    /// The ledger has nothing of this name.
    Unknown {
        /// What there is none of: a run, a model.
        what: &'static str,
        name: String,
        /// Names that there are, for one who mistyped.
        known: Vec<String>,
        hint: String,
    },
    /// Somebody else was faster, or what was asked for isn't so any more.
    Conflict {
        path: PathBuf,
        what: String,
        hint: &'static str,
    },
    /// Nothing can be added to the run any more.
    Ended { run_id: String, how: Ending },
    /// The ledger doesn't hold a run that began there.
    RunGone { run_id: String },
    /// The run belongs to another process, as far as anybody can tell.
    Running { run_id: String },
    /// An index isn't as it was written. The ledger itself answers.
    DamagedIndex { path: PathBuf },
    /// There is too little memory for what a file holds.
    Memory { path: Option<PathBuf> },
    /// The system refused something; the ledger is as it was.
    Io {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },
    /// A write failed and its remains could not be removed.
    Remains { path: PathBuf, source: io::Error },
    /// The rows are in the file, but the system did not confirm that they are on disk.
    DurabilityUnknown { path: PathBuf, source: io::Error },
}

/// Why nothing can be added to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Finished,
    Failed,
    Interrupted,
    /// It goes on, elsewhere.
    TakenOver,
}

impl Ending {
    /// As a condition's field says it.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Finished => "finished",
            Ending::Failed => "failed",
            Ending::Interrupted => "interrupted",
            Ending::TakenOver => "taken_over",
        }
    }
}

/// What is wrong with a row that doesn't hold, and what made it so where that shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowDamage {
    /// The lines that git puts around two versions that it can't merge.
    ConflictMarkers,
    /// Two copies were merged line by line: a number comes again.
    Merged {
        seq: u64,
        after: u64,
    },
    /// Line ends of Windows.
    CrLf,
    ByteOrderMark,
    /// The first line is a row.
    NoHeader,
    /// Another program has read the ledger as a table, and written that.
    Rewritten,
    /// Sectors that never reached the disk, before others that did.
    RowsBehindZeros,
    Other(String),
}

impl From<&str> for RowDamage {
    fn from(why: &str) -> RowDamage {
        RowDamage::Other(why.to_owned())
    }
}

impl From<String> for RowDamage {
    fn from(why: String) -> RowDamage {
        RowDamage::Other(why)
    }
}

impl fmt::Display for RowDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowDamage::ConflictMarkers => f.write_str("git's conflict markers stand there"),
            RowDamage::Merged { seq, after } => write!(
                f,
                "its seq is {seq} after {after}, as where two copies were merged line by line"
            ),
            RowDamage::CrLf => {
                f.write_str("its lines end in CR LF, as some editors and git settings leave them")
            }
            RowDamage::ByteOrderMark => f.write_str("it begins with a byte order mark"),
            RowDamage::NoHeader => f.write_str("the ledger's header, its first line, is missing"),
            RowDamage::Rewritten => f.write_str(
                "another program has written the ledger anew, such as a spreadsheet, in quotes or with other separators",
            ),
            RowDamage::RowsBehindZeros => {
                f.write_str("whole rows stand behind zeros, as a power cut can leave them")
            }
            RowDamage::Other(why) => f.write_str(why),
        }
    }
}

impl RowDamage {
    fn hint(&self) -> &'static str {
        match self {
            RowDamage::ConflictMarkers | RowDamage::Merged { .. } => {
                "Nothing was written. Put one of the two versions back whole, as with `git checkout --ours`, and `import_runs()` brings the runs of the other one into it; without them, `repair_ledger()` saves the rows of both."
            }
            RowDamage::CrLf => {
                "Nothing was written. `x <- readBin(file, \"raw\", file.size(file)); writeBin(x[x != 13], file)` restores the line feeds; a line `*.csv -text` in `.gitattributes` keeps git from changing them again."
            }
            RowDamage::ByteOrderMark => {
                "Nothing was written. `x <- readBin(file, \"raw\", file.size(file)); writeBin(x[-(1:3)], file)` takes it away."
            }
            RowDamage::NoHeader | RowDamage::Rewritten => {
                "Nothing was written. Put a copy of the file back, as it was before: rows hold only byte for byte."
            }
            RowDamage::RowsBehindZeros | RowDamage::Other(_) => {
                "Nothing was written. Compare with a copy of the file; fitledger never repairs a damaged row by itself, `repair_ledger()` saves the rows that hold."
            }
        }
    }
}

/// What to do about a file that is something else.
pub const OTHER_FILE: &str = "The file was not touched. Choose another path for the ledger.";

/// From what it shows that a file without a row had some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOfRows {
    /// This process has seen so many.
    Seen(u64),
    /// Bytes that rows name are stored beside it.
    Objects,
}

/// What is wrong with stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Damage {
    Missing,
    /// With the whole folder of stored bytes.
    NoFolder,
    /// There are fewer than there were.
    Truncated,
    Changed,
    /// A symbolic link has their name.
    Link,
    /// Something else that is no regular file has their name.
    NotAFile,
    /// A folder on the way to them is a symbolic link, or no folder.
    Astray,
}

impl Damage {
    /// What follows on "the stored bytes".
    pub fn text(self) -> &'static str {
        match self {
            Damage::Missing => "are not there",
            Damage::NoFolder => "are not there, nor is the folder of stored bytes",
            Damage::Truncated => "have been cut short",
            Damage::Changed => "have changed",
            Damage::Link => "are a symbolic link, not a regular file",
            Damage::NotAFile => "are not a regular file",
            Damage::Astray => "lie behind a symbolic link or a file, not in a folder",
        }
    }
}

impl Error {
    pub(crate) fn io(path: &Path, doing: &'static str, source: io::Error) -> Error {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::OutOfMemory => Error::Memory { path: Some(path) },
            _ => Error::Io {
                path,
                doing,
                source,
            },
        }
    }

    /// The last part of the condition's class.
    pub fn class(&self) -> &'static str {
        match self {
            Error::NotFound { .. } => "not_found",
            Error::NotALedger { .. } => "not_a_ledger",
            Error::PlainCsv { .. } => "plain_csv",
            Error::Newer { .. } => "newer_format",
            Error::Corrupt { .. } => "corrupt",
            Error::RowsGone { .. } | Error::RunGone { .. } => "rows_gone",
            Error::Forked { .. } => "forked",
            Error::Mirror { .. } => "mirror",
            Error::RowTooLong { .. } => "row_too_long",
            Error::Interrupted => "interrupted",
            Error::Artifact { .. } | Error::Archive { .. } => "artifact",
            Error::Unstorable { .. } => "unstorable",
            Error::Network { .. } => "network",
            Error::Argument { .. } => "argument",
            Error::Unknown { .. } => "unknown",
            Error::Conflict { .. } => "conflict",
            Error::Ended { .. } => "ended",
            Error::Running { .. } => "running",
            Error::DamagedIndex { .. } => "damaged_index",
            Error::Memory { .. } => "memory",
            Error::Io { .. } => "io",
            Error::Remains { .. } => "remains",
            Error::DurabilityUnknown { .. } => "durability_unknown",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &str {
        match self {
            Error::NotFound { .. } => {
                "A ledger begins with its first `log_run()`. Check the path and `getwd()`."
            }
            Error::NotALedger { hint, .. } => hint,
            Error::PlainCsv { .. } => {
                "The file was not touched. Bring its runs over with `import_runs(from, file)`."
            }
            Error::Newer { .. } => "Update fitledger to read and write this ledger.",
            Error::Corrupt { why, .. } => why.hint(),
            Error::RowsGone { .. } => {
                "Nothing was written. Put a copy of the file back; or remove it, to begin a new ledger."
            }
            Error::RunGone { .. } => {
                "An older copy of the file, or another file, was put in its place. Nothing was written: put the newer copy back, or begin a new run."
            }
            Error::Forked { .. } => {
                "Somebody rewrote the record there, or it is another one. See `vignette(\"teams\")` for what to do."
            }
            Error::Mirror { .. } => {
                "Nothing was written. Give the ledger itself, as `ledger_postgres()` returns it; a copy of the file under another name is a ledger of its own."
            }
            Error::RowTooLong { .. } => {
                "Nothing was written. Store large values in a file and log its path."
            }
            Error::Interrupted => "Nothing was written.",
            Error::Artifact {
                damage: Damage::NoFolder,
                ..
            } => {
                "They are in a folder called as the ledger, with `.objects` behind it. A ledger that is renamed, moved or copied takes its folder along."
            }
            Error::Artifact { .. } => {
                "They were not used. A copy of the same bytes, logged again, takes their place."
            }
            Error::Archive { .. } => {
                "Nothing was unpacked. Other programs than fitledger, or another system, made it: ask who logged it."
            }
            Error::Unstorable { .. } => {
                "Nothing was stored. Only regular files that hold still are, in folders too; of a link, give the path that it leads to."
            }
            Error::Network { .. } => {
                "Keep the ledger on a local disk. If only one machine writes to it, `options(fitledger.network = \"allow\")` goes on."
            }
            Error::Argument { hint, .. } | Error::Unknown { hint, .. } => hint,
            Error::Ended {
                how: Ending::TakenOver,
                ..
            } => {
                "Nothing was written: what this process reports of the run no longer counts. If the other process is gone, `start_run(resume = , take_over = TRUE)` takes the run back."
            }
            Error::Ended {
                how: Ending::Failed | Ending::Interrupted,
                ..
            } => "Nothing was written. `start_run(resume = )` takes it up again.",
            Error::Ended {
                how: Ending::Finished,
                ..
            } => {
                "Nothing was written: what came out of a finished run stays. Log a new run; tags and notes can be added with `tag_run()` and `log_note()`."
            }
            Error::Running { .. } => {
                "Nothing was written. If its process is gone, `start_run(resume = , take_over = TRUE)` takes it over."
            }
            Error::Conflict { hint, .. } => hint,
            Error::DamagedIndex { .. } => {
                "Ask again with `options(fitledger.cache = FALSE)`: the ledger itself is not concerned."
            }
            Error::Memory { .. } => {
                "The ledger is as it was. Ask for fewer columns, remove what R holds and call `gc()`, or raise the session's memory limit."
            }
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "Does its folder exist? `dir.create()` makes it."
            }
            Error::Io { .. } => "The ledger is as it was.",
            Error::Remains { .. } => {
                "The next write sets the unfinished rows aside, once the file can be truncated."
            }
            Error::DurabilityUnknown { .. } => {
                "The rows are in the file, but a power cut may lose them. Check the disk."
            }
        }
    }

    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::NotFound { path }
            | Error::NotALedger { path, .. }
            | Error::PlainCsv { path }
            | Error::Newer { path, .. }
            | Error::Corrupt { path, .. }
            | Error::RowsGone { path, .. }
            | Error::Forked { path, .. }
            | Error::Mirror { path }
            | Error::Network { path, .. }
            | Error::Conflict { path, .. }
            | Error::DamagedIndex { path }
            | Error::Artifact { path, .. }
            | Error::Archive { path, .. }
            | Error::Unstorable { path, .. }
            | Error::Io { path, .. }
            | Error::Remains { path, .. }
            | Error::DurabilityUnknown { path, .. } => Some(path),
            Error::Memory { path } => path.as_deref(),
            Error::RowTooLong { .. }
            | Error::Interrupted
            | Error::Argument { .. }
            | Error::Ended { .. }
            | Error::RunGone { .. }
            | Error::Running { .. }
            | Error::Unknown { .. } => None,
        }
    }

    /// What went wrong and what made it so, in one sentence.
    pub fn in_full(&self) -> String {
        use std::error::Error as _;
        let text = self.to_string();
        match self.source() {
            Some(cause) => format!("{}: {cause}.", text.trim_end_matches('.')),
            None => text,
        }
    }

    /// The row and the byte where the damage begins.
    pub fn location(&self) -> Option<(u64, u64)> {
        match self {
            Error::Corrupt { row, byte, .. } => Some((*row, *byte)),
            _ => None,
        }
    }
}

/// What went wrong. What made it so, where there is something, is the error's source.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound { path } => write!(f, "There is no file '{}'.", path.display()),
            Error::NotALedger { path, why, .. } => {
                write!(f, "'{}' is not a ledger: {why}.", path.display())
            }
            Error::PlainCsv { path } => write!(
                f,
                "'{}' is a plain CSV of runs, not a ledger.",
                path.display()
            ),
            Error::Newer { path, what } => {
                write!(
                    f,
                    "'{}' was written by a later version: {what}.",
                    path.display()
                )
            }
            Error::Corrupt {
                path,
                row,
                byte,
                why,
            } => write!(
                f,
                "'{}' is damaged at row {row} (byte {byte}): {why}.",
                path.display()
            ),
            Error::RowsGone { path, sign } => match sign {
                SignOfRows::Seen(rows) => write!(
                    f,
                    "'{}' holds no row, and this process has seen {rows} there.",
                    path.display()
                ),
                SignOfRows::Objects => write!(
                    f,
                    "'{0}' holds no row, but what rows have stored is in '{0}.objects'.",
                    path.display()
                ),
            },
            Error::Forked { row, .. } => write!(
                f,
                "Row {row} of the ledger in the database is not the one that this machine has seen, or doesn't follow it."
            ),
            Error::Mirror { path } => write!(
                f,
                "'{}' mirrors a ledger in a database, and can't be written to.",
                path.display()
            ),
            Error::RowTooLong { bytes } => write!(
                f,
                "The row would take {bytes} bytes; a ledger's rows hold at most 16 MiB."
            ),
            Error::Interrupted => f.write_str("Interrupted by the user."),
            Error::Artifact { path, damage } => write!(
                f,
                "The stored bytes in '{}' {}.",
                path.display(),
                damage.text()
            ),
            Error::Archive { path, why } => {
                write!(
                    f,
                    "The folder stored in '{}' can't be unpacked: {why}.",
                    path.display()
                )
            }
            Error::Unstorable { path, why } => {
                write!(f, "'{}' can't be stored: {why}.", path.display())
            }
            Error::Network { path, system } => write!(
                f,
                "'{}' lies on a network file system ({system}), where writers may lose each other's rows.",
                path.display()
            ),
            Error::Argument { why, .. } => write!(f, "{why}."),
            Error::Unknown { what, name, .. } => write!(f, "There is no {what} `{name}`."),
            Error::Conflict { what, .. } => write!(f, "{what}."),
            Error::Ended { run_id, how } => {
                let has_ended = match how {
                    Ending::Finished => "has finished",
                    Ending::Failed => "has failed",
                    Ending::Interrupted => "was interrupted",
                    Ending::TakenOver => "was taken over by another process",
                };
                write!(f, "The run `{run_id}` {has_ended}.")
            }
            Error::RunGone { run_id } => {
                write!(f, "The run `{run_id}` is not in the ledger any more.")
            }
            Error::Running { run_id } => {
                write!(
                    f,
                    "The run `{run_id}` is running, as far as can be told from here."
                )
            }
            Error::DamagedIndex { path } => {
                write!(f, "The index '{}' is damaged.", path.display())
            }
            Error::Memory { path: Some(path) } => {
                write!(f, "There is not enough memory for '{}'.", path.display())
            }
            Error::Memory { path: None } => {
                f.write_str("There is not enough memory for what was asked.")
            }
            Error::Io { path, doing, .. } => {
                write!(f, "Can't {doing} '{}'.", path.display())
            }
            Error::Remains { path, .. } => write!(
                f,
                "A write to '{}' failed and its remains can't be removed.",
                path.display()
            ),
            Error::DurabilityUnknown { path, .. } => write!(
                f,
                "The system did not confirm that '{}' is on disk.",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. }
            | Error::Remains { source, .. }
            | Error::DurabilityUnknown { source, .. } => Some(source),
            _ => None,
        }
    }
}
