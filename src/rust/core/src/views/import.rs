//! Importing another ledger: what stands there and not here is copied, with the bytes that it names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::format::artifact::ArtifactEntry;
use crate::format::digest::Digest;
use crate::format::event::EventKind;
use crate::format::id::{Random, Seq};
use crate::format::row::Row;
use crate::ledger::objects::{Objects, Progress};
use crate::ledger::{
    self, Ahead, Append, Checked, CheckedRow, Draft, Drafted, Ledger, Memory, Position, Store,
};
use crate::platform::sys;
use crate::views::copy::{Copied, Copier, Patience};
use crate::views::fold::Refusal;
use crate::views::stored;

/// Another ledger as it was at one moment; every row of it holds.
pub struct Source(Checked);

/// What an import brings.
#[derive(Debug, Default)]
pub struct Imported {
    /// How many rows are copied, those of sessions aside.
    pub rows: u64,
    pub sessions: u64,
    /// How many stored files come along.
    pub objects: u64,
    /// The runs that begin with it.
    pub run_ids: Vec<String>,
    pub left_out: Vec<LeftOut>,
}

/// What of the source is not in the target afterwards.
#[derive(Debug, PartialEq)]
pub struct LeftOut {
    /// The row, or the one of which something is missing.
    pub seq: Seq,
    pub event: String,
    pub run_id: Option<String>,
    /// Whether the row itself is there.
    pub copied: bool,
    pub why: Cow<'static, str>,
}

impl Source {
    /// Reads a ledger that is to be imported into another one. What a writer hasn't finished is no part of it.
    pub fn read(path: &Path, target: &Path) -> Result<Source> {
        let (file, other) = (sys::path_id(path), sys::path_id(target));
        if file.is_ok_and(|file| other.is_ok_and(|other| other == file)) {
            return Err(Error::Argument {
                arg: "from",
                why: format!(
                    "'{}' and '{}' are the same file",
                    path.display(),
                    target.display()
                ),
                hint: "Give the path of the other ledger.".into(),
            });
        }
        let (ledger, found) = ledger::examine(path)?;
        Checked::of(ledger, found).map(Source)
    }

    /// What an import into a target would bring as both are now.
    pub fn look(
        &self,
        target: &Path,
        random: Random<'_>,
        give_up: &mut dyn FnMut() -> bool,
    ) -> Result<Plan> {
        let there = look_at(target)?;
        self.plan(&there, "", &mut Draft::never_written(), random, give_up)
    }

    /// Drafts the copies, and says what else there is to do.
    fn plan(
        &self,
        target: &Checked,
        by: &str,
        draft: &mut Draft,
        random: Random<'_>,
        give_up: &mut dyn FnMut() -> bool,
    ) -> Result<Plan> {
        let mut patience = Patience::new(give_up);
        let mut plan = Plan::default();
        let mut sessions: HashMap<Seq, Vec<Named>> = HashMap::new();
        let mut copier = Copier::between(&self.0, target, by, draft, &mut patience)?;
        for row in self.0.rows() {
            patience.go_on()?;
            let row = match row? {
                CheckedRow::Plain(run) => match copier.copy_plain(&run, random) {
                    Some(Ok(Copied::Now)) => {
                        plan.imported.rows += 1;
                        plan.imported.run_ids.push(run.id.to_owned());
                        continue;
                    }
                    Some(Ok(_)) => continue,
                    Some(copied) => {
                        plan.note(&run.row(), copied);
                        continue;
                    }
                    None => run.row(),
                },
                CheckedRow::Row(row) => row,
            };
            if matches!(row.event, EventKind::Ledger | EventKind::Recovered) {
                continue;
            }
            let copied = copier.copy(&row, random);
            let is_whole = !matches!(
                copied,
                Err(_) | Ok(Copied::TagsAlone(_) | Copied::NoEffect(_))
            );
            if is_whole && (row.event == EventKind::Session || !row.artifacts.is_empty()) {
                let is_new = copied != Ok(Copied::Before);
                let named = self.named_by(&row, is_new)?;
                match copied {
                    Ok(Copied::OnDemand) => drop(sessions.insert(row.seq, named)),
                    _ => plan.named.extend(named),
                }
            }
            plan.note(&row, copied);
        }
        copier.finish();
        plan.imported.sessions = copier.copied_sessions.len() as u64;
        let copied = copier.copied_sessions.iter();
        let mut named: Vec<Named> = copied
            .filter_map(|seq| sessions.remove(seq))
            .flatten()
            .collect();
        named.sort_by_key(|named| named.seq);
        plan.named.extend(named);
        Ok(plan)
    }

