//! What is on record of a run beside parameters and metrics, as columns.

use crate::columnar::cells::Tag;
use crate::columnar::columns::Column;
use crate::format::run_context::Condition;
use crate::format::session_context::SessionContext;
use crate::format::value::{Kind, Value};
use crate::views::runs::{Run, Runs};
use crate::views::table::{self, Role, Type};

/// A column of every table of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Status,
    /// In seconds.
    Duration,
    Name,
    Experiment,
    /// The id of the run that it belongs to.
    Parent,
    User,
    Host,
    Script,
    Commit,
    Dirty,
    Seed,
    Data,
    /// How often the sealed metrics were shown.
    Looks,
    /// The message of the condition for which it failed.
    Error,
    /// All of them, a line each.
    Notes,
    VoidReason,
}

/// In the order of the columns.
pub const DETAILS: [Detail; 16] = [
    Detail::Status,
    Detail::Duration,
    Detail::Name,
    Detail::Experiment,
    Detail::Parent,
    Detail::User,
    Detail::Host,
    Detail::Script,
    Detail::Commit,
    Detail::Dirty,
    Detail::Seed,
    Detail::Data,
    Detail::Looks,
    Detail::Error,
    Detail::Notes,
    Detail::VoidReason,
];

/// What the tags of each run are called together.
pub const TAGS: &str = "tags";

/// What a column beside parameters and metrics holds.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    Detail(Detail),
    /// The values of one tag.
    Tag(&'a Column),
    /// All tags of each run, for conditions: `tags$by`.
    Tags,
}

/// A column beside parameters and metrics.
#[derive(Debug)]
pub struct Beside<'a> {
    pub content: Content<'a>,
    /// What it is called where nothing of the user's is called so.
    pub name: String,
    /// What it is called in this ledger.
    pub label: String,
}

/// All columns beside the parameters and metrics, which have the names that come first: details, a column for each
/// tag, and that of all tags.
pub fn beside<'a>(runs: &'a Runs, names: &[(String, Role)]) -> Vec<Beside<'a>> {
    let details = DETAILS.map(|detail| (Content::Detail(detail), detail.name().to_owned()));
    let tags = runs.tags.iter();
    let tags = tags.map(|tag| (Content::Tag(tag), format!("{TAGS}.{}", tag.name)));
    let all = details.into_iter().chain(tags);
    let all: Vec<_> = all.chain([(Content::Tags, TAGS.to_owned())]).collect();
    let own: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
    let labels = table::detail_names(names, &own);
    let beside = all.into_iter().zip(labels);
    beside
        .map(|((content, name), label)| Beside {
            content,
            name,
            label,
        })
        .collect()
}

/// Whether a column of this name may be that of the status: it is called so, or as where that name is taken.
pub fn is_status_label(name: &str) -> bool {
    let own = Detail::Status.name();
    let made_unique = name
        .strip_prefix("details.")
        .and_then(|rest| rest.strip_prefix(own));
    let count = made_unique.map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    name == own || count.is_some_and(|count| count.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Detail {
    pub fn name(self) -> &'static str {
        match self {
            Detail::Status => "status",
            Detail::Duration => "duration",
            Detail::Name => "name",
            Detail::Experiment => "experiment",
            Detail::Parent => "parent",
            Detail::User => "user",
            Detail::Host => "host",
            Detail::Script => "script",
            Detail::Commit => "commit",
            Detail::Dirty => "dirty",
            Detail::Seed => "seed",
            Detail::Data => "data",
            Detail::Looks => "looks",
            Detail::Error => "error",
            Detail::Notes => "notes",
            Detail::VoidReason => "void_reason",
        }
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
            Detail::User | Detail::Host | Detail::Script | Detail::Commit | Detail::Dirty => {
                Some(std::ptr::from_ref(run.session()).cast())
            }
            _ => None,
        }
    }

    /// What it is of a run, given whether that is lost.
    pub fn of(self, run: Run<'_>, is_lost: bool) -> Option<Value> {
        let session = || run.session().context.as_ref();
        let str = |text: Option<&str>| text.map(|text| Value::Str(text.to_owned()));
        let text = |of: fn(&SessionContext) -> Option<&str>| str(session().and_then(of));
        match self {
            Detail::Status => Some(Value::Str(run.status_name(is_lost).to_owned())),
            Detail::Duration => {
                let took = run.ended()?.micros() - run.began().micros();
                Some(Value::Difftime(took as f64 / 1e6))
            }
            Detail::Name => str(run.name()),
            Detail::Experiment => str(run.experiment()),
            Detail::Parent => str(run.parent().map(Run::id)),
            Detail::User => text(SessionContext::user),
            Detail::Host => text(SessionContext::host),
            Detail::Script => text(SessionContext::script),
            Detail::Commit => text(SessionContext::commit),
            Detail::Dirty => session().and_then(SessionContext::dirty).map(Value::Bool),
            Detail::Seed => run.seed(),
            Detail::Data => data(run).map(Value::Str),
            Detail::Looks => Some(Value::Int(run.looks() as i32)),
            Detail::Error => str(run.condition().and_then(Condition::message)),
            Detail::Notes => notes(run).map(Value::Str),
            Detail::VoidReason => str(run.void_reason()),
        }
    }

    /// The column of some runs, which are in memory with all their parts but parameters and metrics.
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

fn notes(run: Run<'_>) -> Option<String> {
    let texts: Vec<&str> = run.notes().iter().map(|note| &*note.text).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
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
