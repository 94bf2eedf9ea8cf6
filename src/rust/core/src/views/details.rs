//! What is on record of a run beside parameters and metrics, as columns.

use crate::columnar::columns::{Column, Tag};
use crate::format::session_context::SessionContext;
use crate::format::value::{Kind, Value};
use crate::views::runs::{Run, Runs};
use crate::views::table::{self, Type};

/// A column of every table of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Status,
    /// In seconds.
    Duration,
    User,
    Host,
    Commit,
    Dirty,
    Seed,
    Data,
    /// How often the sealed metrics were shown.
    Looks,
}

/// In the order of the columns.
pub const DETAILS: [Detail; 9] = [
    Detail::Status,
    Detail::Duration,
    Detail::User,
    Detail::Host,
    Detail::Commit,
    Detail::Dirty,
    Detail::Seed,
    Detail::Data,
    Detail::Looks,
];

/// The names of all such columns, in their order; tags are a column of lists.
pub const NAMES: [&str; 10] = [
    "status", "duration", "user", "host", "commit", "dirty", "seed", "data", "tags", "looks",
];

impl Detail {
    pub fn name(self) -> &'static str {
        match self {
            Detail::Status => "status",
            Detail::Duration => "duration",
            Detail::User => "user",
            Detail::Host => "host",
            Detail::Commit => "commit",
            Detail::Dirty => "dirty",
            Detail::Seed => "seed",
            Detail::Data => "data",
            Detail::Looks => "looks",
        }
    }

    pub fn named(name: &str) -> Option<Detail> {
        DETAILS.into_iter().find(|detail| detail.name() == name)
    }

    /// Its type, also where no run has it. Seeds are as they were recorded.
    pub fn ty(self, runs: &Runs, rows: &[usize]) -> Type {
        match self {
            Detail::Seed => table::column_type(&runs.seeds, rows),
            Detail::Duration => Type::Atomic(Kind::Difftime),
            Detail::Dirty => Type::Atomic(Kind::Logical),
            Detail::Looks => Type::Atomic(Kind::Integer),
            _ => Type::Atomic(Kind::Character),
        }
    }

    /// What tells the value where runs have it in common: the address of their session, or of the word for it.
    fn told_by(self, run: Run<'_>, is_lost: bool) -> Option<*const ()> {
        match self {
            Detail::Status => Some(run.status_name(is_lost).as_ptr().cast()),
            Detail::User | Detail::Host | Detail::Commit | Detail::Dirty => {
                Some(std::ptr::from_ref(run.session()).cast())
            }
            _ => None,
        }
    }

    /// What it is of a run, given whether that is lost.
    pub fn of(self, run: Run<'_>, is_lost: bool) -> Option<Value> {
        let session = || run.session().context.as_ref();
        let text = |of: fn(&SessionContext) -> Option<&str>| {
            let text = session().and_then(of);
            text.map(|text| Value::Str(text.to_owned()))
        };
        match self {
            Detail::Status => Some(Value::Str(run.status_name(is_lost).to_owned())),
            Detail::Duration => {
                let took = run.ended()?.micros() - run.began().micros();
                Some(Value::Difftime(took as f64 / 1e6))
            }
            Detail::User => text(SessionContext::user),
            Detail::Host => text(SessionContext::host),
            Detail::Commit => text(SessionContext::commit),
            Detail::Dirty => session().and_then(SessionContext::dirty).map(Value::Bool),
            Detail::Seed => run.seed(),
            Detail::Data => data(run).map(Value::Str),
            Detail::Looks => Some(Value::Int(run.looks() as i32)),
        }
    }

    /// The column of some runs, which are in memory with their sessions, extras and seeds.
    pub fn column(self, runs: &Runs, rows: &[usize], is_lost: impl Fn(Run<'_>) -> bool) -> Column {
        const IN_MEMORY: &str = "a new column is in memory";
        let mut column = Column::new(self.name());
        let mut last = (None, Tag::Absent, 0);
        for &row in rows {
            let run = runs.at(row);
            let is_lost = self == Detail::Status && is_lost(run);
            let told_by = self.told_by(run, is_lost);
            // Mostly that of the run before.
            if told_by.is_some() && told_by == last.0 {
                column.put(row, last.1, last.2).expect(IN_MEMORY);
                continue;
            }
            if let Some(value) = self.of(run, is_lost) {
                column.set(row, value).expect(IN_MEMORY);
            }
            last = (told_by, column.tag(row), column.bits(row));
        }
        column
    }
}

/// The hash of the data, or each with its name where there are several.
fn data(run: Run<'_>) -> Option<String> {
    match run.data() {
        [] => None,
        [(_, version)] => version.hash.clone(),
        several => {
            let parts: Vec<String> = several
                .iter()
                .filter_map(|(name, version)| Some(format!("{name}={}", version.hash.as_ref()?)))
                .collect();
            Some(parts.join(" "))
        }
    }
}
