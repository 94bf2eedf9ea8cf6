//! Whether a ledger is what it was when it was written.

use std::collections::HashMap;
use std::path::Path;

use crate::columnar::strings::hash;
use crate::error::{Error, Result};
use crate::format::artifact::ArtifactEntry;
use crate::format::id::Seq;
use crate::format::row::RawRow;
use crate::ledger::objects::{Objects, Progress};
use crate::ledger::{self, CheckedRow, Invalid, Ledger, PlainRun, Tail};
use crate::views::checkpoint::Checkpoint;
use crate::views::fold::{Fold, Refusal};
use crate::views::registry::Registry;
use crate::views::stored;

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Ok,
    /// The last row is being written at this moment.
    Pending,
    /// The file ends in the rest of a write that never finished.
    Torn,
    /// Rows that the checkpoint covers are missing at the end.
    Truncated,
    /// A row doesn't hold.
    Corrupt,
    /// Every row holds, but they are not those that the checkpoint covers.
    Forked,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Pending => "pending",
            Status::Torn => "torn",
            Status::Truncated => "truncated",
            Status::Corrupt => "corrupt",
            Status::Forked => "forked",
        }
    }
}

/// Where the first fault is. Row 0 is the header.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub row: u64,
    pub byte: u64,
    pub why: String,
}

/// Something that doesn't break the chain, and that somebody should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub row: u64,
    pub kind: &'static str,
    pub what: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub status: Status,
    /// The ledger is ok, a checkpoint was given, and the ledger extends it.
    pub anchored: bool,
    /// How many rows hold, from the first one on.
    pub rows: u64,
    pub fault: Option<Fault>,
    pub problems: Vec<Problem>,
}

/// Recomputes everything from the raw bytes and changes nothing.
pub fn verify(path: &Path, checkpoint: Option<&Checkpoint>) -> Result<Report> {
    verify_with(path, checkpoint, &mut |_| false)
}

/// The same for who may want to stop while stored bytes are hashed.
pub fn verify_with(
    path: &Path,
    checkpoint: Option<&Checkpoint>,
    progress: Progress<'_>,
) -> Result<Report> {
    let (ledger, found) = match ledger::examine(path) {
        Ok(examined) => examined,
        Err(Error::Corrupt {
            row: 0, byte, why, ..
        }) => {
            let why = why.to_string();
            return Ok(Report {
                status: Status::Corrupt,
                anchored: false,
                rows: 0,
                fault: Some(Fault { row: 0, byte, why }),
                problems: Vec::new(),
            });
        }
        Err(e) => return Err(e),
    };
    let head = found.tail.head();
    let (mut status, mut fault) = match &found.tail {
        Tail::Whole { .. } => (Status::Ok, None),
        Tail::Pending { at, .. } => (
            Status::Pending,
            Some((*at, "it is being written".to_owned())),
        ),
        Tail::Torn { at, .. } => (
            Status::Torn,
            Some((*at, "it was never finished".to_owned())),
        ),
        Tail::Corrupt { at, why, .. } => (Status::Corrupt, Some((*at, why.to_string()))),
    };
    let whole = ledger.prefix(fault.as_ref().map(|(at, _)| *at));
    let mismatch = checkpoint.map(|checkpoint| compare(&whole, head.seq, checkpoint));
    let anchored = status == Status::Ok && matches!(mismatch, Some(Ok(())));
    if let Some(Err(verdict)) = mismatch.filter(|_| status != Status::Corrupt) {
        (status, fault) = (verdict.status, fault.or(verdict.fault));
    }
    Ok(Report {
        status,
        anchored,
        rows: head.seq.0,
        fault: fault.map(|(byte, why)| Fault {
            row: head.seq.next().0,
            byte,
            why,
        }),
        problems: problems(&whole, &found.invalid, progress)?,
    })
}

struct Mismatch {
    status: Status,
    fault: Option<(u64, String)>,
}

/// Whether the rows that hold extend those of the checkpoint.
fn compare(
    ledger: &Ledger,
    last: Seq,
    checkpoint: &Checkpoint,
) -> std::result::Result<(), Mismatch> {
    let forked = Mismatch {
        status: Status::Forked,
        fault: None,
    };
    if ledger.id().is_some_and(|id| id != checkpoint.ledger) {
        return Err(forked);
    }
    if last < checkpoint.head.seq {
        let missing = checkpoint.head.seq.0 - last.0;
        let why = match missing {
            1 => "a row that the checkpoint covers is missing".to_owned(),
            _ => format!("{missing} rows that the checkpoint covers are missing"),
        };
        return Err(Mismatch {
            status: Status::Truncated,
            fault: Some((ledger.size(), why)),
        });
    }
    let line = ledger.lines().nth(checkpoint.head.seq.0 as usize - 1);
    match line.map(RawRow::parse) {
        Some(Ok(row)) if row.hash == checkpoint.head.hash => Ok(()),
        _ => Err(forked),
    }
}

