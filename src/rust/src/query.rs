//! Reading runs.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::columnar::cells::number;
use fitledger_core::columnar::columns::Column;
use fitledger_core::format::row::RawRow;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::{self, RowRead};
use fitledger_core::platform::{memory, sys};
use fitledger_core::views::best::{self, Wanted};
use fitledger_core::views::compare::{Field, compare};
use fitledger_core::views::details::{self, Beside, Content, Detail};
use fitledger_core::views::export;
use fitledger_core::views::runs::{ALL_PARTS, Part, Run, Runs};
use fitledger_core::views::series::Over;
use fitledger_core::views::table::{self, Role};

use crate::append_request::last_run;
use crate::deferred::DeferredStrings;
use crate::from_r::path;
use crate::guard::{Failure, guard};
use crate::place::place;
use crate::r::{R, Text};
use crate::to_r;
use crate::view_cache::{RUNS, SERIES, guard_views};

/// The columns of the runs: `list(columns, details, detail_names, names, metrics, count, sealed)`.
///
/// `columns` and `details` are named lists of vectors; of `details` the names are our own, and `detail_names` says how a
/// table calls each that there is. `names` are those of all parameters and metrics, and `metrics` those of the metrics,
/// named by what each is called by itself; `sealed` are metrics that are hidden.
///
/// `wanted` names columns, `NULL` for all of them; `details` names those that are wanted, `TRUE` for all. `best` is
/// `NULL`, or `list(metric, maximize, n, run_ids, over)` for the best alone, of all runs if `run_ids` is `NULL`; the metric
/// then shows what it is over its series, if `over` isn't `NULL`.
///
/// @noRd
#[extendr]
fn native_read_runs(file: Robj, wanted: Robj, details: Robj, void: Robj, best: Robj) -> Robj {
    guard_views(|| {
        let wanted = R::of(&wanted);
        let wanted: Option<HashSet<String>> = match wanted.is_null() {
            true => None,
            false => Some(texts(wanted)?.into_iter().collect()),
        };
        let void = R::of(&void).is_true();
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        let names = table::column_names(runs);
        let beside = details::beside(runs, &names);
        let wanted_beside: Vec<&Beside<'_>> = match R::of(&details).is_true() {
            true => beside.iter().collect(),
            false => {
                let named = texts(R::of(&details))?;
                let is_named = |column: &Beside<'_>| {
                    named.contains(&column.name) || named.contains(&column.label)
                };
                // Whoever asks for all tags may look at any.
                let is_tags = |column: &Beside<'_>| matches!(column.content, Content::Tags);
                let all_tags = beside
                    .iter()
                    .any(|column| is_tags(column) && is_named(column));
                let is_wanted = |column: &&Beside<'_>| {
                    is_named(column) || all_tags && matches!(column.content, Content::Tag(_))
                };
                beside.iter().filter(is_wanted).collect()
            }
        };
        let best = match R::of(&best).is_null() {
            true => None,
            false => Some(Best::of(R::of(&best), runs, cached.path())?),
        };
        let rows = match &best {
            None => table::all_rows(runs, void)?,
            Some(best) => best.among(runs)?,
        };
        let shown = best.as_ref().and_then(|best| best.shown(runs, &rows));
        let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
        let columns = table::columns(runs, void, &rows, is_wanted)?;
        runs.load(&rows, &[])?;
        // A table has a cell for each run and name, also where the ledger has few: that can be more than the machine has,
        // of which no single column asks too much.
        memory::ensure(to_r::size(&columns));

        let mut column_names = vec!["run_id".to_owned(), "timestamp".to_owned()];
        let mut vectors = vec![
            rows.iter()
                .map(|&row| runs.at(row).id())
                .collect::<DeferredStrings>()
                .into_vector(),
            to_r::instants(rows.iter().map(|&row| runs.at(row).began().seconds())),
        ];
        for column in &columns {
            column_names.push(column.name.clone());
            let is_shown = |(metric, _): &&(&Column, Column)| std::ptr::eq(*metric, column.values);
            vectors.push(match shown.as_ref().filter(is_shown) {
                Some((_, values)) => {
                    to_r::column(&table::Column::of(column.name.clone(), values, &rows))
                }
                None => to_r::column(column),
            });
        }
        let details = self::details(runs, &rows, &wanted_beside)?;
        let is_metric = |(_, role): &&(String, Role)| *role == Role::Metric;
        let metrics = names
            .iter()
            .filter(is_metric)
            .map(|(name, _)| name.as_str());
        let own_names = runs.metrics.iter().map(|metric| metric.name.as_str());
        let seen = runs.with_sealed()?.filter(|run| void || !run.is_void());
        let hidden = seen.flat_map(|run| run.hidden());
        let sealed: BTreeSet<String> = hidden.map(|(name, _)| name).collect();
        Ok(list!(
            columns = named_list(column_names.iter().map(String::as_str), vectors),
            details = details,
            detail_names = named_texts(
                beside.iter().map(|column| column.name.as_str()),
                beside.iter().map(|column| column.label.as_str())
            ),
            names = to_r::strings(names.iter().map(|(name, _)| Some(name.as_str()))),
            metrics = named_texts(own_names, metrics),
            count = (runs.len() - if void { 0 } else { runs.count_void() }) as f64,
            sealed = to_r::strings(sealed.iter().map(|name| Some(name.as_str())))
        )
        .into())
    })
}

