//! What the page of a ledger shows, as JSON: everything once, and then what is new.
//!
//! The page only lays out columns. What the events add up to is worked out here, by the same folds
//! that answer every other question, so that the page can't say anything else.

mod cells;
mod columns;
mod extent;
mod hidden;
mod lineage;
mod models;
mod preview;
mod runs;
mod view;

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::format::json;
use crate::format::time::Timestamp;
use crate::ledger::objects::Objects;
use crate::ledger::{FileStamp, LedgerFile};
use crate::platform::memory;
use crate::views::compare;
use crate::views::fold::{Fold, Folded};
use crate::views::runs::{Run, Status};
use crate::views::sessions::Session;
use crate::views::verify;
use cells::{milliseconds, object, write_texts};
use columns::{Head, heads, write_heads};
use hidden::Hidden;
use lineage::Nodes;
use models::{write_changes, write_integrity, write_models};
use runs::{Sessions, write_run, write_runs, write_session};
use view::{Change, View};

pub use extent::Extent;

/// The version of the JSON.
const FORMAT: i64 = 1;

/// What is said beside the record.
pub struct About<'a> {
    /// The name of the ledger's file.
    pub file: &'a str,
    pub written: Timestamp,
    /// Of the program.
    pub version: &'a str,
    pub integrity: Option<&'a verify::Report>,
    pub objects: &'a Objects,
    /// Whether the runs were in a plain CSV, which is no ledger.
    pub plain: bool,
    /// What readers of the page should know.
    pub remarks: &'a [String],
}

/// What a ledger's page shows, kept up to date; readers get marks of how much they know.
#[derive(Default)]
pub struct Page {
    folded: Folded<View>,
    extent: Arc<Extent>,
    /// How often it began anew, because the file was another one.
    restarts: u64,
    /// Sessions whose processes are gone; none comes back.
    gone: HashSet<String>,
    /// The running runs of such sessions, and how often others were.
    lost: HashSet<usize>,
    losses: u64,
    stamp: Option<FileStamp>,
    /// The columns, and the row with which they last became others.
    heads: Vec<Head>,
    heads_seq: u64,
}

/// What has changed since a mark.
pub enum Since {
    Nothing,
    Patch,
    /// Only everything will do.
    Everything,
}

/// Up to where a reader has got.
#[derive(Clone, Copy, PartialEq)]
struct Mark {
    restarts: u64,
    seq: u64,
    /// Runs get lost without a row that says so.
    losses: u64,
}

impl Mark {
    fn parse(text: &str) -> Option<Mark> {
        let mut numbers = text.splitn(3, '.').map(|number| number.parse().ok());
        Some(Mark {
            restarts: numbers.next()??,
            seq: numbers.next()??,
            losses: numbers.next()??,
        })
    }
}

impl Page {
    /// The page of a ledger, so much of it.
    pub fn read(path: &Path, extent: Extent) -> Result<Page> {
        let mut page = Page {
            extent: Arc::new(extent),
            ..Page::default()
        };
        page.catch_up(path)?;
        Ok(page)
    }

    /// From now on shows so much of the ledger. What begins only now is news; if rows of it have been passed over, or
    /// something is no longer shown, the page begins anew.
    pub fn show(&mut self, extent: Extent) {
        if *self.extent == extent {
            return;
        }
        let is_more = match (&self.extent.runs, &extent.runs) {
            _ if self.extent.without_context != extent.without_context => false,
            (Some(before), Some(now)) => {
                before.is_subset(now) && now.is_disjoint(&self.view().left_out)
            }
            _ => false,
        };
        self.extent = Arc::new(extent);
        match is_more {
            true => self.folded.view_mut().show(&self.extent),
            false => self.begin_anew(),
        }
    }

    fn begin_anew(&mut self) {
        self.restarts += u64::from(self.folded.position().is_some());
        self.folded = Folded::default();
    }

