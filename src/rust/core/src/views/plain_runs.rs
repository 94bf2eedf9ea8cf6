//! The runs of a plain CSV: how each ended, and which of them a ledger has.

use std::collections::HashMap;

use crate::columnar::columns::Column;
use crate::error::Result;
use crate::format::event::{Event, EventKind};
use crate::format::id::RunId;
use crate::format::json::Json;
use crate::format::object::Object;
use crate::format::plain::{self, Malformed};
use crate::format::run_context::{EndStatus, ORIGIN, REASON, STATUS};
use crate::format::time::Timestamp;
use crate::format::value::{Value, unescape_key};
use crate::platform::memory;
use crate::views::details;
use crate::views::export;
use crate::views::runs::{Part, Run, Runs, Status};
use crate::views::table::{self, Role};

/// How a file says that a run ended, or that it hadn't. What is called void had ended somehow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Finished,
    Failed,
    Interrupted,
    Lost,
    Running,
    Void,
}

const ENDINGS: [(&str, Ending); 6] = [
    ("finished", Ending::Finished),
    ("failed", Ending::Failed),
    ("interrupted", Ending::Interrupted),
    ("lost", Ending::Lost),
    ("running", Ending::Running),
    ("void", Ending::Void),
];

impl Ending {
    pub fn parse(word: &str) -> Option<Ending> {
        let known = ENDINGS.iter().find(|(known, _)| *known == word);
        known.map(|(_, ending)| *ending)
    }

    /// Whether a run that ended so may be the one that a ledger has. How one did that is void isn't said; what is lost
    /// may still read as running there, and what was running may have gone on.
    fn may_be(self, run: Run<'_>) -> bool {
        match self {
            Ending::Finished => run.status() == Status::Finished,
            Ending::Failed => run.status() == Status::Failed,
            Ending::Interrupted => run.status() == Status::Interrupted,
            Ending::Lost => matches!(run.status(), Status::Interrupted | Status::Running),
            Ending::Running => true,
            Ending::Void => run.is_void(),
        }
    }
}

/// What is wrong with a column in which runs say how they ended.
#[derive(Debug, PartialEq)]
pub struct StatusColumn {
    pub column: usize,
    /// The first row that says something else.
    pub unknown: Option<usize>,
}