/// Rows without effect, and stored bytes that are not what their rows say. All rows of the ledger hold.
fn problems(ledger: &Ledger, invalid: &[Invalid], progress: Progress<'_>) -> Result<Vec<Problem>> {
    let mut registry = Registry::default();
    let mut artifacts = Artifacts::beside(ledger, progress);
    match look(ledger, invalid, &mut registry, &mut artifacts) {
        Err(Error::Newer { what, .. }) => {
            return Ok(vec![Problem {
                row: 0,
                kind: "newer",
                what,
            }]);
        }
        looked => looked?,
    }
    let mut problems = artifacts.problems;
    if ledger.lines().next().is_none() && artifacts.objects.holds_any().unwrap_or(false) {
        problems.push(Problem {
            row: 0,
            kind: "rows gone",
            what: "what rows have stored lies beside it, and it holds no row".to_owned(),
        });
    }
    problems.extend(invalid.iter().map(|row| Problem {
        row: row.seq.0,
        kind: INVALID,
        what: row.why.clone(),
    }));
    let without_effect = registry.run_ids.without_effect.iter();
    let without_effect = without_effect.chain(&registry.without_effect);
    problems.extend(without_effect.map(|row| Problem {
        row: row.seq.0,
        kind: match row.is_invalid() {
            true => INVALID,
            false => "without effect",
        },
        what: row.why.to_owned(),
    }));
    problems.extend(registry.run_ids.orphans().map(|seq| Problem {
        row: seq.0,
        kind: "without effect",
        what: "its parent has not begun, and is ignored".to_owned(),
    }));
    problems.sort_by_key(|problem| problem.row);
    Ok(problems)
}

/// A row that breaks a rule of the format has no effect either.
const INVALID: &str = "invalid";

fn look(
    ledger: &Ledger,
    invalid: &[Invalid],
    registry: &mut Registry,
    artifacts: &mut Artifacts<'_>,
) -> Result<()> {
    let mut session = None;
    for row in ledger::checked_rows(ledger, invalid) {
        let row = match row? {
            CheckedRow::Plain(run) if begin(&run, &mut session, registry)? => continue,
            CheckedRow::Plain(run) => run.row(),
            CheckedRow::Row(row) => row,
        };
        let looked = registry.apply(&row);
        looked.map_err(|refusal| refusal.of_row(&row, ledger))?;
        if !registry.run_ids.is_without_effect(row.seq) {
            let named = stored::of_row(&row).map_err(Refusal::from);
            let named = named.map_err(|refusal| refusal.of_row(&row, ledger))?;
            artifacts.check(row.seq, named)?;
        }
    }
    Ok(())
}

/// Takes a run over whose row needs no other look. `known` is the session of the last one, mostly that of this one.
fn begin<'a>(
    run: &PlainRun<'a>,
    known: &mut Option<&'a str>,
    registry: &mut Registry,
) -> Result<bool> {
    let run_ids = &mut registry.run_ids;
    if *known != Some(run.session) {
        if !run_ids.knows_session(run.session)? {
            return Ok(false);
        }
        *known = Some(run.session);
    }
    let id = run.id.as_bytes();
    Ok(run_ids.begin(id, hash(id))?.is_some())
}

/// Looks at the bytes that rows name, at each once.
struct Artifacts<'a> {
    objects: Objects,
    seen: HashMap<(String, Option<u64>), Option<&'static str>>,
    problems: Vec<Problem>,
    progress: Progress<'a>,
    /// How many bytes were looked at.
    done: u64,
}

impl<'a> Artifacts<'a> {
    fn beside(ledger: &Ledger, progress: Progress<'a>) -> Artifacts<'a> {
        Artifacts {
            objects: Objects::beside(ledger.path()),
            seen: HashMap::new(),
            problems: Vec::new(),
            progress,
            done: 0,
        }
    }

    /// Looks at what a row names.
    fn check(&mut self, row: Seq, named: Vec<(String, ArtifactEntry)>) -> Result<()> {
        for (what, entry) in named {
            let Some(sha256) = &entry.sha256 else {
                continue;
            };
            let key = (sha256.clone(), entry.size);
            let wrong = match self.seen.get(&key) {
                Some(known) => *known,
                None => {
                    let found = self.check_object(&entry)?;
                    self.seen.insert(key, found);
                    found
                }
            };
            if let Some(wrong) = wrong {
                self.problems.push(Problem {
                    row: row.0,
                    kind: "artifact",
                    what: format!("the stored bytes of {what} {wrong}"),
                });
            }
        }
        Ok(())
    }

    /// What is wrong with the bytes that a row names, if anything.
    fn check_object(&mut self, entry: &ArtifactEntry) -> Result<Option<&'static str>> {
        let Some(digest) = entry.digest() else {
            return Ok(Some("are named by no hash"));
        };
        let before = self.done;
        let (progress, done) = (&mut self.progress, &mut self.done);
        let mut count = |bytes: u64| {
            *done = before + bytes;
            progress(*done)
        };
        match self.objects.open(&digest, entry.size, &mut count) {
            Ok(_) => Ok(None),
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(Error::Artifact { damage, .. }) => Ok(Some(damage.text())),
            Err(_) => Ok(Some("can't be read")),
        }
    }
}
