//! Invariant: the folders of the core are layers. Each imports only from those before it, and within a folder no
//! two modules import each other, be it by way of others. No more do those of the binding crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From the bottom up. `error` is a file, the others are folders.
const LAYERS: [&str; 8] = [
    "error", "platform", "format", "ledger", "columnar", "views", "mlflow", "page",
];

/// Source files by the path of their module, as in `views::runs`; the crate's root has the empty one.
type Sources = BTreeMap<String, String>;

fn read_sources(folder: &Path, module: &str, sources: &mut Sources) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inner = match module {
            "" => name.to_owned(),
            _ => format!("{module}::{name}"),
        };
        if path.is_dir() {
            read_sources(&path, &inner, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_the_folder = matches!(name, "mod" | "lib");
            let module = if is_the_folder { module } else { &inner };
            sources.insert(module.to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
}

/// What breaks the rule, in words.
fn faults(sources: &Sources) -> Vec<String> {
    let rank = |module: &str| {
        let layer = module.split("::").next().unwrap();
        LAYERS.iter().position(|known| *known == layer)
    };
    let mut faults = Vec::new();
    for (module, text) in sources.iter().filter(|(module, _)| !module.is_empty()) {
        if rank(module).is_none() {
            faults.push(format!("{module} is in no known layer"));
            continue;
        }
        for imported in imports(text) {
            match resolve(&imported, sources) {
                Some(imported) if rank(&imported) > rank(module) => {
                    faults.push(format!("{module} imports {imported}, which is above it"));
                }
                _ => {}
            }
        }
    }
    faults.extend(circles(sources));
    faults
}

/// Modules that import each other, in words, and imports that can't be followed.
fn circles(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    // The modules of each folder, and which of them imports which; the folder's own file is `mod`.
    let mut graphs: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, text) in sources.iter().filter(|(module, _)| !module.is_empty()) {
        if text.lines().any(|line| line.starts_with("use super::")) {
            faults.push(format!("{module} imports from `super`, not from `crate`"));
        }
        for imported in imports(text) {
            let Some(imported) = resolve(&imported, sources) else {
                faults.push(format!("{module} imports {imported} from the crate's root"));
                continue;
            };
            let (folder, from, to) = split(module, &imported);
            if from != to {
                let graph = graphs.entry(folder).or_default();
                graph.entry(from).or_default().insert(to);
            }
        }
        if let Some((folder, name)) = module.rsplit_once("::") {
            let graph = graphs.entry(folder.to_owned()).or_default();
            let of_folder = graph.entry("mod".to_owned()).or_default();
            of_folder.insert(name.to_owned());
        }
    }
    for (folder, graph) in &graphs {
        let mut done = BTreeSet::new();
        for start in graph.keys() {
            if let Some(circle) = circle(graph, &mut vec![start], &mut done) {
                let folder = if folder.is_empty() { "src" } else { folder };
                faults.push(format!("in {folder}: {}", circle.join(" → ")));
                break;
            }
        }
    }
    faults
}

/// The folder that two modules have in common, and what each is in it.
fn split(a: &str, b: &str) -> (String, String, String) {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split("::").collect(), b.split("::").collect());
    let shared = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let name = |module: &[&str]| (*module.get(shared).unwrap_or(&"mod")).to_owned();
    (a[..shared].join("::"), name(&a), name(&b))
}

/// The module of a path, which may go on to something in it; none for what is in the crate's root.
fn resolve(path: &str, sources: &Sources) -> Option<String> {
    let mut module = path;
    while !sources.contains_key(module) {
        module = module.rsplit_once("::")?.0;
    }
    Some(module.to_owned())
}

/// The paths that begin with `crate::`, without that.
fn imports(text: &str) -> Vec<String> {
    let without_comments = text.lines().map(|line| line.split("//").next().unwrap());
    let text = without_comments.collect::<Vec<_>>().join(" ");
    let mut paths = Vec::new();
    for (at, root) in text.match_indices("crate::") {
        // That is who may import, as in `pub(in crate::ledger)`.
        if text[..at].ends_with("(in ") {
            continue;
        }
        branches(&text[at + root.len()..], "", &mut paths);
    }
    paths
}