/// The column in which a table says how each of its runs ended: the last one of such a name with a word for that in it,
/// as what was written so comes behind a parameter that is called so.
pub fn status_column<'a, T: Iterator<Item = Option<&'a str>>>(
    columns: impl DoubleEndedIterator<Item = (usize, &'a str, T)>,
) -> Option<StatusColumn> {
    let mut named = columns.filter(|(_, name, _)| details::is_status_label(name));
    named.by_ref().rev().find_map(|(column, _, words)| {
        let mut unknown = None;
        let mut says_any = false;
        for (row, word) in words.enumerate() {
            // Not taken, but meant: `FAILED` is no parameter.
            let meant = word.map(|word| word.trim().to_lowercase());
            says_any |= meant.is_some_and(|word| Ending::parse(&word).is_some());
            if unknown.is_none() && word.and_then(Ending::parse).is_none() {
                unknown = Some(row);
            }
        }
        says_any.then_some(StatusColumn { column, unknown })
    })
}

/// A run as a plain CSV has it.
#[derive(Debug)]
pub struct PlainRun {
    /// On which it begins.
    pub line: u64,
    pub time: Timestamp,
    /// Finished, where the file doesn't say.
    pub ending: Option<Ending>,
    /// What it would be, had it finished.
    pub event: Event,
}

impl PlainRun {
    fn id(&self) -> &str {
        self.event.run_id.as_ref().map_or("", RunId::as_str)
    }

    fn says_the_same(&self, other: &PlainRun) -> bool {
        let said = |run: &PlainRun| {
            let event = &run.event;
            (
                run.time,
                run.ending,
                event.params.clone(),
                event.metrics.clone(),
            )
        };
        said(self) == said(other)
    }

    /// The rows of a run: of one that didn't finish, those of a live run that ended otherwise, or hasn't. How a void run
    /// had ended before nobody knows: that it finished is not to be taken from here.
    fn rows(self, origin: &Object, file: &str, now: Timestamp) -> Vec<(Timestamp, Event)> {
        let time = self.time;
        let mut run = self.event;
        let context = Object::new().object(ORIGIN, origin);
        run.context = context.clone();
        let ended = match self.ending {
            None | Some(Ending::Finished) => return vec![(time, run)],
            Some(Ending::Running) => None,
            Some(Ending::Failed) => Some(EndStatus::Failed),
            Some(Ending::Interrupted | Ending::Lost | Ending::Void) => Some(EndStatus::Interrupted),
        };
        let rest = Event {
            run_id: run.run_id.clone(),
            metrics: std::mem::take(&mut run.metrics),
            context: match ended {
                Some(status) => context.clone().text(STATUS, status.name()),
                None => context.clone(),
            },
            ..Event::new(ended.map_or(EventKind::Log, |_| EventKind::End))
        };
        let void = (self.ending == Some(Ending::Void)).then(|| Event {
            run_id: run.run_id.clone(),
            context: context.text(REASON, &format!("Void in '{file}'.")),
            ..Event::new(EventKind::Void)
        });
        let start = Event {
            kind: EventKind::Start,
            ..run
        };
        let rows = [(time, start), (time, rest)].into_iter();
        rows.chain(void.map(|void| (now, void))).collect()
    }
}

/// What is said of a line whose run can't have its id.
pub fn unusable_id(line: u64, id: Option<&str>) -> Malformed {
    Malformed {
        line,
        why: match id {
            Some(id) => format!("has a run whose id is unusable: {}", plain::shown(id)),
            None => "has a run without an id".into(),
        },
        hint: "An id has up to 128 letters, digits, dots, dashes and underscores. Give the run an id of its own.",
    }
}

/// The runs of a file, each once. Where an id stands twice the lines must say the same.
pub fn each_once(runs: Vec<PlainRun>) -> std::result::Result<Vec<PlainRun>, Malformed> {
    let mut lines: HashMap<String, usize> = HashMap::new();
    let mut once: Vec<PlainRun> = Vec::new();
    for run in runs {
        match lines.get(run.id()) {
            Some(&before) if once[before].says_the_same(&run) => {}
            Some(&before) => {
                return Err(Malformed {
                    line: run.line,
                    why: format!(
                        "has a run with the id of that on line {}, {}, and says something else of it",
                        once[before].line,
                        plain::shown(run.id())
                    ),
                    hint: "Give each run an id of its own, or leave out the line that doesn't hold any more.",
                });
            }
            None => {
                lines.insert(run.id().to_owned(), once.len());
                memory::reserve(&mut once, 1);
                once.push(run);
            }
        }
    }
    Ok(once)
}

/// What an import of a plain CSV would bring into a ledger.
#[derive(Debug, Default)]
pub struct Plan {
    /// Which of the runs come.
    pub comes: Vec<bool>,
    pub left_out: Vec<LeftOut>,
}

/// A run that doesn't come, although the ledger doesn't have what the file says of it.
#[derive(Debug, PartialEq)]
pub struct LeftOut {
    pub line: u64,
    pub run_id: String,
    pub why: String,
}

/// Which runs of a file a ledger doesn't have: those that it has with what the file says of them need not come, and
/// those whose ids other runs have can't. `with_running` says whether those come that hadn't ended.
pub fn plan(runs: &[PlainRun], ledger: &Runs, with_running: bool) -> Result<Plan> {
    let mut there = Vec::with_capacity(runs.len());
    for run in runs {
        there.push(ledger.run_ids.find(run.id())?);
    }
    let rows: Vec<usize> = there.iter().flatten().copied().collect();
    ledger.load(&rows, &[Part::Values])?;
    let columns = Columns::of(ledger);
    let mut plan = Plan::default();
    for (run, there) in runs.iter().zip(there) {
        let why = match there {
            Some(row) => columns
                .difference(run, ledger.at(row))
                .map(|difference| format!("its id names another run there, {difference}")),
            None if run.ending == Some(Ending::Running) && !with_running => Some(
                "it had not ended when the file was written: import again when it has".to_owned(),
            ),
            None => None,
        };
        plan.comes.push(there.is_none() && why.is_none());
        plan.left_out.extend(why.map(|why| LeftOut {
            line: run.line,
            run_id: run.id().to_owned(),
            why,
        }));
    }
    Ok(plan)
}

/// The rows of the runs that come, which say of the file that they are from what `origin` does.
pub fn rows(
    runs: Vec<PlainRun>,
    plan: &Plan,
    origin: &Object,
    file: &str,
    now: Timestamp,
) -> Vec<(Timestamp, Event)> {
    let mut rows = Vec::new();
    for (run, _) in runs
        .into_iter()
        .zip(&plan.comes)
        .filter(|(_, comes)| **comes)
    {
        let of_run = run.rows(origin, file, now);
        memory::reserve(&mut rows, of_run.len());
        rows.extend(of_run);
    }
    rows
}

/// The parameters and metrics of a ledger under their names, and under those that they have in its exports.
struct Columns<'a> {
    params: HashMap<String, &'a Column>,
    metrics: HashMap<String, &'a Column>,
}