/// Which runs are the best, by a metric of one of its names.
struct Best {
    metric: String,
    wanted: Wanted,
}

impl Best {
    fn of(list: R, runs: &Runs, file: &Path) -> Result<Best, Failure> {
        let broken = || Failure::argument("best");
        if list.ty() != SEXPTYPE::VECSXP || list.len() != 5 {
            return Err(broken());
        }
        let metric = list.element(0).string().ok_or_else(broken)?;
        let over = match list.element(4).string() {
            Some(over) => Some(Over::named(&over).ok_or_else(broken)?),
            None => None,
        };
        // A series has the metric's own name, whichever column it was asked for by.
        let over = over.zip(table::find_metric(runs, &metric));
        let wanted = Wanted {
            maximize: list.element(1).is_true(),
            n: count(list.element(2)).ok_or_else(broken)?,
            chosen: match list.element(3).ty() {
                SEXPTYPE::NILSXP => None,
                SEXPTYPE::STRSXP => Some(chosen(runs, list.element(3))?),
                _ => return Err(broken()),
            },
            over: match over {
                Some((over, metric)) => {
                    let series = SERIES.lend(file.to_owned())?;
                    series.view().over(&metric.name, over)
                }
                None => HashMap::new(),
            },
        };
        Ok(Best { metric, wanted })
    }

    fn among(&self, runs: &Runs) -> Result<Vec<usize>, Failure> {
        match table::find_metric(runs, &self.metric) {
            Some(metric) => Ok(best::best_runs(runs, metric, &self.wanted)?),
            None => Ok(Vec::new()),
        }
    }

    /// The metric, and the values by which some runs were compared, unless these are its own.
    fn shown<'a>(&self, runs: &'a Runs, rows: &[usize]) -> Option<(&'a Column, Column)> {
        let over = Some(&self.wanted.over).filter(|over| !over.is_empty())?;
        let metric = table::find_metric(runs, &self.metric)?;
        let mut shown = Column::new(&metric.name);
        for &row in rows {
            let own = || number(metric.tag(row), metric.bits(row));
            let value = over.get(&row).copied().or_else(own)?;
            shown.set(row, Value::Double(value)).ok()?;
        }
        Some((metric, shown))
    }
}

/// Of each row whether its run is among those with some ids.
fn chosen(runs: &Runs, ids: R) -> Result<Vec<bool>, Failure> {
    let mut chosen = vec![false; runs.len()];
    for i in 0..ids.len() {
        if let Text::Is(id) = ids.borrowed_text(i) {
            if let Some(row) = runs.run_ids.find(&id)? {
                chosen[row] = true;
            }
        }
    }
    Ok(chosen)
}

fn count(n: R) -> Option<usize> {
    match (n.ty(), n.len()) {
        (SEXPTYPE::REALSXP, 1) => Some(n.doubles()[0] as usize),
        _ => None,
    }
}

/// The best of some numbers: indexes from 1 on.
///
/// @noRd
#[extendr]
fn native_best_of(numbers: Robj, maximize: Robj, n: Robj) -> Robj {
    guard(|| {
        let numbers = R::of(&numbers);
        if numbers.ty() != SEXPTYPE::REALSXP {
            return Err(Failure::argument("numbers"));
        }
        let n = count(R::of(&n)).ok_or_else(|| Failure::argument("n"))?;
        let rows = best::best(numbers.doubles(), R::of(&maximize).is_true(), n);
        Ok(to_r::doubles(rows.iter().map(|&row| row as f64 + 1.0)))
    })
}

