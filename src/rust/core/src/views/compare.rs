//! Runs side by side: what each recorded, fact by fact.

use std::collections::{HashMap, HashSet};

use crate::format::json::Json;
use crate::format::run_context::Call;
use crate::format::session_context::SessionContext;
use crate::format::value::Value;
use crate::views::runs::Run;

/// The kinds of facts, in the order in which they are compared.
pub const KINDS: [&str; 10] = [
    "run",
    "parameter",
    "metric",
    "tag",
    "seed",
    "data",
    "code",
    "package",
    "environment",
    "session",
];

/// Something that a run recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    pub kind: &'static str,
    pub name: String,
    /// The data set that it is a part of. A run without the set has nothing to say of its parts.
    pub part_of: Option<String>,
    pub value: Value,
}

impl Fact {
    fn new(kind: &'static str, name: impl Into<String>, value: Value) -> Fact {
        Fact {
            kind,
            name: name.into(),
            part_of: None,
            value,
        }
    }

    fn key(&self) -> (&str, Option<&str>, &str) {
        (self.kind, self.part_of.as_deref(), &self.name)
    }

    /// The data set that it is of.
    fn set(&self) -> Option<&str> {
        let own = (self.kind == "data").then_some(self.name.as_str());
        self.part_of.as_deref().or(own)
    }
}

/// Something that runs recorded, and what each of them says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub kind: &'static str,
    pub name: String,
    pub cells: Vec<Option<String>>,
    /// Which runs have what the field is a part of: of a data set the rows, say.
    concerned: Vec<bool>,
}

impl Field {
    /// Whether the runs that it concerns say different things of it.
    pub fn differs(&self) -> bool {
        let mut said = self
            .cells
            .iter()
            .zip(&self.concerned)
            .filter(|(_, concerned)| **concerned);
        let first = said.next();
        said.any(|(cell, _)| Some(cell) != first.map(|(cell, _)| cell))
    }
}

/// What a run says, by kind, set and name.
type Said<'a> = HashMap<(&'a str, Option<&'a str>, &'a str), &'a Value>;

/// All fields of some runs. Two cells have one text if and only if they have one value.
pub fn compare(chosen: &[Run<'_>]) -> Vec<Field> {
    let facts: Vec<Vec<Fact>> = chosen.iter().map(|&run| facts(run)).collect();
    let said: Vec<Said<'_>> = facts
        .iter()
        .map(|facts| facts.iter().map(|fact| (fact.key(), &fact.value)).collect())
        .collect();
    let sets: Vec<HashSet<&str>> = facts
        .iter()
        .map(|facts| facts.iter().filter_map(Fact::set).collect())
        .collect();
    let mut seen = HashSet::new();
    let mut fields = Vec::new();
    for kind in KINDS {
        for fact in facts.iter().flatten().filter(|fact| fact.kind == kind) {
            if seen.insert(fact.key()) {
                let values = said.iter().map(|said| said.get(&fact.key()).copied());
                let is_concerned = |sets: &HashSet<&str>| {
                    let set = fact.part_of.as_deref();
                    set.is_none_or(|set| sets.contains(set))
                };
                fields.push(Field {
                    kind,
                    name: fact.name.clone(),
                    cells: texts(values.collect()),
                    concerned: sets.iter().map(is_concerned).collect(),
                });
            }
        }
    }
    fields
}

/// What each run says of a field: in words, or in JSON where words would hide that values differ.
fn texts(values: Vec<Option<&Value>>) -> Vec<Option<String>> {
    let both = |value: &Value| {
        let mut json = Vec::new();
        value.write(&mut json);
        let json = String::from_utf8(json).expect("JSON is UTF-8");
        (value.to_string(), json)
    };
    let texts: Vec<Option<(String, String)>> =
        values.into_iter().map(|value| value.map(both)).collect();
    let mut known: HashMap<&str, &str> = HashMap::new();
    let ambiguous = texts
        .iter()
        .flatten()
        .any(|(words, json)| *known.entry(words).or_insert(json) != json);
    texts
        .into_iter()
        .map(|text| text.map(|(words, json)| if ambiguous { json } else { words }))
        .collect()
}

/// Everything that a run recorded; of its sessions the last.
fn facts(run: Run<'_>) -> Vec<Fact> {
    let of = |kind: &'static str, values: Vec<(String, Value)>| {
        values
            .into_iter()
            .map(move |(name, value)| Fact::new(kind, name, value))
    };
    let mut facts: Vec<Fact> = of("parameter", run.params())
        .chain(of("metric", run.metrics()))
        .chain(of("tag", run.tags()))
        .collect();
    facts.extend(run.seed().map(|seed| Fact::new("seed", "seed", seed)));
    facts.extend(run_facts(run));
    facts.extend(session_facts(run.last_session().context.as_ref()));
    facts
}

