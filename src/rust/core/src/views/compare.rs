//! Runs side by side: what each recorded, field by field.

use std::collections::HashSet;

use crate::format::json::Json;
use crate::format::run_context::Call;
use crate::format::session_context::SessionContext;
use crate::format::value::Value;
use crate::views::runs::Run;

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

type Cells = Vec<(String, Value)>;
type View = fn(Run<'_>) -> Cells;

/// All fields of some runs. Two cells have one text if and only if they have one value.
pub fn compare(chosen: &[Run<'_>]) -> Vec<Field> {
    let kinds: [(&'static str, View); 8] = [
        ("param", |run| run.params()),
        ("metric", |run| run.metrics()),
        ("tag", |run| run.tags()),
        ("seed", seed),
        ("data", data),
        ("code", code),
        ("package", packages),
        ("environment", environment),
    ];
    let sets: HashSet<&str> = chosen
        .iter()
        .flat_map(|run| run.data().iter().map(|(set, _)| set.as_str()))
        .collect();
    let mut fields = Vec::new();
    for (kind, of) in kinds {
        let columns: Vec<Cells> = chosen.iter().map(|&run| of(run)).collect();
        let mut seen = HashSet::new();
        for (name, _) in columns.iter().flatten() {
            if seen.insert(name.as_str()) {
                fields.push(Field {
                    kind,
                    name: name.clone(),
                    cells: texts(&columns, name),
                    concerned: chosen
                        .iter()
                        .map(|&run| kind != "data" || concerns(run, name, &sets))
                        .collect(),
                });
            }
        }
    }
    fields
}

/// A run without a data set has nothing to say of its parts.
fn concerns(run: Run<'_>, name: &str, sets: &HashSet<&str>) -> bool {
    let is_part = |set: &str| {
        let rest = name.strip_prefix(set);
        rest.is_some_and(|rest| rest.starts_with([' ', '$']))
    };
    sets.contains(name) || run.data().iter().any(|(set, _)| is_part(set))
}

/// What each run says of a field: in words, or in JSON where words would hide that values differ.
fn texts(columns: &[Cells], name: &str) -> Vec<Option<String>> {
    let value = |cells: &Cells| {
        let (_, value) = cells.iter().find(|(key, _)| key == name)?;
        let mut json = Vec::new();
        value.write(&mut json);
        let json = String::from_utf8(json).expect("JSON is UTF-8");
        Some((value.to_string(), json))
    };
    let texts: Vec<Option<(String, String)>> = columns.iter().map(value).collect();
    let ambiguous = texts.iter().flatten().any(|(words, json)| {
        let mut others = texts.iter().flatten();
        others.any(|other| other.0 == *words && other.1 != *json)
    });
    texts
        .into_iter()
        .map(|text| text.map(|(words, json)| if ambiguous { json } else { words }))
        .collect()
}

fn seed(run: Run<'_>) -> Cells {
    let seed = run.seed().into_iter();
    seed.map(|seed| ("seed".to_owned(), seed)).collect()
}

/// The hash of each data set under its name, then its rows, columns, and the type of each column.
fn data(run: Run<'_>) -> Cells {
    let mut cells = Vec::new();
    for (name, entry) in run.data() {
        let mut add = |label: String, value: Option<Value>| {
            cells.extend(value.map(|value| (label, value)));
        };
        add(name.clone(), text(entry.hash.as_deref()));
        add(format!("{name} file"), text(entry.file.as_deref()));
        for (what, number) in [
            ("size", entry.size),
            ("rows", entry.rows),
            ("cols", entry.cols),
        ] {
            let value = number.map(|number| Value::from_json(&Json::Int(number)));
            add(format!("{name} {what}"), value);
        }
        add(format!("{name} type"), text(entry.ty.as_deref()));
        for (column, ty) in &entry.columns {
            add(format!("{name}${column}"), text(Some(ty)));
        }
    }
    cells
}

fn text(text: Option<&str>) -> Option<Value> {
    text.map(|text| Value::Str(text.to_owned()))
}

fn code(run: Run<'_>) -> Cells {
    let session = run.last_session().context.as_ref();
    let call = run.call();
    [
        ("function", text(call.and_then(Call::function))),
        ("version", text(call.and_then(Call::version))),
        ("body", text(call.and_then(Call::body))),
        ("method", text(call.and_then(Call::method))),
        ("call", text(call.and_then(Call::code))),
        ("script", text(session.and_then(SessionContext::script))),
        ("commit", text(session.and_then(SessionContext::commit))),
        ("branch", text(session.and_then(SessionContext::branch))),
        (
            "dirty",
            session.and_then(SessionContext::dirty).map(Value::Bool),
        ),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

/// R and the packages that were loaded when the run last said something.
fn packages(run: Run<'_>) -> Cells {
    let Some(session) = &run.last_session().context else {
        return Vec::new();
    };
    let r = session.r().map(|version| ("R", Some(version)));
    r.into_iter()
        .chain(session.packages())
        .filter_map(|(name, version)| Some((name.to_owned(), text(version)?)))
        .collect()
}

fn environment(run: Run<'_>) -> Cells {
    let session = run.last_session().context.iter();
    session
        .flat_map(SessionContext::environment)
        .map(|(name, json)| (name.to_owned(), Value::from_json(json)))
        .collect()
}