    /// Imports it. What it stores beside the target, or doesn't since it is there already, `bytes` knows. Until the lock is
    /// taken `give_up` is asked whether to.
    pub fn import<S: Store>(
        &self,
        open: impl FnMut() -> io::Result<S>,
        target: &Path,
        memory: &mut Memory,
        how: &mut Append<'_>,
        bytes: &mut Bytes,
        give_up: &mut dyn FnMut() -> bool,
    ) -> Result<Imported> {
        let there = look_at(target)?;
        let drafted = Ahead::draft(&there, memory, how, |draft, by, how| {
            self.plan(&there, by, draft, how.random, give_up)
        });
        let (mut ahead, plan) = drafted?;
        let mut drawn = ahead.take_drawn();
        let mut random = |bytes: &mut [u8]| match drawn.len() < bytes.len() {
            true => (how.random)(bytes),
            false => {
                let rest = drawn.split_off(bytes.len());
                bytes.copy_from_slice(&std::mem::replace(&mut drawn, rest));
            }
        };
        let mut how = Append {
            session: how.session,
            sync: how.sync,
            now: how.now,
            random: &mut random,
            since: how.since,
            give_up: &mut *how.give_up,
        };
        let imported = ledger::append_drafted(open, target, memory, &mut how, |read_since| {
            let since = read_since(ahead.position())?;
            let is_same = since.is_empty_after(ahead.position());
            let there = match is_same {
                true => there,
                false => check(read_since(&Position::origin())?)?,
            };
            Ok(move |draft: &mut Draft, by: &str, how: &mut Append<'_>| {
                let plan = match is_same && ahead.go_on(draft, by) {
                    true => plan,
                    false => self.plan(&there, by, draft, how.random, &mut || false)?,
                };
                let value = plan.finish(bytes, how.random, &mut |_| false)?;
                Ok(Drafted { value, begun: None })
            })
        });
        Ok(imported?.1)
    }

    /// The stored bytes that rows of it name.
    pub fn stored(&self) -> Result<Vec<Named>> {
        let mut all = Vec::new();
        for row in self.0.rows_with_bytes() {
            if let CheckedRow::Row(row) = row? {
                all.extend(self.named_by(&row, false)?);
            }
        }
        Ok(all)
    }

    fn named_by(&self, row: &Row<'_>, is_new: bool) -> Result<Vec<Named>> {
        let stored = stored::of_row(row).map_err(Refusal::from);
        let stored = stored.map_err(|refusal| refusal.of_row(row, &self.0.ledger))?;
        let named = |(what, entry)| Named {
            seq: row.seq,
            event: row.event.name().to_owned(),
            run_id: run_id(row),
            what,
            entry,
            is_new,
        };
        Ok(stored.into_iter().map(named).collect())
    }
}

/// A ledger as it is now, which need not be there.
fn look_at(path: &Path) -> Result<Checked> {
    match ledger::examine(path) {
        Err(Error::NotFound { .. }) => check(Ledger::none(path)),
        examined => {
            let (ledger, found) = examined?;
            Checked::of(ledger, found)
        }
    }
}

fn check(ledger: Ledger) -> Result<Checked> {
    let found = ledger.validate();
    Checked::of(ledger, found)
}

/// What an import copies, and what the copies name.
#[derive(Default)]
pub struct Plan {
    imported: Imported,
    named: Vec<Named>,
}

impl Plan {
    fn note(&mut self, row: &Row<'_>, copied: std::result::Result<Copied, Cow<'static, str>>) {
        let (is_copied, why) = match copied {
            Ok(Copied::Before | Copied::OnDemand | Copied::NoEffect(_)) => return,
            Ok(Copied::Now | Copied::TagsAlone(None)) => (true, None),
            Ok(Copied::WithoutParent) => {
                let why = "copied, but the run that it belongs to is another one there, or none";
                (true, Some(why.into()))
            }
            Ok(Copied::TagsAlone(Some(why))) => (
                true,
                Some(format!("only its tags were copied: {why}").into()),
            ),
            Err(why) => (false, Some(why)),
        };
        if is_copied {
            self.imported.rows += 1;
            if row.event.begins_run() {
                self.imported.run_ids.push(row.run_id.to_owned());
            }
        }
        let left_out = why.map(|why| LeftOut::of(row, is_copied, why));
        self.imported.left_out.extend(left_out);
    }