impl<'a> Columns<'a> {
    fn of(ledger: &'a Runs) -> Columns<'a> {
        let named = |column: &'a Column| (column.name.clone(), column);
        let mut columns = Columns {
            params: ledger.params.iter().map(named).collect(),
            metrics: ledger.metrics.iter().map(named).collect(),
        };
        let all = ledger.params.iter().chain(ledger.metrics.iter());
        for ((label, role), column) in table::column_names(ledger).into_iter().zip(all) {
            let of_role = match role {
                Role::Param => &mut columns.params,
                Role::Metric => &mut columns.metrics,
            };
            of_role.entry(label).or_insert(column);
        }
        columns
    }

    /// What of a file's run isn't so of a ledger's, in words; what the file doesn't say is no difference.
    fn difference(&self, said: &PlainRun, run: Run<'_>) -> Option<String> {
        let began = run.began();
        // Some programs write no fractions of a second.
        let is_whole = said.time.micros() % 1_000_000 == 0;
        let whole_second = began.micros().div_euclid(1_000_000) * 1_000_000;
        if said.time != began && !(is_whole && said.time.micros() == whole_second) {
            return Some(format!(
                "which began at {}",
                String::from_utf8_lossy(&began.text())
            ));
        }
        let of_values = |values: &Object,
                         here: &HashMap<String, &Column>,
                         there: &HashMap<String, &Column>,
                         other| {
            pairs(values).into_iter().find_map(|(name, value)| {
                let of = |columns: &HashMap<String, &Column>| {
                    let value = columns.get(&name).and_then(|column| column.get(run.row));
                    value.filter(|value| !is_missing(value))
                };
                match of(here) {
                    _ if is_missing(&value) => None,
                    Some(recorded) if is_same(&recorded, &value) => None,
                    Some(recorded) => Some(format!(
                        "whose `{name}` is {}",
                        plain::shown(&export::text(&recorded))
                    )),
                    None if of(there).is_some() => Some(format!("of which `{name}` is a {other}")),
                    None => Some(format!("which has no `{name}`")),
                }
            })
        };
        let event = &said.event;
        let params = of_values(&event.params, &self.params, &self.metrics, "metric");
        if params.is_some() || said.ending == Some(Ending::Running) {
            return params;
        }
        let metrics = of_values(&event.metrics, &self.metrics, &self.params, "parameter");
        metrics.or_else(|| {
            let is_other = said.ending.is_some_and(|ending| !ending.may_be(run));
            let void = said.ending == Some(Ending::Void);
            is_other.then(|| match void {
                true => "which isn't void".into(),
                false => format!("whose status is \"{}\"", run.status().name()),
            })
        })
    }
}

/// The values of a cell under their names.
fn pairs(cell: &Object) -> Vec<(String, Value)> {
    let mut text = Vec::new();
    cell.write(&mut text);
    let pairs = Json::parse(&text).ok().and_then(Json::into_object);
    let pairs = pairs.unwrap_or_default().into_iter();
    pairs
        .map(|(key, json)| (unescape_key(&key).to_owned(), Value::from_json(&json)))
        .collect()
}

fn is_missing(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Na(_) | Value::Redacted)
}

/// Whether two values would stand in a file alike. A column is read as the type that all of its cells have, so that a
/// number may come back as a text when others have joined it.
fn is_same(recorded: &Value, said: &Value) -> bool {
    if export::text(recorded) == export::text(said) {
        return true;
    }
    let is_text = |value: &Value| matches!(value, Value::Str(_));
    let number = |value: &Value| match value {
        Value::Int(x) => Some(f64::from(*x)),
        Value::Double(x) | Value::Difftime(x) => Some(*x),
        Value::Str(text) => plain::number_in(text),
        _ => None,
    };
    let logical = |value: &Value| match value {
        Value::Bool(x) => Some(*x),
        Value::Str(text) => plain::logical(text),
        _ => None,
    };
    if is_text(recorded) && is_text(said) {
        return false;
    }
    match (number(recorded), number(said)) {
        (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
        _ => logical(recorded).is_some() && logical(recorded) == logical(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(columns: &[(&str, &[&str])]) -> Option<(usize, Option<usize>)> {
        let columns = columns.iter().enumerate();
        let columns = columns.map(|(i, (name, words))| {
            let words = words
                .iter()
                .map(|&word| Some(word).filter(|word| !word.is_empty()));
            (i, *name, words)
        });
        status_column(columns).map(|found| (found.column, found.unknown))
    }

    #[test]
    fn the_status_is_the_last_column_of_its_name_that_says_one() {
        let all = [
            "finished",
            "failed",
            "interrupted",
            "lost",
            "running",
            "void",
        ];
        assert_eq!(
            chosen(&[("k", &["failed"]), ("status", &all)]),
            Some((1, None))
        );
        assert_eq!(chosen(&[("status", &["married", ""]), ("k", &["1"])]), None);
        assert_eq!(
            chosen(&[("status", &["failed"]), ("details.status", &["finished"])]),
            Some((1, None))
        );
        assert_eq!(
            chosen(&[("details.status", &["failed"]), ("status", &["finished"])]),
            Some((1, None))
        );
        assert_eq!(
            chosen(&[("details.status.1", &["failed"]), ("status", &["ok"])]),
            Some((0, None))
        );
        for unknown in ["", "killed", "FAILED", " failed", "Finished"] {
            assert_eq!(
                chosen(&[("status", &["finished", unknown])]),
                Some((0, Some(1))),
                "{unknown}"
            );
        }
        // None is written as we write it, but they are meant.
        assert_eq!(
            chosen(&[("status", &["FINISHED", "KILLED"])]),
            Some((0, Some(0)))
        );
    }
}
