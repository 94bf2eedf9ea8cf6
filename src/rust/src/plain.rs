//! Plain CSVs of runs for R: see `R/plain.R`.

use std::io::{self, Read};
use std::path::Path;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::Error;
use fitledger_core::format::digest::Digest;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::plain::{self, Malformed, Time};
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::{LedgerFile, Position, ReadSince};
use fitledger_core::platform::{memory, sys};
use fitledger_core::views::plain_runs::{self, Ending, LeftOut, PlainRun, Plan};
use fitledger_core::views::runs::Runs;
use fitledger_core::views::view_cache::ViewGuard;

use crate::append_request::{AppendRequest, Entropy, with_remarks};
use crate::deferred::DeferredStrings;
use crate::from_r::{Atomic, path};
use crate::guard::{Failure, Field, guard};
use crate::log::{Columns, collect};
use crate::query::texts;
use crate::r::{R, Text};
use crate::to_r;
use crate::view_cache::{RUNS, guard_views};

/// The columns of a plain CSV under their names, the second one's times as seconds since the epoch; of those which are
/// local, as if the clock had shown UTC. `metrics` are the names of columns that are to be numbers. `lines` are those
/// on which rows begin, `hash` is that of the file.
///
/// @noRd
#[extendr]
fn native_read_plain(file: Robj, metrics: Robj) -> Robj {
    guard(|| {
        let path = path(&file)?;
        let metrics = texts(R::of(&metrics))?;
        let bytes = read(&path).map_err(|e| Failure::io("read", &path, &e))?;
        let malformed = |malformed| of_line(&path, malformed);
        let table = plain::parse(&bytes).map_err(malformed)?;
        let names = table.names().map(Some).collect::<Vec<_>>();
        let times = table.times(1).map_err(malformed)?;
        let mut columns = Vec::with_capacity(names.len());
        for (column, name) in table.names().enumerate() {
            columns.push(match column {
                // Ids are text, whatever they look like.
                0 => {
                    let ids = (0..table.rows()).map(|row| table.text(row, 0));
                    to_r::strings(ids)
                }
                1 => to_r::doubles(times.iter().map(|time| match time {
                    Time::Utc(seconds) | Time::Local(seconds) => *seconds,
                })),
                _ if metrics.iter().any(|metric| metric == name) => {
                    to_r::plain_column(&table.metric(column).map_err(|e| Failure {
                        class: "value",
                        ..of_line(&path, e)
                    })?)
                }
                _ => to_r::plain_column(&table.column(column)),
            });
        }
        let is_local = times.iter().map(|time| matches!(time, Time::Local(_)));
        Ok(list!(
            columns = List::from_values(columns),
            names = to_r::strings(names.into_iter()),
            is_local = is_local.collect::<Vec<bool>>(),
            lines = to_r::doubles((0..table.rows()).map(|row| table.line(row) as f64)),
            hash = format!("sha256:{}", Digest::of(&[&bytes]))
        )
        .into())
    })
}

/// Times as people write them, as seconds since the epoch; without a zone they are UTC. NA where one can't be read.
///
/// @noRd
#[extendr]
fn native_read_times(texts: Robj) -> Robj {
    guard(|| {
        let texts = crate::query::texts(R::of(&texts))?;
        Ok(to_r::doubles(texts.iter().map(|text| {
            match plain::time(text) {
                Some(Time::Utc(seconds) | Time::Local(seconds)) => seconds,
                None => f64::NAN,
            }
        })))
    })
}

