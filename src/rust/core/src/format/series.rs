//! A stretch of a series: what a `log` says of a metric that is written step by step.

use crate::format::json::{self, Json};
use crate::format::object::Object;
use crate::format::row::Cell;
use crate::format::time::Timestamp;
use crate::format::value::Value;

const STEP: &str = "step";
const VALUE: &str = "value";
const TIME: &str = "time";

/// Steps, values, and times in seconds since 1970, as many of each.
pub fn object(steps: &[i64], values: &[Value], times: &[f64]) -> Object {
    Object::new()
        .array(STEP, steps, |step, out| json::write_int(*step, out))
        .array(VALUE, values, Value::write)
        .array(TIME, times, |time, out| json::write_double(*time, out))
}

/// The value that a metric ends with: itself, or that of the point which was reported last, with the time of that in
/// seconds since 1970 where it has one. A series may have no point.
pub fn last_reported(metric: &Json) -> Option<(Value, Option<f64>)> {
    let Some(Json::Array(values)) = metric.get(VALUE) else {
        return Some((Value::from_json(metric), None));
    };
    let time = |index: usize| match metric.get(TIME) {
        Some(Json::Array(times)) => times.get(index).and_then(seconds),
        _ => None,
    };
    // The last one of those that were reported at once.
    let last = (0..values.len()).max_by(|&a, &b| {
        let (a, b) = (time(a), time(b));
        a.zip(b)
            .map_or(std::cmp::Ordering::Less, |(a, b)| a.total_cmp(&b))
    })?;
    Some((Value::from_json(&values[last]), time(last)))
}

/// When the last value of the metrics of a row was reported, in seconds since 1970; `row` is the time of what says none.
pub fn reported_in(metrics: Cell<'_>, row: Timestamp) -> Option<f64> {
    // What can't be read here is an error for who reads its values.
    let metrics = metrics.pairs().unwrap_or_default();
    let last = metrics.iter().filter_map(|(_, json)| last_reported(json));
    last.map(|(_, at)| at.unwrap_or(row.seconds()))
        .max_by(f64::total_cmp)
}

fn seconds(time: &Json) -> Option<f64> {
    match time {
        Json::Double(seconds) => Some(*seconds),
        _ => None,
    }
}

/// Whether a cell may hold a stretch of a series: what says no needn't be read.
pub fn may_stand_in(metrics: Cell<'_>) -> bool {
    metrics.mentions(STEP)
}

/// Visits step, value and time, in seconds since 1970, of each point of a stretch of a series; of
/// any other value nothing. `row` is the time of what has none.
pub fn each_point(metric: &Json, row: Timestamp, mut visit: impl FnMut(i64, Value, f64)) {
    let (Some(Json::Array(steps)), Some(Json::Array(values))) =
        (metric.get(STEP), metric.get(VALUE))
    else {
        return;
    };
    let times = match metric.get(TIME) {
        Some(Json::Array(times)) => times.as_slice(),
        _ => &[],
    };
    for (i, (step, value)) in steps.iter().zip(values).enumerate() {
        let at = times.get(i).and_then(seconds).unwrap_or(row.seconds());
        let step = step.as_int().unwrap_or_default();
        visit(step, Value::from_json(value), at);
    }
}
