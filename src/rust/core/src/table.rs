//! Runs as a table: one row a run, one column a parameter or metric.

use std::collections::HashSet;

use crate::runs::{Run, Runs};
use crate::value::{Kind, Value};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Atomic(Kind),
    /// Values of different types, or vectors.
    Mixed,
}

/// A column; a run without the value has none here.
#[derive(Debug)]
pub struct Column<'a> {
    pub name: String,
    pub ty: Type,
    pub cells: Vec<Option<&'a Value>>,
}

/// Which of parameters and metrics a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Param,
    Metric,
}

/// The names of the columns that the parameters and metrics of a ledger make, in their order.
///
/// A name that is both becomes `params.x` and `metrics.x`.
pub fn column_names(runs: &Runs) -> Vec<(String, Role)> {
    let params = runs
        .params
        .iter()
        .map(|name| (name, Role::Param, runs.metrics.contains(name), "params"));
    let metrics = runs
        .metrics
        .iter()
        .map(|name| (name, Role::Metric, runs.params.contains(name), "metrics"));
    let mut taken: HashSet<String> = runs
        .params
        .iter()
        .chain(runs.metrics.iter())
        .map(str::to_owned)
        .collect();
    params
        .chain(metrics)
        .map(|(name, role, both, prefix)| {
            let name = if both {
                unique(format!("{prefix}.{name}"), &mut taken)
            } else {
                name.to_owned()
            };
            (name, role)
        })
        .collect()
}

fn unique(name: String, taken: &mut HashSet<String>) -> String {
    let mut candidate = name.clone();
    let mut count = 1;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{name}.{count}");
        count += 1;
    }
    candidate
}

/// The columns of parameters and metrics that are wanted, over the runs that are.
pub fn columns<'a>(
    runs: &'a Runs,
    rows: &[&'a Run],
    wanted: impl Fn(&str) -> bool,
) -> Vec<Column<'a>> {
    let names = column_names(runs);
    let params = runs.params.iter().count();
    let mut columns: Vec<Option<Column<'a>>> = names
        .into_iter()
        .map(|(name, _)| {
            wanted(&name).then(|| Column {
                name,
                ty: Type::Mixed,
                cells: vec![None; rows.len()],
            })
        })
        .collect();
    for (row, run) in rows.iter().enumerate() {
        let values = run.params.iter().map(|(place, value)| (*place, value));
        let metrics = run
            .metrics
            .iter()
            .map(|(place, value)| (params + place, value));
        for (place, value) in values.chain(metrics) {
            if let Some(column) = &mut columns[place] {
                column.cells[row] = Some(value);
            }
        }
    }
    let mut columns: Vec<Column<'a>> = columns.into_iter().flatten().collect();
    for column in &mut columns {
        column.ty = common_type(&column.cells);
    }
    columns
}

/// The type that holds all values without changing one: integers widen to double, NA to anything.
pub fn common_type(cells: &[Option<&Value>]) -> Type {
    let mut present = None;
    let mut missing = None;
    for value in cells.iter().flatten() {
        let (seen, kind) = match value {
            Value::Null | Value::Redacted => continue,
            Value::Na(kind) => (&mut missing, *kind),
            Value::Code(_) => (&mut present, Kind::Character),
            value => match value.kind() {
                Some(kind) => (&mut present, kind),
                None => return Type::Mixed,
            },
        };
        *seen = match (*seen, kind) {
            (None, kind) => Some(kind),
            (Some(known), kind) if known == kind => Some(kind),
            (Some(Kind::Integer | Kind::Double), Kind::Integer | Kind::Double) => {
                Some(Kind::Double)
            }
            _ if matches!(value, Value::Na(_)) => Some(Kind::Logical),
            _ => return Type::Mixed,
        };
    }
    Type::Atomic(present.or(missing).unwrap_or(Kind::Logical))
}
