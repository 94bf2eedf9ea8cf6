//! Runs side by side: what each recorded, field by field.

use std::collections::HashSet;

use crate::format::json::Json;
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
        let mut add = |label: String, json: Option<&Json>| {
            cells.extend(json.map(|json| (label, Value::from_json(json))));
        };
        add(name.clone(), entry.get("hash"));
        for key in ["file", "size", "rows", "cols", "type"] {
            add(format!("{name} {key}"), entry.get(key));
        }
        if let Some(Json::Object(columns)) = entry.get("columns") {
            for (column, ty) in columns {
                let column = crate::format::value::unescape_key(column);
                add(format!("{name}${column}"), Some(ty));
            }
        }
    }
    cells
}

fn code(run: Run<'_>) -> Cells {
    let session = run.last_session().context.as_ref();
    let call = run.call();
    let of = |json: Option<&Json>, path: &[&str]| -> Option<Value> {
        let found = path.iter().try_fold(json?, |json, key| json.get(key))?;
        Some(Value::from_json(found))
    };
    [
        ("function", of(call, &["function"])),
        ("version", of(call, &["version"])),
        ("body", of(call, &["body"])),
        ("method", of(call, &["method"])),
        ("call", of(call, &["code"])),
        ("script", of(session, &["script"])),
        ("commit", of(session, &["git", "commit"])),
        ("branch", of(session, &["git", "branch"])),
        ("dirty", of(session, &["git", "dirty"])),
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
    let r = session
        .get("r")
        .map(|r| ("R".to_owned(), Value::from_json(r)));
    let packages = match session.get("packages") {
        Some(Json::Object(packages)) => packages.as_slice(),
        _ => &[],
    };
    let packages = packages
        .iter()
        .map(|(name, version)| (name.clone(), Value::from_json(version)));
    r.into_iter().chain(packages).collect()
}

fn environment(run: Run<'_>) -> Cells {
    let session = run.last_session().context.as_ref();
    ["platform", "locale", "timezone", "rng"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), Value::from_json(session?.get(key)?))))
        .collect()
}
