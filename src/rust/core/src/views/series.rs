//! Series: a metric that is written again and again, step by step.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::format::event::EventKind;
use crate::format::object::Object;
use crate::format::row::Row;
use crate::format::series;
use crate::format::value::{self, Value};
use crate::platform::memory;
use crate::views::batch::Batch;
use crate::views::fold::{Fold, Refusal};
use crate::views::parallel_read::BulkFold;
use crate::views::run_ids::{Effect, RunIds};

/// So many values of a run are buffered at most …
const MAX_BUFFERED_VALUES: usize = 1000;
/// … and so long.
const MAX_BUFFERED_TIME: Duration = Duration::from_millis(200);

/// Values of a live run that are not in its ledger yet.
#[derive(Debug, Default)]
pub struct Buffer {
    series: Vec<Series>,
    values: usize,
    /// When the first of them came.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Series {
    name: String,
    steps: Vec<i64>,
    values: Vec<Value>,
    times: Vec<f64>,
}

impl Buffer {
    /// Takes a value. `at` is in seconds since 1970.
    pub fn push(&mut self, name: &str, step: i64, value: Value, at: f64, now: Instant) {
        self.since.get_or_insert(now);
        let known = self.series.iter().position(|series| series.name == name);
        let index = known.unwrap_or_else(|| {
            let (steps, values, times) = (Vec::new(), Vec::new(), Vec::new());
            self.series.push(Series {
                name: name.to_owned(),
                steps,
                values,
                times,
            });
            self.series.len() - 1
        });
        let series = &mut self.series[index];
        series.steps.push(step);
        series.values.push(value);
        series.times.push(at);
        self.values += 1;
    }

    /// Has nothing reported before a time, in seconds since 1970.
    pub fn not_before(&mut self, earliest: f64) {
        let times = self.series.iter_mut().flat_map(|series| &mut series.times);
        times.for_each(|at| *at = at.max(earliest));
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values
    }

    pub fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        self.values >= MAX_BUFFERED_VALUES
    }

    /// When what there is is to be written; `None` where there is nothing.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + MAX_BUFFERED_TIME)
    }

    /// The metrics cell of a `log` row.
    pub fn cell(&self) -> Object {
        self.series.iter().fold(Object::new(), |cell, series| {
            let stretch = series::object(&series.steps, &series.values, &series.times);
            cell.named_object(&series.name, &stretch)
        })
    }

    /// Takes values back that came before those that there are.
    pub fn put_back(&mut self, mut earlier: Buffer) {
        std::mem::swap(self, &mut earlier);
        for series in earlier.series {
            let points = series.steps.into_iter().zip(series.values);
            for ((step, value), at) in points.zip(series.times) {
                let since = earlier.since.expect("there are values");
                self.push(&series.name, step, value, at, since);
            }
        }
    }
}

/// A value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The run's row.
    pub run: u32,
    /// The number of the metric among all that have series.
    pub metric: u32,
    pub step: i64,
    /// `None` where it is missing.
    pub value: Option<f64>,
    /// Seconds since 1970; the row's time where the point has none.
    pub at: f64,
}

/// What stands for a series when runs are compared by it, in place of the value that was reported last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Min,
    Max,
    Mean,
}

impl Over {
    pub fn named(name: &str) -> Option<Over> {
        Some(match name {
            "min" => Over::Min,
            "max" => Over::Max,
            "mean" => Over::Mean,
            _ => return None,
        })
    }
}

/// Every value of every series, in the order of writing.
#[derive(Debug, Default)]
pub struct Points {
    pub run_ids: RunIds,
    /// The metrics that have series, in the order in which they first do.
    pub metrics: Vec<String>,
    by_name: HashMap<String, u32>,
    points: Vec<Point>,
}

impl Points {
    /// The points of some runs and some metrics, `None` for all: run by run and metric by metric, in the order of
    /// writing.
    pub fn of(&self, runs: Option<&[String]>, metrics: Option<&[String]>) -> Result<Vec<Point>> {
        let rows: Option<HashSet<usize>> = match runs {
            Some(ids) => {
                let rows = ids.iter().map(|id| self.run_ids.known(id));
                Some(rows.collect::<Result<_>>()?)
            }
            None => None,
        };
        let is_of_run = |point: &&Point| {
            let mut rows = rows.iter();
            rows.all(|rows| rows.contains(&(point.run as usize)))
        };
        // They are put in order in a copy.
        memory::ensure(2 * self.points.len() * size_of::<Point>());
        let mut points: Vec<Point> = self.points.iter().filter(is_of_run).copied().collect();
        if let Some(names) = metrics {
            let there: BTreeSet<u32> = points.iter().map(|point| point.metric).collect();
            let mut wanted = HashSet::new();
            for name in names {
                let known = self.by_name.get(name).filter(|it| there.contains(it));
                wanted.insert(*known.ok_or_else(|| self.unknown(name, &there))?);
            }
            points.retain(|point| wanted.contains(&point.metric));
        }
        // A stable sort leaves those of a series in their order.
        points.sort_by_key(|point| (point.run, point.metric));
        Ok(points)
    }