/// Which of some columns says how each run ended, `NULL` for none: `list(column, unknown)`, from 1, the second one of
/// the first row that says it in no known word, or NA. Of columns that aren't text there is `NULL` in `columns`.
///
/// @noRd
#[extendr]
fn native_status_column(names: Robj, columns: Robj) -> Robj {
    guard(|| {
        let (names, columns) = (texts(R::of(&names))?, R::of(&columns));
        if columns.ty() != SEXPTYPE::VECSXP || columns.len() != names.len() {
            return Err(Failure::argument("columns"));
        }
        let mut words = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let column = columns.element(i);
            if column.ty() == SEXPTYPE::STRSXP {
                let texts = (0..column.len()).map(|row| text_at(column, row));
                words.push((i, name.as_str(), texts.collect::<Vec<_>>()));
            }
        }
        let columns = words
            .iter()
            .map(|(i, name, words)| (*i, *name, words.iter().map(Option::as_deref)));
        let Some(found) = plain_runs::status_column(columns) else {
            return Ok(Robj::from(()));
        };
        let unknown = found
            .unknown
            .map_or(Rint::na(), |row| Rint::from(row as i32 + 1));
        Ok(list!(column = found.column as i32 + 1, unknown = unknown).into())
    })
}

fn text_at(column: R, row: usize) -> Option<String> {
    match column.text(row) {
        Text::Is(text) => Some(text),
        _ => None,
    }
}

/// Appends the runs of a plain CSV that a ledger doesn't have, or says which these are: `list(run_ids, left_out)`, the
/// ids of those that come, and `list(line, run_id, why)` of those that don't and aren't there.
///
/// `params` and `metrics` are columns of values, `plain` is `list(path, hash, run_ids, seconds, statuses, lines)`, the
/// statuses `NULL` where the file says none. `with_running` says whether runs come that had not ended.
///
/// @noRd
#[extendr]
fn native_import_plain(
    request: Robj,
    params: Robj,
    metrics: Robj,
    plain: Robj,
    dry_run: Robj,
    with_running: Robj,
) -> Robj {
    guard_views(|| {
        let request = AppendRequest::of(&request)?;
        let source = Source::of(R::of(&plain))?;
        let runs = source.runs(R::of(&params), R::of(&metrics))?;
        let ids: Vec<RunId> = runs
            .iter()
            .filter_map(|run| run.event.run_id.clone())
            .collect();
        let with_running = R::of(&with_running).is_true();
        let mut target = Target::of(&request)?;
        let mut plan = plain_runs::plan(&runs, target.runs(), with_running)?;
        if R::of(&dry_run).is_true() || !plan.comes.contains(&true) {
            return Ok(report(&ids, &plan));
        }
        let now = Timestamp::now();
        let (_, remarks) = request.append_decided(&mut Entropy::new(), |read_since| {
            target.catch_up(read_since)?;
            plan = plain_runs::plan(&runs, target.runs(), with_running)?;
            Ok(plain_runs::rows(
                runs,
                &plan,
                &source.origin,
                &source.file,
                now,
            ))
        })?;
        Ok(with_remarks(report(&ids, &plan), remarks))
    })
}

fn report(ids: &[RunId], plan: &Plan) -> Robj {
    let come = ids.iter().zip(&plan.comes).filter(|(_, comes)| **comes);
    let run_ids: DeferredStrings = come.map(|(id, _)| id.as_str()).collect();
    let left_out = &plan.left_out;
    let texts = |of: fn(&LeftOut) -> &str| to_r::strings(left_out.iter().map(|it| Some(of(it))));
    list!(
        run_ids = run_ids.into_vector(),
        left_out = list!(
            line = to_r::doubles(left_out.iter().map(|it| it.line as f64)),
            run_id = texts(|it| &it.run_id),
            why = texts(|it| &it.why)
        )
    )
    .into()
}

/// A file that was read, as R has it.
struct Source {
    path: String,
    /// Its name.
    file: String,
    /// What rows that come from it say of it.
    origin: Object,
    run_ids: R,
    seconds: R,
    /// `NULL` where it doesn't say.
    statuses: R,
    lines: R,
}

