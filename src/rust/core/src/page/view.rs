//! The fold of everything that the page shows, and of what is new in it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::error::Result;
use crate::format::artifact::{ArtifactEntry, Preview};
use crate::format::event::EventKind;
use crate::format::json;
use crate::format::ledger_context::LedgerContext;
use crate::format::row::Row;
use crate::format::run_context::TAGS;
use crate::format::series;
use crate::format::session_context::SessionContext;
use crate::format::value::{self, Value};
use crate::ledger::LedgerFile;
use crate::page::cells::{object, write_number};
use crate::page::extent::{Extent, bare_cells, with_cells};
use crate::page::hidden::Hidden;
use crate::platform::memory;
use crate::views::batch::Batch;
use crate::views::fold::{Fold, Folded, Refusal};
use crate::views::parallel_read::{self, BulkFold};
use crate::views::registry::Registry;
use crate::views::runs::{Run, Runs};
use crate::views::sessions::Session;

/// So many bytes of what artifacts look like are kept, of those that were recorded last.
const MAX_PREVIEW_BYTES: usize = 16 << 20;

/// So many points of series are shown at most, those of the newest runs.
const MAX_POINTS: usize = 1_000_000;

/// Everything that the page shows, as of one row.
#[derive(Debug, Default)]
pub(super) struct View {
    extent: Arc<Extent>,
    /// The ids of the runs that aren't shown.
    pub left_out: HashSet<String>,
    /// The numbers of their rows, in order.
    rows_left_out: Vec<u64>,
    /// What sessions say where the page doesn't: by it alone a run is known to be lost.
    held_back: HashMap<String, SessionContext>,
    pub ledger: String,
    pub runs: Runs,
    pub registry: Registry,
    /// The names of the metrics that are series.
    series: Vec<String>,
    series_by_name: HashMap<String, u32>,
    /// In the order of the rows.
    pub points: Vec<Point>,
    pub previews: Previews,
    /// What rows speak of, in their order: those that came after the view was made.
    pub changes: Vec<(u64, Change)>,
}

/// What R objects look like, by the hashes of their bytes.
#[derive(Debug, Default)]
pub(super) struct Previews {
    by_hash: HashMap<String, Preview>,
    /// The hashes, those that were recorded first in front.
    order: VecDeque<String>,
    bytes: usize,
}

impl Previews {
    pub(super) fn get(&self, sha256: &str) -> Option<&Preview> {
        self.by_hash.get(sha256)
    }

    fn add(&mut self, sha256: &str, preview: Preview) {
        self.bytes += preview.memory();
        match self.by_hash.insert(sha256.to_owned(), preview) {
            Some(before) => self.bytes -= before.memory(),
            None => self.order.push_back(sha256.to_owned()),
        }
        while self.bytes > MAX_PREVIEW_BYTES {
            let first = self.order.pop_front();
            let Some(gone) = first.and_then(|first| self.by_hash.remove(&first)) else {
                break;
            };
            self.bytes -= gone.memory();
        }
    }
}

#[derive(Debug)]
pub(super) struct Point {
    pub seq: u64,
    run: u32,
    series: u32,
    step: i64,
    /// `None` is NA.
    value: Option<f64>,
    at: f64,
}

#[derive(Debug)]
pub(super) enum Change {
    Run(usize),
    /// The entry of an artifact.
    Artifact(ArtifactEntry),
    Session(String),
    Registry,
}

impl View {
    /// The view of a ledger, so much of it.
    pub(super) fn read_extent(file: &LedgerFile, extent: &Arc<Extent>) -> Result<Folded<View>> {
        let new = || View {
            extent: extent.clone(),
            ..View::default()
        };
        let folded = parallel_read::read_into(file, new)?;
        let position = folded.position().copied();
        let mut view = folded.into_view();
        view.changes.clear();
        Ok(match position {
            Some(position) => Folded::at(view, position),
            None => Folded::begun(view),
        })
    }

    /// From now on takes over rows of these runs.
    pub(super) fn show(&mut self, extent: &Arc<Extent>) {
        self.extent = extent.clone();
    }

    /// Whether a row speaks of a run that isn't shown.
    pub(super) fn leaves_out(&self, row: u64) -> bool {
        self.rows_left_out.binary_search(&row).is_ok()
    }

    /// Whether a running run's process is provably gone.
    pub(super) fn is_lost(&self, run: Run<'_>) -> bool {
        run.is_lost_by(|session: &Session| {
            let held_back = self.held_back.get(&session.id);
            held_back.or(session.context.as_ref())
        })
    }

    fn push_change(&mut self, row: &Row<'_>, change: Change) {
        memory::reserve(&mut self.changes, 1);
        self.changes.push((row.seq.0, change));
    }

    /// Takes over what a row says of a run and [`Runs`] doesn't keep.
    fn take(&mut self, row: &Row<'_>, run: usize) -> std::result::Result<(), Refusal> {
        self.push_change(row, Change::Run(run));
        if series::may_stand_in(row.metrics) {
            for (key, json) in row.metrics.pairs()? {
                let series = self.series_number(value::unescape_key(&key));
                series::each_point(&json, row.time, |step, value, at| {
                    let value = match value {
                        Value::Double(x) => Some(x),
                        Value::Int(x) => Some(f64::from(x)),
                        _ => None,
                    };
                    memory::reserve(&mut self.points, 1);
                    self.points.push(Point {
                        seq: row.seq.0,
                        run: run as u32,
                        series,
                        step,
                        value,
                        at,
                    });
                });
            }
        }
        for (_, json) in row.artifacts.pairs()? {
            let preview = Preview::of(&json);
            let entry = ArtifactEntry::read(json);
            if let Some((sha256, preview)) = entry.sha256.as_deref().zip(preview) {
                self.previews.add(sha256, preview);
            }
            self.push_change(row, Change::Artifact(entry));
        }
        Ok(())
    }