/// Takes one tree of paths, as in `a::{b, c::d}`, from the start of a text; how long it is.
fn branches(text: &str, before: &str, paths: &mut Vec<String>) -> usize {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '*';
    let mut at = 0;
    let mut path = before.to_owned();
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            while !text[at..].starts_with('}') {
                at += 1;
                at += branches(&text[at..], &path, paths);
                at += text[at..].find([',', '}']).unwrap();
            }
            return at + 1;
        }
        let end = text[at..].find(|c| !is_name(c)).unwrap_or(text.len() - at);
        let name = &text[at..at + end];
        at += end;
        if !matches!(name, "" | "self") {
            let colons = if path.is_empty() { "" } else { "::" };
            path = format!("{path}{colons}{name}");
        }
        match text[at..].strip_prefix("::") {
            Some(_) => at += 2,
            None => {
                // A comma before a closing brace has nothing behind it.
                if !name.is_empty() {
                    paths.push(path);
                }
                return at;
            }
        }
    }
}

/// The modules of a circle that can be reached from the last one of a way.
fn circle<'a>(
    graph: &'a BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<&'a String>,
    done: &mut BTreeSet<&'a String>,
) -> Option<Vec<String>> {
    let last = *way.last().unwrap();
    for next in graph.get(last).into_iter().flatten() {
        way.push(next);
        if let Some(start) = way.iter().position(|known| *known == next) {
            if start + 1 < way.len() {
                return Some(way[start..].iter().map(|name| (*name).clone()).collect());
            }
        }
        if !done.contains(next) {
            if let Some(found) = circle(graph, way, done) {
                return Some(found);
            }
        }
        way.pop();
    }
    done.insert(last);
    None
}

#[test]
fn the_core_is_in_layers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Sources::new();
    read_sources(&folder, "", &mut sources);
    for layer in LAYERS {
        assert!(sources.contains_key(layer), "there is no {layer}");
    }
    assert_eq!(faults(&sources), Vec::<String>::new());
}

#[test]
fn no_modules_of_the_binding_import_each_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut sources = Sources::new();
    read_sources(&folder, "", &mut sources);
    assert!(sources.len() > 1, "there is no binding");
    assert_eq!(circles(&sources), Vec::<String>::new());
}

#[test]
fn what_breaks_the_rule_is_found() {
    let fault = |changes: &[(&str, &str)]| {
        let modules = [
            "",
            "error",
            "format",
            "format::time",
            "format::row",
            "ledger",
            "ledger::read",
            "ledger::append",
            "ledger::append::lock",
            "ledger::append::flush",
            "views",
            "views::runs",
        ];
        let mut sources: Sources = modules
            .iter()
            .map(|module| (module.to_string(), String::new()))
            .collect();
        for (module, text) in changes {
            sources.insert(module.to_string(), text.to_string());
        }
        faults(&sources).join("\n")
    };
    let row =
        "use crate::format::{\n    row::{self, Row},\n    time,\n};\nuse crate::error::Result;";
    let lock = (
        "ledger::append::lock",
        "pub(in crate::ledger) fn lock() { crate::format::row::f() }",
    );
    let read = "use crate::ledger::append::lock::lock; // crate::views::runs";
    assert_eq!(
        fault(&[("views::runs", row), lock, ("ledger::read", read)]),
        ""
    );

    assert_eq!(
        fault(&[(
            "format::row",
            "use crate::{\n    error::Result,\n    views::runs::Runs,\n};"
        )]),
        "format::row imports views::runs, which is above it"
    );
    assert_eq!(
        fault(&[("error", "fn f() { crate::format::time::now() }")]),
        "error imports format::time, which is above it"
    );
    let time = ("format::time", "use crate::format::row::Row;");
    assert_eq!(
        fault(&[time, ("format::row", "use crate::format::time;")]),
        "in format: row → time → row"
    );
    assert_eq!(
        fault(&[("format::row", "use crate::format::anything;")]),
        "in format: mod → row → mod"
    );
    let lock = ("ledger::append::lock", "use crate::ledger::read::Ledger;");
    let read = "use crate::ledger::append::flush::flush;";
    assert_eq!(
        fault(&[lock, ("ledger::read", read)]),
        "in ledger: append → read → append"
    );
    let flat = [
        ("from_r", "use crate::guard::Failure;"),
        ("guard", "use crate::view_cache::distrust;"),
        ("view_cache", "use crate::from_r::path;"),
        ("", "mod from_r;"),
    ];
    let flat = flat.map(|(module, text)| (module.to_owned(), text.to_owned()));
    assert_eq!(
        circles(&Sources::from(flat)),
        ["in src: from_r → guard → view_cache → from_r"]
    );
    assert_eq!(
        fault(&[("format::row", "use crate::Error;")]),
        "format::row imports Error from the crate's root"
    );
    assert_eq!(
        fault(&[("format::row", "use super::time;")]),
        "format::row imports from `super`, not from `crate`"
    );
    assert_eq!(
        fault(&[("extras::row", "use crate::error::Result;")]),
        "extras::row is in no known layer"
    );
}