    /// What stands for the series of a metric, by the rows of the runs that have one with a number in it.
    pub fn over(&self, metric: &str, over: Over) -> HashMap<usize, f64> {
        let mut by_run: HashMap<usize, (f64, f64)> = HashMap::new();
        let number = self.by_name.get(metric);
        let points = self.points.iter();
        for point in points.filter(|point| Some(&point.metric) == number) {
            let Some(value) = point.value.filter(|value| !value.is_nan()) else {
                continue;
            };
            let (known, count) = by_run.entry(point.run as usize).or_insert((value, 0.0));
            *count += 1.0;
            *known = match over {
                Over::Min => known.min(value),
                Over::Max => known.max(value),
                // From an infinite mean there is no distance to a value.
                Over::Mean if known.is_infinite() => *known + value,
                Over::Mean => *known + (value - *known) / *count,
            };
        }
        let summaries = by_run.into_iter();
        summaries
            .map(|(run, (summary, _))| (run, summary))
            .collect()
    }

    fn unknown(&self, name: &str, there: &BTreeSet<u32>) -> Error {
        let known = there.iter();
        Error::Unknown {
            what: "series",
            name: name.to_owned(),
            known: known
                .map(|&metric| self.metrics[metric as usize].clone())
                .collect(),
            hint: String::new(),
        }
    }

    fn metric(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let next = self.metrics.len() as u32;
        self.metrics.push(name.to_owned());
        self.by_name.insert(name.to_owned(), next);
        next
    }
}

impl Fold for Points {
    fn size(&self) -> usize {
        self.run_ids.size() + self.points.capacity() * size_of::<Point>()
    }

    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        let Effect::OfRun(run) = self.run_ids.apply(row)? else {
            return Ok(());
        };
        if !has_metrics(row.event) || !series::may_stand_in(row.metrics) {
            return Ok(());
        }
        for (key, json) in row.metrics.pairs()? {
            let name = value::unescape_key(&key);
            let mut metric = None;
            series::each_point(&json, row.time, |step, value, at| {
                let metric = *metric.get_or_insert_with(|| self.metric(name));
                let value = match value {
                    Value::Double(x) => Some(x),
                    Value::Int(x) => Some(f64::from(x)),
                    _ => None,
                };
                let run = run as u32;
                memory::reserve(&mut self.points, 1);
                self.points.push(Point {
                    run,
                    metric,
                    step,
                    value,
                    at,
                });
            });
        }
        Ok(())
    }
}

impl BulkFold for Points {
    /// Finished runs with plain values have no series.
    fn add(&mut self, batch: &Batch, rows: Range<usize>) -> Option<()> {
        self.run_ids.begin_all(batch, rows)
    }
}

fn has_metrics(event: EventKind<'_>) -> bool {
    event.begins_run() || matches!(event, EventKind::Log | EventKind::End)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_writes_each_series_once() {
        let start = Instant::now();
        let mut buffer = Buffer::default();
        assert_eq!(buffer.due(), None);
        for (step, loss) in [(1, 0.9), (2, f64::INFINITY), (2, 0.6)] {
            buffer.push("loss", step, Value::Double(loss), 1.5, start);
        }
        let later = start + Duration::from_secs(1);
        buffer.push("$acc", 1, Value::Int(1), 2.0, later);
        assert_eq!(
            String::from_utf8(buffer.cell().pairs().to_vec()).unwrap(),
            r#""loss":{"step":[1,2,2],"value":[0.9,{"$double":"Inf"},0.6],"time":[1.5,1.5,1.5]},"$$acc":{"step":[1],"value":[1],"time":[2.0]}"#
        );
        assert_eq!(buffer.due(), Some(start + MAX_BUFFERED_TIME));
        assert!(!buffer.is_full());
        for step in 0..1000 {
            buffer.push("loss", step, Value::Double(0.1), 3.0, later);
        }
        assert!(buffer.is_full());
    }

    #[test]
    fn what_a_buffer_holds_can_be_moved_up_to_a_time() {
        let now = Instant::now();
        let mut buffer = Buffer::default();
        buffer.push("loss", 1, Value::Int(1), 1.0, now);
        buffer.push("loss", 2, Value::Int(2), 3.0, now);
        buffer.not_before(2.0);
        assert_eq!(
            String::from_utf8(buffer.cell().pairs().to_vec()).unwrap(),
            r#""loss":{"step":[1,2],"value":[1,2],"time":[2.0,3.0]}"#
        );
    }

    #[test]
    fn what_is_put_back_comes_before_what_came_since() {
        let start = Instant::now();
        let later = start + Duration::from_millis(50);
        let mut buffer = Buffer::default();
        buffer.push("loss", 2, Value::Int(20), 2.0, later);
        buffer.push("acc", 2, Value::Int(21), 2.0, later);
        let mut earlier = Buffer::default();
        earlier.push("loss", 1, Value::Int(10), 1.0, start);
        buffer.put_back(earlier);
        assert_eq!(
            String::from_utf8(buffer.cell().pairs().to_vec()).unwrap(),
            r#""loss":{"step":[1,2],"value":[10,20],"time":[1.0,2.0]},"acc":{"step":[2],"value":[21],"time":[2.0]}"#
        );
        assert_eq!(buffer.due(), Some(start + MAX_BUFFERED_TIME));
    }
}
