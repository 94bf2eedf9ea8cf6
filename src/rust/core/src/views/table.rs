//! Runs as a table: one row a run, one column a parameter or metric.

use std::collections::HashSet;

use crate::columnar::blocks::{BLOCK, Result};
use crate::columnar::cells::Tag;
use crate::columnar::columns;
use crate::format::value::{Kind, Value};
use crate::platform::{sys, threads};
use crate::views::runs::Runs;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Atomic(Kind),
    /// Values of different types, or vectors.
    Mixed,
}

/// A column of the table: the values of one parameter or metric, for the runs that are wanted.
#[derive(Debug)]
pub struct Column<'a> {
    pub name: String,
    pub ty: Type,
    pub values: &'a columns::Column,
    pub rows: &'a [usize],
}

/// Which of parameters and metrics a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Param,
    Metric,
}

/// What names of the user's give way to.
const OWN_NAMES: [&str; 2] = ["run_id", "timestamp"];

/// The names of the columns that the parameters and metrics of a ledger make, in their order.
///
/// A name that is both becomes `params.x` and `metrics.x`. No two columns have one name.
pub fn column_names(runs: &Runs) -> Vec<(String, Role)> {
    let own = |name: &str| OWN_NAMES.contains(&name);
    let params = runs.params.iter().map(|column| {
        let name = column.name.as_str();
        let both = runs.metrics.contains(name) || own(name);
        (name, Role::Param, both, "params")
    });
    let metrics = runs.metrics.iter().map(|column| {
        let name = column.name.as_str();
        let both = runs.params.contains(name) || own(name);
        (name, Role::Metric, both, "metrics")
    });
    let all = runs.params.iter().chain(runs.metrics.iter());
    let mut taken: HashSet<String> = all.map(|column| column.name.clone()).collect();
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

/// The names of further columns beside those of the parameters and metrics, which come first: where
/// one is taken, ours becomes `details.x`.
pub fn detail_names(names: &[(String, Role)], details: &[&str]) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().map(|(name, _)| name.clone()).collect();
    let detail = |&name: &&str| match taken.insert(name.to_owned()) {
        true => name.to_owned(),
        false => unique(format!("details.{name}"), &mut taken),
    };
    details.iter().map(detail).collect()
}

/// A name that isn't taken: itself, or with a number.
fn unique(name: String, taken: &mut HashSet<String>) -> String {
    let mut candidate = name.clone();
    let mut count = 1;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{name}.{count}");
        count += 1;
    }
    candidate
}

/// The metric that a user means: by its own name, or by that of its column.
pub fn find_metric<'a>(runs: &'a Runs, name: &str) -> Option<&'a columns::Column> {
    let labels = column_names(runs).into_iter();
    let labels = labels.filter(|(_, role)| *role == Role::Metric);
    let mut metrics = labels.zip(runs.metrics.iter());
    let by_name = runs.metrics.iter().find(|metric| metric.name == name);
    by_name.or_else(|| {
        let by_label = metrics.find(|((label, _), _)| label == name);
        by_label.map(|(_, metric)| metric)
    })
}

/// The rows of the runs that a table is about: those that aren't void, or all.
pub fn all_rows(runs: &Runs, void: bool) -> Result<Vec<usize>> {
    match void {
        true => Ok((0..runs.len()).collect()),
        false => runs.valid(),
    }
}

/// The columns of parameters and metrics that are wanted, for the runs in some rows: these values
/// are brought into memory. Their type is that of all runs which the table is about.
pub fn columns<'a>(
    runs: &'a Runs,
    void: bool,
    rows: &'a [usize],
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Column<'a>>> {
    let all = runs.params.iter().chain(runs.metrics.iter());
    let names = column_names(runs).into_iter().zip(all);
    let chosen: Vec<(String, &columns::Column)> = names
        .filter(|((name, _), _)| wanted(name))
        .map(|((name, _), values)| (name, values))
        .collect();
    let about_all = void || runs.count_void() == 0;
    let known_type = |values: &columns::Column| values.only().filter(|_| about_all);
    let all_rows = match chosen
        .iter()
        .all(|(_, values)| known_type(values).is_some())
    {
        true => Vec::new(),
        false => all_rows(runs, void)?,
    };
    let load = |(_, values): &(String, &columns::Column)| {
        values.load(rows)?;
        match known_type(values) {
            Some(_) => Ok(()),
            None => values.load_kinds(&all_rows),
        }
    };
    // For a few rows threads cost more than they save.
    match rows.len() < BLOCK {
        true => chosen.iter().try_for_each(load)?,
        false => on_every_processor(&chosen, load)?,
    }
    let column = |(name, values): (String, &'a columns::Column)| Column {
        name,
        ty: match known_type(values) {
            Some(kind) => Type::Atomic(kind),
            None => common_type(values, &all_rows),
        },
        values,
        rows,
    };
    Ok(chosen.into_iter().map(column).collect())
}

fn on_every_processor<T: Sync>(items: &[T], load: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let share = items.len().div_ceil(sys::processors()).max(1);
    let shares: Vec<_> = items.chunks(share).collect();
    let loaded = threads::map(&shares, |items| items.iter().try_for_each(&load));
    loaded.into_iter().collect()
}

impl<'a> Column<'a> {
    pub fn of(name: String, values: &'a columns::Column, rows: &'a [usize]) -> Column<'a> {
        Column {
            name,
            ty: common_type(values, rows),
            values,
            rows,
        }
    }
}

/// The type of a column of some runs.
pub fn column_type(values: &columns::Column, rows: &[usize]) -> Type {
    match values.only() {
        Some(kind) => Type::Atomic(kind),
        None => common_type(values, rows),
    }
}

/// The type that holds all values without changing one: integers widen to double, NA to anything.
fn common_type(values: &columns::Column, rows: &[usize]) -> Type {
    let mut present = None;
    let mut missing = None;
    let mut last = Tag::Absent;
    for &row in rows {
        let tag = values.tag(row);
        // Most cells are of the type of the one before.
        if tag == last && !matches!(tag, Tag::Na | Tag::Other) {
            continue;
        }
        last = tag;
        let (seen, kind) = match tag {
            Tag::Absent | Tag::Null | Tag::Redacted => continue,
            Tag::Other => match values.other(row) {
                Some(Value::Code(_)) => (&mut present, Kind::Character),
                _ => return Type::Mixed,
            },
            _ => {
                let kind = values.kind(row).expect("a single value");
                (
                    if tag == Tag::Na {
                        &mut missing
                    } else {
                        &mut present
                    },
                    kind,
                )
            }
        };
        *seen = match (*seen, kind) {
            (None, kind) => Some(kind),
            (Some(known), kind) if known == kind => Some(kind),
            (Some(Kind::Integer | Kind::Double), Kind::Integer | Kind::Double) => {
                Some(Kind::Double)
            }
            _ if tag == Tag::Na => Some(Kind::Logical),
            _ => return Type::Mixed,
        };
    }
    Type::Atomic(present.or(missing).unwrap_or(Kind::Logical))
}