    /// Takes over what is new; everything, where the file is another one by now.
    pub fn catch_up(&mut self, path: &Path) -> Result<()> {
        let file = LedgerFile::open(path)?;
        let now = file.stamp_since(self.stamp)?;
        if self.stamp.is_some_and(|known| !known.may_have_grown(now)) {
            self.begin_anew();
        }
        self.stamp = Some(now);
        let position = self.folded.position();
        let appended = position.map(|position| file.read_since(position));
        match appended.transpose()? {
            Some(rows) if !rows.is_whole() => self.folded.take(&rows)?,
            _ => {
                let had_rows = position.is_some();
                self.folded = View::read_extent(&file, &self.extent)?;
                // A ledger without rows isn't another one each time that it is read.
                self.restarts += u64::from(had_rows || self.folded.position().is_some());
            }
        }
        self.look_for_lost_runs();
        let heads = heads(self.view(), &hidden(self.view()));
        if heads != self.heads {
            self.heads = heads;
            self.heads_seq = self.seq();
        }
        Ok(())
    }

    fn look_for_lost_runs(&mut self) {
        let mut there: HashSet<&str> = HashSet::new();
        let before = std::mem::take(&mut self.lost);
        let runs = &self.folded.view().runs;
        for run in runs.iter().filter(|run| run.status() == Status::Running) {
            let session = run.session().id.as_str();
            if there.contains(session) {
                continue;
            }
            if self.gone.contains(session) || self.folded.view().is_lost(run) {
                self.gone.insert(session.to_owned());
                self.lost.insert(run.row);
            } else {
                there.insert(session);
            }
        }
        self.losses += u64::from(self.lost != before);
    }

    fn view(&self) -> &View {
        self.folded.view()
    }

    fn seq(&self) -> u64 {
        self.folded
            .position()
            .map_or(0, |position| position.head.seq.0)
    }

    fn mark(&self) -> Mark {
        Mark {
            restarts: self.restarts,
            seq: self.seq(),
            losses: self.losses,
        }
    }

    /// Writes everything.
    pub fn write(&self, about: &About<'_>, out: &mut Vec<u8>) {
        self.look_for_room();
        let view = self.view();
        let hidden = hidden(view);
        let mut omitted = about.remarks.to_vec();
        let sessions = Sessions::of(&view.runs);
        let mut nodes = Nodes::default();
        object(out, |o| {
            o.int("format", FORMAT);
            o.text("file", about.file);
            match about.plain || view.ledger.is_empty() {
                true => o.null("ledger"),
                false => o.text("ledger", &view.ledger),
            }
            o.int("seq", self.seq() as i64);
            o.text("mark", &mark_text(self.mark()));
            o.int("written", milliseconds(about.written));
            o.text("version", about.version);
            match about.integrity {
                Some(report) => write_integrity(view, report, o.key("integrity")),
                None => o.null("integrity"),
            }
            write_texts(&compare::KINDS, o.key("kinds"));
            object(o.key("runs"), |o| {
                write_runs(
                    view,
                    &self.heads,
                    &sessions,
                    &mut nodes,
                    &hidden,
                    &self.lost,
                    o,
                );
            });
            json::write_array(&sessions.list, o.key("sessions"), |session, out| {
                write_session(session, &mut nodes, out);
            });
            let points = view.newest_points(&mut omitted);
            view.write_points(points, &hidden, o.key("series"));
            let artifacts = view.runs.iter().rev().flat_map(Run::artifacts);
            let entries = artifacts.map(|(_, entry)| entry);
            preview::write(
                entries,
                &view.previews,
                about.objects,
                &mut omitted,
                o.key("previews"),
            );
            write_models(view, o.key("models"));
            write_changes(&view.registry, o.key("stages"));
            nodes.write_registry(&view.registry, &view.runs, o.key("edges"));
            nodes.write(o.key("nodes"));
            write_texts(&omitted, o.key("omitted"));
        });
    }

    /// Looks whether there is room for all that the page shows: as JSON it takes about as much as in the file and in
    /// memory together, and twice as much again while the text grows.
    fn look_for_room(&self) {
        let file = self.folded.position().map_or(0, |position| position.end);
        let shown = file as usize + self.view().size();
        memory::ensure(shown.saturating_mul(3));
    }

