//! Series: a metric that is written again and again, step by step.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::format::event::EventKind;
use crate::format::json::{Json, Malformed};
use crate::format::object::Object;
use crate::format::series;
use crate::format::time::Timestamp;
use crate::format::value::{self, Value};
use crate::ledger::Ledger;
use crate::views::runs::Runs;

/// So many values of a run are buffered at most …
const MAX_BUFFERED_VALUES: usize = 1000;
/// … and so long.
const MAX_BUFFERED_TIME: Duration = Duration::from_millis(200);

/// Values of a live run that are not in its ledger yet.
#[derive(Debug)]
pub struct Buffer {
    series: Vec<Series>,
    values: usize,
    since: Instant,
}

#[derive(Debug)]
struct Series {
    name: String,
    steps: Vec<i64>,
    values: Vec<Value>,
    times: Vec<f64>,
}

impl Buffer {
    pub fn new(now: Instant) -> Buffer {
        Buffer {
            series: Vec::new(),
            values: 0,
            since: now,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// Takes a value. `at` is in seconds since 1970.
    pub fn push(&mut self, name: &str, step: i64, value: Value, at: f64) {
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

    /// Whether it is time to write.
    pub fn is_due(&self, now: Instant) -> bool {
        self.values >= MAX_BUFFERED_VALUES || now.duration_since(self.since) >= MAX_BUFFERED_TIME
    }

    /// The metrics cell of a `log` row.
    pub fn cell(&self) -> Object {
        self.series.iter().fold(Object::new(), |cell, series| {
            let stretch = series::object(&series.steps, &series.values, &series.times);
            cell.named_object(&series.name, &stretch)
        })
    }

    /// Forgets what has been written.
    pub fn clear(&mut self, now: Instant) {
        *self = Buffer::new(now);
    }
}

/// A value of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The run's row.
    pub run: usize,
    pub metric: String,
    pub step: i64,
    pub value: Value,
    /// Seconds since 1970; the row's time where the point has none.
    pub at: f64,
}

/// Every value of every series, run by run and metric by metric, in the order of writing.
pub fn points(ledger: &Ledger, runs: &Runs) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for row in ledger.rows() {
        let row = row?;
        let without_effect = runs.run_ids.is_without_effect(row.seq);
        if !has_metrics(row.event) || row.metrics.is_empty() || without_effect {
            continue;
        }
        let Some(run) = runs.get(row.run_id)?.map(|run| run.row) else {
            continue;
        };
        let pairs = row
            .metrics
            .pairs()
            .map_err(|Malformed(why)| ledger.damaged(&row, why))?;
        for (key, json) in pairs {
            read_series(run, value::unescape_key(&key), &json, row.time, &mut points);
        }
    }
    let mut order: Vec<&str> = Vec::new();
    for point in &points {
        if !order.contains(&point.metric.as_str()) {
            order.push(&point.metric);
        }
    }
    let rank = |metric: &str| order.iter().position(|known| *known == metric);
    let mut keyed: Vec<(usize, Option<usize>, usize)> = points
        .iter()
        .enumerate()
        .map(|(i, point)| (point.run, rank(&point.metric), i))
        .collect();
    keyed.sort_unstable();
    Ok(keyed
        .into_iter()
        .map(|(_, _, i)| points[i].clone())
        .collect())
}

fn has_metrics(event: EventKind<'_>) -> bool {
    event.begins_run() || matches!(event, EventKind::Log | EventKind::End)
}

fn read_series(run: usize, metric: &str, json: &Json, row: Timestamp, points: &mut Vec<Point>) {
    series::each_point(json, row, |step, value, at| {
        let metric = metric.to_owned();
        points.push(Point {
            run,
            metric,
            step,
            value,
            at,
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_writes_each_series_once() {
        let start = Instant::now();
        let mut buffer = Buffer::new(start);
        assert!(buffer.is_empty());
        for (step, loss) in [(1, 0.9), (2, f64::INFINITY), (2, 0.6)] {
            buffer.push("loss", step, Value::Double(loss), 1.5);
        }
        buffer.push("$acc", 1, Value::Int(1), 2.0);
        assert_eq!(
            String::from_utf8(buffer.cell().pairs().to_vec()).unwrap(),
            r#""loss":{"step":[1,2,2],"value":[0.9,{"$double":"Inf"},0.6],"time":[1.5,1.5,1.5]},"$$acc":{"step":[1],"value":[1],"time":[2.0]}"#
        );
        assert!(!buffer.is_due(start));
        assert!(buffer.is_due(start + MAX_BUFFERED_TIME));
        for step in 0..1000 {
            buffer.push("loss", step, Value::Double(0.1), 3.0);
        }
        assert!(buffer.is_due(start));
        buffer.clear(start);
        assert!(buffer.is_empty() && !buffer.is_due(start));
    }
}