fn named_list<'a>(names: impl IntoIterator<Item = &'a str>, values: Vec<Robj>) -> Robj {
    with_names(List::from_values(values).into(), names)
}

fn named_texts<'a>(
    names: impl IntoIterator<Item = &'a str>,
    texts: impl Iterator<Item = &'a str>,
) -> Robj {
    let texts: Vec<Option<&str>> = texts.map(Some).collect();
    with_names(to_r::strings(texts.into_iter()), names)
}

fn with_names<'a>(mut vector: Robj, names: impl IntoIterator<Item = &'a str>) -> Robj {
    let names: Vec<Option<&str>> = names.into_iter().map(Some).collect();
    vector
        .set_attrib("names", to_r::strings(names.into_iter()))
        .expect("as many names as values");
    vector
}

/// The rows of those ids that there are.
pub fn rows_of(runs: &Runs, ids: &[String]) -> Result<Vec<usize>, Failure> {
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        rows.extend(runs.get(id)?.map(|run| run.row));
    }
    Ok(rows)
}

/// The texts of a character vector.
pub fn texts(names: R) -> Result<Vec<String>, Failure> {
    if names.ty() != SEXPTYPE::STRSXP {
        return Err(Failure::argument("names"));
    }
    let text = |i| match names.text(i) {
        Text::Is(name) => Ok(name),
        _ => Err(Failure::argument("names")),
    };
    (0..names.len()).map(text).collect()
}