    /// Writes what has changed since a mark that was given out, if anything.
    pub fn write_since(&self, mark: &str, about: &About<'_>, out: &mut Vec<u8>) -> Since {
        let view = self.view();
        let now = self.mark();
        let known = match Mark::parse(mark) {
            Some(known) if known.restarts == now.restarts && known.seq <= now.seq => known,
            _ => return Since::Everything,
        };
        if known == now {
            return Since::Nothing;
        }
        let first = view.changes.partition_point(|(seq, _)| *seq <= known.seq);
        let changes = || view.changes[first..].iter().map(|(_, change)| change);
        let mut runs: BTreeSet<usize> = changes()
            .filter_map(|change| match change {
                Change::Run(row) => Some(*row),
                _ => None,
            })
            .collect();
        if known.losses != now.losses {
            runs.extend(&self.lost);
        }
        let changed: HashSet<&str> = changes()
            .filter_map(|change| match change {
                Change::Session(id) => Some(id.as_str()),
                _ => None,
            })
            .collect();
        let sessions: Vec<&Session> = view
            .runs
            .sessions()
            .filter(|session| changed.contains(session.id.as_str()))
            .collect();
        let hidden = Hidden::of(runs.iter().map(|&row| view.runs.at(row)));
        let first_point = view.points.partition_point(|point| point.seq <= known.seq);
        let points = view.points[first_point..].iter().collect();
        let entries = changes().filter_map(|change| match change {
            Change::Artifact(entry) => Some(entry),
            _ => None,
        });
        let mut nodes = Nodes::default();
        object(out, |o| {
            o.int("format", FORMAT);
            o.int("seq", now.seq as i64);
            o.text("mark", &mark_text(now));
            object(o.key("patch"), |o| {
                if known.seq < self.heads_seq {
                    write_heads(&self.heads, o.key("columns"));
                }
                object(o.key("runs"), |o| {
                    for &row in &runs {
                        let (run, is_lost) = (view.runs.at(row), self.lost.contains(&row));
                        write_run(run, is_lost, &mut nodes, &hidden, o.row(row));
                    }
                });
                json::write_array(&sessions, o.key("sessions"), |session, out| {
                    write_session(session, &mut nodes, out);
                });
                view.write_points(points, &hidden, o.key("series"));
                let mut omitted = Vec::new();
                preview::write(
                    entries,
                    &view.previews,
                    about.objects,
                    &mut omitted,
                    o.key("previews"),
                );
                if !omitted.is_empty() {
                    write_texts(&omitted, o.key("omitted"));
                }
                if changes().any(|change| matches!(change, Change::Registry)) {
                    write_models(view, o.key("models"));
                    write_changes(&view.registry, o.key("stages"));
                }
                // Another run may have made the bytes that a version is.
                let moves = |change| matches!(change, &Change::Registry | &Change::Artifact(_));
                if changes().any(moves) {
                    nodes.write_registry(&view.registry, &view.runs, o.key("edges"));
                }
                nodes.write(o.key("nodes"));
            });
        });
        Since::Patch
    }
}

fn mark_text(mark: Mark) -> String {
    format!("{}.{}.{}", mark.restarts, mark.seq, mark.losses)
}

/// Writes JSON so that it can stand in a script element of a page.
pub fn write_embedded(json: &[u8], mut out: impl Write) -> io::Result<()> {
    let mut rest = json;
    while let Some(at) = memchr::memchr2(b'<', 0xe2, rest) {
        out.write_all(&rest[..at])?;
        // Some readers take U+2028 and U+2029 for ends of lines.
        let (escape, length): (&[u8], usize) = match &rest[at..] {
            [b'<', ..] => (b"\\u003c", 1),
            [_, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [_, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            other => (&other[..1], 1),
        };
        out.write_all(escape)?;
        rest = &rest[at + length..];
    }
    out.write_all(rest)
}

/// What the page must not show. Its runs were read from the ledger itself, and are in memory.
fn hidden(view: &View) -> Hidden {
    let sealed = view.runs.with_sealed();
    Hidden::of(sealed.expect("nothing is left in an index"))
}