impl Source {
    fn of(list: R) -> Result<Source, Failure> {
        if list.ty() != SEXPTYPE::VECSXP || list.len() != 6 {
            return Err(Failure::argument("plain"));
        }
        let text = |i| {
            list.element(i)
                .string()
                .ok_or_else(|| Failure::argument("plain"))
        };
        let (path, hash) = (text(0)?, text(1)?);
        let file = Path::new(&path).file_name().unwrap_or_default();
        let file = file.to_string_lossy().into_owned();
        let source = Source {
            origin: Object::new().text("file", &file).text("hash", &hash),
            path,
            file,
            run_ids: list.element(2),
            seconds: list.element(3),
            statuses: list.element(4),
            lines: list.element(5),
        };
        let rows = source.run_ids.len();
        let are_columns = source.run_ids.ty() == SEXPTYPE::STRSXP
            && (source.seconds.ty(), source.seconds.len()) == (SEXPTYPE::REALSXP, rows)
            && (source.lines.ty(), source.lines.len()) == (SEXPTYPE::REALSXP, rows)
            && (source.statuses.is_null()
                || (source.statuses.ty(), source.statuses.len()) == (SEXPTYPE::STRSXP, rows));
        match are_columns {
            true => Ok(source),
            false => Err(Failure::argument("plain")),
        }
    }

    /// Its runs, with the values of these columns.
    fn runs(&self, params: R, metrics: R) -> Result<Vec<PlainRun>, Failure> {
        let rows = self.run_ids.len();
        let params = Columns::of(params, "params", rows, Atomic::of)?;
        let metrics = Columns::of(metrics, "metrics", rows, Atomic::of_numbers)?;
        let malformed = |malformed| of_line(Path::new(&self.path), malformed);
        let run = |row: usize| {
            let line = self.lines.doubles()[row] as u64;
            let id = text_at(self.run_ids, row);
            let run_id = id.as_deref().and_then(RunId::new);
            let run_id =
                run_id.ok_or_else(|| malformed(plain_runs::unusable_id(line, id.as_deref())))?;
            let time = Timestamp::from_seconds(self.seconds.doubles()[row]);
            let ending = match self.statuses.is_null() {
                true => None,
                false => {
                    let ending = text_at(self.statuses, row);
                    let ending = ending.as_deref().and_then(Ending::parse);
                    Some(ending.ok_or_else(|| Failure::argument("statuses"))?)
                }
            };
            Ok(PlainRun {
                line,
                time: time.ok_or_else(|| Failure::argument("seconds"))?,
                ending,
                event: Event {
                    run_id: Some(run_id),
                    params: params.cell(row, false)?,
                    metrics: metrics.cell(row, true)?,
                    ..Event::new(EventKind::Run)
                },
            })
        };
        plain_runs::each_once(collect(rows, run)?).map_err(malformed)
    }
}

/// The runs that a ledger has, which need not be there yet.
enum Target {
    There(ViewGuard<Runs, Failure>),
    New(Runs),
}

impl Target {
    fn of(request: &AppendRequest) -> Result<Target, Failure> {
        match LedgerFile::open(request.path()) {
            Err(Error::NotFound { .. }) => Ok(Target::New(Runs::default())),
            opened => Ok(Target::There(RUNS.lend_of(&opened?)?)),
        }
    }

    fn runs(&self) -> &Runs {
        match self {
            Target::There(cached) => cached.view(),
            Target::New(runs) => runs,
        }
    }

    fn catch_up(&mut self, read_since: ReadSince<'_>) -> fitledger_core::Result<()> {
        match self {
            Target::There(cached) => cached.catch_up(read_since),
            Target::New(runs) => {
                *runs = Runs::fold(&read_since(&Position::origin())?)?;
                Ok(())
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = sys::open_regular(path, u64::MAX)?;
    let size = file.metadata()?.len();
    let mut bytes = memory::zeroed(size)?;
    let mut read = 0;
    while read < bytes.len() {
        match (&file).read(&mut bytes[read..])? {
            0 => break,
            more => read += more,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

fn of_line(path: &Path, malformed: Malformed) -> Failure {
    let failure = Failure {
        class: "not_a_ledger",
        message: format!(
            "'{}' is a plain CSV whose line {} {}.",
            path.display(),
            malformed.line,
            malformed.why
        ),
        hint: malformed.hint.into(),
        ..Failure::default()
    };
    failure.with("path", Field::Text(path.display().to_string()))
}

extendr_module! {
    mod plain;
    fn native_read_plain;
    fn native_read_times;
    fn native_status_column;
    fn native_import_plain;
}