    /// Stores the bytes that the copies name, or looks for them.
    pub fn finish(
        self,
        bytes: &mut Bytes,
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<Imported> {
        let Plan {
            mut imported,
            named,
        } = self;
        let mut came = HashSet::new();
        for named in named {
            let missing = match bytes.bring(&named, random, progress)? {
                Ok(true) => {
                    came.insert(named.entry.sha256);
                    continue;
                }
                Ok(false) => continue,
                Err(missing) => missing,
            };
            if named.is_new {
                let why = format!("copied, but the stored bytes of {} {missing}", named.what);
                imported.left_out.push(LeftOut {
                    seq: named.seq,
                    event: named.event,
                    run_id: named.run_id,
                    copied: true,
                    why: why.into(),
                });
            }
        }
        imported.objects = came.len() as u64;
        imported.left_out.sort_by_key(|left_out| left_out.seq);
        Ok(imported)
    }
}

impl LeftOut {
    fn of(row: &Row<'_>, copied: bool, why: Cow<'static, str>) -> LeftOut {
        LeftOut {
            seq: row.seq,
            event: row.event.name().to_owned(),
            run_id: run_id(row),
            copied,
            why,
        }
    }
}

fn run_id(row: &Row<'_>) -> Option<String> {
    Some(row.run_id)
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
}

/// Stored bytes that a row of the source names.
pub struct Named {
    seq: Seq,
    event: String,
    run_id: Option<String>,
    what: String,
    entry: ArtifactEntry,
    /// The row is copied now.
    is_new: bool,
}

/// The stored bytes of both ledgers, and what is known of them: each is looked at once.
pub struct Bytes {
    from: Objects,
    to: Objects,
    /// Whether to look only.
    only_look: bool,
    /// Whether they came; or what is wrong with them.
    known: HashMap<(Digest, Option<u64>), std::result::Result<bool, &'static str>>,
    /// How many bytes went before, of which the progress is told.
    done: u64,
}

impl Bytes {
    pub fn between(from: &Path, to: &Path, only_look: bool) -> Bytes {
        Bytes {
            from: Objects::beside(from),
            to: Objects::beside(to),
            only_look,
            known: HashMap::new(),
            done: 0,
        }
    }

    /// Stores what isn't beside the target. An import does so by itself, but holds the target's lock by then. It may leave
    /// out what names some of these bytes, which are nobody's then.
    pub fn bring_ahead(
        &mut self,
        named: &[Named],
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<()> {
        for named in named {
            // What is wrong with them is said of the rows that are copied.
            let _ = self.bring(named, random, progress)?;
        }
        Ok(())
    }

    /// Sees to it that the bytes are beside the target, and says whether they came, or what is wrong with them.
    fn bring(
        &mut self,
        named: &Named,
        random: Random<'_>,
        progress: Progress<'_>,
    ) -> Result<std::result::Result<bool, &'static str>> {
        let Some(digest) = named.entry.digest() else {
            return Ok(Err("are named by no hash"));
        };
        let size = named.entry.size;
        if let Some(known) = self.known.get(&(digest, size)) {
            return Ok(*known);
        }
        // Of rows that aren't new, only what is missing altogether is looked for.
        if !named.is_new && self.to.has_name(&digest) {
            return Ok(Ok(false));
        }
        let done = self.done;
        let mut last = 0;
        let mut count = |bytes: u64| {
            last = bytes;
            progress(done + bytes)
        };
        let brought = match self.only_look {
            true => self.look(&digest, size, &mut count),
            false => {
                let put = self
                    .to
                    .put_from(&self.from, &digest, size, random, &mut count);
                put?
            }
        };
        self.done += last;
        let brought = match brought {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(Error::Artifact { damage, .. }) => Err(damage.text()),
            brought => brought.map_err(|_| "can't be read"),
        };
        self.known.insert((digest, size), brought);
        Ok(brought)
    }

    /// Whether the bytes would come.
    fn look(&self, digest: &Digest, size: Option<u64>, progress: Progress<'_>) -> Result<bool> {
        match self.to.open(digest, size, &mut |_| false) {
            Ok(_) => Ok(false),
            Err(_) => self.from.open(digest, size, progress).map(|_| true),
        }
    }
}