/// What a run is called and belongs to, and what it recorded of its data, its call and its sessions; several sessions
/// are worth a word, since only the last is compared.
pub fn run_facts(run: Run<'_>) -> Vec<Fact> {
    let names = [
        ("name", text(run.name())),
        ("experiment", text(run.experiment())),
        ("parent", text(run.parent().map(Run::id))),
    ];
    let mut facts: Vec<Fact> = said("run", names).collect();
    facts.extend(data(run));
    let call = run.call();
    facts.extend(said(
        "code",
        [
            ("function", text(call.and_then(Call::function))),
            ("version", text(call.and_then(Call::version))),
            ("body", text(call.and_then(Call::body))),
            ("method", text(call.and_then(Call::method))),
            ("call", text(call.and_then(Call::code))),
        ],
    ));
    let sessions = run.sessions().len();
    if sessions > 1 {
        facts.push(Fact::new(
            "session",
            "sessions",
            Value::Int(sessions as i32),
        ));
    }
    facts
}

/// With what the runs of a session were made.
pub fn session_facts(context: Option<&SessionContext>) -> Vec<Fact> {
    let Some(context) = context else {
        return Vec::new();
    };
    let code = said(
        "code",
        [
            ("script", text(context.script())),
            ("script hash", hash(context.script_sha256())),
            ("commit", text(context.commit())),
            ("branch", text(context.branch())),
            ("dirty", context.dirty().map(Value::Bool)),
            ("diff hash", hash(context.diff_sha256())),
        ],
    );
    let r = said("package", [("R", text(context.r()))]);
    let packages = context
        .packages()
        .filter_map(|(name, version)| Some(Fact::new("package", name, text(version)?)));
    let environment = context
        .environment()
        .map(|(name, json)| Fact::new("environment", name, Value::from_json(json)));
    code.chain(r).chain(packages).chain(environment).collect()
}

fn text(text: Option<&str>) -> Option<Value> {
    text.map(|text| Value::Str(text.to_owned()))
}

fn hash(sha256: Option<&str>) -> Option<Value> {
    sha256.map(|hex| Value::Str(format!("sha256:{hex}")))
}

/// The facts of a kind that there are.
fn said<const N: usize>(
    kind: &'static str,
    values: [(&'static str, Option<Value>); N],
) -> impl Iterator<Item = Fact> {
    let values = values.into_iter();
    values.filter_map(move |(name, value)| Some(Fact::new(kind, name, value?)))
}

/// The hash of each data set under its name, then its rows, columns, and the type of each column.
fn data(run: Run<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (set, entry) in run.data() {
        let hash = text(entry.hash.as_deref());
        facts.extend(hash.map(|hash| Fact::new("data", set, hash)));
        let mut part = |name: String, value: Option<Value>| {
            facts.extend(value.map(|value| Fact {
                part_of: Some(set.clone()),
                ..Fact::new("data", name, value)
            }));
        };
        part(format!("{set} file"), text(entry.file.as_deref()));
        for (what, number) in [
            ("size", entry.size),
            ("rows", entry.rows),
            ("cols", entry.cols),
        ] {
            let number = number.map(|number| Value::from_json(&Json::Int(number)));
            part(format!("{set} {what}"), number);
        }
        part(format!("{set} type"), text(entry.ty.as_deref()));
        for (column, ty) in &entry.columns {
            part(format!("{set}${column}"), text(Some(ty)));
        }
    }
    facts
}