/// Columns beside those of parameters and metrics, by our own names for them.
fn details(runs: &Runs, rows: &[usize], wanted: &[&Beside<'_>]) -> Result<Robj, Failure> {
    if !wanted.is_empty() {
        runs.load(rows, &[Part::Sessions, Part::Extras])?;
    }
    let vectors = wanted.iter().map(|column| match column.content {
        Content::Detail(detail) => self::detail(runs, rows, detail),
        Content::Tag(tag) => {
            let name = column.name.clone();
            to_r::column(&table::Column::of(name, tag, rows))
        }
        Content::Tags => {
            let tags = rows.iter();
            let tags = tags.map(|&row| to_r::value(&Value::NamedList(runs.at(row).tags())));
            List::from_values(tags.collect::<Vec<Robj>>()).into()
        }
    });
    let names = wanted.iter().map(|column| column.name.as_str());
    Ok(named_list(names, vectors.collect()))
}

fn detail(runs: &Runs, rows: &[usize], detail: Detail) -> Robj {
    let column = detail.column(runs, rows, |run| run.is_lost());
    let vector = to_r::column(&table::Column {
        name: detail.name().to_owned(),
        ty: detail.ty(runs, rows),
        values: &column,
        rows,
    });
    match detail {
        Detail::Duration => to_r::doubles(R::of(&vector).doubles().iter().copied()),
        _ => vector,
    }
}

/// Every value of the series of some runs and metrics, `NULL` for all: `list(run_id, metric, step, value, time)`.
///
/// @noRd
#[extendr]
fn native_read_series(file: Robj, run_ids: Robj, metrics: Robj) -> Robj {
    guard(|| {
        let chosen = |names: &Robj| match R::of(names).is_null() {
            true => Ok(None),
            false => texts(R::of(names)).map(Some),
        };
        let (run_ids, metrics) = (chosen(&run_ids)?, chosen(&metrics)?);
        let cached = SERIES.lend(path(&file)?)?;
        let series = cached.view();
        let points = series.of(run_ids.as_deref(), metrics.as_deref())?;
        let mut runs: Vec<u32> = points.iter().map(|point| point.run).collect();
        runs.dedup();
        let ids = runs.iter().map(|&run| series.run_ids.id(run as usize));
        let place = |run| runs.binary_search(&run).expect("it is among them");
        let names = series.metrics.iter().map(String::as_str);
        // SAFETY: a constant of R's.
        let na = unsafe { extendr_ffi::R_NaReal };
        Ok(list!(
            run_id = to_r::repeated(ids, points.iter().map(|point| place(point.run))),
            metric = to_r::repeated(names, points.iter().map(|point| point.metric as usize)),
            step = to_r::doubles(points.iter().map(|point| point.step as f64)),
            value = to_r::doubles(points.iter().map(|point| point.value.unwrap_or(na))),
            time = to_r::instants(points.iter().map(|point| point.at))
        )
        .into())
    })
}

/// Runs side by side: `list(kind, field, cells)`, the cells a list with a vector for each run.
///
/// @noRd
#[extendr]
fn native_compare(file: Robj, run_ids: Robj, only_different: Robj) -> Robj {
    guard_views(|| {
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        let rows = rows_of(runs, &texts(R::of(&run_ids))?)?;
        runs.load(&rows, &ALL_PARTS)?;
        let chosen: Vec<Run<'_>> = rows.iter().map(|&row| runs.at(row)).collect();
        let mut fields = compare(&chosen);
        if R::of(&only_different).is_true() {
            fields.retain(Field::differs);
        }
        let cells = (0..chosen.len()).map(|run| {
            let column = fields.iter().map(|field| field.cells[run].as_deref());
            to_r::strings(column)
        });
        Ok(list!(
            kind = to_r::strings(fields.iter().map(|field| Some(field.kind))),
            field = to_r::strings(fields.iter().map(|field| Some(field.name.as_str()))),
            cells = List::from_values(cells.collect::<Vec<Robj>>())
        )
        .into())
    })
}

/// The context of the session in which a run last said something, as a list: the keys that we know are there, `NULL`
/// where the row says nothing or something else than their form has it.
///
/// @noRd
#[extendr]
fn native_session_of(file: Robj, run_id: Robj) -> Robj {
    guard_views(|| {
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        let id = R::of(&run_id).string().unwrap_or_default();
        let rows = rows_of(runs, &[id])?;
        runs.load(&rows, &[Part::Sessions])?;
        let run = rows.first().map(|&row| runs.at(row));
        let session = run.and_then(|run| run.last_session().context.as_ref());
        Ok(session.map_or(Robj::from(()), |context| {
            to_r::value(&Value::from_json(&context.in_form()))
        }))
    })
}

/// Every row as it stands in the file, valid or not, the JSON cells as text.
///
/// @noRd
#[extendr]
fn native_events(file: Robj) -> Robj {
    guard(|| {
        let ledger = ledger::read(&path(&file)?)?;
        // The rows, and the texts of one column after the other.
        memory::ensure(4 * ledger.size() as usize);
        let rows = ledger.links().collect::<fitledger_core::Result<Vec<_>>>()?;
        let rows: Vec<RawRow<'_>> = rows.iter().map(RowRead::link).collect();
        let cells: Vec<_> = rows.iter().map(RawRow::cells).collect();
        let times = cells
            .iter()
            .map(|cells| Timestamp::parse(cells[1].as_bytes()));
        let texts = |index: usize| {
            let texts = cells.iter().map(|cells| unquoted(cells[index]));
            let texts: Vec<Option<Cow<'_, str>>> = texts.collect();
            to_r::strings(texts.iter().map(Option::as_deref))
        };
        let hashes: Vec<String> = rows.iter().map(|row| row.hash.to_string()).collect();
        Ok(list!(
            seq = to_r::doubles(rows.iter().map(|row| row.seq.0 as f64)),
            time = to_r::instants(times.map(|time| time.map_or(f64::NAN, |time| time.seconds()))),
            event = texts(2),
            run_id = texts(3),
            params = texts(4),
            metrics = texts(5),
            artifacts = texts(6),
            context = texts(7),
            hash = to_r::strings(hashes.iter().map(|hash| Some(hash.as_str())))
        )
        .into())
    })
}

/// What a cell says, without its quotes; `None` if it is empty.
fn unquoted(cell: &str) -> Option<Cow<'_, str>> {
    let quoted = cell
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(text) => Some(text.replace("\"\"", "\"").into()),
        None => Some(cell.into()).filter(|cell: &Cow<'_, str>| !cell.is_empty()),
    }
}

/// The sealed metrics of a run, revealed or not, as a named list.
///
/// @noRd
#[extendr]
fn native_sealed(file: Robj, run_id: Robj) -> Robj {
    guard_views(|| {
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        let id = R::of(&run_id).string().unwrap_or_default();
        let run = runs.get(&id)?;
        runs.load(&[], &[Part::Extras])?;
        let sealed = run.map_or(Vec::new(), |run| run.sealed());
        Ok(to_r::value(&Value::NamedList(sealed)))
    })
}