    fn series_number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.series_by_name.get(name) {
            return number;
        }
        let number = self.series.len() as u32;
        self.series.push(name.to_owned());
        self.series_by_name.insert(name.to_owned(), number);
        number
    }
}

impl Fold for View {
    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        if self.extent.leaves_out(row) {
            self.left_out.insert(row.run_id.to_owned());
            memory::reserve(&mut self.rows_left_out, 1);
            self.rows_left_out.push(row.seq.0);
            return self.registry.apply(row);
        }
        if !self.extent.without_context {
            return self.take_row(row);
        }
        if row.event == EventKind::Session {
            let context = SessionContext::read(row.context)?;
            let id = context.id().unwrap_or_default().to_owned();
            // The first row of an id says what the session was.
            self.held_back.entry(id).or_insert(context);
        }
        let cells = bare_cells(row)?;
        self.take_row(&with_cells(row, &cells))
    }

    fn size(&self) -> usize {
        self.runs.size()
            + self.registry.size()
            + size_of::<Point>() * self.points.len()
            + self.previews.bytes
            + size_of::<String>() * self.left_out.len()
            + size_of::<u64>() * self.rows_left_out.len()
    }

    fn read(file: &LedgerFile) -> Result<Folded<View>> {
        View::read_extent(file, &Arc::default())
    }
}

impl View {
    fn take_row(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        self.runs.apply(row)?;
        self.registry.apply(row)?;
        if self.runs.run_ids.is_without_effect(row.seq) {
            // Of what comes too late tags count.
            if row.event.continues_run() && row.context.mentions(TAGS) {
                let run = self.runs.get(row.run_id)?.map(|run| run.row);
                run.into_iter()
                    .for_each(|run| self.push_change(row, Change::Run(run)));
            }
            return Ok(());
        }
        match row.event {
            EventKind::Ledger => {
                self.ledger = LedgerContext::read(row.context)?.id.unwrap_or_default();
            }
            EventKind::Session => {
                let context = SessionContext::read(row.context)?;
                let id = context.id().unwrap_or_default().to_owned();
                self.push_change(row, Change::Session(id));
            }
            kind if kind.is_of_model() => self.push_change(row, Change::Registry),
            kind if kind.begins_run() || kind.continues_run() => {
                if let Some(run) = self.runs.get(row.run_id)?.map(|run| run.row) {
                    self.take(row, run)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl BulkFold for View {
    fn add(&mut self, batch: &Batch, rows: std::ops::Range<usize>) -> Option<()> {
        if self.extent.runs.is_some() && !rows.is_empty() {
            return None;
        }
        self.registry.add(batch, rows.clone())?;
        self.runs.add(batch, rows)
    }
}

impl View {
    /// The points of the newest runs, as many as are shown.
    pub(super) fn newest_points(&self, omitted: &mut Vec<String>) -> Vec<&Point> {
        if self.points.len() <= MAX_POINTS {
            return self.points.iter().collect();
        }
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for point in &self.points {
            *counts.entry(point.run).or_default() += 1;
        }
        let mut room = MAX_POINTS;
        let newest = counts.iter().rev().map_while(|(run, count)| {
            room = room.checked_sub(*count)?;
            Some(*run)
        });
        let shown: HashSet<u32> = newest.collect();
        omitted.push(format!(
            "Series of {} of {} runs: the page holds {MAX_POINTS} values, of the newest runs, at \
             most. `read_metrics()` has them all.",
            counts.len() - shown.len(),
            counts.len()
        ));
        let is_shown = |point: &&Point| shown.contains(&point.run);
        self.points.iter().filter(is_shown).collect()
    }

    pub(super) fn write_points(&self, mut points: Vec<&Point>, hidden: &Hidden, out: &mut Vec<u8>) {
        points.retain(|point| {
            let metric = &self.series[point.series as usize];
            !hidden.has(metric, point.run as usize)
        });
        points.sort_by_key(|point| (point.run, point.series));
        object(out, |o| {
            for of_run in points.chunk_by(|a, b| a.run == b.run) {
                object(o.row(of_run[0].run as usize), |o| {
                    for curve in of_run.chunk_by(|a, b| a.series == b.series) {
                        let metric = &self.series[curve[0].series as usize];
                        write_curve(curve, o.key(metric));
                    }
                });
            }
        });
    }
}

fn write_curve(curve: &[&Point], out: &mut Vec<u8>) {
    object(out, |o| {
        json::write_array(curve, o.key("step"), |point, out| {
            json::write_int(point.step, out);
        });
        json::write_array(curve, o.key("value"), |point, out| match point.value {
            Some(value) => write_number(value, out),
            None => out.extend_from_slice(b"null"),
        });
        json::write_array(curve, o.key("time"), |point, out| {
            write_number((1000.0 * point.at).round(), out);
        });
    });
}