/// The ids of all runs, void ones included, in their order.
///
/// @noRd
#[extendr]
fn native_run_ids(file: Robj) -> Robj {
    guard_views(|| {
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        runs.load(&table::all_rows(runs, true)?, &[])?;
        Ok(runs
            .iter()
            .map(|run| run.id())
            .collect::<DeferredStrings>()
            .into_vector())
    })
}

/// The id of the run of a ledger that this process began last, else of the last one; `NULL` where there is none.
///
/// @noRd
#[extendr]
fn native_last_run(file: Robj) -> Robj {
    guard_views(|| {
        let file = path(&file)?;
        let ours = last_run(&file);
        let cached = RUNS.lend(file)?;
        let run_ids = &cached.view().run_ids;
        if let Some(ours) = ours {
            if run_ids.find(ours.as_str())?.is_some() {
                return Ok(Robj::from(ours.as_str()));
            }
        }
        let Some(last) = cached.view().len().checked_sub(1) else {
            return Ok(Robj::from(()));
        };
        run_ids.load(&[last])?;
        Ok(Robj::from(run_ids.id(last)))
    })
}

/// The id of the run that this process began last in a ledger, whatever is there by now; `NULL` for none.
///
/// @noRd
#[extendr]
fn native_last_begun(file: Robj) -> Robj {
    guard_views(|| {
        let ours = last_run(&path(&file)?);
        Ok(ours.map_or_else(|| Robj::from(()), |id| Robj::from(id.as_str())))
    })
}

/// A failure unless the ledger has all of these runs.
///
/// @noRd
#[extendr]
fn native_check_runs(file: Robj, run_ids: Robj) -> Robj {
    guard_views(|| {
        let ids = texts(R::of(&run_ids))?;
        let cached = RUNS.lend(path(&file)?)?;
        for id in &ids {
            cached.view().known(id)?;
        }
        Ok(Robj::from(()))
    })
}

/// Writes the wide table to a new file; it appears under its name when it is whole. `run_ids` are those of the runs
/// wanted, `NULL` for all; `columns` the labels of columns, `NULL` for parameters, metrics and status.
///
/// @noRd
#[extendr]
fn native_export_runs(file: Robj, to: Robj, run_ids: Robj, columns: Robj) -> Robj {
    guard_views(|| {
        let to = path(&to)?;
        match export::in_the_way(&to) {
            Ok(None) => {}
            Ok(Some(what)) => return Err(Failure::exists(&to, what)),
            Err(e) => return Err(Failure::io("write", &to, &e)),
        }
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        let rows = match R::of(&run_ids).is_null() {
            true => table::all_rows(runs, false)?,
            false => rows_of(runs, &texts(R::of(&run_ids))?)?,
        };
        let wanted = match R::of(&columns).is_null() {
            true => None,
            false => Some(texts(R::of(&columns))?),
        };
        runs.load(&rows, &[])?;
        let columns = export::columns(runs, &rows, wanted.as_deref())?;
        let is_there = |label: &String| columns.iter().any(|column| column.label() == label);
        if wanted.is_some_and(|wanted| !wanted.iter().all(is_there)) {
            // They were there when R looked, and names give way to those that come.
            return Err(Failure {
                class: "conflict",
                message: "A run was logged meanwhile that changes what columns are called.".into(),
                hint: "Nothing was written. Export again.".into(),
                ..Failure::default()
            });
        }
        let unfinished = sys::unforeseen_name(&to, ".tmp-");
        let unfinished = unfinished.map_err(|e| Failure::io("write", &to, &e))?;
        let written = sys::create_new(&unfinished).and_then(|out| {
            let out = std::io::BufWriter::new(out);
            Ok(export::write_csv(runs, &rows, &columns, out)?)
        });
        let written = written.map_err(|e| Failure::io("write", &to, &e));
        let placed = written.and_then(|()| place(&unfinished, &to, export::in_the_way));
        if placed.is_err() {
            drop(std::fs::remove_file(&unfinished));
        }
        placed?;
        Ok(Robj::from(()))
    })
}

extendr_module! {
    mod query;
    fn native_read_runs;
    fn native_best_of;
    fn native_read_series;
    fn native_last_run;
    fn native_last_begun;
    fn native_run_ids;
    fn native_check_runs;
    fn native_sealed;
    fn native_compare;
    fn native_session_of;
    fn native_events;
    fn native_export_runs;
}
